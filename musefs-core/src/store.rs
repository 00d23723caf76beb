//! The store: what is known of every track, in `SQLite`.
//!
//! Rows in, rows out: no SQL is written anywhere else, and nothing here reads an audio file or knows how a file is served.
//! The tables are a contract with whoever edits them from outside (`docs/store.md`); triggers keep the sequence numbers right
//! for them, while our own transactions keep the numbers themselves.
//!
//! The invariant: every change of a row takes the next number of one sequence, so a number tells one state of one track from
//! every other that ever was.

mod database;
mod edit;
mod error;
mod ingest;
mod migrations;
mod open;
mod parts;
mod pass;
mod rows;
mod runs;
mod tracks;

use std::path::Path;

pub use self::edit::TrackTags;
pub use self::error::StoreError;
pub use self::ingest::{Finding, Ingested, Reading};
pub use self::migrations::SCHEMA_VERSION;
pub use self::open::log_path;
pub use self::parts::Parts;
pub use self::rows::{Fields, Mark, Pass, Root, Stamp, TrackDetail, TrackFailure, TrackRow};
pub use self::runs::{Counts, KnownTrack, ScanCounts, ScanRun, ScanRunId};
pub use crate::ids::{RootId, TrackId};
pub use crate::layout::BlobId;

use crate::metrics::{QueryKind, StoreMetrics};

use self::database::{Database, Query};

/// One connection to a store. It may be moved to another thread, not shared: who needs several opens several.
#[derive(Debug)]
pub struct Store {
    database: Database,
    id: String,
    read_only: bool,
}

impl Store {
    /// Where the store is.
    pub fn path(&self) -> &Path {
        self.database.path()
    }

    /// The store's own name, 32 hexadecimal digits that were drawn when it was made.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether the store can only be read, by this connection.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// SQL statements that this connection has executed so far, so that work can be asserted. Opening a blob and beginning or
    /// ending a transaction count as one each.
    pub fn statements(&self) -> u64 {
        self.database.statements()
    }

    /// From here on, counts what this connection is asked for, by kind, in `metrics` as well.
    pub fn count_with(&mut self, metrics: &StoreMetrics) {
        self.database.metrics = Some(metrics.clone());
    }

    /// A number that is another one after any other connection has committed a change, and only then.
    pub fn data_version(&self) -> Result<i64, StoreError> {
        self.database
            .query(QueryKind::Version)
            .row("PRAGMA data_version", [], |row| row.get(0))?
            .ok_or_else(|| self.database.corrupt("it has no data_version"))
    }

    /// The highest sequence number that was handed out.
    pub fn sequence(&self) -> Result<i64, StoreError> {
        self.highest_number(&self.database.query(QueryKind::Version))
    }

    fn highest_number(&self, query: &Query<'_>) -> Result<i64, StoreError> {
        query
            .row("SELECT value FROM sequence", [], |row| row.get(0))?
            .ok_or_else(|| self.database.corrupt("the table `sequence` has no row"))
    }
}

/// Bytes that `SQLite` holds in this process.
pub(crate) fn memory_used() -> i64 {
    // SAFETY: the function takes nothing and may be called at any time, by any thread.
    #[expect(
        unsafe_code,
        reason = "the numbers of the allocator have no other interface"
    )]
    unsafe {
        rusqlite::ffi::sqlite3_memory_used()
    }
}

/// Nanoseconds since 1970, for a time that is kept in the store.
pub(crate) fn now_ns() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
        })
}

#[cfg(test)]
mod tests;
