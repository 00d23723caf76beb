//! Each file that the walk finds, compared with its row: what differs goes to the probes, what is left over is gone.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender};

use super::report::{ScanFailure, ScanWarning};
use super::targets::{Plan, is_within};
use super::walk::{FileFound, Walked};
use super::{PROBE_BATCH_FILES_MAX, Shared};
use crate::store::{KnownTrack, RootId, Stamp, TrackFailure, TrackId};

/// A file to read.
#[derive(Debug)]
pub(super) struct FileToProbe {
    pub(super) root: RootId,
    /// From the root, in bytes.
    pub(super) relative: Vec<u8>,
    pub(super) path: PathBuf,
    /// As the walk saw it.
    pub(super) stamp: Stamp,
    /// Its row, where it has one.
    pub(super) known: Option<TrackId>,
    /// The row it may have had under another name.
    pub(super) moved_from: Option<TrackId>,
}

/// What the comparison found.
#[derive(Default)]
pub(super) struct Compared {
    /// Files that are as their rows say.
    pub(super) unchanged: u64,
    /// Files that are read again because their rows are of another version, or somebody gave up their edits.
    pub(super) outdated: u64,
    /// Rows whose file was not come upon, where everything beneath could be read.
    pub(super) gone: Vec<TrackId>,
}

/// Nobody takes files any more: the scan is over.
pub(super) struct Closed;

/// Tracks by size and mtime, each with its inode.
type ByStamp = HashMap<(u64, i64), Vec<(TrackId, u64)>>;

pub(super) struct Comparer<'a> {
    plan: Plan,
    to_probe: SyncSender<Vec<FileToProbe>>,
    /// Files to hand on together.
    batch: Vec<FileToProbe>,
    shared: &'a Shared<'a>,
    unchanged: u64,
    outdated: u64,
    /// The tracks not come upon yet: a new file that is like one of them may be that one, renamed. Made when the first new
    /// file comes up, which in most scans after the first never happens.
    by_stamp: Option<ByStamp>,
    /// New files that are like a known track; whether that one is gone is known at the end.
    like_known: Vec<FileToProbe>,
}

impl<'a> Comparer<'a> {
    pub(super) fn new(
        plan: Plan,
        to_probe: SyncSender<Vec<FileToProbe>>,
        shared: &'a Shared<'a>,
    ) -> Self {
        Self {
            plan,
            to_probe,
            batch: Vec::new(),
            shared,
            unchanged: 0,
            outdated: 0,
            by_stamp: None,
            like_known: Vec::new(),
        }
    }

    /// Compares until the walk is over, then asks it, by `end`, how it went.
    pub(super) fn run(
        mut self,
        found: Receiver<Vec<FileFound>>,
        end: impl FnOnce() -> Walked,
    ) -> Compared {
        let all = found
            .iter()
            .flatten()
            .take_while(|_| !self.shared.cancelled())
            .try_for_each(|file| self.file(file));
        // Closed, so that the walk does not wait for a reader that has given up.
        drop(found);
        let walked = end();
        if all.is_err() || !walked.complete || self.shared.cancelled() {
            return Compared {
                unchanged: self.unchanged,
                outdated: self.outdated,
                gone: Vec::new(),
            };
        }
        self.finish(&walked.unreadable)
    }

    fn file(&mut self, file: FileFound) -> Result<(), Closed> {
        let FileFound { path, stamp } = file;
        let Some((root, relative)) = self.plan.roots.owner(&path) else {
            unreachable!("every scope lies within a root: {}", path.display());
        };
        let known = self
            .plan
            .known
            .get_mut(&root)
            .and_then(|known| known.remove(relative));
        if let Some(known) = &known
            && !self.shared.options.force
            && is_unchanged(known, &stamp)
        {
            self.unchanged += 1;
            if let Some(failure) = known.failure {
                self.shared.tally.lock().failure(
                    ScanFailure::Track(failure),
                    &path,
                    failure.as_str(),
                );
            }
            self.shared.done(1);
            return Ok(());
        }
        if let Some(known) = &known {
            self.tell_why(known, &path);
        }
        let file = FileToProbe {
            root,
            relative: relative.to_vec(),
            path,
            stamp,
            known: known.map(|known| known.id),
            moved_from: None,
        };
        if file.known.is_none() && self.is_like_known(&stamp) {
            self.like_known.push(file);
            return Ok(());
        }
        self.hand_on(file)
    }

    /// Counts files that are read again for another reason than themselves.
    fn tell_why(&mut self, known: &KnownTrack, path: &Path) {
        if !known.complaints.is_empty() {
            let what = known.complaints.join(", ");
            self.shared.warning(
                ScanWarning::BrokenRow,
                path,
                &format!("its row in the store held what cannot be read ({what})"),
            );
        } else if !known.is_current {
            self.outdated += 1;
        }
    }

    /// Hands a file on, together with others once there are enough.
    fn hand_on(&mut self, file: FileToProbe) -> Result<(), Closed> {
        self.batch.push(file);
        if self.batch.len() < PROBE_BATCH_FILES_MAX {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), Closed> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        self.to_probe.send(batch).map_err(|_| Closed)
    }

    /// Whether a track that was not come upon yet has this size and mtime.
    fn is_like_known(&mut self, stamp: &Stamp) -> bool {
        let known = &self.plan.known;
        let by_stamp = self.by_stamp.get_or_insert_with(|| {
            let mut by_stamp = ByStamp::new();
            for track in known.values().flat_map(HashMap::values) {
                by_stamp
                    .entry((track.stamp.size, track.stamp.mtime_ns))
                    .or_default()
                    .push((track.id, track.stamp.inode));
            }
            by_stamp
        });
        by_stamp.contains_key(&(stamp.size, stamp.mtime_ns))
    }

    /// All was walked but for `unreadable`: what is left of the known tracks was not come upon.
    fn finish(mut self, unreadable: &[PathBuf]) -> Compared {
        let roots = &self.plan.roots;
        for (&root, known) in &mut self.plan.known {
            known.retain(|path, _| {
                unreadable.is_empty()
                    || !roots.absolute(root, path).is_some_and(|path| {
                        unreadable
                            .iter()
                            .any(|directory| is_within(&path, directory))
                    })
            });
        }
        let left_over = || self.plan.known.values().flat_map(HashMap::values);
        let gone = left_over()
            .filter(|track| track.failure != Some(TrackFailure::Missing))
            .map(|track| track.id)
            .collect();
        let mut unclaimed: HashSet<TrackId> = left_over().map(|track| track.id).collect();
        for mut file in std::mem::take(&mut self.like_known) {
            let candidates: Vec<_> = self
                .by_stamp
                .iter()
                .filter_map(|tracks| tracks.get(&(file.stamp.size, file.stamp.mtime_ns)))
                .flatten()
                .filter(|(id, _)| unclaimed.contains(id))
                .collect();
            let claimed = candidates
                .iter()
                .find(|(_, inode)| *inode == file.stamp.inode)
                .or(candidates.first().filter(|_| candidates.len() == 1));
            file.moved_from = claimed.map(|(id, _)| *id);
            if let Some(id) = &file.moved_from {
                unclaimed.remove(id);
            }
            if self.hand_on(file).is_err() {
                break;
            }
        }
        // Closed or not, the scan is over here.
        let _ = self.flush();
        Compared {
            unchanged: self.unchanged,
            outdated: self.outdated,
            gone,
        }
    }
}

/// Whether a file needs no reading.
fn is_unchanged(known: &KnownTrack, stamp: &Stamp) -> bool {
    known.is_current
        && known.complaints.is_empty()
        && known.stamp.matches(stamp)
        && !known.failure.is_some_and(TrackFailure::is_dark)
}
