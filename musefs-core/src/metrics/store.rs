//! What asking the store costs a mount.

use musefs_telemetry::{AttributeEnum, Counters, Gauge, metric_set};

/// What a statement asks the store for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
#[attribute(name = "kind")]
pub enum QueryKind {
    /// The row of one track.
    Track,
    /// Its tags.
    Tags,
    /// Its pictures and kept items.
    Parts,
    /// Bytes of a picture or a binary value.
    Blob,
    /// All tracks, or named ones, with the tags that their paths need.
    Tracks,
    /// What changed since the last time, with the tags that the paths need.
    Changes,
    /// How far the store has come.
    Version,
    /// The scanned directories.
    Roots,
    /// Changes by musefs itself, the wait for their turn included.
    Write,
    /// Anything else.
    Other,
}

/// What the connections of a mount do, and what `SQLite` holds for them.
#[metric_set(prefix = "musefs")]
#[derive(Clone, Debug)]
pub struct StoreMetrics {
    /// Statements that the mount ran on its connections to the store once they were open, by what they asked for. Beginning
    /// and ending a transaction count as one each.
    pub(crate) store_queries: Counters<QueryKind>,
    /// Time that statements on the store took, from asking until the last row was taken, by what they asked for.
    #[metric(unit = "seconds")]
    pub(crate) store_query: Counters<QueryKind>,
    /// Memory that the database engine held in this process when the store was last polled.
    #[metric(unit = "bytes")]
    pub(crate) sqlite_memory: Gauge,
    /// Length of the store's write-ahead log when the store was last polled; 0 where there is none.
    #[metric(unit = "bytes")]
    pub(crate) store_wal: Gauge,
}
