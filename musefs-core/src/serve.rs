//! `Musefs`: what the kernel may ask, answered from an immutable tree, resolved files, and the backing files.
//!
//! Each operation that could wait comes twice: as an attempt that never waits, for an event loop, and as one that may, for
//! the pool. No lock is held while anything waits. Nothing here knows of FUSE, replies or threads.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use arc_swap::ArcSwap;
use musefs_telemetry::Engine;
use parking_lot::Mutex;

use crate::ids::{RootId, TrackId};
use crate::layout::BlobId;
use crate::metrics::{BackingFailure, CoreMetrics, Metrics};
use crate::refresh::Holdings;
use crate::stop::Stop;
use crate::store::{Store, StoreError, TrackRow};
use crate::telemetry::CoreTelemetry;
use crate::tree::{Inode, NodeIndex, NodeKind, Tree};

mod ahead;
mod backing;
mod cache;
mod dark;
mod flights;
mod handles;
mod kept;
mod mapping;
mod pattern;
mod readahead;
mod reader;
mod resolve;
mod steps;
mod stores;
mod superseded;
mod troubles;

pub use ahead::Ahead;
pub use backing::Attempt;
pub use flights::{Flight, OnLanding};
pub use handles::{Handle, HandleId};
pub use kept::NoLongerKept;
pub use mapping::Mapped;
pub use reader::ReadBuffer;
pub use steps::{Found, OpenFile, Opening, Released, Step, WaitsFor};

use ahead::Trails;
use backing::{Devices, Opened};
pub(crate) use resolve::layout_of;

use cache::{HeaderCache, Resolved};
use dark::DarkTracks;
use flights::Flights;
use handles::{DirectoryHandle, Handles};
use kept::Kept;
use mapping::{Trust, Window};
use readahead::Budget;
use stores::Stores;
use superseded::Superseded;
use troubles::Troubles;

/// Dark tracks that are looked at again at one time.
const LOOKS_AGAIN_MAX: usize = 1_000;

/// Inodes of track files start here; below are the root and what the edge adds, above 2^52 the directories.
pub const INODE_TRACK_BASE: u64 = 1 << 32;

/// What the served bytes of a track are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Fresh metadata in front of the backing audio.
    Synthesis,
    /// The backing bytes as they are, in the new tree.
    StructureOnly,
}

/// Bounds and choices of one mount.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// What is served.
    pub mode: Mode,
    /// Budget of the header cache in bytes.
    pub header_cache_bytes_max: u64,
    /// Budget of all read-ahead buffers in bytes; 0 is off.
    pub readahead_bytes_max: u64,
    /// Directories that may be open with a listing of their own.
    pub dir_handles_max: u64,
    /// Store connections for resolving files; at least 1.
    pub store_connections: usize,
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such name.
    #[error("no such file or directory")]
    NotFound,
    /// The inode stood for something that is neither in the tree nor open.
    #[error("the file has moved on")]
    Stale,
    /// A directory was needed.
    #[error("not a directory")]
    NotADirectory,
    /// A file was needed.
    #[error("is a directory")]
    IsADirectory,
    /// The handle was never given out, or is closed.
    #[error("unknown handle")]
    BadHandle,
    /// The backing file is not what was scanned.
    #[error("{} has changed since it was scanned", path.display())]
    Changed {
        /// The backing file.
        path: PathBuf,
    },
    /// The backing file cannot be opened or read.
    #[error("cannot read {}", path.display())]
    Backing {
        /// The backing file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The process has no file descriptor left.
    #[error("out of file descriptors while opening {}", path.display())]
    OutOfDescriptors {
        /// The backing file.
        path: PathBuf,
    },
    /// A picture or binary value that a layout needs is no longer in the store.
    #[error("the store no longer holds all of blob {}", .0.0)]
    BlobGone(BlobId),
    /// The store cannot be read.
    #[error(transparent)]
    Store(StoreError),
}

/// What `stat` shows of an inode, but for owner and mode, which are the mount's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// The inode.
    pub inode: Inode,
    /// File or directory.
    pub is_directory: bool,
    /// Length in bytes.
    pub size: u64,
    /// Last change, nanoseconds since the epoch.
    pub mtime_ns: i64,
    /// Links: 1 for a file; 2 and one per subdirectory for a directory.
    pub link_count: u32,
}

/// One name in a listing.
#[derive(Clone, Copy, Debug)]
pub struct ListedEntry<'a> {
    /// The name.
    pub name: &'a [u8],
    /// What it stands for.
    pub attributes: Attributes,
    /// Where a listing goes on after this name.
    pub next: u64,
    /// Whether it is of the newest tree; what is not must not be remembered.
    pub is_newest: bool,
}

/// A mounted library, without a kernel.
#[derive(Debug)]
pub struct Musefs {
    config: ServeConfig,
    engine: Engine,
    counted: CoreMetrics,
    metrics: Metrics,
    tree: ArcSwap<Tree>,
    roots: ArcSwap<HashMap<RootId, PathBuf>>,
    stores: Stores,
    cache: HeaderCache,
    flights: Arc<Flights>,
    handles: Handles,
    kept: Kept,
    trails: Trails,
    devices: Devices,
    trust: Trust,
    dark: DarkTracks,
    troubles: Troubles,
    superseded: Mutex<Superseded>,
    readahead: Arc<Budget>,
    inode_paths: AtomicU64,
    turns: Arc<Stop>,
    generation: AtomicU64,
    needs_rebuild: AtomicBool,
    store_unreadable: AtomicBool,
}

impl Musefs {
    /// Serves what is published, whose tracks are those of `stores` (several connections to one store). `counted` is
    /// declared with `engine`.
    pub fn new(
        config: ServeConfig,
        engine: Engine,
        counted: CoreMetrics,
        stores: Vec<Store>,
        published: Published,
    ) -> Self {
        let metrics = counted.serving.clone();
        let dark = DarkTracks::new(&metrics);
        dark.publish(published.holdings.unparsable().clone(), |_| true);
        show_library(&counted, &published);
        Self {
            tree: ArcSwap::from_pointee(published.tree),
            roots: ArcSwap::from_pointee(published.roots),
            stores: Stores::new(stores, published.inode_base),
            cache: HeaderCache::new(config.header_cache_bytes_max, &metrics),
            flights: Arc::default(),
            handles: Handles::new(config.dir_handles_max, &metrics),
            kept: Kept::new(&metrics),
            trails: Trails::default(),
            devices: Devices::default(),
            trust: Trust::of_process(),
            dark,
            troubles: Troubles::default(),
            superseded: Mutex::default(),
            readahead: Arc::new(Budget::new(config.readahead_bytes_max)),
            inode_paths: AtomicU64::new(published.inode_paths),
            turns: Arc::default(),
            generation: AtomicU64::new(0),
            needs_rebuild: AtomicBool::new(false),
            store_unreadable: AtomicBool::new(false),
            config,
            engine,
            counted,
            metrics,
        }
    }

    /// What `parent` has under `name`.
    ///
    /// # Errors
    /// `NotFound`; `Stale` or `NotADirectory` for the parent.
    pub fn lookup(&self, parent: Inode, name: &[u8]) -> Result<Attributes, Error> {
        let tree = self.tree.load();
        let directory = directory_node(&tree, parent)?;
        let node = tree.lookup(directory, name).ok_or(Error::NotFound)?;
        Ok(self.shown(attributes_of(&tree, node)))
    }

    /// `attributes`, but for an inode that is open on a later version than it stands for: then that version's.
    fn shown(&self, attributes: Attributes) -> Attributes {
        self.handles
            .newer_of_inode(attributes.inode)
            .map_or(attributes, |handle| handle.attributes)
    }

    /// What is known of `inode`, which is in the tree or open.
    ///
    /// # Errors
    /// `Stale` when it is neither.
    pub fn getattr(&self, inode: Inode) -> Result<Attributes, Error> {
        let tree = self.tree.load();
        if let Some(node) = tree.find(inode) {
            return Ok(self.shown(attributes_of(&tree, node)));
        }
        drop(tree);
        self.handles
            .of_inode(inode)
            .map(|handle| handle.attributes)
            .ok_or(Error::Stale)
    }

    /// What is known of the directory `inode` itself and of the one it is in; the root is in itself. With a handle, as it was
    /// when that was opened.
    ///
    /// # Errors
    /// `Stale` when it is not in the tree, `BadHandle`.
    pub fn directory_and_parent(
        &self,
        inode: Inode,
        handle: Option<HandleId>,
    ) -> Result<[Attributes; 2], Error> {
        let tree = match handle {
            Some(id) => Arc::clone(&self.handles.directory(id).ok_or(Error::BadHandle)?.tree),
            None => self.tree.load_full(),
        };
        let node = tree.find(inode).ok_or(Error::Stale)?;
        let parent = tree.node(node).parent;
        Ok([attributes_of(&tree, node), attributes_of(&tree, parent)])
    }

    /// Opens `inode` when all that takes is in memory.
    pub fn open_cached(&self, inode: Inode) -> Attempt<Result<HandleId, Error>> {
        let target = match self.open_target(inode) {
            Ok(target) => target,
            Err(error) => return Attempt::Done(Err(error)),
        };
        let Some(resolved) = target.resolved.filter(|resolved| resolved.without_waiting) else {
            return Attempt::WouldBlock;
        };
        let opened = match self.kept.take(inode) {
            Some(opened) => Attempt::Done(Ok(opened)),
            None => backing::open_cached(&resolved.path, &self.metrics),
        };
        match opened {
            Attempt::WouldBlock => Attempt::WouldBlock,
            Attempt::Done(opened) => match self.hold(inode, resolved, opened) {
                Some(handle) => {
                    self.metrics.cache_header_hits.increment();
                    Attempt::Done(Ok(handle))
                }
                None => Attempt::WouldBlock,
            },
        }
    }

    /// Whether an open file is a later version of its track than its inode stands for: the store was edited, and the kernel
    /// did not know yet. Nothing that the kernel remembers of the inode is true of it.
    pub fn is_newer_than_its_inode(&self, id: HandleId) -> bool {
        self.handles
            .get(id)
            .is_some_and(|handle| handle.resolved.is_newer)
    }

    /// The open file `id` where whoever reads its backing file directly gets exactly what is served, from a filesystem of this
    /// machine: on others, musefs is what limits how long a read takes.
    pub fn passable(&self, id: HandleId) -> Option<Arc<Handle>> {
        if self.config.mode != Mode::StructureOnly {
            return None;
        }
        let handle = self.handles.get(id)?;
        (handle.resolved.is_local && !handle.resolved.is_newer).then_some(handle)
    }

    fn open_target(&self, inode: Inode) -> Result<OpenTarget, Error> {
        let tree = self.tree.load();
        if let Some(node) = tree.find(inode) {
            let NodeKind::File { track, .. } = tree.node(node).kind else {
                return Err(Error::IsADirectory);
            };
            // An inode shows one version at a time.
            let newer = self.handles.newer_of_inode(inode);
            let newer = newer.map(|handle| Arc::clone(&handle.resolved));
            return Ok(OpenTarget {
                track,
                resolved: newer.or_else(|| self.cache.get(inode)),
            });
        }
        drop(tree);
        if let Some(open) = self.handles.of_inode(inode) {
            return Ok(OpenTarget {
                track: open.resolved.track,
                resolved: Some(Arc::clone(&open.resolved)),
            });
        }
        let superseded = self.superseded.lock().track_of(inode);
        superseded
            .map(|track| OpenTarget {
                track,
                resolved: None,
            })
            .ok_or(Error::Stale)
    }

    /// Makes a handle of a file that was resolved before, if what its path leads to is still what it was then. If not, it
    /// has to be resolved again: the file may have been moved together with its row, which leaves its bytes as they were.
    fn hold(
        &self,
        inode: Inode,
        resolved: Arc<Resolved>,
        opened: io::Result<Opened>,
    ) -> Option<HandleId> {
        if opened.is_ok() {
            self.troubles.descriptor_found();
        }
        let opened = match opened {
            Ok(opened) if resolved.stamp.matches(&opened.stamp) => opened,
            // Says nothing of the file.
            Err(error) if is_out_of_descriptors(&error) => return None,
            Ok(_) | Err(_) => {
                self.cache.remove(inode);
                return None;
            }
        };
        self.dark.lighten(resolved.track);
        self.insert_handle(inode, resolved, opened).ok()
    }

    fn insert_handle(
        &self,
        inode: Inode,
        resolved: Arc<Resolved>,
        opened: Opened,
    ) -> Result<HandleId, Arc<Resolved>> {
        let attributes = Attributes {
            inode,
            is_directory: false,
            size: resolved.layout.len(),
            mtime_ns: resolved.mtime_ns,
            link_count: 1,
        };
        let stream = Arc::default();
        self.handles.insert(Handle {
            inode,
            resolved,
            file: opened.file,
            seen: opened.stamp,
            attributes,
            stream,
            window: Window::default(),
            position: pattern::ReadPosition::default(),
        })
    }

    /// The open file behind `id`.
    ///
    /// # Errors
    /// `BadHandle` when it was never given out or is closed.
    pub fn handle(&self, id: HandleId) -> Result<Arc<Handle>, Error> {
        self.handles.get(id).ok_or(Error::BadHandle)
    }

    /// Closes an open file for whoever opened it; what comes back closes the backing file, unless that is kept open for a
    /// moment.
    ///
    /// # Errors
    /// `BadHandle` when it was never given out or is closed.
    pub fn release(&self, id: HandleId) -> Result<Released, Error> {
        let handle = self.handles.remove(id).ok_or(Error::BadHandle)?;
        if !handle.resolved.without_waiting || handle.resolved.is_newer {
            return Ok(Released(Some(handle)));
        }
        // Somebody may still read it.
        match Arc::try_unwrap(handle) {
            Ok(handle) => {
                let opened = Opened {
                    file: handle.file,
                    stamp: handle.seen,
                    device: handle.resolved.device,
                };
                self.kept.keep(handle.inode, opened);
                Ok(Released(None))
            }
            Err(handle) => Ok(Released(Some(handle))),
        }
    }

    /// Backing files that were closed some time before `now` and are kept open no longer: to be dropped where that may wait.
    pub fn no_longer_kept(&self, now: Instant) -> NoLongerKept {
        self.kept.take_old(now)
    }

    /// Opens a backing file; may wait.
    fn open_backing(&self, path: &Path) -> io::Result<Opened> {
        match backing::open(path, &self.metrics) {
            Err(error) if is_out_of_descriptors(&error) && self.kept.close_all() => {
                backing::open(path, &self.metrics)
            }
            opened => opened,
        }
    }

    /// Opens a directory with a listing of its own; `None` over the bound, where [`Musefs::list`] goes by inode alone.
    ///
    /// # Errors
    /// `Stale` or `NotADirectory`.
    pub fn opendir(&self, inode: Inode) -> Result<Option<HandleId>, Error> {
        let tree = self.tree.load_full();
        let node = directory_node(&tree, inode)?;
        Ok(self
            .handles
            .insert_directory(DirectoryHandle { tree, node }))
    }

    /// Closes an open directory.
    pub fn releasedir(&self, id: HandleId) {
        self.handles.remove_directory(id);
    }

    /// Gives the entries of a directory after position `from` (0 is the start) to `emit`, until that says it is full by
    /// returning `false`.
    ///
    /// With a handle, the listing is the one of the moment it was opened, by name. Without one it is the newest, in the
    /// order of inodes: since an inode is never used twice, a listing that changes between two calls neither repeats nor
    /// loses an entry that stayed.
    ///
    /// # Errors
    /// `Stale`, `NotADirectory` or `BadHandle`.
    pub fn list(
        &self,
        inode: Inode,
        handle: Option<HandleId>,
        from: u64,
        emit: &mut dyn FnMut(ListedEntry<'_>) -> bool,
    ) -> Result<(), Error> {
        if let Some(id) = handle {
            let open = self.handles.directory(id).ok_or(Error::BadHandle)?;
            let children = open.tree.children(open.node);
            // The kernel was told already to forget what is different in the newest tree.
            let is_newest = Arc::ptr_eq(&open.tree, &self.tree.load());
            for (position, node) in children
                .enumerate()
                .skip(usize::try_from(from).unwrap_or(usize::MAX))
            {
                let entry = self.listed(&open.tree, node, position as u64 + 1);
                if !emit(ListedEntry { is_newest, ..entry }) {
                    break;
                }
            }
            return Ok(());
        }
        let tree = self.tree.load();
        let directory = directory_node(&tree, inode)?;
        for node in tree.children_after(directory, Inode(from)) {
            if !emit(self.listed(&tree, node, tree.node(node).inode.0)) {
                break;
            }
        }
        Ok(())
    }

    fn listed<'a>(&self, tree: &'a Tree, index: NodeIndex, next: u64) -> ListedEntry<'a> {
        ListedEntry {
            name: tree.node(index).name,
            attributes: self.shown(attributes_of(tree, index)),
            next,
            is_newest: true,
        }
    }

    /// Served bytes and number of files of the published tree.
    pub fn usage(&self) -> (u64, u64) {
        let tree = self.tree.load();
        (tree.file_bytes(), tree.file_count() as u64)
    }

    /// The published tree.
    pub fn tree(&self) -> Arc<Tree> {
        self.tree.load_full()
    }

    /// Paces the thread that refreshes.
    pub fn turns(&self) -> &Arc<Stop> {
        &self.turns
    }

    /// The state of the core at this moment. Takes no lock that serving takes.
    pub fn telemetry(&self) -> CoreTelemetry {
        let tree = self.tree.load();
        CoreTelemetry {
            handles_open: self.metrics.handles_open.value(),
            cache_header_entries: self.cache.entry_count(),
            cache_header_bytes: self.cache.inline_bytes(),
            cache_header_bytes_max: self.cache.bytes_max(),
            cache_header_hits: self.metrics.cache_header_hits.value(),
            cache_header_misses: self.metrics.cache_header_misses.value(),
            cache_size_entries: tree.file_count() as u64,
            readahead_budget_bytes: self.readahead.bytes_max(),
            readahead_charged_bytes: self.readahead.charged(),
            tree_nodes: tree.node_count() as u64,
            inode_paths: self.inode_paths.load(Relaxed),
            refresh_generation: self.generation.load(Relaxed),
            refresh_gap_fallbacks: self.counted.refresh.gap_fallbacks.value(),
            refresh_needs_rebuild: self.needs_rebuild.load(Relaxed),
        }
    }

    /// Looks again at dark tracks below `directory`, a root that could just be reached: those whose files are back are dark no
    /// more. Files that have changed stay dark until a scan has read them, or somebody was served. May wait for the disk. What is
    /// asked of it is not counted: it is no work of serving.
    pub fn look_again_at_dark_tracks(&self, directory: &Path) {
        for (track, dark) in self.dark.below(directory, LOOKS_AGAIN_MAX) {
            let is_back = match dark.reason {
                BackingFailure::Missing => dark.path.metadata().is_ok_and(|found| found.is_file()),
                BackingFailure::Unreadable => backing::can_be_read(&dark.path),
                BackingFailure::Changed => false,
            };
            if is_back {
                self.dark.lighten(track);
            }
        }
    }

    /// The directories that the library's files lie in, in the order of their numbers in the store.
    pub fn roots(&self) -> Vec<PathBuf> {
        let roots = self.roots.load();
        let mut roots: Vec<_> = roots.iter().collect();
        roots.sort_unstable_by_key(|(id, _)| id.0);
        roots.into_iter().map(|(_, path)| path.clone()).collect()
    }

    /// Backing reads of each thread: calls, and bytes that they returned. The first two rows sum up the threads that ended and
    /// those that could not count by themselves.
    pub fn reads_by_thread(&self) -> Vec<[u64; 2]> {
        let calls = self.metrics.backing_preads.per_shard();
        let bytes = self.metrics.backing_pread_bytes.per_shard();
        calls.into_iter().zip(bytes).map(Into::into).collect()
    }

    /// Open directory snapshots, and the bound on them.
    pub fn directory_handles(&self) -> (u64, u64) {
        self.handles.directory_count()
    }

    /// The engine that counts, for all who declare with it.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Swaps in a newer tree as a whole. With it come connections where its store is another one than before.
    pub(crate) fn publish(
        &self,
        published: Published,
        other_store: Option<Vec<Store>>,
        renewed: &Renewed,
    ) {
        match other_store {
            Some(stores) => self.stores.replace(stores, published.inode_base),
            None => self.stores.rebase(published.inode_base),
        }
        show_library(&self.counted, &published);
        let before = self.tree.load_full();
        self.supersede(&before, &published.tree, renewed);
        self.roots.store(Arc::new(published.roots));
        self.tree.store(Arc::new(published.tree));
        self.inode_paths.store(published.inode_paths, Relaxed);
        // What was wrong is known of the version that was tried.
        let unparsable = published.holdings.unparsable().clone();
        match renewed {
            Renewed::All => self.dark.publish(unparsable, |_| false),
            Renewed::Some(tracks) => {
                self.dark
                    .publish(unparsable, |track| !tracks.contains_key(&track));
            }
            Renewed::Compared if self.dark.is_empty() => self.dark.publish(unparsable, |_| true),
            Renewed::Compared => {
                let before: HashMap<TrackId, Inode> = before.tracks().collect();
                let now = self.tree.load();
                let same: HashSet<TrackId> = now
                    .tracks()
                    .filter(|(track, inode)| before.get(track) == Some(inode))
                    .map(|(track, _)| track)
                    .collect();
                self.dark.publish(unparsable, |track| same.contains(&track));
            }
        }
        self.generation.fetch_add(1, Relaxed);
    }

    /// Remembers what the inodes that go stood for, before they go.
    fn supersede(&self, before: &Tree, now: &Tree, renewed: &Renewed) {
        let mut superseded = self.superseded.lock();
        match renewed {
            Renewed::All => *superseded = Superseded::default(),
            Renewed::Some(tracks) => {
                superseded.extend(tracks.iter().map(|(&track, &inode)| (inode, track)));
            }
            Renewed::Compared => {
                let gone = before
                    .tracks()
                    .filter(|(_, inode)| now.find(*inode).is_none());
                superseded.extend(gone.map(|(track, inode)| (inode, track)));
            }
        }
    }

    pub(crate) fn publish_roots(&self, roots: HashMap<RootId, PathBuf>) {
        self.roots.store(Arc::new(roots));
    }

    pub(crate) fn store_connections(&self) -> usize {
        self.config.store_connections
    }

    /// Whether the published tree is known to be behind the store.
    pub fn needs_rebuild(&self) -> bool {
        self.needs_rebuild.load(Relaxed)
    }

    /// Whether the last look at the store for what changed failed.
    pub fn is_store_unreadable(&self) -> bool {
        self.store_unreadable.load(Relaxed)
    }

    /// How many listed tracks could not be served when that was last tried.
    pub fn dark_tracks(&self) -> u64 {
        self.dark.count()
    }

    pub(crate) fn set_store_unreadable(&self, unreadable: bool) {
        self.store_unreadable.store(unreadable, Relaxed);
    }

    pub(crate) fn set_needs_rebuild(&self, needs: bool) {
        self.needs_rebuild.store(needs, Relaxed);
    }

    /// The error for what the system said of a backing file, noted and counted.
    fn backing_error(&self, track: TrackId, path: &Path, source: io::Error) -> Error {
        if is_out_of_descriptors(&source) {
            return self.troubles.out_of_descriptors(path);
        }
        let path = path.to_path_buf();
        self.dark
            .darken(track, &path, dark::reason_of(&source), &source);
        Error::Backing { path, source }
    }
}

/// Shows what a tree that is about to be published holds.
fn show_library(counted: &CoreMetrics, published: &Published) {
    let library = &counted.library;
    for (format, tracks) in published.holdings.by_format() {
        library.tracks.set(format, tracks.cast_signed());
    }
    let directories = published.tree.directory_count() as u64;
    library.directories.set(directories.cast_signed());
    let bytes = published.tree.file_bytes();
    library.bytes.set(bytes.cast_signed());
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// A tree ready to be served, with what belongs to it.
#[derive(Debug)]
pub struct Published {
    /// Names and inodes.
    pub tree: Tree,
    /// Where the paths of each root start.
    pub roots: HashMap<RootId, PathBuf>,
    /// Directory paths that have an inode.
    pub inode_paths: u64,
    /// What the tracks in the tree are.
    pub holdings: Holdings,
    /// What is added to a sequence number to make the inode of a track.
    pub inode_base: u64,
}

/// Which tracks are not what they were in the tree before.
#[derive(Clone, Debug)]
pub(crate) enum Renewed {
    /// All: they are those of another store.
    All,
    /// These, which had these inodes; those that are gone are among them.
    Some(HashMap<TrackId, Inode>),
    /// Those whose inode is another.
    Compared,
}

struct OpenTarget {
    track: TrackId,
    resolved: Option<Arc<Resolved>>,
}

/// The inode that stands for the content version of `row` in `mode`, counted from `base`.
pub(crate) fn inode_of(mode: Mode, base: u64, row: &TrackRow) -> Inode {
    let sequence = match mode {
        Mode::Synthesis => row.content_seq,
        Mode::StructureOnly => row.backing_seq,
    };
    Inode(base.wrapping_add(sequence.cast_unsigned()))
}

/// When what is served of a track last changed.
pub(crate) fn mtime_of(row: &TrackRow) -> i64 {
    row.stamp.mtime_ns.max(row.edited_ns.unwrap_or(i64::MIN))
}

fn directory_node(tree: &Tree, inode: Inode) -> Result<NodeIndex, Error> {
    let node = tree.find(inode).ok_or(Error::Stale)?;
    match tree.node(node).kind {
        NodeKind::Directory { .. } => Ok(node),
        NodeKind::File { .. } => Err(Error::NotADirectory),
    }
}

fn attributes_of(tree: &Tree, index: NodeIndex) -> Attributes {
    let node = tree.node(index);
    let (is_directory, size, link_count) = match node.kind {
        NodeKind::Directory { subdirectories } => (true, 0, subdirectories.saturating_add(2)),
        NodeKind::File { size, .. } => (false, size, 1),
    };
    Attributes {
        inode: node.inode,
        is_directory,
        size,
        mtime_ns: node.mtime_ns,
        link_count,
    }
}

#[cfg(test)]
mod tests;
