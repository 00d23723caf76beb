//! What the mount shows: an immutable snapshot of names, inodes and attributes.
//!
//! A [`Tree`] is made whole ([`Tree::build`]) and never changes; what the kernel sees goes from one tree to the next by a
//! swap, and [`changes`] says what it has to forget then. Everything is in flat arrays: the children of a directory are
//! neighbours, sorted by the bytes of their names, so a lookup is a binary search and a listing is a walk along an array.
//! Names that occur many times are kept once.
//!
//! Invariants: names are unique within a directory, inodes within the tree; every node but the root has a smaller index
//! than its children. Nothing here knows of templates, the store or the kernel, and nothing does I/O.
//!
//! Two names are the same when their bytes are: `Abba` and `ABBA` are two directories.

mod build;
mod changes;
mod inodes;

use std::ops::Range;

pub use changes::{Change, ChangeKind, Changes, changes};
pub use inodes::{DIRECTORIES_REMEMBERED_MAX, DirectoryInodes};

use crate::ids::TrackId;
use crate::names::ServedPath;

/// Names a file or directory to the kernel. Never reused within a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Inode(pub u64);

impl Inode {
    /// The root of every mount.
    pub const ROOT: Self = Self(1);
}

/// The first inode of a directory below the root: far above those of files.
pub const INODE_DIRECTORY_BASE: u64 = 1 << 52;

/// The place of a node in its tree; worth nothing in another tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeIndex(pub u32);

impl NodeIndex {
    /// The root of every tree.
    pub const ROOT: Self = Self(0);

    fn of(index: usize) -> Self {
        Self(u32::try_from(index).expect("a tree has fewer than 2^32 nodes"))
    }

    fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// One track that the tree is to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The track. No two entries of a tree have the same.
    pub track: TrackId,
    /// Its inode: below [`INODE_DIRECTORY_BASE`], above the root's, and like the track in no other entry.
    pub inode: Inode,
    /// Where it wants to be; it is numbered where others want to be there too.
    pub path: ServedPath,
    /// Length of the served file in bytes.
    pub size: u64,
    /// When what is served last changed, in ns since 1970.
    pub mtime_ns: i64,
    /// When the track came to be listed, in ns since 1970.
    pub listed_ns: i64,
}

/// What a node is, with what only its kind has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A directory.
    Directory {
        /// How many directories are directly in it; its link count is two more.
        subdirectories: u32,
    },
    /// A track's file.
    File {
        /// The track.
        track: TrackId,
        /// Length of the served file in bytes.
        size: u64,
    },
}

/// A file or directory of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node<'a> {
    /// Its inode.
    pub inode: Inode,
    /// The directory it is in; the root is in itself.
    pub parent: NodeIndex,
    /// Its name; the root's is empty.
    pub name: &'a [u8],
    /// File or directory.
    pub kind: NodeKind,
    /// When it last changed, in ns since 1970; of a directory, its listing.
    pub mtime_ns: i64,
}

/// An immutable snapshot of what the mount shows.
#[derive(Debug)]
pub struct Tree {
    /// Level by level from the root; children of one directory side by side, sorted by name.
    records: Box<[Record]>,
    /// Indices of `records`, sorted by inode.
    by_inode: Box<[NodeIndex]>,
    /// All names, one after the other, each once.
    names: Box<[u8]>,
    file_count: u32,
    file_bytes: u64,
}

/// A node as it is kept.
#[derive(Clone, Copy, Debug)]
struct Record {
    inode: Inode,
    mtime_ns: i64,
    kind: RecordKind,
    parent: NodeIndex,
    name_start: u32,
    name_len: u8,
}

#[derive(Clone, Copy, Debug)]
enum RecordKind {
    Directory {
        first_child: NodeIndex,
        child_count: u32,
        subdirectories: u32,
    },
    File {
        track: TrackId,
        size: u64,
    },
}

impl Tree {
    /// The node at `index`, which must be of this tree.
    pub fn node(&self, index: NodeIndex) -> Node<'_> {
        let record = self.record(index);
        let kind = match record.kind {
            RecordKind::Directory { subdirectories, .. } => NodeKind::Directory { subdirectories },
            RecordKind::File { track, size } => NodeKind::File { track, size },
        };
        Node {
            inode: record.inode,
            parent: record.parent,
            name: self.name(record),
            kind,
            mtime_ns: record.mtime_ns,
        }
    }

    /// The node with this inode.
    pub fn find(&self, inode: Inode) -> Option<NodeIndex> {
        self.by_inode
            .binary_search_by_key(&inode, |&index| self.record(index).inode)
            .ok()
            .map(|place| self.by_inode[place])
    }

    /// The node called `name` in `directory`; nothing is found in a file.
    pub fn lookup(&self, directory: NodeIndex, name: &[u8]) -> Option<NodeIndex> {
        let children = self.child_range(directory);
        self.records[children.clone()]
            .binary_search_by_key(&name, |record| self.name(record))
            .ok()
            .map(|place| NodeIndex::of(children.start + place))
    }

    /// What is in `directory`, sorted by the bytes of the names; a file has nothing in it.
    pub fn children(&self, directory: NodeIndex) -> Children {
        Children(self.child_range(directory))
    }

    /// Files and directories, the root included.
    pub fn node_count(&self) -> usize {
        self.records.len()
    }

    /// The tracks of all files with the inode of each, in no particular order.
    pub fn tracks(&self) -> impl Iterator<Item = (TrackId, Inode)> {
        self.records.iter().filter_map(|record| match record.kind {
            RecordKind::File { track, .. } => Some((track, record.inode)),
            RecordKind::Directory { .. } => None,
        })
    }

    /// Files.
    pub fn file_count(&self) -> usize {
        self.file_count as usize
    }

    /// Directories, the root included.
    pub fn directory_count(&self) -> usize {
        self.node_count() - self.file_count()
    }

    /// Lengths of all served files together, in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Memory that the tree holds, in bytes: 60 for each node, and each distinct name.
    pub fn heap_bytes(&self) -> usize {
        size_of_val(&*self.records) + size_of_val(&*self.by_inode) + size_of_val(&*self.names)
    }

    /// The path of a node below the root of the mount, for people; the root's is empty.
    pub fn path_of(&self, index: NodeIndex) -> String {
        let mut names = Vec::new();
        let mut index = index;
        while index != NodeIndex::ROOT {
            let record = self.record(index);
            names.push(String::from_utf8_lossy(self.name(record)));
            index = record.parent;
        }
        names.reverse();
        names.join("/")
    }

    fn is_directory(&self, index: NodeIndex) -> bool {
        matches!(self.record(index).kind, RecordKind::Directory { .. })
    }

    fn record(&self, index: NodeIndex) -> &Record {
        &self.records[index.as_usize()]
    }

    fn name(&self, record: &Record) -> &[u8] {
        let start = record.name_start as usize;
        &self.names[start..start + usize::from(record.name_len)]
    }

    fn child_range(&self, directory: NodeIndex) -> Range<usize> {
        match self.record(directory).kind {
            RecordKind::Directory {
                first_child,
                child_count,
                ..
            } => first_child.as_usize()..first_child.as_usize() + child_count as usize,
            RecordKind::File { .. } => 0..0,
        }
    }
}

/// The nodes in a directory, in the order of their names. Skipping some costs nothing.
#[derive(Clone, Debug)]
pub struct Children(Range<usize>);

impl Iterator for Children {
    type Item = NodeIndex;

    fn next(&mut self) -> Option<NodeIndex> {
        self.0.next().map(NodeIndex::of)
    }

    fn nth(&mut self, count: usize) -> Option<NodeIndex> {
        self.0.nth(count).map(NodeIndex::of)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Children {}

#[cfg(test)]
mod tests;
