//! What is true of a mount as a whole: looked up just before a snapshot is taken.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use musefs_telemetry::{
    AttributeEnum, Counter, DescribeError, Engine, Family, Gauge, Gauges, Label, MetricSet,
    ObserveCounters, metric_set,
};

use super::connection::{self, ConnectionGauges};
use super::process::ProcessMetrics;
use super::{Operation, nanoseconds};
use crate::health::{State, Verdict};
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
    /// When these numbers were taken, in seconds since the epoch: what to divide differences of counters by.
    #[metric(unit = "seconds")]
    snapshot_timestamp: Gauge,
    /// Requests waiting beyond the bound of the pool's queue.
    requests_parked: Gauge,
    /// How long the oldest request that waits for the pool or is worked on there has been under way; 0 when there is none.
    #[metric(unit = "seconds")]
    oldest_inflight: Gauges<Operation>,
    /// 1 for a directory of the library that could be reached when it was looked at last, 0 for one that could not; absent
    /// where there is no such directory, or the first look at it is not over. They are in the order in which they were
    /// scanned first.
    backing_reachable: Gauges<Root>,
    /// 1 for the state that the mount is in: ok, degraded where something is not served or late, failing where nothing is
    /// served or edits show no more. The file `health` has the reasons.
    health_state: Gauges<State>,
    /// Metrics that were named at run time and found no room; they are counted together.
    series_overflowed: Counter,
    /// Lines of the log that were dropped because standard error was not read fast enough, or could not be written.
    log_lines_dropped: ObserveCounters,
}

/// The directories of the library that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
#[attribute(name = "root")]
#[rustfmt::skip]
#[expect(missing_docs, reason = "they are numbers")]
pub enum Root {
    #[attribute(value = "0")] R0,
    #[attribute(value = "1")] R1,
    #[attribute(value = "2")] R2,
    #[attribute(value = "3")] R3,
    #[attribute(value = "4")] R4,
    #[attribute(value = "5")] R5,
    #[attribute(value = "6")] R6,
    #[attribute(value = "7")] R7,
    #[attribute(value = "8")] R8,
    #[attribute(value = "9")] R9,
    #[attribute(value = "10")] R10,
    #[attribute(value = "11")] R11,
    #[attribute(value = "12")] R12,
    #[attribute(value = "13")] R13,
    #[attribute(value = "14")] R14,
    #[attribute(value = "15")] R15,
}

/// What is true at a moment and counted nowhere.
#[derive(Debug)]
pub struct Moment<'a> {
    /// Requests waiting beyond the bound of the pool's queue.
    pub requests_parked: u64,
    /// How long the oldest waiting request of each operation has been under way.
    pub oldest_inflight: [Duration; Operation::COUNT],
    /// Whether each root can be reached.
    pub roots: &'a [Option<bool>],
    /// How the mount is.
    pub health: &'a Verdict,
}

/// What this program was built with.
const FEATURES: &str = if cfg!(feature = "jemalloc") {
    "jemalloc"
} else {
    ""
};

/// Which program this is, as labels of one value each.
static BUILD_LABELS: [Label; 3] = [
    Label {
        name: "version",
        values: &[env!("CARGO_PKG_VERSION")],
    },
    Label {
        name: "commit",
        values: &[env!("MUSEFS_COMMIT")],
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

/// All that is looked up just before a snapshot is taken.
#[derive(Debug)]
pub struct Mount {
    engine: Engine,
    gauges: MountGauges,
    process: ProcessMetrics,
    connection: ConnectionGauges,
    /// What the kernel tells of the connection, once that is there.
    connection_directory: OnceLock<PathBuf>,
}

impl Mount {
    /// Declares it with `engine`, for a mount that was made at `started`.
    ///
    /// # Errors
    /// When a name is taken already.
    pub fn of_mount(engine: &Engine, started: SystemTime) -> Result<Self, DescribeError> {
        let gauges = MountGauges::declare(engine)?;
        gauges.up.set(1);
        gauges.start_time.set(since_the_epoch(started));
        gauges
            .log_lines_dropped
            .observe(|_| log::lines_dropped().cast_signed());
        engine.gauges(&BUILD_INFO)?.set(0, 1);
        let process = ProcessMetrics::declare(engine)?;
        process.observe();
        Ok(Self {
            gauges,
            process,
            connection: ConnectionGauges::declare(engine)?,
            connection_directory: OnceLock::new(),
            engine: engine.clone(),
        })
    }

    /// From here on the kernel's side of the mount is that of the mount with this device number.
    pub fn mounted_as(&self, device: u64) {
        self.connection_directory
            .get_or_init(|| connection::directory(device));
    }

    /// Shows the state of a moment.
    pub fn show(&self, moment: &Moment<'_>) {
        let gauges = &self.gauges;
        gauges
            .snapshot_timestamp
            .set(since_the_epoch(SystemTime::now()));
        gauges
            .requests_parked
            .set(moment.requests_parked.cast_signed());
        for operation in Operation::ALL {
            let oldest = nanoseconds(moment.oldest_inflight[operation as usize]);
            gauges.oldest_inflight.set(operation, oldest.cast_signed());
        }
        for root in Root::ALL {
            match moment.roots.get(root as usize).copied().flatten() {
                Some(reachable) => gauges.backing_reachable.set(root, reachable.into()),
                None => gauges.backing_reachable.clear(root),
            }
        }
        for state in State::ALL {
            let is_it = state == moment.health.state;
            gauges.health_state.set(state, is_it.into());
        }
        let overflowed = &gauges.series_overflowed;
        overflowed.add(self.engine.overflowed().saturating_sub(overflowed.value()));
        self.process.show();
        self.connection
            .show(self.connection_directory.get().map(PathBuf::as_path));
    }
}

/// In nanoseconds.
fn since_the_epoch(time: SystemTime) -> i64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
        })
}
