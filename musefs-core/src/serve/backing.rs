//! The user's own files: opened, looked at and read, never written. Every call is counted.
//!
//! Two ways to do each: one that may wait for a disk or a network, and one that answers at once or not at all. The second
//! is what an event loop may use. Whether a device can read without waiting is learned from the device itself.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::{Errno, ReadWriteFlags};

use crate::metrics::Metrics;
use crate::phases::{self, Phase};
use crate::store::Stamp;

/// What an attempt to do something without waiting came to.
#[derive(Debug)]
pub enum Attempt<T> {
    /// Done, one way or the other.
    Done(T),
    /// It would have to wait.
    WouldBlock,
}

/// Opens `path` for reading; may wait.
pub(super) fn open(path: &Path, metrics: &Metrics) -> io::Result<Opened> {
    let _phase = phases::enter(Phase::Backing);
    metrics.backing_opens.increment();
    Opened::look(open_quietly(path)?, metrics)
}

/// Whether the file at `path` opens and its first byte reads; may wait.
pub(super) fn can_be_read(path: &Path) -> bool {
    open_quietly(path)
        .and_then(|file| file.read_at(&mut [0], 0))
        .is_ok()
}

fn open_quietly(path: &Path) -> io::Result<File> {
    // A FIFO or a device under an audio file's name would otherwise wait for a writer.
    File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
}

/// An open file, and what it looked like right after it was opened.
#[derive(Debug)]
pub(super) struct Opened {
    pub file: File,
    pub stamp: Stamp,
    pub device: u64,
}

impl Opened {
    fn look(file: File, metrics: &Metrics) -> io::Result<Self> {
        let metadata = stat(&file, metrics)?;
        if !metadata.is_file() {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
            return Err(error);
        }
        Ok(Self {
            stamp: Stamp::of(&metadata),
            device: metadata.dev(),
            file,
        })
    }
}

/// Opens `path` when all of its directories are in the kernel's cache. To be used where the file's own device is known to
/// open without waiting.
pub(super) fn open_cached(path: &Path, metrics: &Metrics) -> Attempt<io::Result<Opened>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    match rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED) {
        // Not cached; or a kernel (ENOSYS, EINVAL) or sandbox (EPERM) without this call.
        Err(Errno::AGAIN | Errno::NOSYS | Errno::INVAL | Errno::PERM) => Attempt::WouldBlock,
        Ok(file) => {
            metrics.backing_opens.increment();
            Attempt::Done(Opened::look(File::from(file), metrics))
        }
        Err(error) => {
            metrics.backing_opens.increment();
            Attempt::Done(Err(error.into()))
        }
    }
}

/// The number of the device that `path` is on, as far as the kernel knows it by heart: that of the nearest directory above.
/// What a mount is mounted on is always known by heart, so that only a mount that was never looked into is missed. `None` where
/// nothing is known without waiting.
pub(super) fn known_device(path: &Path) -> Option<u64> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let at = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    path.ancestors().skip(1).find_map(|directory| {
        let mode = Mode::empty();
        let opened = rustix::fs::openat2(CWD, directory, flags, mode, ResolveFlags::CACHED).ok()?;
        let about = rustix::fs::statx(&opened, c"", at, StatxFlags::empty()).ok()?;
        Some(rustix::fs::makedev(
            about.stx_dev_major,
            about.stx_dev_minor,
        ))
    })
}

/// Metadata of an open file.
pub(super) fn stat(file: &File, metrics: &Metrics) -> io::Result<std::fs::Metadata> {
    let _phase = phases::enter(Phase::Backing);
    metrics.backing_stats.increment();
    file.metadata()
}

/// The stamp of an open file.
pub(super) fn stamp(file: &File, metrics: &Metrics) -> io::Result<Stamp> {
    Ok(Stamp::of(&stat(file, metrics)?))
}

/// Fills `into` from `offset`; may wait. A file that ends earlier gives a short count.
pub(super) fn read(
    file: &File,
    into: &mut [u8],
    offset: u64,
    metrics: &Metrics,
) -> io::Result<usize> {
    let _phase = phases::enter(Phase::Backing);
    let mut filled = 0;
    while filled < into.len() {
        metrics.backing_preads.increment();
        match file.read_at(&mut into[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => {
                metrics.backing_pread_bytes.add(count as u64);
                filled += count;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Reads what is in the page cache from `offset` on, up to `into.len()` bytes: possibly less than is there, possibly
/// nothing.
pub(super) fn read_cached(
    file: &File,
    into: &mut [u8],
    offset: u64,
    metrics: &Metrics,
) -> Result<usize, NotCached> {
    metrics.backing_preads.increment();
    match rustix::io::preadv2(
        file.as_fd(),
        &mut [IoSliceMut::new(into)],
        offset,
        ReadWriteFlags::NOWAIT,
    ) {
        Ok(count) => {
            metrics.backing_pread_bytes.add(count as u64);
            Ok(count)
        }
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Err(NotCached::Unsupported),
        // Any other error is told by the read that may wait.
        Err(_) => Err(NotCached::Now),
    }
}

/// Why nothing could be read without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotCached {
    /// It is not in memory now.
    Now,
    /// The device has no such reads (overlay, temporary, FUSE and network filesystems).
    Unsupported,
}

/// A path of a store (a root, and bytes below it) as the system takes it.
pub(super) fn join(root: &Path, below: &[u8]) -> PathBuf {
    if below.is_empty() {
        root.to_path_buf()
    } else {
        root.join(OsStr::from_bytes(below))
    }
}

/// How many devices are told apart; more of them share the cautious answer.
const DEVICES_MAX: usize = 64;

/// Devices that were found to read without waiting, or to be unable to. Lock-free: an entry is written once.
#[derive(Debug)]
pub(super) struct Devices {
    /// Device number shifted left by one, with the lowest bit set when it can; 0 is empty.
    known: [AtomicU64; DEVICES_MAX],
    /// How long reads of each have taken lately, in ns per [`READ_BYTES`]; 0 is unknown.
    read_ns: [AtomicU64; DEVICES_MAX],
}

/// A read of no more bytes counts as one; of more, as several.
const READ_BYTES: usize = 128 << 10;
/// Reads that take longer than this are worth doing before they are asked for. From a page cache they take a tenth of it.
const SLOW_READ: Duration = Duration::from_micros(250);
/// How much of the mean of a device's reads the newest one is.
const NEWEST_SHARE: u64 = 8;

impl Default for Devices {
    fn default() -> Self {
        Self {
            known: [const { AtomicU64::new(0) }; DEVICES_MAX],
            read_ns: [const { AtomicU64::new(0) }; DEVICES_MAX],
        }
    }
}

impl Devices {
    /// Whether `device` can read without waiting; `None` while it is unknown.
    pub(super) fn reads_without_waiting(&self, device: u64) -> Option<bool> {
        self.entry(device).map(|(_, entry)| entry & 1 == 1)
    }

    /// The place of `device`, and what is known of it.
    fn entry(&self, device: u64) -> Option<(usize, u64)> {
        self.known
            .iter()
            .map(|entry| entry.load(Relaxed))
            .take_while(|&entry| entry != 0)
            .enumerate()
            .find(|(_, entry)| entry >> 1 == device)
    }

    /// Notes that reading `len` bytes of `device`, waiting for them, took so long.
    pub(super) fn note_read(&self, device: u64, len: usize, took: Duration) {
        let Some((place, _)) = self.entry(device) else {
            return;
        };
        let reads = len.div_ceil(READ_BYTES).max(1) as u64;
        let newest = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX) / reads;
        // Of two threads that note at once, one may be lost: it is a mean.
        let mean = match self.read_ns[place].load(Relaxed) {
            0 => newest,
            mean => mean - mean / NEWEST_SHARE + newest / NEWEST_SHARE,
        };
        self.read_ns[place].store(mean.max(1), Relaxed);
    }

    /// Whether reads of `device` have taken so long lately that it is worth doing them before they are asked for.
    pub(super) fn is_slow(&self, device: u64) -> bool {
        let slow = u64::try_from(SLOW_READ.as_nanos()).expect("a short time");
        self.entry(device)
            .is_some_and(|(place, _)| self.read_ns[place].load(Relaxed) > slow)
    }

    /// Remembers what `device` was found to be able to do.
    pub(super) fn learn(&self, device: u64, without_waiting: bool) {
        let value = device << 1 | u64::from(without_waiting);
        for entry in &self.known {
            match entry.compare_exchange(0, value, Relaxed, Relaxed) {
                Ok(_) => return,
                Err(present) if present >> 1 == device => return,
                Err(_) => {}
            }
        }
    }
}

/// Asks the file's device whether it reads without waiting, with a read past the end; itself it may wait.
pub(super) fn probe_device(opened: &Opened, devices: &Devices, metrics: &Metrics) -> bool {
    if let Some(known) = devices.reads_without_waiting(opened.device) {
        return known;
    }
    let answer = read_cached(&opened.file, &mut [0], opened.stamp.size, metrics);
    let without_waiting = answer != Err(NotCached::Unsupported);
    devices.learn(opened.device, without_waiting);
    without_waiting
}

/// Whether the file is on a filesystem without a disk. Asks that filesystem, so it may wait.
pub(super) fn is_in_memory(file: &File) -> bool {
    const TMPFS_MAGIC: i64 = 0x0102_1994;
    rustix::fs::fstatfs(file).is_ok_and(|found| {
        #[allow(
            clippy::unnecessary_fallible_conversions,
            clippy::useless_conversion,
            reason = "the field's type differs between machines"
        )]
        let kind = i64::try_from(found.f_type);
        kind == Ok(TMPFS_MAGIC)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_of_a_path_is_that_of_the_nearest_directory_that_is_known() {
        let directory = tempfile::tempdir().unwrap();
        let device = directory.path().metadata().unwrap().dev();
        let known = known_device(&directory.path().join("not/there/yet"));
        // Where a sandbox forbids the call nothing is known.
        assert!(known.is_none_or(|known| known == device), "{known:?}");
        let other = Path::new("/proc/self");
        assert!(
            known_device(&other.join("maps")).is_none_or(|known| known != device),
            "/proc is a filesystem of its own"
        );
    }

    #[test]
    fn a_device_is_learned_once_and_the_table_is_bounded() {
        let devices = Devices::default();
        assert_eq!(devices.reads_without_waiting(7), None);
        devices.learn(7, true);
        devices.learn(7, false);
        assert_eq!(devices.reads_without_waiting(7), Some(true));
        for device in 100..100 + 2 * DEVICES_MAX as u64 {
            devices.learn(device, false);
        }
        assert_eq!(devices.reads_without_waiting(7), Some(true));
        assert_eq!(devices.reads_without_waiting(100), Some(false));
        assert_eq!(devices.reads_without_waiting(99_999), None);
    }

    #[test]
    fn a_device_is_slow_while_its_reads_take_long_for_what_they_bring() {
        let devices = Devices::default();
        let ms = Duration::from_millis;
        devices.note_read(7, 10, ms(5));
        assert!(!devices.is_slow(7), "nothing is known of it");
        devices.learn(7, false);
        assert!(!devices.is_slow(7), "nothing was read");
        devices.note_read(7, 10, ms(5));
        assert!(devices.is_slow(7) && !devices.is_slow(8));
        for _ in 0..40 {
            devices.note_read(7, 1 << 20, ms(1));
        }
        assert!(
            !devices.is_slow(7),
            "as much as eight reads, each of them fast"
        );
        for _ in 0..10 {
            devices.note_read(7, 1 << 20, ms(8));
        }
        assert!(devices.is_slow(7));
    }
}
