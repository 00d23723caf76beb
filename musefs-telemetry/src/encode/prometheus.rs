//! The Prometheus text format, version 0.0.4.
//!
//! One HELP and one TYPE line per family before its samples, no timestamps, line feeds. Every sample of a [`Writer`] carries
//! the same extra labels, so that several instances can meet in one collector. Source: "Exposition formats" of the
//! Prometheus documentation.

use std::fmt::{Display, Write as _};

use super::push_label;
#[cfg(feature = "stats")]
use super::{
    Extra, Labels,
    number::{push_scaled, push_scaled_signed, push_u64},
};
use crate::describe::Family;
use crate::snapshot::Snapshot;
#[cfg(feature = "stats")]
use crate::snapshot::{Metric, Value};

/// The media type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Appends families to a string.
#[derive(Debug)]
pub struct Writer<'a> {
    text: &'a mut String,
    identity: &'a [(String, String)],
}

impl<'a> Writer<'a> {
    /// Writes to the end of `text`; every sample carries `identity` (label name, value).
    pub fn new(text: &'a mut String, identity: &'a [(String, String)]) -> Self {
        Self { text, identity }
    }

    /// The HELP and TYPE lines of `family`.
    pub fn header(&mut self, family: &Family) {
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
        self.text.push_str("\n# TYPE ");
        self.text.push_str(family.name);
        self.text.push(' ');
        self.text.push_str(family.kind.as_str());
        self.text.push('\n');
    }

    /// One sample of `family` with these labels; the value is written as it is.
    pub fn sample<'l>(
        &mut self,
        family: &Family,
        labels: impl IntoIterator<Item = (&'l str, &'l str)>,
        value: impl Display,
    ) {
        self.text.push_str(family.name);
        let start = self.text.len();
        let identity = self
            .identity
            .iter()
            .map(|(name, value)| (&**name, &**value));
        for (name, label) in identity {
            push_label(self.text, start, name, label);
        }
        for (name, label) in labels {
            push_label(self.text, start, name, label);
        }
        if self.text.len() > start {
            self.text.push('}');
        }
        writeln!(self.text, " {value}").expect("a String takes whatever is written to it");
    }

    /// A family with one sample and no labels of its own.
    pub fn single(&mut self, family: &Family, value: impl Display) {
        self.header(family);
        self.sample(family, [], value);
    }

    /// All families of `snapshot`.
    pub fn snapshot(&mut self, snapshot: &Snapshot) {
        for metric in snapshot.families() {
            self.metric(&metric);
        }
    }

    /// A family that there is not.
    #[cfg(not(feature = "stats"))]
    pub fn metric(&mut self, metric: &crate::snapshot::Metric) {
        match *metric {}
    }
}

#[cfg(feature = "stats")]
impl Writer<'_> {
    /// A family and its series, in its base unit.
    pub fn metric(&mut self, metric: &Metric<'_>) {
        self.header(metric.family());
        for (index, value) in metric.series() {
            self.series(metric, index, &value);
        }
    }

    fn series(&mut self, metric: &Metric<'_>, index: usize, value: &Value<'_>) {
        let family = metric.family();
        let decimals = family.unit.decimals();
        let identity = self.identity;
        let labels = Labels {
            identity,
            metric: Some((metric, index)),
        };
        let mut line = |ending: &str, extra: Option<Extra<'_>>, value: &dyn Fn(&mut String)| {
            self.text.push_str(family.name);
            self.text.push_str(ending);
            labels.push(self.text, extra);
            self.text.push(' ');
            value(self.text);
            self.text.push('\n');
        };
        match *value {
            Value::Counter(value) => line("", None, &|text| push_scaled(text, value, decimals)),
            Value::Gauge(value) => {
                line("", None, &|text| push_scaled_signed(text, value, decimals));
            }
            Value::MinMaxSumCount {
                sum,
                count,
                extremes,
            } => {
                if let Some((smallest, largest)) = extremes {
                    for (quantile, value) in [("0", smallest), ("1", largest)] {
                        let quantile = |text: &mut String| text.push_str(quantile);
                        let value = |text: &mut String| push_scaled(text, value, decimals);
                        line("", Some(("quantile", &quantile)), &value);
                    }
                }
                line("_sum", None, &|text| push_scaled(text, sum, decimals));
                line("_count", None, &|text| push_u64(text, count));
            }
            Value::Histogram(distribution) => {
                let count = distribution.count();
                for (bound, below) in distribution.text_buckets() {
                    let bound = |text: &mut String| push_scaled(text, bound, decimals);
                    line("_bucket", Some(("le", &bound)), &|text| {
                        push_u64(text, below);
                    });
                }
                let end = |text: &mut String| text.push_str("+Inf");
                line("_bucket", Some(("le", &end)), &|text| push_u64(text, count));
                let sum = distribution.sum();
                line("_sum", None, &|text| push_scaled(text, sum, decimals));
                line("_count", None, &|text| push_u64(text, count));
            }
        }
    }
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

    const GAUGE: Family = Family::gauge("demo_bytes", "Back\\slash and\nline.");

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
