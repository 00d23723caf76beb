//! Histograms that sort nothing.

use super::metrics::{MetricField, field};
use super::registry::Part;
pub use crate::buckets::{Buckets, TextBounds};
use crate::describe::{AttributeSet, Instrument, Label, SeriesKey};
use crate::event::RequestId;

empty! {
    /// The histograms of one family.
    Histograms<K = usize>
}
empty! {
    /// The histogram of a family without labels.
    Histogram
}

impl<K: SeriesKey> Histograms<K> {
    calls! {
        /// Does nothing.
        fn record(&self, key: K, value: u64);
        /// Does nothing.
        fn record_with_exemplar(&self, key: K, value: u64, request: RequestId, wall_ms: u64);
        /// 0.
        fn count(&self, key: K) -> u64 = 0;
        /// None.
        fn buckets(&self, key: K) -> Vec<(Option<u64>, u64)> = Vec::new();
        /// Nothing.
        fn quantile(&self, key: K, q: f64) -> Option<u64> = None;
    }
}

impl Histogram {
    calls! {
        /// Does nothing.
        fn record(&self, value: u64);
        /// 0.
        fn count(&self) -> u64 = 0;
        /// None.
        fn buckets(&self) -> Vec<(Option<u64>, u64)> = Vec::new();
        /// Nothing.
        fn quantile(&self, q: f64) -> Option<u64> = None;
    }
}

field!(Histogram, Histogram);
field!(Histograms<K>, Histogram);
