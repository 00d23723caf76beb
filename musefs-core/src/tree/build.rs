//! Entries → a tree: who gets which name, then the flat arrays.
//!
//! The same entries give the same tree in whatever order they come. Of several tracks that want one name, the one with
//! the lowest id gets it and the others are numbered in the order of their ids; a number never takes a name that anything
//! else in the directory wants.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{DirectoryInodes, Entry, Inode, NodeIndex, Record, RecordKind, Tree};
use crate::names;

/// A directory that is going to be.
#[derive(Default)]
struct Plan<'a> {
    /// The names that paths have for the directories in it, and their plans.
    directories: HashMap<&'a str, usize>,
    /// In the order of track ids.
    files: Vec<&'a Entry>,
}

/// Something in a directory, with its final name.
struct Child<'a> {
    name: Box<str>,
    kind: ChildKind<'a>,
}

#[derive(Clone, Copy)]
enum ChildKind<'a> {
    /// An index of a plan.
    Directory(usize),
    File(&'a Entry),
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
        entries.sort_unstable_by_key(|entry| entry.track);
        let plans = plan(&entries);
        directories.begin_tree();
        let mut builder = Builder::default();
        builder.push(Inode::ROOT, NodeIndex::ROOT, "", directory_kind());
        // Directories whose children have no place yet.
        let mut waiting = VecDeque::from([(NodeIndex::ROOT, 0, String::new())]);
        while let Some((parent, plan, path)) = waiting.pop_front() {
            let reserved = if parent == NodeIndex::ROOT {
                reserved_root_names
            } else {
                &[]
            };
            let children = children(&plans[plan], reserved);
            let first_child = NodeIndex::of(builder.records.len());
            let mut subdirectories = 0;
            for Child { name, kind } in &children {
                match kind {
                    ChildKind::File(entry) => builder.push_file(parent, name, entry),
                    ChildKind::Directory(plan) => {
                        let separator = if path.is_empty() { "" } else { "/" };
                        let path = format!("{path}{separator}{name}");
                        let inode = directories.inode_of(&path);
                        let index = builder.push(inode, parent, name, directory_kind());
                        waiting.push_back((index, *plan, path));
                        subdirectories += 1;
                    }
                }
            }
            builder.records[parent.as_usize()].kind = RecordKind::Directory {
                first_child,
                child_count: u32::try_from(children.len()).expect("fewer nodes than 2^32"),
                subdirectories,
            };
        }
        directories.end_tree();
        let listed_ns = std::mem::take(&mut builder.listed_ns);
        let mut tree = builder.finish();
        match previous {
            None => tree.date_directories_by_files(listed_ns, now_ns),
            Some(previous) => tree.date_directories_by(previous, now_ns),
        }
        tree
    }

    fn date_directories_by_files(&mut self, mut listed_ns: Vec<i64>, now_ns: i64) {
        // Children come after their directory, so that from behind they are all done before it.
        for index in (0..self.records.len()).rev() {
            if self.is_directory(NodeIndex::of(index)) {
                let children = &listed_ns[self.child_range(NodeIndex::of(index))];
                let newest = children.iter().max().copied();
                let oldest = children.iter().min().copied();
                listed_ns[index] = oldest.unwrap_or(now_ns);
                self.records[index].mtime_ns = newest.unwrap_or(now_ns);
            }
        }
    }

    fn date_directories_by(&mut self, previous: &Tree, now_ns: i64) {
        for index in 0..self.records.len() {
            let index = NodeIndex::of(index);
            if !self.is_directory(index) {
                continue;
            }
            let mtime_ns = match previous.find(self.record(index).inode) {
                None => now_ns,
                Some(before) => {
                    let before_ns = previous.record(before).mtime_ns;
                    if self.has_listing_of(index, previous, before) {
                        before_ns
                    } else {
                        // A clock that was set back must not make a change invisible.
                        now_ns.max(before_ns.saturating_add(1))
                    }
                }
            };
            self.records[index.as_usize()].mtime_ns = mtime_ns;
        }
    }

    /// Whether `directory` lists the same names and inodes as `before` in the `previous` tree.
    fn has_listing_of(&self, directory: NodeIndex, previous: &Tree, before: NodeIndex) -> bool {
        self.children(directory).len() == previous.children(before).len()
            && self
                .children(directory)
                .zip(previous.children(before))
                .all(|(now, before)| {
                    let (now, before) = (self.record(now), previous.record(before));
                    now.inode == before.inode && self.name(now) == previous.name(before)
                })
    }
}

/// Sorts the entries, which are in the order of track ids, into directories; the first plan is the root's.
fn plan(entries: &[Entry]) -> Vec<Plan<'_>> {
    let mut plans = vec![Plan::default()];
    for entry in entries {
        let mut plan = 0;
        for name in entry.path.directories() {
            let next = plans.len();
            plan = *plans[plan].directories.entry(name).or_insert(next);
            if plan == next {
                plans.push(Plan::default());
            }
        }
        plans[plan].files.push(entry);
    }
    plans
}

/// What is in a directory under its final name, sorted by name. Directories choose before files.
fn children<'a>(plan: &Plan<'a>, reserved: &[&[u8]]) -> Vec<Child<'a>> {
    let mut directories: Vec<(&str, usize)> = plan
        .directories
        .iter()
        .map(|(&name, &plan)| (name, plan))
        .collect();
    directories.sort_unstable();
    let mut files = plan.files.clone();
    // Stable: of one name, the order of track ids remains.
    files.sort_by(|a, b| a.path.file_name().cmp(b.path.file_name()));

    let mut names = Names::default();
    // A name that is wanted is never made by numbering another.
    let wanted = directories.iter().map(|(name, _)| *name);
    names.wanted = wanted
        .chain(files.iter().map(|entry| entry.path.file_name()))
        .collect();
    for name in reserved {
        // A name that is no Unicode cannot be wanted by any path.
        if let Ok(name) = std::str::from_utf8(name) {
            names.taken.insert(name.into());
        }
    }
    let mut children = Vec::with_capacity(directories.len() + files.len());
    for (name, plan) in directories {
        let name = names.take(name, 0);
        let kind = ChildKind::Directory(plan);
        children.push(Child { name, kind });
    }
    for entry in files {
        let name = names.take(entry.path.file_name(), entry.path.extension_len());
        let kind = ChildKind::File(entry);
        children.push(Child { name, kind });
    }
    children.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    children
}

/// The names of one directory.
#[derive(Default)]
struct Names<'a> {
    wanted: HashSet<&'a str>,
    taken: HashSet<Box<str>>,
    /// The name that was asked for last, and the number to try next for it. Equal names are asked for one after the other.
    last: Option<(&'a str, u32)>,
}

impl<'a> Names<'a> {
    /// `name` if it is free, else `name` with the first number that makes a free one.
    fn take(&mut self, name: &'a str, extension_len: usize) -> Box<str> {
        if self.taken.insert(name.into()) {
            return name.into();
        }
        let mut number = match self.last {
            Some((last, next)) if last == name => next,
            _ => 2,
        };
        loop {
            let numbered = names::numbered(name, extension_len, number).into_boxed_str();
            number += 1;
            if !self.wanted.contains(&*numbered) && self.taken.insert(numbered.clone()) {
                self.last = Some((name, number));
                return numbered;
            }
        }
    }
}

/// A directory whose children have no place yet.
fn directory_kind() -> RecordKind {
    RecordKind::Directory {
        first_child: NodeIndex::ROOT,
        child_count: 0,
        subdirectories: 0,
    }
}

/// The flat arrays, as they grow.
#[derive(Default)]
struct Builder {
    records: Vec<Record>,
    /// When the files in `records` came to be listed; 0 for directories.
    listed_ns: Vec<i64>,
    names: Vec<u8>,
    /// Where in `names` each name starts.
    name_starts: HashMap<Box<str>, u32>,
    file_count: u32,
    file_bytes: u64,
}

impl Builder {
    fn push_file(&mut self, parent: NodeIndex, name: &str, entry: &Entry) {
        let kind = RecordKind::File {
            track: entry.track,
            size: entry.size,
        };
        let index = self.push(entry.inode, parent, name, kind);
        self.records[index.as_usize()].mtime_ns = entry.mtime_ns;
        self.listed_ns[index.as_usize()] = entry.listed_ns;
        self.file_count += 1;
        self.file_bytes = self.file_bytes.saturating_add(entry.size);
    }

    /// Adds a node without times.
    fn push(&mut self, inode: Inode, parent: NodeIndex, name: &str, kind: RecordKind) -> NodeIndex {
        let index = NodeIndex::of(self.records.len());
        let name_start = self.intern(name);
        self.records.push(Record {
            inode,
            mtime_ns: 0,
            kind,
            parent,
            name_start,
            name_len: u8::try_from(name.len()).expect("a name is at most 255 bytes"),
        });
        self.listed_ns.push(0);
        index
    }

    fn intern(&mut self, name: &str) -> u32 {
        if let Some(&start) = self.name_starts.get(name) {
            return start;
        }
        let start = u32::try_from(self.names.len()).expect("names of less than 4 GiB");
        self.names.extend_from_slice(name.as_bytes());
        self.name_starts.insert(name.into(), start);
        start
    }

    fn finish(self) -> Tree {
        let mut by_inode: Vec<NodeIndex> = (0..self.records.len()).map(NodeIndex::of).collect();
        let inode_of = |index: &NodeIndex| self.records[index.as_usize()].inode;
        by_inode.sort_unstable_by_key(inode_of);
        assert!(
            by_inode
                .windows(2)
                .all(|pair| inode_of(&pair[0]) < inode_of(&pair[1])),
            "two nodes have the same inode"
        );
        Tree {
            by_inode: by_inode.into(),
            records: self.records.into(),
            names: self.names.into(),
            file_count: self.file_count,
            file_bytes: self.file_bytes,
        }
    }
}
