//! Who keeps a file of metrics holds a lock on what it wrote last. Each text is a file of its own that takes the last one's
//! place, and carries its lock there; the lock goes with its process, however that ends, and nothing is left beside the file.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use parking_lot::Mutex;
use tempfile::NamedTempFile;

/// What this process wrote last, locked.
#[derive(Clone, Debug, Default)]
pub struct Held(Arc<Mutex<Option<Flock<File>>>>);

/// A lock on a new file that nobody else knows of; nothing where the file system has no locks.
///
/// # Errors
/// When the file cannot be opened once more.
pub(super) fn of(fresh: &NamedTempFile) -> io::Result<Option<Flock<File>>> {
    Ok(Flock::lock(fresh.reopen()?, FlockArg::LockExclusiveNonblock).ok())
}

impl Held {
    /// Keeps `lock` instead of the one before.
    pub(super) fn keep(&self, lock: Option<Flock<File>>) {
        *self.0.lock() = lock;
    }

    /// Whether the file at `path` is locked, and by somebody else.
    pub(super) fn is_kept_by_another(&self, path: &Path) -> bool {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path);
        let Ok(file) = opened else {
            return false;
        };
        if self.is(&file) {
            return false;
        }
        // A lock that others may have, too, and that goes at once.
        let locked = Flock::lock(file, FlockArg::LockSharedNonblock);
        matches!(locked, Err((_, Errno::EWOULDBLOCK)))
    }

    fn is(&self, file: &File) -> bool {
        let identity = |file: &File| {
            let metadata = file.metadata().ok()?;
            Some((metadata.dev(), metadata.ino()))
        };
        let held = self.0.lock();
        held.as_ref()
            .is_some_and(|held| identity(held) == identity(file))
    }
}
