//! Threads for what may wait. The queue has a bound; past it jobs are parked in the same order, up to a second bound, and
//! past that refused. A thread that stays stuck is replaced, up to a bound, and ends when it comes back.
//!
//! Jobs that may wait for one thing (a device, the store) get at most half of the threads, so that one that hangs never has
//! them all; jobs about one file get at most half of those. Further jobs are set aside, in their order, until one of their own
//! is done. A job waits for one thing; what has to wait for another one afterwards goes on as another job.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use musefs_core::serve::WaitsFor;
use musefs_telemetry::{event_warn, logging};
use parking_lot::{Condvar, Mutex, MutexGuard};

/// Something to do, once.
pub type Job = Box<dyn FnOnce() -> After + Send>;

/// What comes after a job.
pub enum After {
    /// Whatever is next.
    Done,
    /// Nothing: another thread has been started in place of the one that did it.
    Replaced,
    /// Another job, which came as early as the first.
    Next(Subject, Job),
}

/// What a job is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subject {
    /// What it may have to wait for.
    pub waits_for: WaitsFor,
    /// The inode of the file it is about.
    pub file: u64,
}

/// What became of a job that was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Within the queue's bound.
    Queued,
    /// Beyond it: it waits longer.
    Parked,
    /// Beyond both bounds: dropped.
    Refused,
}

/// Threads that may be started for stuck ones.
const REPLACEMENTS_MAX: usize = 64;

/// A bounded set of threads with a bounded queue.
pub struct Pool {
    state: Mutex<State>,
    /// A thread has ended.
    ended: Condvar,
    queue_len_max: usize,
    parked_max: usize,
    workers: AtomicU64,
    active: AtomicU64,
    waiting: AtomicU64,
}

struct State {
    /// Jobs that any idle thread may take.
    jobs: VecDeque<(Subject, Job)>,
    /// Things that threads may be waiting for.
    things: Shares<WaitsFor>,
    /// Files that threads are at work on.
    files: Shares<Subject>,
    /// All jobs that no thread has taken. The first `queue_len_max` to come are queued, the rest parked.
    waiting: usize,
    threads: usize,
    /// What the threads without work wait for, each for its own. The last to wait is called first: what it used is still in
    /// the caches of its core, and the others' memory can stay with the system.
    idle: Vec<Arc<Condvar>>,
    /// Threads that stand in for stuck ones.
    replacements: usize,
    stopping: bool,
}

/// Who has how many threads, where each may have the same number.
struct Shares<K> {
    threads_max: usize,
    busy: HashMap<K, Share>,
}

#[derive(Default)]
struct Share {
    threads: usize,
    set_aside: VecDeque<(Subject, Job)>,
}

impl<K: Copy + Eq + std::hash::Hash> Shares<K> {
    fn new(threads_max: usize) -> Self {
        Self {
            threads_max: threads_max.max(1),
            busy: HashMap::new(),
        }
    }

    /// The share of `key`, if it has all the threads that it gets.
    fn full(&mut self, key: K) -> Option<&mut Share> {
        let share = self.busy.get_mut(&key)?;
        (share.threads >= self.threads_max).then_some(share)
    }

    fn add_thread(&mut self, key: K) {
        self.busy.entry(key).or_default().threads += 1;
    }

    /// Gives a thread of `key` back; the job that was set aside first.
    fn give_back(&mut self, key: K) -> Option<(Subject, Job)> {
        let share = self
            .busy
            .get_mut(&key)
            .expect("who has a thread has a share");
        share.threads -= 1;
        let next = share.set_aside.pop_front();
        if share.threads == 0 && share.set_aside.is_empty() {
            self.busy.remove(&key);
        }
        next
    }

    /// All that was set aside.
    fn drain(&mut self) -> impl Iterator<Item = (Subject, Job)> {
        self.busy
            .values_mut()
            .flat_map(|share| share.set_aside.drain(..))
    }
}

impl State {
    fn new(workers: usize) -> Self {
        Self {
            jobs: VecDeque::new(),
            things: Shares::new(workers / 2),
            files: Shares::new(workers / 4),
            waiting: 0,
            threads: 0,
            idle: Vec::new(),
            replacements: 0,
            stopping: false,
        }
    }

    /// The next job that has a thread left for it.
    fn take(&mut self) -> Option<(Subject, Job)> {
        loop {
            let (subject, job) = self.jobs.pop_front()?;
            if let Some(thing) = self.things.full(subject.waits_for) {
                thing.set_aside.push_back((subject, job));
            } else if let Some(file) = self.files.full(subject) {
                file.set_aside.push_back((subject, job));
                // The thread that it was offered is for the next that waits for the same thing.
                let thing = self.things.busy.get_mut(&subject.waits_for);
                let next = thing.and_then(|thing| thing.set_aside.pop_front());
                self.put_first(next);
            } else {
                self.things.add_thread(subject.waits_for);
                self.files.add_thread(subject);
                self.waiting -= 1;
                return Some((subject, job));
            }
        }
    }

    /// Gives a thread of `subject` back. What was set aside first is next, since it came before all that still waits.
    fn give_back(&mut self, subject: Subject) {
        let of_file = self.files.give_back(subject);
        self.put_first(of_file);
        let of_thing = self.things.give_back(subject.waits_for);
        self.put_first(of_thing);
    }

    fn put_first(&mut self, job: Option<(Subject, Job)>) {
        if let Some(job) = job {
            self.jobs.push_front(job);
        }
    }
}

/// Wakes a thread up that has no work.
fn call(idle: Option<Arc<Condvar>>) {
    if let Some(idle) = idle {
        idle.notify_one();
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Pool")
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

impl Pool {
    /// Starts `workers` threads.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start(workers: usize, queue_len_max: usize, parked_max: usize) -> io::Result<Arc<Self>> {
        let pool = Arc::new(Self {
            state: Mutex::new(State::new(workers)),
            ended: Condvar::new(),
            queue_len_max,
            parked_max,
            workers: AtomicU64::new(0),
            active: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
        });
        for _ in 0..workers {
            pool.start_thread()?;
        }
        Ok(pool)
    }

    fn start_thread(self: &Arc<Self>) -> io::Result<()> {
        let pool = Arc::clone(self);
        self.state.lock().threads += 1;
        let started = std::thread::Builder::new()
            .name("musefs-pool".into())
            .spawn(move || pool.work());
        if let Err(error) = started {
            self.state.lock().threads -= 1;
            return Err(error);
        }
        self.workers.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Hands in a job about `subject`. `note` is told what becomes of it before any thread can take it.
    pub fn submit(&self, subject: Subject, job: Job, note: impl FnOnce(Admission)) {
        let mut state = self.state.lock();
        let ahead = state.waiting;
        if state.stopping || ahead >= self.queue_len_max.saturating_add(self.parked_max) {
            drop(state);
            return note(Admission::Refused);
        }
        note(if ahead < self.queue_len_max {
            Admission::Queued
        } else {
            Admission::Parked
        });
        state.jobs.push_back((subject, job));
        self.one_more_waits(state);
    }

    /// A job was put among those that wait: counts it, and calls a thread for it.
    fn one_more_waits(&self, mut state: MutexGuard<'_, State>) {
        state.waiting += 1;
        self.waiting.store(state.waiting as u64, Relaxed);
        let idle = state.idle.pop();
        drop(state);
        call(idle);
    }

    /// The next job, which is waited for; `None` at the end.
    fn next(&self, called: &Arc<Condvar>) -> Option<(Subject, Job)> {
        let mut state = self.state.lock();
        loop {
            if state.stopping {
                self.end_thread(&mut state);
                return None;
            }
            if let Some(taken) = state.take() {
                self.waiting.store(state.waiting as u64, Relaxed);
                self.active.fetch_add(1, Relaxed);
                let other = (!state.jobs.is_empty()).then(|| state.idle.pop());
                drop(state);
                call(other.flatten());
                return Some(taken);
            }
            state.idle.push(Arc::clone(called));
            called.wait(&mut state);
            // Whoever called has taken it off the list, unless the thread woke up by itself.
            state.idle.retain(|idle| !Arc::ptr_eq(idle, called));
        }
    }

    /// Hands a job back in that was taken before, and has waited for something else since. It is next, and always has room.
    pub fn resume(&self, subject: Subject, job: Job) {
        let mut state = self.state.lock();
        if state.stopping {
            drop(state);
            drop(job);
            return;
        }
        state.jobs.push_front((subject, job));
        self.one_more_waits(state);
    }

    fn work(&self) {
        let called = Arc::default();
        while let Some((subject, job)) = self.next(&called) {
            let after = job();
            self.active.fetch_sub(1, Relaxed);
            let mut state = self.state.lock();
            match after {
                After::Done => state.give_back(subject),
                After::Replaced => {
                    state.replacements -= 1;
                    return self.end_thread(&mut state);
                }
                After::Next(next, job) => {
                    state.give_back(subject);
                    if state.stopping {
                        drop(state);
                        drop(job);
                    } else {
                        state.jobs.push_front((next, job));
                        state.waiting += 1;
                        self.waiting.store(state.waiting as u64, Relaxed);
                    }
                }
            }
        }
    }

    fn end_thread(&self, state: &mut State) {
        state.threads -= 1;
        self.workers.fetch_sub(1, Relaxed);
        self.ended.notify_all();
    }

    /// Starts a thread in place of one that is stuck on a job about `subject`; whether it did. Too many are not replaced.
    pub fn replace_stuck(self: &Arc<Self>, subject: Subject) -> bool {
        {
            let mut state = self.state.lock();
            if state.stopping || state.replacements >= REPLACEMENTS_MAX {
                return false;
            }
            state.replacements += 1;
        }
        match self.start_thread() {
            Ok(()) => {
                let mut state = self.state.lock();
                state.give_back(subject);
                let idle = state.idle.pop();
                drop(state);
                call(idle);
                true
            }
            Err(error) => {
                event_warn!(
                    logging::engine(),
                    "pool.thread.not_replaced",
                    message = %format_args!("cannot replace a stuck pool thread: {error}"),
                );
                self.state.lock().replacements -= 1;
                false
            }
        }
    }

    /// Threads.
    pub fn workers(&self) -> u64 {
        self.workers.load(Relaxed)
    }

    /// Threads at work.
    pub fn active(&self) -> u64 {
        self.active.load(Relaxed)
    }

    /// Jobs queued, and jobs parked.
    pub fn waiting(&self) -> (u64, u64) {
        let waiting = self.waiting.load(Relaxed);
        let queued = waiting.min(self.queue_len_max as u64);
        (queued, waiting - queued)
    }

    /// The bound of the queue.
    pub fn queue_len_max(&self) -> usize {
        self.queue_len_max
    }

    /// Ends the threads, dropping what waits; whether all ended before `deadline`.
    pub fn stop(&self, deadline: Instant) -> bool {
        let mut state = self.state.lock();
        state.stopping = true;
        let mut dropped: Vec<Job> = state.jobs.drain(..).map(|(_, job)| job).collect();
        dropped.extend(state.things.drain().map(|(_, job)| job));
        dropped.extend(state.files.drain().map(|(_, job)| job));
        state.waiting = 0;
        self.waiting.store(0, Relaxed);
        for idle in state.idle.drain(..) {
            idle.notify_one();
        }
        while state.threads > 0 {
            if self.ended.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        let ended = state.threads == 0;
        // What jobs leave behind may come to the pool once more.
        drop(state);
        drop(dropped);
        ended
    }
}
