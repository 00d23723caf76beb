//! The metrics directory inside the mount: a table of names and how each text is rendered.
//!
//! All texts of a moment are rendered together, at most once a second, never on an event loop; the same snapshot answers
//! stat and open, and an open file keeps the one it was opened on. The size of a text never shrinks, so that the size of an
//! open file and that of the newest text seldom differ.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use musefs_core::metrics::Metrics;
use musefs_core::serve::Musefs;
use musefs_core::telemetry::{
    AllocatorStats, FuseTelemetry, PassthroughTelemetry, Served, render_served,
};
use musefs_core::tree::Inode;
use musefs_telemetry::{AttributeEnum as _, Family, MetricSet};
use parking_lot::RwLock;

use crate::dispatch::Dispatch;
use crate::log;
use crate::metrics::EdgeMetrics;
use crate::textfile;

/// The link by which the directory is reached under a name that is always the same.
pub const LINK_NAME: &str = ".metrics";

const DIRECTORY_INODE: Inode = Inode(2);
const LINK_INODE: Inode = Inode(3);
const FILE_INODE_BASE: u64 = 16;

/// How long a snapshot answers before the next is rendered.
const SNAPSHOT_AGE_MAX: Duration = Duration::from_secs(1);

/// One file of the directory.
struct File {
    name: &'static str,
    render: fn(&MetricsFiles, &Served<'_>, usize) -> String,
}

/// The directory, as a table.
const FILES: [File; 2] = [
    File {
        name: "metrics",
        render: |_, served, len_min| render_served(served, &[], len_min),
    },
    File {
        name: "metrics.prom",
        render: |files, served, len_min| render_served(served, &files.identity, len_min),
    },
];

/// What an inode stands for: decided once per request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The library's tree.
    Tree(Inode),
    /// The metrics directory.
    Directory,
    /// The link to it.
    Link,
    /// The metrics file with this index.
    File(usize),
}

/// The texts of one moment.
#[derive(Debug)]
pub struct Snapshot {
    rendered: Instant,
    /// Wall clock time of the rendering, which is every text's modification time.
    pub time: SystemTime,
    texts: [Arc<[u8]>; FILES.len()],
}

impl Snapshot {
    /// The text of file `index`.
    pub fn text(&self, index: usize) -> &Arc<[u8]> {
        &self.texts[index]
    }

    fn is_warm(&self) -> bool {
        self.rendered.elapsed() <= SNAPSHOT_AGE_MAX
    }
}

/// The metrics directory of one mount.
#[derive(Debug)]
pub struct MetricsFiles {
    /// `None` when the mount has no such directory.
    directory: Option<DirectoryName>,
    identity: Vec<(String, String)>,
    current: ArcSwapOption<Snapshot>,
    lens: [AtomicUsize; FILES.len()],
    open: RwLock<HashMap<u64, Arc<[u8]>>>,
    next_handle: AtomicU64,
    started: (Instant, SystemTime),
    musefs: Arc<Musefs>,
    dispatch: Arc<Dispatch>,
}

/// How the directory appears at the root.
#[derive(Clone, Debug)]
pub struct DirectoryName {
    /// Its name.
    pub name: String,
    /// Whether it is left out of listings.
    pub hidden: bool,
}

macro_rules! facts {
    ($($id:ident $name:literal $help:literal)*) => { $(
        const $id: Family = Family::gauge($name, $help);
    )* };
}

/// Counted by the log itself.
const LOG_DROPPED: Family = Family::counter(
    "musefs_log_lines_dropped_total",
    "Lines of the log that were dropped because standard error was not read fast enough.",
);

facts! {
    UP "musefs_up" "1 while the mount is served."
    START_TIME "musefs_start_time_seconds" "When the mount was made, in seconds since the epoch."
    PARKED "musefs_requests_parked" "Requests waiting beyond the bound of the pool's queue."
    BUILD_INFO "musefs_build_info" "The program that serves the mount: always 1."
}

/// The names of the labels that samples of a mount have of themselves.
pub fn own_labels() -> impl Iterator<Item = &'static str> {
    use crate::metrics::{EdgeCounters, ErrorNumber, Operation};
    let sets = [
        <Metrics as MetricSet>::DESCRIPTOR,
        <EdgeCounters as MetricSet>::DESCRIPTOR,
    ];
    let declared = sets
        .into_iter()
        .flat_map(|set| set.fields)
        .flat_map(|family| family.labels);
    let others = [
        Operation::NAME,
        ErrorNumber::NAME,
        "le",
        "quantile",
        "version",
        "features",
    ];
    declared.map(|label| label.name).chain(others)
}

impl MetricsFiles {
    /// The directory of a mount that is made at this moment; every sample of `metrics.prom` carries `identity`.
    pub fn new(
        directory: Option<DirectoryName>,
        identity: Vec<(String, String)>,
        musefs: Arc<Musefs>,
        dispatch: Arc<Dispatch>,
    ) -> Self {
        Self {
            directory,
            identity,
            current: ArcSwapOption::empty(),
            lens: Default::default(),
            open: RwLock::default(),
            next_handle: AtomicU64::new(1),
            started: (Instant::now(), SystemTime::now()),
            musefs,
            dispatch,
        }
    }

    /// What `inode` stands for.
    pub fn decode(&self, inode: u64) -> Target {
        let file = inode
            .checked_sub(FILE_INODE_BASE)
            .and_then(|index| usize::try_from(index).ok());
        match (Inode(inode), file) {
            _ if self.directory.is_none() => Target::Tree(Inode(inode)),
            (DIRECTORY_INODE, _) => Target::Directory,
            (LINK_INODE, _) => Target::Link,
            (_, Some(index)) if index < FILES.len() => Target::File(index),
            (other, _) => Target::Tree(other),
        }
    }

    /// What `name` in the mount's root stands for, where it is the directory or its link.
    pub fn at_root(&self, name: &OsStr) -> Option<Target> {
        let directory = self.directory.as_ref()?;
        if name == OsStr::new(&directory.name) {
            Some(Target::Directory)
        } else {
            (name == OsStr::new(LINK_NAME)).then_some(Target::Link)
        }
    }

    /// The file called `name` in the directory.
    pub fn in_directory(name: &OsStr) -> Option<usize> {
        FILES
            .iter()
            .position(|file| file.name.as_bytes() == name.as_bytes())
    }

    /// The directory's name where it is listed at the root.
    pub fn listed_name(&self) -> Option<&str> {
        self.directory
            .as_ref()
            .filter(|directory| !directory.hidden)
            .map(|directory| &*directory.name)
    }

    /// Where the link points.
    pub fn link_target(&self) -> &str {
        self.directory
            .as_ref()
            .map_or("", |directory| &directory.name)
    }

    /// Names and inodes of the files, in listing order.
    pub fn files() -> impl Iterator<Item = (usize, &'static str)> {
        FILES
            .iter()
            .enumerate()
            .map(|(index, file)| (index, file.name))
    }

    /// The inode of a target.
    pub fn inode(target: Target) -> u64 {
        match target {
            Target::Tree(inode) => inode.0,
            Target::Directory => DIRECTORY_INODE.0,
            Target::Link => LINK_INODE.0,
            Target::File(index) => FILE_INODE_BASE + index as u64,
        }
    }

    /// When the mount was made.
    pub fn started(&self) -> SystemTime {
        self.started.1
    }

    /// The snapshot that answers now, if it is not too old.
    pub fn warm(&self) -> Option<Arc<Snapshot>> {
        self.current
            .load_full()
            .filter(|snapshot| snapshot.is_warm())
    }

    /// The snapshot that answers now, rendered first when it is too old. To be called on the lane.
    pub fn fresh(&self) -> Arc<Snapshot> {
        self.warm().unwrap_or_else(|| {
            let snapshot = Arc::new(self.render());
            self.current.store(Some(Arc::clone(&snapshot)));
            snapshot
        })
    }

    /// The text that a file outside of the mount is kept equal to, rendered on the lane. `None` when the lane is ending.
    pub fn text_for_textfile(self: &Arc<Self>) -> Option<Arc<[u8]>> {
        let index = Self::in_directory(OsStr::new(textfile::SOURCE))?;
        let files = Arc::clone(self);
        let (done, rendered) = mpsc::sync_channel(1);
        let job = move || {
            // Nobody waits any more when the mount is ending.
            done.send(Arc::clone(files.fresh().text(index))).ok();
        };
        self.dispatch.lane().submit(Box::new(job)).ok()?;
        let text = rendered.recv().ok()?;
        self.dispatch.metrics().counters.scrapes.increment();
        Some(text)
    }

    fn render(&self) -> Snapshot {
        self.dispatch.metrics().counters.renders.increment();
        let time = SystemTime::now();
        let engine = self.musefs.engine().snapshot();
        let start = self
            .started
            .1
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let (_, parked) = self.dispatch.pool().waiting();
        let served = Served {
            core: self.musefs.telemetry_of(&engine),
            fuse: self.telemetry(&engine),
            allocator: allocator_stats(),
            engine: &engine,
            facts: &[
                (UP, 1),
                (START_TIME, start.as_secs()),
                (PARKED, parked),
                (LOG_DROPPED, log::lines_dropped()),
            ],
            build_info: (
                &BUILD_INFO,
                &[
                    ("version", env!("CARGO_PKG_VERSION")),
                    ("features", FEATURES),
                ],
            ),
        };
        let texts = std::array::from_fn(|index| {
            let text = (FILES[index].render)(self, &served, self.lens[index].load(Relaxed));
            self.lens[index].store(text.len(), Relaxed);
            Arc::from(text.into_bytes())
        });
        Snapshot {
            rendered: Instant::now(),
            time,
            texts,
        }
    }

    /// The state of the edge at this moment.
    pub fn telemetry(&self, engine: &musefs_telemetry::Snapshot) -> FuseTelemetry {
        let pool = self.dispatch.pool();
        let (dir_handles, dir_handles_max) = self.musefs.directory_handles();
        FuseTelemetry {
            uptime_seconds: self.started.0.elapsed().as_secs(),
            reads_inflight: EdgeMetrics::reads_inflight(engine),
            reads_inflight_max: pool.queue_len_max() as u64,
            read_errors: EdgeMetrics::read_errors(engine),
            dir_handles,
            dir_handles_max,
            pool_workers: pool.workers(),
            pool_active: pool.active(),
            pool_queued: pool.waiting().0,
            passthrough: PASSTHROUGH,
        }
    }

    /// Opens a text; the handle number.
    pub fn open(&self, text: Arc<[u8]>) -> u64 {
        self.dispatch.metrics().counters.scrapes.increment();
        let handle = self.next_handle.fetch_add(1, Relaxed);
        self.open.write().insert(handle, text);
        handle
    }

    /// The text that handle `handle` was opened on.
    pub fn opened(&self, handle: u64) -> Option<Arc<[u8]>> {
        self.open.read().get(&handle).cloned()
    }

    /// Closes a text; whether it was open.
    pub fn release(&self, handle: u64) -> bool {
        self.open.write().remove(&handle).is_some()
    }
}

/// This program asks the kernel for no passthrough.
const PASSTHROUGH: Option<PassthroughTelemetry> = if cfg!(target_os = "linux") {
    Some(PassthroughTelemetry {
        disabled: true,
        active: 0,
    })
} else {
    None
};

const FEATURES: &str = if cfg!(feature = "jemalloc") {
    "jemalloc"
} else {
    ""
};

#[cfg(feature = "jemalloc")]
fn allocator_stats() -> Option<AllocatorStats> {
    use tikv_jemalloc_ctl::{epoch, stats};
    // The statistics are those of the last epoch.
    epoch::advance().ok()?;
    Some(AllocatorStats {
        allocated: stats::allocated::read().ok()? as u64,
        resident: stats::resident::read().ok()? as u64,
        active: stats::active::read().ok()? as u64,
        retained: stats::retained::read().ok()? as u64,
    })
}

#[cfg(not(feature = "jemalloc"))]
fn allocator_stats() -> Option<AllocatorStats> {
    None
}
