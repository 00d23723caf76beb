//! Counters of about a nanosecond, described once, read by anybody.
//!
//! ```text
//! describe   Family consts ──────── Engine: one namespace, clashes refused
//! record     cells: one slab of monotone u64 per thread, one writer each, plain load + store
//! read       Snapshot (sum of the slabs) ── encode: Prometheus text
//! ```
//!
//! A writer adds to a cell that only its own thread writes, so an increment takes no lock and shares no cache line. A reader
//! sums the slabs of all threads. Nothing ever zeroes a live cell, so any number of readers coexist.
//!
//! ```
//! use musefs_telemetry::{Engine, Family, Kind, Label, encode::prometheus};
//!
//! static READS: Family = Family {
//!     name: "shop_reads_total",
//!     help: "Reads, by where they were answered.",
//!     kind: Kind::Counter,
//!     labels: &[Label { name: "source", values: &["memory", "disk"] }],
//! };
//!
//! let engine = Engine::new();
//! let reads = engine.counters(&READS)?;
//! reads.add(1, 3);
//!
//! let mut text = String::new();
//! let snapshot = engine.snapshot();
//! let mut writer = prometheus::Writer::new(&mut text, &[]);
//! writer.snapshot(&snapshot);
//! assert!(text.contains("shop_reads_total{source=\"disk\"} 3\n"));
//! # Ok::<(), musefs_telemetry::DescribeError>(())
//! ```

pub mod cells;
pub mod describe;
pub mod encode;
pub mod registry;
pub mod snapshot;

pub use cells::{Counter, Counters, UpDownCounters};
pub use describe::{DescribeError, Family, Kind, Label};
pub use registry::Engine;
pub use snapshot::Snapshot;
