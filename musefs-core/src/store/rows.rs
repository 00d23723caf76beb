//! The rows of the store as plain values.

use std::fs::Metadata;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::formats::{Art, AudioProperties, Desired, Failure, Format, OpaqueItem, Structure, Tag};
use crate::ids::{RootId, TrackId};

const NS_PER_SECOND: i64 = 1_000_000_000;

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Length in bytes.
    pub size: u64,
    /// Last change of the content, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Last change of the inode, in nanoseconds since 1970.
    pub ctime_ns: i64,
    /// The file's inode number.
    pub inode: u64,
}

impl Stamp {
    /// The stamp of the file that `metadata` is of. Times beyond the year 2262 count as the last moment that fits.
    pub fn of(metadata: &Metadata) -> Self {
        let ns = |seconds: i64, ns: i64| seconds.saturating_mul(NS_PER_SECOND).saturating_add(ns);
        Self {
            size: metadata.size(),
            mtime_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }

    /// Whether both are the same state of the same file. A ctime that differs alone (a chmod, a new link) is no change.
    pub fn matches(&self, other: &Self) -> bool {
        self.size == other.size && self.mtime_ns == other.mtime_ns && self.inode == other.inode
    }
}

/// What is wrong with a track's file. `as_str` is the name in the store, in metrics and in reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrackFailure {
    /// Its metadata could not be taken apart: it is listed and served as it is.
    Probe(Failure),
    /// It is there and could not be read.
    Unreadable,
    /// It was not there at the last scan; the row stays, with all edits.
    Missing,
}

impl TrackFailure {
    /// The name in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Probe(failure) => failure.as_str(),
            Self::Unreadable => "unreadable",
            Self::Missing => "missing",
        }
    }

    /// The failure of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "unreadable" => Some(Self::Unreadable),
            "missing" => Some(Self::Missing),
            _ => Failure::from_name(name).map(Self::Probe),
        }
    }

    /// Whether the file cannot be served at all. A file that is only broken as audio still can.
    pub fn is_dark(self) -> bool {
        matches!(self, Self::Unreadable | Self::Missing)
    }
}

/// A scanned directory; paths of tracks are relative to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Its number.
    pub id: RootId,
    /// Absolute, without symbolic links at the time it was added.
    pub path: PathBuf,
}

/// What a listing needs of a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackRow {
    /// Its number.
    pub id: TrackId,
    /// The root its file lies under.
    pub root: RootId,
    /// The file's path from the root, in bytes.
    pub path: Vec<u8>,
    /// The backing file as it was when its structure was read.
    pub stamp: Stamp,
    /// What the file is, by content.
    pub format: Format,
    /// What is wrong with it, if anything.
    pub failure: Option<TrackFailure>,
    /// The sound.
    pub properties: AudioProperties,
    /// Whether this version's probe read the file. What another one read is served as it is until it is read again.
    pub is_current: bool,
    /// Length of the served file in bytes; `None` when it has to be computed, because something was edited or because
    /// another version of the synthesizer computed it.
    pub served_size: Option<u64>,
    /// When the track came into the store, in nanoseconds since 1970.
    pub added_ns: i64,
    /// When somebody last edited it, in nanoseconds since 1970.
    pub edited_ns: Option<i64>,
    /// Number of the last change of anything in the row.
    pub change_seq: i64,
    /// Number of the last change of the served bytes in synthesis mode.
    pub content_seq: i64,
    /// Number of the last change of the backing file.
    pub backing_seq: i64,
}

/// All that the store holds of one track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackDetail {
    /// The row itself.
    pub row: TrackRow,
    /// How the backing file is built.
    pub structure: Structure,
    /// The tags, grouped by key in the order of the keys' bytes, the values of a key in their order.
    pub tags: Vec<Tag>,
    /// The pictures, in order.
    pub art: Vec<Art>,
    /// The kept items, in order.
    pub items: Vec<OpaqueItem>,
}

impl TrackDetail {
    /// What synthesis needs.
    pub fn desired(&self) -> Desired<'_> {
        Desired {
            structure: &self.structure,
            backing_len: self.row.stamp.size,
            tags: &self.tags,
            art: &self.art,
            items: &self.items,
        }
    }
}

/// The values that one track has of the keys that were asked for. Its memory is used again for the next track.
#[derive(Debug, Default)]
pub struct Fields {
    text: String,
    values: Vec<(usize, Range<usize>)>,
}

impl Fields {
    /// The first value of the key at `index` of the keys asked for.
    pub fn first(&self, index: usize) -> Option<&str> {
        self.all(index).next()
    }

    /// All values of the key at `index` of the keys asked for, in order.
    pub fn all(&self, index: usize) -> impl Iterator<Item = &str> {
        self.values
            .iter()
            .filter(move |(key, _)| *key == index)
            .map(|(_, range)| &self.text[range.clone()])
    }

    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.values.clear();
    }

    pub(super) fn push(&mut self, index: usize, value: &str) {
        let start = self.text.len();
        self.text.push_str(value);
        self.values.push((index, start..self.text.len()));
    }
}

/// What a pass over the tracks found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    /// Rows handed out.
    pub rows: u64,
    /// Rows with something in them that this program cannot read: each was logged, and handed out without that.
    pub broken: u64,
    /// Rows that another version's probe read: their files are served as they are until a scan reads them again.
    pub outdated: u64,
}

/// The moment up to which a reader has followed the changes of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The highest sequence number that was handed out.
    pub sequence: i64,
    /// The track that took it, if one did and nothing took it from there since.
    pub(super) holder: Option<Holder>,
}

/// A track as its last change left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) track: TrackId,
    pub(super) content_seq: i64,
    pub(super) backing_mtime_ns: i64,
    pub(super) edited_ns: Option<i64>,
}
