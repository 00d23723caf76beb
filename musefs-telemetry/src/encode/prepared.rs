//! What stays the same in every text of a family, rendered once when it is declared: headers, the labels of each series, the
//! bounds of the buckets.
//!
//! A sample is then a few copies and one number. Values, and labels of the instance, are not known here.

use super::labels::{Identity, push_label};
use super::number::{push_scaled, push_scaled_signed};
use super::{openmetrics, prometheus};
use crate::describe::{Family, Kind};
use crate::snapshot::Metric;

/// The rendered parts of a family.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The lines before the samples in classic text.
    pub(super) classic_header: Box<str>,
    /// The same in `OpenMetrics`.
    pub(super) open_header: Box<str>,
    /// The bounds of a histogram in classic text, ascending, each as the last label of a sample.
    pub(super) classic_bounds: Box<[Box<str>]>,
    /// The same in `OpenMetrics`.
    pub(super) open_bounds: Box<[Box<str>]>,
    /// For each series, one after another, what stands before the number of a sample that is called as the family is.
    starts: Box<str>,
    /// Where in `starts` that of each series ends.
    ends: Box<[usize]>,
    /// How long the family's name is, which each of them begins with.
    name_len: usize,
}

/// The end of the labels, and the space before the number.
const END: &str = "} ";

impl Prepared {
    /// All that can be known of `family` before it has values.
    pub(crate) fn new(family: &Family) -> Self {
        let mut starts = String::new();
        let ends = (0..family.series_count()).map(|index| {
            starts.push_str(family.name);
            let start = starts.len();
            for (name, value) in family.series_labels(index) {
                push_label(&mut starts, start, name, value);
            }
            starts.push_str(if starts.len() > start { END } else { " " });
            starts.len()
        });
        let ends = ends.collect();
        let bounds = |push: fn(&mut String, u64, u32)| match family.kind {
            Kind::Histogram(buckets) => buckets
                .text_bounds()
                .map(|(bound, _)| {
                    last_label("le", |text| push(text, bound, family.unit.decimals()))
                })
                .collect(),
            Kind::Counter | Kind::Gauge | Kind::MinMaxSumCount => Box::default(),
        };
        Self {
            classic_header: rendered(|text| prometheus::push_header(text, family)),
            open_header: rendered(|text| openmetrics::push_header(text, family)),
            classic_bounds: bounds(push_scaled),
            open_bounds: bounds(openmetrics::push_canonical),
            starts: starts.into(),
            ends,
            name_len: family.name.len(),
        }
    }

    /// The same as [`Prepared::start`] for a series that has its name from run time.
    fn named_start(&self, family: &Family, name: &str) -> Box<str> {
        rendered(|start| {
            start.push_str(family.name);
            push_label(start, self.name_len, family.labels[0].name, name);
            start.push_str(END);
        })
    }

    /// What stands before the number of a sample of this series that is called as the family is.
    #[inline]
    pub(super) fn start_of<'a>(
        &'a self,
        metric: &Metric<'_>,
        series: usize,
        named: &'a mut Box<str>,
    ) -> &'a str {
        match metric.named(series) {
            Some(name) => {
                *named = self.named_start(metric.family(), name);
                named
            }
            None => self.start(series),
        }
    }

    /// What stands before the number of a sample of this series that is called as the family is.
    #[inline]
    fn start(&self, series: usize) -> &str {
        let start = series.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.starts[start..self.ends[series]]
    }
}

fn rendered(render: impl FnOnce(&mut String)) -> Box<str> {
    let mut text = String::new();
    render(&mut text);
    text.into()
}

/// A label that a format adds behind all others, its value without anything to escape: from the comma before it to the space
/// before the number.
fn last_label(name: &str, value: impl FnOnce(&mut String)) -> Box<str> {
    rendered(|text| {
        text.push(',');
        text.push_str(name);
        text.push_str("=\"");
        value(text);
        text.push('"');
        text.push_str(END);
    })
}

/// Appends the samples of one series.
pub(super) struct Samples<'a, 'i> {
    pub(super) text: &'a mut String,
    identity: &'a mut Identity<'i>,
    /// The name before the endings.
    stem: &'a str,
    /// What stands before the number of a sample that is called as the family is.
    own: &'a str,
    name_len: usize,
}

impl<'a, 'i> Samples<'a, 'i> {
    /// Samples of the series for which this stands before the number, which are called as the family is, or `stem` with an
    /// ending.
    #[inline]
    pub(super) fn new(
        text: &'a mut String,
        identity: &'a mut Identity<'i>,
        stem: &'a str,
        (prepared, own): (&Prepared, &'a str),
    ) -> Self {
        Self {
            text,
            identity,
            stem,
            own,
            name_len: prepared.name_len,
        }
    }

    /// The sample that is called as the family is: `value / 10^decimals`.
    #[inline]
    pub(super) fn push_own(&mut self, value: u64, decimals: u32) {
        self.start_own();
        self.end(value, decimals);
    }

    /// The same for a value that may be below zero.
    #[inline]
    pub(super) fn push_own_signed(&mut self, value: i64, decimals: u32) {
        self.start_own();
        push_scaled_signed(self.text, value, decimals);
        self.text.push('\n');
    }

    /// A sample whose name has this ending.
    pub(super) fn push(&mut self, ending: &str, value: u64, decimals: u32) {
        self.text.push_str(self.stem);
        self.text.push_str(ending);
        self.push_labels();
        self.end(value, decimals);
    }

    /// A sample with a label behind all others, as [`Samples::start_with`] has it.
    pub(super) fn push_with(&mut self, ending: &str, last: &str, value: u64, decimals: u32) {
        self.start_with(ending, last);
        self.end(value, decimals);
    }

    /// Appends everything before the number of a sample with a label behind all others: `last`, from the comma before it to
    /// the space before the number.
    pub(super) fn start_with(&mut self, ending: &str, last: &str) {
        self.text.push_str(self.stem);
        self.text.push_str(ending);
        let inner = self.inner();
        if self.identity.push(self.text) {
            self.push_inner(inner);
            return self.text.push_str(last);
        }
        self.text.push('{');
        self.text.push_str(inner);
        let last = if inner.is_empty() { &last[1..] } else { last };
        self.text.push_str(last);
    }

    #[inline]
    fn start_own(&mut self) {
        if self.identity.is_empty() {
            return self.text.push_str(self.own);
        }
        self.text.push_str(&self.own[..self.name_len]);
        self.push_labels();
    }

    #[inline]
    fn end(&mut self, value: u64, decimals: u32) {
        push_scaled(self.text, value, decimals);
        self.text.push('\n');
    }

    fn push_labels(&mut self) {
        if self.identity.push(self.text) {
            self.push_inner(self.inner());
            self.text.push_str(END);
        } else {
            self.text.push_str(&self.own[self.name_len..]);
        }
    }

    fn push_inner(&mut self, inner: &str) {
        if !inner.is_empty() {
            self.text.push(',');
            self.text.push_str(inner);
        }
    }

    /// The labels of the series, a comma between two and nothing around.
    fn inner(&self) -> &'a str {
        self.own[self.name_len..]
            .strip_prefix('{')
            .and_then(|labels| labels.strip_suffix(END))
            .unwrap_or("")
    }
}
