//! A reader's place in an engine.
//!
//! A cursor remembers what its reader has taken. A batch is what came since; committing it moves the cursor, dropping it
//! leaves everything for the next batch. Nothing is written where threads count, so any number of cursors coexist and a
//! reader that fails costs nothing.

use std::fmt;
use std::sync::Arc;

use crate::busiest::Named;
use crate::describe::{Family, Kind};
use crate::registry::{Engine, Table};
use crate::snapshot::Snapshot;

/// What the totals of a batch are counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temporality {
    /// From the last committed batch of the same cursor.
    Delta,
    /// From the declaration of the metric.
    Cumulative,
}

type Filter = Box<dyn Fn(&Family) -> bool + Send>;

/// What one reader has taken so far.
pub struct Cursor {
    engine: Engine,
    temporality: Temporality,
    sparse: bool,
    filter: Option<Filter>,
    /// The values of the last committed batch.
    committed: Vec<u64>,
    /// What series with names of run time were called then.
    committed_names: Vec<Option<Named>>,
    /// The values of the batch under way, from the start.
    current: Vec<u64>,
    /// What the batch under way tells.
    batch: Snapshot,
}

impl fmt::Debug for Cursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Cursor")
            .field("temporality", &self.temporality)
            .field("sparse", &self.sparse)
            .field("values", &self.committed.len())
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// A reader that has taken nothing yet.
    pub fn cursor(&self, temporality: Temporality) -> Cursor {
        Cursor {
            engine: self.clone(),
            temporality,
            sparse: false,
            filter: None,
            committed: Vec::new(),
            committed_names: Vec::new(),
            current: Vec::new(),
            batch: Snapshot::default(),
        }
    }
}

impl Cursor {
    /// Leaves out series that hold what they held at the last commit; before the first one, those that hold 0.
    pub fn sparse(self) -> Self {
        Self {
            sparse: true,
            ..self
        }
    }

    /// Leaves out families that `keep` does not want.
    pub fn filter(self, keep: impl Fn(&Family) -> bool + Send + 'static) -> Self {
        Self {
            filter: Some(Box::new(keep)),
            ..self
        }
    }

    /// The engine that is read.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What there is to take. Memory of the last batch serves again.
    pub fn batch(&mut self) -> Batch<'_> {
        self.engine.snapshot_into(&mut self.batch);
        self.prepare()
    }

    /// What there is to take as of `snapshot`, which is a whole one of the same engine and not older than the last: for a reader
    /// that shows the moment of another.
    #[cfg(feature = "otlp")]
    pub fn batch_of(&mut self, snapshot: &Snapshot) -> Batch<'_> {
        self.batch = snapshot.clone();
        self.batch.told.clear();
        self.prepare()
    }

    fn prepare(&mut self) -> Batch<'_> {
        self.current.clone_from(&self.batch.values);
        // The table only ever grows and places never change, so what is new was 0 at the last commit.
        self.committed.resize(self.current.len(), 0);
        let table = Arc::clone(&self.batch.table);
        self.forget_other_names(&table);
        let choosing = self.sparse || self.filter.is_some();
        if choosing {
            self.batch.told.resize(table.series, false);
        }
        for entry in &table.entries {
            let range = entry.range();
            let (before, now) = (&self.committed[range.clone()], &self.current[range.clone()]);
            let stride = entry.family.kind.stride();
            if choosing {
                let wanted = self.filter.as_ref().is_none_or(|keep| keep(entry.family));
                let series = before.chunks_exact(stride).zip(now.chunks_exact(stride));
                for (index, (before, now)) in series.enumerate() {
                    let told = wanted && (!self.sparse || moved(entry.family.kind, before, now));
                    self.batch.told[entry.series + index] = told;
                }
            }
            if self.temporality == Temporality::Delta {
                let values = self.batch.values[range].chunks_exact_mut(stride);
                for (values, before) in values.zip(before.chunks_exact(stride)) {
                    let totals = totals(entry.family.kind);
                    for (value, before) in values.iter_mut().zip(before).take(totals) {
                        *value = value.wrapping_sub(*before);
                    }
                }
            }
        }
        Batch { cursor: self }
    }
}

impl Cursor {
    /// A place that another name has taken counts from 0, and what it told of the one before is told of the rest, which has it.
    fn forget_other_names(&mut self, table: &Table) {
        self.committed_names.resize(table.names, None);
        for entry in table.entries.iter().filter(|entry| entry.family.named) {
            let values = &mut self.committed[entry.range()];
            let before = &self.committed_names[entry.names()];
            let now = &self.batch.names[entry.names()];
            let mut displaced = 0_u64;
            for ((value, before), now) in values.iter_mut().zip(before).zip(now) {
                let [before, now] = [before, now]
                    .map(|named| named.as_ref().map(|named| (&named.name, named.since_ms)));
                if before != now {
                    displaced = displaced.wrapping_add(std::mem::take(value));
                }
            }
            // The last value but one is the rest, the last one what has no name.
            if let Some(rest) = values.len().checked_sub(2) {
                values[rest] = values[rest].wrapping_add(displaced);
            }
        }
    }
}

/// How many of the first values of a series are totals, which can be told as a difference.
fn totals(kind: Kind) -> usize {
    match kind {
        Kind::Counter => 1,
        Kind::Gauge => 0,
        Kind::MinMaxSumCount => 2,
        Kind::Histogram(buckets) => buckets.len() + 1,
    }
}

/// Whether a series holds something else than before. Extremes pass by themselves and are no news.
fn moved(kind: Kind, before: &[u64], now: &[u64]) -> bool {
    let told = totals(kind).max(1);
    before[..told] != now[..told]
}

/// What a reader can take. Dropping it takes nothing.
#[derive(Debug)]
#[must_use = "a batch that is not committed comes again"]
pub struct Batch<'a> {
    cursor: &'a mut Cursor,
}

impl Batch<'_> {
    /// The values, for an encoder.
    pub fn snapshot(&self) -> &Snapshot {
        &self.cursor.batch
    }

    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.snapshot().families().next().is_none()
    }

    /// The batch was delivered: the next one begins here.
    pub fn commit(self) {
        let cursor = self.cursor;
        if cursor.filter.is_none() {
            std::mem::swap(&mut cursor.committed, &mut cursor.current);
            cursor.committed_names.clone_from(&cursor.batch.names);
            return;
        }
        // What a filter held back was not delivered.
        for metric in cursor.batch.families() {
            let range = metric.range();
            cursor.committed[range.clone()].copy_from_slice(&cursor.current[range]);
            let names = metric.name_range();
            cursor.committed_names[names.clone()].clone_from_slice(&cursor.batch.names[names]);
        }
    }
}
