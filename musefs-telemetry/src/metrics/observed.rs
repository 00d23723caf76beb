//! Values that nobody writes: a callback tells them when somebody reads.
//!
//! A callback runs on the reader's thread, outside of all locks of the engine, so it may count. It must not read its own
//! engine, which would call it again. One that panics leaves the value as it was.

use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use super::MetricField;
use crate::describe::{AttributeSet, Instrument, Label};
use crate::registry::{Part, Source};

type Callback = Arc<dyn Fn(usize) -> i64 + Send + Sync>;

/// The callback of a family, and what it told last.
pub(crate) struct Observed {
    callback: RwLock<Option<Callback>>,
    last: Box<[AtomicU64]>,
    grows: bool,
}

impl fmt::Debug for Observed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Observed")
            .field("last", &self.last)
            .finish_non_exhaustive()
    }
}

impl Observed {
    pub(crate) fn new(series: usize, grows: bool) -> Self {
        Self {
            callback: RwLock::new(None),
            last: (0..series).map(|_| AtomicU64::new(0)).collect(),
            grows,
        }
    }

    /// The value of each series now. A total that falls is kept at its highest: no reader sees a counter fall.
    pub(crate) fn read(&self, into: &mut [u64]) {
        let callback = self
            .callback
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for (series, (value, last)) in into.iter_mut().zip(&self.last).enumerate() {
            let told = callback
                .as_ref()
                .and_then(|callback| catch_unwind(AssertUnwindSafe(|| callback(series))).ok());
            *value = match told {
                None => last.load(Relaxed),
                Some(told) if self.grows => {
                    let told = u64::try_from(told).unwrap_or(0);
                    last.fetch_max(told, Relaxed).max(told)
                }
                Some(told) => {
                    last.store(told.cast_unsigned(), Relaxed);
                    told.cast_unsigned()
                }
            };
        }
    }

    fn observe(&self, callback: Callback) {
        *self
            .callback
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(callback);
    }
}

fn observed(part: Part) -> Arc<Observed> {
    match part.source {
        Source::Observed(observed) => observed,
        _ => unreachable!("an observed family is declared with a callback"),
    }
}

macro_rules! observe {
    ($(#[$doc:meta])* $name:ident, $instrument:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<K = ()> {
            observed: Arc<Observed>,
            key: PhantomData<fn(K)>,
        }

        impl<K> Clone for $name<K> {
            fn clone(&self) -> Self {
                Self { observed: Arc::clone(&self.observed), key: PhantomData }
            }
        }

        impl<K> $name<K> {
            pub(crate) fn from_part(part: Part) -> Self {
                Self { observed: observed(part), key: PhantomData }
            }

            /// From here on `callback` tells the value of the series with the index it is given.
            pub fn observe(&self, callback: impl Fn(usize) -> i64 + Send + Sync + 'static) {
                self.observed.observe(Arc::new(callback));
            }
        }

        impl MetricField for $name<()> {
            const INSTRUMENT: Instrument = $instrument;
            const LABELS: &'static [Label] = &[];

            fn attach(part: Part) -> Self {
                Self::from_part(part)
            }
        }

        impl<K: AttributeSet> MetricField for $name<K> {
            const INSTRUMENT: Instrument = $instrument;
            const LABELS: &'static [Label] = K::DESCRIPTOR.labels;

            fn attach(part: Part) -> Self {
                Self::from_part(part)
            }
        }
    };
}

observe! {
    /// Totals that a callback tells. Cloning shares them.
    ObserveCounters, Instrument::ObserveCounter
}
observe! {
    /// Gauges that a callback tells. Cloning shares them.
    ObserveGauges, Instrument::ObserveGauge
}
