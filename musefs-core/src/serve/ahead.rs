//! Files that are resolved before anybody opens them: who opens one file of a directory after the other, as an import or a
//! player does, finds the next ones resolved and open, and waits for no thread.
//!
//! It is work that nobody asked for, so it is bounded and silent: a few files at a time, one run at a time, only of devices that
//! answer without waiting; a file that cannot be resolved is left to who opens it, who is told why.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use parking_lot::Mutex;

use super::backing::{self, Opened};
use super::cache::Resolved;
use super::resolve::Located;
use super::steps::WaitsFor;
use super::{Mode, Musefs, inode_of, layout_of};
use crate::ids::TrackId;
use crate::metrics::ResolveCause;
use crate::tree::{Inode, NodeKind};

/// Files that are resolved in the first run of a directory, and that no run has more of.
const RUN_LEN: std::ops::RangeInclusive<u32> = 4..=16;
/// Directories in which somebody may go along at the same time.
const TRAILS_MAX: usize = 8;

/// Where somebody goes along in a directory.
#[derive(Clone, Copy, Debug)]
struct Trail {
    directory: Inode,
    /// The file that was opened last, by its place in the directory.
    last: u32,
    /// The first file that no run had yet.
    until: u32,
    /// Files of the last run.
    run_len: u32,
}

/// Who goes along where, and whether a run is under way.
#[derive(Debug, Default)]
pub(super) struct Trails {
    /// The one that was noted last is the last.
    trails: Mutex<Vec<Trail>>,
    is_running: Arc<AtomicBool>,
}

impl Trails {
    /// Notes that the file at `place` in `directory` was opened; which files are to be resolved then, by their places.
    fn note(&self, directory: Inode, place: u32) -> Option<std::ops::Range<u32>> {
        let mut trails = self.trails.lock();
        let known = trails
            .iter()
            .position(|trail| trail.directory == directory)
            .map(|index| trails.remove(index));
        let mut trail = known
            .filter(|trail| (trail.last..=trail.last.saturating_add(1)).contains(&place))
            .unwrap_or(Trail {
                directory,
                last: place,
                until: place.saturating_add(1),
                run_len: 0,
            });
        let goes_along = place == trail.last.saturating_add(1) || (place == 0 && known.is_none());
        trail.last = place;
        let left = trail.until.saturating_sub(place.saturating_add(1));
        let is_due = goes_along && left <= trail.run_len / 2;
        let run = (is_due && !self.is_running.swap(true, Relaxed)).then(|| {
            let start = trail.until.max(place.saturating_add(1));
            trail.run_len = (trail.run_len * 2).clamp(*RUN_LEN.start(), *RUN_LEN.end());
            trail.until = start.saturating_add(trail.run_len);
            start..trail.until
        });
        if trails.len() == TRAILS_MAX {
            trails.remove(0);
        }
        trails.push(trail);
        run
    }
}

/// Ends a run when it is dropped.
#[derive(Debug)]
struct Running(Arc<AtomicBool>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.store(false, Relaxed);
    }
}

/// A run: files to be resolved, in steps that each wait for one thing.
#[derive(Debug)]
pub struct Ahead {
    stage: Stage,
    waits_for: WaitsFor,
    first: Inode,
    _running: Running,
}

#[derive(Debug)]
enum Stage {
    /// What the store has of them is to be read.
    Unknown(Vec<(Inode, TrackId)>),
    /// Their backing files are to be opened, which are all on one device.
    Located(Vec<(Inode, Located)>),
}

impl Ahead {
    /// What the next step may have to wait for, and the inode of the first file.
    pub fn subject(&self) -> (WaitsFor, Inode) {
        (self.waits_for, self.first)
    }
}

impl Musefs {
    /// Notes that `inode` was opened; what is to be resolved in case its neighbours are opened next.
    pub fn opened(&self, inode: Inode) -> Option<Ahead> {
        let tree = self.tree.load();
        let node = tree.find(inode)?;
        let directory = tree.node(node).parent;
        let run = self
            .trails
            .note(tree.node(directory).inode, node.place()?)?;
        let running = Running(Arc::clone(&self.trails.is_running));
        let neighbours = tree.children(directory).skip(run.start as usize);
        let files: Vec<_> = neighbours
            .take(run.len())
            .filter_map(|neighbour| {
                let node = tree.node(neighbour);
                match node.kind {
                    NodeKind::File { track, .. } => Some((node.inode, track)),
                    NodeKind::Directory { .. } => None,
                }
            })
            .filter(|(inode, _)| !self.cache.contains(*inode))
            .collect();
        Some(Ahead {
            first: files.first()?.0,
            stage: Stage::Unknown(files),
            waits_for: self.stores.waits_for(),
            _running: running,
        })
    }

    /// Does the next step of a run; may wait for what that says it waits for. What the step after it is, if there is one.
    pub fn ahead_step(&self, ahead: Ahead) -> Option<Ahead> {
        match &ahead.stage {
            Stage::Unknown(files) => {
                let located = self.locate_ahead(files);
                let device = located.first().map(|(_, located)| located.waits_for)?;
                Some(Ahead {
                    stage: Stage::Located(located),
                    waits_for: device,
                    ..ahead
                })
            }
            Stage::Located(files) => {
                for (inode, located) in files {
                    // Somebody may have been faster.
                    if !self.cache.contains(*inode)
                        && let Some((resolved, opened)) = self.resolve_ahead(located)
                    {
                        self.cache.insert(*inode, resolved);
                        self.kept.keep(*inode, opened);
                    }
                }
                None
            }
        }
    }

    /// Those of `files` that the store has as the tree shows them, on a device that is known to answer without waiting.
    fn locate_ahead(&self, files: &[(Inode, TrackId)]) -> Vec<(Inode, Located)> {
        let started = Instant::now();
        let tracks: Vec<TrackId> = files.iter().map(|(_, track)| *track).collect();
        let (details, inode_base) = {
            let store = self.stores.take();
            let details = store.details(&tracks).unwrap_or_default();
            (details, store.inode_base)
        };
        let roots = self.roots.load();
        let mut device: Option<(u64, Box<Path>)> = None;
        let mut located = Vec::with_capacity(details.len());
        for detail in details {
            let row = &detail.row;
            let inode = inode_of(self.config.mode, inode_base, row);
            let Some(root) = roots.get(&row.root) else {
                continue;
            };
            if !files.contains(&(inode, row.id)) {
                continue;
            }
            let path = backing::join(root, &row.path);
            let directory = path.parent().unwrap_or(&path);
            let on = match &device {
                Some((device, known)) if **known == *directory => Some(*device),
                _ => backing::known_device(&path),
            };
            let Some(on) = on.filter(|on| device.as_ref().is_none_or(|(device, _)| device == on))
            else {
                continue;
            };
            if self.devices.reads_without_waiting(on) != Some(true) {
                continue;
            }
            device = Some((on, directory.into()));
            let layout = layout_of(self.config.mode, &detail);
            // A size that is wrong is mended by who opens the file.
            if self.config.mode == Mode::Synthesis && row.served_size != Some(layout.len()) {
                continue;
            }
            let cause = ResolveCause::Ahead;
            let on = WaitsFor::Device(on);
            let spent = started.elapsed() / u32::try_from(files.len()).unwrap_or(u32::MAX);
            located.push((inode, Located::new(detail, layout, path, on, cause, spent)));
        }
        located
    }

    /// As opening the file would, but of a file that is not as it was nothing is said.
    fn resolve_ahead(&self, located: &Located) -> Option<(Arc<Resolved>, Opened)> {
        let started = Instant::now();
        let opened = backing::open(located.path(), &self.metrics).ok()?;
        let resolved = self.made_of(located, &opened);
        self.note_resolve_of(located, started.elapsed());
        let resolved = resolved.ok()?;
        let seen = backing::stamp(&opened.file, &self.metrics).ok()?;
        let is_fit = resolved.without_waiting && resolved.stamp.matches(&seen);
        is_fit.then(|| (Arc::new(resolved), opened))
    }
}

#[cfg(test)]
mod tests;
