//! `musefs status`: what a store holds, how its last scan went, and which mounts of it answer or do not. Nothing is scanned, and no
//! file of the user's is looked at.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount, HumanDuration};
use musefs_core::store::{Counts, SCHEMA_VERSION, ScanRun, Store, TrackFailure};
use serde_json::{Map, Value, json};

use super::Failure;
use crate::cli::{EXIT_DONE, StatusArgs};
use crate::control::{self, About, Silent};

const NS_PER_MS: i64 = 1_000_000;

/// All that is told.
struct Status {
    db: PathBuf,
    store_id: String,
    /// Lengths of the store and of the write-ahead log beside it.
    store_bytes: u64,
    log_bytes: u64,
    roots: Vec<PathBuf>,
    counts: Counts,
    last_scan: Option<ScanRun>,
    mounts: Vec<About>,
    /// Mounts that do not answer.
    silent: Vec<Silent>,
    now_ns: i64,
}

/// Tells; the exit code.
///
/// # Errors
/// When there is no such mount or store, or the store cannot be read.
pub(super) fn run(args: &StatusArgs) -> Result<u8, Failure> {
    let db = match (&args.mount, &args.db) {
        (Some(mount), _) => control::about_mount_of(mount)?.db,
        (None, Some(db)) => db.clone(),
        (None, None) => unreachable!("clap demands one of the two"),
    };
    let store = Store::open(&db)?;
    let (mounts, silent) = control::mounts_of(&db);
    let status = Status {
        store_id: store.id().to_owned(),
        store_bytes: std::fs::metadata(&db)?.len(),
        log_bytes: log_bytes(&db),
        roots: store.roots()?.into_iter().map(|root| root.path).collect(),
        counts: store.counts()?,
        last_scan: store.last_scan()?,
        mounts,
        silent,
        now_ns: super::now_ns(),
        db: std::path::absolute(&db).unwrap_or(db),
    };
    // A reader that has seen enough takes nothing from what was told.
    let mut out = io::stdout().lock();
    if args.json {
        writeln!(out, "{:#}", status.to_json()).ok();
    } else {
        status.print(&mut out).ok();
    }
    Ok(EXIT_DONE)
}

/// Length of the write-ahead log; 0 where there is none.
fn log_bytes(db: &Path) -> u64 {
    let mut log = db.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).map_or(0, |metadata| metadata.len())
}

/// Tracks that cannot be served at all.
fn dark(counts: &Counts) -> u64 {
    let dark = counts
        .by_failure
        .iter()
        .filter(|(failure, _)| failure.is_dark());
    dark.map(|(_, count)| count).sum()
}

/// How long the scan took; `None` when it was interrupted or is still running.
fn took(run: &ScanRun) -> Option<Duration> {
    let ns = run.finished_ns?.saturating_sub(run.started_ns);
    Some(Duration::from_nanos(u64::try_from(ns).unwrap_or(0)))
}

/// `3 flac, 2 mp3`, and so on.
fn listed<'a>(counts: impl Iterator<Item = (&'a str, u64)>) -> String {
    let listed: Vec<String> = counts
        .map(|(name, count)| format!("{} {name}", HumanCount(count)))
        .collect();
    listed.join(", ")
}

impl Status {
    fn print(&self, out: &mut impl io::Write) -> io::Result<()> {
        writeln!(
            out,
            "Store {}: schema version {SCHEMA_VERSION}, {} and a log of {}",
            self.db.display(),
            HumanBytes(self.store_bytes),
            HumanBytes(self.log_bytes),
        )?;
        let counts = &self.counts;
        writeln!(
            out,
            "{} tracks, {} of audio files, {} edited",
            HumanCount(counts.tracks),
            HumanBytes(counts.backing_bytes),
            HumanCount(counts.edited),
        )?;
        if counts.tracks > 0 {
            let formats = counts
                .by_format
                .iter()
                .map(|(format, &count)| (format.as_str(), count));
            writeln!(out, "Formats: {}", listed(formats))?;
        }
        for (title, is_dark) in [("Dark", true), ("Served as they are", false)] {
            let failures: Vec<(&str, u64)> = counts
                .by_failure
                .iter()
                .filter(|(failure, _)| failure.is_dark() == is_dark)
                .map(|(failure, &count)| (failure.as_str(), count))
                .collect();
            if !failures.is_empty() {
                writeln!(out, "{title}: {}", listed(failures.into_iter()))?;
            }
        }
        for root in &self.roots {
            writeln!(out, "Root {}", root.display())?;
        }
        self.print_scan(out)?;
        if self.mounts.is_empty() && self.silent.is_empty() {
            writeln!(out, "No mount of it answers")?;
        }
        for mount in &self.mounts {
            writeln!(
                out,
                "Mounted at {} by musefs {}, process {}",
                mount.mountpoint.display(),
                mount.version,
                mount.pid
            )?;
        }
        for mount in &self.silent {
            writeln!(out, "{}", capitalised(&mount.to_string()))?;
        }
        Ok(())
    }

    fn print_scan(&self, out: &mut impl io::Write) -> io::Result<()> {
        let Some(run) = &self.last_scan else {
            return writeln!(out, "Never scanned");
        };
        let ago = u64::try_from(self.now_ns.saturating_sub(run.started_ns)).unwrap_or(0);
        let ago = HumanDuration(Duration::from_nanos(ago));
        let counts = &run.counts;
        match took(run) {
            None => {
                return writeln!(out, "Last scan began {ago} ago and has not come to its end");
            }
            Some(took) => writeln!(
                out,
                "Last scan began {ago} ago and took {:.1} s: {} files, {} new, {} changed, {} unchanged, {} gone, {} failed, {} read",
                took.as_secs_f64(),
                HumanCount(counts.files_seen),
                HumanCount(counts.added),
                HumanCount(counts.updated),
                HumanCount(counts.unchanged),
                HumanCount(counts.missing),
                HumanCount(counts.failed),
                HumanBytes(counts.bytes_read),
            )?,
        }
        if !run.failures.is_empty() {
            let failures = run
                .failures
                .iter()
                .map(|(reason, count)| (reason.as_str(), *count));
            writeln!(out, "Failed in it: {}", listed(failures))?;
        }
        Ok(())
    }

    fn to_json(&self) -> Value {
        let counts = &self.counts;
        let formats: Map<String, Value> = counts
            .by_format
            .iter()
            .map(|(format, &count)| (format.as_str().to_owned(), count.into()))
            .collect();
        let failures: Map<String, Value> = counts
            .by_failure
            .iter()
            .map(|(failure, &count)| (TrackFailure::as_str(*failure).to_owned(), count.into()))
            .collect();
        let mounts: Vec<Value> = self
            .mounts
            .iter()
            .map(|mount| {
                json!({
                    "mountpoint": mount.mountpoint.to_string_lossy(),
                    "pid": mount.pid,
                    "version": mount.version,
                    "answers": true,
                })
            })
            .chain(self.silent.iter().map(|mount| {
                let mountpoint = mount.mountpoint.as_ref();
                json!({
                    "mountpoint": mountpoint.map(|point| point.to_string_lossy()),
                    "pid": mount.pid,
                    "answers": false,
                    "stopped": mount.is_stopped(),
                })
            }))
            .collect();
        json!({
            "store": {
                "path": self.db.to_string_lossy(),
                "id": self.store_id,
                "schema_version": SCHEMA_VERSION,
                "bytes": self.store_bytes,
                "log_bytes": self.log_bytes,
            },
            "tracks": {
                "count": counts.tracks,
                "edited": counts.edited,
                "dark": dark(counts),
                "backing_bytes": counts.backing_bytes,
                "by_format": formats,
                "by_failure": failures,
            },
            "roots": self.roots.iter().map(|root| root.to_string_lossy()).collect::<Vec<_>>(),
            "last_scan": self.last_scan.as_ref().map(scan_json),
            "mounts": mounts,
        })
    }
}

/// `text` as the beginning of a line.
fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(chars).collect()
}

fn scan_json(run: &ScanRun) -> Value {
    let counts = &run.counts;
    let failures: Map<String, Value> = run
        .failures
        .iter()
        .map(|(reason, count)| (reason.clone(), (*count).into()))
        .collect();
    let ms = |ns: i64| ns / NS_PER_MS;
    json!({
        "started_unix_ms": ms(run.started_ns),
        "finished_unix_ms": run.finished_ns.map(ms),
        "targets": run.targets.iter().map(|target| target.to_string_lossy()).collect::<Vec<_>>(),
        "files_seen": counts.files_seen,
        "added": counts.added,
        "updated": counts.updated,
        "unchanged": counts.unchanged,
        "missing": counts.missing,
        "failed": counts.failed,
        "bytes_read": counts.bytes_read,
        "failures": failures,
    })
}
