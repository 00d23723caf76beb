//! Revalidation: the files that the store knows, looked at again, without a walk for others.
//!
//! What differs from its row is read as a scan reads it, by the same threads, and what somebody edited stays theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::SyncSender;

use parking_lot::Mutex;

use super::compare::Closed;
use super::report::{ScanFailure, Tally, TargetFault, TargetProblem};
use super::targets::{self, Plan, Scope, is_within, resolved};
use super::walk::{FOUND_BATCH_FILES_MAX, FileFound, Walked};
use super::{Milestone, Progress, ScanError, ScanOptions, Shared, mark_gone, run_threads};
use crate::metrics::Metrics;
use crate::store::{Root, Stamp, Store, StoreError, TrackFailure, TrackId};

/// What a file that cannot be looked at is said to be: not what any row says, so it is read, which tells why it cannot be.
const UNKNOWN: Stamp = Stamp {
    size: 0,
    mtime_ns: 0,
    ctime_ns: 0,
    inode: 0,
};

/// What a revalidation found.
#[derive(Debug)]
pub struct RevalidateReport {
    /// Tracks whose files were looked at.
    pub checked: u64,
    /// Tracks whose file changed, can be read again, or no longer.
    pub updated: u64,
    /// Tracks whose files are as their rows say.
    pub unchanged: u64,
    /// Tracks whose file was found gone by this revalidation.
    pub missing: u64,
    /// Every track whose file is not what it should be, after all this, by reason.
    pub failed: BTreeMap<ScanFailure, Vec<(TrackId, PathBuf)>>,
    /// Roots of which not one file is there: a disk that is not mounted looks like this.
    pub absent_roots: Vec<PathBuf>,
    /// Targets that hold no track.
    pub target_problems: Vec<TargetProblem>,
    /// Whether it was told to stop before its end.
    pub cancelled: bool,
    /// Files opened.
    pub scan_opens: u64,
    /// Bytes read of them.
    pub scan_bytes_read: u64,
}

impl RevalidateReport {
    /// The tracks whose file is gone.
    pub fn missing_tracks(&self) -> Vec<TrackId> {
        let missing = self.failed.get(&ScanFailure::Track(TrackFailure::Missing));
        missing
            .into_iter()
            .flatten()
            .map(|(track, _)| *track)
            .collect()
    }
}

/// Looks at the files of all tracks at or below `targets`, or of all there are where none is given, and reads those that
/// differ from their rows. Tracks whose file is gone are marked missing. When `cancel` becomes true, what was read is kept.
///
/// # Errors
/// When no target holds a track, or the store fails.
pub fn revalidate(
    store: &mut Store,
    targets: &[PathBuf],
    options: &ScanOptions,
    metrics: &Metrics,
    progress: &dyn Progress,
    cancel: &AtomicBool,
) -> Result<RevalidateReport, ScanError> {
    let before = metrics.snapshot();
    let roots = store.roots()?;
    let (scopes, problems) = scopes(targets, &roots);
    if scopes.is_empty() && !problems.is_empty() {
        return Err(ScanError::NothingToScan { problems });
    }
    let shared = Shared {
        options,
        metrics,
        progress,
        cancel,
        tally: Mutex::new(Tally::default()),
        done: AtomicU64::new(0),
        changing: Mutex::default(),
    };
    let plan = targets::known(store, roots.clone(), &scopes)?;
    let paths = paths(&plan);
    let checked = paths.len() as u64;
    let (_, compared, written) = run_threads(
        store,
        |_| Ok(plan),
        |to_compare| look(paths, &to_compare, &shared),
        &shared,
    )?;
    let missing = mark_gone(store, &compared, &written, &shared)?;
    let after = targets::known(store, roots.clone(), &scopes)?;
    let counted = metrics.snapshot();
    Ok(RevalidateReport {
        checked,
        updated: written.updated,
        unchanged: compared.unchanged + written.unchanged,
        missing,
        absent_roots: absent_roots(store, &roots, &after)?,
        failed: failed(&after, &shared.changing.into_inner().into_iter().collect()),
        target_problems: problems,
        cancelled: cancel.load(std::sync::atomic::Ordering::Relaxed),
        scan_opens: counted.scan_opens - before.scan_opens,
        scan_bytes_read: counted.scan_bytes_read - before.scan_bytes_read,
    })
}

/// The parts of the file system that are meant; they need not be there any more.
fn scopes(targets: &[PathBuf], roots: &[Root]) -> (Vec<Scope>, Vec<TargetProblem>) {
    let scope = |path| Scope {
        path,
        is_file: false,
    };
    if targets.is_empty() {
        return (
            roots.iter().map(|root| scope(root.path.clone())).collect(),
            Vec::new(),
        );
    }
    let (mut scopes, mut problems) = (Vec::new(), Vec::new());
    for target in targets {
        let path = resolved(target);
        let concerns = |root: &Root| is_within(&path, &root.path) || is_within(&root.path, &path);
        if roots.iter().any(concerns) {
            scopes.push(scope(path));
        } else {
            problems.push(TargetProblem {
                path: target.clone(),
                fault: TargetFault::NotInStore,
            });
        }
    }
    (scopes, problems)
}

/// The files of all known tracks, in an order in which neighbours on the disk are neighbours.
fn paths(plan: &Plan) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = tracks(plan).map(|(_, _, path)| path).collect();
    paths.sort_unstable();
    paths
}

/// All known tracks: id, failure, absolute path.
fn tracks(plan: &Plan) -> impl Iterator<Item = (TrackId, Option<TrackFailure>, PathBuf)> {
    plan.known.iter().flat_map(move |(&root, known)| {
        known.values().filter_map(move |track| {
            let path = plan.roots.absolute(root, &track.path)?;
            Some((track.id, track.failure, path))
        })
    })
}

/// Looks at files and hands on those that are there, as a walk does.
fn look(
    paths: Vec<PathBuf>,
    to_compare: &SyncSender<Vec<FileFound>>,
    shared: &Shared<'_>,
) -> Walked {
    let mut found = 0;
    let mut batch = Vec::new();
    let mut hand_on = |file: Option<FileFound>, is_last: bool| {
        batch.extend(file);
        if is_last || batch.len() >= FOUND_BATCH_FILES_MAX {
            let batch = std::mem::take(&mut batch);
            return to_compare.send(batch).map_err(|_| Closed);
        }
        Ok(())
    };
    let all = paths.into_iter().try_for_each(|path| {
        if shared.cancelled() {
            return Err(Closed);
        }
        let stamp = match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => Stamp::of(&metadata),
            // Something else took its place: the file is gone.
            Ok(_) => return Ok(()),
            Err(error) if is_absence(&error) => return Ok(()),
            Err(_) => UNKNOWN,
        };
        found += 1;
        shared.progress.on_found(found);
        hand_on(Some(FileFound { path, stamp }), false)
    });
    let complete = all.and_then(|()| hand_on(None, true)).is_ok();
    if complete {
        shared.progress.on_milestone(Milestone::Walked { found });
    }
    Walked {
        found,
        complete,
        unreadable: Vec::new(),
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Tracks that are not what they should be, by reason, each reason's in the order of their paths.
fn failed(
    plan: &Plan,
    changing: &BTreeSet<PathBuf>,
) -> BTreeMap<ScanFailure, Vec<(TrackId, PathBuf)>> {
    let mut failed: BTreeMap<ScanFailure, Vec<(TrackId, PathBuf)>> = BTreeMap::new();
    for (id, failure, path) in tracks(plan) {
        let reason = if changing.contains(&path) {
            Some(ScanFailure::Changing)
        } else {
            failure.map(ScanFailure::Track)
        };
        if let Some(reason) = reason {
            failed.entry(reason).or_default().push((id, path));
        }
    }
    for tracks in failed.values_mut() {
        tracks.sort_by(|a, b| a.1.cmp(&b.1));
    }
    failed
}

/// Those roots of missing tracks of which no file is there, in or out of the scopes.
fn absent_roots(store: &Store, roots: &[Root], plan: &Plan) -> Result<Vec<PathBuf>, StoreError> {
    let is_there = |path: &Path| match path.symlink_metadata() {
        Ok(_) => true,
        Err(error) => !is_absence(&error),
    };
    let mut absent = Vec::new();
    for root in roots {
        let known = plan.known.get(&root.id);
        let mut known = known.into_iter().flat_map(|known| known.values());
        if !known.any(|track| track.failure == Some(TrackFailure::Missing)) {
            continue;
        }
        let paths = store.known_tracks(root.id)?.into_iter();
        let any = paths
            .filter_map(|track| plan.roots.absolute(root.id, &track.path))
            .any(|path| is_there(&path));
        if !any {
            absent.push(root.path.clone());
        }
    }
    Ok(absent)
}
