//! The values of one moment: plain data, detached from the cells.

use std::sync::Arc;

use crate::busiest::Named;
use crate::cells::read_spans;
use crate::describe::{Family, Instrument, Kind};
use crate::encode::Prepared;
use crate::histograms::{Distribution, Exemplar};
use crate::metrics::{UNKNOWN, clamp};
use crate::registry::{Entry, Source, Table};

/// What an engine's families held at one moment, or what changed between two.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub(crate) table: Arc<Table>,
    pub(crate) values: Vec<u64>,
    /// Which series are told; empty when all are.
    pub(crate) told: Vec<bool>,
    /// What the series with names of run time are called.
    pub(crate) names: Vec<Option<Named>>,
}

/// The value of one series.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// A total.
    Counter(u64),
    /// A level.
    Gauge(i64),
    /// Sum and count, and the extremes of the last windows when anything was recorded in them.
    MinMaxSumCount {
        /// The sum of all values, in the unit of the cells.
        sum: u64,
        /// How many there were.
        count: u64,
        /// The smallest and the largest of this window and the one before.
        extremes: Option<(u64, u64)>,
    },
    /// Counts by bucket.
    Histogram(Distribution<'a>),
}

/// A family and the values of its series.
#[derive(Clone, Copy, Debug)]
pub struct Metric<'a> {
    entry: &'a Entry,
    values: &'a [u64],
    told: Option<&'a [bool]>,
    /// What its series are called, where they have names of run time.
    names: &'a [Option<Named>],
}

impl Snapshot {
    /// Replaces the values by those of now.
    pub(crate) fn read(&mut self, table: Arc<Table>) {
        self.values.resize(table.values, 0);
        self.told.clear();
        self.names.resize(table.names, None);
        read_spans(&table.spans, &mut self.values);
        for entry in &table.entries {
            let values = &mut self.values[entry.range()];
            match &entry.source {
                Source::Cells(_) | Source::Histogram(..) => {}
                Source::Shared(cells) => {
                    for (value, cell) in values.iter_mut().zip(cells.iter()) {
                        *value = cell.load(std::sync::atomic::Ordering::Relaxed);
                    }
                }
                Source::Observed(observed) => observed.read(values),
                Source::Ranked(ranked) => ranked.read(values, &mut self.names[entry.names()]),
                Source::Extremes(_, extremes) => {
                    for (series, values) in values.chunks_exact_mut(4).enumerate() {
                        values[2..].copy_from_slice(&extremes.read(series));
                    }
                }
            }
            if entry.instrument == Instrument::UpDownCounter {
                for value in values {
                    *value = clamp(*value).cast_unsigned();
                }
            }
        }
        self.table = table;
    }

    /// The families, in the order of their declaration; those without any series to tell are left out.
    pub fn families(&self) -> impl Iterator<Item = Metric<'_>> {
        self.table.entries.iter().filter_map(|entry| {
            let told = match self.told.as_slice() {
                [] => None,
                told => Some(&told[entry.series..entry.series + entry.family.series_count()]),
            };
            let metric = Metric {
                entry,
                values: &self.values[entry.range()],
                told,
                names: &self.names[entry.names()],
            };
            metric.series().next().is_some().then_some(metric)
        })
    }

    /// The family called `name`.
    pub fn find(&self, name: &str) -> Option<Metric<'_>> {
        self.families().find(|metric| metric.family().name == name)
    }

    /// The value of series `index` of `family`, a counter or a gauge, below zero as 0; `None` when the engine never declared it,
    /// or as another kind.
    pub fn value(&self, family: &Family, index: usize) -> Option<u64> {
        match self.find(family.name)?.value(index)? {
            Value::Counter(value) => Some(value),
            Value::Gauge(value) => Some(u64::try_from(value).unwrap_or(0)),
            Value::MinMaxSumCount { .. } | Value::Histogram(_) => None,
        }
    }
}

impl<'a> Metric<'a> {
    /// Its description.
    pub fn family(&self) -> &'static Family {
        self.entry.family
    }

    /// How it is written.
    pub fn instrument(&self) -> Instrument {
        self.entry.instrument
    }

    /// When it was declared, in milliseconds since 1970.
    pub fn created_ms(&self) -> u64 {
        self.entry.created_ms
    }

    /// The labels of series `index`, those that have their values from run time included.
    pub fn labels(&self, index: usize) -> impl Iterator<Item = (&'static str, &'a str)> + use<'a> {
        let named = self.named(index);
        self.family()
            .series_labels(index)
            .map(move |(name, value)| (name, named.unwrap_or(value)))
    }

    /// What series `index` is called, if that is of run time.
    pub(crate) fn named(&self, index: usize) -> Option<&'a str> {
        let named = self.names.get(index)?.as_ref()?;
        Some(&named.name)
    }

    /// Since when series `index` counts, in milliseconds since 1970.
    pub(crate) fn since_ms(&self, index: usize) -> u64 {
        let named = self.names.get(index).and_then(Option::as_ref);
        named.map_or(self.created_ms(), |named| named.since_ms)
    }

    /// The series that are told, with their indexes.
    pub fn series(&self) -> impl Iterator<Item = (usize, Value<'a>)> + use<'a> {
        let metric = *self;
        (0..metric.family().series_count()).filter_map(move |index| {
            let told = metric.told.is_none_or(|told| told[index]);
            told.then(|| metric.value(index).map(|value| (index, value)))
                .flatten()
        })
    }

    /// The value of series `index`; `None` when there is no such series, or it is a gauge that nobody knows the value of, or a place that no
    /// name has.
    pub fn value(&self, index: usize) -> Option<Value<'a>> {
        let kind = self.family().kind;
        let stride = kind.stride();
        let values = self.values.get(index * stride..(index + 1) * stride)?;
        if kind == Kind::Gauge && values[0].cast_signed() == UNKNOWN {
            return None;
        }
        if self.family().named && self.named(index).is_none() {
            return None;
        }
        Some(match kind {
            Kind::Counter => Value::Counter(values[0]),
            Kind::Gauge => Value::Gauge(values[0].cast_signed()),
            Kind::MinMaxSumCount => Value::MinMaxSumCount {
                sum: values[0],
                count: values[1],
                extremes: (values[2] != u64::MAX).then_some((values[2], values[3])),
            },
            Kind::Histogram(buckets) => Value::Histogram(Distribution::new(buckets, values)),
        })
    }

    /// The examples that series `index` of a histogram keeps: one for each bucket of classic text that has one, with the place of
    /// that bucket.
    pub fn exemplars(&self, index: usize) -> impl Iterator<Item = (usize, Exemplar)> + use<'a> {
        let exemplars = match &self.entry.source {
            Source::Histogram(_, exemplars) => Some(exemplars),
            _ => None,
        };
        exemplars.into_iter().flat_map(move |kept| kept.read(index))
    }
}

impl<'a> Metric<'a> {
    pub(crate) fn range(&self) -> std::ops::Range<usize> {
        self.entry.range()
    }

    pub(crate) fn name_range(&self) -> std::ops::Range<usize> {
        self.entry.names()
    }

    /// What was rendered of it when it was declared.
    pub(crate) fn prepared(&self) -> &'a Prepared {
        &self.entry.prepared
    }
}
