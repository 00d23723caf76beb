//! A fixed small set of store connections for the threads that resolve files. A thread takes one out, works, and puts it
//! back: the lock guards the list alone, never a query.

use std::ops::{Deref, DerefMut};
use std::os::unix::fs::MetadataExt as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::{Condvar, Mutex};

use super::steps::WaitsFor;
use crate::store::Store;

pub(super) struct Stores {
    idle: Mutex<Idle>,
    returned: Condvar,
    /// The number of the device that the store is on; 0 where that is not known.
    device: AtomicU64,
}

struct Idle {
    stores: Vec<Store>,
    /// What is added to a sequence number of these stores to make an inode.
    inode_base: u64,
    /// How often the set was replaced: a connection of an older one does not come back.
    generation: u64,
}

impl std::fmt::Debug for Stores {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Stores").finish_non_exhaustive()
    }
}

impl Stores {
    pub(super) fn new(stores: Vec<Store>, inode_base: u64) -> Self {
        assert!(!stores.is_empty(), "a set of connections has at least one");
        Self {
            device: AtomicU64::new(device_of(&stores)),
            idle: Mutex::new(Idle {
                stores,
                inode_base,
                generation: 0,
            }),
            returned: Condvar::new(),
        }
    }

    /// Counts the inodes of the same store from another number.
    pub(super) fn rebase(&self, inode_base: u64) {
        self.idle.lock().inode_base = inode_base;
    }

    /// Goes on with connections to another store, whose inodes are counted from `inode_base`.
    pub(super) fn replace(&self, stores: Vec<Store>, inode_base: u64) {
        self.device.store(device_of(&stores), Relaxed);
        let mut idle = self.idle.lock();
        idle.inode_base = inode_base;
        idle.generation += 1;
        let old = std::mem::replace(&mut idle.stores, stores);
        drop(idle);
        self.returned.notify_all();
        drop(old);
    }

    /// What reading the store may have to wait for: its device, which may be that of backing files, too.
    pub(super) fn waits_for(&self) -> WaitsFor {
        match self.device.load(Relaxed) {
            0 => WaitsFor::Store,
            device => WaitsFor::Device(device),
        }
    }

    /// A connection; waits while all are in use.
    pub(super) fn take(&self) -> Taken<'_> {
        let mut idle = self.idle.lock();
        loop {
            if let Some(store) = idle.stores.pop() {
                return Taken {
                    stores: self,
                    store: Some(store),
                    inode_base: idle.inode_base,
                    generation: idle.generation,
                };
            }
            self.returned.wait(&mut idle);
        }
    }
}

/// The device that a set of connections reads, or 0; may wait for it.
fn device_of(stores: &[Store]) -> u64 {
    let metadata = stores.first().map(|store| store.path().metadata());
    metadata.and_then(Result::ok).map_or(0, |about| about.dev())
}

/// A connection in use; back in the set when dropped.
pub(super) struct Taken<'a> {
    stores: &'a Stores,
    store: Option<Store>,
    /// Goes with the store: an inode is never looked up with the rows of another one.
    pub(super) inode_base: u64,
    generation: u64,
}

impl Deref for Taken<'_> {
    type Target = Store;
    fn deref(&self) -> &Store {
        self.store.as_ref().expect("only drop takes it out")
    }
}

impl DerefMut for Taken<'_> {
    fn deref_mut(&mut self) -> &mut Store {
        self.store.as_mut().expect("only drop takes it out")
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut idle = self.stores.idle.lock();
        if idle.generation == self.generation {
            idle.stores.extend(self.store.take());
        }
        drop(idle);
        self.stores.returned.notify_one();
    }
}
