//! What became of what was sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::describe::{AttributeEnum, DescribeError, Label};
use crate::registry::Engine;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, crate::AttributeEnum)]
#[attribute(name = "signal")]
pub enum Signal {
    /// Data points.
    Metrics,
    /// Operations.
    Spans,
}

/// How a request to a collector ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, crate::AttributeEnum)]
#[attribute(name = "outcome")]
pub enum ExportOutcome {
    /// The collector took all of it.
    Sent,
    /// The collector took a part of it and dropped the rest.
    Partial,
    /// Nobody answered, or not now: it is tried again.
    Retried,
    /// The collector refused it, and it was dropped.
    Refused,
}

/// Counts of an exporter. They are there whether one runs or not.
#[derive(Debug, Default)]
pub struct Stats {
    exports: [[AtomicU64; ExportOutcome::COUNT]; Signal::COUNT],
    dropped: [AtomicU64; Signal::COUNT],
}

impl Stats {
    /// Requests for `signal` that ended so.
    pub fn exports(&self, signal: Signal, outcome: ExportOutcome) -> u64 {
        self.exports[signal as usize][outcome as usize].load(Relaxed)
    }

    /// Data points or spans that never arrived: refused, given up after a long time, or without room to wait.
    pub fn dropped(&self, signal: Signal) -> u64 {
        self.dropped[signal as usize].load(Relaxed)
    }

    pub(super) fn count(&self, signal: Signal, outcome: ExportOutcome) {
        self.exports[signal as usize][outcome as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn drop_some(&self, signal: Signal, items: u64) {
        self.dropped[signal as usize].fetch_add(items, Relaxed);
    }

    /// Declares `PREFIX_otlp_exports_total` and `PREFIX_otlp_dropped_total`.
    ///
    /// # Errors
    /// When a name is no name or taken, or there is no room.
    pub fn declare(self: &Arc<Self>, engine: &Engine, prefix: &str) -> Result<(), DescribeError> {
        fn label<A: AttributeEnum>() -> Label {
            Label {
                name: A::NAME,
                values: A::VALUES,
            }
        }
        let stats = Arc::clone(self);
        engine.observe_total(
            format!("{prefix}_otlp_exports_total"),
            "Requests to an OTLP collector, by what was sent and how that ended.",
            &[label::<Signal>(), label::<ExportOutcome>()],
            move |series| {
                let (signal, outcome) =
                    (series / ExportOutcome::COUNT, series % ExportOutcome::COUNT);
                stats.exports[signal][outcome].load(Relaxed)
            },
        )?;
        let stats = Arc::clone(self);
        engine.observe_total(
            format!("{prefix}_otlp_dropped_total"),
            "Data points and spans that an OTLP collector never got: it refused them, was away for too long, or there was no \
             room to wait.",
            &[label::<Signal>()],
            move |series| stats.dropped[series].load(Relaxed),
        )
    }
}
