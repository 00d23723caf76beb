//! Rows of the store → what the tree is to show of them.
//!
//! Two steps, because a number is written as wide as those of its siblings need: every row is drafted as it passes, and
//! finished when all have passed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use musefs_telemetry::{event_warn, logging};

use super::TreeConfig;
use crate::formats::Format;
use crate::ids::TrackId;
use crate::metrics::{Metrics, ResolveCause, nanoseconds};
use crate::names::{self, ServedPath};
use crate::serve::{Mode, inode_of, layout_of, mtime_of};
use crate::store::{Fields, Store, StoreError, TrackFailure, TrackRow};
use crate::template::{Draft, NumberWidths, Siblings, TagSource, TrackValues};
use crate::tree::{Entry, Inode};

/// What became of the rows of one pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// Tracks whose file was not there at the last scan.
    pub(super) missing: u64,
    /// Tracks left out because a field was missing, by field.
    pub(super) skipped: BTreeMap<String, u64>,
    /// Rows left out: of a number that another row has.
    pub(super) broken: u64,
    /// Rows listed without something in them that could not be read.
    pub(super) unread: u64,
    /// Rows that another version's probe read.
    pub(super) outdated: u64,
}

/// The path of a track that is to be listed.
enum Path {
    Settled(ServedPath),
    /// It has numbers whose width is not known yet. Few templates have them, so they are kept aside.
    Drafted(Box<Drafted>),
}

struct Drafted {
    draft: Draft,
    extension: Option<Box<str>>,
}

/// A track that waits for the width of its numbers.
pub(super) struct Waiting {
    path: Path,
    siblings: Option<Siblings>,
    pub(super) track: TrackId,
    pub(super) inode: Inode,
    /// The highest number that an inode of it is made from.
    pub(super) sequence: i64,
    /// `None` when it has to be computed.
    size: Option<u64>,
    pub(super) mtime_ns: i64,
    listed_ns: i64,
    pub(super) format: Format,
    /// Whether the scan could not take its file apart.
    pub(super) is_unparsable: bool,
}

impl Waiting {
    /// Whom the track shares the widths of its numbers with.
    pub(super) fn siblings(&self) -> Option<Siblings> {
        self.siblings
    }
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

/// Drafts the rows of one pass or several.
pub(super) struct Drafts<'a> {
    config: &'a TreeConfig,
    keys: &'a [&'a str],
    inode_base: u64,
    widths: &'a mut NumberWidths,
    inodes: HashSet<Inode>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) left: Left,
}

impl<'a> Drafts<'a> {
    pub(super) fn new(
        config: &'a TreeConfig,
        keys: &'a [&'a str],
        inode_base: u64,
        widths: &'a mut NumberWidths,
    ) -> Self {
        Self {
            config,
            keys,
            inode_base,
            widths,
            inodes: HashSet::new(),
            waiting: Vec::new(),
            left: Left::default(),
        }
    }

    /// The widths that the drafts are noted in.
    pub(super) fn widths(&mut self) -> &mut NumberWidths {
        self.widths
    }

    /// Takes a row, unless it is not to be shown.
    pub(super) fn take(&mut self, row: &TrackRow, fields: &Fields) {
        if row.failure == Some(TrackFailure::Missing) {
            self.left.missing += 1;
            return;
        }
        let inode = inode_of(self.config.mode, self.inode_base, row);
        if self.inodes.contains(&inode) {
            self.left.broken += 1;
            event_warn!(
                logging::engine(),
                "refresh.track.left_out",
                message = "a track is left out: its sequence number is that of another one",
                track = row.id.0,
            );
            return;
        }
        let tags = RowTags {
            keys: self.keys,
            fields,
        };
        let values = TrackValues {
            tags: &tags,
            path: &row.path,
            format: row.format.as_str(),
            properties: row.properties,
        };
        let drafted = self
            .config
            .template
            .draft(&values, &self.config.fallbacks, self.widths);
        let draft = match drafted {
            Ok(draft) => draft,
            Err(skipped) => {
                *self.left.skipped.entry(skipped.field).or_default() += 1;
                return;
            }
        };
        self.inodes.insert(inode);
        let extension = names::extension_of(&row.path);
        let siblings = draft.siblings();
        let path = if draft.is_settled() {
            let (widths, fallbacks) = (&*self.widths, &self.config.fallbacks);
            Path::Settled(draft.finish(widths, extension.as_deref(), fallbacks))
        } else {
            let extension = extension.map(|extension| extension.into_owned().into());
            Path::Drafted(Box::new(Drafted { draft, extension }))
        };
        self.waiting.push(Waiting {
            path,
            siblings,
            track: row.id,
            inode,
            sequence: row.content_seq.max(row.backing_seq),
            size: match self.config.mode {
                Mode::StructureOnly => Some(row.stamp.size),
                Mode::Synthesis => row.served_size,
            },
            mtime_ns: mtime_of(row),
            listed_ns: row.added_ns,
            format: row.format,
            is_unparsable: matches!(row.failure, Some(TrackFailure::Probe(_))),
        });
    }
}

/// The entries of all that waited. Sizes that are not known are computed, and kept in the store; a row that vanished
/// meanwhile, or cannot be read, is left out. With the entries, how many sizes were computed.
pub(super) fn finish(
    waiting: Vec<Waiting>,
    widths: &NumberWidths,
    config: &TreeConfig,
    store: &mut Store,
    metrics: &Metrics,
) -> Result<(Vec<Entry>, u64), StoreError> {
    let sizes = compute_sizes(&waiting, config.mode, store, metrics)?;
    let entry = |waiting: Waiting| {
        Some(Entry {
            track: waiting.track,
            inode: waiting.inode,
            size: waiting
                .size
                .or_else(|| sizes.get(&waiting.track).copied())?,
            path: match waiting.path {
                Path::Settled(path) => path,
                Path::Drafted(drafted) => {
                    let Drafted { draft, extension } = *drafted;
                    draft.finish(widths, extension.as_deref(), &config.fallbacks)
                }
            },
            mtime_ns: waiting.mtime_ns,
            listed_ns: waiting.listed_ns,
        })
    };
    let entries = waiting.into_iter().filter_map(entry).collect();
    Ok((entries, sizes.len() as u64))
}

/// The sizes that are not known, from what the store holds, and kept there for the next time.
fn compute_sizes(
    waiting: &[Waiting],
    mode: Mode,
    store: &mut Store,
    metrics: &Metrics,
) -> Result<HashMap<TrackId, u64>, StoreError> {
    let mut computed = Vec::new();
    for unknown in waiting.iter().filter(|waiting| waiting.size.is_none()) {
        let started = Instant::now();
        let sized = store.track(unknown.track).map(|detail| {
            let detail = detail?;
            let size = layout_of(mode, &detail).len();
            Some((unknown.track, detail.row.content_seq, size))
        });
        metrics.resolves.increment(ResolveCause::Refresh);
        let took = nanoseconds(started.elapsed());
        metrics.resolve.add(ResolveCause::Refresh, took);
        match sized {
            Ok(Some(sized)) => computed.push(sized),
            Ok(None) => {}
            // Whoever holds the store lets go of it; nothing is known of the row.
            Err(error @ (StoreError::Locked { .. } | StoreError::Unreadable { .. })) => {
                return Err(error);
            }
            Err(error) => event_warn!(
                logging::engine(),
                "refresh.track.left_out",
                message = %format_args!("a track is left out: {error}"),
                track = unknown.track.0,
            ),
        }
    }
    if !computed.is_empty()
        && !store.is_read_only()
        && let Err(error) = store.record_served_sizes(&computed)
    {
        // They are known for this mount all the same.
        event_warn!(
            logging::engine(),
            "store.sizes.not_kept",
            message = %format_args!("the sizes of edited tracks were not kept: {error}"),
            tracks = computed.len(),
        );
    }
    Ok(computed
        .into_iter()
        .map(|(track, _, size)| (track, size))
        .collect())
}
