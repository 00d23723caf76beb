//! The `OpenMetrics` text format, version 1.0.
//!
//! A counter's family is called without `_total`; UNIT lines; `_created` for whatever counts from a start; exemplars on
//! histogram buckets; `# EOF` at the end, which [`encode`] writes. Source: the `OpenMetrics` 1.0 specification.

use super::number::{push_scaled, push_scaled_signed, push_u64};
use super::{Extra, Labels, push_escaped};
use crate::histograms::{Distribution, Exemplar};
use crate::snapshot::{Metric, Snapshot, Value};

/// The media type of the format.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Appends all families of `snapshot` and the end mark to `text`; every sample carries `identity`.
pub fn encode(text: &mut String, snapshot: &Snapshot, identity: &[(String, String)]) {
    for metric in snapshot.families() {
        encode_metric(text, &metric, identity);
    }
    text.push_str("# EOF\n");
}

/// Appends one family to `text`.
pub fn encode_metric(text: &mut String, metric: &Metric<'_>, identity: &[(String, String)]) {
    let family = metric.family();
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
    for (index, value) in metric.series() {
        let labels = Labels {
            identity,
            metric: Some((metric, index)),
        };
        Series {
            text,
            name,
            labels,
            decimals: family.unit.decimals(),
        }
        .push(metric, index, &value);
    }
}

fn line(text: &mut String, parts: &[&str]) {
    text.extend(parts.iter().copied());
    text.push('\n');
}

struct Series<'a> {
    text: &'a mut String,
    name: &'a str,
    labels: Labels<'a>,
    decimals: u32,
}

impl Series<'_> {
    fn push(&mut self, metric: &Metric<'_>, index: usize, value: &Value<'_>) {
        let decimals = self.decimals;
        match *value {
            Value::Counter(value) => {
                self.sample("_total", |text| push_scaled(text, value, decimals));
            }
            Value::Gauge(value) => {
                self.sample("", |text| push_scaled_signed(text, value, decimals));
                return;
            }
            Value::MinMaxSumCount {
                sum,
                count,
                extremes,
            } => {
                if let Some((smallest, largest)) = extremes {
                    for (quantile, value) in [("0.0", smallest), ("1.0", largest)] {
                        self.start("", Some(("quantile", &|text| text.push_str(quantile))));
                        push_scaled(self.text, value, decimals);
                        self.text.push('\n');
                    }
                }
                self.sample("_count", |text| push_u64(text, count));
                self.sample("_sum", |text| push_scaled(text, sum, decimals));
            }
            Value::Histogram(distribution) => {
                self.histogram(&distribution, metric.exemplar(index));
            }
        }
        let created_ms = metric.created_ms();
        self.sample("_created", |text| push_scaled(text, created_ms, 3));
    }

    fn histogram(&mut self, distribution: &Distribution<'_>, exemplar: Option<Exemplar>) {
        let (decimals, count) = (self.decimals, distribution.count());
        // The example may be younger than the snapshot, so its bucket may still be empty; it is told all the same.
        let mut exemplar = exemplar;
        for (bound, below) in distribution.text_buckets() {
            let le = |text: &mut String| push_canonical(text, bound, decimals);
            self.start("_bucket", Some(("le", &le)));
            push_u64(self.text, below);
            if let Some(ours) = exemplar.take_if(|exemplar| exemplar.value <= bound) {
                push_exemplar(self.text, ours, decimals);
            }
            self.text.push('\n');
        }
        self.start("_bucket", Some(("le", &|text| text.push_str("+Inf"))));
        push_u64(self.text, count);
        if let Some(ours) = exemplar {
            push_exemplar(self.text, ours, decimals);
        }
        self.text.push('\n');
        self.sample("_count", |text| push_u64(text, count));
        let sum = distribution.sum();
        self.sample("_sum", |text| push_scaled(text, sum, decimals));
    }

    fn sample(&mut self, ending: &str, value: impl Fn(&mut String)) {
        self.start(ending, None);
        value(self.text);
        self.text.push('\n');
    }

    fn start(&mut self, ending: &str, extra: Option<Extra<'_>>) {
        self.text.push_str(self.name);
        self.text.push_str(ending);
        self.labels.push(self.text, extra);
        self.text.push(' ');
    }
}

/// A bound as the specification wants it: whole numbers with `.0`, the smallest powers of ten with an exponent.
fn push_canonical(text: &mut String, value: u64, decimals: u32) {
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
    push_u64(text, exemplar.request_id);
    text.push_str("\"} ");
    push_scaled(text, exemplar.value, decimals);
    text.push(' ');
    push_scaled(text, exemplar.wall_ms, 3);
}
