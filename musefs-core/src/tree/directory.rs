//! One directory of a tree: what is in it, in flat arrays, never changed once it is made.
//!
//! Trees that follow each other share the directories that are the same in both. Invariant: names are unique and sorted by
//! their bytes.

use std::borrow::Cow;

use super::{Inode, Slot};
use crate::ids::TrackId;

/// A directory as it is kept.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) inode: Inode,
    /// The root is in itself.
    pub(super) parent: Slot,
    pub(super) name: Box<str>,
    pub(super) mtime_ns: i64,
    /// Sorted by name.
    children: Box<[Child]>,
    /// Indices of `children`, sorted by inode.
    by_inode: Box<[u32]>,
    /// The names of `children`, one after the other.
    names: Box<str>,
    /// Indices of the children that were numbered, in order, with the name that each wants.
    numbered: Box<[(u32, Box<str>)]>,
    pub(super) subdirectories: u32,
    /// Lengths of the served files directly in it, in bytes.
    pub(super) file_bytes: u64,
}

/// A name in a directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Child {
    pub(super) inode: Inode,
    pub(super) kind: ChildKind,
    name_start: u32,
    name_len: u8,
    extension_len: u8,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChildKind {
    Directory(Slot),
    File {
        track: TrackId,
        size: u64,
        mtime_ns: i64,
    },
}

/// Something that is to be in a directory, under the name it wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want<'a> {
    pub(super) name: &'a str,
    /// Length in bytes of the end of the name that numbering leaves where it is.
    pub(super) extension_len: u8,
    pub(super) inode: Inode,
    pub(super) kind: ChildKind,
}

/// Something in a directory, under the name it got.
#[derive(Debug)]
pub(super) struct Placed<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) want: Want<'a>,
}

impl Directory {
    /// A directory of what was `placed`, which must be sorted by name.
    pub(super) fn new(
        inode: Inode,
        parent: Slot,
        name: Box<str>,
        mtime_ns: i64,
        placed: Vec<Placed<'_>>,
    ) -> Self {
        let mut names = String::with_capacity(placed.iter().map(|child| child.name.len()).sum());
        let mut children = Vec::with_capacity(placed.len());
        let mut numbered = Vec::new();
        let (mut subdirectories, mut file_bytes) = (0, 0u64);
        for (index, Placed { name, want }) in (0..).zip(placed) {
            children.push(Child {
                inode: want.inode,
                kind: want.kind,
                name_start: u32::try_from(names.len()).expect("names of less than 4 GiB"),
                name_len: u8::try_from(name.len()).expect("a name is at most 255 bytes"),
                extension_len: want.extension_len,
            });
            names.push_str(&name);
            if name != want.name {
                numbered.push((index, want.name.into()));
            }
            match want.kind {
                ChildKind::Directory(_) => subdirectories += 1,
                ChildKind::File { size, .. } => file_bytes = file_bytes.saturating_add(size),
            }
        }
        let mut by_inode: Vec<u32> = (0..).take(children.len()).collect();
        by_inode.sort_unstable_by_key(|&index| children[index as usize].inode);
        Self {
            inode,
            parent,
            name,
            mtime_ns,
            children: children.into(),
            by_inode: by_inode.into(),
            names: names.into(),
            numbered: numbered.into(),
            subdirectories,
            file_bytes,
        }
    }

    /// The names in it.
    pub(super) fn children(&self) -> &[Child] {
        &self.children
    }

    /// Files directly in it.
    pub(super) fn file_count(&self) -> usize {
        self.children.len() - self.subdirectories as usize
    }

    /// The name of one of its children.
    pub(super) fn name_of(&self, child: &Child) -> &str {
        let start = child.name_start as usize;
        &self.names[start..start + usize::from(child.name_len)]
    }

    /// The index of the child called `name`.
    pub(super) fn find_name(&self, name: &[u8]) -> Option<usize> {
        self.children
            .binary_search_by_key(&name, |child| self.name_of(child).as_bytes())
            .ok()
    }

    /// The index of the child with this inode.
    pub(super) fn find_inode(&self, inode: Inode) -> Option<usize> {
        self.by_inode
            .binary_search_by_key(&inode, |&index| self.children[index as usize].inode)
            .ok()
            .map(|place| self.by_inode[place] as usize)
    }

    /// Indices of the children whose inode is greater than `after`, in the order of inodes.
    pub(super) fn after_inode(&self, after: Inode) -> &[u32] {
        let first = self
            .by_inode
            .partition_point(|&index| self.children[index as usize].inode <= after);
        &self.by_inode[first..]
    }

    /// The directory in it that wants to be called `name`.
    pub(super) fn subdirectory_wanting(&self, name: &str) -> Option<Slot> {
        let slot = |index: usize| match self.children[index].kind {
            ChildKind::Directory(slot) => Some(slot),
            ChildKind::File { .. } => None,
        };
        let numbered = |index: usize| {
            let index = u32::try_from(index).expect("fewer children than 2^32");
            self.numbered
                .binary_search_by_key(&index, |(index, _)| *index)
                .is_ok()
        };
        let by_name = self
            .find_name(name.as_bytes())
            .filter(|&index| !numbered(index))
            .and_then(slot);
        by_name.or_else(|| {
            self.numbered
                .iter()
                .filter(|(_, wanted)| **wanted == *name)
                .find_map(|(index, _)| slot(*index as usize))
        })
    }

    /// What each child wants, in the order of the names they have.
    pub(super) fn wants(&self) -> impl Iterator<Item = Want<'_>> {
        let mut numbered = self.numbered.iter().peekable();
        (0..).zip(&self.children).map(move |(index, child)| {
            let name = match numbered.next_if(|(numbered, _)| *numbered == index) {
                Some((_, wanted)) => wanted,
                None => self.name_of(child),
            };
            Want {
                name,
                extension_len: child.extension_len,
                inode: child.inode,
                kind: child.kind,
            }
        })
    }

    /// Whether it lists the same names for the same inodes as `other`.
    pub(super) fn lists_as(&self, other: &Self) -> bool {
        self.children.len() == other.children.len()
            && self
                .children
                .iter()
                .zip(&other.children)
                .all(|(one, two)| one.inode == two.inode && self.name_of(one) == other.name_of(two))
    }

    /// Memory that it holds, in bytes.
    pub(super) fn heap_bytes(&self) -> usize {
        let numbered: usize = self.numbered.iter().map(|(_, name)| name.len()).sum();
        size_of::<Self>()
            + self.name.len()
            + size_of_val(&*self.children)
            + size_of_val(&*self.by_inode)
            + self.names.len()
            + size_of_val(&*self.numbered)
            + numbered
    }
}
