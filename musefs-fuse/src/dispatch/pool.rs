//! Threads for what may wait. The queue has a bound; past it jobs are parked in the same order, up to a second bound, and
//! past that refused. A thread that stays stuck is replaced, up to a bound, and ends when it comes back.
//!
//! Jobs about one subject (a file) get at most half of the threads, so that a file that hangs never has them all: further
//! jobs about it are set aside, in their order, until one of its own is done.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

/// Something to do, once. Says whether another thread has been started in place of the one that did it.
pub type Job = Box<dyn FnOnce() -> bool + Send>;

/// What a job is about: jobs about one subject are likely to wait for the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Subject(pub u64);

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
    /// Work has come, or the end.
    changed: Condvar,
    /// A thread has ended.
    ended: Condvar,
    queue_len_max: usize,
    parked_max: usize,
    /// Threads that jobs about one subject get.
    threads_per_subject: usize,
    workers: AtomicU64,
    active: AtomicU64,
    waiting: AtomicU64,
}

#[derive(Default)]
struct State {
    /// Jobs that any idle thread may take.
    jobs: VecDeque<(Subject, Job)>,
    /// Subjects that threads are at work on.
    busy: HashMap<Subject, Busy>,
    /// All jobs that no thread has taken. The first `queue_len_max` to come are queued, the rest parked.
    waiting: usize,
    threads: usize,
    /// Threads that stand in for stuck ones.
    replacements: usize,
    stopping: bool,
}

/// What goes on about one subject.
#[derive(Default)]
struct Busy {
    threads: usize,
    set_aside: VecDeque<Job>,
}

impl State {
    /// The next job whose subject has a thread left for it.
    fn take(&mut self, threads_per_subject: usize) -> Option<(Subject, Job)> {
        loop {
            let (subject, job) = self.jobs.pop_front()?;
            let busy = self.busy.entry(subject).or_default();
            if busy.threads < threads_per_subject {
                busy.threads += 1;
                self.waiting -= 1;
                return Some((subject, job));
            }
            busy.set_aside.push_back(job);
        }
    }

    /// Gives a thread of `subject` back. What was set aside first is next, since it came before all that still waits.
    fn give_back(&mut self, subject: Subject) {
        let busy = self
            .busy
            .get_mut(&subject)
            .expect("a subject is known while a thread is at work on it");
        busy.threads -= 1;
        if let Some(job) = busy.set_aside.pop_front() {
            self.jobs.push_front((subject, job));
        } else if busy.threads == 0 {
            self.busy.remove(&subject);
        }
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
            state: Mutex::default(),
            changed: Condvar::new(),
            ended: Condvar::new(),
            queue_len_max,
            parked_max,
            threads_per_subject: (workers / 2).max(1),
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
        state.waiting += 1;
        self.waiting.store(state.waiting as u64, Relaxed);
        drop(state);
        self.changed.notify_one();
    }

    fn work(&self) {
        loop {
            let (subject, job) = {
                let mut state = self.state.lock();
                loop {
                    if state.stopping {
                        return self.end_thread(&mut state);
                    }
                    if let Some(taken) = state.take(self.threads_per_subject) {
                        self.waiting.store(state.waiting as u64, Relaxed);
                        self.active.fetch_add(1, Relaxed);
                        break taken;
                    }
                    self.changed.wait(&mut state);
                }
            };
            let replaced = job();
            self.active.fetch_sub(1, Relaxed);
            let mut state = self.state.lock();
            if replaced {
                state.replacements -= 1;
                return self.end_thread(&mut state);
            }
            state.give_back(subject);
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
                self.state.lock().give_back(subject);
                self.changed.notify_one();
                true
            }
            Err(error) => {
                tracing::warn!("cannot replace a stuck pool thread: {error}");
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
        for busy in state.busy.values_mut() {
            dropped.extend(busy.set_aside.drain(..));
        }
        state.waiting = 0;
        self.waiting.store(0, Relaxed);
        self.changed.notify_all();
        while state.threads > 0 {
            if self.ended.wait_until(&mut state, deadline).timed_out() {
                return state.threads == 0;
            }
        }
        drop(state);
        drop(dropped);
        true
    }
}
