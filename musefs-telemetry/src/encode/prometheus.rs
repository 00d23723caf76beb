//! The Prometheus text format, version 0.0.4.
//!
//! One HELP and one TYPE line per family before its samples, no timestamps, line feeds. Every sample of a [`Writer`] carries
//! the same extra labels, so that several instances can meet in one collector. Source: "Exposition formats" of the
//! Prometheus documentation.

use std::fmt::{Display, Write as _};

use super::labels::{Identity, push_label};
#[cfg(feature = "stats")]
use super::prepared::Samples;
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
    identity: Identity<'a>,
}

impl<'a> Writer<'a> {
    /// Writes to the end of `text`; every sample carries `identity` (label name, value).
    pub fn new(text: &'a mut String, identity: &'a [(String, String)]) -> Self {
        Self {
            text,
            identity: Identity::new(identity),
        }
    }

    /// The HELP and TYPE lines of `family`.
    pub fn header(&mut self, family: &Family) {
        push_header(self.text, family);
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
        self.identity.push(self.text);
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

/// Appends the HELP and TYPE lines of `family`.
pub(super) fn push_header(text: &mut String, family: &Family) {
    text.push_str("# HELP ");
    text.push_str(family.name);
    text.push(' ');
    for character in family.help.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
    text.push_str("\n# TYPE ");
    text.push_str(family.name);
    text.push(' ');
    text.push_str(family.kind.as_str());
    text.push('\n');
}

#[cfg(feature = "stats")]
impl Writer<'_> {
    /// A family and its series, in its base unit.
    pub fn metric(&mut self, metric: &Metric<'_>) {
        let (family, prepared) = (metric.family(), metric.prepared());
        self.text.push_str(&prepared.classic_header);
        let mut named = Box::default();
        for (index, value) in metric.series() {
            let own = prepared.start_of(metric, index, &mut named);
            let identity = &mut self.identity;
            let mut series = Series {
                samples: Samples::new(self.text, identity, family.name, (prepared, own)),
                decimals: family.unit.decimals(),
                bounds: &prepared.classic_bounds,
            };
            series.push(&value);
        }
    }
}

#[cfg(feature = "stats")]
struct Series<'a, 'i> {
    samples: Samples<'a, 'i>,
    decimals: u32,
    bounds: &'a [Box<str>],
}

#[cfg(feature = "stats")]
impl Series<'_, '_> {
    fn push(&mut self, value: &Value<'_>) {
        let decimals = self.decimals;
        match *value {
            Value::Counter(value) => self.samples.push_own(value, decimals),
            Value::Gauge(value) => {
                self.samples.push_own_signed(value, decimals);
            }
            Value::MinMaxSumCount {
                sum,
                count,
                extremes,
            } => {
                if let Some((smallest, largest)) = extremes {
                    self.samples
                        .push_with("", ",quantile=\"0\"} ", smallest, decimals);
                    self.samples
                        .push_with("", ",quantile=\"1\"} ", largest, decimals);
                }
                self.samples.push("_sum", sum, decimals);
                self.samples.push("_count", count, 0);
            }
            Value::Histogram(distribution) => {
                let count = distribution.count();
                for ((_, below), le) in distribution.text_buckets().zip(self.bounds) {
                    self.samples.push_with("_bucket", le, below, 0);
                }
                self.samples
                    .push_with("_bucket", ",le=\"+Inf\"} ", count, 0);
                self.samples.push("_sum", distribution.sum(), decimals);
                self.samples.push("_count", count, 0);
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
