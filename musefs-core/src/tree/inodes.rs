//! Inodes of directories: a path keeps its inode for as long as the mount lasts, and no inode ever gets a second path.

use std::collections::HashMap;

use super::{INODE_DIRECTORY_BASE, Inode};

/// Directories that are no longer shown whose inodes are remembered, at most. When there are more, all of them are
/// forgotten: one that comes back is a new directory then, with a new inode.
pub const DIRECTORIES_REMEMBERED_MAX: usize = 65_536;

/// Hands out inodes to directories, one for each path. Belongs to a mount, not to a tree.
#[derive(Debug)]
pub struct DirectoryInodes {
    /// By path below the root, with `/` between the names.
    known: HashMap<Box<str>, Known>,
    next: u64,
    /// How many of the known are shown.
    shown_count: usize,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    inode: Inode,
    is_shown: bool,
}

impl Default for DirectoryInodes {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            next: INODE_DIRECTORY_BASE,
            shown_count: 0,
        }
    }
}

impl DirectoryInodes {
    /// Directories whose inode is known, shown or not; the root does not count.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether no inode was handed out yet.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// A tree is about to be built from nothing: whatever it shows, it will ask for.
    pub(super) fn begin_tree(&mut self) {
        for known in self.known.values_mut() {
            known.is_shown = false;
        }
        self.shown_count = 0;
    }

    /// The inode of the directory at `path`, which the tree shows.
    pub(super) fn inode_of(&mut self, path: &str) -> Inode {
        if let Some(known) = self.known.get_mut(path) {
            self.shown_count += usize::from(!known.is_shown);
            known.is_shown = true;
            return known.inode;
        }
        let inode = Inode(self.next);
        self.next += 1;
        let is_shown = true;
        self.known.insert(path.into(), Known { inode, is_shown });
        self.shown_count += 1;
        inode
    }

    /// The directory at `path` is not shown any more.
    pub(super) fn forget(&mut self, path: &str) {
        if let Some(known) = self.known.get_mut(path) {
            self.shown_count -= usize::from(known.is_shown);
            known.is_shown = false;
        }
        self.keep_within_bound();
    }

    /// The tree is built: all that it shows was asked for.
    pub(super) fn end_tree(&mut self) {
        self.keep_within_bound();
    }

    fn keep_within_bound(&mut self) {
        if self.known.len() - self.shown_count > DIRECTORIES_REMEMBERED_MAX {
            self.known.retain(|_, known| known.is_shown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vanished_directories_are_remembered_up_to_a_bound_and_numbers_are_never_reused() {
        let mut inodes = DirectoryInodes::default();
        inodes.begin_tree();
        let first = inodes.inode_of("a");
        for number in 0..DIRECTORIES_REMEMBERED_MAX {
            inodes.inode_of(&number.to_string());
        }
        inodes.end_tree();
        inodes.begin_tree();
        assert_eq!(inodes.inode_of("a"), first);
        inodes.end_tree();
        assert_eq!(inodes.len(), DIRECTORIES_REMEMBERED_MAX + 1);
        inodes.begin_tree();
        let later = inodes.inode_of("b");
        inodes.end_tree();
        assert_eq!(inodes.len(), 1);
        inodes.begin_tree();
        let again = inodes.inode_of("a");
        assert!(first < later && later < again);
    }
}
