//! The kernel's operations: which there are, how each can fail, and where their time goes.

use std::sync::Arc;

use musefs_telemetry::scope::Failures;
use musefs_telemetry::{AttributeEnum, Buckets, Completion, Ops, OpsSeries, Scope, attribute_set};

/// An operation of the kernel. The first ones are timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
#[attribute(name = "op")]
pub enum Operation {
    /// A name in a directory.
    Lookup,
    /// Attributes of an inode.
    Getattr,
    /// Listing a directory, with or without attributes.
    Readdir,
    /// Opening a file.
    Open,
    /// Reading an open file.
    Read,
    /// The target of a symbolic link.
    Readlink,
    /// Closing a file.
    Release,
    /// Opening a directory.
    Opendir,
    /// Closing a directory.
    Releasedir,
    /// The size of the filesystem.
    Statfs,
}

/// The operations that people wait for, whose time is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
#[attribute(name = "op")]
pub enum TimedOperation {
    /// A name in a directory.
    Lookup,
    /// Attributes of an inode.
    Getattr,
    /// Listing a directory, with or without attributes.
    Readdir,
    /// Opening a file.
    Open,
    /// Reading an open file.
    Read,
}

impl Operation {
    /// The same as one whose time is told, if it is.
    pub fn timed(self) -> Option<TimedOperation> {
        TimedOperation::ALL.get(self as usize).copied()
    }
}

/// What is done with an operation that left the event loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
#[attribute(name = "phase")]
pub enum OperationPhase {
    /// It waits for a thread.
    Queue,
    /// The store is read.
    Store,
    /// What is served is computed.
    Layout,
    /// Backing files are opened and read.
    Backing,
    /// The answer is given.
    Reply,
}

/// One phase of one operation.
#[attribute_set]
#[derive(Clone, Copy, Debug)]
pub struct PhaseOf {
    /// The operation.
    pub op: TimedOperation,
    /// The phase.
    pub phase: OperationPhase,
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

/// How each operation can fail. EIO, which any can, comes last: it is where a failure counts that is not told here.
const FAILURES: &[(Operation, ErrorNumber)] = {
    use ErrorNumber::{
        BadHandle, Invalid, Io, IsADirectory, NoEntry, NotADirectory, OutOfDescriptors, ReadOnly,
        Stale,
    };
    use Operation::{
        Getattr, Lookup, Open, Opendir, Read, Readdir, Readlink, Release, Releasedir, Statfs,
    };
    &[
        (Lookup, NoEntry),
        (Lookup, Stale),
        (Lookup, NotADirectory),
        (Lookup, Io),
        (Getattr, Stale),
        (Getattr, Io),
        (Readdir, Stale),
        (Readdir, NotADirectory),
        (Readdir, BadHandle),
        (Readdir, Io),
        (Open, Stale),
        (Open, IsADirectory),
        (Open, OutOfDescriptors),
        (Open, Invalid),
        (Open, ReadOnly),
        (Open, Io),
        (Read, BadHandle),
        (Read, OutOfDescriptors),
        (Read, Io),
        (Readlink, Invalid),
        (Readlink, Io),
        (Release, BadHandle),
        (Release, Io),
        (Opendir, Stale),
        (Opendir, NotADirectory),
        (Opendir, Io),
        (Releasedir, Io),
        (Statfs, Io),
    ]
};

/// Whether `failure` is among those that are told of `operation`.
pub(crate) fn is_told(operation: Operation, failure: ErrorNumber) -> bool {
    FAILURES.contains(&(operation, failure))
}

/// Durations from 46 microseconds to 34 seconds, in nanoseconds: half doublings inside, every third bound in text.
const DURATIONS: Buckets = Buckets::powers_of_two(46_340, 1 << 35)
    .with_scale(1)
    .with_text_step(3);

/// Which series there are of operations.
pub(super) const SERIES: OpsSeries<Operation, ErrorNumber> = OpsSeries {
    buckets: DURATIONS,
    timed: TimedOperation::COUNT,
    failures: Some(FAILURES),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timed_operations_are_the_first_ones() {
        for (operation, timed) in Operation::ALL.into_iter().zip(TimedOperation::ALL) {
            assert_eq!(operation.name(), timed.name());
            assert_eq!(operation.timed(), Some(timed));
        }
        assert_eq!(Operation::Readlink.timed(), None);
    }

    #[test]
    fn durations_in_text_have_fourteen_bounds_from_50_microseconds_to_30_seconds() {
        let bounds: Vec<u64> = DURATIONS.text_bounds().map(|(bound, _)| bound).collect();
        assert_eq!(bounds.len(), 14);
        assert_eq!((bounds[0], bounds[13]), (46_340, 1 << 35));
    }
}
