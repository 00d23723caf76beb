//! The Prometheus text format, version 0.0.4.
//!
//! One HELP and one TYPE line per family before its samples, no timestamps, line feeds. Every sample of a [`Writer`] carries
//! the same extra labels, so that several instances can meet in one collector. Source: "Exposition formats" of the
//! Prometheus documentation.

use std::fmt::{Display, Write as _};

use crate::describe::Family;
use crate::snapshot::Snapshot;

/// Appends families to a string.
#[derive(Debug)]
pub struct Writer<'a> {
    text: &'a mut String,
    identity: String,
}

impl<'a> Writer<'a> {
    /// Writes to the end of `text`; every sample carries `identity` (label name, value).
    pub fn new(text: &'a mut String, identity: &[(String, String)]) -> Self {
        let mut labels = String::new();
        for (name, value) in identity {
            push_label(&mut labels, name, value);
        }
        Self {
            text,
            identity: labels,
        }
    }

    /// The HELP and TYPE lines of `family`.
    pub fn header(&mut self, family: &Family) {
        let kind = family.kind.as_str();
        self.text.push_str("# HELP ");
        self.text.push_str(family.name);
        self.text.push(' ');
        for character in family.help.chars() {
            match character {
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                other => self.text.push(other),
            }
        }
        self.push(format_args!("\n# TYPE {} {kind}\n", family.name));
    }

    /// One sample of `family` with these labels.
    pub fn sample<'l>(
        &mut self,
        family: &Family,
        labels: impl IntoIterator<Item = (&'l str, &'l str)>,
        value: impl Display,
    ) {
        self.text.push_str(family.name);
        let mut list = self.identity.clone();
        for (name, label) in labels {
            push_label(&mut list, name, label);
        }
        if !list.is_empty() {
            self.push(format_args!("{{{list}}}"));
        }
        self.push(format_args!(" {value}\n"));
    }

    /// A family with one sample and no labels of its own.
    pub fn single(&mut self, family: &Family, value: impl Display) {
        self.header(family);
        self.sample(family, [], value);
    }

    /// All families of `snapshot`, every series of each.
    pub fn snapshot(&mut self, snapshot: &Snapshot) {
        for (family, values) in snapshot.families() {
            self.header(family);
            for (index, value) in values.enumerate() {
                self.sample(family, family.series_labels(index), value);
            }
        }
    }

    fn push(&mut self, arguments: std::fmt::Arguments<'_>) {
        self.text
            .write_fmt(arguments)
            .expect("a String takes whatever is written to it");
    }
}

fn push_label(list: &mut String, name: &str, value: &str) {
    if !list.is_empty() {
        list.push(',');
    }
    list.push_str(name);
    list.push_str("=\"");
    for character in value.chars() {
        match character {
            '\\' => list.push_str("\\\\"),
            '"' => list.push_str("\\\""),
            '\n' => list.push_str("\\n"),
            other => list.push(other),
        }
    }
    list.push('"');
}

/// Whether `name` can be a label name of this format: `[a-zA-Z_][a-zA-Z0-9_]*`, not starting with two underscores.
pub fn is_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.starts_with("__")
}

/// Fills `text` up to `len` bytes with one HELP line of a family that has no samples, which every parser of the format
/// accepts and forgets. Nothing is added where the rest is too short for such a line.
pub fn pad(text: &mut String, len: usize) {
    let head = "# HELP musefs_padding Fills the file up to a round size ";
    let Some(dots) = len.checked_sub(text.len() + head.len() + 1) else {
        return;
    };
    text.push_str(head);
    text.extend(std::iter::repeat_n('.', dots));
    text.push('\n');
}

/// The smallest room that [`pad`] can fill, in bytes.
pub const PAD_MIN: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::describe::Kind;

    const GAUGE: Family = Family {
        name: "demo_bytes",
        help: "Back\\slash and\nline.",
        kind: Kind::Gauge,
        labels: &[],
    };

    #[test]
    fn help_and_label_values_are_escaped() {
        let mut text = String::new();
        let identity = [("mount".to_owned(), "a\"b\\c\nd".to_owned())];
        Writer::new(&mut text, &identity).single(&GAUGE, 7);
        assert_eq!(
            text,
            "# HELP demo_bytes Back\\\\slash and\\nline.\n# TYPE demo_bytes gauge\ndemo_bytes{mount=\"a\\\"b\\\\c\\nd\"} 7\n"
        );
    }

    #[test]
    fn padding_fills_exactly() {
        for len in [PAD_MIN, 100, 4096] {
            let mut text = String::new();
            pad(&mut text, len);
            assert_eq!(text.len(), len);
            assert!(text.ends_with(".\n") && text.lines().count() == 1);
        }
        let mut text = String::from("x");
        pad(&mut text, 20);
        assert_eq!(text, "x");
    }
}
