//! From one tree to the next: the directories that something happened to are made anew, all others are shared.
//!
//! A tree from nothing is the next tree of an empty one. Two passes: from the leaves up, which directories there are; from
//! the root down, who is called what.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::arrange::arrange;
use super::directory::{ChildKind, Directory, Want};
use super::{DirectoryInodes, Entry, Inode, NodeIndex, Slot, Tree};

/// A tree, and how it differs from the one it was made from.
#[derive(Debug)]
pub struct Update {
    /// The next tree.
    pub tree: Tree,
    /// The directories that were made anew, appeared or vanished; each before those in it.
    pub(super) touched: Vec<Slot>,
    /// Names in the directories that were made anew: how much work it was.
    pub nodes_built: u64,
}

impl Tree {
    /// Makes the tree that shows `entries`. In the root, `reserved_root_names` are left free for others.
    ///
    /// The mtime of a directory is `previous`'s where its listing is the same as there, and `now_ns` where it is not.
    /// Without a `previous` it is when the newest of its files and directories came to be listed, a directory with its
    /// oldest file.
    pub fn build(
        mut entries: Vec<Entry>,
        directories: &mut DirectoryInodes,
        previous: Option<&Tree>,
        reserved_root_names: &[&[u8]],
        now_ns: i64,
    ) -> Self {
        // The order decides which directory gets which inode.
        entries.sort_unstable_by_key(|entry| entry.track);
        directories.begin_tree();
        let empty = Tree::empty();
        let mut work = Work::new(&empty, directories, reserved_root_names, now_ns);
        work.dates = match previous {
            Some(previous) => Dates::ByListing(previous),
            None => Dates::ByFiles,
        };
        // The root is there even if nothing is in it.
        work.plan(NodeIndex::ROOT.slot);
        for entry in entries {
            work.add(entry);
        }
        let built = work.finish();
        directories.end_tree();
        built
            .expect("no directory of an empty tree has a name to keep")
            .tree
    }

    /// The tree that shows what this one does, but for the files with the inodes `removed`, and with `added`. An entry whose
    /// track or inode is in this tree must have it removed.
    ///
    /// The mtime of a directory changes to `now_ns` with its listing. `None` when a directory would have to get another
    /// name, which only a tree from nothing can give.
    pub fn update(
        &self,
        removed: &[Inode],
        added: Vec<Entry>,
        directories: &mut DirectoryInodes,
        reserved_root_names: &[&[u8]],
        now_ns: i64,
    ) -> Option<Update> {
        let mut work = Work::new(self, directories, reserved_root_names, now_ns);
        for &inode in removed {
            work.remove(inode);
        }
        for entry in added {
            work.add(entry);
        }
        work.finish()
    }
}

/// What decides how old a directory looks.
enum Dates<'a> {
    /// What is in it.
    ByFiles,
    /// Whether it lists what it did there.
    ByListing(&'a Tree),
}

/// What happens to one directory.
struct Plan {
    depth: u32,
    /// Where it is and what it wants to be called, when it is new.
    new: Option<(Slot, Box<str>)>,
    /// Children of the directory as it was that are not in it any more, by index.
    removed: HashSet<u32>,
    /// Subdirectories that were left without anything in them.
    gone: HashSet<Slot>,
    /// New directories in it, by the name they want.
    made: HashMap<Box<str>, Slot>,
    /// New files in it.
    files: Vec<Entry>,
}

struct Work<'a> {
    base: &'a Tree,
    inodes: &'a mut DirectoryInodes,
    reserved_root_names: &'a [&'a [u8]],
    now_ns: i64,
    dates: Dates<'a>,
    plans: HashMap<Slot, Plan>,
    /// Slots that the base has free, and the first after all it has.
    free: Vec<Slot>,
    next_slot: Slot,
    removed: Vec<Inode>,
    /// Where the file that was added last wants to be: the tracks of an album mostly come one after the other.
    last: (String, Slot),
}

/// What is known of a new directory once its parent is made.
struct Named {
    name: Box<str>,
    path: String,
    inode: Inode,
}

impl<'a> Work<'a> {
    fn new(
        base: &'a Tree,
        inodes: &'a mut DirectoryInodes,
        reserved_root_names: &'a [&'a [u8]],
        now_ns: i64,
    ) -> Self {
        Self {
            base,
            inodes,
            reserved_root_names,
            now_ns,
            dates: Dates::ByListing(base),
            plans: HashMap::new(),
            free: base.free.clone(),
            next_slot: Slot::try_from(base.directories.len()).expect("fewer directories than 2^32"),
            removed: Vec::new(),
            last: (String::new(), NodeIndex::ROOT.slot),
        }
    }

    fn remove(&mut self, inode: Inode) {
        let Some(index) = self.base.find(inode) else {
            return;
        };
        assert!(!index.is_directory(), "a directory goes with its last file");
        self.plan(index.slot).removed.insert(index.child);
        self.removed.push(inode);
    }

    fn add(&mut self, entry: Entry) {
        let directory = entry.path.directory().unwrap_or_default();
        if directory != self.last.0 {
            let mut slot = NodeIndex::ROOT.slot;
            for name in entry.path.directories() {
                slot = self.enter(slot, name);
            }
            self.last.0.clear();
            self.last.0.push_str(directory);
            self.last.1 = slot;
        }
        let slot = self.last.1;
        self.plan(slot).files.push(entry);
    }

    /// The directory in `parent` that wants to be called `name`, a new one if need be.
    fn enter(&mut self, parent: Slot, name: &str) -> Slot {
        let made = self
            .plans
            .get(&parent)
            .and_then(|plan| plan.made.get(name).copied());
        let existing = || self.base.directory(parent)?.subdirectory_wanting(name);
        if let Some(slot) = made.or_else(existing) {
            return slot;
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.next_slot += 1;
            self.next_slot - 1
        });
        let plan = self.plan(parent);
        plan.made.insert(name.into(), slot);
        let depth = plan.depth + 1;
        self.plans.insert(
            slot,
            Plan {
                new: Some((parent, name.into())),
                ..Plan::at(depth)
            },
        );
        slot
    }

    fn plan(&mut self, slot: Slot) -> &mut Plan {
        let base = self.base;
        self.plans
            .entry(slot)
            .or_insert_with(|| Plan::at(base.depth(slot)))
    }

    /// Finds out which directories are left empty; those that are not, by depth.
    fn settle(&mut self) -> (BTreeSet<(u32, Slot)>, Vec<Slot>) {
        let mut waiting: BTreeSet<(u32, Slot)> = self
            .plans
            .iter()
            .map(|(&slot, plan)| (plan.depth, slot))
            .collect();
        let (mut alive, mut gone) = (BTreeSet::new(), Vec::new());
        while let Some((depth, slot)) = waiting.pop_last() {
            let plan = &self.plans[&slot];
            let before = self.base.directory(slot);
            let count = before.map_or(0, |directory| directory.children().len());
            let has_any = count > plan.removed.len() + plan.gone.len()
                || !plan.files.is_empty()
                || !plan.made.is_empty();
            match before {
                Some(directory) if !has_any && slot != NodeIndex::ROOT.slot => {
                    let parent = directory.parent;
                    self.plan(parent).gone.insert(slot);
                    waiting.insert((depth - 1, parent));
                    gone.push(slot);
                }
                _ => {
                    alive.insert((depth, slot));
                }
            }
        }
        (alive, gone)
    }

    fn finish(mut self) -> Option<Update> {
        let (alive, gone) = self.settle();
        let mut next = Next::of(self.base, self.next_slot as usize);
        for &inode in &self.removed {
            next.by_inode.remove(&inode);
        }
        for &slot in &gone {
            let directory = self.base.directory(slot).expect("it was there");
            next.by_inode.remove(&directory.inode);
            self.inodes.forget(&self.base.path_of_slot(slot));
            next.put(slot, None);
        }
        let mut listed = self.listed(&alive);
        let mut named: HashMap<Slot, Named> = HashMap::new();
        let mut nodes_built = 0;
        for &(_, slot) in &alive {
            let plan = self.plans.remove(&slot).expect("it is alive");
            let before = self.base.directory(slot);
            let me = named.remove(&slot);
            let wants = wants(before, &plan, &mut next.by_inode, slot);
            let reserved = if slot == NodeIndex::ROOT.slot {
                self.reserved_root_names
            } else {
                &[]
            };
            let mut placed = arrange(wants, reserved);
            nodes_built += placed.len() as u64;
            let path = match &me {
                Some(me) => me.path.clone(),
                None if plan.made.is_empty() => String::new(),
                None => self.base.path_of_slot(slot),
            };
            for child in &mut placed {
                let ChildKind::Directory(child_slot) = child.want.kind else {
                    continue;
                };
                if plan.made.get(child.want.name) == Some(&child_slot) {
                    let separator = if path.is_empty() { "" } else { "/" };
                    let path = format!("{path}{separator}{}", child.name);
                    let inode = self.inodes.inode_of(&path);
                    child.want.inode = inode;
                    next.insert(inode, child_slot);
                    let name = child.name.as_ref().into();
                    named.insert(child_slot, Named { name, path, inode });
                } else if *self.base.directory(child_slot)?.name != *child.name {
                    return None;
                }
            }
            let (parent, name, inode) = match (before, me, &plan.new) {
                (Some(before), ..) => (before.parent, before.name.clone(), before.inode),
                (None, Some(me), Some((parent, _))) => (*parent, me.name, me.inode),
                _ => unreachable!("a new directory is named by its parent"),
            };
            let mut directory = Directory::new(inode, parent, name, self.now_ns, placed);
            directory.mtime_ns = match &mut listed {
                Some(newest) => newest.remove(&slot).unwrap_or(self.now_ns),
                None => self.date(&directory),
            };
            next.put(slot, Some(directory));
        }
        let mut touched: Vec<(u32, Slot)> = alive.into_iter().collect();
        touched.extend(gone.iter().map(|&slot| (self.base.depth(slot), slot)));
        touched.sort_unstable();
        self.free.extend(gone);
        Some(Update {
            tree: next.finish(self.free),
            touched: touched.into_iter().map(|(_, slot)| slot).collect(),
            nodes_built,
        })
    }

    /// When the newest name of each directory came to be listed; `None` when that is not what decides.
    fn listed(&self, alive: &BTreeSet<(u32, Slot)>) -> Option<HashMap<Slot, i64>> {
        let Dates::ByFiles = self.dates else {
            return None;
        };
        let mut newest: HashMap<Slot, i64> = HashMap::new();
        let mut oldest: HashMap<Slot, i64> = HashMap::new();
        // From the deepest up: the directories in one are done before it.
        for (_, slot) in alive.iter().rev() {
            let plan = &self.plans[slot];
            let files = plan.files.iter().map(|entry| entry.listed_ns);
            let directories = plan.made.values().filter_map(|made| oldest.get(made));
            let listed: Vec<i64> = files.chain(directories.copied()).collect();
            newest.extend(listed.iter().max().map(|&newest| (*slot, newest)));
            oldest.extend(listed.iter().min().map(|&oldest| (*slot, oldest)));
        }
        Some(newest)
    }

    fn date(&self, directory: &Directory) -> i64 {
        let Dates::ByListing(previous) = self.dates else {
            return self.now_ns;
        };
        let before = previous
            .find(directory.inode)
            .and_then(|index| previous.directory(index.slot));
        match before {
            None => self.now_ns,
            Some(before) if directory.lists_as(before) => before.mtime_ns,
            // A clock that was set back must not make a change invisible.
            Some(before) => self.now_ns.max(before.mtime_ns.saturating_add(1)),
        }
    }
}

impl Plan {
    fn at(depth: u32) -> Self {
        Self {
            depth,
            new: None,
            removed: HashSet::new(),
            gone: HashSet::new(),
            made: HashMap::new(),
            files: Vec::new(),
        }
    }
}

/// All that is to be in a directory. New files get their place; new directories have no inode yet.
fn wants<'a>(
    before: Option<&'a Directory>,
    plan: &'a Plan,
    by_inode: &mut imbl::OrdMap<Inode, Slot>,
    slot: Slot,
) -> Vec<Want<'a>> {
    let before_count = before.map_or(0, |before| before.children().len());
    let mut wants = Vec::with_capacity(before_count + plan.made.len() + plan.files.len());
    if let Some(before) = before {
        let stays = |(index, want): (u32, Want<'a>)| {
            let is_gone = match want.kind {
                ChildKind::Directory(slot) => plan.gone.contains(&slot),
                ChildKind::File { .. } => plan.removed.contains(&index),
            };
            (!is_gone).then_some(want)
        };
        wants.extend((0..).zip(before.wants()).filter_map(stays));
    }
    wants.extend(plan.made.iter().map(|(name, &slot)| Want {
        name,
        extension_len: 0,
        inode: Inode::ROOT,
        kind: ChildKind::Directory(slot),
    }));
    for entry in &plan.files {
        let taken = by_inode.insert(entry.inode, slot);
        assert!(taken.is_none(), "two nodes have the same inode");
        wants.push(Want {
            name: entry.path.file_name(),
            extension_len: u8::try_from(entry.path.extension_len()).expect("bounded by names"),
            inode: entry.inode,
            kind: ChildKind::File {
                track: entry.track,
                size: entry.size,
                mtime_ns: entry.mtime_ns,
            },
        });
    }
    wants
}

/// The next tree in the making.
struct Next {
    directories: Vec<Option<Arc<Directory>>>,
    by_inode: imbl::OrdMap<Inode, Slot>,
    directory_count: usize,
    file_count: usize,
    file_bytes: u64,
}

impl Next {
    fn of(base: &Tree, slot_count: usize) -> Self {
        let mut directories = base.directories.clone();
        directories.resize(slot_count, None);
        Self {
            directories,
            by_inode: base.by_inode.clone(),
            directory_count: base.directory_count,
            file_count: base.file_count,
            file_bytes: base.file_bytes,
        }
    }

    fn insert(&mut self, inode: Inode, slot: Slot) {
        let taken = self.by_inode.insert(inode, slot);
        assert!(taken.is_none(), "two nodes have the same inode");
    }

    fn put(&mut self, slot: Slot, directory: Option<Directory>) {
        let place = &mut self.directories[slot as usize];
        if let Some(before) = place {
            self.directory_count -= 1;
            self.file_count -= before.file_count();
            self.file_bytes = self.file_bytes.saturating_sub(before.file_bytes);
        }
        if let Some(now) = &directory {
            self.directory_count += 1;
            self.file_count += now.file_count();
            self.file_bytes = self.file_bytes.saturating_add(now.file_bytes);
        }
        *place = directory.map(Arc::new);
    }

    fn finish(self, free: Vec<Slot>) -> Tree {
        Tree {
            directories: self.directories,
            free,
            by_inode: self.by_inode,
            directory_count: self.directory_count,
            file_count: self.file_count,
            file_bytes: self.file_bytes,
        }
    }
}
