//! Sends facts to a server of the operator's choice, at a pace that the server may steer within bounds.
//!
//! Nothing is sent unless a program starts it, and never where `DO_NOT_TRACK` is set. [`preview`] is what would be sent, to
//! look at before. What a server may say is in [`Response`]; it cannot get what the operator disabled, nor make a
//! client hurry, and a reply that makes no sense changes nothing.
//!
//! The rules are in a state machine without a clock, a network or a thread, `cycle`; around it are one thread and one HTTP client.

use std::ffi::OsStr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use thiserror::Error;

mod cycle;
mod home;
mod post;
#[cfg(test)]
mod tests;
mod wire;

use crate::clock::{Clock, SystemClock};
use crate::facts::Facts;
use cycle::{Cycle, Due, NEXT_MAX};
pub use cycle::{End, INTERVAL, INTERVAL_MAX, INTERVAL_MIN, Outcome, Report};
pub use home::{Home, HomeError, new_id};
use post::Post;
pub use wire::{Payload, Response};

/// The variable by which people say that no program should tell anything of itself.
pub const DO_NOT_TRACK: &str = "DO_NOT_TRACK";

/// Whether the environment forbids sending.
pub fn do_not_track() -> bool {
    std::env::var_os(DO_NOT_TRACK).is_some_and(|value| forbids(&value))
}

fn forbids(value: &OsStr) -> bool {
    !value.is_empty() && value != "0" && !value.eq_ignore_ascii_case("false")
}

/// What sending does at its edges.
pub struct Settings {
    /// Where to, an `http` or `https` address.
    pub endpoint: String,
    /// What the client calls itself, such as `shop/1.0`.
    pub user_agent: String,
    /// Where it is remembered that a server is gone for good.
    pub home: Option<Home>,
    /// How long a request may take, its reply included.
    pub timeout: Duration,
    /// How long the last one may take, for which somebody waits.
    pub last_timeout: Duration,
    /// Notes what there is to tell, before each sending. On the emitter's thread: it may wait.
    pub note: Box<dyn FnMut(&Facts) + Send>,
    /// Hears what became of each sending.
    pub observe: Box<dyn FnMut(&Report) + Send>,
}

/// Why sending was not started.
#[derive(Debug, Error)]
pub enum StartError {
    /// The facts have no instance id.
    #[error("the facts are not initialised")]
    NotInitialised,
    /// These facts are being sent already.
    #[error("these facts are being sent already")]
    AlreadyEmitting,
    /// The environment forbids it.
    #[error("{DO_NOT_TRACK} is set")]
    DoNotTrack,
    /// The address is none.
    #[error("not an http or https address: {0}")]
    Endpoint(String),
    /// The server said at another time that it wants nothing any more.
    #[error("the server said that it takes nothing any more (HTTP status {status})")]
    Gone {
        /// What it said.
        status: u16,
    },
    /// The system has no thread for it.
    #[error("no thread can be started")]
    Thread(#[source] std::io::Error),
}

/// Checks an address; what is wrong with it in words, which do not repeat it.
///
/// # Errors
/// When it is no `http` or `https` address.
pub fn check_endpoint(endpoint: &str) -> Result<(), String> {
    let address: ureq::http::Uri = endpoint.parse().map_err(|error| format!("{error}"))?;
    match (address.scheme_str(), address.host()) {
        (Some("http" | "https"), Some(host)) if !host.is_empty() => Ok(()),
        _ => Err("expected http://HOST or https://HOST".into()),
    }
}

/// What would be sent of `facts` now, as JSON for people. It sends nothing and leaves the facts as they are.
pub fn preview(facts: &Facts) -> String {
    let wall_ms = SystemClock::default().wall_ms();
    let (id, data) = (facts.instance_id(), facts.known());
    Payload::new(id, data, wall_ms, Some(NEXT_MAX)).pretty()
}

/// Begins to send `facts`, once now and then at intervals, on a thread of its own.
///
/// # Errors
/// When it is forbidden, makes no sense, or no thread is left.
pub fn start_emitting(facts: &Facts, settings: Settings) -> Result<Emitter, StartError> {
    start(facts, settings, do_not_track())
}

fn start(facts: &Facts, settings: Settings, forbidden: bool) -> Result<Emitter, StartError> {
    if forbidden {
        return Err(StartError::DoNotTrack);
    }
    if !facts.is_initialised() {
        return Err(StartError::NotInitialised);
    }
    check_endpoint(&settings.endpoint).map_err(StartError::Endpoint)?;
    let home = settings.home.as_ref();
    if let Some(status) = home.and_then(|home| home.gone(&settings.endpoint)) {
        return Err(StartError::Gone { status });
    }
    if !facts.begin_emitting() {
        return Err(StartError::AlreadyEmitting);
    }
    let shared = Arc::new(Shared::default());
    let over = Over {
        shared: Arc::clone(&shared),
        facts: facts.clone(),
    };
    let thread = std::thread::Builder::new().name("telemetry-push".into());
    let facts = facts.clone();
    thread
        .spawn(move || {
            let over = over;
            run(&facts, settings, &over.shared);
        })
        .map_err(StartError::Thread)?;
    Ok(Emitter { shared })
}

/// A thread that sends. Dropping it asks the thread to end, as [`Emitter::ask_to_stop`] does.
#[derive(Debug)]
pub struct Emitter {
    shared: Arc<Shared>,
}

impl Emitter {
    /// The thread sends exactly once more and ends; what is under way comes to its end before. Returns at once.
    pub fn ask_to_stop(&self) {
        self.shared.state().asked = true;
        self.shared.changed.notify_all();
    }

    /// Asks it to stop and waits; whether it ended before `deadline`.
    pub fn stop_emitting(&self, deadline: Instant) -> bool {
        self.ask_to_stop();
        let mut state = self.shared.state();
        while !state.over {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.shared.wait(state, left);
        }
        true
    }

    /// Whether the thread has ended, because it was asked to or because the server said so.
    pub fn is_over(&self) -> bool {
        self.shared.state().over
    }
}

impl Drop for Emitter {
    fn drop(&mut self) {
        self.ask_to_stop();
    }
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    asked: bool,
    over: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&'a self, state: MutexGuard<'a, State>, time: Duration) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, time);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Says at its end that the thread is over, however it ends.
struct Over {
    shared: Arc<Shared>,
    facts: Facts,
}

impl Drop for Over {
    fn drop(&mut self) {
        self.facts.end_emitting();
        self.shared.state().over = true;
        self.shared.changed.notify_all();
    }
}

fn run(facts: &Facts, mut settings: Settings, shared: &Shared) {
    let clock = SystemClock::default();
    let post = Post::new(&settings);
    let mut cycle = Cycle::new(facts.clone(), clock.now_ns(), Box::new(home::random));
    loop {
        if shared.state().asked {
            cycle.stop();
        }
        let report = match cycle.due(clock.now_ns()) {
            Due::Ended(end) => {
                if let (End::Gone(status), Some(home)) = (end, &settings.home) {
                    home.remember_gone(&settings.endpoint, status);
                }
                return;
            }
            Due::In(time) => {
                let state = shared.state();
                if !state.asked {
                    drop(shared.wait(state, time));
                }
                continue;
            }
            Due::Now { last } => {
                (settings.note)(facts);
                match cycle.begin(clock.now_ns(), clock.wall_ms()) {
                    Ok(body) => {
                        let answer = post.send(&body, last);
                        cycle.answered(clock.now_ns(), clock.wall_ms(), answer)
                    }
                    Err(report) => report,
                }
            }
        };
        (settings.observe)(&report);
    }
}
