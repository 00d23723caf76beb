//! Tells the kernel what to forget after a refresh, from a thread of its own: telling can wait on a request that is stuck
//! in the same directory or file. The queue has a bound; what does not fit is counted, and forgotten by the kernel when its
//! lifetime ends.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::mpsc::{self, SyncSender, TrySendError};

use fuser::{INodeNo, Notifier};
use musefs_core::tree::{ChangeKind, Changes, Inode};

use crate::metrics::{EdgeMetrics, Invalidation};

/// Names and inodes that may wait to be told.
const QUEUE_LEN_MAX: usize = 65_536;

enum Forget {
    Name { parent: Inode, name: Box<[u8]> },
    Attributes(Inode),
}

/// The queue of the invalidation thread, which ends when this is dropped and the queue is empty.
#[derive(Debug)]
pub struct Invalidator {
    queue: SyncSender<Forget>,
    metrics: EdgeMetrics,
}

impl Invalidator {
    /// Starts the thread.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(notifier: Notifier, metrics: EdgeMetrics) -> std::io::Result<Self> {
        let (queue, waiting) = mpsc::sync_channel(QUEUE_LEN_MAX);
        let counted = metrics.clone();
        std::thread::Builder::new()
            .name("musefs-inval".into())
            .spawn(move || {
                for forget in waiting {
                    let told = match forget {
                        Forget::Name { parent, name } => {
                            notifier.inval_entry(INodeNo(parent.0), OsStr::from_bytes(&name))
                        }
                        // A negative offset leaves the cached bytes alone.
                        Forget::Attributes(inode) => notifier.inval_inode(INodeNo(inode.0), -1, 0),
                    };
                    let outcome = match told {
                        Ok(()) => Invalidation::Sent,
                        Err(error) => {
                            tracing::debug!("the kernel did not take an invalidation: {error}");
                            Invalidation::Failed
                        }
                    };
                    counted.counters.invalidations.increment(outcome);
                }
            })?;
        Ok(Self { queue, metrics })
    }

    /// Has the kernel forget what is different.
    pub fn tell(&self, changes: Changes) {
        let names = changes
            .names
            .into_iter()
            .filter_map(|change| match change.kind {
                ChangeKind::Vanished { .. } | ChangeKind::Replaced { .. } => Some(Forget::Name {
                    parent: change.parent,
                    name: change.name,
                }),
                // The kernel is never told to remember that a name is absent.
                ChangeKind::Appeared { .. } => None,
            });
        for forget in names.chain(changes.attributes.into_iter().map(Forget::Attributes)) {
            if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
                self.queue.try_send(forget)
            {
                self.metrics
                    .counters
                    .invalidations
                    .increment(Invalidation::Dropped);
            }
        }
    }
}
