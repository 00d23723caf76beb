//! What the mount shows: an immutable snapshot of names, inodes and attributes.
//!
//! A [`Tree`] never changes; what the kernel sees goes from one tree to the next by a swap, and [`changes`] says what it has
//! to forget then. The next tree is made from nothing ([`Tree::build`]) or from the one before ([`Tree::update`]); then they
//! share every directory that nothing happened to. What is in a directory is in flat arrays, sorted by the bytes of the
//! names, so a lookup is a binary search and a listing is a walk along an array.
//!
//! Invariants: names are unique within a directory, inodes within the tree. Nothing here knows of templates, the store or
//! the kernel, and nothing does I/O.
//!
//! Two names are the same when their bytes are: `Abba` and `ABBA` are two directories.

mod arrange;
mod build;
mod changes;
mod directory;
mod inodes;

use std::sync::Arc;

pub use build::Update;
pub use changes::{Change, ChangeKind, Changes, changes};
pub use inodes::{DIRECTORIES_REMEMBERED_MAX, DirectoryInodes};

use crate::ids::TrackId;
use crate::names::ServedPath;
use directory::{ChildKind, Directory};

/// Names a file or directory to the kernel. Never reused within a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Inode(pub u64);

impl Inode {
    /// The root of every mount.
    pub const ROOT: Self = Self(1);
}

/// The first inode of a directory below the root: far above those of files.
pub const INODE_DIRECTORY_BASE: u64 = 1 << 52;

/// Where a tree keeps a directory.
type Slot = u32;

/// The place of a node in its tree; worth nothing in another tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeIndex {
    /// Of the directory itself, or of the one the file is in.
    slot: Slot,
    /// Which of the names in it, or [`NodeIndex::ITSELF`].
    child: u32,
}

impl NodeIndex {
    /// Stands for the directory instead of a name in it.
    const ITSELF: u32 = u32::MAX;

    /// The root of every tree.
    pub const ROOT: Self = Self::directory(0);

    const fn directory(slot: Slot) -> Self {
        Self {
            slot,
            child: Self::ITSELF,
        }
    }

    /// Where a file is among the names of its directory, counted from 0; nothing is told of a directory.
    pub fn place(self) -> Option<u32> {
        (!self.is_directory()).then_some(self.child)
    }

    fn is_directory(self) -> bool {
        self.child == Self::ITSELF
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
#[derive(Clone, Debug)]
pub struct Tree {
    /// The root has slot 0.
    directories: Vec<Option<Arc<Directory>>>,
    /// Slots without a directory.
    free: Vec<Slot>,
    /// The slot of each directory, and of the directory that each file is in.
    by_inode: imbl::OrdMap<Inode, Slot>,
    directory_count: usize,
    file_count: usize,
    file_bytes: u64,
}

impl Tree {
    /// A root with nothing in it, as old as can be.
    fn empty() -> Self {
        let root = Directory::new(Inode::ROOT, 0, Box::default(), 0, Vec::new());
        Self {
            directories: vec![Some(Arc::new(root))],
            free: Vec::new(),
            by_inode: imbl::OrdMap::unit(Inode::ROOT, 0),
            directory_count: 1,
            file_count: 0,
            file_bytes: 0,
        }
    }

    /// The node at `index`, which must be of this tree.
    pub fn node(&self, index: NodeIndex) -> Node<'_> {
        let directory = self.of(index);
        if index.is_directory() {
            return Node {
                inode: directory.inode,
                parent: NodeIndex::directory(directory.parent),
                name: directory.name.as_bytes(),
                kind: NodeKind::Directory {
                    subdirectories: directory.subdirectories,
                },
                mtime_ns: directory.mtime_ns,
            };
        }
        let child = &directory.children()[index.child as usize];
        let ChildKind::File {
            track,
            size,
            mtime_ns,
        } = child.kind
        else {
            unreachable!("a directory's index is its own");
        };
        Node {
            inode: child.inode,
            parent: NodeIndex::directory(index.slot),
            name: directory.name_of(child).as_bytes(),
            kind: NodeKind::File { track, size },
            mtime_ns,
        }
    }

    /// The node with this inode.
    pub fn find(&self, inode: Inode) -> Option<NodeIndex> {
        let &slot = self.by_inode.get(&inode)?;
        let directory = self.directory(slot).expect("the slot of a node");
        if directory.inode == inode {
            return Some(NodeIndex::directory(slot));
        }
        directory
            .find_inode(inode)
            .map(|child| Self::child_index(slot, directory, child))
    }

    /// The node called `name` in `directory`; nothing is found in a file.
    pub fn lookup(&self, directory: NodeIndex, name: &[u8]) -> Option<NodeIndex> {
        if !directory.is_directory() {
            return None;
        }
        let (slot, directory) = (directory.slot, self.of(directory));
        directory
            .find_name(name)
            .map(|child| Self::child_index(slot, directory, child))
    }

    /// What is in `directory`, sorted by the bytes of the names; a file has nothing in it.
    pub fn children(&self, directory: NodeIndex) -> Children<'_> {
        Children {
            slot: directory.slot,
            directory: directory.is_directory().then(|| self.of(directory)),
            next: 0,
        }
    }

    /// What is in `directory` with an inode greater than `after`, in the order of inodes.
    pub fn children_after(
        &self,
        directory: NodeIndex,
        after: Inode,
    ) -> impl Iterator<Item = NodeIndex> {
        let (slot, is_directory) = (directory.slot, directory.is_directory());
        let directory = self.of(directory);
        let rest = if is_directory {
            directory.after_inode(after)
        } else {
            &[]
        };
        rest.iter()
            .map(move |&child| Self::child_index(slot, directory, child as usize))
    }

    /// Files and directories, the root included.
    pub fn node_count(&self) -> usize {
        self.file_count + self.directory_count
    }

    /// The tracks of all files with the inode of each, in no particular order.
    pub fn tracks(&self) -> impl Iterator<Item = (TrackId, Inode)> {
        let children = self
            .directories
            .iter()
            .flatten()
            .flat_map(|directory| directory.children());
        children.filter_map(|child| match child.kind {
            ChildKind::File { track, .. } => Some((track, child.inode)),
            ChildKind::Directory(_) => None,
        })
    }

    /// Files.
    pub fn file_count(&self) -> usize {
        self.file_count
    }

    /// Directories, the root included.
    pub fn directory_count(&self) -> usize {
        self.directory_count
    }

    /// Lengths of all served files together, in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Memory that the tree holds, in bytes, what it shares with other trees included; the index of inodes is taken to be
    /// half full.
    pub fn heap_bytes(&self) -> usize {
        let directories = self.directories.iter().flatten();
        directories
            .map(|directory| directory.heap_bytes())
            .sum::<usize>()
            + size_of_val(&*self.directories)
            + size_of_val(&*self.free)
            + 2 * self.by_inode.len() * size_of::<(Inode, Slot)>()
    }

    /// The path of a node below the root of the mount, for people; the root's is empty.
    pub fn path_of(&self, index: NodeIndex) -> String {
        if index.is_directory() {
            return self.path_of_slot(index.slot);
        }
        let directory = self.of(index);
        let name = directory.name_of(&directory.children()[index.child as usize]);
        match index.slot {
            0 => name.to_owned(),
            slot => format!("{}/{name}", self.path_of_slot(slot)),
        }
    }

    fn path_of_slot(&self, slot: Slot) -> String {
        let mut names: Vec<&str> = self
            .upwards(slot)
            .map(|directory| &*directory.name)
            .collect();
        names.pop();
        names.reverse();
        names.join("/")
    }

    /// How many directories lie between `slot` and the root, itself included.
    fn depth(&self, slot: Slot) -> u32 {
        let count = self.upwards(slot).count() - 1;
        u32::try_from(count).expect("paths are of bounded depth")
    }

    /// A directory and those it is in, the root last.
    fn upwards(&self, slot: Slot) -> impl Iterator<Item = &Directory> {
        let mut next = Some(slot);
        std::iter::from_fn(move || {
            let slot = next?;
            let directory = self.directory(slot)?;
            next = (slot != 0).then_some(directory.parent);
            Some(directory)
        })
    }

    fn directory(&self, slot: Slot) -> Option<&Directory> {
        self.directories.get(slot as usize)?.as_deref()
    }

    /// The directory at `index`, or that the file at `index` is in.
    fn of(&self, index: NodeIndex) -> &Directory {
        self.directory(index.slot)
            .expect("an index is used with its own tree")
    }

    fn child_index(slot: Slot, directory: &Directory, child: usize) -> NodeIndex {
        match directory.children()[child].kind {
            ChildKind::Directory(slot) => NodeIndex::directory(slot),
            ChildKind::File { .. } => NodeIndex {
                slot,
                child: u32::try_from(child).expect("fewer children than 2^32"),
            },
        }
    }
}

/// The nodes in a directory, in the order of their names. Skipping some costs nothing.
#[derive(Clone, Debug)]
pub struct Children<'a> {
    slot: Slot,
    directory: Option<&'a Directory>,
    next: usize,
}

impl Iterator for Children<'_> {
    type Item = NodeIndex;

    fn next(&mut self) -> Option<NodeIndex> {
        self.nth(0)
    }

    fn nth(&mut self, count: usize) -> Option<NodeIndex> {
        let directory = self.directory?;
        let child = self.next.saturating_add(count);
        self.next = child.saturating_add(1);
        (child < directory.children().len()).then(|| Tree::child_index(self.slot, directory, child))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let count = self
            .directory
            .map_or(0, |directory| directory.children().len());
        let left = count.saturating_sub(self.next);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Children<'_> {}

#[cfg(test)]
mod tests;
