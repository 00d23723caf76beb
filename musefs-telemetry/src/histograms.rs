//! Histograms: two plain stores for each value, one in its bucket and one in the sum. The count is the sum of the buckets,
//! so it cannot differ from them.

mod distribution;
mod exemplar;

use std::marker::PhantomData;
use std::sync::Arc;

pub use distribution::Distribution;
pub use exemplar::Exemplar;
pub(crate) use exemplar::Exemplars;

use crate::buckets::Layout;
pub use crate::buckets::{Buckets, TextBounds};
use crate::cells::Slot;
use crate::describe::{AttributeSet, Instrument, Kind, Label, SeriesKey};
use crate::event::RequestId;
use crate::metrics::MetricField;
use crate::registry::{Part, Source};

/// The histograms of one family. Cloning shares them.
#[derive(Debug)]
pub struct Histograms<K = usize> {
    slot: Slot,
    buckets: Buckets,
    layout: Layout,
    /// Cells of one series: its buckets, then the sum.
    stride: usize,
    exemplars: Arc<Exemplars>,
    key: PhantomData<fn(K)>,
}

impl<K> Clone for Histograms<K> {
    fn clone(&self) -> Self {
        Self {
            slot: self.slot.clone(),
            exemplars: Arc::clone(&self.exemplars),
            ..*self
        }
    }
}

impl<K> Histograms<K> {
    pub(crate) fn from_part(part: Part) -> Self {
        let (Source::Histogram(slot, exemplars), Kind::Histogram(buckets)) =
            (part.source, part.family.kind)
        else {
            unreachable!("a histogram is declared with buckets")
        };
        Self {
            slot,
            buckets,
            layout: Layout::new(buckets),
            stride: buckets.len() + 1,
            exemplars,
            key: PhantomData,
        }
    }
}

impl<K> Histograms<K> {
    pub(crate) fn slot(&self) -> &Slot {
        &self.slot
    }

    pub(crate) fn exemplars(&self) -> &Exemplars {
        &self.exemplars
    }

    /// The bucket of `value`.
    #[inline]
    pub(crate) fn bucket(&self, value: u64) -> usize {
        self.layout.index(value)
    }

    /// Shows `look` what a series recorded so far.
    pub(crate) fn read<T>(&self, series: usize, look: impl FnOnce(Distribution<'_>) -> T) -> T {
        let values = self.slot.values(series * self.stride, self.stride);
        look(Distribution::new(self.buckets, &values))
    }

    /// What one value adds to the cells: one to its bucket, itself to the sum.
    #[inline]
    pub(crate) fn amounts(&self, series: usize, value: u64) -> [(usize, u64); 2] {
        let first = series * self.stride;
        [
            (first + self.layout.index(value), 1),
            (first + self.stride - 1, value),
        ]
    }
}

impl<K: SeriesKey> Histograms<K> {
    /// Sorts `value` into its bucket of series `key`.
    ///
    /// # Panics
    /// When the family has no such series.
    #[inline]
    pub fn record(&self, key: K, value: u64) {
        self.slot.add_each(self.amounts(key.series(), value));
    }

    /// The same, and keeps `value` as an example of its bucket, of this request. When another thread is just keeping one, that
    /// one stays.
    ///
    /// # Panics
    /// When the family has no such series.
    pub fn record_with_exemplar(&self, key: K, value: u64, request: RequestId, wall_ms: u64) {
        let series = key.series();
        self.slot.add_each(self.amounts(series, value));
        let exemplar = Exemplar {
            request,
            value,
            wall_ms,
        };
        self.exemplars.keep(series, self.bucket(value), exemplar);
    }

    /// How many values series `key` recorded so far, over all threads.
    ///
    /// # Panics
    /// When the family has no such series.
    pub fn count(&self, key: K) -> u64 {
        self.read(key.series(), |distribution| distribution.count())
    }

    /// The buckets of series `key`, as [`Distribution::buckets`] tells them.
    ///
    /// # Panics
    /// When the family has no such series.
    pub fn buckets(&self, key: K) -> Vec<(Option<u64>, u64)> {
        self.read(key.series(), |distribution| {
            distribution.buckets().collect()
        })
    }

    /// A quantile of series `key`, as [`Distribution::quantile`] tells it.
    ///
    /// # Panics
    /// When the family has no such series.
    pub fn quantile(&self, key: K, q: f64) -> Option<u64> {
        self.read(key.series(), |distribution| distribution.quantile(q))
    }
}

/// The histogram of a family without labels. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Histogram(pub(crate) Histograms);

impl Histogram {
    /// Sorts `value` into its bucket.
    #[inline]
    pub fn record(&self, value: u64) {
        self.0.record(0, value);
    }

    /// How many values were recorded so far, over all threads.
    pub fn count(&self) -> u64 {
        self.0.count(0)
    }

    /// The buckets, as [`Distribution::buckets`] tells them.
    pub fn buckets(&self) -> Vec<(Option<u64>, u64)> {
        self.0.buckets(0)
    }

    /// A quantile, as [`Distribution::quantile`] tells it.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        self.0.quantile(0, q)
    }
}

impl MetricField for Histogram {
    const INSTRUMENT: Instrument = Instrument::Histogram;
    const LABELS: &'static [Label] = &[];

    fn attach(part: Part) -> Self {
        Self(Histograms::from_part(part))
    }
}

impl<K: AttributeSet> MetricField for Histograms<K> {
    const INSTRUMENT: Instrument = Instrument::Histogram;
    const LABELS: &'static [Label] = K::DESCRIPTOR.labels;

    fn attach(part: Part) -> Self {
        Self::from_part(part)
    }
}
