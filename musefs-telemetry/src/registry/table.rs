//! What an engine has declared: its families in order, where the values of each are, and where they go in a snapshot.
//!
//! A table only ever grows and no place in it changes, so readers keep one for as long as they like. It knows nothing of how a
//! family comes to be declared.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::busiest::Ranked;
use crate::cells::{Slot, Span};
use crate::describe::{Family, Instrument};
use crate::encode::Prepared;
use crate::histograms::Exemplars;
use crate::metrics::{Extremes, Observed};

/// All families, in the order of their declaration, and where their values go in a snapshot. Only ever grows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) entries: Vec<Entry>,
    pub(crate) spans: Vec<Span>,
    pub(crate) values: usize,
    pub(crate) series: usize,
    /// How many series have names of run time, or stand beside such.
    pub(crate) names: usize,
}

/// One declared family.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) family: &'static Family,
    pub(crate) instrument: Instrument,
    pub(crate) source: Source,
    pub(crate) prepared: Arc<Prepared>,
    /// The place of its first value in a snapshot.
    pub(crate) target: usize,
    /// The place of its first series among all series.
    pub(crate) series: usize,
    pub(crate) created_ms: u64,
    /// The place of its first name in a snapshot, where it has names of run time.
    pub(crate) name: usize,
}

/// Where the values of a family are.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Cells(Slot),
    Shared(Arc<[AtomicU64]>),
    Observed(Arc<Observed>),
    Extremes(Slot, Arc<Extremes>),
    Histogram(Slot, Arc<Exemplars>),
    Ranked(Arc<Ranked>),
}

/// A declared family on its way to the handle that counts in it.
#[derive(Debug)]
pub struct Part {
    pub(crate) family: &'static Family,
    pub(crate) source: Source,
}

impl Part {
    pub(crate) fn slot(self) -> Slot {
        match self.source {
            Source::Cells(slot) => slot,
            _ => unreachable!("a counter is declared with cells"),
        }
    }
}

impl Entry {
    /// Where its values are in a snapshot.
    pub(crate) fn range(&self) -> Range<usize> {
        self.target..self.target + self.family.value_count()
    }

    /// Where the names of its series are in a snapshot; empty where those are known beforehand.
    pub(crate) fn names(&self) -> Range<usize> {
        let count = if self.family.named {
            self.family.series_count()
        } else {
            0
        };
        self.name..self.name + count
    }
}

impl Table {
    /// Appends a family whose values are in `source`.
    pub(super) fn push(
        &mut self,
        family: &'static Family,
        instrument: Instrument,
        source: Source,
        created_ms: u64,
    ) {
        let target = self.values;
        if let Source::Cells(slot) | Source::Extremes(slot, _) | Source::Histogram(slot, _) =
            &source
        {
            let span = slot.span(target);
            match self.spans.last_mut() {
                Some(last)
                    if last.start + last.len == span.start
                        && last.target + last.len == span.target =>
                {
                    last.len += span.len;
                }
                _ => self.spans.push(span),
            }
        }
        self.entries.push(Entry {
            family,
            instrument,
            source,
            prepared: Arc::new(Prepared::new(family)),
            target,
            series: self.series,
            created_ms,
            name: self.names,
        });
        self.values += family.value_count();
        self.series += family.series_count();
        if family.named {
            self.names += family.series_count();
        }
    }
}
