//! From the store to the next tree, and what the kernel must forget.
//!
//! A tree is made from one pass over the store, swapped in whole, and only then are the differences told. A store that was
//! replaced by another is noticed and taken over; its inodes begin after those of the old one, so that none is used twice
//! in a mount.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::ids::TrackId;
use crate::names;
use crate::serve::{INODE_TRACK_BASE, Mode, Musefs, Published, inode_of, layout_of};
use crate::stop::Stop;
use crate::store::{Fields, Store, StoreError, TrackFailure, TrackRow, now_ns};
use crate::template::{Draft, Fallbacks, NumberWidths, TagSource, Template, TrackValues};
use crate::tree::{Changes, DirectoryInodes, Entry, Inode, NodeKind, Tree, changes};

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
    /// Whether the store turned out to be an older copy of itself with other edits.
    pub restored: bool,
}

/// Which store a tree was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
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
        })
    }
}

/// Makes trees from a store, one after the other.
pub struct Refresher {
    config: TreeConfig,
    path: PathBuf,
    store: Store,
    identity: Identity,
    inodes: DirectoryInodes,
    /// What is added to a sequence number to make an inode; larger after each replaced store.
    inode_base: u64,
    /// The store's own count of foreign commits, as of the last pass.
    data_version: i64,
    /// The highest sequence number seen.
    sequence: i64,
    /// Connections to a store that took the place of the one that is served, until its tree is published.
    taken_over: Option<Vec<Store>>,
}

/// The tags of the row that a pass is at.
struct RowTags<'a> {
    keys: &'a [&'a str],
    fields: &'a Fields,
}

impl TagSource for RowTags<'_> {
    fn tag(&self, key: &str, ordinal: usize) -> Option<&str> {
        let index = self.keys.iter().position(|known| *known == key)?;
        self.fields.all(index).nth(ordinal)
    }
}

/// A track that waits for the width of its numbers.
struct Waiting {
    draft: Draft,
    extension: Option<String>,
    track: TrackId,
    inode: Inode,
    /// The highest number that an inode of it is made from.
    sequence: i64,
    /// `None` when it has to be computed.
    size: Option<u64>,
    mtime_ns: i64,
    listed_ns: i64,
}

impl Refresher {
    /// Opens the store at `path`.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path, config: TreeConfig) -> Result<Self, StoreError> {
        let store = Store::open(path)?;
        Ok(Self {
            identity: Identity::of(path)?,
            config,
            path: path.to_path_buf(),
            inodes: DirectoryInodes::default(),
            inode_base: INODE_TRACK_BASE,
            data_version: store.data_version()?,
            sequence: store.sequence()?,
            taken_over: None,
            store,
        })
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
        // Taken before the rows are read: what is committed meanwhile is seen by the next poll.
        let data_version = self.store.data_version()?;
        let sequence = self.store.sequence()?;
        let mut report = BuildReport::default();
        let mut widths = NumberWidths::default();
        let mut waiting = self.draft_all(&mut widths, &mut report)?;
        let highest = waiting.iter().map(|waiting| waiting.sequence).max();
        let sequence = highest.map_or(sequence, |highest| highest.max(sequence));
        if previous.is_some_and(|previous| self.contradicts(previous, &waiting)) {
            // An older copy was put in place and edited: its numbers stand for something else by now.
            tracing::info!(path = %self.path.display(), "the store was restored; everything is built anew");
            report.restored = true;
            let shift = self.sequence.max(sequence).cast_unsigned() + 1;
            self.inode_base += shift;
            for waiting in &mut waiting {
                waiting.inode.0 += shift;
            }
        }
        let sizes = self.compute_sizes(&waiting)?;
        report.sizes_computed = sizes.len() as u64;
        let fallbacks = &self.config.fallbacks;
        // A row that vanished between the two looks, or cannot be read, is not in the tree.
        let readable = waiting.len();
        waiting.retain(|waiting| waiting.size.is_some() || sizes.contains_key(&waiting.track));
        report.broken += (readable - waiting.len()) as u64;
        let entries = waiting
            .drain(..)
            .map(|waiting| Entry {
                track: waiting.track,
                inode: waiting.inode,
                path: waiting
                    .draft
                    .finish(&widths, waiting.extension.as_deref(), fallbacks),
                size: waiting
                    .size
                    .or_else(|| sizes.get(&waiting.track).copied())
                    .expect("those without were left out"),
                mtime_ns: waiting.mtime_ns,
                listed_ns: waiting.listed_ns,
            })
            .collect();
        let reserved: Vec<&[u8]> = self
            .config
            .reserved_root_names
            .iter()
            .map(String::as_bytes)
            .collect();
        let tree = Tree::build(entries, &mut self.inodes, previous, &reserved, now_ns());
        report.listed = tree.file_count() as u64;
        // Read after the tracks: every root that a track of the pass lies in is there.
        let roots = self
            .store
            .roots()?
            .into_iter()
            .map(|root| (root.id, root.path))
            .collect();
        self.data_version = data_version;
        self.sequence = sequence;
        let inode_paths = self.inodes.len() as u64;
        Ok((
            Published {
                tree,
                roots,
                inode_paths,
                inode_base: self.inode_base,
            },
            report,
        ))
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

    fn draft_all(
        &self,
        widths: &mut NumberWidths,
        report: &mut BuildReport,
    ) -> Result<Vec<Waiting>, StoreError> {
        let keys = self.config.template.tag_keys();
        let mut waiting = Vec::new();
        let mut inodes = HashSet::new();
        let pass = self.store.for_each_track(&keys, |row, fields| {
            if row.failure == Some(TrackFailure::Missing) {
                report.missing += 1;
                return;
            }
            let tags = RowTags {
                keys: &keys,
                fields,
            };
            let values = TrackValues {
                tags: &tags,
                path: &row.path,
                format: row.format.as_str(),
                properties: row.properties,
            };
            let draft = match self
                .config
                .template
                .draft(&values, &self.config.fallbacks, widths)
            {
                Ok(draft) => draft,
                Err(skipped) => {
                    *report.skipped.entry(skipped.field).or_default() += 1;
                    return;
                }
            };
            let inode = inode_of(self.config.mode, self.inode_base, &row);
            if !inodes.insert(inode) {
                report.broken += 1;
                tracing::warn!(
                    track = row.id.0,
                    "left out: its sequence number is that of another track"
                );
                return;
            }
            waiting.push(Waiting {
                draft,
                extension: names::extension_of(&row.path),
                track: row.id,
                inode,
                sequence: row.content_seq.max(row.backing_seq),
                size: self.known_size(&row),
                mtime_ns: row.stamp.mtime_ns.max(row.edited_ns.unwrap_or(i64::MIN)),
                listed_ns: row.added_ns,
            });
        })?;
        report.unread += pass.broken;
        report.outdated += pass.outdated;
        Ok(waiting)
    }

    fn known_size(&self, row: &TrackRow) -> Option<u64> {
        match self.config.mode {
            Mode::StructureOnly => Some(row.stamp.size),
            Mode::Synthesis => row.served_size,
        }
    }

    /// The sizes that are not known, from what the store holds, and kept there for the next time.
    fn compute_sizes(&mut self, waiting: &[Waiting]) -> Result<HashMap<TrackId, u64>, StoreError> {
        let mut computed = Vec::new();
        for unknown in waiting.iter().filter(|waiting| waiting.size.is_none()) {
            match self.store.track(unknown.track) {
                Ok(Some(detail)) => {
                    let size = layout_of(self.config.mode, &detail).len();
                    computed.push((unknown.track, detail.row.content_seq, size));
                }
                Ok(None) => {}
                // Whoever holds the store lets go of it; nothing is known of the row.
                Err(error @ (StoreError::Locked { .. } | StoreError::Unreadable { .. })) => {
                    return Err(error);
                }
                Err(error) => tracing::warn!("left out: {error}"),
            }
        }
        if !computed.is_empty()
            && !self.store.is_read_only()
            && let Err(error) = self.store.record_served_sizes(&computed)
        {
            // They are known for this mount all the same.
            tracing::warn!(
                "the sizes of {} edited tracks were not kept: {error}",
                computed.len()
            );
        }
        Ok(computed
            .into_iter()
            .map(|(track, _, size)| (track, size))
            .collect())
    }

    /// Looks whether anybody committed to the store, and if so publishes a new tree; what became different, if anything.
    ///
    /// # Errors
    /// When the store cannot be read: the published tree stays, and is known to be behind.
    pub fn poll(&mut self, musefs: &Musefs) -> Result<Option<Changes>, StoreError> {
        let refreshed = self.refresh(musefs);
        if refreshed.is_err() {
            musefs.set_needs_rebuild(true);
        }
        refreshed
    }

    fn refresh(&mut self, musefs: &Musefs) -> Result<Option<Changes>, StoreError> {
        if self.was_replaced()? {
            self.take_over(musefs)?;
        } else if self.store.data_version()? == self.data_version && !musefs.needs_rebuild() {
            return Ok(None);
        } else if self.store.sequence()? < self.sequence {
            // An older copy was put in place within the same file.
            self.take_over(musefs)?;
        }
        let previous = musefs.tree();
        let (published, report) = self.build(Some(&previous))?;
        if report.restored {
            musefs.note_gap();
        }
        let different = changes(&previous, &published.tree);
        musefs.set_needs_rebuild(false);
        if different.is_empty() && self.taken_over.is_none() {
            musefs.publish_roots(published.roots);
            return Ok(None);
        }
        tracing::debug!(?report, names = different.names.len(), "a new tree");
        musefs.publish(published, self.taken_over.take());
        Ok(Some(different))
    }

    fn was_replaced(&self) -> Result<bool, StoreError> {
        Ok(Identity::of(&self.path)? != self.identity)
    }

    /// Goes on with the store that is at the path now. No inode of the old one is used again.
    fn take_over(&mut self, musefs: &Musefs) -> Result<(), StoreError> {
        let store = Store::open(&self.path)?;
        let identity = Identity::of(&self.path)?;
        self.taken_over = Some(open_connections(&self.path, musefs.store_connections())?);
        musefs.note_gap();
        tracing::info!(path = %self.path.display(), "the store was replaced; everything is built anew");
        self.inode_base += self.sequence.cast_unsigned() + 1;
        self.identity = identity;
        self.store = store;
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
            let polled = catch_unwind(AssertUnwindSafe(|| self.poll(musefs)));
            let Ok(polled) = polled else {
                musefs.set_needs_rebuild(true);
                tracing::error!(
                    "a refresh panicked; the tree stays as it is, and the next poll tries again"
                );
                continue;
            };
            match polled {
                Ok(changes) => {
                    complained = false;
                    if let Some(changes) = changes {
                        told(changes);
                    }
                }
                // Once per trouble, not once per poll.
                Err(error) if !complained => {
                    complained = true;
                    tracing::error!("the tree is not refreshed until this is mended: {error}");
                }
                Err(_) => {}
            }
        }
    }
}

struct Over<'a>(&'a Stop);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.is_over();
    }
}

/// `count` connections to the store at `path`.
///
/// # Errors
/// When one cannot be opened.
pub fn open_connections(path: &Path, count: usize) -> Result<Vec<Store>, StoreError> {
    (0..count).map(|_| Store::open(path)).collect()
}

#[cfg(test)]
mod tests;
