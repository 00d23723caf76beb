//! Roots, what a scan knows before it starts, and the record of scans.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rusqlite::types::ValueRef;

use super::rows::{Root, Stamp, TrackFailure};
use super::tracks::{complaints, decoded, is_current, text};
use super::{RootId, Store, StoreError, TrackId};
use crate::formats::{Format, PROBE_VERSION, Structure};
use crate::metrics::QueryKind;

/// Records of scans that are kept; older ones go when a new scan begins.
const SCAN_RUNS_KEPT_MAX: i64 = 1000;

/// Identifies the record of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanRunId(pub i64);

/// What a scan needs of a row to tell whether its file is still the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownTrack {
    /// The row.
    pub id: TrackId,
    /// The file's path from its root, in bytes.
    pub path: Vec<u8>,
    /// The file when it was last read.
    pub stamp: Stamp,
    /// Whether this version's probe read it, and nobody asked for it to be read again.
    pub is_current: bool,
    /// What somebody wrote into the row that this program cannot read; empty in an ordinary row.
    pub complaints: Vec<String>,
    /// What was wrong with it at the last scan.
    pub failure: Option<TrackFailure>,
}

/// The counts in the record of a scan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanCounts {
    /// Audio files come upon.
    pub files_seen: u64,
    /// New rows.
    pub added: u64,
    /// Rows that changed.
    pub updated: u64,
    /// Files that were as their rows say.
    pub unchanged: u64,
    /// Rows whose file was found gone.
    pub missing: u64,
    /// Files with a failure.
    pub failed: u64,
    /// Bytes read of files.
    pub bytes_read: u64,
}

/// The record of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanRun {
    /// Its number.
    pub id: ScanRunId,
    /// When it began, in nanoseconds since 1970.
    pub started_ns: i64,
    /// When it came to its end, in nanoseconds since 1970; `None` when it was interrupted or is still running.
    pub finished_ns: Option<i64>,
    /// What was scanned.
    pub targets: Vec<PathBuf>,
    /// What it found. All 0 until the scan ends.
    pub counts: ScanCounts,
    /// How many files failed, by reason.
    pub failures: Vec<(String, u64)>,
}

/// How many tracks there are, by what is known of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All rows.
    pub tracks: u64,
    /// Rows that somebody edited.
    pub edited: u64,
    /// Bytes of the backing files that are not missing.
    pub backing_bytes: u64,
    /// Rows by format.
    pub by_format: BTreeMap<Format, u64>,
    /// Rows with a failure, by failure.
    pub by_failure: BTreeMap<TrackFailure, u64>,
}

impl Store {
    /// All roots, in the order they were added.
    pub fn roots(&self) -> Result<Vec<Root>, StoreError> {
        self.database.query(QueryKind::Roots).rows(
            "SELECT id, path FROM roots ORDER BY id",
            [],
            |row| {
                Ok(Root {
                    id: RootId(row.get(0)?),
                    path: PathBuf::from(OsString::from_vec(row.get(1)?)),
                })
            },
        )
    }

    /// The root of that path, added if it is new.
    pub fn add_root(&mut self, path: &Path, now_ns: i64) -> Result<RootId, StoreError> {
        let bytes = path.as_os_str().as_bytes();
        let write = self.database.begin_own()?;
        self.database.execute(
            "INSERT INTO roots (path, added_ns) VALUES (?1, ?2) ON CONFLICT (path) DO NOTHING",
            (bytes, now_ns),
        )?;
        let id = self
            .database
            .row("SELECT id FROM roots WHERE path = ?1", [bytes], |row| {
                row.get(0)
            })?
            .ok_or_else(|| {
                self.database
                    .corrupt("a root could neither be added nor found")
            })?;
        write.commit()?;
        Ok(RootId(id))
    }

    /// What is known of the tracks under a root.
    pub fn known_tracks(&self, root: RootId) -> Result<Vec<KnownTrack>, StoreError> {
        self.database.rows(
            "SELECT id, path, backing_size, backing_mtime_ns, backing_ctime_ns, backing_inode, probe_version, \
             failure, format, structure FROM tracks WHERE root_id = ?1",
            [root.0],
            |row| {
                let failure = match row.get_ref(7)? {
                    ValueRef::Null => None,
                    name => Some(decoded(name)?),
                };
                let probe_version: i64 = row.get(6)?;
                let mut complaints = complaints(&text(row, 8)?, failure.as_deref());
                if is_current(probe_version)
                    && let Err(error) = Structure::from_bytes(row.get_ref(9)?.as_blob()?)
                {
                    complaints.push(format!("the structure: {error}"));
                }
                Ok(KnownTrack {
                    id: TrackId(row.get(0)?),
                    path: row.get(1)?,
                    stamp: Stamp {
                        size: row.get::<_, i64>(2)?.cast_unsigned(),
                        mtime_ns: row.get(3)?,
                        ctime_ns: row.get(4)?,
                        inode: row.get::<_, i64>(5)?.cast_unsigned(),
                    },
                    is_current: probe_version == i64::from(PROBE_VERSION),
                    complaints,
                    failure: failure.as_deref().and_then(TrackFailure::from_name),
                })
            },
        )
    }

    /// Records that a scan of `targets` begins.
    pub fn begin_scan_run(
        &mut self,
        targets: &[PathBuf],
        now_ns: i64,
    ) -> Result<ScanRunId, StoreError> {
        let targets: Vec<&[u8]> = targets
            .iter()
            .map(|target| target.as_os_str().as_bytes())
            .collect();
        let write = self.database.begin_own()?;
        self.database.execute(
            "INSERT INTO scan_runs (started_ns, targets) VALUES (?1, ?2)",
            (now_ns, targets.join(&0)),
        )?;
        let run = self.database.connection().last_insert_rowid();
        self.database.execute(
            "DELETE FROM scan_runs WHERE id <= ?1",
            [run - SCAN_RUNS_KEPT_MAX],
        )?;
        write.commit()?;
        Ok(ScanRunId(run))
    }

    /// Records what a scan found; `finished_ns` is `None` when it was cancelled.
    pub fn finish_scan_run(
        &mut self,
        run: ScanRunId,
        counts: &ScanCounts,
        failures: &[(&str, u64)],
        finished_ns: Option<i64>,
    ) -> Result<(), StoreError> {
        let write = self.database.begin_own()?;
        self.database.execute(
            "UPDATE scan_runs SET finished_ns = ?2, files_seen = ?3, added = ?4, updated = ?5, unchanged = ?6, missing = ?7, \
             failed = ?8, bytes_read = ?9 WHERE id = ?1",
            (
                run.0,
                finished_ns,
                counts.files_seen.cast_signed(),
                counts.added.cast_signed(),
                counts.updated.cast_signed(),
                counts.unchanged.cast_signed(),
                counts.missing.cast_signed(),
                counts.failed.cast_signed(),
                counts.bytes_read.cast_signed(),
            ),
        )?;
        for (reason, count) in failures {
            self.database.execute(
                "INSERT INTO scan_failures (run_id, reason, count) VALUES (?1, ?2, ?3)",
                (run.0, reason, count.cast_signed()),
            )?;
        }
        write.commit()
    }

    /// The record of the scan that began last.
    pub fn last_scan(&self) -> Result<Option<ScanRun>, StoreError> {
        self.last_run("")
    }

    /// The record of the scan that began last of those that came to their end.
    pub fn last_finished_scan(&self) -> Result<Option<ScanRun>, StoreError> {
        self.last_run("WHERE finished_ns IS NOT NULL")
    }

    fn last_run(&self, condition: &str) -> Result<Option<ScanRun>, StoreError> {
        let _one_state = self.database.begin_read()?;
        let unsigned =
            |row: &rusqlite::Row<'_>, column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        let run = self.database.row(
            &format!(
                "SELECT id, started_ns, finished_ns, targets, files_seen, added, updated, unchanged, missing, failed, \
                 bytes_read FROM scan_runs {condition} ORDER BY id DESC LIMIT 1"
            ),
            [],
            |row| {
                let targets: Vec<u8> = row.get(3)?;
                Ok(ScanRun {
                    id: ScanRunId(row.get(0)?),
                    started_ns: row.get(1)?,
                    finished_ns: row.get(2)?,
                    targets: targets
                        .split(|&byte| byte == 0)
                        .map(|target| PathBuf::from(OsString::from_vec(target.to_vec())))
                        .collect(),
                    counts: ScanCounts {
                        files_seen: unsigned(row, 4)?,
                        added: unsigned(row, 5)?,
                        updated: unsigned(row, 6)?,
                        unchanged: unsigned(row, 7)?,
                        missing: unsigned(row, 8)?,
                        failed: unsigned(row, 9)?,
                        bytes_read: unsigned(row, 10)?,
                    },
                    failures: Vec::new(),
                })
            },
        )?;
        let Some(mut run) = run else {
            return Ok(None);
        };
        run.failures = self.database.rows(
            "SELECT reason, count FROM scan_failures WHERE run_id = ?1 ORDER BY reason",
            [run.id.0],
            |row| Ok((row.get(0)?, unsigned(row, 1)?)),
        )?;
        Ok(Some(run))
    }

    /// How many tracks there are, by format and by failure. Rows of a format or failure that is not known count in
    /// `tracks` alone.
    pub fn counts(&self) -> Result<Counts, StoreError> {
        let groups = self.database.rows(
            "SELECT format, failure, count(*), count(edited_ns), sum(backing_size) FROM tracks GROUP BY format, failure",
            [],
            |row| {
                Ok((
                    text(row, 0)?.into_owned(),
                    match row.get_ref(1)? {
                        ValueRef::Null => None,
                        name => Some(decoded(name)?.into_owned()),
                    },
                    row.get::<_, i64>(2)?.cast_unsigned(),
                    row.get::<_, i64>(3)?.cast_unsigned(),
                    row.get::<_, i64>(4)?.cast_unsigned(),
                ))
            },
        )?;
        let mut counts = Counts::default();
        for (format, failure, tracks, edited, bytes) in groups {
            let failure = failure.as_deref().and_then(TrackFailure::from_name);
            counts.tracks += tracks;
            counts.edited += edited;
            if failure != Some(TrackFailure::Missing) {
                counts.backing_bytes += bytes;
            }
            if let Some(format) = Format::from_name(&format) {
                *counts.by_format.entry(format).or_default() += tracks;
            }
            if let Some(failure) = failure {
                *counts.by_failure.entry(failure).or_default() += tracks;
            }
        }
        Ok(counts)
    }
}
