//! The numbers of a closed set of operations: how many, how many failed and how, how long they took.

use std::sync::Arc;

use super::threshold::Threshold;
use super::{Completion, Ctx, Failure, Failures, Finished, Scope};
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
    errors_at: usize,
    durations_at: usize,
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
        let op = Label {
            name: O::NAME,
            values: O::VALUES,
        };
        let failure = Label {
            name: E::NAME,
            values: E::VALUES,
        };
        let family = |ending: &str, help, family: Family, labels: &[Label]| {
            let name = format!("{prefix}_{ending}");
            intern(&name, help, family, labels).ok_or(DescribeError::Exhausted {
                name,
                needed: 1,
                free: 0,
            })
        };
        let counter = Family::counter("", "");
        let histogram = Family::of("", "", Kind::Histogram(buckets)).with_unit(Unit::Seconds);
        let counts = family("ops_total", "Operations that ended.", counter, &[op])?;
        let errors = "Operations that failed, by how they failed.";
        let errors = family("op_errors_total", errors, counter, &[op, failure])?;
        let durations = "How long operations took.";
        let durations = family("op_duration_seconds", durations, histogram, &[op])?;
        let parts = engine.declare_all(&[
            (counts, Instrument::Counter),
            (errors, Instrument::Counter),
            (durations, Instrument::Histogram),
        ])?;
        let [counts, _, durations] = <[_; 3]>::try_from(parts).expect("one part for each family");
        let durations = Histograms::from_part(durations);
        let counts = counts.slot();
        let (threshold, events) = (Threshold::new(), Arc::clone(engine.events()));
        events.prepare();
        events.refresh_with(threshold.refresher(durations.clone(), O::VALUES.len()));
        let errors_at = O::VALUES.len();
        Ok(Self {
            cells: counts.joined(durations.slot()),
            counts: Counters::new(counts),
            errors_at,
            durations_at: errors_at * (1 + E::VALUES.len()),
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
        let ways = E::VALUES.len();
        let first = self.errors_at + operation.position() * ways;
        self.cells.values(first, ways).iter().sum()
    }

    /// How long `operation`s took: the bounds of all buckets in nanoseconds and how many are in each, the last one without a
    /// bound.
    pub fn buckets(&self, operation: O) -> Vec<(Option<u64>, u64)> {
        self.durations.buckets(operation.position())
    }

    /// The nanoseconds that `q` of all `operation`s did not take longer than, within a bucket; `None` when there were none, or
    /// `q` is not between 0 and 1.
    pub fn quantile_ns(&self, operation: O, q: f64) -> Option<u64> {
        self.durations.quantile(operation.position(), q)
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
        let [bucket, sum] = self.durations.amounts(index, duration_ns);
        self.cells.add_each([
            (index, 1),
            (self.durations_at + bucket.0, bucket.1),
            (self.durations_at + sum.0, sum.1),
        ]);
        self.count_failure(index, completion);
    }

    /// From here on, operations that took at least so long are kept with their tiers, and those with a request leave an example
    /// in the histogram.
    pub fn set_slow_ns(&self, slow_ns: u64) {
        self.threshold.set(slow_ns);
    }

    /// The same, with a limit that each snapshot of the engine sets anew: what `q` of all operations did not take longer than.
    /// Until there were a hundred, none is slow. A `q` that is not between 0 and 1 changes nothing.
    pub fn follow_quantile(&self, q: f64) {
        self.threshold.follow(q);
    }

    /// How long an operation has to take to be slow; `u64::MAX` when none is.
    pub fn slow_ns(&self) -> u64 {
        self.threshold.get()
    }

    #[inline]
    fn count_failure(&self, index: usize, completion: Completion) {
        if let Some(failure) = E::of(completion) {
            let series = index * E::VALUES.len() + failure.position();
            self.cells.add(self.errors_at + series, 1);
        }
    }

    /// Counts an operation that ended, keeps it if it is worth it, and tells whoever listens.
    pub(super) fn settle(&self, finished: &Finished<O>) {
        let (operation, duration_ns) = (finished.operation, finished.duration_ns);
        let ctx = finished.ctx;
        self.record_op(operation, duration_ns, finished.completion);
        let slow = duration_ns >= self.threshold.get();
        if slow && ctx.request_id != 0 {
            self.durations.keep_exemplar(
                operation.position(),
                duration_ns,
                ctx.request_id,
                self.clock.wall_ms(),
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
            tier_count: finished.tier_count(),
            tiers: finished.tiers(),
        };
        self.events.tell(&event, slow);
    }
}
