//! What the serve path and the scan path count.
//!
//! Every family of this crate is declared here, once; the engine they are declared with is the catalogue that is rendered.
//! Counting is done by the code that does the work.

use musefs_telemetry::{Counter, Counters, DescribeError, Engine, Family, Label, UpDownCounters};

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

/// A counter without labels.
const fn counter(name: &'static str, help: &'static str) -> Family {
    Family::counter(name, help)
}

/// A gauge without labels.
const fn gauge(name: &'static str, help: &'static str) -> Family {
    Family::gauge(name, help)
}

pub(crate) static BACKING_OPENS: Family = counter(
    "musefs_backing_opens_total",
    "Backing files opened to serve them.",
);
pub(crate) static BACKING_STATS: Family = counter(
    "musefs_backing_stats_total",
    "Metadata calls on backing files.",
);
pub(crate) static BACKING_PREADS: Family = counter(
    "musefs_backing_preads_total",
    "Positioned reads of backing files.",
);
pub(crate) static BACKING_PREAD_BYTES: Family = counter(
    "musefs_backing_pread_bytes_total",
    "Bytes read from backing files.",
);
pub(crate) static ART_CHUNKS: Family = counter(
    "musefs_art_chunks_total",
    "Chunks of pictures read from the store.",
);
pub(crate) static BINARY_TAG_CHUNKS: Family = counter(
    "musefs_binary_tag_chunks_total",
    "Chunks of binary tags read from the store.",
);
pub(crate) static SCAN_OPENS: Family = counter(
    "musefs_scan_opens_total",
    "Files opened by scans of this process.",
);
pub(crate) static SCAN_PREADS: Family = counter(
    "musefs_scan_preads_total",
    "Positioned reads by scans of this process.",
);
pub(crate) static SCAN_BYTES: Family = counter(
    "musefs_scan_bytes_total",
    "Bytes read by scans of this process.",
);
pub(crate) static READAHEAD_HITS: Family = counter(
    "musefs_readahead_hits_total",
    "Reads served wholly from a read-ahead buffer.",
);
pub(crate) static READAHEAD_MISSES: Family = counter(
    "musefs_readahead_misses_total",
    "Reads of backing bytes that no read-ahead buffer held.",
);
pub(crate) static CACHE_HEADER_HITS: Family = counter(
    "musefs_cache_header_hits_total",
    "Opens that found their file resolved in the header cache.",
);
pub(crate) static CACHE_HEADER_MISSES: Family = counter(
    "musefs_cache_header_misses_total",
    "Opens that had to resolve their file.",
);
pub(crate) static HANDLES_OPEN: Family = gauge("musefs_handles_open", "Open file handles.");
static CACHE_HEADER_EVICTIONS: Family = counter(
    "musefs_cache_header_evictions_total",
    "Resolved files that left the header cache to make room.",
);

/// Where a served byte came from; the order is that of the `source` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteSource {
    /// Metadata made in memory.
    SynthesizedHeader,
    /// Pictures and binary values in the store.
    Art,
    /// A read-ahead buffer.
    Readahead,
    /// The backing file.
    Backing,
}

static READ_BYTES: Family = Family::counter(
    "musefs_read_bytes_total",
    "Bytes answered to reads, by where they came from.",
)
.with_labels(&[Label {
    name: "source",
    values: &["synthesized_header", "art", "readahead", "backing"],
}]);

/// Why a backing file could not be served; the order is that of the `reason` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DarkReason {
    /// The file is gone.
    Missing,
    /// Size, modification time or inode are not what the scan saw.
    Changed,
    /// Opening or reading it fails.
    Unreadable,
}

impl DarkReason {
    /// All reasons, in label order.
    pub const ALL: [Self; 3] = [Self::Missing, Self::Changed, Self::Unreadable];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        DARK_REASONS[self as usize]
    }
}

const DARK_REASONS: &[&str] = &["missing", "changed", "unreadable"];

static BACKING_FAILURES: Family = Family::counter(
    "musefs_backing_failures_total",
    "Requests that failed because their backing file could not be served, by reason.",
)
.with_labels(&[Label {
    name: "reason",
    values: DARK_REASONS,
}]);

static TRACKS_DARK: Family = Family::gauge(
    "musefs_tracks_dark",
    "Listed tracks whose backing file could not be served when it was last tried, by reason.",
)
.with_labels(&[Label {
    name: "reason",
    values: DARK_REASONS,
}]);

/// The live counters of one mount.
#[derive(Clone, Debug)]
pub struct Metrics {
    engine: Engine,
    pub(crate) opens: Counter,
    pub(crate) stats: Counter,
    pub(crate) preads: Counter,
    pub(crate) pread_bytes: Counter,
    pub(crate) art_chunks: Counter,
    pub(crate) binary_tag_chunks: Counter,
    /// Files opened by a scan.
    pub scan_opens: Counter,
    /// Positioned reads of a scan.
    pub scan_preads: Counter,
    /// Bytes read by a scan.
    pub scan_bytes_read: Counter,
    pub(crate) readahead_hits: Counter,
    pub(crate) readahead_misses: Counter,
    pub(crate) cache_header_hits: Counter,
    pub(crate) cache_header_misses: Counter,
    pub(crate) cache_header_evictions: Counter,
    pub(crate) handles_open: UpDownCounters,
    pub(crate) read_bytes: Counters,
    pub(crate) backing_failures: Counters,
    pub(crate) tracks_dark: UpDownCounters,
}

impl Metrics {
    /// Declares this crate's families with `engine`.
    ///
    /// # Errors
    /// When a name is taken already or the engine has no room.
    pub fn declare(engine: &Engine) -> Result<Self, DescribeError> {
        Ok(Self {
            engine: engine.clone(),
            opens: engine.counter(&BACKING_OPENS)?,
            stats: engine.counter(&BACKING_STATS)?,
            preads: engine.counter(&BACKING_PREADS)?,
            pread_bytes: engine.counter(&BACKING_PREAD_BYTES)?,
            art_chunks: engine.counter(&ART_CHUNKS)?,
            binary_tag_chunks: engine.counter(&BINARY_TAG_CHUNKS)?,
            scan_opens: engine.counter(&SCAN_OPENS)?,
            scan_preads: engine.counter(&SCAN_PREADS)?,
            scan_bytes_read: engine.counter(&SCAN_BYTES)?,
            readahead_hits: engine.counter(&READAHEAD_HITS)?,
            readahead_misses: engine.counter(&READAHEAD_MISSES)?,
            cache_header_hits: engine.counter(&CACHE_HEADER_HITS)?,
            cache_header_misses: engine.counter(&CACHE_HEADER_MISSES)?,
            cache_header_evictions: engine.counter(&CACHE_HEADER_EVICTIONS)?,
            handles_open: engine.up_down_counters(&HANDLES_OPEN)?,
            read_bytes: engine.counters(&READ_BYTES)?,
            backing_failures: engine.counters(&BACKING_FAILURES)?,
            tracks_dark: engine.up_down_counters(&TRACKS_DARK)?,
        })
    }

    /// The engine that these families are declared with.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The contract's counters at this moment.
    pub fn snapshot(&self) -> Snapshot {
        snapshot_of(&self.engine.snapshot())
    }
}

/// The contract's counters out of an engine's snapshot. A family that the engine never declared counted nothing.
pub fn snapshot_of(values: &musefs_telemetry::Snapshot) -> Snapshot {
    let of = |family| values.value(family, 0).unwrap_or(0);
    Snapshot {
        opens: of(&BACKING_OPENS),
        stats: of(&BACKING_STATS),
        preads: of(&BACKING_PREADS),
        pread_bytes: of(&BACKING_PREAD_BYTES),
        art_chunks: of(&ART_CHUNKS),
        binary_tag_chunks: of(&BINARY_TAG_CHUNKS),
        scan_opens: of(&SCAN_OPENS),
        scan_preads: of(&SCAN_PREADS),
        scan_bytes_read: of(&SCAN_BYTES),
        readahead_hits: of(&READAHEAD_HITS),
        readahead_misses: of(&READAHEAD_MISSES),
    }
}
