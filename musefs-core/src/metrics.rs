//! What the serve path and the scan path count.
//!
//! Every family of this crate that is counted is declared here, once, as a field of [`Metrics`]: its doc comment is its help
//! text. Counting is done by the code that does the work.

use musefs_telemetry::{
    AttributeEnum, Counter, Counters, Family, MetricSet, UpDownCounter, UpDownCounters, metric_set,
};

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

/// Where a served byte came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
#[attribute(name = "source")]
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

/// Why a backing file could not be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, AttributeEnum)]
#[attribute(name = "reason")]
pub enum DarkReason {
    /// The file is gone.
    Missing,
    /// Size, modification time or inode are not what the scan saw.
    Changed,
    /// Opening or reading it fails.
    Unreadable,
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
    /// Rows of the store that refreshes have read.
    pub(crate) refresh_rows: Counter,
    /// Names in the directories that refreshes have made anew.
    pub(crate) refresh_nodes: Counter,
    /// Polls that had to rebuild everything because the store was replaced.
    pub(crate) refresh_gap_fallbacks: Counter,
    /// Open file handles.
    pub(crate) handles_open: UpDownCounter,
    /// Bytes answered to reads, by where they came from.
    #[metric(unit = "bytes")]
    pub(crate) read_bytes: Counters<ByteSource>,
    /// Requests that failed because their backing file could not be served, by reason.
    pub(crate) backing_failures: Counters<DarkReason>,
    /// Listed tracks whose backing file could not be served when it was last tried, by reason.
    pub(crate) tracks_dark: UpDownCounters<DarkReason>,
}

/// The family called `name`, which is one of [`Metrics`]: another name does not compile in a constant.
pub(crate) const fn family(name: &str) -> &'static Family {
    let fields = <Metrics as MetricSet>::DESCRIPTOR.fields;
    let mut index = 0;
    while index < fields.len() {
        if same(fields[index].name, name) {
            return &fields[index];
        }
        index += 1;
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
