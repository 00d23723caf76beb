//! The numbers of a closed set of operations: how many, how many failed and how, how long they took.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::threshold::Threshold;
use super::{Completion, Ctx, Failure, Failures, Finished, OpsSeries, Scope};
use crate::buckets::Buckets;
use crate::cells::Slot;
use crate::clock::Clock;
use crate::describe::{
    AttributeEnum, DescribeError, Family, Instrument, Kind, Label, Unit, intern,
};
use crate::event::OperationEvent;
use crate::events::Events;
use crate::histograms::Histograms;
use crate::metrics::Counters;
use crate::registry::Engine;

/// Counts, errors and durations of the operations `O`, whose failures are told apart as `E`.
#[derive(Debug)]
pub struct Ops<O, E = Failure> {
    /// The cells of counts, errors and durations, one after the other.
    cells: Slot,
    counts: Counters<O>,
    /// The cell of each failure of each operation, those of the first operation first.
    failures_at: Box<[usize]>,
    /// The first of each operation's cells of failures, and the end of the last one's.
    failures_from: Box<[usize]>,
    durations_at: usize,
    /// How many operations have durations.
    timed: usize,
    durations: Histograms,
    clock: Arc<dyn Clock>,
    threshold: Arc<Threshold>,
    events: Arc<Events>,
    failures: std::marker::PhantomData<fn(E)>,
}

impl<O: AttributeEnum + crate::SeriesKey, E: Failures> Ops<O, E> {
    /// Declares `PREFIX_ops_total`, `PREFIX_op_errors_total` and `PREFIX_op_duration_seconds`, with durations sorted into
    /// `buckets`.
    ///
    /// # Errors
    /// When a name is no name or taken, or there is no room.
    pub fn declare(engine: &Engine, prefix: &str, buckets: Buckets) -> Result<Self, DescribeError> {
        Self::declare_with(engine, prefix, OpsSeries::all(buckets))
    }

    /// The same with only some series.
    ///
    /// # Errors
    /// As [`Ops::declare`]; when no operation is timed.
    ///
    /// # Panics
    /// When the failures do not have the order of the operations, an operation has none, or more are timed than there are.
    pub fn declare_with(
        engine: &Engine,
        prefix: &str,
        series: OpsSeries<O, E>,
    ) -> Result<Self, DescribeError> {
        let OpsSeries {
            buckets,
            timed,
            failures,
        } = series;
        let pairs = failures.map(positions);
        let op = Label {
            name: O::NAME,
            values: O::VALUES,
        };
        let failure = Label {
            name: E::NAME,
            values: E::VALUES,
        };
        let timed_op = Label {
            values: &O::VALUES[..timed],
            ..op
        };
        let family = |ending: &str, help, family: Family, labels: &[Label], only| {
            let name = format!("{prefix}_{ending}");
            intern(&name, help, family, labels, only).ok_or(DescribeError::Exhausted {
                name,
                needed: 1,
                free: 0,
            })
        };
        let counter = Family::counter("", "");
        let histogram = Family::of("", "", Kind::Histogram(buckets)).with_unit(Unit::Seconds);
        let counts = family("ops_total", "Operations that ended.", counter, &[op], None)?;
        let errors = "Operations that failed, by how they failed.";
        let errors = family(
            "op_errors_total",
            errors,
            counter,
            &[op, failure],
            pairs.as_deref(),
        )?;
        let durations = "How long operations took.";
        let durations = family(
            "op_duration_seconds",
            durations,
            histogram,
            &[timed_op],
            None,
        )?;
        let parts = engine.declare_all(&[
            (counts, Instrument::Counter),
            (errors, Instrument::Counter),
            (durations, Instrument::Histogram),
        ])?;
        let [counts, _, durations] = <[_; 3]>::try_from(parts).expect("one part for each family");
        let durations = Histograms::from_part(durations);
        durations.exemplars().prepare();
        let counts = counts.slot();
        let (failures_at, failures_from) = failure_cells::<O, E>(pairs.as_deref());
        let (threshold, events) = (Threshold::new(), Arc::clone(engine.events()));
        events.prepare();
        events.refresh_with(threshold.refresher(durations.clone(), timed));
        Ok(Self {
            cells: counts.joined(durations.slot()),
            counts: Counters::new(counts),
            durations_at: *failures_from.last().expect("at least the end"),
            failures_at,
            failures_from,
            timed,
            durations,
            clock: Arc::clone(engine.clock()),
            threshold,
            events,
            failures: std::marker::PhantomData,
        })
    }

    /// How many `operation`s ended.
    pub fn total(&self, operation: O) -> u64 {
        self.counts.value(operation)
    }

    /// How many `operation`s failed, in whatever way.
    pub fn errors(&self, operation: O) -> u64 {
        let index = operation.position();
        let (first, end) = (self.failures_from[index], self.failures_from[index + 1]);
        self.cells.values(first, end - first).iter().sum()
    }

    /// How long `operation`s took: the bounds of all buckets in nanoseconds and how many are in each, the last one without a
    /// bound. Nothing of operations without durations.
    pub fn buckets(&self, operation: O) -> Vec<(Option<u64>, u64)> {
        let index = operation.position();
        if index < self.timed {
            self.durations.buckets(index)
        } else {
            Vec::new()
        }
    }

    /// The nanoseconds that `q` of all `operation`s did not take longer than, within a bucket; `None` when there were none, they
    /// have no durations, or `q` is not between 0 and 1.
    pub fn quantile_ns(&self, operation: O, q: f64) -> Option<u64> {
        let index = operation.position();
        (index < self.timed).then(|| self.durations.quantile(index, q))?
    }
}

impl<O: AttributeEnum, E: Failures> Ops<O, E> {
    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Begins `operation` for whom this thread works.
    pub fn scope(&self, operation: O) -> Scope<O, E, &Self> {
        Scope::begin(self, operation, Ctx::current())
    }

    /// The same with a scope that may go to another thread.
    pub fn scope_owned(self: &Arc<Self>, operation: O) -> Scope<O, E, Arc<Self>> {
        Scope::begin(Arc::clone(self), operation, Ctx::current())
    }

    /// Counts an operation that was timed elsewhere.
    #[inline]
    pub fn record_op(&self, operation: O, duration_ns: u64, completion: Completion) {
        let index = operation.position();
        if index < self.timed {
            let [bucket, sum] = self.durations.amounts(index, duration_ns);
            self.cells.add_each([
                (index, 1),
                (self.durations_at + bucket.0, bucket.1),
                (self.durations_at + sum.0, sum.1),
            ]);
        } else {
            self.cells.add(index, 1);
        }
        self.count_failure(index, completion);
    }

    /// From here on, operations that took at least so long are kept with their tiers, and those with a request are the example
    /// of their bucket. Others are once that example is a second old.
    pub fn set_slow_ns(&self, slow_ns: u64) {
        self.threshold.set(slow_ns);
    }

    /// The same, with a limit that each snapshot of the engine sets anew: what `q` of all operations did not take longer than.
    /// Until there were a hundred, none is slow. A `q` that is not between 0 and 1 changes nothing.
    pub fn follow_quantile(&self, q: f64) {
        self.threshold.follow(q, 0..=u64::MAX, u64::MAX);
    }

    /// The same, with a limit that is never outside of `bounds_ns`, and the least of them until there were a hundred. Bounds
    /// that hold nothing change nothing.
    pub fn follow_quantile_within(&self, q: f64, bounds_ns: RangeInclusive<u64>) {
        let least_ns = *bounds_ns.start();
        self.threshold.follow(q, bounds_ns, least_ns);
    }

    /// How long an operation has to take to be slow; `u64::MAX` when none is.
    pub fn slow_ns(&self) -> u64 {
        self.threshold.get()
    }

    #[inline]
    fn count_failure(&self, index: usize, completion: Completion) {
        if let Some(failure) = E::of(completion) {
            let place = index * E::VALUES.len() + failure.position();
            self.cells.add(self.failures_at[place], 1);
        }
    }

    /// Counts an operation that ended, keeps it if it is worth it, and tells whoever listens.
    pub(super) fn settle(&self, finished: &Finished<O>) {
        let (operation, duration_ns) = (finished.operation, finished.duration_ns);
        let ctx = finished.ctx;
        self.record_op(operation, duration_ns, finished.completion);
        let slow = duration_ns >= self.threshold.get();
        if ctx.request_id != 0 && operation.position() < self.timed {
            let ended_ns = finished.started_ns.saturating_add(duration_ns);
            self.durations.exemplars().keep_fresh(
                (operation.position(), self.durations.bucket(duration_ns)),
                (ctx.id(), duration_ns),
                (ended_ns, slow),
                &*self.clock,
            );
        }
        let event = OperationEvent {
            request_id: ctx.request_id,
            instance: ctx.instance,
            cause: ctx.cause,
            leader: ctx.leader,
            operation: O::VALUES[operation.position()],
            outcome: finished.completion,
            failed: E::of(finished.completion).is_some(),
            started_ns: finished.started_ns,
            duration_ns,
            subject: finished.subject,
            process: finished.process,
            bytes: finished.bytes,
            tier_count: finished.tier_count(),
            tiers: finished.tiers(),
        };
        self.events.tell(&event, slow);
    }
}

/// Pairs as the positions of their labels' values.
fn positions<O: AttributeEnum, E: AttributeEnum>(pairs: &[(O, E)]) -> Vec<[u16; 2]> {
    let position = |position| u16::try_from(position).expect("a label has at most 2,000 values");
    pairs
        .iter()
        .map(|(operation, failure)| [position(operation.position()), position(failure.position())])
        .collect()
}

/// The cell of each failure of each operation, and where those of each operation begin. They come after the counts.
fn failure_cells<O: AttributeEnum, E: AttributeEnum>(
    pairs: Option<&[[u16; 2]]>,
) -> (Box<[usize]>, Box<[usize]>) {
    let (operations, failures) = (O::VALUES.len(), E::VALUES.len());
    let start = operations;
    let Some(pairs) = pairs else {
        let cells = (start..start + operations * failures).collect();
        let from = (0..=operations).map(|operation| start + operation * failures);
        return (cells, from.collect());
    };
    assert!(
        pairs.is_sorted_by_key(|pair| pair[0]),
        "failures are in the order of the operations"
    );
    let mut cells = Vec::with_capacity(operations * failures);
    let mut from = vec![start];
    let mut rest = pairs;
    for operation in 0..operations {
        let count = rest
            .iter()
            .take_while(|pair| usize::from(pair[0]) == operation)
            .count();
        let (own, others) = rest.split_at(count);
        assert!(!own.is_empty(), "every operation can fail");
        let first = from[operation];
        cells.extend((0..failures).map(|failure| {
            let place = own.iter().position(|pair| usize::from(pair[1]) == failure);
            first + place.unwrap_or(count - 1)
        }));
        from.push(first + count);
        rest = others;
    }
    (cells.into(), from.into())
}
