//! What is true of a mount as a whole: looked up just before a snapshot is taken.

use std::time::SystemTime;

use musefs_telemetry::{
    DescribeError, Engine, Family, Gauge, Label, MetricSet, ObserveCounters, metric_set,
};

use crate::log;

/// The gauges of a mount.
#[metric_set(prefix = "musefs")]
#[derive(Clone, Debug)]
pub struct MountGauges {
    /// 1 while the mount is served.
    up: Gauge,
    /// When the mount was made, in seconds since the epoch.
    #[metric(unit = "seconds")]
    start_time: Gauge,
    /// Requests waiting beyond the bound of the pool's queue.
    requests_parked: Gauge,
    /// Lines of the log that were dropped because standard error was not read fast enough.
    log_lines_dropped: ObserveCounters,
}

/// What this program was built with.
const FEATURES: &str = if cfg!(feature = "jemalloc") {
    "jemalloc"
} else {
    ""
};

/// Which program this is, as labels of one value each.
static BUILD_LABELS: [Label; 2] = [
    Label {
        name: "version",
        values: &[env!("CARGO_PKG_VERSION")],
    },
    Label {
        name: "features",
        values: &[FEATURES],
    },
];
static BUILD_INFO: Family = Family::gauge(
    "musefs_build_info",
    "The program that serves the mount: always 1.",
)
.with_labels(&BUILD_LABELS);

impl MountGauges {
    /// Declares them with `engine`, for a mount that was made at `started`.
    ///
    /// # Errors
    /// When a name is taken already.
    pub fn of_mount(engine: &Engine, started: SystemTime) -> Result<Self, DescribeError> {
        let gauges = Self::declare(engine)?;
        gauges.up.set(1);
        let since = started.duration_since(SystemTime::UNIX_EPOCH);
        gauges.start_time.set(since.map_or(0, |since| {
            i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
        }));
        gauges
            .log_lines_dropped
            .observe(|_| log::lines_dropped().cast_signed());
        engine.gauges(&BUILD_INFO)?.set(0, 1);
        Ok(gauges)
    }

    /// Shows the state of a moment.
    pub fn show(&self, requests_parked: u64) {
        self.requests_parked.set(requests_parked.cast_signed());
    }
}
