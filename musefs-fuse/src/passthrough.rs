//! Kernel passthrough: in structure-only mode the kernel reads the backing file itself, and reads never reach musefs.
//!
//! An inode that is open is either passed through or not, and stays so until its last handle is closed: the kernel takes
//! one backing file per inode, and refuses (EIO) a plain handle beside one that is passed through. So the first handle of
//! an inode decides, and what cannot be passed through then is served as ever. Only root may register backing files.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use fuser::{BackingId, InitFlags, KernelConfig, ReplyOpen};
use musefs_core::telemetry::PassthroughTelemetry;
use musefs_core::tree::Inode;
use musefs_telemetry::Counter;
use musefs_telemetry::{event_info, logging};
use parking_lot::Mutex;

/// How many filesystems may lie on one another, counting this one: its backing files lie on no stacked one.
const STACK_DEPTH_MAX: u32 = 1;

/// What is passed through in one mount.
#[derive(Debug)]
pub struct Passthrough {
    /// Agreed on with the kernel, and not refused since.
    is_on: AtomicBool,
    /// Why nothing is passed through, or not everything, once that is known.
    reason: OnceLock<String>,
    open: Open<BackingId>,
    opens: Counter,
}

impl Passthrough {
    /// Passthrough for a mount that wants it, or does not and why. Each handle that is passed through is counted in `opens`.
    pub fn new(wanted: Result<(), &str>, opens: Counter) -> Arc<Self> {
        let passthrough = Self {
            is_on: AtomicBool::new(false),
            reason: OnceLock::new(),
            open: Open::default(),
            opens,
        };
        if let Err(reason) = wanted {
            passthrough.reason.set(reason.into()).ok();
        }
        Arc::new(passthrough)
    }

    /// Asks the kernel for it, if it is wanted, while the mount is made.
    pub(crate) fn agree(&self, config: &mut KernelConfig) {
        if self.reason.get().is_some() {
            return;
        }
        if !nix::unistd::geteuid().is_root() {
            self.note("only root may pass files through");
        } else if config
            .add_capabilities(InitFlags::FUSE_PASSTHROUGH)
            .is_err()
        {
            self.note("this kernel has no passthrough (it came with Linux 6.9)");
        } else if config.set_max_stack_depth(STACK_DEPTH_MAX).is_err() {
            self.note("this kernel takes no stack of filesystems");
        } else {
            self.is_on.store(true, Relaxed);
        }
    }

    /// Notes why files are not passed through; only the first reason is kept and told.
    fn note(&self, reason: &str) {
        if self.reason.set(reason.into()).is_ok() {
            event_info!(
                logging::engine(),
                "kernel.passthrough.off",
                message = %format_args!("files are not passed through by the kernel: {reason}"),
            );
        }
    }

    /// Notes a further handle of `inode`, and returns what to pass through; `None` is a handle that is served. `file` is the
    /// backing file where its bytes are those of the inode.
    pub(crate) fn opened(
        &self,
        inode: Inode,
        file: Option<&impl AsFd>,
        reply: &ReplyOpen,
    ) -> Option<Arc<BackingId>> {
        if self.open.is_unused() && !self.is_on.load(Relaxed) {
            return None;
        }
        let backing = self.open.add(inode, || {
            let file = file.filter(|_| self.is_on.load(Relaxed))?;
            // Registers the file with the kernel, which waits for nothing.
            match reply.open_backing(file) {
                Ok(backing) => Some(backing),
                Err(error) => {
                    self.refused(&error);
                    None
                }
            }
        });
        if backing.is_some() {
            self.opens.increment();
        }
        backing
    }

    fn refused(&self, error: &std::io::Error) {
        match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => {
                // Root in a container of its own.
                self.is_on.store(false, Relaxed);
                self.note("the kernel does not permit it here");
            }
            Some(libc::ELOOP) => {
                self.note("some backing files lie on a stacked filesystem; those are served");
            }
            _ => self.note(&format!(
                "the kernel refused a backing file ({error}); those are served"
            )),
        }
    }

    /// Notes that a handle of `inode` is closed.
    pub(crate) fn released(&self, inode: Inode) {
        if !self.open.is_unused() {
            // A backing file is given back outside of the lock.
            drop(self.open.remove(inode));
        }
    }

    /// Its state at this moment; `None` where the system has none.
    pub fn telemetry(&self) -> Option<PassthroughTelemetry> {
        cfg!(target_os = "linux").then(|| PassthroughTelemetry {
            disabled: !self.is_on.load(Relaxed),
            active: self.open.active(),
        })
    }

    /// Whether files are passed through, and why not, in a few words.
    pub fn told(&self) -> String {
        let is_on = if self.is_on.load(Relaxed) {
            "on"
        } else {
            "off"
        };
        match self.reason.get() {
            Some(reason) => format!("{is_on}  # {reason}"),
            None => is_on.into(),
        }
    }
}

/// The inodes that are open, and how.
#[derive(Debug)]
struct Open<B> {
    inodes: Mutex<HashMap<Inode, Way<B>>>,
    /// Inodes in there, for those who need not look.
    inode_count: AtomicU64,
    /// Handles that are passed through.
    active: AtomicU64,
}

impl<B> Default for Open<B> {
    fn default() -> Self {
        Self {
            inodes: Mutex::default(),
            inode_count: AtomicU64::new(0),
            active: AtomicU64::new(0),
        }
    }
}

/// How all handles of an inode are served.
#[derive(Debug)]
struct Way<B> {
    handles: u64,
    /// What they are passed through to.
    backing: Option<Arc<B>>,
}

impl<B> Open<B> {
    fn is_unused(&self) -> bool {
        self.inode_count.load(Relaxed) == 0
    }

    fn active(&self) -> u64 {
        self.active.load(Relaxed)
    }

    /// Adds a handle of `inode`. The first one asks `register` for the backing file that all share.
    fn add(&self, inode: Inode, register: impl FnOnce() -> Option<B>) -> Option<Arc<B>> {
        let mut inodes = self.inodes.lock();
        let way = inodes.entry(inode).or_insert_with(|| {
            self.inode_count.fetch_add(1, Relaxed);
            Way {
                handles: 0,
                backing: register().map(Arc::new),
            }
        });
        way.handles += 1;
        if way.backing.is_some() {
            self.active.fetch_add(1, Relaxed);
        }
        way.backing.clone()
    }

    /// Takes a handle of `inode` away; with the last one, what it was passed through to.
    fn remove(&self, inode: Inode) -> Option<Arc<B>> {
        let mut inodes = self.inodes.lock();
        let Entry::Occupied(mut entry) = inodes.entry(inode) else {
            return None;
        };
        let way = entry.get_mut();
        way.handles -= 1;
        if way.backing.is_some() {
            self.active.fetch_sub(1, Relaxed);
        }
        if way.handles > 0 {
            return None;
        }
        self.inode_count.fetch_sub(1, Relaxed);
        entry.remove().backing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_handles_of_an_inode_go_the_way_of_its_first() {
        let open = Open::<u32>::default();
        let never = || panic!("registered twice");
        let first = open.add(Inode(7), || Some(1)).unwrap();
        let second = open.add(Inode(7), never).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(open.add(Inode(8), || None), None);
        assert_eq!(open.add(Inode(8), never), None, "plain beside plain");
        assert_eq!(open.active(), 2);

        assert_eq!(open.remove(Inode(7)), None, "one is still open");
        assert_eq!(open.remove(Inode(8)), None);
        assert_eq!(open.add(Inode(8), never), None, "and beside what is left");
        assert_eq!(open.remove(Inode(7)), Some(first));
        assert_eq!((open.active(), open.is_unused()), (0, false));
        assert_eq!(open.remove(Inode(8)), None);
        assert_eq!(open.remove(Inode(8)), None);
        assert!(open.is_unused());
        assert_eq!(open.add(Inode(8), || Some(2)).as_deref(), Some(&2));
        assert_eq!(
            open.remove(Inode(9)),
            None,
            "it was opened before there was a table"
        );
    }
}
