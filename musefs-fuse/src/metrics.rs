//! What the edge counts: requests by operation, by how they ended, and by the way they went. Its families are declared here
//! and in the modules below, once: a doc comment is a help text.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use musefs_core::phases::Spent;
use musefs_core::telemetry::{READ_ERRORS, READS_INFLIGHT};
use musefs_telemetry::{
    AttributeEnum, Counter, Counters, DescribeError, Engine, MetricSet, Ops, UpDownCounter,
    metric_set,
};

use crate::clients::ClientMetrics;

pub mod connection;
pub mod http;
pub mod mount;
mod operations;
pub mod process;

use http::HttpMetrics;
pub(crate) use operations::is_told;
pub use operations::{
    ErrorNumber, Operation, OperationPhase, OperationScope, PhaseOf, TimedOperation,
};

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
#[attribute(name = "way")]
pub enum Way {
    /// On the event loop that took it.
    Inline,
    /// By the pool.
    Pooled,
    /// By the metrics lane.
    Lane,
    /// Waited beyond the pool's own queue before the pool took it. Such a request is counted as pooled, too.
    Parked,
    /// Not at all: no room to wait. Answered EIO.
    Refused,
    /// By nobody within the backing timeout. Answered EIO.
    TimedOut,
    /// Its handler panicked. Answered EIO.
    Panicked,
}

/// How a metrics text was given away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
#[attribute(name = "transport")]
pub enum Transport {
    /// As a file of the mount.
    File,
    /// As a file for a collector.
    Textfile,
    /// Over the control socket.
    Control,
    /// Over HTTP.
    Http,
}

/// What became of an operation that somebody follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
#[attribute(name = "fate")]
pub enum TraceFate {
    /// The follower was told.
    Told,
    /// Too many waited for the follower already.
    Dropped,
}

/// How telling the kernel to forget something went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
#[attribute(name = "outcome")]
pub enum Invalidation {
    /// The kernel took it; also when it did not know the name.
    Sent,
    /// The kernel refused it.
    Failed,
    /// The queue was full: the name lives on until its lifetime ends.
    Dropped,
    /// The same waited in the queue already.
    Merged,
}

/// What share of operations is not slow, unless a duration says.
const SLOW_QUANTILE: f64 = 0.99;
/// What is followed stays within these. What takes less than a tenth of a second nobody notices; what takes more than one is
/// slow even where much does, such as on a disk that hangs.
const SLOW_NS: RangeInclusive<u64> = 100_000_000..=1_000_000_000;

/// What the edge counts beside its operations.
#[metric_set(prefix = "musefs")]
#[derive(Clone, Debug)]
pub struct EdgeCounters {
    /// Requests of the kernel, by the way they went: each is counted in one of inline, pooled, lane and refused. Beside that,
    /// those are counted that waited beyond the bound of the pool's queue (parked), were answered in place of a thread that
    /// was stuck (timed out), or had a handler that panicked.
    pub(crate) requests: Counters<Way>,
    /// Time of operations that left the event loop, by phase: waiting for a thread, reading the store or waiting for it,
    /// computing in memory, opening and reading backing files, giving the answer. An operation that its event loop answered
    /// is not split and in none of these; of what the metrics lane did only waiting and answering are. Work that goes on
    /// after its operation was answered in its place counts when it ends.
    #[metric(unit = "seconds")]
    pub(crate) op_phase: Counters<PhaseOf>,
    /// Metrics texts that were given away, by how: opened as a file of the mount, written to a file for a collector, asked
    /// for at the control socket, or over HTTP.
    pub(crate) scrapes: Counters<Transport>,
    /// Snapshots that were rendered, of which several scrapes may be.
    pub(crate) renders: Counter,
    /// Time that rendering snapshots took.
    #[metric(unit = "seconds")]
    pub(crate) render: Counter,
    /// Operations that `musefs trace --follow` and `musefs profile` wanted, by whether they were told. An operation counts once
    /// for each that follows.
    pub(crate) trace_operations: Counters<TraceFate>,
    /// Handles that the kernel reads by itself: no read of theirs is counted anywhere.
    pub(crate) passthrough_opens: Counter,
    /// Names and inodes that the kernel was told to forget after a refresh, by how that went.
    pub(crate) invalidations: Counters<Invalidation>,
    /// Names and inodes that wait for the kernel to be told.
    pub(crate) invalidations_queued: UpDownCounter,
    /// Time that those which the kernel was told have taken, waiting and telling.
    #[metric(unit = "seconds")]
    pub(crate) invalidation_wait: Counter,
}

/// The live counters of the edge.
#[derive(Clone, Debug)]
pub struct EdgeMetrics {
    pub(crate) ops: Arc<Ops<Operation, ErrorNumber>>,
    pub(crate) counters: EdgeCounters,
    pub(crate) clients: ClientMetrics,
    /// Foreground reads queued or running.
    pub(crate) reads_inflight: UpDownCounter,
    /// Reads answered with an error.
    pub(crate) read_errors: Counter,
    pub(crate) http: HttpMetrics,
}

impl EdgeMetrics {
    /// Declares this crate's families with `engine`.
    ///
    /// # Errors
    /// When a name is taken already or the engine has no room.
    pub fn declare(engine: &Engine) -> Result<Self, DescribeError> {
        engine.events().declare(engine, "musefs")?;
        Ok(Self {
            ops: Arc::new(Ops::declare_with(engine, "musefs", operations::SERIES)?),
            counters: EdgeCounters::declare(engine)?,
            clients: ClientMetrics::declare(engine)?,
            reads_inflight: engine.up_down_counter(&READS_INFLIGHT)?,
            read_errors: engine.counter(&READ_ERRORS)?,
            http: HttpMetrics::declare(engine)?,
        })
    }

    /// From how long on operations are slow; `None` follows what 99 of 100 do not take longer than, within a tenth of a second and a second.
    pub fn slow_from(&self, least: Option<Duration>) {
        match least {
            Some(least) => self.ops.set_slow_ns(nanoseconds(least)),
            None => self.ops.follow_quantile_within(SLOW_QUANTILE, SLOW_NS),
        }
    }

    /// Counts time that `operation` was in a phase.
    pub(crate) fn add_phase(&self, operation: Operation, phase: OperationPhase, took: Duration) {
        if let Some(op) = operation.timed() {
            self.counters
                .op_phase
                .add(PhaseOf { op, phase }, nanoseconds(took));
        }
    }

    /// Counts the time that the work for `operation` took.
    pub(crate) fn add_work(&self, operation: Operation, spent: Spent) {
        self.add_phase(operation, OperationPhase::Store, spent.store);
        self.add_phase(operation, OperationPhase::Layout, spent.layout);
        self.add_phase(operation, OperationPhase::Backing, spent.backing);
    }
}

/// A duration as the cells of a counter in seconds have it.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
