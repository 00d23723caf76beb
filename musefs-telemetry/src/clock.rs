//! Where time comes from.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A source of time. Durations are differences of [`Clock::now_ns`]; only text formats ask for the date.
pub trait Clock: Debug + Send + Sync {
    /// Nanoseconds since a moment that stays the same; never falls.
    fn now_ns(&self) -> u64;

    /// Milliseconds since 1970.
    fn wall_ms(&self) -> u64;
}

/// The system's monotonic clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn wall_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
    }
}

/// A clock that stands still until it is told otherwise, and counts how often it was read.
#[derive(Debug, Default)]
pub struct ManualClock {
    now_ns: AtomicU64,
    reads: AtomicU64,
}

impl ManualClock {
    /// Lets `ns` nanoseconds pass.
    pub fn advance(&self, ns: u64) {
        self.now_ns.fetch_add(ns, Relaxed);
    }

    /// How often somebody asked for the time.
    pub fn reads(&self) -> u64 {
        self.reads.load(Relaxed)
    }
}

impl Clock for ManualClock {
    fn now_ns(&self) -> u64 {
        self.reads.fetch_add(1, Relaxed);
        self.now_ns.load(Relaxed)
    }

    fn wall_ms(&self) -> u64 {
        self.now_ns.load(Relaxed) / 1_000_000
    }
}
