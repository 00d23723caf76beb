//! Scanning: walk the targets, probe what is new or changed, write rows.
//!
//! One thread walks, one compares each file's stamp with its row; a few threads read and probe the files that differ; the
//! caller's thread writes what they learned, in batches. All queues between them are bounded. A file is opened for reading
//! alone, and an unchanged one is not opened at all.
//!
//! The invariant: whatever is committed is true of the files at the moment they were read, so a scan may be stopped at any
//! moment and goes on the next time. The scan knows nothing of names in the mount, nor of SQL.

mod compare;
mod probe;
mod report;
mod reread;
mod revalidate;
mod targets;
mod walk;
mod write;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

use parking_lot::Mutex;

use self::compare::FileToProbe;
use self::report::Tally;
pub use self::report::{
    Occurrences, Place, ScanFailure, ScanReport, ScanWarning, TargetFault, TargetProblem,
};
pub use self::reread::{RereadError, reread};
pub use self::revalidate::{RevalidateReport, revalidate};
pub use self::targets::resolved;
use crate::metrics::Metrics;
use crate::mounts::Mounts;
use crate::store::{Store, StoreError, now_ns};

/// Batches of found files that wait to be compared: room enough that the walk goes on while the known tracks are read.
const FOUND_BATCHES_QUEUED_MAX: usize = 64;

/// Threads that read and probe files, at least, where nobody said otherwise: those whose file is not in the page cache only
/// wait, and a disk answers many as soon as one.
pub const PROBE_THREADS_MIN: usize = 16;

/// Files that a thread probes in one go: enough that the threads do not wake one another for each file.
const PROBE_BATCH_FILES_MAX: usize = 16;

/// Batches of files that wait for a probe.
const PROBE_BATCHES_QUEUED_MAX: usize = 64;

/// Batches of probed files that wait for the writer.
const WRITE_BATCHES_QUEUED_MAX: usize = 16;

/// How to scan.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScanOptions {
    /// Threads that read and probe files; where `None`, as many as the machine runs at once, and at least
    /// [`PROBE_THREADS_MIN`].
    pub jobs: Option<NonZeroUsize>,
    /// Whether files are read again that are as their rows say.
    pub force: bool,
    /// Whether symbolic links are followed. Where not, they are counted and left alone.
    pub follow_symlinks: bool,
    /// Whether the properties of the sound are left out of files whose tags do not come with them.
    pub skip_properties: bool,
}

/// What a scan tells while it runs, from several threads. Calls are short and frequent; nothing waits for an answer.
pub trait Progress: Send + Sync {
    /// `found` audio files have been come upon so far.
    fn on_found(&self, found: u64) {
        let _ = found;
    }

    /// `done` of them are dealt with.
    fn on_done(&self, done: u64) {
        let _ = done;
    }

    /// Something is wrong with the file or directory at `path`.
    fn on_problem(&self, path: &Path, reason: &str) {
        let (_, _) = (path, reason);
    }

    /// The scan has got somewhere.
    fn on_milestone(&self, milestone: Milestone) {
        let _ = milestone;
    }
}

/// A scan that tells nothing.
impl Progress for () {}

/// Where a scan has got to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Milestone {
    /// All targets were walked: the number of files is known for good.
    Walked {
        /// Audio files found.
        found: u64,
    },
    /// One more batch is in the store for good.
    Committed {
        /// Files written so far.
        written: u64,
    },
}

/// Why nothing could be scanned, or the scan had to stop.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// No target can be scanned.
    #[error("nothing to scan: {}", report::sentences(problems))]
    NothingToScan {
        /// What is wrong with each.
        problems: Vec<TargetProblem>,
    },
    /// The store failed. What was committed before stays.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the threads of one scan share.
struct Shared<'a> {
    options: &'a ScanOptions,
    metrics: &'a Metrics,
    progress: &'a dyn Progress,
    cancel: &'a AtomicBool,
    tally: Mutex<Tally>,
    done: AtomicU64,
    /// Files that changed each time they were read.
    changing: Mutex<Vec<PathBuf>>,
}

impl Shared<'_> {
    fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    fn done(&self, files: u64) {
        let done = self.done.fetch_add(files, Ordering::Relaxed) + files;
        self.progress.on_done(done);
    }

    fn failure(&self, failure: ScanFailure, path: &Path, reason: &str) {
        self.progress.on_problem(path, reason);
        self.tally.lock().failure(failure, path, reason);
    }

    fn warning(&self, warning: ScanWarning, path: &Path, reason: &str) {
        self.progress.on_problem(path, reason);
        self.tally.lock().warning(warning, path, reason);
    }
}

/// Scans `targets`, directories or single files, into the store.
///
/// A target that cannot be scanned is named in the report while the others go on. When `cancel` becomes true the scan commits
/// what it has and returns early, with `cancelled` set in its report; the next scan goes on from there. Tracks of the targets
/// whose file is gone are marked missing, except beneath a directory that could not be read. What reading costs is counted by
/// `metrics`, which no other scan counts by at the same time.
///
/// # Errors
/// When no target can be scanned, or the store fails.
pub fn scan(
    store: &mut Store,
    targets: &[PathBuf],
    options: &ScanOptions,
    metrics: &Metrics,
    progress: &dyn Progress,
    cancel: &AtomicBool,
) -> Result<ScanReport, ScanError> {
    let started = Instant::now();
    let before = metrics.snapshot();
    let mounts = Mounts::of_this_process();
    let (scopes, problems) = targets::resolve(targets, &mounts);
    for problem in &problems {
        progress.on_problem(&problem.path, &problem.fault.to_string());
    }
    if scopes.is_empty() {
        return Err(ScanError::NothingToScan { problems });
    }
    let named: Vec<PathBuf> = scopes.iter().map(|scope| scope.path.clone()).collect();
    let run = store.begin_scan_run(&named, now_ns())?;
    let shared = Shared {
        options,
        metrics,
        progress,
        cancel,
        tally: Mutex::new(Tally::default()),
        done: AtomicU64::new(0),
        changing: Mutex::default(),
    };

    let (found, compared, written) = run_threads(
        store,
        |store| targets::plan(store, &scopes),
        |to_compare| walk::walk(&scopes, &mounts, to_compare, &shared),
        &shared,
    )?;
    let cancelled = shared.cancelled();
    let missing = mark_gone(store, &compared, &written, &shared)?;
    let tally = shared.tally.into_inner();
    let counted = metrics.snapshot();
    let report = ScanReport {
        run,
        files_seen: found,
        added: written.added,
        updated: written.updated,
        moved: written.moved.len() as u64,
        unchanged: compared.unchanged + written.unchanged,
        outdated: compared.outdated,
        missing,
        failures: tally.failures,
        warnings: tally.warnings,
        target_problems: problems,
        cancelled,
        elapsed: started.elapsed(),
        scan_opens: counted.scan_opens - before.scan_opens,
        scan_preads: counted.scan_preads - before.scan_preads,
        scan_bytes_read: counted.scan_bytes_read - before.scan_bytes_read,
    };
    let finished_ns = (!cancelled).then(now_ns);
    store.finish_scan_run(run, &report.counts(), &report.failure_counts(), finished_ns)?;
    Ok(report)
}

/// Marks the tracks whose file is gone; how many that is news of.
fn mark_gone(
    store: &mut Store,
    compared: &compare::Compared,
    written: &write::Written,
    shared: &Shared<'_>,
) -> Result<u64, StoreError> {
    let mut missing = written.vanished.clone();
    if !shared.cancelled() {
        let gone = compared.gone.iter();
        missing.extend(gone.filter(|id| !written.moved.contains(*id)));
    }
    missing.sort_unstable();
    missing.dedup();
    for batch in missing.chunks(write::BATCH_TRACKS_MAX) {
        store.mark_missing(batch)?;
    }
    Ok(missing.len() as u64)
}

/// Walks, compares, probes and writes at the same time; returns when all are through, with the number of files found. The
/// files come from `walk`, what is known of them from `plan`, which runs meanwhile.
fn run_threads(
    store: &mut Store,
    plan: impl FnOnce(&mut Store) -> Result<targets::Plan, StoreError>,
    walk: impl FnOnce(SyncSender<Vec<walk::FileFound>>) -> walk::Walked + Send,
    shared: &Shared<'_>,
) -> Result<(u64, compare::Compared, write::Written), StoreError> {
    let jobs = shared.options.jobs.map_or_else(
        || {
            let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
            cores.max(PROBE_THREADS_MIN)
        },
        NonZeroUsize::get,
    );
    thread::scope(|scope| {
        let (to_compare, found) = sync_channel(FOUND_BATCHES_QUEUED_MAX);
        let (to_probe, files) = sync_channel::<Vec<FileToProbe>>(PROBE_BATCHES_QUEUED_MAX);
        let (to_write, readings) = sync_channel(WRITE_BATCHES_QUEUED_MAX);
        let walking = scope.spawn(move || walk(to_compare));
        let plan = plan(store)?;
        let files = Arc::new(Mutex::new(files));
        for _ in 0..jobs {
            let files = Arc::clone(&files);
            let to_write = to_write.clone();
            scope.spawn(move || {
                while let Some(batch) = next(&files) {
                    let probed: Vec<_> = batch
                        .into_iter()
                        .take_while(|_| !shared.cancelled())
                        .map(|file| probe::probe_file(file, shared))
                        .collect();
                    // The writer has failed and tells why; nothing more to do here.
                    if to_write.send(probed).is_err() {
                        break;
                    }
                }
            });
        }
        // The threads hold the queues' other ends now: when they are through, or have given up, the queues close.
        drop(files);
        drop(to_write);
        let comparing = scope.spawn(move || {
            let mut files_found = 0;
            let compared = compare::Comparer::new(plan, to_probe, shared).run(found, || {
                let walked = joined(walking);
                files_found = walked.found;
                walked
            });
            (files_found, compared)
        });
        let written = write::write(store, readings, shared);
        let (files_found, compared) = joined(comparing);
        Ok((files_found, compared, written?))
    })
}

/// What a thread returned; its panic goes on in this one.
fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The next batch to probe; `None` when the walk is over.
fn next<T>(files: &Mutex<Receiver<T>>) -> Option<T> {
    files.lock().recv().ok()
}

#[cfg(test)]
mod tests;
