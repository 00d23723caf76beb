//! The mount's side of a trace: a thread for each follower, which writes what a bounded queue brings it.
//!
//! Operations are queued by the thread of the engine that tells its queued handlers, so that no request ever waits for a
//! follower; what the queue has no room for is counted, and the follower told how many that were. Paths and names are looked
//! up here, on the follower's thread.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use musefs_telemetry::events::{
    Dropped, EventHandler, Events, OperationEvent, OperationRecord, Subscription,
};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::Served;
use super::trace::{Line, Wanted};
use crate::metrics::TraceFate;

/// Operations that wait for a follower: about 2 MiB, while it follows.
const QUEUE_LEN_MAX: usize = 4_096;
/// Operations whose words are looked up together.
const BATCH: usize = 256;
/// How often a follower hears that nothing ended.
const QUIET: Duration = Duration::from_secs(1);
/// How long what ended before the end may take to come out of the engine.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a follower that takes nothing is waited for when the mount ends.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What the engine tells, on its own thread.
struct Queueing {
    wanted: Wanted,
    queue: SyncSender<OperationRecord>,
    missed: AtomicU64,
    /// The follower's thread sleeps, and wants to be woken.
    sleeps: AtomicBool,
    bell: EventFd,
    fates: musefs_telemetry::Counters<TraceFate>,
}

impl EventHandler for Queueing {
    fn on_operation_complete(&self, event: &OperationEvent<'_>) {
        if !self.wanted.takes(event.operation, event.duration_ns) {
            return;
        }
        if self.queue.try_send(OperationRecord::from(event)).is_err() {
            self.missed.fetch_add(1, Relaxed);
            self.fates.increment(TraceFate::Dropped);
        }
        if self.sleeps.swap(false, SeqCst) {
            // It is full only when it was rung already.
            let _ = self.bell.write(1);
        }
    }
}

/// Why a follower's thread woke up.
enum Woken {
    /// Something may be queued.
    Work,
    Quiet,
    /// The follower wants no more.
    Enough,
    MountEnds,
}

/// One follower.
pub(super) struct Follower<'a> {
    stream: UnixStream,
    /// Readable when the mount ends.
    end: BorrowedFd<'a>,
    queueing: Arc<Queueing>,
    queue: Receiver<OperationRecord>,
    events: Arc<Events>,
    subscription: Option<Subscription>,
    /// What the engine had dropped when this was last looked at.
    dropped_before: u64,
    served: &'a Served,
}

impl<'a> Follower<'a> {
    /// From here on, what is wanted is queued for whoever is at the other end of `stream`.
    ///
    /// # Errors
    /// When the system has no thread or descriptor for it.
    pub(super) fn begin(
        stream: UnixStream,
        end: BorrowedFd<'a>,
        wanted: Wanted,
        served: &'a Served,
    ) -> io::Result<Self> {
        let (sender, queue) = sync_channel(QUEUE_LEN_MAX);
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let queueing = Arc::new(Queueing {
            wanted,
            queue: sender,
            missed: AtomicU64::new(0),
            sleeps: AtomicBool::new(false),
            bell: EventFd::from_flags(flags)?,
            fates: served.metrics.trace_operations().clone(),
        });
        let events = Arc::clone(served.musefs.engine().events());
        let dropped_before = events.dropped(Dropped::QueueFull);
        let subscription = Some(events.subscribe_queued(Arc::clone(&queueing))?);
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            end,
            queueing,
            queue,
            events,
            subscription,
            dropped_before,
            served,
        })
    }

    /// Tells until the follower has enough or the mount ends.
    ///
    /// # Errors
    /// When the follower is gone.
    pub(super) fn tell(mut self) -> io::Result<()> {
        loop {
            // A busy mount has always more to tell, so its follower is listened to after each batch.
            let woken = if self.tell_queued()? {
                self.wait(Duration::ZERO)?
            } else {
                self.sleep()?
            };
            match woken {
                Woken::Work => {}
                Woken::Quiet => self.say(&[Line::Quiet])?,
                Woken::Enough => return self.finish(false),
                Woken::MountEnds => return self.finish(true),
            }
        }
    }

    /// Tells what ended before, and that that is all.
    fn finish(&mut self, mount_ends: bool) -> io::Result<()> {
        self.events.flush(FLUSH_TIMEOUT);
        self.subscription = None;
        while self.tell_records_queued()? {}
        self.tell_missed()?;
        self.say(&[Line::End { mount_ends }])
    }

    /// Tells a batch of what is queued, and what was missed; whether there was anything.
    fn tell_queued(&mut self) -> io::Result<bool> {
        let (told, missed) = (self.tell_records_queued()?, self.tell_missed()?);
        Ok(told || missed)
    }

    /// Tells a batch of what is queued; whether there was anything.
    fn tell_records_queued(&mut self) -> io::Result<bool> {
        let records: Vec<OperationRecord> = self.queue.try_iter().take(BATCH).collect();
        if !records.is_empty() {
            self.tell_records(&records)?;
        }
        Ok(!records.is_empty())
    }

    /// Tells how many were missed since this was told last; whether there were any.
    fn tell_missed(&mut self) -> io::Result<bool> {
        let dropped = self.events.dropped(Dropped::QueueFull);
        let before = std::mem::replace(&mut self.dropped_before, dropped);
        let missed = self.queueing.missed.swap(0, Relaxed) + (dropped - before);
        if missed > 0 {
            self.say(&[Line::Missed { operations: missed }])?;
        }
        Ok(missed > 0)
    }

    fn tell_records(&mut self, records: &[OperationRecord]) -> io::Result<()> {
        let told = self.served.metrics.told(records);
        let lines: Vec<Line> = told
            .into_iter()
            .map(|operation| Line::Operation(Box::new(operation)))
            .collect();
        self.say(&lines)?;
        let fates = &self.queueing.fates;
        fates.add(TraceFate::Told, records.len() as u64);
        Ok(())
    }

    /// Waits for something to do.
    fn sleep(&mut self) -> io::Result<Woken> {
        self.queueing.sleeps.store(true, SeqCst);
        // What came before this was seen wakes nobody.
        if let Ok(record) = self.queue.try_recv() {
            self.queueing.sleeps.store(false, SeqCst);
            self.tell_records(&[record])?;
            return Ok(Woken::Work);
        }
        self.wait(QUIET)
    }

    /// Waits until there is something to do, and no longer than `patience`.
    fn wait(&mut self, patience: Duration) -> io::Result<Woken> {
        let mut ready = [
            PollFd::new(self.end, PollFlags::POLLIN),
            // Readable, too, when there is nothing more to come.
            PollFd::new(self.stream.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.queueing.bell.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut ready, timeout(patience)) {
            Ok(0) if patience.is_zero() => return Ok(Woken::Work),
            Ok(0) => return Ok(Woken::Quiet),
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(Woken::Work),
            Err(error) => return Err(error.into()),
        }
        let is_ready = ready.map(|ready| ready.any().unwrap_or_default());
        let [ends, spoke, rung] = is_ready;
        if ends {
            return Ok(Woken::MountEnds);
        }
        if spoke && self.has_enough()? {
            return Ok(Woken::Enough);
        }
        if rung {
            // Read to be silent again.
            let _ = self.queueing.bell.read();
        }
        Ok(Woken::Work)
    }

    /// Whether the follower closed its side. What it says meanwhile means nothing.
    fn has_enough(&mut self) -> io::Result<bool> {
        match self.stream.read(&mut [0; 64]) {
            Ok(0) => Ok(true),
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Writes lines. As long as the follower takes nothing, this waits; when the mount ends, only a moment longer.
    fn say(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut bytes, line)?;
            bytes.push(b'\n');
        }
        let mut rest = &bytes[..];
        let mut give_up_at = None;
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.await_room(&mut give_up_at)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn await_room(&self, give_up_at: &mut Option<Instant>) -> io::Result<()> {
        let room = PollFd::new(self.stream.as_fd(), PollFlags::POLLOUT);
        let waited = if let Some(give_up_at) = *give_up_at {
            let left = give_up_at.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            poll(&mut [room], timeout(left))
        } else {
            let mut ready = [room, PollFd::new(self.end, PollFlags::POLLIN)];
            let waited = poll(&mut ready, PollTimeout::NONE);
            if ready[1].any().unwrap_or_default() {
                *give_up_at = Some(Instant::now() + LAST_WORDS);
            }
            waited
        };
        match waited {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn timeout(duration: Duration) -> PollTimeout {
    // A part of a millisecond is waited for as a whole one.
    let milliseconds = duration.as_millis() + 1;
    i32::try_from(milliseconds)
        .ok()
        .and_then(|milliseconds| PollTimeout::try_from(milliseconds).ok())
        .unwrap_or(PollTimeout::MAX)
}
