//! The contract's families as Prometheus text, in the contract's order, and what is served after them.

use std::collections::HashSet;

use musefs_telemetry::Family;
use musefs_telemetry::encode::prometheus::{PAD_MIN, Writer, pad};

use super::{AllocatorStats, CoreTelemetry, FuseTelemetry, PassthroughTelemetry, Snapshot};
use crate::metrics::family;

/// One line of the contract: a family, and where its value is found.
type Row<T> = (&'static Family, fn(&T) -> u64);

macro_rules! gauges {
    ($($id:ident $name:literal $help:literal)*) => { $(static $id: Family = Family::gauge($name, $help);)* };
}

gauges! {
    UPTIME "musefs_uptime_seconds" "Seconds since the mount was made."
    READS_INFLIGHT "musefs_reads_inflight" "Foreground reads queued or running."
    READS_INFLIGHT_MAX "musefs_reads_inflight_max" "Bound on foreground reads queued or running."
    DIR_HANDLES "musefs_dir_handles" "Open directory snapshots."
    DIR_HANDLES_MAX "musefs_dir_handles_max" "Bound on open directory snapshots; further ones are listed without."
    POOL_WORKERS "musefs_pool_workers" "Threads of the pool that does what may block."
    POOL_ACTIVE "musefs_pool_active" "Pool threads at work."
    POOL_QUEUED "musefs_pool_queued" "Jobs waiting for a pool thread."
    CACHE_HEADER_ENTRIES "musefs_cache_header_entries" "Resolved files in the header cache."
    CACHE_HEADER_BYTES "musefs_cache_header_bytes" "Inline bytes held by the header cache."
    CACHE_HEADER_BYTES_MAX "musefs_cache_header_bytes_max" "Budget of the header cache in bytes."
    CACHE_SIZE_ENTRIES "musefs_cache_size_entries" "Tracks whose served size is known."
    READAHEAD_BUDGET "musefs_readahead_budget_bytes" "Budget of all read-ahead buffers in bytes; 0 when read-ahead is off."
    READAHEAD_CHARGED "musefs_readahead_charged_bytes" "Bytes held by read-ahead buffers."
    TREE_NODES "musefs_tree_nodes" "Live inodes of the published tree."
    INODE_PATHS "musefs_inode_paths" "Interned directory paths."
    REFRESH_GENERATION "musefs_refresh_generation" "Bumped by each refresh that changed something."
    REFRESH_NEEDS_REBUILD "musefs_refresh_needs_rebuild" "1 while the published tree is known to be behind the store."
    PASSTHROUGH_DISABLED "musefs_passthrough_disabled" "1 when kernel passthrough is off for this mount."
    PASSTHROUGH_ACTIVE "musefs_passthrough_active" "Handles that the kernel serves by passthrough."
    ALLOC_ALLOCATED "musefs_alloc_allocated_bytes" "Bytes allocated by the program."
    ALLOC_RESIDENT "musefs_alloc_resident_bytes" "Bytes of the allocator in physical memory."
    ALLOC_ACTIVE "musefs_alloc_active_bytes" "Bytes in pages that hold allocations."
    ALLOC_RETAINED "musefs_alloc_retained_bytes" "Bytes that the allocator keeps for later."
}
static READ_ERRORS: Family =
    Family::counter("musefs_read_errors_total", "Reads answered with an error.");
static REFRESH_GAP_FALLBACKS: Family = Family::counter(
    "musefs_refresh_gap_fallbacks_total",
    "Polls that had to rebuild everything because the store was replaced.",
);

/// What comes first, from the FUSE edge; `handles_open` of the core stands between its rows.
static EDGE_BEFORE_HANDLES: &[Row<FuseTelemetry>] = &[(&UPTIME, |fuse| fuse.uptime_seconds)];
static EDGE_AFTER_HANDLES: &[Row<FuseTelemetry>] = &[
    (&READS_INFLIGHT, |fuse| fuse.reads_inflight),
    (&READS_INFLIGHT_MAX, |fuse| fuse.reads_inflight_max),
    (&READ_ERRORS, |fuse| fuse.read_errors),
    (&DIR_HANDLES, |fuse| fuse.dir_handles),
    (&DIR_HANDLES_MAX, |fuse| fuse.dir_handles_max),
    (&POOL_WORKERS, |fuse| fuse.pool_workers),
    (&POOL_ACTIVE, |fuse| fuse.pool_active),
    (&POOL_QUEUED, |fuse| fuse.pool_queued),
];
static HANDLES: &[Row<CoreTelemetry>] =
    &[(family("musefs_handles_open"), |core| core.handles_open)];
static CORE: &[Row<CoreTelemetry>] = &[
    (&CACHE_HEADER_ENTRIES, |core| core.cache_header_entries),
    (&CACHE_HEADER_BYTES, |core| core.cache_header_bytes),
    (&CACHE_HEADER_BYTES_MAX, |core| core.cache_header_bytes_max),
    (family("musefs_cache_header_hits_total"), |core| {
        core.cache_header_hits
    }),
    (family("musefs_cache_header_misses_total"), |core| {
        core.cache_header_misses
    }),
    (&CACHE_SIZE_ENTRIES, |core| core.cache_size_entries),
    (&READAHEAD_BUDGET, |core| core.readahead_budget_bytes),
    (&READAHEAD_CHARGED, |core| core.readahead_charged_bytes),
    (&TREE_NODES, |core| core.tree_nodes),
    (&INODE_PATHS, |core| core.inode_paths),
    (&REFRESH_GENERATION, |core| core.refresh_generation),
    (&REFRESH_GAP_FALLBACKS, |core| core.refresh_gap_fallbacks),
    (&REFRESH_NEEDS_REBUILD, |core| {
        u64::from(core.refresh_needs_rebuild)
    }),
];
static PASSTHROUGH: &[Row<PassthroughTelemetry>] = &[
    (&PASSTHROUGH_DISABLED, |passthrough| {
        u64::from(passthrough.disabled)
    }),
    (&PASSTHROUGH_ACTIVE, |passthrough| passthrough.active),
];
static ALLOCATOR: &[Row<AllocatorStats>] = &[
    (&ALLOC_ALLOCATED, |stats| stats.allocated),
    (&ALLOC_RESIDENT, |stats| stats.resident),
    (&ALLOC_ACTIVE, |stats| stats.active),
    (&ALLOC_RETAINED, |stats| stats.retained),
];
static COUNTERS: &[Row<Snapshot>] = &[
    (family("musefs_backing_opens_total"), |counted| {
        counted.opens
    }),
    (family("musefs_backing_stats_total"), |counted| {
        counted.stats
    }),
    (family("musefs_backing_preads_total"), |counted| {
        counted.preads
    }),
    (family("musefs_backing_pread_bytes_total"), |counted| {
        counted.pread_bytes
    }),
    (family("musefs_art_chunks_total"), |counted| {
        counted.art_chunks
    }),
    (family("musefs_binary_tag_chunks_total"), |counted| {
        counted.binary_tag_chunks
    }),
    (family("musefs_scan_opens_total"), |counted| {
        counted.scan_opens
    }),
    (family("musefs_scan_preads_total"), |counted| {
        counted.scan_preads
    }),
    (family("musefs_scan_bytes_total"), |counted| {
        counted.scan_bytes_read
    }),
    (family("musefs_readahead_hits_total"), |counted| {
        counted.readahead_hits
    }),
    (family("musefs_readahead_misses_total"), |counted| {
        counted.readahead_misses
    }),
];

/// The contract's counters out of an engine's snapshot. A family that the engine never declared counted nothing.
fn counted(values: &musefs_telemetry::Snapshot) -> Snapshot {
    let of = |family| values.value(family, 0).unwrap_or(0);
    Snapshot {
        opens: of(const { family("musefs_backing_opens_total") }),
        stats: of(const { family("musefs_backing_stats_total") }),
        preads: of(const { family("musefs_backing_preads_total") }),
        pread_bytes: of(const { family("musefs_backing_pread_bytes_total") }),
        art_chunks: of(const { family("musefs_art_chunks_total") }),
        binary_tag_chunks: of(const { family("musefs_binary_tag_chunks_total") }),
        scan_opens: of(const { family("musefs_scan_opens_total") }),
        scan_preads: of(const { family("musefs_scan_preads_total") }),
        scan_bytes_read: of(const { family("musefs_scan_bytes_total") }),
        readahead_hits: of(const { family("musefs_readahead_hits_total") }),
        readahead_misses: of(const { family("musefs_readahead_misses_total") }),
    }
}

/// Writes families and remembers which.
struct Contract<'w, 't> {
    writer: &'w mut Writer<'t>,
    written: HashSet<&'static str>,
}

impl Contract<'_, '_> {
    fn rows<T>(&mut self, rows: &[Row<T>], values: &T) {
        for (family, value) in rows {
            self.writer.single(family, value(values));
            self.written.insert(family.name);
        }
    }

    fn all(
        &mut self,
        core: &CoreTelemetry,
        fuse: &FuseTelemetry,
        allocator: Option<&AllocatorStats>,
        counters: Option<&Snapshot>,
    ) {
        self.rows(EDGE_BEFORE_HANDLES, fuse);
        self.rows(HANDLES, core);
        self.rows(EDGE_AFTER_HANDLES, fuse);
        self.rows(CORE, core);
        if let Some(passthrough) = &fuse.passthrough {
            self.rows(PASSTHROUGH, passthrough);
        }
        if let Some(allocator) = allocator {
            self.rows(ALLOCATOR, allocator);
        }
        if let Some(counters) = counters {
            self.rows(COUNTERS, counters);
        }
    }
}

/// The contract's families as unlabelled Prometheus text: HELP, TYPE and value of each, in a fixed order. Blocks whose
/// `Option` is `None` are left out. The text ends with an empty line.
pub fn render_prometheus(
    core: &CoreTelemetry,
    fuse: &FuseTelemetry,
    allocator: Option<&AllocatorStats>,
    counters: Option<&Snapshot>,
) -> String {
    let mut text = String::new();
    let mut writer = Writer::new(&mut text, &[]);
    let mut contract = Contract {
        writer: &mut writer,
        written: HashSet::new(),
    };
    contract.all(core, fuse, allocator, counters);
    text.push('\n');
    text
}

/// Everything a served metrics file shows.
#[derive(Debug)]
pub struct Served<'a> {
    /// The filesystem core.
    pub core: CoreTelemetry,
    /// The FUSE edge.
    pub fuse: FuseTelemetry,
    /// The allocator, where it tells.
    pub allocator: Option<AllocatorStats>,
    /// All of the engine's families.
    pub engine: &'a musefs_telemetry::Snapshot,
    /// Families without labels whose values are no counters of the engine, with their values.
    pub facts: &'a [(Family, u64)],
    /// The family that tells which program this is, with its label values.
    pub build_info: (&'a Family, &'a [(&'a str, &'a str)]),
}

/// A served metrics file: the contract's families, then all others of the catalogue, then padding to a multiple of 4096
/// bytes that is at least `len_min`, and `# EOF` as the last line. Every sample carries the `identity` labels.
///
/// Padding makes the file's size the same for a long time: a reader that asks for the size of an open file gets that of
/// the newest text, and cuts or fills what it read to that.
pub fn render_served(served: &Served<'_>, identity: &[(String, String)], len_min: usize) -> String {
    const END: &str = "# EOF\n";
    const ROUND: usize = 4096;
    let mut text = String::with_capacity(len_min.max(ROUND));
    let mut writer = Writer::new(&mut text, identity);
    let mut contract = Contract {
        writer: &mut writer,
        written: HashSet::new(),
    };
    let counters = counted(served.engine);
    contract.all(
        &served.core,
        &served.fuse,
        served.allocator.as_ref(),
        Some(&counters),
    );
    let written = contract.written;
    for (family, value) in served.facts {
        writer.single(family, value);
    }
    let (family, labels) = served.build_info;
    writer.header(family);
    writer.sample(family, labels.iter().copied(), 1);
    for metric in served.engine.families() {
        if !written.contains(metric.family().name) {
            writer.metric(&metric);
        }
    }
    let len = (text.len() + PAD_MIN + END.len())
        .next_multiple_of(ROUND)
        .max(len_min);
    pad(&mut text, len - END.len());
    text.push_str(END);
    text
}

#[cfg(test)]
mod tests;
