//! Open files and directories. A handle keeps what it needs to serve the bytes it was opened on to the end, whatever
//! happens to the tree meanwhile. Handle numbers are never used twice in a mount.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::{Mutex, RwLock};

use super::Attributes;
use super::cache::Resolved;
use super::mapping::Window;
use super::pattern::ReadPosition;
use super::readahead::Stream;
use crate::metrics::Metrics;
use crate::store::Stamp;
use crate::tree::{Inode, NodeIndex, Tree};

/// Names an open file or directory. 0 is never given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HandleId(pub u64);

/// An open file.
#[derive(Debug)]
pub struct Handle {
    pub(super) inode: Inode,
    pub(super) resolved: Arc<Resolved>,
    pub(super) file: File,
    /// What the backing file looked like when it was opened.
    pub(super) seen: Stamp,
    pub(super) attributes: Attributes,
    pub(super) stream: Arc<Stream>,
    pub(super) window: Window,
    pub(super) position: ReadPosition,
}

impl AsFd for Handle {
    /// The backing file.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// An open directory: the listing as it was when it was opened.
#[derive(Debug)]
pub(super) struct DirectoryHandle {
    pub tree: Arc<Tree>,
    pub node: NodeIndex,
}

/// Spreads numbers that are given out one after the other.
#[derive(Default)]
struct ByNumber(u64);

impl Hasher for ByNumber {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("only numbers are hashed");
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

type Numbered<V> = HashMap<HandleId, V, BuildHasherDefault<ByNumber>>;

/// How many parts the table of open files has, so that event loops seldom meet.
const SHARD_COUNT: usize = 16;

#[derive(Debug)]
pub(super) struct Handles {
    next: AtomicU64,
    files: [RwLock<Numbered<Arc<Handle>>>; SHARD_COUNT],
    /// Attributes of open inodes, with how many handles each has: an inode answers while it is open.
    inodes: Mutex<HashMap<Inode, (u64, Arc<Handle>)>>,
    /// Open handles on a later version than their inode stands for.
    newer_count: AtomicU64,
    directories: RwLock<Numbered<Arc<DirectoryHandle>>>,
    directory_count: AtomicU64,
    directories_max: u64,
    metrics: Metrics,
}

impl Handles {
    pub(super) fn new(directories_max: u64, metrics: &Metrics) -> Self {
        Self {
            next: AtomicU64::new(1),
            files: std::array::from_fn(|_| RwLock::default()),
            inodes: Mutex::default(),
            newer_count: AtomicU64::new(0),
            directories: RwLock::default(),
            directory_count: AtomicU64::new(0),
            directories_max,
            metrics: metrics.clone(),
        }
    }

    fn take_id(&self) -> HandleId {
        HandleId(self.next.fetch_add(1, Relaxed))
    }

    fn shard(&self, id: HandleId) -> &RwLock<Numbered<Arc<Handle>>> {
        let hash = BuildHasherDefault::<ByNumber>::default().hash_one(id.0);
        &self.files[(hash >> 32) as usize % SHARD_COUNT]
    }

    /// Keeps a file open.
    ///
    /// # Errors
    /// What its inode is open on already, where that is another version: an inode shows one at a time.
    pub(super) fn insert(&self, handle: Handle) -> Result<HandleId, Arc<Resolved>> {
        let id = self.take_id();
        let handle = Arc::new(handle);
        let mut inodes = self.inodes.lock();
        let (count, first) = inodes
            .entry(handle.inode)
            .or_insert_with(|| (0, Arc::clone(&handle)));
        let is_newer = handle.resolved.is_newer;
        if (is_newer || first.resolved.is_newer) && !Arc::ptr_eq(&handle.resolved, &first.resolved)
        {
            return Err(Arc::clone(&first.resolved));
        }
        *count += 1;
        drop(inodes);
        self.newer_count.fetch_add(u64::from(is_newer), Relaxed);
        self.shard(id).write().insert(id, handle);
        self.metrics.handles_open.add(1);
        Ok(id)
    }

    pub(super) fn get(&self, id: HandleId) -> Option<Arc<Handle>> {
        self.shard(id).read().get(&id).cloned()
    }

    /// Ends handle `id`, if there is one. Who drops it last closes its backing file.
    pub(super) fn remove(&self, id: HandleId) -> Option<Arc<Handle>> {
        let handle = self.shard(id).write().remove(&id)?;
        let mut inodes = self.inodes.lock();
        let mut last = None;
        if let Some((count, _)) = inodes.get_mut(&handle.inode) {
            *count -= 1;
            if *count == 0 {
                last = inodes.remove(&handle.inode);
            }
        }
        drop(inodes);
        // It may be the last to hold another handle's backing file, which is closed outside of the lock.
        drop(last);
        let is_newer = u64::from(handle.resolved.is_newer);
        self.newer_count.fetch_sub(is_newer, Relaxed);
        self.metrics.handles_open.add(-1);
        Some(handle)
    }

    /// A handle that `inode` is open on.
    pub(super) fn of_inode(&self, inode: Inode) -> Option<Arc<Handle>> {
        self.inodes
            .lock()
            .get(&inode)
            .map(|(_, handle)| Arc::clone(handle))
    }

    /// A handle that `inode` is open on, if it is one on a later version than the inode stands for.
    pub(super) fn newer_of_inode(&self, inode: Inode) -> Option<Arc<Handle>> {
        if self.newer_count.load(Relaxed) == 0 {
            return None;
        }
        self.of_inode(inode)
            .filter(|handle| handle.resolved.is_newer)
    }

    /// Keeps a listing open; `None` over the bound, where a directory is listed without a handle.
    pub(super) fn insert_directory(&self, directory: DirectoryHandle) -> Option<HandleId> {
        let admitted = self
            .directory_count
            .fetch_update(Relaxed, Relaxed, |count| {
                (count < self.directories_max).then_some(count + 1)
            })
            .is_ok();
        admitted.then(|| {
            let id = self.take_id();
            self.directories.write().insert(id, Arc::new(directory));
            id
        })
    }

    pub(super) fn directory(&self, id: HandleId) -> Option<Arc<DirectoryHandle>> {
        self.directories.read().get(&id).cloned()
    }

    pub(super) fn remove_directory(&self, id: HandleId) {
        if self.directories.write().remove(&id).is_some() {
            self.directory_count.fetch_sub(1, Relaxed);
        }
    }

    /// Open directory snapshots, and the bound on them.
    pub(super) fn directory_count(&self) -> (u64, u64) {
        (self.directory_count.load(Relaxed), self.directories_max)
    }
}
