//! From when on an operation is slow: a number that is set by hand, or follows a quantile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::histograms::Histograms;

/// How many operations a quantile needs.
const COUNT_MIN: u64 = 100;

#[derive(Debug)]
pub(super) struct Threshold {
    slow_ns: AtomicU64,
    /// The bits of the quantile that is followed; [`u64::MAX`], which is no number, when none is.
    quantile: AtomicU64,
}

impl Threshold {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            slow_ns: AtomicU64::new(u64::MAX),
            quantile: AtomicU64::new(u64::MAX),
        })
    }

    #[inline]
    pub(super) fn get(&self) -> u64 {
        self.slow_ns.load(Relaxed)
    }

    pub(super) fn set(&self, slow_ns: u64) {
        self.quantile.store(u64::MAX, Relaxed);
        self.slow_ns.store(slow_ns, Relaxed);
    }

    pub(super) fn follow(&self, q: f64) {
        if (0.0..=1.0).contains(&q) {
            self.slow_ns.store(u64::MAX, Relaxed);
            self.quantile.store(q.to_bits(), Relaxed);
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
            let bits = threshold.quantile.load(Relaxed);
            if bits != u64::MAX {
                let slow_ns = quantile(&durations, series, f64::from_bits(bits));
                if let Some(slow_ns) = slow_ns {
                    threshold.slow_ns.store(slow_ns, Relaxed);
                }
            }
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
