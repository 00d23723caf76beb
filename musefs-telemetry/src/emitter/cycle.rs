//! When to send, what, and what follows from the reply: a state machine without a clock, a network or a thread.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::wire::{Payload, Response};
use crate::facts::Facts;

/// How often to send unless the server says otherwise.
pub const INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);
/// No server makes a client send more often.
pub const INTERVAL_MIN: Duration = Duration::from_secs(60);
/// No server makes a client wait longer, but for the up to a tenth that is added so that clients spread.
pub const INTERVAL_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// One part of so many is the most that is added to a time to wait.
const JITTER_PART: u32 = 10;
/// By when the next one comes unless the server says otherwise.
pub(super) const NEXT_MAX: Duration =
    Duration::from_secs(INTERVAL.as_secs() / JITTER_PART as u64 + INTERVAL.as_secs());
/// A longer text is not sent.
const PAYLOAD_BYTES_MAX: usize = 1 << 18;
/// Characters of a server's message that are passed on.
const MESSAGE_CHARS_MAX: usize = 200;

/// What the transport brought back.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// A reply.
    Http {
        status: u16,
        retry_after: Option<String>,
        /// `None` when it was too long, or broke off.
        body: Option<Vec<u8>>,
    },
    /// None, and why.
    Lost(String),
}

/// How a sending ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server has it.
    Sent,
    /// The server does not have it; it is part of the next one.
    Failed,
    /// The server wants to be asked later; it is part of the next one.
    Throttled,
    /// The server wants nothing any more.
    Gone,
    /// It was too long, for us or the server; it was dropped.
    Oversized,
}

/// What became of one sending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// What the server or the network said about it: one short line; empty when nothing.
    pub message: String,
}

/// Why sending ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was asked to, and sent once more.
    Asked,
    /// The server's reply said so: until it is started again.
    Told,
    /// The server answered with this status, 410 or 451: for good.
    Gone(u16),
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing for so long.
    In(Duration),
    /// To send.
    Now { last: bool },
    /// Nothing any more.
    Ended(End),
}

type Random = Box<dyn FnMut() -> u64 + Send>;

/// One client's sending, from its start to its end.
pub(super) struct Cycle {
    facts: Facts,
    random: Random,
    /// On the caller's clock.
    next_ns: u64,
    /// Failures in a row.
    failures: u32,
    stopping: bool,
    /// Whether what is under way is the last.
    under_way: Option<bool>,
    ended: Option<End>,
}

impl fmt::Debug for Cycle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Cycle")
            .field("next_ns", &self.next_ns)
            .field("under_way", &self.under_way)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl Cycle {
    /// One that sends `facts` for the first time at once.
    pub fn new(facts: Facts, now_ns: u64, random: Random) -> Self {
        Self {
            facts,
            random,
            next_ns: now_ns,
            failures: 0,
            stopping: false,
            under_way: None,
            ended: None,
        }
    }

    /// Sends exactly once more, after what is under way.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    pub fn due(&self, now_ns: u64) -> Due {
        if let Some(end) = self.ended {
            Due::Ended(end)
        } else if self.stopping || now_ns >= self.next_ns {
            Due::Now {
                last: self.stopping,
            }
        } else {
            Due::In(Duration::from_nanos(self.next_ns - now_ns))
        }
    }

    /// What to send. An error is what became of it at once: it was too long.
    pub fn begin(&mut self, now_ns: u64, wall_ms: u64) -> Result<Vec<u8>, Report> {
        assert!(self.under_way.is_none(), "one payload at a time");
        let last = self.stopping;
        let next_in = (!last).then_some(NEXT_MAX);
        let (id, data) = (self.facts.instance_id(), self.facts.window());
        let body = Payload::new(id, data, wall_ms, next_in).compact();
        self.under_way = Some(last);
        if body.len() > PAYLOAD_BYTES_MAX {
            let message = format!("a payload of {} bytes is not sent", body.len());
            return Err(self.settle(now_ns, Outcome::Oversized, None, INTERVAL, &message));
        }
        Ok(body)
    }

    /// What follows from the answer to what is under way.
    pub fn answered(&mut self, now_ns: u64, wall_ms: u64, answer: Answer) -> Report {
        let (status, retry_after, body) = match answer {
            Answer::Http {
                status,
                retry_after,
                body,
            } => (status, retry_after, body),
            Answer::Lost(why) => {
                let wait = self.backed_off();
                return self.settle(now_ns, Outcome::Failed, None, wait, &why);
            }
        };
        let reply = body
            .as_deref()
            .and_then(Response::parse)
            .unwrap_or_default();
        let told = reply.next_update();
        let later = || retry_after.and_then(|text| delay(&text, wall_ms)).or(told);
        let (outcome, wait) = match status {
            200..=299 => (Outcome::Sent, told.unwrap_or(INTERVAL)),
            410 | 451 => (Outcome::Gone, INTERVAL),
            413 => (Outcome::Oversized, told.unwrap_or(INTERVAL)),
            429 => (Outcome::Throttled, later().unwrap_or(INTERVAL)),
            _ => {
                let wait = later().unwrap_or_else(|| self.backed_off());
                (Outcome::Failed, wait)
            }
        };
        self.facts.steer(&reply.enable_keys, &reply.disable_keys);
        let end = match outcome {
            Outcome::Gone => Some(End::Gone(status)),
            _ => reply.stop.then_some(End::Told),
        };
        let message = match outcome {
            Outcome::Sent => reply.error,
            _ => format!("HTTP status {status} {}", reply.error),
        };
        self.settle(now_ns, outcome, end, wait, &message)
    }

    /// Ends what is under way: what it leaves of the facts, whether there is another one, and when.
    fn settle(
        &mut self,
        now_ns: u64,
        outcome: Outcome,
        end: Option<End>,
        wait: Duration,
        message: &str,
    ) -> Report {
        let last = self.under_way.take().expect("something is under way");
        match outcome {
            // What is too long once is too long for ever.
            Outcome::Sent | Outcome::Oversized => self.facts.delivered(),
            Outcome::Failed | Outcome::Throttled | Outcome::Gone => self.facts.kept(),
        }
        self.failures = match outcome {
            Outcome::Failed => self.failures.saturating_add(1),
            _ => 0,
        };
        self.ended = end.or(last.then_some(End::Asked));
        self.next_ns = now_ns.saturating_add(self.spread(wait));
        Report {
            outcome,
            message: one_line(message),
        }
    }

    /// How long to wait after a failure: twice as long each time, up to what is usual.
    fn backed_off(&self) -> Duration {
        INTERVAL_MIN
            .saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX))
            .min(INTERVAL)
    }

    /// `wait` within bounds and up to a tenth longer, in nanoseconds, so that clients that started together part.
    fn spread(&mut self, wait: Duration) -> u64 {
        let wait = wait.clamp(INTERVAL_MIN, INTERVAL_MAX);
        let most = wait / JITTER_PART;
        let nanoseconds =
            |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        nanoseconds(wait) + (self.random)() % nanoseconds(most)
    }
}

/// The value of a `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date.
fn delay(text: &str, wall_ms: u64) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date: SystemTime = httpdate::parse_http_date(text.trim()).ok()?;
    let date = date.duration_since(UNIX_EPOCH).ok()?;
    Some(date.saturating_sub(Duration::from_millis(wall_ms)))
}

/// `text` as one line that is not long, whatever a server put into it.
fn one_line(text: &str) -> String {
    let shown = |character: char| {
        if character.is_control() {
            ' '
        } else {
            character
        }
    };
    let text: String = text.chars().take(MESSAGE_CHARS_MAX).map(shown).collect();
    text.trim().to_owned()
}
