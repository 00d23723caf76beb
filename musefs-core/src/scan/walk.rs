//! The walk: every audio file of the scopes, with its stamp, in batches.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;

use walkdir::{DirEntry, WalkDir};

use super::compare::Closed;
use super::report::{ScanFailure, ScanWarning};
use super::targets::{Scope, has_audio_extension};
use super::{Milestone, Shared};
use crate::mounts::Mounts;
use crate::store::Stamp;

/// Files handed on at once.
pub(super) const FOUND_BATCH_FILES_MAX: usize = 256;

/// An audio file.
pub(super) struct FileFound {
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
}

/// How the walk went.
pub(super) struct Walked {
    /// Audio files come upon.
    pub(super) found: u64,
    /// Whether all scopes were walked to their end.
    pub(super) complete: bool,
    /// What could not be read: nothing is known of what lies beneath.
    pub(super) unreadable: Vec<PathBuf>,
}

struct Walker<'a> {
    mounts: &'a Mounts,
    to_compare: SyncSender<Vec<FileFound>>,
    shared: &'a Shared<'a>,
    batch: Vec<FileFound>,
    found: u64,
    unreadable: Vec<PathBuf>,
}

/// Walks all scopes. Returning closes the queue.
pub(super) fn walk(
    scopes: &[Scope],
    mounts: &Mounts,
    to_compare: SyncSender<Vec<FileFound>>,
    shared: &Shared<'_>,
) -> Walked {
    let mut walker = Walker {
        mounts,
        to_compare,
        shared,
        batch: Vec::new(),
        found: 0,
        unreadable: Vec::new(),
    };
    let all = scopes.iter().try_for_each(|scope| walker.scope(scope));
    let complete = all.and_then(|()| walker.hand_on()).is_ok();
    if complete {
        shared.progress.on_milestone(Milestone::Walked {
            found: walker.found,
        });
    }
    Walked {
        found: walker.found,
        complete,
        unreadable: walker.unreadable,
    }
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
            Ok(metadata) if self.mounts.musefs_of(&metadata).is_some() => {
                self.shared.warning(
                    ScanWarning::MusefsMount,
                    path,
                    "leads into a mounted musefs, left out",
                );
            }
            Ok(metadata) => {
                self.found += 1;
                self.shared.progress.on_found(self.found);
                self.batch.push(FileFound {
                    path: path.to_path_buf(),
                    stamp: Stamp::of(&metadata),
                });
            }
            Err(error) => self.error(&error),
        }
        if self.batch.len() < FOUND_BATCH_FILES_MAX {
            return Ok(());
        }
        self.hand_on()
    }

    fn hand_on(&mut self) -> Result<(), Closed> {
        let batch = std::mem::take(&mut self.batch);
        self.to_compare.send(batch).map_err(|_| Closed)
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
