//! What the edge counts: requests by operation, by how they ended, and by the way they went. Its families are declared here,
//! once: a doc comment is a help text.

use std::sync::Arc;

use musefs_core::telemetry::{READ_ERRORS, READS_INFLIGHT};
use musefs_telemetry::scope::Failures;
use musefs_telemetry::{
    AttributeEnum, Buckets, Completion, Counter, Counters, DescribeError, Engine, MetricSet, Ops,
    Scope, UpDownCounter, UpDownCounters, metric_set,
};

pub mod mount;

/// An operation of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
#[attribute(name = "op")]
pub enum Operation {
    /// A name in a directory.
    Lookup,
    /// Attributes of an inode.
    Getattr,
    /// The target of a symbolic link.
    Readlink,
    /// Opening a file.
    Open,
    /// Reading an open file.
    Read,
    /// Closing a file.
    Release,
    /// Opening a directory.
    Opendir,
    /// Listing a directory, with or without attributes.
    Readdir,
    /// Closing a directory.
    Releasedir,
    /// The size of the filesystem.
    Statfs,
}

/// The errors that requests are answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
#[attribute(name = "errno")]
pub enum ErrorNumber {
    /// No such name.
    #[attribute(value = "ENOENT")]
    NoEntry,
    /// The inode is neither in the tree nor open.
    #[attribute(value = "ESTALE")]
    Stale,
    /// A directory was needed.
    #[attribute(value = "ENOTDIR")]
    NotADirectory,
    /// A file was needed.
    #[attribute(value = "EISDIR")]
    IsADirectory,
    /// An unknown handle.
    #[attribute(value = "EBADF")]
    BadHandle,
    /// No descriptor is left.
    #[attribute(value = "ENFILE")]
    OutOfDescriptors,
    /// Not what that kind of file can do.
    #[attribute(value = "EINVAL")]
    Invalid,
    /// Opening for writing.
    #[attribute(value = "EROFS")]
    ReadOnly,
    /// Everything that went wrong below; the answer to whoever got none, too.
    #[attribute(value = "EIO")]
    Io,
}

impl Failures for ErrorNumber {
    fn of(completion: Completion) -> Option<Self> {
        match completion {
            Completion::Ok => None,
            Completion::Errno(libc::ENOENT) => Some(Self::NoEntry),
            Completion::Errno(libc::ESTALE) => Some(Self::Stale),
            Completion::Errno(libc::ENOTDIR) => Some(Self::NotADirectory),
            Completion::Errno(libc::EISDIR) => Some(Self::IsADirectory),
            Completion::Errno(libc::EBADF) => Some(Self::BadHandle),
            Completion::Errno(libc::ENFILE) => Some(Self::OutOfDescriptors),
            Completion::Errno(libc::EINVAL) => Some(Self::Invalid),
            Completion::Errno(libc::EROFS) => Some(Self::ReadOnly),
            // A reply that is dropped is an EIO to the kernel.
            Completion::Errno(_) | Completion::Cancelled | Completion::Panicked => Some(Self::Io),
        }
    }
}

/// An operation under way, from taking a request to answering it, on whatever thread.
pub type OperationScope = Scope<Operation, ErrorNumber, Arc<Ops<Operation, ErrorNumber>>>;

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

/// What the edge counts beside its operations.
#[metric_set(prefix = "musefs")]
#[derive(Clone, Debug)]
pub struct EdgeCounters {
    /// Requests of the kernel, by the way they went.
    pub(crate) requests: Counters<Way>,
    /// Metrics texts that were opened.
    pub(crate) scrapes: Counter,
    /// Snapshots that were rendered for the metrics directory.
    pub(crate) renders: Counter,
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

/// Durations from 32 microseconds to 34 seconds, in nanoseconds: half doublings inside, every fourth bound in text.
const DURATIONS: Buckets = Buckets::powers_of_two(1 << 15, 1 << 35)
    .with_scale(1)
    .with_text_scale(-1);

/// The live counters of the edge.
#[derive(Clone, Debug)]
pub struct EdgeMetrics {
    pub(crate) ops: Arc<Ops<Operation, ErrorNumber>>,
    pub(crate) counters: EdgeCounters,
    /// Foreground reads queued or running.
    pub(crate) reads_inflight: UpDownCounters,
    /// Reads answered with an error.
    pub(crate) read_errors: Counter,
}

impl EdgeMetrics {
    /// Declares this crate's families with `engine`.
    ///
    /// # Errors
    /// When a name is taken already or the engine has no room.
    pub fn declare(engine: &Engine) -> Result<Self, DescribeError> {
        Ok(Self {
            ops: Arc::new(Ops::declare(engine, "musefs", DURATIONS)?),
            counters: EdgeCounters::declare(engine)?,
            reads_inflight: engine.up_down_counters(&READS_INFLIGHT)?,
            read_errors: engine.counter(&READ_ERRORS)?,
        })
    }

    /// One read more is queued or running, or one less.
    pub(crate) fn reads_inflight_changed(&self, by: i64) {
        self.reads_inflight.add(0, by);
    }
}
