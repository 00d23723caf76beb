//! Counters, up-down counters and gauges that count nothing.

use std::sync::Arc;

use super::histograms::Histogram;
use super::registry::Part;
use crate::clock::Clock;
use crate::describe::{AttributeSet, Instrument, Label, SeriesKey};

/// How many shards [`Counters::per_shard`] tells apart.
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

macro_rules! field {
    ($name:ident, $instrument:ident) => {
        impl MetricField for $name {
            const INSTRUMENT: Instrument = Instrument::$instrument;
            const LABELS: &'static [Label] = &[];

            fn attach(_: Part) -> Self {
                Self::empty()
            }
        }
    };
    ($name:ident<K>, $instrument:ident) => {
        impl<K: AttributeSet> MetricField for $name<K> {
            const INSTRUMENT: Instrument = Instrument::$instrument;
            const LABELS: &'static [Label] = K::DESCRIPTOR.labels;

            fn attach(_: Part) -> Self {
                Self::empty()
            }
        }
    };
}
pub(super) use field;

empty! {
    /// The counters of one family.
    Counters<K = usize>
}
empty! {
    /// Up-down counters of one family.
    UpDownCounters<K = usize>
}
empty! {
    /// The gauges of one family that are set.
    Gauges<K = usize>
}
empty! {
    /// Sums, counts and extremes of one family.
    MinMaxSumCounts<K = usize>
}
empty! {
    /// Totals that a callback tells.
    ObserveCounters<K = ()>
}
empty! {
    /// Gauges that a callback tells.
    ObserveGauges<K = ()>
}
empty! {
    /// The counter of a family without labels.
    Counter
}
empty! {
    /// The up-down counter of a family without labels.
    UpDownCounter
}
empty! {
    /// The gauge of a family without labels.
    Gauge
}
empty! {
    /// Sum, count and extremes of a family without labels.
    MinMaxSumCount
}
empty! {
    /// One more in flight.
    InFlight
}
/// A pass that may be timed.
#[derive(Debug)]
pub struct Sampled<'a>(std::marker::PhantomData<&'a ()>);

empty! {
    /// Times one of many passes.
    SampledTimer
}

impl<K: SeriesKey> Counters<K> {
    calls! {
        /// Does nothing.
        fn increment(&self, key: K);
        /// Does nothing.
        fn add(&self, key: K, amount: u64);
        /// 0.
        fn value(&self, key: K) -> u64 = 0;
        /// Nothing.
        fn per_shard(&self, key: K) -> Vec<u64> = Vec::new();
    }
}

impl Counter {
    calls! {
        /// Does nothing.
        fn increment(&self);
        /// Does nothing.
        fn add(&self, amount: u64);
        /// 0.
        fn value(&self) -> u64 = 0;
        /// Nothing.
        fn per_shard(&self) -> Vec<u64> = Vec::new();
    }
}

impl<K: SeriesKey> UpDownCounters<K> {
    calls! {
        /// Does nothing.
        fn add(&self, key: K, amount: i64);
        /// 0.
        fn value(&self, key: K) -> u64 = 0;
        /// Nothing.
        fn in_flight(&self, key: K) -> InFlight = InFlight::empty();
    }
}

impl UpDownCounter {
    calls! {
        /// Does nothing.
        fn add(&self, amount: i64);
        /// 0.
        fn value(&self) -> u64 = 0;
        /// Nothing.
        fn in_flight(&self) -> InFlight = InFlight::empty();
    }
}

impl<K: SeriesKey> Gauges<K> {
    calls! {
        /// Does nothing.
        fn set(&self, key: K, value: i64);
        /// Does nothing.
        fn clear(&self, key: K);
        /// Does nothing.
        fn add(&self, key: K, amount: i64);
        /// 0.
        fn value(&self, key: K) -> i64 = 0;
    }
}

impl Gauge {
    calls! {
        /// Does nothing.
        fn set(&self, value: i64);
        /// Does nothing.
        fn clear(&self);
        /// Does nothing.
        fn add(&self, amount: i64);
        /// 0.
        fn value(&self) -> i64 = 0;
    }
}

impl<K: SeriesKey> MinMaxSumCounts<K> {
    calls! {
        /// Does nothing.
        fn record(&self, key: K, value: u64);
    }
}

impl MinMaxSumCount {
    calls! {
        /// Does nothing.
        fn record(&self, value: u64);
    }
}

impl<K> ObserveCounters<K> {
    calls! {
        /// Does nothing.
        fn observe(&self, callback: impl Fn(usize) -> i64 + Send + Sync + 'static);
    }
}

impl<K> ObserveGauges<K> {
    calls! {
        /// Does nothing.
        fn observe(&self, callback: impl Fn(usize) -> i64 + Send + Sync + 'static);
    }
}

impl SampledTimer {
    /// Nothing.
    pub fn new(_: Counter, _: Histogram, _: Arc<dyn Clock>, _: u64) -> Self {
        Self
    }

    /// Nothing.
    #[inline]
    pub fn start(&self) -> Sampled<'_> {
        Sampled(std::marker::PhantomData)
    }
}

field!(Counter, Counter);
field!(UpDownCounter, UpDownCounter);
field!(Gauge, Gauge);
field!(MinMaxSumCount, MinMaxSumCount);
field!(Counters<K>, Counter);
field!(UpDownCounters<K>, UpDownCounter);
field!(Gauges<K>, Gauge);
field!(MinMaxSumCounts<K>, MinMaxSumCount);
field!(ObserveCounters<K>, ObserveCounter);
field!(ObserveGauges<K>, ObserveGauge);

impl MetricField for ObserveCounters<()> {
    const INSTRUMENT: Instrument = Instrument::ObserveCounter;
    const LABELS: &'static [Label] = &[];

    fn attach(_: Part) -> Self {
        Self::empty()
    }
}

impl MetricField for ObserveGauges<()> {
    const INSTRUMENT: Instrument = Instrument::ObserveGauge;
    const LABELS: &'static [Label] = &[];

    fn attach(_: Part) -> Self {
        Self::empty()
    }
}
