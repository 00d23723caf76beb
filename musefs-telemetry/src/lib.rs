//! Counters of about a nanosecond, described once, read by anybody.
//!
//! ```text
//! describe   Family consts, metric sets, label enums, names of run time ── Engine: one namespace, clashes refused, schema()
//!                │
//! record     cells: one slab of monotone u64 per thread, one writer each, plain load + store
//!            counters, up-down counters, gauges, extremes, histograms; scopes: one end each, one pair of clock reads
//!                │                                                             └─ Events: tiers, then the one completion
//!                │                                                                ├─ handlers in line, or later by a queue
//!                │                                                                └─ kept: the last, the failed, the slow
//! read       Snapshot (sum of the slabs) ─ Cursor (this reader's baseline) ─ Batch, commit or drop ─ Reporter
//!            encoders: Prometheus text, OpenMetrics, JSON   ×   a string of the caller's, HTTP
//! ```
//!
//! A writer adds to a cell that only its own thread writes, so an increment takes no lock and shares no cache line. A reader
//! sums the slabs of all threads. Nothing ever zeroes a live cell, so any number of readers coexist.
//!
//! Where to look: [`metric_set`] and [`MetricSet`] to declare, [`metrics`] and [`histograms`] to count, [`Ops`] and [`scope`] for
//! operations, [`events`] to hear of them one by one, [`logging`] to
//! say what happened, [`stats`] for closed sets, [`dynamic`] for names of run time,
//! [`busiest`] for the values of a label that nobody knows beforehand, [`cursor`] and [`report`] to read, [`encode`] for
//! texts.
//!
//! # Where to find what you know
//!
//! | what it is called or does elsewhere | here |
//! |---|---|
//! | closed enums of operations, counters and gauges, with `ALL`, `COUNT` and `name()` | derive [`AttributeEnum`] for operations, `#[metric_set(prefix, instrument)]` on an enum for the others |
//! | `record_op`, `tick_counter`, `add_counter`, `set_gauge`, `incr_gauge`, `decr_gauge` as free functions | methods of [`stats::Stats`], so that two instances never mix |
//! | an operation's total, errors, buckets, quantile | `op_total`, `op_errors`, `op_buckets`, `op_quantile_ns` of [`stats::Stats`] |
//! | metrics that are registered under a name | `register_counter`, `register_gauge`, `register_histogram` and `register_op` of [`Engine`]; [`register_op!`] for a literal name |
//! | a page of numbers for people | [`stats::dump_text`] |
//! | an exporter that blocks its thread | `http::serve_blocking` |
//! | shards or per-core cells that stay visible | `per_shard` of [`Counters`], up to [`metrics::MAX_SHARDS`] |
//! | a derived set of metrics, of attributes | [`metric_set`], [`attribute_set`] |
//! | descriptors of sets and their fields | [`describe::MetricsDescriptor`], [`describe::MetricsField`], [`describe::AttributesDescriptor`] |
//! | flush, which resets | [`Batch::commit`]: this reader's place moves, no cell is zeroed |
//! | a collector and a reporter over a queue | [`report::Collector`], [`report::Reporter`] |
//! | a request id that follows a future, a job | [`WithRequestId`], [`Ctx::enter`](scope::Ctx::enter) |
//! | tiers, outcomes, a fallback | [`scope::Scope::tier`], [`Outcome`], [`scope::Tier::fallback`] |
//! | a handler of events, `on_tier_event` and `on_operation_complete` | [`EventHandler`], with [`Events::subscribe`] or `event_handler` of the builder; it never sees an operation without an outcome |
//! | what the fields of an event are called | [`fields`] |
//! | coalesced requests, background work | [`Ctx::follows`](scope::Ctx::follows) and [`Ctx::triggers`](scope::Ctx::triggers) |
//! | a log of operations, of slow ones, of failures | [`Events::recent`], [`Events::slow`] and [`Events::failed`], which are kept whether anybody listens or not |
//! | event macros with names that the compiler checks | [`event_debug!`], [`event_info!`], [`event_warn!`], [`event_error!`] |
//! | providers of a context: silent, console at once or behind a queue, own pipeline | [`logging::Providers`]; what telemetry says of itself is never queued ([`logging::InternalMode`]) |
//! | `RUST_LOG` | `filter_from_environment` of [`logging::ProvidersBuilder`] |
//! | lines and spans of `tracing` | features `logs` (`events::LogHandler`) and `tracing`; example `telemetry_subscriber` |
//! | a summary of each operation | example `telemetry_accumulator` |
//! | a stopwatch | [`Scope`] for operations, [`metrics::SampledTimer`] for paths that are shorter than reading a clock |
//! | one more in flight, until dropped | `in_flight` of [`UpDownCounter`] |
//!
//! Features: `stats` (default) counts; without it every type is empty and every call vanishes. `http` serves the texts.
//! `logs` has operations as lines of `tracing`, `tracing` as nested spans.
//!
//! ```
//! use musefs_telemetry::{Engine, Family, Label, encode::prometheus};
//!
//! static READS: Family = Family::counter("shop_reads_total", "Reads, by where they were answered.")
//!     .with_labels(&[Label { name: "source", values: &["memory", "disk"] }]);
//!
//! let engine = Engine::new();
//! let reads = engine.counters(&READS)?;
//! reads.add(1, 3);
//!
//! let mut text = String::new();
//! let snapshot = engine.snapshot();
//! let mut writer = prometheus::Writer::new(&mut text, &[]);
//! writer.snapshot(&snapshot);
//! # #[cfg(feature = "stats")]
//! assert!(text.contains("shop_reads_total{source=\"disk\"} 3\n"));
//! # Ok::<(), musefs_telemetry::DescribeError>(())
//! ```

extern crate self as musefs_telemetry;

mod buckets;
#[cfg(feature = "stats")]
pub mod busiest;
// A model explores the cells alone.
#[cfg(any(feature = "stats", loom))]
pub mod cells;
pub mod clock;
#[cfg(feature = "stats")]
pub mod cursor;
pub mod describe;
#[cfg(feature = "stats")]
pub mod dynamic;
pub mod encode;
mod event;
#[cfg(feature = "stats")]
pub mod events;
#[cfg(feature = "stats")]
pub mod histograms;
#[cfg(feature = "http")]
pub mod http;
mod logged;
#[cfg(feature = "stats")]
pub mod logging;
#[cfg(feature = "stats")]
pub mod metrics;
mod outcome;
#[cfg(doctest)]
mod refused;
#[cfg(feature = "stats")]
pub mod registry;
#[cfg(feature = "stats")]
pub mod report;
#[cfg(feature = "stats")]
mod schema;
#[cfg(feature = "stats")]
pub mod scope;
#[cfg(feature = "stats")]
pub mod snapshot;
#[cfg(feature = "stats")]
pub mod stats;

#[cfg(not(feature = "stats"))]
mod off;
#[cfg(not(feature = "stats"))]
pub use off::{
    busiest, cursor, dynamic, events, histograms, logging, metrics, registry, report, scope,
    snapshot, stats,
};

pub use busiest::Busiest;
pub use cursor::{Batch, Cursor, Temporality};
pub use describe::{
    AttributeEnum, AttributeSet, ClosedSet, DescribeError, Family, Instrument, Kind, Label,
    SeriesKey, Stability, Unit,
};
pub use event::RequestId;
pub use events::{EventHandler, Events, OperationEvent, Subscription, TierEvent, fields};
pub use histograms::{Buckets, Histogram, Histograms};
pub use metrics::{
    Counter, Counters, Gauge, Gauges, MetricField, MinMaxSumCount, MinMaxSumCounts,
    ObserveCounters, ObserveGauges, UpDownCounter, UpDownCounters,
};
pub use musefs_telemetry_macros::{AttributeEnum, attribute_set, metric_set};
pub use registry::{Engine, MetricSet};
pub use scope::{Completion, Ctx, Ops, OpsSeries, Outcome, Scope, Tier, WithRequestId};
pub use snapshot::Snapshot;
