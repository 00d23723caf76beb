//! The metrics lane: one thread that never waits for a file, a store or a request, so that what runs on it answers while
//! all else is stuck. It renders metrics and sweeps overdue requests.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Something to do, once.
pub type Job = Box<dyn FnOnce() + Send>;

type Tick = Box<dyn Fn(Instant) + Send>;

/// How often the lane looks after what is due at intervals.
const TICK: Duration = Duration::from_millis(500);
/// Jobs that may wait for the lane.
const QUEUE_LEN_MAX: usize = 65_536;

/// The thread and its queue.
pub struct Lane {
    state: Mutex<State>,
    changed: Condvar,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    ticks: Vec<Tick>,
    stopping: bool,
    over: bool,
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Lane").finish_non_exhaustive()
    }
}

impl Lane {
    /// Starts the thread.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start() -> io::Result<Arc<Self>> {
        let lane = Arc::new(Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            ended: Condvar::new(),
        });
        let thread = Arc::clone(&lane);
        std::thread::Builder::new()
            .name("musefs-lane".into())
            .spawn(move || thread.work())?;
        Ok(lane)
    }

    /// Has `tick` run about twice a second.
    pub fn at_intervals(&self, tick: impl Fn(Instant) + Send + 'static) {
        self.state.lock().ticks.push(Box::new(tick));
    }

    /// Hands in a job.
    ///
    /// # Errors
    /// The job itself, when too many wait or the lane is ending.
    pub fn submit(&self, job: Job) -> Result<(), Job> {
        let mut state = self.state.lock();
        if state.stopping || state.jobs.len() >= QUEUE_LEN_MAX {
            return Err(job);
        }
        state.jobs.push_back(job);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    fn work(&self) {
        let mut due = Instant::now() + TICK;
        let mut state = self.state.lock();
        while !state.stopping {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                caught(job);
                state = self.state.lock();
            } else if !self.changed.wait_until(&mut state, due).timed_out() {
                continue;
            }
            let now = Instant::now();
            if now >= due {
                due = now + TICK;
                let ticks = std::mem::take(&mut state.ticks);
                drop(state);
                for tick in &ticks {
                    caught(|| tick(now));
                }
                state = self.state.lock();
                // What was added meanwhile comes after.
                let added = std::mem::replace(&mut state.ticks, ticks);
                state.ticks.extend(added);
            }
        }
        state.over = true;
        self.ended.notify_all();
    }

    /// Ends the thread; whether it ended before `deadline`.
    pub fn stop(&self, deadline: Instant) -> bool {
        let mut state = self.state.lock();
        state.stopping = true;
        self.changed.notify_all();
        while !state.over {
            if self.ended.wait_until(&mut state, deadline).timed_out() {
                return state.over;
            }
        }
        true
    }
}

/// Does `work`. What panics there must not end the thread that answers overdue requests; the panic itself is told by its hook.
fn caught(work: impl FnOnce()) {
    catch_unwind(AssertUnwindSafe(work)).ok();
}
