//! A thread that works at intervals, and whoever ends it: one flag, waited on with a time.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Ends a thread between two of its turns.
#[derive(Debug, Default)]
pub struct Stop {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    asked: bool,
    over: bool,
}

impl Stop {
    /// Asks the thread to end.
    pub fn ask(&self) {
        self.state.lock().asked = true;
        self.changed.notify_all();
    }

    /// Waits for `interval`; whether the thread is to go on.
    pub fn goes_on_after(&self, interval: Duration) -> bool {
        let mut state = self.state.lock();
        if !state.asked {
            self.changed.wait_for(&mut state, interval);
        }
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
