//! A thread that works at intervals, and whoever hurries or ends it: two flags, waited on with a time.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Paces a thread: the time between two of its turns, an earlier turn, or the end.
#[derive(Debug, Default)]
pub struct Stop {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    asked: bool,
    hurried: bool,
    over: bool,
}

impl Stop {
    /// Asks the thread to end.
    pub fn ask(&self) {
        self.state.lock().asked = true;
        self.changed.notify_all();
    }

    /// Makes the thread's next turn come at once.
    pub fn hurry(&self) {
        self.state.lock().hurried = true;
        self.changed.notify_all();
    }

    /// Waits for `interval`, or until somebody hurries; whether the thread is to go on.
    pub fn goes_on_after(&self, interval: Duration) -> bool {
        let mut state = self.state.lock();
        if !state.asked && !state.hurried {
            self.changed.wait_for(&mut state, interval);
        }
        state.hurried = false;
        !state.asked
    }

    /// To be called by the thread as its last act.
    pub fn is_over(&self) {
        self.state.lock().over = true;
        self.changed.notify_all();
    }

    /// Asks the thread to end; whether it did before `deadline`.
    pub fn ask_and_wait(&self, deadline: Instant) -> bool {
        self.ask();
        let mut state = self.state.lock();
        while !state.over {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return state.over;
            }
        }
        true
    }
}
