//! Resolves under way, so that who opens a file that another request is just resolving waits for that one and does not do the
//! same work again. The first is the leader, the others follow it.
//!
//! A follower takes no thread while it waits: it leaves word of what is to be done when the resolve has landed. A flight lands
//! exactly once, also when its leader fails, panics or is dropped; then its followers go on by themselves, each alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use musefs_telemetry::Ctx;
use parking_lot::{Condvar, Mutex};

use super::cache::Resolved;
use crate::tree::Inode;

/// Followers of one leader; who comes after that many does the work itself.
const FOLLOWERS_MAX: usize = 4_096;

/// A flight that is under way for longer has no more followers: its disk may hang, and another try may not.
const FOLLOWED_MAX: Duration = Duration::from_secs(3);

/// What is done when a flight has landed. Must not wait.
pub type OnLanding = Box<dyn FnOnce() + Send>;

/// All resolves under way.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<Inode, Arc<Flight>>>);

/// A resolve under way.
#[derive(Debug)]
pub struct Flight {
    leader: Ctx,
    began: Instant,
    state: Mutex<State>,
    landed: Condvar,
}

#[derive(Default)]
struct State {
    followers: usize,
    waiting: Vec<OnLanding>,
    has_landed: bool,
    /// What came of it; `None` when nothing did.
    resolved: Option<Arc<Resolved>>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("State")
            .field("followers", &self.followers)
            .field("has_landed", &self.has_landed)
            .finish_non_exhaustive()
    }
}

/// How somebody who needs a file resolved gets it.
#[derive(Debug)]
pub(super) enum Boarded {
    /// By resolving it, for others as well.
    Leads(Lead),
    /// By waiting for this.
    Follows(Arc<Flight>),
    /// By resolving it for itself: too many wait already.
    Alone,
}

/// The leader's end of a flight. It lands when this is dropped.
#[derive(Debug)]
pub(super) struct Lead {
    flights: Arc<Flights>,
    inode: Inode,
    flight: Arc<Flight>,
}

impl Flights {
    /// The thread's request needs `inode` resolved.
    pub(super) fn board(self: &Arc<Self>, inode: Inode) -> Boarded {
        let mut flights = self.0.lock();
        let followed = flights.get(&inode);
        if let Some(flight) = followed.filter(|flight| flight.began.elapsed() < FOLLOWED_MAX) {
            let mut state = flight.state.lock();
            if state.followers >= FOLLOWERS_MAX {
                return Boarded::Alone;
            }
            state.followers += 1;
            drop(state);
            return Boarded::Follows(Arc::clone(flight));
        }
        let flight = Arc::new(Flight {
            leader: Ctx::current(),
            began: Instant::now(),
            state: Mutex::default(),
            landed: Condvar::new(),
        });
        flights.insert(inode, Arc::clone(&flight));
        Boarded::Leads(Lead {
            flights: Arc::clone(self),
            inode,
            flight,
        })
    }
}

impl Lead {
    /// The work is done, for the followers as well.
    pub(super) fn land(self, resolved: &Arc<Resolved>) {
        self.flight.state.lock().resolved = Some(Arc::clone(resolved));
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        // Whoever comes from here on finds the file resolved, or leads anew.
        let mut flights = self.flights.0.lock();
        let is_own = |flight: &Arc<Flight>| Arc::ptr_eq(flight, &self.flight);
        if flights.get(&self.inode).is_some_and(is_own) {
            flights.remove(&self.inode);
        }
        drop(flights);
        let mut state = self.flight.state.lock();
        state.has_landed = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        self.flight.landed.notify_all();
        for wake in waiting {
            wake();
        }
    }
}

impl Flight {
    /// Has `wake` called once when this has landed, by the leader's thread; at once when it has.
    pub fn when_landed(&self, wake: OnLanding) {
        let mut state = self.state.lock();
        if state.has_landed {
            drop(state);
            return wake();
        }
        state.waiting.push(wake);
    }

    /// Waits until it has landed; what came of it.
    pub(super) fn wait(&self) -> Option<Arc<Resolved>> {
        let mut state = self.state.lock();
        while !state.has_landed {
            self.landed.wait(&mut state);
        }
        state.resolved.clone()
    }

    /// The request that does the work.
    pub(super) fn leader(&self) -> Ctx {
        self.leader
    }
}

#[cfg(test)]
mod tests;
