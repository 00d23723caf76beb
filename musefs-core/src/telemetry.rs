//! The state of a mount as plain data, and as Prometheus text.
//!
//! The structs here and the names that [`render_prometheus`] writes are a contract with programs outside: they never
//! change. What else is measured stands beside them, in the engine's catalogue, and is written after them.

use crate::metrics::Snapshot;

mod render;

pub use render::{READ_ERRORS, READS_INFLIGHT, StateGauges, render_prometheus, render_served};

/// What the filesystem core holds and does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CoreTelemetry {
    /// Open file handles.
    pub handles_open: u64,
    /// Resolved files in the header cache.
    pub cache_header_entries: u64,
    /// Inline bytes that they hold.
    pub cache_header_bytes: u64,
    /// The header cache's budget in bytes.
    pub cache_header_bytes_max: u64,
    /// Opens that found their file resolved.
    pub cache_header_hits: u64,
    /// Opens that had to resolve their file.
    pub cache_header_misses: u64,
    /// Tracks whose served size is known.
    pub cache_size_entries: u64,
    /// The read-ahead budget in bytes; 0 when read-ahead is off.
    pub readahead_budget_bytes: u64,
    /// Bytes that read-ahead buffers hold.
    pub readahead_charged_bytes: u64,
    /// Live inodes in the published tree.
    pub tree_nodes: u64,
    /// Interned directory paths.
    pub inode_paths: u64,
    /// Bumped by each refresh that changed something.
    pub refresh_generation: u64,
    /// Polls that had to rebuild everything because the store was replaced.
    pub refresh_gap_fallbacks: u64,
    /// Whether the published tree is known to be behind the store.
    pub refresh_needs_rebuild: bool,
}

/// Kernel passthrough: reads that the kernel answers from the backing file itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PassthroughTelemetry {
    /// Whether passthrough is off for this mount.
    pub disabled: bool,
    /// Handles that are served by passthrough.
    pub active: u64,
}

/// What the FUSE edge holds and does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FuseTelemetry {
    /// Seconds since the mount was made.
    pub uptime_seconds: u64,
    /// Foreground reads queued or running.
    pub reads_inflight: u64,
    /// The bound of that.
    pub reads_inflight_max: u64,
    /// Reads answered with an error.
    pub read_errors: u64,
    /// Open directory snapshots.
    pub dir_handles: u64,
    /// The bound of that; further directories are listed without one.
    pub dir_handles_max: u64,
    /// Threads of the pool.
    pub pool_workers: u64,
    /// Pool threads at work.
    pub pool_active: u64,
    /// Jobs waiting for a pool thread.
    pub pool_queued: u64,
    /// `None` where the system has no passthrough.
    pub passthrough: Option<PassthroughTelemetry>,
}

/// The allocator's own statistics, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AllocatorStats {
    /// Allocated by the program.
    pub allocated: u64,
    /// In physical memory.
    pub resident: u64,
    /// In pages that hold allocations.
    pub active: u64,
    /// Kept from the system for later.
    pub retained: u64,
}
