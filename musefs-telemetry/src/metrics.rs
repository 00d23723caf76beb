//! Counters, up-down counters and gauges: the handles that code counts with.
//!
//! A handle of a labelled family is addressed with a [`SeriesKey`]: an index, or the label values as an attribute set. Either
//! way that is arithmetic, never a hash.

mod extremes;
mod guards;
mod observed;

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub(crate) use extremes::{Extremes, Windows};
pub use extremes::{MinMaxSumCount, MinMaxSumCounts};
pub use guards::{InFlight, Sampled, SampledTimer};
pub(crate) use observed::Observed;
pub use observed::{ObserveCounters, ObserveGauges};

use crate::cells::{Single, Slot};
use crate::describe::{AttributeSet, Instrument, Label, SeriesKey};
use crate::registry::{Part, Source};

/// What a gauge holds whose value nobody knows; as a value it is told as one that is not there.
pub(crate) const UNKNOWN: i64 = i64::MIN;

/// How many shards [`Counters::per_shard`] tells apart; what further threads counted is in the last one.
pub const MAX_SHARDS: usize = 256;

/// A handle that a field of a metric set can be.
pub trait MetricField: Sized {
    /// How it is written.
    const INSTRUMENT: Instrument;
    /// The labels it is addressed with.
    const LABELS: &'static [Label];

    /// The handle of a family that was declared for it.
    fn attach(part: Part) -> Self;
}

/// The counters of one family. Cloning shares them.
#[derive(Debug)]
pub struct Counters<K = usize> {
    slot: Slot,
    key: PhantomData<fn(K)>,
}

/// Up-down counters of one family: a thread may take away what another added. Cloning shares them.
#[derive(Debug)]
pub struct UpDownCounters<K = usize> {
    slot: Slot,
    key: PhantomData<fn(K)>,
}

/// The gauges of one family that are set. Cloning shares them.
#[derive(Debug)]
pub struct Gauges<K = usize> {
    cells: Arc<[AtomicU64]>,
    key: PhantomData<fn(K)>,
}

/// The counter of a family without labels. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Counter(pub(crate) Single);

/// The up-down counter of a family without labels. Cloning shares it.
#[derive(Clone, Debug)]
pub struct UpDownCounter(UpDownCounters);

/// The gauge of a family without labels. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Gauge(Gauges);

impl<K> Clone for Counters<K> {
    fn clone(&self) -> Self {
        Self::new(self.slot.clone())
    }
}

impl<K> Clone for UpDownCounters<K> {
    fn clone(&self) -> Self {
        Self::new(self.slot.clone())
    }
}

impl<K> Clone for Gauges<K> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.cells))
    }
}

impl<K> Counters<K> {
    pub(crate) fn new(slot: Slot) -> Self {
        Self {
            slot,
            key: PhantomData,
        }
    }
}

impl<K: SeriesKey> Counters<K> {
    /// Counts one event in series `key`.
    ///
    /// # Panics
    /// When the family has no such series.
    #[inline]
    pub fn increment(&self, key: K) {
        self.add(key, 1);
    }

    /// Counts `amount` events in series `key`.
    ///
    /// # Panics
    /// When the family has no such series.
    #[inline]
    pub fn add(&self, key: K, amount: u64) {
        self.slot.add(key.series(), amount);
    }

    /// What series `key` has counted so far, over all threads.
    pub fn value(&self, key: K) -> u64 {
        self.slot.value(key.series())
    }

    /// What series `key` has counted, by shard: threads that ended, threads without a slab, then the living threads. The sum is
    /// [`Counters::value`].
    pub fn per_shard(&self, key: K) -> Vec<u64> {
        shards(&self.slot, key.series())
    }
}

impl Counter {
    /// Counts one event.
    #[inline]
    pub fn increment(&self) {
        self.0.add(1);
    }

    /// Counts `amount` events.
    #[inline]
    pub fn add(&self, amount: u64) {
        self.0.add(amount);
    }

    /// What was counted so far, over all threads.
    pub fn value(&self) -> u64 {
        self.0.value()
    }

    /// The same by shard, as [`Counters::per_shard`] tells it.
    pub fn per_shard(&self) -> Vec<u64> {
        shards(self.0.slot(), 0)
    }
}

fn shards(slot: &Slot, series: usize) -> Vec<u64> {
    let mut shards = slot.shards(series);
    if shards.len() > MAX_SHARDS {
        let rest = shards.split_off(MAX_SHARDS);
        shards[MAX_SHARDS - 1] += rest.iter().sum::<u64>();
    }
    shards
}

impl<K> UpDownCounters<K> {
    pub(crate) fn new(slot: Slot) -> Self {
        Self {
            slot,
            key: PhantomData,
        }
    }
}

impl<K: SeriesKey> UpDownCounters<K> {
    /// Adds `amount`, which may be negative, to series `key`.
    ///
    /// # Panics
    /// When the family has no such series.
    #[inline]
    pub fn add(&self, key: K, amount: i64) {
        self.slot.add(key.series(), amount.cast_unsigned());
    }

    /// The sum over all threads. While threads are between taking and giving back, a momentary sum below zero reads as 0.
    pub fn value(&self, key: K) -> u64 {
        clamp(self.slot.value(key.series())).cast_unsigned()
    }
}

impl UpDownCounter {
    /// Adds `amount`, which may be negative.
    #[inline]
    pub fn add(&self, amount: i64) {
        self.0.add(0, amount);
    }

    /// The sum over all threads; below zero reads as 0.
    pub fn value(&self) -> u64 {
        self.0.value(0)
    }
}

impl<K> Gauges<K> {
    pub(crate) fn new(cells: Arc<[AtomicU64]>) -> Self {
        Self {
            cells,
            key: PhantomData,
        }
    }
}

impl<K: SeriesKey> Gauges<K> {
    /// Replaces the value of series `key`.
    ///
    /// # Panics
    /// When the family has no such series.
    #[inline]
    pub fn set(&self, key: K, value: i64) {
        self.cells[key.series()].store(value.cast_unsigned(), Relaxed);
    }

    /// Takes the value of series `key` away: until it is set again, no reader is told one.
    ///
    /// # Panics
    /// When the family has no such series.
    pub fn clear(&self, key: K) {
        self.set(key, UNKNOWN);
    }

    /// Adds `amount` to series `key`, which has a value. A gauge that many threads change often is better an up-down counter.
    ///
    /// # Panics
    /// When the family has no such series.
    pub fn add(&self, key: K, amount: i64) {
        self.cells[key.series()].fetch_add(amount.cast_unsigned(), Relaxed);
    }

    /// The value of series `key`.
    pub fn value(&self, key: K) -> i64 {
        self.cells[key.series()].load(Relaxed).cast_signed()
    }
}

impl Gauge {
    /// Replaces the value.
    #[inline]
    pub fn set(&self, value: i64) {
        self.0.set(0, value);
    }

    /// Takes the value away: until it is set again, no reader is told one.
    pub fn clear(&self) {
        self.0.clear(0);
    }

    /// Adds `amount` to the value there is.
    pub fn add(&self, amount: i64) {
        self.0.add(0, amount);
    }

    /// The value.
    pub fn value(&self) -> i64 {
        self.0.value(0)
    }
}

/// A wrapped sum as a gauge: below zero is 0.
pub(crate) fn clamp(sum: u64) -> i64 {
    sum.cast_signed().max(0)
}

impl MetricField for Counter {
    const INSTRUMENT: Instrument = Instrument::Counter;
    const LABELS: &'static [Label] = &[];

    fn attach(part: Part) -> Self {
        Self(Single::of(part.slot()))
    }
}

impl<K: AttributeSet> MetricField for Counters<K> {
    const INSTRUMENT: Instrument = Instrument::Counter;
    const LABELS: &'static [Label] = K::DESCRIPTOR.labels;

    fn attach(part: Part) -> Self {
        Self::new(part.slot())
    }
}

impl MetricField for UpDownCounter {
    const INSTRUMENT: Instrument = Instrument::UpDownCounter;
    const LABELS: &'static [Label] = &[];

    fn attach(part: Part) -> Self {
        Self(UpDownCounters::new(part.slot()))
    }
}

impl<K: AttributeSet> MetricField for UpDownCounters<K> {
    const INSTRUMENT: Instrument = Instrument::UpDownCounter;
    const LABELS: &'static [Label] = K::DESCRIPTOR.labels;

    fn attach(part: Part) -> Self {
        Self::new(part.slot())
    }
}

impl MetricField for Gauge {
    const INSTRUMENT: Instrument = Instrument::Gauge;
    const LABELS: &'static [Label] = &[];

    fn attach(part: Part) -> Self {
        Self(Gauges::new(shared(part)))
    }
}

impl<K: AttributeSet> MetricField for Gauges<K> {
    const INSTRUMENT: Instrument = Instrument::Gauge;
    const LABELS: &'static [Label] = K::DESCRIPTOR.labels;

    fn attach(part: Part) -> Self {
        Self::new(shared(part))
    }
}

pub(crate) fn shared(part: Part) -> Arc<[AtomicU64]> {
    match part.source {
        Source::Shared(cells) => cells,
        _ => unreachable!("a gauge is declared with shared cells"),
    }
}

#[cfg(test)]
mod tests;
