//! Histograms that sort nothing.

use super::metrics::{MetricField, field};
use super::registry::Part;
pub use crate::buckets::Buckets;
use crate::describe::{AttributeSet, Instrument, Label, SeriesKey};

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
        fn record_with_exemplar(&self, key: K, value: u64, request_id: u64, wall_ms: u64);
    }
}

impl Histogram {
    calls! {
        /// Does nothing.
        fn record(&self, value: u64);
    }
}

field!(Histogram, Histogram);
field!(Histograms<K>, Histogram);
