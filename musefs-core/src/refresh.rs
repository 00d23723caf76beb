//! From the store to the next tree, and what the kernel must forget.
//!
//! The first tree is made from one pass over the store. From then on only the rows that changed are read, and only the
//! directories that they are or were in are made anew. The tree is swapped in whole, and only then are the differences
//! told. A store that was replaced by another is noticed and taken over, from nothing; its inodes begin after those of the
//! old one, so that none is used twice in a mount.

mod advance;
mod draft;
mod holdings;
mod watch;

use std::collections::{BTreeMap, HashSet};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use crate::formats::Format;
use crate::ids::TrackId;
use crate::metrics::{CoreMetrics, PollOutcome, TrackChange, nanoseconds};
use crate::serve::{INODE_TRACK_BASE, Mode, Musefs, Published, Renewed};
use crate::stop::Stop;
use crate::store::{Fields, Mark, Store, StoreError, TrackRow, log_path, memory_used, now_ns};
use crate::template::{Fallbacks, NumberWidths, Siblings, Template};
use crate::tree::{Changes, DirectoryInodes, Entry, Inode, NodeKind, Tree, changes};
use draft::{Drafts, Waiting, finish};
use musefs_telemetry::{event_debug, event_error, event_info, logging};

pub use holdings::{Holdings, TrackChanges};
pub use watch::Watch;

/// Numbers that a store has handed out, at least one for each row, from which on it is read by two connections: opening
/// another takes longer than reading as many rows.
const ROWS_FOR_TWO_CONNECTIONS: i64 = 2_000;

/// Rows read at once from which on it pays to give back the memory that it took.
const ROWS_FOR_RELEASE: u64 = 1_000;

/// What decides how a tree looks.
#[derive(Clone, Debug)]
pub struct TreeConfig {
    /// Makes a path of a track.
    pub template: Template,
    /// What stands for missing fields.
    pub fallbacks: Fallbacks,
    /// What is served, which decides sizes and inodes.
    pub mode: Mode,
    /// Names at the root that belong to somebody else.
    pub reserved_root_names: Vec<String>,
}

impl TreeConfig {
    fn reserved(&self) -> Vec<&[u8]> {
        let names = self.reserved_root_names.iter();
        names.map(String::as_bytes).collect()
    }
}

/// What one pass over the store came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildReport {
    /// Tracks in the tree.
    pub listed: u64,
    /// Tracks whose file was not there at the last scan.
    pub missing: u64,
    /// Tracks left out because a field was missing, by field.
    pub skipped: BTreeMap<String, u64>,
    /// Rows left out: of a number that another row has, or unreadable as a whole.
    pub broken: u64,
    /// Rows listed without something in them that could not be read.
    pub unread: u64,
    /// Rows that another version's probe read; their files are served as they are.
    pub outdated: u64,
    /// Sizes that had to be computed.
    pub sizes_computed: u64,
    /// Rows that were read.
    pub rows_read: u64,
    /// Names in the directories that were made.
    pub nodes_built: u64,
    /// Whether the store turned out to be an older copy of itself with other edits.
    pub restored: bool,
    /// What became of the tracks of the tree before; nothing where there was none.
    pub tracks: TrackChanges,
}

/// Which store a tree was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    /// Inode of the write-ahead log beside it, while there is one: who has a log open that was deleted reads and hears nothing
    /// of what others write into the next one.
    log: Option<u64>,
}

impl Identity {
    fn of(path: &Path) -> Result<Self, StoreError> {
        let metadata = std::fs::metadata(path).map_err(|source| StoreError::Unreadable {
            path: path.to_path_buf(),
            source,
        })?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            log: log_of(path),
        })
    }
}

/// When somebody last committed to the store at `path`, in nanoseconds since 1970, as its log tells, or where that holds
/// nothing the store itself.
fn commit_time(path: &Path) -> Option<i64> {
    let log = std::fs::metadata(log_path(path)).ok();
    let written = match log.filter(|metadata| metadata.len() > 0) {
        Some(log) => log,
        None => std::fs::metadata(path).ok()?,
    };
    let since = written.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_nanos()).ok()
}

/// The inode of the write-ahead log of the store at `path`.
fn log_of(path: &Path) -> Option<u64> {
    let log = std::fs::metadata(log_path(path));
    log.ok().map(|metadata| metadata.ino())
}

/// Makes trees from a store, one after the other.
pub struct Refresher {
    config: TreeConfig,
    metrics: CoreMetrics,
    path: PathBuf,
    store: Store,
    identity: Identity,
    inodes: DirectoryInodes,
    /// What is added to a sequence number to make an inode; larger after each replaced store.
    inode_base: u64,
    /// The store's own count of foreign commits, as of the last pass.
    data_version: i64,
    /// What the last pass has seen.
    mark: Mark,
    /// The highest number that an inode was made from.
    highest: i64,
    widths: NumberWidths,
    /// The tracks of the published tree.
    listed: BTreeMap<TrackId, Listed>,
    /// What they are.
    holdings: Holdings,
    /// Whether `widths` and `listed` are those of the published tree.
    is_in_step: bool,
    /// Connections to a store that took the place of the one that is served, until its tree is published.
    taken_over: Option<Vec<Store>>,
}

/// What is remembered of a track to take it out of the tree again.
#[derive(Clone, Copy, Debug)]
struct Listed {
    inode: Inode,
    siblings: Option<Siblings>,
    format: Format,
    is_unparsable: bool,
}

impl Refresher {
    /// Opens the store at `path`. What is done with it is counted in `metrics`.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(
        path: &Path,
        config: TreeConfig,
        metrics: &CoreMetrics,
    ) -> Result<Self, StoreError> {
        // Looked at before it is opened: a file that takes the path in between is noticed by the next poll.
        // What is wrong with the path is told best by opening it.
        let identity = Identity::of(path);
        let mut store = Store::open(path)?;
        store.count_with(&metrics.store);
        Ok(Self {
            metrics: metrics.clone(),
            identity: Identity {
                log: None,
                ..identity?
            },
            config,
            path: path.to_path_buf(),
            inodes: DirectoryInodes::default(),
            inode_base: INODE_TRACK_BASE,
            data_version: store.data_version()?,
            mark: store.mark()?,
            highest: 0,
            widths: NumberWidths::default(),
            listed: BTreeMap::new(),
            holdings: Holdings::default(),
            is_in_step: false,
            taken_over: None,
            store,
        })
    }

    /// What the tracks of the tree that was made last are.
    #[cfg(test)]
    pub(crate) fn holdings(&self) -> &Holdings {
        &self.holdings
    }

    /// Statements that its connection has executed.
    #[cfg(test)]
    pub(crate) fn statements(&self) -> u64 {
        self.store.statements()
    }

    /// The scanned directories.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn roots(&self) -> Result<Vec<PathBuf>, StoreError> {
        Ok(self
            .store
            .roots()?
            .into_iter()
            .map(|root| root.path)
            .collect())
    }

    /// A tree of everything in the store; sizes that are not known are computed and kept there. `previous` is the tree that
    /// is published now, whose directories keep their times where their listing stays.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn build(
        &mut self,
        previous: Option<&Tree>,
    ) -> Result<(Published, BuildReport), StoreError> {
        self.is_in_step = false;
        // Taken before the rows are read: what is committed meanwhile is seen by the next poll.
        let data_version = self.store.data_version()?;
        let mark = self.store.mark()?;
        let mut report = BuildReport::default();
        self.widths = NumberWidths::default();
        let keys = self.config.template.tag_keys();
        let mut drafts = Drafts::new(&self.config, &keys, self.inode_base, &mut self.widths);
        let beside = connection_beside(&self.path, &mark, &self.metrics);
        let take = |row: TrackRow, fields: &Fields| drafts.take(&row, fields);
        let pass = match beside {
            Some(beside) => self.store.for_each_track_with(beside, &keys, take),
            None => self.store.for_each_track(&keys, take),
        }?;
        let (mut waiting, left) = (drafts.waiting, drafts.left);
        let numbers = waiting.iter().map(|waiting| waiting.sequence);
        let highest = numbers.chain([mark.sequence]).max().unwrap_or_default();
        if previous.is_some_and(|previous| self.contradicts(previous, &waiting)) {
            // An older copy was put in place and edited: its numbers stand for something else by now.
            event_info!(
                logging::engine(),
                "store.file.restored",
                message = "the store was restored; everything is built anew",
                path = %self.path.display(),
            );
            report.restored = true;
            let shift = self.highest.max(highest).cast_unsigned() + 1;
            self.inode_base += shift;
            for waiting in &mut waiting {
                waiting.inode.0 += shift;
            }
        }
        let drafted = waiting.len();
        self.listed = listed(&waiting);
        let (entries, sizes_computed) = self.finish(waiting)?;
        if entries.len() < drafted {
            let shown: HashSet<TrackId> = entries.iter().map(|entry| entry.track).collect();
            self.listed.retain(|track, _| shown.contains(track));
        }
        self.holdings = Holdings::of(&self.listed);
        report.missing = left.missing;
        report.skipped = left.skipped;
        report.broken = left.broken + (drafted - entries.len()) as u64;
        report.unread = pass.broken;
        report.outdated = pass.outdated;
        report.rows_read = pass.rows;
        report.sizes_computed = sizes_computed;
        let reserved = self.config.reserved();
        let tree = Tree::build(entries, &mut self.inodes, previous, &reserved, now_ns());
        report.listed = tree.file_count() as u64;
        report.nodes_built = tree.node_count() as u64;
        if let Some(previous) = previous {
            // A number of another store is another track.
            let is_same_store = self.taken_over.is_none() && !report.restored;
            report.tracks = if is_same_store {
                TrackChanges::between(previous, previous.tracks(), &tree, tree.tracks())
            } else {
                TrackChanges {
                    added: tree.file_count() as u64,
                    changed: 0,
                    removed: previous.file_count() as u64,
                }
            };
        }
        let published = self.published(tree)?;
        self.data_version = data_version;
        self.mark = mark;
        self.highest = self.highest.max(highest);
        self.is_in_step = true;
        // What was noted on the way is all of it.
        self.widths.take_changed();
        self.release_memory();
        if previous.is_none() {
            self.metrics.refresh.last_success_timestamp.set(now_ns());
            self.show_last_scan();
            self.show_sizes();
        }
        Ok((published, report))
    }

    /// As [`finish`], and counts what it takes.
    fn finish(&mut self, waiting: Vec<Waiting>) -> Result<(Vec<Entry>, u64), StoreError> {
        let store = &mut self.store;
        finish(
            waiting,
            &self.widths,
            &self.config,
            store,
            &self.metrics.serving,
        )
    }

    /// What the store tells of the last scan. Trouble with that is none with the tracks.
    fn show_last_scan(&self) {
        let run = self.store.last_finished_scan().unwrap_or_else(|error| {
            event_debug!(
                logging::engine(),
                "store.scan.unknown",
                message = %format_args!("the last scan is not known: {error}"),
            );
            None
        });
        self.metrics.last_scan.show(run.as_ref());
    }

    /// What the store takes of memory and, in its log, of the disk.
    fn show_sizes(&self) {
        let metrics = &self.metrics.store;
        metrics.sqlite_memory.set(memory_used());
        match std::fs::metadata(log_path(&self.path)) {
            Ok(metadata) => metrics.store_wal.set(metadata.len().cast_signed()),
            Err(error) if error.kind() == ErrorKind::NotFound => metrics.store_wal.set(0),
            Err(_) => metrics.store_wal.clear(),
        }
    }

    /// `tree`, with what belongs to it.
    fn published(&self, tree: Tree) -> Result<Published, StoreError> {
        // Read after the tracks: every root that a track of the pass lies in is there.
        let roots = self
            .store
            .roots()?
            .into_iter()
            .map(|root| (root.id, root.path))
            .collect();
        Ok(Published {
            tree,
            roots,
            inode_paths: self.inodes.len() as u64,
            inode_base: self.inode_base,
            holdings: self.holdings.clone(),
        })
    }

    /// Whether an inode of `previous` stands for another track now, or for one that was edited at another time.
    fn contradicts(&self, previous: &Tree, waiting: &[Waiting]) -> bool {
        waiting.iter().any(|waiting| {
            let Some(node) = previous.find(waiting.inode) else {
                return false;
            };
            let node = previous.node(node);
            match node.kind {
                NodeKind::File { track, .. } => {
                    track != waiting.track
                        || (self.config.mode == Mode::Synthesis
                            && node.mtime_ns != waiting.mtime_ns)
                }
                NodeKind::Directory { .. } => true,
            }
        })
    }

    /// Looks whether anybody committed to the store, and if so publishes a new tree; what became different, if anything.
    ///
    /// # Errors
    /// When the store cannot be read: the published tree stays, and is known to be behind.
    pub fn poll(&mut self, musefs: &Musefs) -> Result<Option<Changes>, StoreError> {
        let started = Instant::now();
        let refreshed = self.refresh(musefs);
        musefs.set_store_unreadable(refreshed.is_err());
        let metrics = &self.metrics.refresh;
        let outcome = match &refreshed {
            Ok(None) => PollOutcome::Unchanged,
            Ok(Some(_)) => PollOutcome::Changed,
            Err(_) => PollOutcome::Failed,
        };
        if outcome == PollOutcome::Failed {
            musefs.set_needs_rebuild(true);
        } else {
            metrics.last_success_timestamp.set(now_ns());
        }
        metrics.polls.increment(outcome);
        metrics.seconds.add(nanoseconds(started.elapsed()));
        self.show_sizes();
        refreshed
    }

    /// Gives back what the store holds of the rows that a large pass read. Trouble with that is none with the tracks.
    fn release_memory(&self) {
        if let Err(error) = self.store.release_memory() {
            tracing::debug!("the store keeps its memory: {error}");
        }
    }

    /// Counts what a refresh did.
    fn note(&self, report: &BuildReport) {
        let metrics = &self.metrics.refresh;
        metrics.rows.add(report.rows_read);
        metrics.nodes.add(report.nodes_built);
        let tracks = &report.tracks;
        for (change, count) in [
            (TrackChange::Added, tracks.added),
            (TrackChange::Changed, tracks.changed),
            (TrackChange::Removed, tracks.removed),
        ] {
            metrics.tracks.add(change, count);
        }
    }

    /// Notes that the tree which shows the commit of `committed_ns` is published.
    fn note_visible(&self, committed_ns: Option<i64>) {
        let lag_ns = committed_ns.and_then(|committed| now_ns().checked_sub(committed));
        let lag = &self.metrics.refresh.lag;
        match lag_ns {
            Some(ns @ 0..) => lag.set(ns),
            // The clock was set back, or the store is on another machine with another clock.
            _ => lag.clear(),
        }
    }

    fn refresh(&mut self, musefs: &Musefs) -> Result<Option<Changes>, StoreError> {
        // Looked at first: what is committed from here on belongs to the next poll.
        let committed_ns = commit_time(&self.path);
        if self.was_replaced()? {
            self.take_over(musefs)?;
        } else if self.store.data_version()? == self.data_version && !musefs.needs_rebuild() {
            return Ok(None);
        }
        self.show_last_scan();
        let previous = musefs.tree();
        if let Some(advanced) = self.advance(&previous)? {
            musefs.set_needs_rebuild(false);
            self.note(&advanced.report);
            if advanced.changes.is_empty() {
                musefs.publish_roots(advanced.published.roots);
                return Ok(None);
            }
            event_debug!(
                logging::engine(),
                "refresh.tree.advanced",
                message = "the tree has what changed in the store",
                names = advanced.changes.names.len(),
                report = ?advanced.report,
            );
            let renewed = Renewed::Some(advanced.renewed);
            musefs.publish(advanced.published, None, &renewed);
            self.note_visible(committed_ns);
            return Ok(Some(advanced.changes));
        }
        if self.taken_over.is_none() {
            self.note_gap();
            if self.store.sequence()? < self.mark.sequence {
                // An older copy was put in place within the same file.
                self.take_over(musefs)?;
            }
        }
        let (published, report) = self.build(Some(&previous))?;
        self.note(&report);
        let different = changes(&previous, &published.tree);
        musefs.set_needs_rebuild(false);
        event_debug!(
            logging::engine(),
            "refresh.tree.built",
            message = "the tree was built anew",
            names = different.names.len(),
            report = ?report,
        );
        let renewed = if report.restored || self.taken_over.is_some() {
            Renewed::All
        } else {
            Renewed::Compared
        };
        let is_other_store = matches!(renewed, Renewed::All);
        musefs.publish(published, self.taken_over.take(), &renewed);
        if !different.is_empty() {
            // When a store was put in place of another, none of its files tells.
            self.note_visible(committed_ns.filter(|_| !is_other_store));
        }
        Ok((!different.is_empty()).then_some(different))
    }

    fn note_gap(&self) {
        self.metrics.refresh.gap_fallbacks.increment();
    }

    fn was_replaced(&mut self) -> Result<bool, StoreError> {
        let now = Identity::of(&self.path)?;
        if self.identity.log.is_none() {
            // The first look after opening made it, or it is none of ours to miss.
            self.identity.log = now.log;
        }
        Ok(now != self.identity)
    }

    /// Goes on with the store that is at the path now. No inode of the old one is used again.
    fn take_over(&mut self, musefs: &Musefs) -> Result<(), StoreError> {
        // Looked at before it is opened: a file that takes the path in between is noticed by the next poll.
        let identity = Identity::of(&self.path)?;
        let mut store = Store::open(&self.path)?;
        store.count_with(&self.metrics.store);
        if self.taken_over.is_none() {
            self.note_gap();
        }
        self.taken_over = Some(open_connections(
            &self.path,
            musefs.store_connections(),
            &self.metrics,
        )?);
        event_info!(
            logging::engine(),
            "store.file.replaced",
            message = "the store was replaced; everything is built anew",
            path = %self.path.display(),
        );
        self.inode_base += self.highest.cast_unsigned() + 1;
        self.highest = 0;
        self.identity = Identity {
            log: None,
            ..identity
        };
        self.store = store;
        self.is_in_step = false;
        musefs.set_needs_rebuild(true);
        Ok(())
    }

    /// Polls until `stop` is asked; `told` hears of every difference, after the tree that has it was published.
    pub fn run(
        mut self,
        musefs: &Arc<Musefs>,
        interval: Duration,
        stop: &Stop,
        mut told: impl FnMut(Changes),
    ) {
        // However the thread ends, nobody waits for it in vain.
        let _over = Over(stop);
        let mut complained = false;
        while stop.goes_on_after(interval) {
            let _entered = stop.cause().enter();
            let polled = catch_unwind(AssertUnwindSafe(|| self.poll(musefs)));
            let Ok(polled) = polled else {
                musefs.set_needs_rebuild(true);
                let polls = &self.metrics.refresh.polls;
                polls.increment(PollOutcome::Failed);
                event_error!(
                    logging::engine(),
                    "refresh.poll.panicked",
                    message = "a refresh panicked; the tree stays as it is, and the next poll tries again",
                );
                continue;
            };
            match polled {
                Ok(changes) => {
                    if std::mem::take(&mut complained) {
                        event_info!(
                            logging::engine(),
                            "refresh.poll.recovered",
                            message = "the tree is refreshed again",
                        );
                    }
                    if let Some(changes) = changes {
                        told(changes);
                    }
                    stop.turn_ended();
                }
                // Once per trouble, not once per poll.
                Err(error) if !complained => {
                    complained = true;
                    event_error!(
                        logging::engine(),
                        "refresh.poll.failed",
                        message = %format_args!("the tree is not refreshed until this is mended: {error}"),
                    );
                }
                Err(_) => {}
            }
        }
    }
}

/// What is remembered of those that are about to be listed.
fn listed(waiting: &[Waiting]) -> BTreeMap<TrackId, Listed> {
    let of = |waiting: &Waiting| {
        let listed = Listed {
            inode: waiting.inode,
            siblings: waiting.siblings(),
            format: waiting.format,
            is_unparsable: waiting.is_unparsable,
        };
        (waiting.track, listed)
    };
    waiting.iter().map(of).collect()
}

/// Another connection to the store at `path`, where there is so much to read that two are faster than one.
fn connection_beside(path: &Path, mark: &Mark, metrics: &CoreMetrics) -> Option<Store> {
    if mark.sequence < ROWS_FOR_TWO_CONNECTIONS {
        return None;
    }
    let mut store = Store::open(path).ok()?;
    store.count_with(&metrics.store);
    Some(store)
}

struct Over<'a>(&'a Stop);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.is_over();
    }
}

/// `count` connections to the store at `path`, which count in `metrics` what they are asked.
///
/// # Errors
/// When one cannot be opened.
pub fn open_connections(
    path: &Path,
    count: usize,
    metrics: &CoreMetrics,
) -> Result<Vec<Store>, StoreError> {
    let open = || {
        let mut store = Store::open(path)?;
        store.count_with(&metrics.store);
        Ok(store)
    };
    (0..count).map(|_| open()).collect()
}

#[cfg(test)]
mod tests;
