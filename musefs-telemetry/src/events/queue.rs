//! Operations on their way to handlers that may take their time.
//!
//! Each thread has a bounded ring of its own, which one thread empties. A push never waits and, but for a thread's first one,
//! takes no memory; what finds no room is counted.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use rtrb::{Consumer, Producer, RingBuffer};

use super::deliver::Quiet;
use super::{Entries, Faults, QUEUED_MAX};
use crate::event::{OperationEvent, OperationRecord};

/// How many records of one thread are delivered before it is another thread's turn.
const TURN: usize = 32;
/// How often a flush looks again.
const FLUSH_STEP: Duration = Duration::from_millis(5);

/// The rings of this thread, each with the address of its queue. A queue that is gone has left its rings, so that another
/// one may have its address.
type Lanes = Vec<(usize, Producer<OperationRecord>)>;

thread_local! {
    static LANES: RefCell<Lanes> = const { RefCell::new(Vec::new()) };
}

#[derive(Debug)]
pub(super) struct Queue {
    entries: Entries,
    listeners: AtomicUsize,
    /// Rings of threads that are new to the draining thread.
    incoming: Mutex<Vec<Consumer<OperationRecord>>>,
    drainer: OnceLock<Thread>,
    starting: Mutex<()>,
    sleeping: AtomicBool,
    stopping: AtomicBool,
    /// How the kernel calls the draining thread; 0 when it does not say.
    own_thread: AtomicU32,
    /// How often the draining thread found nothing.
    rounds: Mutex<u64>,
    round: Condvar,
    faults: Arc<Faults>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queue {
    pub(super) fn new(faults: Arc<Faults>) -> Self {
        Self {
            entries: Entries::default(),
            listeners: AtomicUsize::new(0),
            incoming: Mutex::default(),
            drainer: OnceLock::new(),
            starting: Mutex::default(),
            sleeping: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            own_thread: AtomicU32::new(0),
            rounds: Mutex::default(),
            round: Condvar::new(),
            faults,
        }
    }

    pub(super) fn entries(&self) -> &Entries {
        &self.entries
    }

    /// How many queued handlers there are.
    pub(super) fn listeners(&self) -> &AtomicUsize {
        &self.listeners
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.listeners.load(Ordering::Relaxed) != 0
    }

    pub(super) fn own_thread(&self) -> u32 {
        self.own_thread.load(Ordering::Relaxed)
    }

    /// Starts the draining thread, unless it runs.
    pub(super) fn start(self: &Arc<Self>) -> std::io::Result<()> {
        let _starting = locked(&self.starting);
        if self.drainer.get().is_none() {
            let queue = Arc::clone(self);
            let drainer = thread::Builder::new()
                .name("telemetry-event".into())
                .spawn(move || queue.run())?;
            self.drainer
                .set(drainer.thread().clone())
                .expect("only who starts it sets it");
        }
        Ok(())
    }

    /// The draining thread delivers what is there and ends.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake();
    }

    pub(super) fn push(self: &Arc<Self>, event: &OperationEvent<'_>) {
        let pushed = LANES.try_with(|lanes| {
            let mut lanes = lanes.try_borrow_mut().ok()?;
            let own = Arc::as_ptr(self).addr();
            let known = lanes
                .iter()
                .position(|(queue, lane)| *queue == own && !lane.is_abandoned());
            let index = known.unwrap_or_else(|| {
                lanes.retain(|(_, lane)| !lane.is_abandoned());
                let (producer, consumer) = RingBuffer::new(QUEUED_MAX);
                locked(&self.incoming).push(consumer);
                lanes.push((own, producer));
                lanes.len() - 1
            });
            lanes[index].1.push(OperationRecord::from(event)).ok()
        });
        // A thread that is being torn down has no ring any more.
        if !matches!(pushed, Ok(Some(()))) {
            self.faults.queue_full.fetch_add(1, Ordering::Relaxed);
        }
        // Either this sees that the draining thread is about to sleep, or that one sees the record.
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    fn wake(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
        if let Some(drainer) = self.drainer.get() {
            drainer.unpark();
        }
    }

    /// The life of the draining thread.
    fn run(&self) {
        let _quiet = Quiet::begin();
        self.own_thread.store(kernel_thread(), Ordering::Relaxed);
        let mut lanes = Vec::new();
        loop {
            let stopping = self.stopping.load(Ordering::Acquire);
            lanes.append(&mut locked(&self.incoming));
            if self.drain(&mut lanes) {
                continue;
            }
            *locked(&self.rounds) += 1;
            self.round.notify_all();
            if stopping {
                return;
            }
            lanes.retain(|lane| !(lane.is_abandoned() && lane.is_empty()));
            self.sleeping.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            let something = lanes.iter().any(|lane| !lane.is_empty())
                || !locked(&self.incoming).is_empty()
                || self.stopping.load(Ordering::Acquire);
            if !something {
                thread::park();
            }
            self.sleeping.store(false, Ordering::Relaxed);
        }
    }

    /// Delivers a turn of each lane; whether there was something.
    fn drain(&self, lanes: &mut [Consumer<OperationRecord>]) -> bool {
        let mut any = false;
        for lane in lanes {
            for _ in 0..TURN {
                let Ok(record) = lane.pop() else {
                    break;
                };
                any = true;
                for entry in self.entries.load().iter() {
                    entry.tell(&record.event(), &self.faults);
                }
            }
        }
        any
    }

    /// The round that is under way may have passed what came last, so two more have to end.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        if self.drainer.get().is_none() {
            return true;
        }
        let deadline = Instant::now() + patience;
        let mut rounds = locked(&self.rounds);
        let enough = *rounds + 2;
        while *rounds < enough {
            if Instant::now() >= deadline {
                return false;
            }
            self.wake();
            let waited = self.round.wait_timeout(rounds, FLUSH_STEP);
            rounds = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// How the kernel calls this thread; 0 where it does not say.
fn kernel_thread() -> u32 {
    let link = std::fs::read_link("/proc/thread-self").ok();
    link.and_then(|link| link.file_name()?.to_str()?.parse().ok())
        .unwrap_or(0)
}
