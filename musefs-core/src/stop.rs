//! A thread that works at intervals, and whoever hurries, awaits or ends it: a few words of state, waited on with a time.

use std::time::{Duration, Instant};

use musefs_telemetry::Ctx;
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
    /// The request that hurried the turn that comes, and that which hurried the one that is.
    hurried_by: Ctx,
    cause: Ctx,
    over: bool,
    /// Turns that have begun, and those that were told to have ended.
    begun: u64,
    ended: u64,
}

impl Stop {
    /// Asks the thread to end.
    pub fn ask(&self) {
        self.state.lock().asked = true;
        self.changed.notify_all();
    }

    /// Whether the thread was asked to end.
    pub fn is_asked(&self) -> bool {
        self.state.lock().asked
    }

    /// Makes the thread's next turn come at once.
    pub fn hurry(&self) {
        let mut state = self.state.lock();
        state.hurried = true;
        if state.hurried_by.id().number == 0 {
            state.hurried_by = Ctx::current();
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Whom the turn that has begun is taken for: the first request that hurried it, if one did.
    pub fn cause(&self) -> Ctx {
        self.state.lock().cause.triggers()
    }

    /// Waits for `interval`, or until somebody hurries; whether the thread is to go on.
    pub fn goes_on_after(&self, interval: Duration) -> bool {
        let mut state = self.state.lock();
        if !state.asked && !state.hurried {
            self.changed.wait_for(&mut state, interval);
        }
        state.hurried = false;
        state.cause = std::mem::take(&mut state.hurried_by);
        state.begun += 1;
        !state.asked
    }

    /// To be called by the thread when a turn has ended well: who awaits a whole turn goes on.
    pub fn turn_ended(&self) {
        let mut state = self.state.lock();
        state.ended = state.begun;
        drop(state);
        self.changed.notify_all();
    }

    /// Has the thread take a turn that begins now or later; whether one ended well before `deadline`.
    pub fn await_turn(&self, deadline: Instant) -> bool {
        let mut state = self.state.lock();
        let wanted = state.begun + 1;
        state.hurried = true;
        self.changed.notify_all();
        while state.ended < wanted && !state.over {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        state.ended >= wanted
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_turn_is_taken_for_the_first_request_that_hurried_it() {
        let stop = Stop::default();
        for request in [0, 7, 8] {
            let _entered = Ctx::request(3, request).enter();
            stop.hurry();
        }
        assert!(stop.goes_on_after(Duration::from_secs(60)));
        let cause = stop.cause();
        assert_eq!((cause.instance, cause.request_id, cause.cause), (3, 0, 7));
        stop.hurry();
        assert!(stop.goes_on_after(Duration::from_secs(60)));
        assert_eq!(stop.cause(), Ctx::BACKGROUND);
    }

    #[test]
    fn who_awaits_a_turn_gets_one_that_began_after_the_call() {
        let stop = Arc::new(Stop::default());
        let (worker, (turns, taken)) = (Arc::clone(&stop), std::sync::mpsc::channel());
        let thread = std::thread::spawn(move || {
            let mut turn = 0;
            while worker.goes_on_after(Duration::from_secs(60)) {
                turn += 1;
                turns.send(turn).unwrap();
                // The second fails.
                if turn != 2 {
                    worker.turn_ended();
                }
            }
            worker.is_over();
        });
        let soon = || Instant::now() + Duration::from_millis(50);
        let later = || Instant::now() + Duration::from_secs(60);
        assert!(stop.await_turn(later()));
        assert_eq!(taken.recv(), Ok(1));
        assert!(!stop.await_turn(soon()), "a turn that failed is none");
        assert_eq!(taken.recv(), Ok(2));
        assert!(stop.await_turn(later()));
        assert_eq!(taken.recv(), Ok(3));
        assert!(stop.ask_and_wait(later()));
        assert!(!stop.await_turn(later()), "nobody is there to take one");
        thread.join().unwrap();
    }
}
