//! Closed sets: operations, counters and gauges as three enums, and one object that counts them all.
//!
//! ```
//! use musefs_telemetry::{AttributeEnum, Completion, Engine, metric_set, stats::Stats};
//!
//! #[derive(Clone, Copy, AttributeEnum)]
//! enum Op {
//!     Read,
//!     Open,
//! }
//!
//! #[metric_set(prefix = "shop", instrument = "counter")]
//! #[derive(Clone, Copy)]
//! enum Counter {
//!     /// Customers that came in.
//!     Customers,
//! }
//!
//! #[metric_set(prefix = "shop", instrument = "gauge")]
//! #[derive(Clone, Copy)]
//! enum Gauge {
//!     /// Customers that are inside.
//!     CustomersInside,
//! }
//!
//! let engine = Engine::new();
//! let stats = Stats::<Op, Counter, Gauge>::declare(&engine, "shop")?;
//! stats.tick_counter(Counter::Customers);
//! stats.incr_gauge(Gauge::CustomersInside);
//! stats.record_op(Op::Read, 1_500, Completion::Ok);
//! assert_eq!(stats.op_total(Op::Read), 1);
//! assert_eq!(Op::ALL.map(Op::name), ["read", "open"]);
//! # Ok::<(), musefs_telemetry::DescribeError>(())
//! ```

use std::marker::PhantomData;
use std::sync::Arc;

use crate::SeriesKey;
use crate::describe::{AttributeEnum, ClosedSet, DescribeError};
use crate::dynamic::DURATION_BUCKETS;
use crate::metrics::{Counter, Gauge, MetricField};
use crate::registry::Engine;
use crate::scope::{Completion, Failure, Failures, Ops};
use crate::snapshot::{Snapshot, Value};

/// The numbers of the operations `O`, the counters `C` and the gauges `G`.
#[derive(Debug)]
pub struct Stats<O, C, G, E = Failure> {
    ops: Arc<Ops<O, E>>,
    counters: Box<[Counter]>,
    gauges: Box<[Gauge]>,
    sets: PhantomData<fn(C, G)>,
}

impl<O, C, G, E> Stats<O, C, G, E>
where
    O: AttributeEnum + SeriesKey,
    C: ClosedSet,
    G: ClosedSet,
    E: Failures,
{
    /// Declares all of them; the operations' names begin with `prefix`.
    ///
    /// # Errors
    /// When a set has the wrong instrument, a name is no name or taken, or there is no room.
    pub fn declare(engine: &Engine, prefix: &str) -> Result<Self, DescribeError> {
        Ok(Self {
            ops: Arc::new(Ops::declare(engine, prefix, DURATION_BUCKETS)?),
            counters: declare_set::<C, Counter>(engine)?,
            gauges: declare_set::<G, Gauge>(engine)?,
            sets: PhantomData,
        })
    }

    /// The operations, for scopes.
    pub fn ops(&self) -> &Arc<Ops<O, E>> {
        &self.ops
    }

    /// Counts an operation that took so long.
    #[inline]
    pub fn record_op(&self, operation: O, duration_ns: u64, completion: Completion) {
        self.ops.record_op(operation, duration_ns, completion);
    }

    /// Counts one event.
    #[inline]
    pub fn tick_counter(&self, counter: C) {
        self.counters[counter.position()].increment();
    }

    /// Counts `amount` events.
    #[inline]
    pub fn add_counter(&self, counter: C, amount: u64) {
        self.counters[counter.position()].add(amount);
    }

    /// Replaces a gauge's value.
    #[inline]
    pub fn set_gauge(&self, gauge: G, value: i64) {
        self.gauges[gauge.position()].set(value);
    }

    /// Adds one to a gauge.
    pub fn incr_gauge(&self, gauge: G) {
        self.gauges[gauge.position()].add(1);
    }

    /// Takes one from a gauge.
    pub fn decr_gauge(&self, gauge: G) {
        self.gauges[gauge.position()].add(-1);
    }

    /// How many `operation`s ended.
    pub fn op_total(&self, operation: O) -> u64 {
        self.ops.total(operation)
    }

    /// How many `operation`s failed, in whatever way.
    pub fn op_errors(&self, operation: O) -> u64 {
        self.ops.errors(operation)
    }

    /// How long `operation`s took, as [`Ops::buckets`] tells it.
    pub fn op_buckets(&self, operation: O) -> Vec<(Option<u64>, u64)> {
        self.ops.buckets(operation)
    }

    /// A quantile of how long `operation`s took, as [`Ops::quantile_ns`] tells it.
    pub fn op_quantile_ns(&self, operation: O, q: f64) -> Option<u64> {
        self.ops.quantile_ns(operation, q)
    }

    /// What was counted.
    pub fn counter(&self, counter: C) -> u64 {
        self.counters[counter.position()].value()
    }

    /// The gauge's value.
    pub fn gauge(&self, gauge: G) -> i64 {
        self.gauges[gauge.position()].value()
    }
}

fn declare_set<S: ClosedSet, F: MetricField>(engine: &Engine) -> Result<Box<[F]>, DescribeError> {
    let mut parts = engine.declare_set(S::DESCRIPTOR, &vec![F::INSTRUMENT; S::COUNT])?;
    Ok(S::ALL.iter().map(|_| F::attach(parts.take())).collect())
}

/// Appends `snapshot` to `text` for a person to read: one line for each series that is not 0, histograms as their count, mean
/// and quantiles, in the unit of the cells.
pub fn dump_text(text: &mut String, snapshot: &Snapshot) {
    use std::fmt::Write as _;

    for metric in snapshot.families() {
        let family = metric.family();
        for (index, value) in metric.series() {
            let line = match value {
                Value::Counter(0) | Value::Gauge(0) | Value::MinMaxSumCount { count: 0, .. } => {
                    continue;
                }
                Value::Counter(value) => value.to_string(),
                Value::Gauge(value) => value.to_string(),
                Value::MinMaxSumCount {
                    sum,
                    count,
                    extremes,
                } => {
                    let (smallest, largest) = extremes.unwrap_or_default();
                    format!(
                        "count {count} mean {} min {smallest} max {largest}",
                        sum / count
                    )
                }
                Value::Histogram(distribution) => {
                    let quantile = |q| distribution.quantile(q).unwrap_or(0);
                    let Some(mean) = distribution.sum().checked_div(distribution.count()) else {
                        continue;
                    };
                    format!(
                        "count {} mean {mean} p50 {} p99 {} p100 {}",
                        distribution.count(),
                        quantile(0.5),
                        quantile(0.99),
                        quantile(1.0),
                    )
                }
            };
            let labels: Vec<_> = family
                .series_labels(index)
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            writeln!(text, "{} {} {line}", family.name, labels.join(","))
                .expect("a String takes whatever is written to it");
        }
    }
}
