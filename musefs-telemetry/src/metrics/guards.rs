//! Counting by scope: what is in flight, and how long paths take that are too short to time each pass.

use std::sync::Arc;

use super::{Counter, UpDownCounter, UpDownCounters};
use crate::cells::Slot;
use crate::clock::Clock;
use crate::describe::SeriesKey;
use crate::histograms::Histogram;

/// One more in flight, until it is dropped: on any thread, by any way out.
#[derive(Debug)]
#[must_use = "what is in flight ends when this is dropped"]
pub struct InFlight {
    slot: Slot,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.slot.add(0, 1_u64.wrapping_neg());
    }
}

impl<K: SeriesKey> UpDownCounters<K> {
    /// Adds one to series `key` until the guard is dropped.
    ///
    /// # Panics
    /// When the family has no such series.
    pub fn in_flight(&self, key: K) -> InFlight {
        let slot = self.slot.part(key.series(), 1);
        slot.add(0, 1);
        InFlight { slot }
    }
}

impl UpDownCounter {
    /// Adds one until the guard is dropped.
    pub fn in_flight(&self) -> InFlight {
        self.0.in_flight(0)
    }
}

/// Counts every pass and times one of each `every`: for paths that are over in less time than reading a clock twice takes.
///
/// The count is exact. The durations are those of the passes that were timed, as they were: their distribution is that of all
/// passes, and their sum times `every` is about what all passes took. Each thread picks its passes by its own count, the first
/// one included.
#[derive(Clone, Debug)]
pub struct SampledTimer {
    passes: Counter,
    durations: Histogram,
    clock: Arc<dyn Clock>,
    mask: u64,
}

impl SampledTimer {
    /// Counts in `passes` and records nanoseconds in `durations`, for one of `every` passes.
    ///
    /// # Panics
    /// When `every` is no power of two.
    pub fn new(passes: Counter, durations: Histogram, clock: Arc<dyn Clock>, every: u64) -> Self {
        assert!(every.is_power_of_two(), "one of a power of two");
        Self {
            passes,
            durations,
            clock,
            mask: every - 1,
        }
    }

    /// Begins a pass, which ends when the guard is dropped.
    #[inline]
    pub fn start(&self) -> Sampled<'_> {
        let before = self.passes.0.add(1);
        Sampled {
            started: (before & self.mask == 0).then(|| (self, self.clock.now_ns())),
        }
    }
}

/// A pass that may be timed.
#[derive(Debug)]
#[must_use = "the pass ends when this is dropped"]
pub struct Sampled<'a> {
    started: Option<(&'a SampledTimer, u64)>,
}

impl Drop for Sampled<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some((timer, started)) = self.started {
            let ended = timer.clock.now_ns();
            timer.durations.record(ended.saturating_sub(started));
        }
    }
}
