//! Metrics that are named at run time.
//!
//! Registering is idempotent: whoever asks for a name again gets the same metric, with the same number. A clash of kind or
//! unit is an error. When there is no room left, what is counted goes to an overflow series, and a counter tells how many
//! metrics that happened to; nothing panics.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::buckets::Buckets;
use crate::describe::{DescribeError, Family, Instrument, Kind, Unit, intern, is_name};
use crate::histograms::Histogram;
use crate::metrics::{Counter, Gauge, MetricField};
use crate::registry::Engine;

/// The most metrics that an engine takes at run time.
pub const DYNAMIC_MAX: usize = 512;

/// From a microsecond to about a minute.
pub const DURATION_BUCKETS: Buckets = Buckets::powers_of_two(1 << 10, 1 << 36);

static OVERFLOW_COUNTS: Family = Family::counter(
    "telemetry_overflow_total",
    "What was counted by metrics of run time that found no room.",
);
static OVERFLOW_LEVELS: Family = Family::gauge(
    "telemetry_overflow_level",
    "What was set last by a metric of run time that found no room.",
);
static OVERFLOW_VALUES: Family = Family::of(
    "telemetry_overflow_values",
    "What was recorded by histograms of run time that found no room.",
    Kind::Histogram(DURATION_BUCKETS),
);
static OVERFLOWED: Family = Family::counter(
    "telemetry_overflowed_total",
    "Registrations at run time that found no room.",
);

/// What an engine knows of its metrics of run time.
#[derive(Debug, Default)]
pub(crate) struct Dynamic {
    known: HashMap<&'static str, Known>,
    overflow: Option<Overflow>,
}

#[derive(Clone, Debug)]
struct Known {
    id: u32,
    family: &'static Family,
    handle: Handle,
}

#[derive(Clone, Debug)]
enum Handle {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

#[derive(Debug)]
struct Overflow {
    counts: Counter,
    levels: Gauge,
    values: Histogram,
    overflowed: Counter,
}

/// The number of the metrics that found no room.
pub const OVERFLOW_ID: u32 = u32::MAX;

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident, $inner:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name {
            id: u32,
            inner: $inner,
        }

        impl $name {
            /// The metric's number, which is the same for everybody who registers its name; [`OVERFLOW_ID`] when it found no
            /// room.
            pub fn id(&self) -> u32 {
                self.id
            }
        }
    };
}

handle! {
    /// A counter that was named at run time.
    DynCounter, Counter
}
handle! {
    /// A gauge that was named at run time.
    DynGauge, Gauge
}
handle! {
    /// A histogram that was named at run time.
    DynHistogram, Histogram
}

impl DynCounter {
    /// Counts one event.
    #[inline]
    pub fn increment(&self) {
        self.inner.increment();
    }

    /// Counts `amount` events.
    #[inline]
    pub fn add(&self, amount: u64) {
        self.inner.add(amount);
    }

    /// What was counted so far.
    pub fn value(&self) -> u64 {
        self.inner.value()
    }
}

impl DynGauge {
    /// Replaces the value.
    #[inline]
    pub fn set(&self, value: i64) {
        self.inner.set(value);
    }

    /// Adds `amount`.
    pub fn add(&self, amount: i64) {
        self.inner.add(amount);
    }

    /// The value.
    pub fn value(&self) -> i64 {
        self.inner.value()
    }
}

impl DynHistogram {
    /// Sorts `value` into its bucket.
    #[inline]
    pub fn record(&self, value: u64) {
        self.inner.record(value);
    }

    /// How many values were recorded so far.
    pub fn count(&self) -> u64 {
        self.inner.count()
    }

    /// The bounds of all buckets and how many values are in each, the last one without a bound.
    pub fn buckets(&self) -> Vec<(Option<u64>, u64)> {
        self.inner.buckets()
    }

    /// What `q` of all values are not above, within a bucket; `None` when there are none, or `q` is not between 0 and 1.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        self.inner.quantile(q)
    }
}

/// An operation that was named at run time: `BASE_total`, `BASE_errors_total` and `BASE_duration_seconds`.
#[derive(Clone, Debug)]
pub struct DynOp {
    count: DynCounter,
    errors: DynCounter,
    durations: DynHistogram,
}

impl DynOp {
    /// Counts one operation that took so long.
    #[inline]
    pub fn record(&self, duration_ns: u64, failed: bool) {
        self.count.increment();
        if failed {
            self.errors.increment();
        }
        self.durations.record(duration_ns);
    }

    /// The number of the operation's counter.
    pub fn id(&self) -> u32 {
        self.count.id
    }

    /// How many operations there were.
    pub fn total(&self) -> u64 {
        self.count.value()
    }

    /// How many of them failed.
    pub fn errors(&self) -> u64 {
        self.errors.value()
    }

    /// How long they took, in nanoseconds.
    pub fn durations(&self) -> &DynHistogram {
        &self.durations
    }
}

impl Engine {
    /// The counter called `name`, which ends in `_total`.
    ///
    /// # Errors
    /// When the name is not one, or known as something else.
    pub fn register_counter(&self, name: &str, help: &str) -> Result<DynCounter, DescribeError> {
        let family = Family::counter("", "");
        match self.register::<Counter>(name, help, family, Handle::Counter)? {
            (id, Handle::Counter(inner)) => Ok(DynCounter { id, inner }),
            _ => unreachable!("a name that is known as another kind was refused"),
        }
    }

    /// The gauge called `name`.
    ///
    /// # Errors
    /// When the name is not one, or known as something else.
    pub fn register_gauge(&self, name: &str, help: &str) -> Result<DynGauge, DescribeError> {
        let family = Family::gauge("", "");
        match self.register::<Gauge>(name, help, family, Handle::Gauge)? {
            (id, Handle::Gauge(inner)) => Ok(DynGauge { id, inner }),
            _ => unreachable!("a name that is known as another kind was refused"),
        }
    }

    /// The histogram called `name`, which ends with `unit`.
    ///
    /// # Errors
    /// When the name is not one, or known as something else or with other buckets.
    pub fn register_histogram(
        &self,
        name: &str,
        help: &str,
        unit: Unit,
        buckets: Buckets,
    ) -> Result<DynHistogram, DescribeError> {
        let family = Family::of("", "", Kind::Histogram(buckets)).with_unit(unit);
        match self.register::<Histogram>(name, help, family, Handle::Histogram)? {
            (id, Handle::Histogram(inner)) => Ok(DynHistogram { id, inner }),
            _ => unreachable!("a name that is known as another kind was refused"),
        }
    }

    /// The operation called `base`.
    ///
    /// # Errors
    /// When the name is not one, or one of its metrics is known as something else.
    pub fn register_op(&self, base: &str) -> Result<DynOp, DescribeError> {
        Ok(DynOp {
            count: self.register_counter(&format!("{base}_total"), "Operations that were done.")?,
            errors: self
                .register_counter(&format!("{base}_errors_total"), "Operations that failed.")?,
            durations: self.register_histogram(
                &format!("{base}_duration_seconds"),
                "How long operations took.",
                Unit::Seconds,
                DURATION_BUCKETS,
            )?,
        })
    }

    fn register<F: MetricField>(
        &self,
        name: &str,
        help: &str,
        family: Family,
        handle: fn(F) -> Handle,
    ) -> Result<(u32, Handle), DescribeError> {
        let mut dynamic = self.dynamic();
        if let Some(known) = dynamic.known.get(name) {
            let what = if known.family.kind != family.kind {
                "kind"
            } else if known.family.unit != family.unit {
                "unit"
            } else {
                return Ok((known.id, known.handle.clone()));
            };
            let name = name.to_owned();
            return Err(DescribeError::Clash { name, what });
        }
        refuse(name, &family)?;
        self.prepare(&mut dynamic)?;
        let room = dynamic.known.len() < DYNAMIC_MAX;
        let declared = match room
            .then(|| intern(name, help, family, &[], None))
            .flatten()
        {
            None => None,
            Some(family) => match self.single(family) {
                Ok(metric) => Some((family, metric)),
                Err(DescribeError::Exhausted { .. }) => None,
                Err(refused) => return Err(refused),
            },
        };
        let Some((family, metric)) = declared else {
            let overflow = dynamic.overflow.as_ref().expect("was just prepared");
            overflow.overflowed.increment();
            let handle = match F::INSTRUMENT {
                Instrument::Counter => Handle::Counter(overflow.counts.clone()),
                Instrument::Gauge => Handle::Gauge(overflow.levels.clone()),
                _ => Handle::Histogram(overflow.values.clone()),
            };
            return Ok((OVERFLOW_ID, handle));
        };
        let known = Known {
            id: u32::try_from(dynamic.known.len()).expect("there are few of them"),
            family,
            handle: handle(metric),
        };
        dynamic.known.insert(family.name, known.clone());
        Ok((known.id, known.handle))
    }

    /// How many registrations at run time found no room.
    pub fn overflowed(&self) -> u64 {
        let dynamic = self.dynamic();
        dynamic
            .overflow
            .as_ref()
            .map_or(0, |overflow| overflow.overflowed.value())
    }

    /// Declares the overflow series, so that there is room for them when there is none left.
    fn prepare(&self, dynamic: &mut Dynamic) -> Result<(), DescribeError> {
        if dynamic.overflow.is_none() {
            dynamic.overflow = Some(Overflow {
                counts: self.counter(&OVERFLOW_COUNTS)?,
                levels: self.gauge(&OVERFLOW_LEVELS)?,
                values: self.histogram(&OVERFLOW_VALUES)?,
                overflowed: self.counter(&OVERFLOWED)?,
            });
        }
        Ok(())
    }
}

/// Checks a name of run time before anything is kept for it.
fn refuse(name: &str, family: &Family) -> Result<(), DescribeError> {
    let refused = |fault| DescribeError::Refused {
        name: name.to_owned(),
        fault,
    };
    let counts = name.ends_with("_total");
    let unit = family.unit.as_str();
    let says_unit = unit.is_empty() || name.trim_end_matches("_total").ends_with(unit);
    if !is_name(name) {
        Err(refused(crate::describe::Fault::Name))
    } else if counts != (family.kind == Kind::Counter) {
        Err(refused(crate::describe::Fault::Total))
    } else if !says_unit {
        Err(refused(crate::describe::Fault::Unit))
    } else {
        Ok(())
    }
}

/// The engine of the process, for code that nobody hands one to.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(Engine::new)
}

/// Where a call of [`crate::register_op!`] keeps its operation.
#[derive(Debug)]
pub struct OpSite(OnceLock<Option<DynOp>>);

impl OpSite {
    /// A call that was not made yet.
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The operation; `None` when its name is known as something else.
    pub fn get(&self, base: &str) -> Option<&DynOp> {
        self.0
            .get_or_init(|| engine().register_op(base).ok())
            .as_ref()
    }
}

impl Default for OpSite {
    fn default() -> Self {
        Self::new()
    }
}
