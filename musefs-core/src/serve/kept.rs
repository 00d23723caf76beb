//! Backing files that stay open for a moment after they were closed, for who opens them again: finding a path and opening it
//! takes longer than all else that an open of a known file needs.
//!
//! Invariants: they are few, and kept so briefly that no disk is held which somebody wants to take away; only those of devices
//! that answer without waiting are kept; and one is given out again only when nothing at all happened to it since, not even
//! to its name, which its ctime tells.

use std::collections::VecDeque;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::backing::{self, Opened};
use crate::metrics::Metrics;
use crate::store::Stamp;
use crate::tree::Inode;

/// More of them are not kept: the one that was closed first makes room.
const FILES_MAX: usize = 32;
/// Longer than this none is given out, and whoever looks next for what is old closes it.
const KEPT_MAX: Duration = Duration::from_secs(1);

/// Open backing files that nobody reads, the one that was closed first in front.
#[derive(Debug)]
pub(super) struct Kept {
    files: Mutex<Files>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Files {
    kept: VecDeque<One>,
    /// Those that are not given out any more, until somebody who may wait closes them.
    changed: Vec<One>,
}

#[derive(Debug)]
struct One {
    inode: Inode,
    opened: Opened,
    since: Instant,
}

/// Backing files that are not kept any longer. Dropping them closes them, which may wait for the disk where one was deleted
/// meanwhile.
#[derive(Debug)]
pub struct NoLongerKept(Vec<One>);

impl NoLongerKept {
    /// The device of the first of them; `None` where there is none.
    pub fn device(&self) -> Option<u64> {
        self.0.first().map(|one| one.opened.device)
    }
}

impl Kept {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            files: Mutex::default(),
            metrics: metrics.clone(),
        }
    }

    /// Keeps the backing file of `inode`, which is of a device that answers without waiting.
    pub(super) fn keep(&self, inode: Inode, opened: Opened) {
        let since = Instant::now();
        let mut files = self.files.lock();
        let oldest = (files.kept.len() == FILES_MAX).then(|| files.kept.pop_front());
        files.kept.push_back(One {
            inode,
            opened,
            since,
        });
        drop(files);
        if oldest.is_none() {
            self.metrics.backing_files_kept.add(1);
        }
        // Outside of the lock it is closed.
        drop(oldest);
    }

    /// The backing file of `inode`, if it is kept and as it was.
    pub(super) fn take(&self, inode: Inode) -> Option<Opened> {
        let one = {
            let mut files = self.files.lock();
            let place = files.kept.iter().rposition(|one| one.inode == inode)?;
            files.kept.remove(place)?
        };
        let metadata = backing::stat(&one.opened.file, &self.metrics).ok();
        let is_same = metadata.is_some_and(|metadata| {
            Stamp::of(&metadata) == one.opened.stamp && metadata.nlink() > 0
        });
        if is_same {
            self.metrics.backing_files_kept.add(-1);
            self.metrics.backing_reopens.increment();
            return Some(one.opened);
        }
        // To close the last of a file that was deleted is to delete its bytes, which takes time.
        let mut files = self.files.lock();
        if files.changed.len() < FILES_MAX {
            files.changed.push(one);
        } else {
            drop(files);
            self.metrics.backing_files_kept.add(-1);
        }
        None
    }

    /// Takes those out that have been kept for long enough at `now`.
    pub(super) fn take_old(&self, now: Instant) -> NoLongerKept {
        let mut files = self.files.lock();
        let is_old = |one: &One| now.saturating_duration_since(one.since) >= KEPT_MAX;
        let count = files.kept.iter().take_while(|one| is_old(one)).count();
        let mut gone = std::mem::take(&mut files.changed);
        gone.extend(files.kept.drain(..count));
        drop(files);
        self.metrics.backing_files_kept.add(-difference(gone.len()));
        NoLongerKept(gone)
    }

    /// Closes all, for somebody who has no descriptor left; whether there were any.
    pub(super) fn close_all(&self) -> bool {
        let all = std::mem::take(&mut *self.files.lock());
        let count = all.kept.len() + all.changed.len();
        self.metrics.backing_files_kept.add(-difference(count));
        count > 0
    }
}

fn difference(count: usize) -> i64 {
    i64::try_from(count).expect("a few files")
}

#[cfg(test)]
mod tests {
    use super::*;
    use musefs_telemetry::{Engine, MetricSet as _};
    use std::fs;
    use std::path::Path;

    fn opened(path: &Path, metrics: &Metrics) -> Opened {
        backing::open(path, metrics).unwrap()
    }

    #[test]
    fn a_file_is_given_out_again_unless_anything_happened_to_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let metrics = Metrics::declare(&Engine::new()).unwrap();
        let kept = Kept::new(&metrics);
        fs::write(&path, "as it was").unwrap();
        let keep = || kept.keep(Inode(7), opened(&path, &metrics));

        keep();
        assert!(kept.take(Inode(8)).is_none());
        assert!(kept.take(Inode(7)).is_some());
        assert!(kept.take(Inode(7)).is_none(), "it was given out");

        keep();
        fs::write(&path, "longer than it was").unwrap();
        assert!(kept.take(Inode(7)).is_none());
        keep();
        fs::remove_file(&path).unwrap();
        assert!(kept.take(Inode(7)).is_none());
        assert_eq!(metrics.backing_files_kept.value(), 2, "still open");
        assert!(kept.take_old(Instant::now()).device().is_some());
        assert_eq!(metrics.backing_files_kept.value(), 0);
        assert_eq!(metrics.backing_reopens.value(), 1);
    }

    #[test]
    fn few_are_kept_and_none_for_long() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let metrics = Metrics::declare(&Engine::new()).unwrap();
        let kept = Kept::new(&metrics);
        let many = FILES_MAX as u64 + 5;
        let before = Instant::now();
        for inode in 0..many {
            kept.keep(Inode(inode), opened(file.path(), &metrics));
        }
        assert_eq!(metrics.backing_files_kept.value(), FILES_MAX as u64);
        assert!(kept.take(Inode(4)).is_none(), "it made room");
        assert!(kept.take(Inode(5)).is_some());
        assert_eq!(kept.take_old(before).device(), None);
        let later = Instant::now() + KEPT_MAX;
        assert!(kept.take_old(later).device().is_some());
        assert_eq!(metrics.backing_files_kept.value(), 0);
        assert!(!kept.close_all());
    }
}
