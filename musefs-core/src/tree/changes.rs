//! What the kernel has to forget when one tree takes the place of another.

use std::cmp::Ordering;

use super::{ChildKind, Inode, NodeIndex, Slot, Tree, Update};

/// One name that does not stand for what it stood for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The directory the name is in.
    pub parent: Inode,
    /// The name.
    pub name: Box<[u8]>,
    /// What became of it.
    pub kind: ChangeKind,
}

/// What became of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Appeared {
        /// What it stands for.
        inode: Inode,
    },
    /// It is gone.
    Vanished {
        /// What it stood for.
        inode: Inode,
    },
    /// It stands for something else.
    Replaced {
        /// What it stood for.
        before: Inode,
        /// What it stands for.
        now: Inode,
    },
}

/// The differences between two trees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Names that appeared, vanished or stand for another inode: a directory before what is in it, and what is in one by
    /// name. What is in a directory that appeared or vanished is part of it: a directory that comes back has its old
    /// inode, and the kernel may have kept names in it.
    pub names: Vec<Change>,
    /// Inodes in both trees whose attributes are not the same (size, times, number of directories in it), in order.
    pub attributes: Vec<Inode>,
}

impl Changes {
    /// Whether the trees show the same.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.attributes.is_empty()
    }
}

/// What is different in `now` from `before`. Both trees must have got their directories' inodes from the same
/// [`super::DirectoryInodes`].
pub fn changes(before: &Tree, now: &Tree) -> Changes {
    let mut walk = Walk {
        before,
        now,
        names: Vec::new(),
        waiting: vec![(Some(NodeIndex::ROOT), Some(NodeIndex::ROOT))],
    };
    while let Some((old, new)) = walk.waiting.pop() {
        walk.compare(old, new);
    }
    Changes {
        names: walk.names,
        attributes: changed_attributes(before, now, 0..slot_count(now)),
    }
}

impl Update {
    /// What is different in the tree from the one `before` that it was made from, found by looking at the directories that
    /// were touched and no others.
    pub fn changes(&self, before: &Tree) -> Changes {
        let mut walk = Walk {
            before,
            now: &self.tree,
            names: Vec::new(),
            waiting: Vec::new(),
        };
        for &slot in &self.touched {
            let place = NodeIndex::directory(slot);
            let old = before.directory(slot).map(|_| place);
            let new = self.tree.directory(slot).map(|_| place);
            walk.compare(old, new);
        }
        Changes {
            names: walk.names,
            attributes: changed_attributes(before, &self.tree, self.touched.iter().copied()),
        }
    }
}

fn slot_count(tree: &Tree) -> Slot {
    Slot::try_from(tree.directories.len()).expect("fewer directories than 2^32")
}

/// A walk along the names of both trees.
struct Walk<'a> {
    before: &'a Tree,
    now: &'a Tree,
    names: Vec<Change>,
    /// Directories of the same name in both trees whose children are to be compared; one is absent where there is none.
    waiting: Vec<(Option<NodeIndex>, Option<NodeIndex>)>,
}

impl Walk<'_> {
    fn compare(&mut self, old_parent: Option<NodeIndex>, new_parent: Option<NodeIndex>) {
        let (before, now) = (self.before, self.now);
        let mut old_children = old_parent
            .into_iter()
            .flat_map(|parent| before.children(parent))
            .peekable();
        let mut new_children = new_parent
            .into_iter()
            .flat_map(|parent| now.children(parent))
            .peekable();
        loop {
            let order = match (old_children.peek(), new_children.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(&old), Some(&new)) => before.node(old).name.cmp(now.node(new).name),
            };
            let old = old_children.next_if(|_| order.is_le());
            let new = new_children.next_if(|_| order.is_ge());
            let old_node = old.map(|index| before.node(index));
            let new_node = new.map(|index| now.node(index));
            let (kind, node, parent) = match (old_node, new_node) {
                (None, None) => unreachable!("one of them is the next by name"),
                (Some(old), None) => {
                    let inode = old.inode;
                    let kind = ChangeKind::Vanished { inode };
                    (Some(kind), old, before.node(old.parent).inode)
                }
                (None, Some(new)) => {
                    let inode = new.inode;
                    let kind = ChangeKind::Appeared { inode };
                    (Some(kind), new, now.node(new.parent).inode)
                }
                (Some(old), Some(new)) => {
                    let kind = (old.inode != new.inode).then_some(ChangeKind::Replaced {
                        before: old.inode,
                        now: new.inode,
                    });
                    (kind, new, now.node(new.parent).inode)
                }
            };
            self.names.extend(kind.map(|kind| Change {
                parent,
                name: node.name.into(),
                kind,
            }));
            let old = old.filter(|index| index.is_directory());
            let new = new.filter(|index| index.is_directory());
            if old.is_some() || new.is_some() {
                self.waiting.push((old, new));
            }
        }
    }
}

/// Inodes in the directories `slots` of `now`, and of these directories themselves, that `before` has with other
/// attributes, in order. A file may have changed its attributes and its path at once.
fn changed_attributes(
    before: &Tree,
    now: &Tree,
    slots: impl IntoIterator<Item = Slot>,
) -> Vec<Inode> {
    let is_changed = |index: &NodeIndex| {
        let new = now.node(*index);
        before.find(new.inode).is_some_and(|old| {
            let old = before.node(old);
            (old.kind, old.mtime_ns) != (new.kind, new.mtime_ns)
        })
    };
    let mut changed = Vec::new();
    for slot in slots {
        let Some(directory) = now.directory(slot) else {
            continue;
        };
        let files = (0..)
            .zip(directory.children())
            .filter(|(_, child)| matches!(child.kind, ChildKind::File { .. }))
            .map(|(child, _)| NodeIndex { slot, child });
        let nodes = std::iter::once(NodeIndex::directory(slot)).chain(files);
        changed.extend(nodes.filter(is_changed).map(|index| now.node(index).inode));
    }
    changed.sort_unstable();
    changed
}
