//! Sum, count, and the extremes of the last windows.
//!
//! Sum and count are cells of the thread. An extreme cannot be: a reader that takes it must not disturb another reader, and a
//! cell of another thread must not be zeroed. So an extreme carries the number of its window, and the writers of the next
//! window replace it. While nothing is more extreme, which is nearly always, an observation only loads.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::MetricField;
use crate::cells::Slot;
use crate::describe::{AttributeSet, Instrument, Label, SeriesKey};
use crate::registry::{Part, Source};

/// Bits of a cell that hold the value; larger values count as the largest. In nanoseconds that is almost five hours.
const VALUE_BITS: u32 = 44;
const VALUE_MAX: u64 = (1 << VALUE_BITS) - 1;
/// The other bits hold the number of the window.
const TAG_MAX: u64 = u64::MAX >> VALUE_BITS;
/// The most windows that a writer sleeps between asking for the window and writing.
const SLEPT_WINDOWS_MAX: u64 = 8;

/// What stands for "nothing in these windows" among the values of a snapshot.
pub(crate) const NONE: u64 = u64::MAX;

/// The number of the window that observations belong to.
#[derive(Debug)]
pub(crate) struct Windows {
    current: AtomicU64,
    since_ns: AtomicU64,
    len_ns: u64,
}

impl Windows {
    pub(crate) fn new(len_ns: u64, now_ns: u64) -> Self {
        Self {
            current: AtomicU64::new(1),
            since_ns: AtomicU64::new(now_ns),
            len_ns,
        }
    }

    /// Begins the next window when this one lasted long enough. Readers call it after they read, so whatever was observed is
    /// seen by at least one reader, and by all that come again before a window is over.
    pub(crate) fn advance(&self, now_ns: u64) {
        let since = self.since_ns.load(Relaxed);
        if now_ns.saturating_sub(since) >= self.len_ns
            && self
                .since_ns
                .compare_exchange(since, now_ns, Relaxed, Relaxed)
                .is_ok()
        {
            self.current.fetch_add(1, Relaxed);
        }
    }
}

/// The extremes of all series of a family.
#[derive(Debug)]
pub(crate) struct Extremes {
    windows: Arc<Windows>,
    /// Of each series, for even and for odd windows: the complement of the smallest, the largest.
    cells: Box<[[[AtomicU64; 2]; 2]]>,
}

impl Extremes {
    pub(crate) fn new(windows: Arc<Windows>, series: usize) -> Self {
        Self {
            windows,
            cells: (0..series).map(|_| Default::default()).collect(),
        }
    }

    #[inline]
    fn record(&self, series: usize, value: u64) {
        let window = self.windows.current.load(Relaxed);
        let value = value.min(VALUE_MAX);
        let [smallest, largest] = &self.cells[series][usize::from(window & 1 != 0)];
        raise(smallest, window, VALUE_MAX - value);
        raise(largest, window, value);
    }

    /// The smallest and largest of this window and the one before; `NONE` twice when there were none.
    pub(crate) fn read(&self, series: usize) -> [u64; 2] {
        let current = self.windows.current.load(Relaxed);
        let mut extremes = [NONE, NONE];
        for window in [current, current - 1] {
            let cells = &self.cells[series][usize::from(window & 1 != 0)];
            let [smallest, largest] = cells.each_ref().map(|cell| cell.load(Relaxed));
            if smallest >> VALUE_BITS == tag(window) {
                extremes[0] = extremes[0].min(VALUE_MAX - (smallest & VALUE_MAX));
            }
            if largest >> VALUE_BITS == tag(window) {
                let value = largest & VALUE_MAX;
                extremes[1] = if extremes[1] == NONE {
                    value
                } else {
                    extremes[1].max(value)
                };
            }
        }
        // A reader between the two stores of the first observation saw only one of them.
        match extremes {
            [NONE, only] | [only, NONE] => [only, only],
            both => both,
        }
    }
}

fn tag(window: u64) -> u64 {
    window & TAG_MAX
}

/// Whether `known` is the tag of a window soon after `window`. A writer that slept while windows passed finds one, and must
/// not replace it. Tags wrap, so what is farther ahead is long past.
#[inline]
fn is_later(known: u64, window: u64) -> bool {
    let ahead = known.wrapping_sub(window) & TAG_MAX;
    (1..=SLEPT_WINDOWS_MAX).contains(&ahead)
}

#[inline]
fn raise(cell: &AtomicU64, window: u64, value: u64) {
    let packed = tag(window) << VALUE_BITS | value;
    let mut known = cell.load(Relaxed);
    while if known >> VALUE_BITS == tag(window) {
        known < packed
    } else {
        !is_later(known >> VALUE_BITS, window)
    } {
        match cell.compare_exchange_weak(known, packed, Relaxed, Relaxed) {
            Ok(_) => return,
            Err(other) => known = other,
        }
    }
}

/// Sums, counts and extremes of one family. Cloning shares them.
#[derive(Debug)]
pub struct MinMaxSumCounts<K = usize> {
    slot: Slot,
    extremes: Arc<Extremes>,
    key: PhantomData<fn(K)>,
}

impl<K> Clone for MinMaxSumCounts<K> {
    fn clone(&self) -> Self {
        Self::new(self.slot.clone(), Arc::clone(&self.extremes))
    }
}

impl<K> MinMaxSumCounts<K> {
    pub(crate) fn new(slot: Slot, extremes: Arc<Extremes>) -> Self {
        Self {
            slot,
            extremes,
            key: PhantomData,
        }
    }

    pub(crate) fn from_part(part: Part) -> Self {
        match part.source {
            Source::Extremes(slot, extremes) => Self::new(slot, extremes),
            _ => unreachable!("a min-max-sum-count is declared with extremes"),
        }
    }
}

impl<K: SeriesKey> MinMaxSumCounts<K> {
    /// Records one value in series `key`.
    ///
    /// # Panics
    /// When the family has no such series.
    #[inline]
    pub fn record(&self, key: K, value: u64) {
        let series = key.series();
        self.extremes.record(series, value);
        self.slot.add(series * 4, value);
        self.slot.add(series * 4 + 1, 1);
    }
}

/// Sum, count and extremes of a family without labels. Cloning shares them.
#[derive(Clone, Debug)]
pub struct MinMaxSumCount(MinMaxSumCounts);

impl MinMaxSumCount {
    /// Records one value.
    #[inline]
    pub fn record(&self, value: u64) {
        self.0.record(0, value);
    }
}

impl MetricField for MinMaxSumCount {
    const INSTRUMENT: Instrument = Instrument::MinMaxSumCount;
    const LABELS: &'static [Label] = &[];

    fn attach(part: Part) -> Self {
        Self(MinMaxSumCounts::from_part(part))
    }
}

impl<K: AttributeSet> MetricField for MinMaxSumCounts<K> {
    const INSTRUMENT: Instrument = Instrument::MinMaxSumCount;
    const LABELS: &'static [Label] = K::DESCRIPTOR.labels;

    fn attach(part: Part) -> Self {
        Self::from_part(part)
    }
}

#[cfg(test)]
mod tests;
