//! What stays the same in every text of a family, rendered once when it is declared: headers, the labels of each series, the
//! bounds of the buckets.
//!
//! A sample is then a few copies and one number. Values, and labels of the instance, are not known here.

use super::labels::{Identity, push_label};
use super::number::{push_scaled, push_scaled_signed};
use super::{openmetrics, prometheus};
use crate::describe::{Family, Kind};

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
    /// The labels of all series, one after another.
    labels: Box<str>,
    /// Where in `labels` those of each series end.
    ends: Box<[usize]>,
}

/// The labels of a series, from the brace to the space before the number; that space alone when there are none.
#[derive(Clone, Copy, Debug)]
struct Block<'a>(&'a str);

/// The end of the labels, and the space before the number.
const END: &str = "} ";

impl Block<'_> {
    /// The labels without what is around them.
    fn inner(&self) -> &str {
        self.0
            .strip_prefix('{')
            .and_then(|labels| labels.strip_suffix(END))
            .unwrap_or("")
    }
}

impl Prepared {
    /// All that can be known of `family` before it has values.
    pub(crate) fn new(family: &Family) -> Self {
        let mut labels = String::new();
        let ends = (0..family.series_count()).map(|index| {
            let start = labels.len();
            for (name, value) in family.series_labels(index) {
                push_label(&mut labels, start, name, value);
            }
            labels.push_str(if labels.len() > start { END } else { " " });
            labels.len()
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
            labels: labels.into(),
            ends,
        }
    }

    fn block(&self, series: usize) -> Block<'_> {
        let start = series.checked_sub(1).map_or(0, |before| self.ends[before]);
        Block(&self.labels[start..self.ends[series]])
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

/// The beginnings of the samples of one series.
pub(super) struct Samples<'a, 'i> {
    pub(super) text: &'a mut String,
    identity: &'a mut Identity<'i>,
    name: &'a str,
    block: Block<'a>,
}

impl<'a, 'i> Samples<'a, 'i> {
    /// Samples of a family that is called `name`, of its series with this index.
    pub(super) fn new(
        text: &'a mut String,
        identity: &'a mut Identity<'i>,
        name: &'a str,
        (prepared, series): (&'a Prepared, usize),
    ) -> Self {
        Self {
            text,
            identity,
            name,
            block: prepared.block(series),
        }
    }

    /// Appends everything before the number of a sample whose name has this ending.
    #[inline]
    fn start(&mut self, ending: &str) {
        self.text.push_str(self.name);
        self.text.push_str(ending);
        if self.identity.push(self.text) {
            self.push_inner();
            self.text.push_str(END);
        } else {
            self.text.push_str(self.block.0);
        }
    }

    /// The same with a label behind all others: from the comma before it to the space before the number.
    #[inline]
    pub(super) fn start_with(&mut self, ending: &str, last: &str) {
        self.text.push_str(self.name);
        self.text.push_str(ending);
        if self.identity.push(self.text) {
            self.push_inner();
            return self.text.push_str(last);
        }
        let inner = self.block.inner();
        self.text.push('{');
        self.text.push_str(inner);
        let last = if inner.is_empty() { &last[1..] } else { last };
        self.text.push_str(last);
    }

    /// A sample: `value / 10^decimals`.
    #[inline]
    pub(super) fn push(&mut self, ending: &str, value: u64, decimals: u32) {
        self.start(ending);
        push_scaled(self.text, value, decimals);
        self.text.push('\n');
    }

    /// A sample whose value may be below zero.
    #[inline]
    pub(super) fn push_signed(&mut self, ending: &str, value: i64, decimals: u32) {
        self.start(ending);
        push_scaled_signed(self.text, value, decimals);
        self.text.push('\n');
    }

    /// A sample with a label behind all others, as [`Samples::start_with`] has it.
    #[inline]
    pub(super) fn push_with(&mut self, ending: &str, last: &str, value: u64, decimals: u32) {
        self.start_with(ending, last);
        push_scaled(self.text, value, decimals);
        self.text.push('\n');
    }

    fn push_inner(&mut self) {
        let inner = self.block.inner();
        if !inner.is_empty() {
            self.text.push(',');
            self.text.push_str(inner);
        }
    }
}
