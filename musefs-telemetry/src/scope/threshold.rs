//! From when on an operation is slow: a number that is set by hand, or follows a quantile.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::histograms::Histograms;

/// How many operations a quantile needs.
const COUNT_MIN: u64 = 100;

#[derive(Debug)]
pub(super) struct Threshold {
    slow_ns: AtomicU64,
    /// What is followed, if anything. Held while the number is changed, so that what was set by hand is never overwritten;
    /// operations do not take it.
    followed: Mutex<Option<Followed>>,
}

#[derive(Clone, Debug)]
struct Followed {
    quantile: f64,
    bounds_ns: RangeInclusive<u64>,
}

impl Threshold {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            slow_ns: AtomicU64::new(u64::MAX),
            followed: Mutex::new(None),
        })
    }

    #[inline]
    pub(super) fn get(&self) -> u64 {
        self.slow_ns.load(Relaxed)
    }

    fn followed(&self) -> MutexGuard<'_, Option<Followed>> {
        let followed = self.followed.lock();
        followed.unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, slow_ns: u64) {
        let mut followed = self.followed();
        *followed = None;
        self.slow_ns.store(slow_ns, Relaxed);
    }

    /// Follows `quantile` within `bounds_ns`, and is `first_ns` until there are enough operations.
    pub(super) fn follow(&self, quantile: f64, bounds_ns: RangeInclusive<u64>, first_ns: u64) {
        if (0.0..=1.0).contains(&quantile) && !bounds_ns.is_empty() {
            let mut followed = self.followed();
            *followed = Some(Followed {
                quantile,
                bounds_ns,
            });
            self.slow_ns.store(first_ns, Relaxed);
        }
    }

    /// What a reader does, so that the number follows the first `series` of `durations`: `false` when it is gone.
    pub(super) fn refresher(
        self: &Arc<Self>,
        durations: Histograms,
        series: usize,
    ) -> Box<dyn Fn() -> bool + Send + Sync> {
        let threshold = Arc::downgrade(self);
        Box::new(move || {
            let Some(threshold) = threshold.upgrade() else {
                return false;
            };
            let followed = threshold.followed();
            if let Some(Followed {
                quantile: q,
                bounds_ns,
            }) = &*followed
                && let Some(slow_ns) = quantile(&durations, series, *q)
            {
                let slow_ns = slow_ns.clamp(*bounds_ns.start(), *bounds_ns.end());
                threshold.slow_ns.store(slow_ns, Relaxed);
            }
            drop(followed);
            true
        })
    }
}

/// The bound that `q` of all values of the first `series` are not above; `None` when there are too few, or it has no bound.
fn quantile(durations: &Histograms, series: usize, q: f64) -> Option<u64> {
    let mut buckets: Vec<(Option<u64>, u64)> = Vec::new();
    for series in 0..series {
        let of_one = durations.buckets(series);
        if buckets.is_empty() {
            buckets = of_one;
        } else {
            for (all, one) in buckets.iter_mut().zip(of_one) {
                all.1 += one.1;
            }
        }
    }
    let count: u64 = buckets.iter().map(|(_, count)| count).sum();
    if count < COUNT_MIN {
        return None;
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank among counts, within one of it"
    )]
    let rank = (count as f64 * q).ceil() as u64;
    let mut below = 0;
    let bucket = buckets.iter().find(|(_, count)| {
        below += count;
        below >= rank
    });
    bucket.and_then(|(bound, _)| *bound)
}
