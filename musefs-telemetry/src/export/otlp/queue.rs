//! Operations on their way to the thread that sends them. Whoever ends an operation asks whether it is wanted and puts a copy
//! into a bounded queue, without waiting; what finds no room is counted.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;

use super::{Signal, Spans, Stats, Told, Wanted};
use crate::event::{EventHandler, OperationEvent, OperationRecord};

/// How many operations wait at most.
pub const QUEUE_MAX: usize = 1_024;
/// How many operations go into one request at most.
pub const BATCH_MAX: usize = 512;

/// Picks operations.
pub(super) struct Listener {
    wanted: Wanted,
    queue: SyncSender<OperationRecord>,
    queued: Arc<AtomicUsize>,
    stats: Arc<Stats>,
    sender: OnceLock<Thread>,
}

/// What was picked.
pub(super) struct Waiting {
    queue: Receiver<OperationRecord>,
    queued: Arc<AtomicUsize>,
    pub(super) attributes: Told,
}

pub(super) fn channel(spans: Spans, stats: &Arc<Stats>) -> (Listener, Waiting) {
    let (sender, receiver) = sync_channel(QUEUE_MAX);
    let queued = Arc::new(AtomicUsize::new(0));
    let listener = Listener {
        wanted: spans.wanted,
        queue: sender,
        queued: Arc::clone(&queued),
        stats: Arc::clone(stats),
        sender: OnceLock::new(),
    };
    let waiting = Waiting {
        queue: receiver,
        queued,
        attributes: spans.attributes,
    };
    (listener, waiting)
}

impl Listener {
    /// Which thread to wake when there is enough for a request.
    pub(super) fn wakes(&self, sender: Thread) {
        // It is told once, by the one who starts both.
        self.sender.set(sender).ok();
    }
}

impl EventHandler for Listener {
    fn on_operation_complete(&self, event: &OperationEvent<'_>) {
        if !(self.wanted)(event) {
            return;
        }
        // Counted first, so that who takes it out never takes away what was not added.
        let before = self.queued.fetch_add(1, Relaxed);
        if self.queue.try_send(OperationRecord::from(event)).is_err() {
            self.queued.fetch_sub(1, Relaxed);
            self.stats.drop_some(Signal::Spans, 1);
        } else if before + 1 == BATCH_MAX
            && let Some(sender) = self.sender.get()
        {
            sender.unpark();
        }
    }
}

impl Waiting {
    /// Whether there is enough for a request.
    pub(super) fn fills_a_batch(&self) -> bool {
        self.queued.load(Relaxed) >= BATCH_MAX
    }

    /// Takes what there is, up to a request's worth.
    pub(super) fn take(&self) -> Vec<OperationRecord> {
        let batch: Vec<_> = self.queue.try_iter().take(BATCH_MAX).collect();
        self.queued.fetch_sub(batch.len(), Relaxed);
        batch
    }
}
