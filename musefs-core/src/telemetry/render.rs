//! The contract's families as Prometheus text, in the contract's order, and what is served after them.

use std::collections::HashSet;

use musefs_telemetry::encode::prometheus::Writer;
use musefs_telemetry::{DescribeError, Engine, Family, Gauge};

use super::{AllocatorStats, CoreTelemetry, FuseTelemetry, PassthroughTelemetry, Snapshot};
use crate::metrics::family;

/// One line of the contract.
struct Row<T> {
    family: &'static Family,
    /// Where its value is found.
    value: fn(&T) -> u64,
    /// Whether its value is looked up before each snapshot; else code counts it where it happens, and an engine knows.
    is_state: bool,
}

const fn state<T>(family: &'static Family, value: fn(&T) -> u64) -> Row<T> {
    Row {
        family,
        value,
        is_state: true,
    }
}

const fn counted<T>(family: &'static Family, value: fn(&T) -> u64) -> Row<T> {
    Row {
        family,
        value,
        is_state: false,
    }
}

macro_rules! gauges {
    ($($id:ident $name:literal $help:literal)*) => { $(static $id: Family = Family::gauge($name, $help);)* };
}

gauges! {
    UPTIME "musefs_uptime_seconds" "Seconds since the mount was made."
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

/// Reads queued or running: counted by the edge.
pub static READS_INFLIGHT: Family = Family::gauge(
    "musefs_reads_inflight",
    "Foreground reads queued or running.",
);
/// Reads that failed: counted by the edge.
pub static READ_ERRORS: Family =
    Family::counter("musefs_read_errors_total", "Reads answered with an error.");

/// What comes first, from the FUSE edge; `handles_open` of the core stands between its rows.
static EDGE_BEFORE_HANDLES: &[Row<FuseTelemetry>] = &[state(&UPTIME, |fuse| fuse.uptime_seconds)];
static HANDLES: &[Row<CoreTelemetry>] = &[counted(family("musefs_handles_open"), |core| {
    core.handles_open
})];
static EDGE_AFTER_HANDLES: &[Row<FuseTelemetry>] = &[
    counted(&READS_INFLIGHT, |fuse| fuse.reads_inflight),
    state(&READS_INFLIGHT_MAX, |fuse| fuse.reads_inflight_max),
    counted(&READ_ERRORS, |fuse| fuse.read_errors),
    state(&DIR_HANDLES, |fuse| fuse.dir_handles),
    state(&DIR_HANDLES_MAX, |fuse| fuse.dir_handles_max),
    state(&POOL_WORKERS, |fuse| fuse.pool_workers),
    state(&POOL_ACTIVE, |fuse| fuse.pool_active),
    state(&POOL_QUEUED, |fuse| fuse.pool_queued),
];
static CORE: &[Row<CoreTelemetry>] = &[
    state(&CACHE_HEADER_ENTRIES, |core| core.cache_header_entries),
    state(&CACHE_HEADER_BYTES, |core| core.cache_header_bytes),
    state(&CACHE_HEADER_BYTES_MAX, |core| core.cache_header_bytes_max),
    counted(family("musefs_cache_header_hits_total"), |core| {
        core.cache_header_hits
    }),
    counted(family("musefs_cache_header_misses_total"), |core| {
        core.cache_header_misses
    }),
    state(&CACHE_SIZE_ENTRIES, |core| core.cache_size_entries),
    state(&READAHEAD_BUDGET, |core| core.readahead_budget_bytes),
    state(&READAHEAD_CHARGED, |core| core.readahead_charged_bytes),
    state(&TREE_NODES, |core| core.tree_nodes),
    state(&INODE_PATHS, |core| core.inode_paths),
    state(&REFRESH_GENERATION, |core| core.refresh_generation),
    counted(family("musefs_refresh_gap_fallbacks_total"), |core| {
        core.refresh_gap_fallbacks
    }),
    state(&REFRESH_NEEDS_REBUILD, |core| {
        u64::from(core.refresh_needs_rebuild)
    }),
];
static PASSTHROUGH: &[Row<PassthroughTelemetry>] = &[
    state(&PASSTHROUGH_DISABLED, |passthrough| {
        u64::from(passthrough.disabled)
    }),
    state(&PASSTHROUGH_ACTIVE, |passthrough| passthrough.active),
];
static ALLOCATOR: &[Row<AllocatorStats>] = &[
    state(&ALLOC_ALLOCATED, |stats| stats.allocated),
    state(&ALLOC_RESIDENT, |stats| stats.resident),
    state(&ALLOC_ACTIVE, |stats| stats.active),
    state(&ALLOC_RETAINED, |stats| stats.retained),
];
static COUNTERS: &[Row<Snapshot>] = &[
    counted(family("musefs_backing_opens_total"), |counted| {
        counted.opens
    }),
    counted(family("musefs_backing_stats_total"), |counted| {
        counted.stats
    }),
    counted(family("musefs_backing_preads_total"), |counted| {
        counted.preads
    }),
    counted(family("musefs_backing_pread_bytes_total"), |counted| {
        counted.pread_bytes
    }),
    counted(family("musefs_art_chunks_total"), |counted| {
        counted.art_chunks
    }),
    counted(family("musefs_binary_tag_chunks_total"), |counted| {
        counted.binary_tag_chunks
    }),
    counted(family("musefs_scan_opens_total"), |counted| {
        counted.scan_opens
    }),
    counted(family("musefs_scan_preads_total"), |counted| {
        counted.scan_preads
    }),
    counted(family("musefs_scan_bytes_total"), |counted| {
        counted.scan_bytes_read
    }),
    counted(family("musefs_readahead_hits_total"), |counted| {
        counted.readahead_hits
    }),
    counted(family("musefs_readahead_misses_total"), |counted| {
        counted.readahead_misses
    }),
];

fn write_rows<T>(writer: &mut Writer<'_>, rows: &[Row<T>], values: &T) {
    for row in rows {
        writer.single(row.family, (row.value)(values));
    }
}

/// The gauges of the contract that show the state of a moment, in an engine.
#[derive(Debug)]
pub struct StateGauges {
    core: States<CoreTelemetry>,
    fuse: States<FuseTelemetry>,
    passthrough: States<PassthroughTelemetry>,
    allocator: States<AllocatorStats>,
}

/// Gauges, each with where its value is found.
#[derive(Debug)]
struct States<T>(Vec<(Gauge, Value<T>)>);

type Value<T> = fn(&T) -> u64;

impl<T: 'static> States<T> {
    fn declare(
        engine: &Engine,
        rows: impl IntoIterator<Item = &'static Row<T>>,
    ) -> Result<Self, DescribeError> {
        rows.into_iter()
            .filter(|row| row.is_state)
            .map(|row| Ok((engine.gauge(row.family)?, row.value)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    fn show(&self, values: Option<&T>) {
        for (gauge, value) in &self.0 {
            match values {
                Some(values) => gauge.set(value(values).cast_signed()),
                None => gauge.clear(),
            }
        }
    }
}

impl StateGauges {
    /// Declares them with `engine`.
    ///
    /// # Errors
    /// When a name is taken already.
    pub fn declare(engine: &Engine) -> Result<Self, DescribeError> {
        Ok(Self {
            core: States::declare(engine, CORE)?,
            fuse: States::declare(engine, EDGE_BEFORE_HANDLES.iter().chain(EDGE_AFTER_HANDLES))?,
            passthrough: States::declare(engine, PASSTHROUGH)?,
            allocator: States::declare(engine, ALLOCATOR)?,
        })
    }

    /// Shows the state of a moment, which is in every snapshot from here on. Blocks that are `None` are in none.
    pub fn show(
        &self,
        core: &CoreTelemetry,
        fuse: &FuseTelemetry,
        allocator: Option<&AllocatorStats>,
    ) {
        self.core.show(Some(core));
        self.fuse.show(Some(fuse));
        self.passthrough.show(fuse.passthrough.as_ref());
        self.allocator.show(allocator);
    }
}

/// The names of the contract, in its order.
fn names() -> impl Iterator<Item = &'static str> {
    fn of<T>(rows: &'static [Row<T>]) -> impl Iterator<Item = &'static str> {
        rows.iter().map(|row| row.family.name)
    }
    of(EDGE_BEFORE_HANDLES)
        .chain(of(HANDLES))
        .chain(of(EDGE_AFTER_HANDLES))
        .chain(of(CORE))
        .chain(of(PASSTHROUGH))
        .chain(of(ALLOCATOR))
        .chain(of(COUNTERS))
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
    write_rows(&mut writer, EDGE_BEFORE_HANDLES, fuse);
    write_rows(&mut writer, HANDLES, core);
    write_rows(&mut writer, EDGE_AFTER_HANDLES, fuse);
    write_rows(&mut writer, CORE, core);
    if let Some(passthrough) = &fuse.passthrough {
        write_rows(&mut writer, PASSTHROUGH, passthrough);
    }
    if let Some(allocator) = allocator {
        write_rows(&mut writer, ALLOCATOR, allocator);
    }
    if let Some(counters) = counters {
        write_rows(&mut writer, COUNTERS, counters);
    }
    text.push('\n');
    text
}

/// All families of `engine` as Prometheus text, those of the contract first and in its order. Every sample carries the
/// `identity` labels.
pub fn render_served(engine: &musefs_telemetry::Snapshot, identity: &[(String, String)]) -> String {
    let mut text = String::new();
    let mut writer = Writer::new(&mut text, identity);
    for metric in names().filter_map(|name| engine.find(name)) {
        writer.metric(&metric);
    }
    let contract: HashSet<&str> = names().collect();
    for metric in engine.families() {
        if !contract.contains(metric.family().name) {
            writer.metric(&metric);
        }
    }
    text
}

#[cfg(test)]
mod tests;
