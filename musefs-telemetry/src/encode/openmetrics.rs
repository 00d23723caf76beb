//! The `OpenMetrics` text format, version 1.0.
//!
//! A counter's family is called without `_total`; UNIT lines; `_created` for whatever counts from a start; exemplars on
//! histogram buckets; `# EOF` at the end, which [`encode`] writes. Source: the `OpenMetrics` 1.0 specification.

use std::fmt::Write as _;

use super::labels::{Identity, push_escaped};
use super::number::{push_scaled, push_u64};
use super::prepared::Samples;
use crate::describe::Family;
use crate::histograms::{Distribution, Exemplar};
use crate::snapshot::{Metric, Snapshot, Value};

/// The media type of the format.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Appends all families of `snapshot` and the end mark to `text`; every sample carries `identity`.
pub fn encode(text: &mut String, snapshot: &Snapshot, identity: &[(String, String)]) {
    let mut identity = Identity::new(identity);
    for metric in snapshot.families() {
        push_metric(text, &metric, &mut identity);
    }
    text.push_str("# EOF\n");
}

/// Appends one family to `text`.
pub fn encode_metric(text: &mut String, metric: &Metric<'_>, identity: &[(String, String)]) {
    push_metric(text, metric, &mut Identity::new(identity));
}

/// Appends the lines before the samples of `family`.
pub(super) fn push_header(text: &mut String, family: &Family) {
    let name = family.stem();
    line(text, &["# TYPE ", name, " ", family.kind.as_str()]);
    if !family.unit.as_str().is_empty() {
        line(text, &["# UNIT ", name, " ", family.unit.as_str()]);
    }
    text.push_str("# HELP ");
    text.push_str(name);
    text.push(' ');
    push_escaped(text, family.help);
    text.push('\n');
}

fn line(text: &mut String, parts: &[&str]) {
    text.extend(parts.iter().copied());
    text.push('\n');
}

fn push_metric(text: &mut String, metric: &Metric<'_>, identity: &mut Identity<'_>) {
    let (family, prepared) = (metric.family(), metric.prepared());
    text.push_str(&prepared.open_header);
    let mut named = Box::default();
    for (index, value) in metric.series() {
        let own = prepared.start_of(metric, index, &mut named);
        Series {
            samples: Samples::new(text, identity, family.stem(), (prepared, own)),
            decimals: family.unit.decimals(),
            bounds: &prepared.open_bounds,
        }
        .push(metric, index, &value);
    }
}

struct Series<'a, 'i> {
    samples: Samples<'a, 'i>,
    decimals: u32,
    bounds: &'a [Box<str>],
}

impl Series<'_, '_> {
    fn push(&mut self, metric: &Metric<'_>, index: usize, value: &Value<'_>) {
        let decimals = self.decimals;
        match *value {
            // A counter's own name is the stem with `_total`.
            Value::Counter(value) => self.samples.push_own(value, decimals),
            Value::Gauge(value) => {
                self.samples.push_own_signed(value, decimals);
                return;
            }
            Value::MinMaxSumCount {
                sum,
                count,
                extremes,
            } => {
                if let Some((smallest, largest)) = extremes {
                    for (quantile, value) in [
                        (",quantile=\"0.0\"} ", smallest),
                        (",quantile=\"1.0\"} ", largest),
                    ] {
                        self.samples.push_with("", quantile, value, decimals);
                    }
                }
                self.samples.push("_count", count, 0);
                self.samples.push("_sum", sum, decimals);
            }
            Value::Histogram(distribution) => {
                self.histogram(&distribution, metric.exemplars(index));
            }
        }
        self.samples.push("_created", metric.since_ms(index), 3);
    }

    fn histogram(
        &mut self,
        distribution: &Distribution<'_>,
        exemplars: impl Iterator<Item = (usize, Exemplar)>,
    ) {
        let (decimals, count) = (self.decimals, distribution.count());
        // An example may be younger than the snapshot, so its bucket may still be empty; it is told all the same.
        let mut exemplars = exemplars.peekable();
        let mut example = |bucket| {
            let own = exemplars.next_if(|(own, _)| *own == bucket);
            own.map(|(_, exemplar)| exemplar)
        };
        for (index, ((_, below), le)) in distribution.text_buckets().zip(self.bounds).enumerate() {
            self.bucket(le, below, example(index));
        }
        self.bucket(",le=\"+Inf\"} ", count, example(self.bounds.len()));
        self.samples.push("_count", count, 0);
        self.samples.push("_sum", distribution.sum(), decimals);
    }

    fn bucket(&mut self, le: &str, below: u64, exemplar: Option<Exemplar>) {
        self.samples.start_with("_bucket", le);
        push_u64(self.samples.text, below);
        if let Some(exemplar) = exemplar {
            push_exemplar(self.samples.text, exemplar, self.decimals);
        }
        self.samples.text.push('\n');
    }
}

/// A bound as the specification wants it: whole numbers with `.0`, the smallest powers of ten with an exponent.
pub(super) fn push_canonical(text: &mut String, value: u64, decimals: u32) {
    let start = text.len();
    push_scaled(text, value, decimals);
    if !text[start..].contains('.') {
        text.push_str(".0");
    }
    for (plain, canonical) in [
        ("0.00001", "1e-05"),
        ("0.000001", "1e-06"),
        ("0.0000001", "1e-07"),
        ("0.00000001", "1e-08"),
        ("0.000000001", "1e-09"),
    ] {
        if &text[start..] == plain {
            text.truncate(start);
            text.push_str(canonical);
        }
    }
}

fn push_exemplar(text: &mut String, exemplar: Exemplar, decimals: u32) {
    text.push_str(" # {request_id=\"");
    write!(text, "{}", exemplar.request).expect("a String takes whatever is written to it");
    text.push_str("\"} ");
    push_scaled(text, exemplar.value, decimals);
    text.push(' ');
    push_scaled(text, exemplar.wall_ms, 3);
}
