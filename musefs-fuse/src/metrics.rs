//! What the edge counts: requests by operation and by the way they were answered. Its families are declared here, once.

use fuser::Errno;
use musefs_telemetry::{Counter, Counters, DescribeError, Engine, Family, Label, UpDownCounters};

/// An operation of the kernel; the order is that of the `op` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

const OPERATIONS: &[&str] = &[
    "lookup",
    "getattr",
    "readlink",
    "open",
    "read",
    "release",
    "opendir",
    "readdir",
    "releasedir",
    "statfs",
];

/// How a request was answered; the order is that of the `way` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

const WAYS: &[&str] = &[
    "inline",
    "pooled",
    "lane",
    "parked",
    "refused",
    "timed_out",
    "panicked",
];

static OPS: Family = Family::counter(
    "musefs_ops_total",
    "Requests of the kernel that were answered, by operation.",
)
.with_labels(&[Label {
    name: "op",
    values: OPERATIONS,
}]);

/// The errors that requests are answered with; the order is that of the `errno` label.
const ERRNOS: [(Errno, &str); 9] = [
    (Errno::ENOENT, "ENOENT"),
    (Errno::ESTALE, "ESTALE"),
    (Errno::ENOTDIR, "ENOTDIR"),
    (Errno::EISDIR, "EISDIR"),
    (Errno::EBADF, "EBADF"),
    (Errno::ENFILE, "ENFILE"),
    (Errno::EINVAL, "EINVAL"),
    (Errno::EROFS, "EROFS"),
    (Errno::EIO, "EIO"),
];

const ERRNO_NAMES: &[&str] = &{
    let mut names = [""; ERRNOS.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = ERRNOS[index].1;
        index += 1;
    }
    names
};

static OP_ERRORS: Family = Family::counter("musefs_op_errors_total", "Requests of the kernel that were answered with an error, by operation; a name that does not exist is one.").with_labels(&[
        Label {
            name: "op",
            values: OPERATIONS,
        },
        Label {
            name: "errno",
            values: ERRNO_NAMES,
        },
    ]);

static REQUESTS: Family = Family::counter(
    "musefs_requests_total",
    "Requests of the kernel, by the way they went.",
)
.with_labels(&[Label {
    name: "way",
    values: WAYS,
}]);

static READS_INFLIGHT: Family = Family::gauge(
    "musefs_reads_inflight",
    "Foreground reads queued or running.",
);

static SCRAPES: Family = Family::counter("musefs_scrapes_total", "Metrics texts that were opened.");

static RENDERS: Family = Family::counter(
    "musefs_renders_total",
    "Snapshots that were rendered for the metrics directory.",
);

static INVALIDATIONS: Family = Family::counter(
    "musefs_invalidations_total",
    "Names and inodes that the kernel was told to forget after a refresh, by how that went.",
)
.with_labels(&[Label {
    name: "outcome",
    values: &["sent", "failed", "dropped"],
}]);

/// How telling the kernel to forget something went; the order is that of the `outcome` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalidation {
    /// The kernel took it; also when it did not know the name.
    Sent,
    /// The kernel refused it.
    Failed,
    /// The queue was full: the name lives on until its lifetime ends.
    Dropped,
}

/// The live counters of the edge.
#[derive(Clone, Debug)]
pub struct EdgeMetrics {
    pub(crate) ops: Counters,
    errors: Counters,
    pub(crate) requests: Counters,
    pub(crate) reads: UpDownCounters,
    pub(crate) scrapes: Counter,
    pub(crate) renders: Counter,
    pub(crate) invalidations: Counters,
}

impl EdgeMetrics {
    /// Declares this crate's families with `engine`.
    ///
    /// # Errors
    /// When a name is taken already or the engine has no room.
    pub fn declare(engine: &Engine) -> Result<Self, DescribeError> {
        Ok(Self {
            ops: engine.counters(&OPS)?,
            errors: engine.counters(&OP_ERRORS)?,
            requests: engine.counters(&REQUESTS)?,
            reads: engine.up_down_counters(&READS_INFLIGHT)?,
            scrapes: engine.counter(&SCRAPES)?,
            renders: engine.counter(&RENDERS)?,
            invalidations: engine.counters(&INVALIDATIONS)?,
        })
    }

    /// Counts an answer to `operation`.
    pub(crate) fn answered(&self, operation: Operation, error: Option<Errno>) {
        self.ops.increment(operation as usize);
        let Some(error) = error else { return };
        let known = ERRNOS
            .iter()
            .position(|(known, _)| known.code() == error.code());
        debug_assert!(known.is_some(), "{error:?} has no label");
        if let Some(index) = known {
            self.errors
                .increment(operation as usize * ERRNOS.len() + index);
        }
    }

    /// Reads that were answered with an error, out of a snapshot of the engine.
    pub(crate) fn read_errors(values: &musefs_telemetry::Snapshot) -> u64 {
        let first = Operation::Read as usize * ERRNOS.len();
        (first..first + ERRNOS.len())
            .filter_map(|index| values.value(&OP_ERRORS, index))
            .sum()
    }

    /// Reads queued or running, out of a snapshot of the engine.
    pub(crate) fn reads_inflight(values: &musefs_telemetry::Snapshot) -> u64 {
        values.value(&READS_INFLIGHT, 0).unwrap_or(0)
    }
}
