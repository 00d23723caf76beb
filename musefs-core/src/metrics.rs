//! What the core counts.
//!
//! Every family of this crate that is counted is declared here or below, once, as a field of a set: its doc comment is its help
//! text. Counting is done by the code that does the work. [`Metrics`] is what serving and scanning count; [`CoreMetrics`] is all
//! that a mount counts.

use std::time::Duration;

use musefs_telemetry::describe::MetricsDescriptor;
use musefs_telemetry::{
    Counter, Counters, DescribeError, Engine, Family, Histogram, MetricSet, UpDownCounter,
    UpDownCounters, metric_set,
};

mod labels;
mod library;
mod refresh;
mod scan;
mod store;

pub use labels::{BackingFailure, ByteSource, DarkReason, ReadPattern, ResolveCause, ServedBytes};
pub use library::LibraryMetrics;
pub use refresh::{PollOutcome, RefreshMetrics, TrackChange};
pub use scan::{LastScanMetrics, ScanFailureReason, ScanOutcome};
pub use store::{QueryKind, StoreMetrics};

/// The serve-path and scan-path counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Backing files opened to serve.
    pub opens: u64,
    /// Metadata calls on backing files.
    pub stats: u64,
    /// Positioned reads of backing files.
    pub preads: u64,
    /// Bytes that those reads returned.
    pub pread_bytes: u64,
    /// Chunks of pictures read from the store.
    pub art_chunks: u64,
    /// Chunks of binary tags read from the store.
    pub binary_tag_chunks: u64,
    /// Files opened by a scan.
    pub scan_opens: u64,
    /// Positioned reads of a scan.
    pub scan_preads: u64,
    /// Bytes read by a scan.
    pub scan_bytes_read: u64,
    /// Reads served wholly from a read-ahead buffer.
    pub readahead_hits: u64,
    /// Reads that went to the backing file although read-ahead was on.
    pub readahead_misses: u64,
}

/// The live counters of one mount or scan.
#[metric_set(prefix = "musefs")]
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Backing files opened to serve them.
    pub(crate) backing_opens: Counter,
    /// Metadata calls on backing files.
    pub(crate) backing_stats: Counter,
    /// Positioned reads of backing files.
    pub(crate) backing_preads: Counter,
    /// Bytes read from backing files.
    #[metric(unit = "bytes")]
    pub(crate) backing_pread_bytes: Counter,
    /// Chunks of pictures read from the store.
    pub(crate) art_chunks: Counter,
    /// Chunks of binary tags read from the store.
    pub(crate) binary_tag_chunks: Counter,
    /// Files opened by scans of this process.
    pub(crate) scan_opens: Counter,
    /// Positioned reads by scans of this process.
    pub(crate) scan_preads: Counter,
    /// Bytes read by scans of this process.
    #[metric(unit = "bytes")]
    pub(crate) scan_bytes: Counter,
    /// Reads served wholly from a read-ahead buffer.
    pub(crate) readahead_hits: Counter,
    /// Reads of backing bytes that no read-ahead buffer held.
    pub(crate) readahead_misses: Counter,
    /// Opens that found their file resolved in the header cache.
    pub(crate) cache_header_hits: Counter,
    /// Opens that had to resolve their file.
    pub(crate) cache_header_misses: Counter,
    /// Resolved files that left the header cache to make room.
    pub(crate) cache_header_evictions: Counter,
    /// Resolved files that left the header cache because their backing file was not what it had been.
    pub(crate) cache_header_stale: Counter,
    /// Open file handles.
    pub(crate) handles_open: UpDownCounter,
    /// Bytes answered to reads, by where they came from and by what the backing file is.
    #[metric(unit = "bytes")]
    pub(crate) read_bytes: Counters<ServedBytes>,
    /// Bytes that each read was answered with; 0 at the end of a file.
    #[metric(unit = "bytes", min = 1 << 9, max = 1 << 20)]
    pub(crate) read_size: Histogram,
    /// Answered reads, by whether they began where the last one on their handle ended (sequential), else in the metadata at the
    /// front or the first 4096 bytes (header), or elsewhere (seek). What the kernel asks for at once may arrive in any order.
    pub(crate) reads: Counters<ReadPattern>,
    /// Time by which reads that had to wait took longer than the sound in their answer lasts. Reads without sound, and of files
    /// of which nobody knows how long they last, are not counted.
    #[metric(unit = "seconds")]
    pub(crate) starved: Counter,
    /// Times that it had to be found out where the bytes of a served file are, also in vain, by cause.
    pub(crate) resolves: Counters<ResolveCause>,
    /// Opens that waited for another request which was just finding that out for the same file, and used what it found. They
    /// are none of the resolves.
    pub(crate) resolves_coalesced: Counter,
    /// Time that finding out where the bytes of served files are took, by cause.
    #[metric(unit = "seconds")]
    pub(crate) resolve: Counters<ResolveCause>,
    /// Requests that failed because their backing file could not be served, by reason.
    pub(crate) backing_failures: Counters<BackingFailure>,
    /// Listed tracks that are not served as they should be, each under one reason: their backing file could not be served when
    /// it was last tried or looked at (missing, changed, unreadable), or the scan could not take it apart, and it is served as it is
    /// (unparsable).
    pub(crate) tracks_dark: UpDownCounters<DarkReason>,
}

/// All that a mount counts in the core.
#[derive(Clone, Debug)]
pub struct CoreMetrics {
    pub(crate) serving: Metrics,
    pub(crate) store: StoreMetrics,
    pub(crate) refresh: RefreshMetrics,
    pub(crate) library: LibraryMetrics,
    pub(crate) last_scan: LastScanMetrics,
}

impl CoreMetrics {
    /// Declares all of it with `engine`. What nobody knows yet is absent.
    ///
    /// # Errors
    /// When a name is taken already or the engine has no room.
    pub fn declare(engine: &Engine) -> Result<Self, DescribeError> {
        let metrics = Self {
            serving: Metrics::declare(engine)?,
            store: StoreMetrics::declare(engine)?,
            refresh: RefreshMetrics::declare(engine)?,
            library: LibraryMetrics::declare(engine)?,
            last_scan: LastScanMetrics::declare(engine)?,
        };
        metrics.store.sqlite_memory.clear();
        metrics.store.store_wal.clear();
        metrics.refresh.last_success_timestamp.clear();
        metrics.refresh.lag.clear();
        metrics.last_scan.show(None);
        Ok(metrics)
    }
}

/// The sets of [`CoreMetrics`].
const SETS: [&MetricsDescriptor; 5] = [
    <Metrics as MetricSet>::DESCRIPTOR,
    <StoreMetrics as MetricSet>::DESCRIPTOR,
    <RefreshMetrics as MetricSet>::DESCRIPTOR,
    <LibraryMetrics as MetricSet>::DESCRIPTOR,
    <LastScanMetrics as MetricSet>::DESCRIPTOR,
];

/// The family called `name`, which is one of [`CoreMetrics`]: another name does not compile in a constant.
pub(crate) const fn family(name: &str) -> &'static Family {
    let mut set = 0;
    while set < SETS.len() {
        let fields = SETS[set].fields;
        let mut index = 0;
        while index < fields.len() {
            if same(fields[index].name, name) {
                return &fields[index];
            }
            index += 1;
        }
        set += 1;
    }
    panic!("no family of this crate has that name");
}

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut index = 0;
    while index < one.len() && index < other.len() && one[index] == other[index] {
        index += 1;
    }
    index == one.len() && index == other.len()
}

/// A duration as seconds are counted: in nanoseconds.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Metrics {
    /// The contract's counters at this moment.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            opens: self.backing_opens.value(),
            stats: self.backing_stats.value(),
            preads: self.backing_preads.value(),
            pread_bytes: self.backing_pread_bytes.value(),
            art_chunks: self.art_chunks.value(),
            binary_tag_chunks: self.binary_tag_chunks.value(),
            scan_opens: self.scan_opens.value(),
            scan_preads: self.scan_preads.value(),
            scan_bytes_read: self.scan_bytes.value(),
            readahead_hits: self.readahead_hits.value(),
            readahead_misses: self.readahead_misses.value(),
        }
    }
}
