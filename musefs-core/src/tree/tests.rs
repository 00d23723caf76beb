use std::collections::{BTreeMap, HashSet};

use super::*;
use crate::names::tests::assert_valid_name;
use proptest::prelude::*;

const NOW_NS: i64 = 1_000_000;

/// An entry at `path`, whose last dot starts the extension.
fn entry(track: i64, path: &str) -> Entry {
    let (path, extension) = match path.rsplit_once('.') {
        Some((path, extension)) => (path, Some(extension)),
        None => (path, None),
    };
    Entry {
        track: TrackId(track),
        inode: Inode(5000 + u64::try_from(track).unwrap()),
        path: ServedPath::new(path.split('/'), extension, "Unknown"),
        size: 100,
        mtime_ns: 7,
        listed_ns: track * 10,
    }
}

fn build(entries: Vec<Entry>) -> Tree {
    let mut directories = DirectoryInodes::default();
    Tree::build(entries, &mut directories, None, &[], NOW_NS)
}

/// Every node of a tree but its root.
fn nodes(tree: &Tree) -> Vec<NodeIndex> {
    let mut nodes = vec![NodeIndex::ROOT];
    let mut next = 0;
    while let Some(&index) = nodes.get(next) {
        nodes.extend(tree.children(index));
        next += 1;
    }
    assert_eq!(nodes.len(), tree.node_count());
    nodes.split_off(1)
}

/// Every path of the tree, directories with `/` at their end, files with their track.
fn listing(tree: &Tree) -> Vec<String> {
    let mut lines: Vec<String> = nodes(tree)
        .into_iter()
        .map(|index| {
            let path = tree.path_of(index);
            match tree.node(index).kind {
                NodeKind::Directory { .. } => format!("{path}/"),
                NodeKind::File { track, .. } => format!("{path} = {}", track.0),
            }
        })
        .collect();
    lines.sort();
    lines
}

fn at(tree: &Tree, path: &str) -> NodeIndex {
    path.split('/').fold(NodeIndex::ROOT, |directory, name| {
        tree.lookup(directory, name.as_bytes())
            .unwrap_or_else(|| panic!("no {name} of {path}"))
    })
}

fn mtime_ns(tree: &Tree, path: &str) -> i64 {
    tree.node(at(tree, path)).mtime_ns
}

#[test]
fn an_empty_tree_is_an_empty_root() {
    let tree = build(vec![]);
    assert_eq!((tree.node_count(), tree.directory_count()), (1, 1));
    let root = tree.node(NodeIndex::ROOT);
    assert_eq!(root.kind, NodeKind::Directory { subdirectories: 0 });
    assert_eq!(
        (root.inode, root.parent, root.mtime_ns),
        (Inode::ROOT, NodeIndex::ROOT, NOW_NS)
    );
    assert_eq!(tree.children(NodeIndex::ROOT).len(), 0);
    assert_eq!(tree.find(Inode::ROOT), Some(NodeIndex::ROOT));
    assert_eq!(tree.path_of(NodeIndex::ROOT), "");
}

#[test]
fn the_lowest_track_keeps_its_name_and_numbers_avoid_wanted_names() {
    let tree = build(vec![
        entry(4, "a/x.flac"),
        entry(2, "a/x.flac"),
        entry(3, "a/x.flac"),
        entry(9, "a/x (2).flac"),
        entry(5, "a/X.flac"),
        entry(6, "a"),
        entry(7, "a.mp3/y.flac"),
        entry(1, "a.mp3"),
    ]);
    let expected = [
        "a (2) = 6",
        "a (2).mp3 = 1",
        "a.mp3/",
        "a.mp3/y.flac = 7",
        "a/",
        "a/X.flac = 5",
        "a/x (2).flac = 9",
        "a/x (3).flac = 3",
        "a/x (4).flac = 4",
        "a/x.flac = 2",
    ];
    assert_eq!(listing(&tree), expected);
}

#[test]
fn reserved_names_are_left_free_in_the_root_only() {
    let mut directories = DirectoryInodes::default();
    let entries = vec![
        entry(1, ".metrics/.metrics/a.flac"),
        entry(2, ".metrics (2)/b.flac"),
        entry(3, "x/readme"),
        entry(4, "readme"),
    ];
    let reserved: [&[u8]; 3] = [b".metrics", b"readme", b"\xff"];
    let tree = Tree::build(entries, &mut directories, None, &reserved, NOW_NS);
    let expected = [
        ".metrics (2)/",
        ".metrics (2)/b.flac = 2",
        ".metrics (3)/",
        ".metrics (3)/.metrics/",
        ".metrics (3)/.metrics/a.flac = 1",
        "readme (2) = 4",
        "x/",
        "x/readme = 3",
    ];
    assert_eq!(listing(&tree), expected);
}

#[test]
fn long_names_stay_within_the_bound_when_numbered() {
    let long = format!("{}.flac", "ü".repeat(200));
    let tree = build((1..=12).map(|track| entry(track, &long)).collect());
    let names: HashSet<&[u8]> = tree
        .children(NodeIndex::ROOT)
        .map(|index| tree.node(index).name)
        .collect();
    assert_eq!(names.len(), 12);
    for name in names {
        assert_valid_name(std::str::from_utf8(name).unwrap());
        assert!(name.ends_with(b".flac"));
    }
}

#[test]
fn a_directory_is_as_old_as_its_listing() {
    let mut directories = DirectoryInodes::default();
    let mut entries = vec![
        entry(1, "a/b/one.flac"),
        entry(2, "a/b/two.flac"),
        entry(3, "a/c/three.flac"),
        entry(4, "d/four.flac"),
    ];
    let first = Tree::build(entries.clone(), &mut directories, None, &[], NOW_NS);
    // The newest name in `a/b` is `two`, in `a` it is `c`, in the root `d`.
    assert_eq!(mtime_ns(&first, "a/b"), 20);
    assert_eq!(mtime_ns(&first, "a"), 30);
    assert_eq!(first.node(NodeIndex::ROOT).mtime_ns, 40);

    // Another size changes no listing; another inode and a new name do, but only their own directory's.
    entries[2].size = 1;
    entries[3].inode = Inode(9000);
    entries.push(entry(5, "a/b/five.flac"));
    let second = Tree::build(entries.clone(), &mut directories, Some(&first), &[], NOW_NS);
    assert_eq!(mtime_ns(&second, "a/b"), NOW_NS);
    assert_eq!(mtime_ns(&second, "a/c"), 30);
    assert_eq!(mtime_ns(&second, "a"), 30);
    assert_eq!(mtime_ns(&second, "d"), NOW_NS);
    assert_eq!(second.node(NodeIndex::ROOT).mtime_ns, 40);

    // A clock that goes back does not hide a change.
    entries.pop();
    let third = Tree::build(entries, &mut directories, Some(&second), &[], 50);
    assert_eq!(mtime_ns(&third, "a/b"), NOW_NS + 1);
}

#[test]
fn changes_name_what_the_kernel_must_forget() {
    let mut directories = DirectoryInodes::default();
    let mut entries = vec![
        entry(1, "a/edited.flac"),
        entry(2, "a/gone.flac"),
        entry(3, "a/moved.flac"),
        entry(4, "b/same.flac"),
    ];
    let before = Tree::build(entries.clone(), &mut directories, None, &[], NOW_NS);
    entries[0].inode = Inode(9000);
    entries[2] = entry(3, "c/moved.flac");
    entries[2].mtime_ns = 8;
    entries.remove(1);
    let now = Tree::build(entries, &mut directories, Some(&before), &[], NOW_NS);
    let changes = changes(&before, &now);
    let lines: Vec<String> = changes
        .names
        .iter()
        .map(|change| {
            let name = String::from_utf8_lossy(&change.name);
            let what = match change.kind {
                ChangeKind::Appeared { .. } => "appeared",
                ChangeKind::Vanished { .. } => "vanished",
                ChangeKind::Replaced { .. } => "replaced",
            };
            format!("{name} {what}")
        })
        .collect();
    assert_eq!(
        lines,
        [
            "c appeared",
            "moved.flac appeared",
            "edited.flac replaced",
            "gone.flac vanished",
            "moved.flac vanished",
        ]
    );
    let a = now.node(at(&now, "a")).inode;
    assert_eq!(changes.attributes, [Inode::ROOT, Inode(5003), a]);
    assert!(super::changes(&now, &now).is_empty());
}

#[test]
fn a_track_costs_at_most_160_bytes() {
    const TRACK_COUNT: i64 = 20_000;
    let entries = (0..TRACK_COUNT).map(|track| {
        let (artist, album) = (track / 60, track / 12);
        entry(
            track,
            &format!("Some Artist {artist}/An Album of Average Length {album}/{track:05} A Title of Average Length.flac"),
        )
    });
    let tree = build(entries.collect());
    let per_track = tree.heap_bytes() / tree.file_count();
    assert!(per_track <= 160, "{per_track} bytes per track");
    assert_eq!(tree.file_bytes(), 100 * tree.file_count() as u64);
}

#[test]
fn thousands_of_equal_names_are_numbered_in_one_pass() {
    let tree = build((1..=20_000).map(|track| entry(track, "x.flac")).collect());
    assert!(tree.lookup(NodeIndex::ROOT, b"x (20000).flac").is_some());
}

/// Few names, so that they collide: with each other, with numbered ones and with directories.
fn some_entries() -> impl Strategy<Value = Vec<Entry>> {
    let name = prop_oneof![
        Just("a"),
        Just("b"),
        Just("a (2)"),
        Just("a.x"),
        Just("a (2).x")
    ];
    let path = proptest::collection::vec(name, 1..4);
    let extension = prop_oneof![Just(None), Just(Some("x"))];
    let one = (path, extension, 0..3u64, 0..3i64);
    proptest::collection::btree_map(0..40i64, one, 0..25).prop_map(|entries| {
        entries
            .into_iter()
            .map(|(track, (path, extension, version, time_ns))| Entry {
                track: TrackId(track),
                inode: Inode(5000 + u64::try_from(track).unwrap() * 3 + version),
                path: ServedPath::new(path, extension, "Unknown"),
                size: version,
                mtime_ns: time_ns,
                listed_ns: time_ns,
            })
            .collect()
    })
}

/// What a kernel could know: each name in each directory, and what it stands for.
fn known_names(tree: &Tree) -> BTreeMap<(Inode, Box<[u8]>), Inode> {
    nodes(tree)
        .into_iter()
        .map(|index| {
            let node = tree.node(index);
            let parent = tree.node(node.parent).inode;
            ((parent, node.name.into()), node.inode)
        })
        .collect()
}

const RESERVED: [&[u8]; 2] = [b"b", b"a (3)"];

proptest! {
    #[test]
    fn every_entry_is_found_where_the_tree_says(entries in some_entries()) {
        let mut directories = DirectoryInodes::default();
        let tree = Tree::build(entries.clone(), &mut directories, None, &RESERVED, NOW_NS);
        prop_assert_eq!(tree.file_count(), entries.len());
        prop_assert_eq!(directories.len() + 1, tree.directory_count());
        for entry in &entries {
            let index = tree.find(entry.inode).unwrap();
            let node = tree.node(index);
            prop_assert_eq!(node.kind, NodeKind::File { track: entry.track, size: entry.size });
            prop_assert_eq!(node.mtime_ns, entry.mtime_ns);
            let path = tree.path_of(index);
            prop_assert_eq!(at(&tree, &path), index);
            prop_assert_eq!(path.split('/').count(), entry.path.directories().count() + 1);
        }
        let mut seen = 1;
        for index in std::iter::once(NodeIndex::ROOT).chain(nodes(&tree)) {
            let children: Vec<_> = tree.children(index).collect();
            seen += children.len();
            let names: Vec<_> = children.iter().map(|&child| tree.node(child).name).collect();
            prop_assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "sorted and unique");
            let mut directory_count = 0;
            for (&child, name) in children.iter().zip(names) {
                prop_assert_eq!(tree.lookup(index, name), Some(child));
                prop_assert_eq!(tree.node(child).parent, index);
                prop_assert_eq!(tree.find(tree.node(child).inode), Some(child));
                directory_count += u32::from(child.is_directory());
                prop_assert!(index != NodeIndex::ROOT || !RESERVED.contains(&name));
            }
            if let NodeKind::Directory { subdirectories } = tree.node(index).kind {
                prop_assert_eq!(subdirectories, directory_count);
            }
            prop_assert_eq!(tree.lookup(index, b"no such name"), None);
        }
        prop_assert_eq!(seen, tree.node_count());
    }

    #[test]
    fn the_order_of_entries_does_not_matter(
        (entries, shuffled) in some_entries()
            .prop_flat_map(|entries| (Just(entries.clone()), Just(entries).prop_shuffle())),
    ) {
        let (one, other) = (build(entries), build(shuffled));
        prop_assert_eq!(listing(&one), listing(&other));
        prop_assert!(changes(&one, &other).is_empty());
    }

    #[test]
    fn changes_turn_the_old_names_into_the_new(old in some_entries(), new in some_entries()) {
        let mut directories = DirectoryInodes::default();
        let before = Tree::build(old, &mut directories, None, &RESERVED, NOW_NS);
        let now = Tree::build(new.clone(), &mut directories, Some(&before), &RESERVED, NOW_NS);
        let changes = changes(&before, &now);
        let mut known = known_names(&before);
        for change in changes.names {
            let place = (change.parent, change.name);
            match change.kind {
                ChangeKind::Appeared { inode } => prop_assert_eq!(known.insert(place, inode), None),
                ChangeKind::Vanished { inode } => prop_assert_eq!(known.remove(&place), Some(inode)),
                ChangeKind::Replaced { before, now } => {
                    prop_assert_eq!(known.insert(place, now), Some(before));
                }
            }
        }
        prop_assert_eq!(known, known_names(&now));
        for index in std::iter::once(NodeIndex::ROOT).chain(nodes(&now)) {
            let node = now.node(index);
            if let Some(old) = before.find(node.inode).map(|old| before.node(old)) {
                let is_same = (old.kind, old.mtime_ns) == (node.kind, node.mtime_ns);
                prop_assert_eq!(changes.attributes.contains(&node.inode), !is_same);
            }
        }
        // A tree that is built again from the same entries is the same.
        let again = Tree::build(new, &mut directories, Some(&now), &RESERVED, NOW_NS + 5);
        prop_assert!(super::changes(&now, &again).is_empty());
    }

    #[test]
    fn a_chain_of_updates_shows_what_a_tree_from_nothing_does(
        libraries in proptest::collection::vec(some_entries(), 2..6),
    ) {
        let mut directories = DirectoryInodes::default();
        let mut tree = Tree::build(libraries[0].clone(), &mut directories, None, &RESERVED, NOW_NS);
        for (step, pair) in libraries.windows(2).enumerate() {
            let (old, new) = (&pair[0], &pair[1]);
            // Some of what stays as it is is not mentioned, as it would be by a store.
            let stays = |entry: &&Entry| entry.track.0 % 2 == 0 && old.contains(entry) && new.contains(entry);
            let removed: Vec<Inode> = old.iter().filter(|entry| !stays(entry)).map(|entry| entry.inode).collect();
            let added: Vec<Entry> = new.iter().filter(|entry| !stays(entry)).cloned().collect();
            let now_ns = NOW_NS + 1 + i64::try_from(step).unwrap();
            let fresh = Tree::build(new.clone(), &mut DirectoryInodes::default(), None, &RESERVED, now_ns);
            let Some(update) = tree.update(&removed, added, &mut directories, &RESERVED, now_ns) else {
                tree = Tree::build(new.clone(), &mut directories, Some(&tree), &RESERVED, now_ns);
                prop_assert_eq!(listing(&tree), listing(&fresh));
                continue;
            };
            prop_assert_eq!(listing(&update.tree), listing(&fresh));
            prop_assert_eq!(update.tree.file_count(), fresh.file_count());
            prop_assert_eq!(update.tree.file_bytes(), fresh.file_bytes());
            prop_assert_eq!(update.tree.directory_count(), fresh.directory_count());
            for entry in new {
                let node = update.tree.node(update.tree.find(entry.inode).unwrap());
                prop_assert_eq!(node.kind, NodeKind::File { track: entry.track, size: entry.size });
                prop_assert_eq!(node.mtime_ns, entry.mtime_ns);
            }
            for index in nodes(&update.tree) {
                prop_assert_eq!(update.tree.find(update.tree.node(index).inode), Some(index));
            }
            // Directories keep their inodes, and are as old as in a tree that was made with the old one at hand.
            let rebuilt = Tree::build(new.clone(), &mut directories, Some(&tree), &RESERVED, now_ns);
            prop_assert!(changes(&update.tree, &rebuilt).is_empty());
            let (found, all) = (update.changes(&tree), changes(&tree, &update.tree));
            let sorted = |mut changes: Changes| {
                changes.names.sort_by(|a, b| (a.parent, &a.name).cmp(&(b.parent, &b.name)));
                changes
            };
            prop_assert_eq!(sorted(found), sorted(all));
            tree = update.tree;
        }
    }
}

#[test]
fn an_update_is_as_much_work_as_what_it_touches() {
    let mut directories = DirectoryInodes::default();
    let path = |track: i64| format!("artist {}/album {}/{track}.flac", track / 100, track / 10);
    let entries: Vec<Entry> = (0..10_000)
        .map(|track| entry(track, &path(track)))
        .collect();
    let tree = Tree::build(entries, &mut directories, None, &[], NOW_NS);
    let mut edited = entry(4321, &path(4321));
    let before = edited.inode;
    edited.inode = Inode(900_000);
    let update = tree
        .update(&[before], vec![edited], &mut directories, &[], NOW_NS)
        .unwrap();
    assert_eq!(update.nodes_built, 10);
    assert_eq!(update.changes(&tree).names.len(), 1);
}
