//! The walk: every audio file of the scopes, compared with its row; what differs goes to the probes.

use std::collections::HashMap;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;

use walkdir::{DirEntry, WalkDir};

use super::report::{ScanFailure, ScanWarning};
use super::targets::{Plan, Scope, has_audio_extension, is_within};
use super::{Milestone, Shared};
use crate::formats::PROBE_VERSION;
use crate::mounts::Mounts;
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

/// What the walk found.
pub(super) struct Walked {
    /// Audio files come upon.
    pub(super) found: u64,
    /// Those that are as their rows say.
    pub(super) unchanged: u64,
    /// Rows whose file was not come upon, where everything beneath could be read.
    pub(super) gone: Vec<TrackId>,
}

/// Nobody takes files any more: the scan is over.
struct Closed;

/// Tracks, each with its file's inode, by size in bytes and mtime in nanoseconds.
type ByStamp = HashMap<(u64, i64), Vec<(TrackId, u64)>>;

struct Walker<'a> {
    plan: Plan,
    mounts: &'a Mounts,
    to_probe: &'a SyncSender<FileToProbe>,
    shared: &'a Shared<'a>,
    found: u64,
    unchanged: u64,
    unreadable: Vec<PathBuf>,
    /// The tracks not come upon yet, by size and mtime: a new file that is like one of them may be that one, renamed. Made
    /// when the first new file comes up, which in most scans after the first never happens.
    by_stamp: Option<ByStamp>,
    /// New files that are like a known track; whether that one is gone is known at the end.
    like_known: Vec<FileToProbe>,
}

/// Walks all scopes of the plan.
pub(super) fn walk(
    plan: Plan,
    mounts: &Mounts,
    to_probe: &SyncSender<FileToProbe>,
    shared: &Shared<'_>,
) -> Walked {
    let mut walker = Walker {
        plan,
        mounts,
        to_probe,
        shared,
        found: 0,
        unchanged: 0,
        unreadable: Vec::new(),
        by_stamp: None,
        like_known: Vec::new(),
    };
    let scopes = std::mem::take(&mut walker.plan.scopes);
    let complete = scopes.iter().all(|scope| walker.scope(scope).is_ok()) && !shared.cancelled();
    if !complete {
        return Walked {
            found: walker.found,
            unchanged: walker.unchanged,
            gone: Vec::new(),
        };
    }
    shared.progress.on_milestone(Milestone::Walked {
        found: walker.found,
    });
    walker.finish()
}

impl Walker<'_> {
    fn scope(&mut self, scope: &Scope) -> Result<(), Closed> {
        let mounts = self.mounts;
        let shared = self.shared;
        let entries = WalkDir::new(&scope.path)
            .follow_links(shared.options.follow_symlinks)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(|entry| !is_musefs(entry, mounts, shared));
        for entry in entries {
            if shared.cancelled() {
                return Err(Closed);
            }
            match entry {
                Ok(entry) => self.entry(&entry)?,
                Err(error) => self.error(&error),
            }
        }
        Ok(())
    }

    fn entry(&mut self, entry: &DirEntry) -> Result<(), Closed> {
        let kind = entry.file_type();
        if kind.is_dir() {
            return Ok(());
        }
        let path = entry.path();
        if kind.is_symlink() {
            let mut tally = self.shared.tally.lock();
            tally.warning(
                ScanWarning::SymlinkSkipped,
                path,
                "a symbolic link, not followed",
            );
            return Ok(());
        }
        if !has_audio_extension(path) {
            return Ok(());
        }
        if !kind.is_file() {
            self.shared.warning(
                ScanWarning::NotRegular,
                path,
                "neither a directory nor a regular file",
            );
            return Ok(());
        }
        match entry.metadata() {
            Ok(metadata) => self.file(path, &metadata),
            Err(error) => {
                self.error(&error);
                Ok(())
            }
        }
    }

    fn file(&mut self, path: &Path, metadata: &Metadata) -> Result<(), Closed> {
        let Some((root, relative)) = self.plan.roots.owner(path) else {
            unreachable!("every scope lies within a root: {}", path.display());
        };
        self.found += 1;
        self.shared.progress.on_found(self.found);
        let stamp = Stamp::of(metadata);
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
                    path,
                    failure.as_str(),
                );
            }
            self.shared.done(1);
            return Ok(());
        }
        let file = FileToProbe {
            root,
            relative: relative.to_vec(),
            path: path.to_path_buf(),
            stamp,
            known: known.map(|known| known.id),
            moved_from: None,
        };
        if file.known.is_none() && self.is_like_known(&stamp) {
            self.like_known.push(file);
            return Ok(());
        }
        self.to_probe.send(file).map_err(|_| Closed)
    }

    /// Whether a track that was not come upon yet has this size and mtime.
    fn is_like_known(&mut self, stamp: &Stamp) -> bool {
        let known = &self.plan.known;
        let by_stamp = self.by_stamp.get_or_insert_with(|| {
            let mut by_stamp: HashMap<_, Vec<_>> = HashMap::new();
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

    fn error(&mut self, error: &walkdir::Error) {
        let path = error.path().unwrap_or(Path::new(""));
        if error.loop_ancestor().is_some() {
            self.shared
                .warning(ScanWarning::SymlinkLoop, path, &error.to_string());
            return;
        }
        let reason = error
            .io_error()
            .map_or_else(|| error.to_string(), ToString::to_string);
        if error.io_error().map(io::Error::kind) == Some(io::ErrorKind::NotFound) {
            // A link to nothing; or it vanished after its directory was read, which the next scan sees as it is.
            if path.is_symlink() {
                self.shared.warning(
                    ScanWarning::SymlinkDangling,
                    path,
                    "a symbolic link to nothing",
                );
            }
            return;
        }
        self.unreadable.push(path.to_path_buf());
        self.shared
            .failure(ScanFailure::UnreadableDirectory, path, &reason);
    }

    /// All was walked: what is left of the known tracks was not come upon.
    fn finish(mut self) -> Walked {
        let roots = &self.plan.roots;
        let unreadable = &self.unreadable;
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
        let mut unclaimed: HashMap<TrackId, &KnownTrack> = self
            .plan
            .known
            .values()
            .flat_map(HashMap::values)
            .map(|track| (track.id, track))
            .collect();
        let gone = unclaimed
            .values()
            .filter(|track| track.failure != Some(TrackFailure::Missing))
            .map(|track| track.id)
            .collect();
        for mut file in std::mem::take(&mut self.like_known) {
            let candidates: Vec<_> = self
                .by_stamp
                .iter()
                .filter_map(|tracks| tracks.get(&(file.stamp.size, file.stamp.mtime_ns)))
                .flatten()
                .filter(|(id, _)| unclaimed.contains_key(id))
                .collect();
            let claimed = candidates
                .iter()
                .find(|(_, inode)| *inode == file.stamp.inode)
                .or(candidates.first().filter(|_| candidates.len() == 1));
            file.moved_from = claimed.map(|(id, _)| *id);
            if let Some(id) = &file.moved_from {
                unclaimed.remove(id);
            }
            if self.to_probe.send(file).is_err() {
                break;
            }
        }
        Walked {
            found: self.found,
            unchanged: self.unchanged,
            gone,
        }
    }
}

/// Whether a file needs no reading.
fn is_unchanged(known: &KnownTrack, stamp: &Stamp) -> bool {
    known.probe_version == PROBE_VERSION
        && known.stamp.matches(stamp)
        && !known.failure.is_some_and(TrackFailure::is_dark)
}

/// Whether a directory is a mounted musefs, which is left out and counted.
fn is_musefs(entry: &DirEntry, mounts: &Mounts, shared: &Shared<'_>) -> bool {
    if !mounts.any_musefs() || !entry.file_type().is_dir() {
        return false;
    }
    let inside = entry
        .metadata()
        .is_ok_and(|metadata| mounts.musefs_of(&metadata).is_some());
    if inside {
        shared.warning(
            ScanWarning::MusefsMount,
            entry.path(),
            "a mounted musefs, left out",
        );
    }
    inside
}
