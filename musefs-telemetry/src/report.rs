//! Periodic batches for somebody who may be slow.
//!
//! A collector offers batches to a bounded queue. When the queue is full the batch is dropped, which takes nothing: the next
//! one tells what this one would have told, too. Nobody ever waits for the queue's reader, so what it never made room for is
//! handed back at the end.

use std::sync::mpsc::{
    Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, channel, sync_channel,
};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::cursor::Cursor;
use crate::snapshot::Snapshot;

/// Makes batches and puts them into a queue.
#[derive(Debug)]
pub struct Collector {
    cursor: Cursor,
    queue: SyncSender<Snapshot>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// It is in the queue.
    Queued,
    /// There was nothing to tell.
    Nothing,
    /// The queue was full; the next batch tells it.
    Full,
    /// Nobody will take anything out of the queue any more.
    Closed,
}

impl Collector {
    /// A collector that reads by `cursor`, and the end of its queue of at most `reports_max` batches.
    pub fn new(cursor: Cursor, reports_max: usize) -> (Self, Receiver<Snapshot>) {
        let (queue, reports) = sync_channel(reports_max);
        (Self { cursor, queue }, reports)
    }

    /// Offers what came since the last batch that the queue took.
    pub fn collect(&mut self) -> Offered {
        let batch = self.cursor.batch();
        if batch.is_empty() {
            return Offered::Nothing;
        }
        match self.queue.try_send(batch.snapshot().clone()) {
            Ok(()) => {
                batch.commit();
                Offered::Queued
            }
            Err(TrySendError::Full(_)) => Offered::Full,
            Err(TrySendError::Disconnected(_)) => Offered::Closed,
        }
    }
}

/// A thread that collects every so often. Dropping it collects once more and ends the thread; [`Reporter::stop`] does so, too,
/// and hands back what found no room.
#[derive(Debug)]
pub struct Reporter {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<Collector>>,
}

impl Reporter {
    /// Collects with `collector` every `interval`.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn start(mut collector: Collector, interval: Duration) -> std::io::Result<Self> {
        let (stop, stopped) = channel();
        let thread = Builder::new()
            .name("telemetry-report".into())
            .spawn(move || {
                loop {
                    let waited = stopped.recv_timeout(interval);
                    let offered = collector.collect();
                    if waited != Err(RecvTimeoutError::Timeout) || offered == Offered::Closed {
                        return collector;
                    }
                }
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Collects once more and ends the thread. Comes back with what the queue did not take, because it was full or nobody
    /// reads it any more; `None` when it took everything.
    ///
    /// # Panics
    /// When the cursor's filter panicked.
    pub fn stop(mut self) -> Option<Snapshot> {
        self.stop.take();
        let thread = self.thread.take().expect("a thread runs until the end");
        let mut collector = thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let rest = collector.cursor.batch();
        (!rest.is_empty()).then(|| rest.snapshot().clone())
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A collector does not panic; if a filter did, there is nobody left to tell.
            let _ = thread.join();
        }
    }
}
