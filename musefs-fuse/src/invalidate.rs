//! Tells the kernel what to forget after a refresh, from a thread of its own: telling can wait on a request that is stuck
//! in the same directory or file.
//!
//! The queue has a bound, and what waits in it is there once however often it is asked for. What does not fit is counted,
//! and forgotten by the kernel when its lifetime ends.

use std::collections::{HashSet, VecDeque};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use fuser::{INodeNo, Notifier};
use musefs_core::tree::{Changes, Inode};
use musefs_telemetry::{event_debug, logging};
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::allocator;
use crate::metrics::{EdgeMetrics, Invalidation};

/// Names and inodes that may wait to be told.
const QUEUE_LEN_MAX: usize = 65_536;

/// Those that the empty queue keeps room for.
const QUEUE_LEN_KEPT: usize = 1_024;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Forget {
    /// A name: what it stood for, or that there was none.
    Name {
        parent: Inode,
        name: Box<[u8]>,
    },
    Attributes(Inode),
    /// What the kernel has of a file's bytes, and its attributes.
    Bytes(Inode),
}

/// The ways to the kernel for who answers requests, once there are any.
#[derive(Debug, Default)]
pub struct Telling {
    /// For what cannot wait in the queue.
    notifier: OnceLock<Notifier>,
    queue: OnceLock<Weak<Invalidator>>,
}

impl Telling {
    /// Opens the way past the queue.
    pub fn by(&self, notifier: Notifier) {
        // It is set once, by the one who mounts.
        self.notifier.set(notifier).ok();
    }

    /// Opens the way through the queue of `invalidator`.
    pub fn through(&self, invalidator: &Arc<Invalidator>) {
        self.queue.set(Arc::downgrade(invalidator)).ok();
    }

    /// Has the kernel forget the bytes of `inode`, soon: that waits for reads of it that are under way, so whoever answers
    /// these must not wait for it.
    pub(crate) fn forget_bytes(&self, inode: Inode) {
        if let Some(invalidator) = self.queue.get().and_then(Weak::upgrade) {
            invalidator.put([Forget::Bytes(inode)]);
        }
    }

    /// Has the kernel ask for the attributes of `inode` when it next needs them. Waits for nothing: no request that is
    /// under way holds what this takes.
    pub(crate) fn forget_attributes(&self, inode: Inode) {
        if let Some(notifier) = self.notifier.get()
            && let Err(error) = notifier.inval_inode(INodeNo(inode.0), -1, 0)
        {
            tell_refused(&error);
        }
    }
}

fn tell_refused(error: &std::io::Error) {
    event_debug!(
        logging::engine(),
        "kernel.invalidation.refused",
        message = %format_args!("the kernel did not take an invalidation: {error}"),
    );
}

/// The queue of the invalidation thread, which ends when this is dropped and the queue is empty.
#[derive(Debug)]
pub struct Invalidator {
    queue: Arc<Queue>,
    metrics: EdgeMetrics,
}

#[derive(Debug)]
struct Queue {
    /// How long the kernel remembers what it is not told to forget.
    lifetime: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<(Arc<Forget>, Instant)>,
    /// What is in `waiting`.
    known: HashSet<Arc<Forget>>,
    /// How many were ever put in, and how many of these are done with, in order.
    put: u64,
    done: u64,
    /// Until when the kernel may remember what did not fit.
    unsure_until: Option<Instant>,
    is_over: bool,
}

impl Invalidator {
    /// Starts the thread. The kernel remembers names and attributes for `lifetime`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        notifier: Notifier,
        lifetime: Duration,
        metrics: EdgeMetrics,
    ) -> std::io::Result<Self> {
        Self::start_with(lifetime, metrics, move |forget| match forget {
            Forget::Name { parent, name } => {
                notifier.inval_entry(INodeNo(parent.0), OsStr::from_bytes(name))
            }
            // A negative offset leaves the cached bytes alone.
            Forget::Attributes(inode) => notifier.inval_inode(INodeNo(inode.0), -1, 0),
            Forget::Bytes(inode) => notifier.inval_inode(INodeNo(inode.0), 0, 0),
        })
    }

    fn start_with(
        lifetime: Duration,
        metrics: EdgeMetrics,
        mut tell: impl FnMut(&Forget) -> std::io::Result<()> + Send + 'static,
    ) -> std::io::Result<Self> {
        let queue = Arc::new(Queue {
            lifetime,
            state: Mutex::default(),
            changed: Condvar::default(),
        });
        let (waiting, counted) = (Arc::clone(&queue), metrics.clone());
        std::thread::Builder::new()
            .name("musefs-inval".into())
            .spawn(move || {
                while let Some((forget, since)) = waiting.take() {
                    let outcome = match tell(&forget) {
                        Ok(()) => Invalidation::Sent,
                        Err(error) => {
                            tell_refused(&error);
                            Invalidation::Failed
                        }
                    };
                    let counters = &counted.counters;
                    counters.invalidations.increment(outcome);
                    counters.invalidations_queued.add(-1);
                    let waited = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    counters.invalidation_wait.add(waited);
                    waiting.done();
                }
            })?;
        Ok(Self { queue, metrics })
    }

    /// Has the kernel forget what is different.
    pub fn tell(&self, changes: Changes) {
        // A name that appeared may be remembered as absent.
        let names = changes.names.into_iter().map(|change| Forget::Name {
            parent: change.parent,
            name: change.name,
        });
        let attributes = changes.attributes.into_iter().map(Forget::Attributes);
        self.put(names.chain(attributes));
    }

    fn put(&self, forgets: impl IntoIterator<Item = Forget>) {
        let counters = &self.metrics.counters;
        let now = Instant::now();
        for forget in forgets {
            match self.queue.put(Arc::new(forget), now) {
                Put::Waits => counters.invalidations_queued.add(1),
                Put::WaitsAlready => counters.invalidations.increment(Invalidation::Merged),
                Put::NoRoom => counters.invalidations.increment(Invalidation::Dropped),
            }
        }
    }

    /// Waits until the kernel was told all that was asked for before this call, and remembers nothing any more of what did not
    /// fit the queue; whether that was before `deadline`.
    pub fn await_told(&self, deadline: Instant) -> bool {
        let mut state = self.queue.state.lock();
        let wanted = state.put;
        while let Some(until) = state.unsure_until {
            if Instant::now() >= until {
                state.unsure_until = None;
            } else if until > deadline {
                return false;
            } else {
                self.queue.changed.wait_until(&mut state, until);
            }
        }
        while state.done < wanted {
            let pause = self.queue.changed.wait_until(&mut state, deadline);
            if pause.timed_out() {
                break;
            }
        }
        state.done >= wanted
    }
}

impl Drop for Invalidator {
    fn drop(&mut self) {
        self.queue.state.lock().is_over = true;
        self.queue.changed.notify_all();
    }
}

enum Put {
    Waits,
    WaitsAlready,
    NoRoom,
}

impl Queue {
    fn put(&self, forget: Arc<Forget>, now: Instant) -> Put {
        let mut state = self.state.lock();
        if state.known.contains(&forget) {
            return Put::WaitsAlready;
        }
        if state.waiting.len() == QUEUE_LEN_MAX {
            state.unsure_until = Some(now + self.lifetime);
            return Put::NoRoom;
        }
        state.known.insert(Arc::clone(&forget));
        state.waiting.push_back((forget, now));
        state.put += 1;
        drop(state);
        self.changed.notify_all();
        Put::Waits
    }

    /// The next one; `None` when there is none and will be none.
    fn take(&self) -> Option<(Arc<Forget>, Instant)> {
        let mut state = self.state.lock();
        loop {
            if let Some((forget, since)) = state.waiting.pop_front() {
                // From here on the same has to be told once more: the kernel may learn of it anew right after it was told.
                state.known.remove(&forget);
                return Some((forget, since));
            }
            if state.is_over {
                return None;
            }
            if state.waiting.capacity() > QUEUE_LEN_KEPT {
                let State { waiting, known, .. } = &mut *state;
                waiting.shrink_to(QUEUE_LEN_KEPT / 2);
                known.shrink_to(QUEUE_LEN_KEPT / 2);
                MutexGuard::unlocked(&mut state, allocator::give_back);
                continue;
            }
            self.changed.wait(&mut state);
        }
    }

    fn done(&self) {
        self.state.lock().done += 1;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use musefs_telemetry::Engine;
    use std::sync::mpsc;

    fn attributes(inodes: impl IntoIterator<Item = u64>) -> Changes {
        Changes {
            names: Vec::new(),
            attributes: inodes.into_iter().map(Inode).collect(),
        }
    }

    #[test]
    fn what_waits_is_told_once_what_does_not_fit_is_counted_and_all_that_was_asked_can_be_awaited()
    {
        let engine = Engine::new();
        let metrics = EdgeMetrics::declare(&engine).unwrap();
        let (go, gate) = mpsc::channel::<()>();
        let (told, tellings) = mpsc::channel();
        let lifetime = Duration::from_millis(300);
        let invalidator = Invalidator::start_with(lifetime, metrics, move |forget| {
            gate.recv().ok();
            told.send(forget.clone()).ok();
            Ok(())
        })
        .unwrap();
        let soon = || Instant::now() + Duration::from_millis(50);
        invalidator.tell(attributes([1]));
        while !invalidator.queue.state.lock().waiting.is_empty() {
            std::thread::yield_now();
        }
        // The first is being told: the same again is not merged with it, but the third is with the second.
        invalidator.tell(attributes([1]));
        invalidator.tell(attributes([1]));
        assert!(!invalidator.await_told(soon()));
        let count = QUEUE_LEN_MAX as u64;
        invalidator.tell(attributes(2..2 + count));
        let outcomes = |invalidator: &Invalidator| {
            let counted = engine.snapshot();
            let family = counted.find("musefs_invalidations_total").unwrap().family();
            assert_eq!(invalidator.queue.state.lock().known.len(), QUEUE_LEN_MAX);
            let of = |index| counted.value(family, index).unwrap();
            [of(0), of(1), of(2), of(3)]
        };
        assert_eq!(outcomes(&invalidator), [0, 0, 1, 1]);
        drop(go);
        assert!(
            !invalidator.await_told(Instant::now()),
            "what did not fit is remembered for a while"
        );
        assert!(invalidator.await_told(Instant::now() + Duration::from_secs(60)));
        let told: Vec<Forget> = tellings.try_iter().collect();
        assert_eq!(told.len(), 1 + QUEUE_LEN_MAX);
        assert_eq!(told[..2], [const { Forget::Attributes(Inode(1)) }; 2]);
    }
}
