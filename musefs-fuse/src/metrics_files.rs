//! The metrics directory inside the mount: what is in it, and the moment that it shows.
//!
//! All texts of a moment are rendered together, at most once a second, never on an event loop; the same snapshot answers
//! stat and open, and an open file keeps the one it was opened on. The kernel may remember names and lengths until shortly
//! before the next moment.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwapOption;
use musefs_core::serve::Musefs;
use musefs_core::telemetry::{AllocatorStats, FuseTelemetry, StateGauges};
use musefs_core::tree::Inode;
use musefs_telemetry::{Counters, DescribeError, Engine};
use parking_lot::RwLock;

use crate::dispatch::Dispatch;
use crate::health::{Health, Verdict};
use crate::metrics::mount::{Moment, Mount};
use crate::metrics::{Operation, TraceFate, Transport, Way, nanoseconds};
use crate::passthrough::Passthrough;
use crate::tuning::Tuning;

mod handover;
mod nodes;
mod operations;
mod outlet;
mod texts;
mod told;

pub use handover::{Asked, Given};
pub use nodes::NodeId;
use nodes::{Content, Nodes};
use operations::Operations;
pub use operations::seconds;
use texts::{Share, Sources, TEXTS};

/// The link by which the directory is reached under a name that is always the same.
pub const LINK_NAME: &str = ".metrics";

const LINK_INODE: u64 = 2;
/// The inodes of the directory and of what is in it start here; those of tracks start far above.
const NODE_INODE_BASE: u64 = 16;

/// How long a snapshot answers before the next is rendered.
const SNAPSHOT_AGE_MAX: Duration = Duration::from_secs(1);

/// How long an answer may take to the kernel, which counts from when it has it.
const ANSWER_TIME: Duration = Duration::from_millis(200);

/// What an inode stands for: decided once per request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The library's tree.
    Tree(Inode),
    /// The link to the metrics directory.
    Link,
    /// The metrics directory, or something in it.
    Metrics(NodeId),
}

/// What is shown of one moment.
#[derive(Debug)]
pub struct Snapshot {
    rendered: Instant,
    /// Wall clock time of the rendering, which is every file's modification time.
    pub time: SystemTime,
    texts: [Option<Arc<[u8]>>; TEXTS.len()],
    values: musefs_telemetry::Snapshot,
    /// A text that no file has, once it was asked for.
    open_metrics: OnceLock<Arc<[u8]>>,
}

impl Snapshot {
    fn is_warm(&self) -> bool {
        self.rendered.elapsed() <= SNAPSHOT_AGE_MAX
    }

    /// How long the kernel may answer for names and attributes of this moment by itself: until a little before the next
    /// moment can be rendered, so that no file is opened with a text of one moment and the length of another.
    pub fn may_be_remembered(&self) -> Duration {
        let age = self.rendered.elapsed().saturating_add(ANSWER_TIME);
        SNAPSHOT_AGE_MAX.saturating_sub(age)
    }
}

/// The metrics directory of one mount.
#[derive(Debug)]
pub struct MetricsFiles {
    /// `None` when the mount has no such directory.
    directory: Option<DirectoryName>,
    identity: Vec<(String, String)>,
    config: String,
    /// The catalogue, which is complete.
    schema: String,
    tuning: OnceLock<Tuning>,
    nodes: Nodes,
    states: StateGauges,
    mount: Mount,
    health: Arc<Health>,
    current: ArcSwapOption<Snapshot>,
    lens: [AtomicUsize; TEXTS.len()],
    open: RwLock<HashMap<u64, Arc<[u8]>>>,
    next_handle: AtomicU64,
    started: (Instant, SystemTime),
    musefs: Arc<Musefs>,
    dispatch: Arc<Dispatch>,
    passthrough: Arc<Passthrough>,
}

/// How the directory appears.
#[derive(Clone, Debug)]
pub struct Presentation {
    /// Its name at the root; `None` when the mount has no such directory.
    pub directory: Option<DirectoryName>,
    /// The labels that every sample of `metrics.prom` carries.
    pub identity: Vec<(String, String)>,
    /// What was asked for on the command line, a line each.
    pub config: String,
}

/// How the directory appears at the root.
#[derive(Clone, Debug)]
pub struct DirectoryName {
    /// Its name.
    pub name: String,
    /// Whether it is left out of listings.
    pub hidden: bool,
}

/// The names of the labels that samples of `engine` have of themselves.
pub fn own_labels(engine: &Engine) -> Vec<&'static str> {
    let snapshot = engine.snapshot();
    let declared = snapshot
        .families()
        .flat_map(|metric| metric.family().labels)
        .map(|label| label.name);
    declared.chain(["le", "quantile"]).collect()
}

/// The gauges that are looked up before a snapshot, declared.
#[derive(Debug)]
pub struct Gauges {
    states: StateGauges,
    mount: Mount,
    started: (Instant, SystemTime),
}

impl Gauges {
    /// Declares them with the `engine` of a mount that is made at this moment.
    ///
    /// # Errors
    /// When a name is taken already.
    pub fn declare(engine: &Engine) -> Result<Self, DescribeError> {
        let started = (Instant::now(), SystemTime::now());
        Ok(Self {
            states: StateGauges::declare(engine)?,
            mount: Mount::of_mount(engine, started.1)?,
            started,
        })
    }
}

impl MetricsFiles {
    /// The directory of a mount, whose catalogue is complete.
    pub fn new(
        presentation: Presentation,
        gauges: Gauges,
        health: Arc<Health>,
        passthrough: Arc<Passthrough>,
    ) -> Self {
        let musefs = Arc::clone(&health.musefs);
        let dispatch = Arc::clone(&health.dispatch);
        let catalogue = musefs.engine().families();
        Self {
            directory: presentation.directory,
            identity: presentation.identity,
            config: presentation.config,
            schema: musefs.engine().schema(),
            tuning: OnceLock::new(),
            nodes: Nodes::of(catalogue.into_iter()),
            states: gauges.states,
            mount: gauges.mount,
            health,
            current: ArcSwapOption::empty(),
            lens: Default::default(),
            open: RwLock::default(),
            next_handle: AtomicU64::new(1),
            started: gauges.started,
            musefs,
            dispatch,
            passthrough,
        }
    }

    /// What `inode` stands for.
    pub fn decode(&self, inode: u64) -> Target {
        if self.directory.is_none() {
            return Target::Tree(Inode(inode));
        }
        if inode == LINK_INODE {
            return Target::Link;
        }
        inode
            .checked_sub(NODE_INODE_BASE)
            .and_then(|index| self.nodes.at(index))
            .map_or(Target::Tree(Inode(inode)), Target::Metrics)
    }

    /// The inode of a target.
    pub fn inode(target: Target) -> u64 {
        match target {
            Target::Tree(inode) => inode.0,
            Target::Link => LINK_INODE,
            Target::Metrics(node) => NODE_INODE_BASE + node.index() as u64,
        }
    }

    /// What `name` in the mount's root stands for, where it is the directory or its link.
    pub fn at_root(&self, name: &OsStr) -> Option<Target> {
        let directory = self.directory.as_ref()?;
        if name == OsStr::new(&directory.name) {
            Some(Target::Metrics(NodeId::ROOT))
        } else {
            (name == OsStr::new(LINK_NAME)).then_some(Target::Link)
        }
    }

    /// What is called `name` in the directory `parent`.
    pub fn child(&self, parent: NodeId, name: &OsStr) -> Option<NodeId> {
        self.nodes.child(parent, name)
    }

    /// Whether `node` is a directory.
    pub fn is_directory(&self, node: NodeId) -> bool {
        self.nodes.content(node).is_none()
    }

    /// Permission bits of `node`.
    pub fn mode(&self, node: NodeId) -> u16 {
        self.nodes.mode(node)
    }

    /// Links of the directory `node`: 2 and one per subdirectory.
    pub fn link_count(&self, node: NodeId) -> u32 {
        self.nodes.subdirectories(node).saturating_add(2)
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

    /// The entries of the directory `node` at the moment of `snapshot` from position `from` on: what they stand for, the
    /// position after them, their names.
    pub fn listing<'a>(
        &'a self,
        node: NodeId,
        snapshot: &'a Snapshot,
        from: u64,
    ) -> impl Iterator<Item = (Target, u64, &'a str)> {
        let parent = if node == NodeId::ROOT {
            Target::Tree(Inode::ROOT)
        } else {
            Target::Metrics(self.nodes.parent(node))
        };
        let own = [(Target::Metrics(node), "."), (parent, "..")];
        let children = self
            .nodes
            .children(node)
            .map(|(child, name)| (Target::Metrics(child), name));
        own.into_iter()
            .chain(children)
            .zip(1..)
            .map(|((target, name), next)| (target, next, name))
            .skip(usize::try_from(from).unwrap_or(usize::MAX))
            .filter(move |(target, ..)| match target {
                Target::Metrics(node) => self.is_there(*node, snapshot),
                Target::Tree(_) | Target::Link => true,
            })
    }

    /// Whether `node` is there at the moment of `snapshot`.
    fn is_there(&self, node: NodeId, snapshot: &Snapshot) -> bool {
        self.is_directory(node) || self.len(node, snapshot).is_some()
    }

    /// The length in bytes of the file `node` at the moment of `snapshot`; `None` when there is no such file then.
    pub fn len(&self, node: NodeId, snapshot: &Snapshot) -> Option<usize> {
        match self.nodes.content(node)? {
            Content::Text(index) => snapshot.texts[index].as_ref().map(|text| text.len()),
            Content::Value(number) => number.line(&snapshot.values).map(|line| line.len()),
        }
    }

    /// The file `node` at the moment of `snapshot`; `None` when there is no such file then.
    pub fn text(&self, node: NodeId, snapshot: &Snapshot) -> Option<Arc<[u8]>> {
        match self.nodes.content(node)? {
            Content::Text(index) => snapshot.texts[index].clone(),
            Content::Value(number) => number
                .line(&snapshot.values)
                .map(|line| Arc::from(line.into_bytes())),
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

    /// From here on the kernel's side of the mount is that of the mount with this device number, and ids of requests begin as
    /// the kernel numbers its connections.
    pub fn mounted_as(&self, device: u64) {
        self.dispatch.mounted_as(libc::minor(device));
        self.mount.mounted_as(device);
    }

    /// The text called `name` for somebody who gets it by another way than the mount, rendered on the lane. `None` when there
    /// is no such text, or the lane is ending.
    pub fn give(self: &Arc<Self>, name: &str, transport: Transport) -> Option<Arc<[u8]>> {
        let node = self.child(NodeId::ROOT, OsStr::new(name))?;
        let text = self.text(node, &*self.moment()?)?;
        let scrapes = &self.dispatch.metrics().counters.scrapes;
        scrapes.increment(transport);
        Some(text)
    }

    /// What became of operations that somebody follows.
    pub fn trace_operations(&self) -> &Counters<TraceFate> {
        &self.dispatch.metrics().counters.trace_operations
    }

    fn render(&self) -> Snapshot {
        let counters = &self.dispatch.metrics().counters;
        counters.renders.increment();
        let (begun, time) = (Instant::now(), SystemTime::now());
        let verdict = self.health.verdict();
        let values = self.observe(&verdict);
        let shares = self.shares();
        let sources = Sources {
            schema: &self.schema,
            snapshot: &values,
            identity: &self.identity,
            config: &self.config(),
            shares: &shares,
            verdict: &verdict,
            operations: &Operations::of(self),
        };
        let texts = std::array::from_fn(|index| {
            let text = (TEXTS[index].render)(&sources, self.lens[index].load(Relaxed))?;
            self.lens[index].store(text.len(), Relaxed);
            Some(Arc::from(text.into_bytes()))
        });
        counters.render.add(nanoseconds(begun.elapsed()));
        Snapshot {
            rendered: Instant::now(),
            time,
            texts,
            values,
            open_metrics: OnceLock::new(),
        }
    }

    /// Who answers the mount's requests.
    pub fn dispatch(&self) -> &Dispatch {
        &self.dispatch
    }

    /// From how long on operations are slow; `None` follows what most of them take.
    pub fn slow_from(&self, least: Option<Duration>) {
        self.dispatch.metrics().slow_from(least);
    }

    /// Has `config` tell what the kernel was told of the mount.
    pub fn tell_tuning(&self, tuning: Tuning) {
        // It is set once, by the one who mounts.
        self.tuning.set(tuning).ok();
    }

    /// All values of this moment, those included that are looked up only when somebody asks.
    fn observe(&self, verdict: &Verdict) -> musefs_telemetry::Snapshot {
        let now = Instant::now();
        self.dispatch.count_clients(now);
        let oldest = |operation| self.dispatch.oldest_inflight(operation, now);
        self.mount.show(&Moment {
            requests_parked: self.dispatch.pool().waiting().1,
            oldest_inflight: Operation::ALL.map(oldest),
            roots: &self.health.roots.seen().reachable,
            health: verdict,
        });
        self.states.show(
            &self.musefs.telemetry(),
            &self.telemetry(),
            allocator_stats().as_ref(),
        );
        self.musefs.engine().snapshot()
    }

    /// What the mount was told, the directories of the library by the numbers that labels have for them, and what the kernel
    /// was told.
    fn config(&self) -> String {
        let mut text = self.config.clone();
        for (number, root) in self.musefs.roots().iter().enumerate() {
            let root = root.to_string_lossy();
            writeln!(text, "root {number} = {}  # store", root.escape_debug())
                .expect("a String takes whatever is written to it");
        }
        let tuned = self.tuning.get().into_iter().flat_map(Tuning::outcomes);
        for (name, outcome) in tuned {
            writeln!(text, "kernel.{name} = {outcome}")
                .expect("a String takes whatever is written to it");
        }
        writeln!(text, "kernel.passthrough = {}", self.passthrough.told())
            .expect("a String takes whatever is written to it");
        text
    }

    fn shares(&self) -> Vec<Share> {
        let requests = &self.dispatch.metrics().counters.requests;
        let requests = requests.per_shard(Way::Inline);
        let reads = self.musefs.reads_by_thread();
        let shares = requests.into_iter().zip(reads);
        shares
            .map(|(inline_requests, [preads, pread_bytes])| Share {
                inline_requests,
                preads,
                pread_bytes,
            })
            .collect()
    }

    /// The state of the edge at this moment.
    pub fn telemetry(&self) -> FuseTelemetry {
        let (pool, metrics) = (self.dispatch.pool(), self.dispatch.metrics());
        let (dir_handles, dir_handles_max) = self.musefs.directory_handles();
        FuseTelemetry {
            uptime_seconds: self.started.0.elapsed().as_secs(),
            reads_inflight: metrics.reads_inflight.value(),
            reads_inflight_max: pool.queue_len_max() as u64,
            read_errors: metrics.read_errors.value(),
            dir_handles,
            dir_handles_max,
            pool_workers: pool.workers(),
            pool_active: pool.active(),
            pool_queued: pool.waiting().0,
            passthrough: self.passthrough.telemetry(),
        }
    }

    /// Opens a text; the handle number.
    pub fn open(&self, text: Arc<[u8]>) -> u64 {
        let scrapes = &self.dispatch.metrics().counters.scrapes;
        scrapes.increment(Transport::File);
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
