use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;

use super::Refresher;
use crate::metrics::family;
use crate::serve::{Error, Musefs};
use crate::testing::Library;
use crate::tree::{Inode, NodeIndex, NodeKind, Tree};

/// What a tree shows: path, and of files track, size, mtime and inode.
fn shown(tree: &Tree) -> BTreeMap<String, Option<(i64, u64, i64, Inode)>> {
    let mut shown = BTreeMap::new();
    let mut waiting = vec![NodeIndex::ROOT];
    while let Some(index) = waiting.pop() {
        waiting.extend(tree.children(index));
        let node = tree.node(index);
        let file = match node.kind {
            NodeKind::Directory { .. } => None,
            NodeKind::File { track, size } => Some((track.0, size, node.mtime_ns, node.inode)),
        };
        shown.insert(tree.path_of(index), file);
    }
    shown
}

fn gaps(musefs: &Musefs) -> u64 {
    musefs.telemetry().refresh_gap_fallbacks
}

#[test]
fn a_replaced_store_is_taken_over_and_no_inode_is_used_twice() {
    let library = Library::new();
    library.add("a.flac", "One");
    library.scan();
    let (musefs, mut refresher) = library.serve();
    let inodes = |name: &str| {
        let artist = musefs.lookup(Inode::ROOT, b"Artist")?;
        let album = musefs.lookup(artist.inode, b"Album")?;
        musefs
            .lookup(album.inode, name.as_bytes())
            .map(|found| found.inode)
    };
    let old = inodes("One.flac").unwrap();

    let other = Library::new();
    other.add("b.flac", "Other");
    other.scan();
    for suffix in ["-wal", "-shm"] {
        fs::remove_file(format!("{}{suffix}", library.db().display())).ok();
    }
    fs::rename(other.db(), library.db()).unwrap();
    refresher.poll(&musefs).unwrap().unwrap();
    assert!(matches!(inodes("One.flac"), Err(Error::NotFound)));
    let new = inodes("Other.flac").unwrap();
    assert!(new > old, "{new:?} after {old:?}");
    musefs.open(new).unwrap();
    let telemetry = musefs.telemetry();
    assert_eq!(
        (
            telemetry.refresh_gap_fallbacks,
            telemetry.refresh_generation
        ),
        (1, 1)
    );
    assert!(refresher.poll(&musefs).unwrap().is_none());
}

#[test]
fn a_store_that_cannot_be_read_leaves_the_tree_and_is_told() {
    let library = Library::new();
    library.add("a.flac", "One");
    library.scan();
    let (musefs, mut refresher) = library.serve();
    let away = library.music().join("away");
    fs::rename(library.db(), &away).unwrap();
    assert!(refresher.poll(&musefs).is_err());
    assert!(musefs.telemetry().refresh_needs_rebuild);
    assert!(musefs.lookup(Inode::ROOT, b"Artist").is_ok());
    fs::rename(&away, library.db()).unwrap();
    refresher.poll(&musefs).unwrap();
    assert!(!musefs.telemetry().refresh_needs_rebuild);
}

#[test]
fn sizes_of_edited_tracks_are_computed_once_and_kept() {
    let library = Library::new();
    for number in 0..5 {
        library.add(&format!("{number}.flac"), &format!("Title {number}"));
    }
    library.scan();
    library.edit("UPDATE tags SET value = value || '!' WHERE key = 'title' AND value < 'Title 3'");
    let (_musefs, mut refresher) = library.serve();
    let (_, report) = refresher.build(None).unwrap();
    assert_eq!(
        (report.listed, report.sizes_computed),
        (5, 0),
        "the first tree kept what it computed"
    );
    library.edit("UPDATE tags SET value = 'x' WHERE key = 'title' AND value = 'Title 4'");
    let (_, report) = refresher.build(None).unwrap();
    assert_eq!(report.sizes_computed, 1);
}

/// Something that somebody does to the store, to one of these tracks.
fn statement() -> impl Strategy<Value = String> {
    let track = 1..13i64;
    let word = prop_oneof![
        Just("a"),
        Just("b"),
        Just("a (2)"),
        Just(".metrics"),
        Just("9"),
        Just("10"),
        Just("100/120"),
        Just(""),
    ];
    let key = prop_oneof![
        Just("title"),
        Just("album"),
        Just("albumartist"),
        Just("track"),
        Just("disc"),
        Just("genre"),
    ];
    prop_oneof![
        8 => (track.clone(), key.clone(), word).prop_map(|(track, key, word)| format!(
            "INSERT INTO tags (track_id, key, value) SELECT {track}, '{key}', '{word}'
             WHERE EXISTS (SELECT 1 FROM tracks WHERE id = {track})
             ON CONFLICT (track_id, key, ordinal) DO UPDATE SET value = excluded.value"
        )),
        2 => (track.clone(), key).prop_map(|(track, key)| format!(
            "DELETE FROM tags WHERE track_id = {track} AND key = '{key}'"
        )),
        1 => track.clone().prop_map(|track| format!("DELETE FROM tracks WHERE id = {track}")),
        1 => track.clone().prop_map(|track| format!(
            "UPDATE tracks SET failure = 'missing' WHERE id = {track}"
        )),
        1 => track.clone().prop_map(|track| format!(
            "UPDATE tracks SET failure = NULL WHERE id = {track}"
        )),
        1 => track.clone().prop_map(|track| format!(
            "UPDATE tracks SET format = 'no such format' WHERE id = {track}"
        )),
        1 => track.clone().prop_map(|track| format!(
            "UPDATE tracks SET format = 'flac' WHERE id = {track}"
        )),
        1 => track.prop_map(|track| format!(
            "UPDATE tracks SET path = CAST('moved' || id || '.ogg' AS BLOB) WHERE id = {track}"
        )),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_happens_to_the_store_a_refresh_shows_what_a_tree_from_nothing_does(
        batches in proptest::collection::vec(proptest::collection::vec(statement(), 1..6), 1..6),
        template in prop_oneof![
            Just("$albumartist/$album/$disc-$track $title"),
            Just("$album/$title"),
            Just("$title"),
        ],
    ) {
        let library = Library::new();
        for number in 0..12 {
            library.add(&format!("{number}.flac"), &format!("Title {}", number % 7));
        }
        library.scan();
        let (musefs, mut refresher) = library.serve_as(template);
        for (step, batch) in batches.into_iter().enumerate() {
            library.edit(&format!("BEGIN; {}; COMMIT", batch.join(";")));
            if step == 2 {
                library.add("new.flac", "a");
                library.scan();
            }
            let before = shown(&musefs.tree());
            let generation = musefs.telemetry().refresh_generation;
            let changes = refresher.poll(&musefs).unwrap();
            let now = shown(&musefs.tree());
            let is_new = musefs.telemetry().refresh_generation > generation;
            prop_assert_eq!(is_new, changes.is_some());
            prop_assert!(is_new || before == now);
            let mut fresh = Refresher::open(&library.db(), library.tree_config(template)).unwrap();
            let (fresh, _) = fresh.build(None).unwrap();
            prop_assert_eq!(&now, &shown(&fresh.tree));
            prop_assert_eq!(musefs.usage(), (fresh.tree.file_bytes(), fresh.tree.file_count() as u64));
        }
    }
}

/// Statements that computing the size of an edited track takes, and keeping it.
const STATEMENTS_PER_SIZE: u64 = 6;

#[test]
fn an_edit_is_as_much_work_as_what_it_touches() {
    let library = Library::new();
    for number in 0..300 {
        library.add(&format!("{number}.flac"), &format!("Title {number}"));
    }
    library.scan();
    library.edit("UPDATE tags SET value = 'Album ' || (track_id / 10) WHERE key = 'album'");
    let (musefs, mut refresher) = library.serve_as("$album/$track $title");
    let counted = |musefs: &Musefs| {
        let snapshot = musefs.engine().snapshot();
        let of = |family| snapshot.value(family, 0).unwrap();
        (
            of(const { family("musefs_refresh_rows_total") }),
            of(const { family("musefs_refresh_nodes_total") }),
        )
    };
    let (rows, nodes) = counted(&musefs);
    let statements = refresher.store.statements();
    library
        .edit("UPDATE tags SET value = value || '!' WHERE key = 'title' AND track_id IN (14, 255)");
    refresher.poll(&musefs).unwrap().unwrap();
    let (rows_after, nodes_after) = counted(&musefs);
    assert_eq!((rows_after - rows, nodes_after - nodes), (2, 20));
    let few = refresher.store.statements() - statements;
    // Ten times as much in one transaction is not more statements, but for the sizes that have to be computed.
    library.edit(
        "UPDATE tags SET value = value || '!' WHERE key = 'title' AND track_id BETWEEN 100 AND 119",
    );
    let statements = refresher.store.statements();
    refresher.poll(&musefs).unwrap().unwrap();
    let (rows_now, nodes_now) = counted(&musefs);
    assert_eq!((rows_now - rows_after, nodes_now - nodes_after), (20, 20));
    let many = refresher.store.statements() - statements;
    assert!(many <= few + 18 * STATEMENTS_PER_SIZE, "{few} then {many}");
    assert_eq!(gaps(&musefs), 0);

    // One wide number makes the others of its album as wide.
    library.edit("INSERT INTO tags (track_id, key, value) SELECT id, 'track', id % 10 FROM tracks");
    refresher.poll(&musefs).unwrap().unwrap();
    library.edit("UPDATE tags SET value = '12' WHERE key = 'track' AND track_id = 33");
    let (rows, nodes) = counted(&musefs);
    refresher.poll(&musefs).unwrap().unwrap();
    let (rows_after, nodes_after) = counted(&musefs);
    assert_eq!((rows_after - rows, nodes_after - nodes), (10, 10));
    let shown = shown(&musefs.tree());
    let count = |start: &str| shown.keys().filter(|path| path.starts_with(start)).count();
    assert_eq!(
        (count("Album 3/0"), count("Album 3/12 ")),
        (9, 1),
        "{shown:?}"
    );
    assert_eq!(gaps(&musefs), 0);
}

#[test]
fn an_older_copy_of_the_store_put_in_its_place_is_noticed_however_much_it_was_edited() {
    let library = Library::new();
    library.add("a.flac", "One");
    library.add("b.flac", "Two");
    library.scan();
    library.edit("PRAGMA wal_checkpoint(TRUNCATE)");
    let copy = library.music().join("copy");
    fs::copy(library.db(), &copy).unwrap();
    library.edit("UPDATE tags SET value = 'Three' WHERE key = 'title' AND track_id = 1");
    let (musefs, mut refresher) = library.serve();
    let before = shown(&musefs.tree());
    // Within the same file, as a restore does, and with more edits than were lost.
    library.edit(&format!(
        "ATTACH '{}' AS old;
         UPDATE writer SET own = 1;
         DELETE FROM tags; INSERT INTO tags SELECT * FROM old.tags;
         UPDATE tracks SET (served_size, edited_ns, edited_parts, change_seq, content_seq)
           = (SELECT served_size, edited_ns, edited_parts, change_seq, content_seq FROM old.tracks AS o WHERE o.id = tracks.id);
         UPDATE sequence SET value = (SELECT value FROM old.sequence);
         UPDATE writer SET own = 0;
         UPDATE tags SET value = 'Four' WHERE key = 'title' AND track_id = 2;
         UPDATE tags SET value = 'Five' WHERE key = 'title' AND track_id = 2",
        copy.display()
    ));
    refresher.poll(&musefs).unwrap().unwrap();
    let now = shown(&musefs.tree());
    let file = |name: &str| {
        now.get(&format!("Artist/Album/{name}.flac"))
            .copied()
            .flatten()
    };
    assert!(file("One").is_some() && file("Five").is_some(), "{now:?}");
    assert_eq!(gaps(&musefs), 1);
    let used: Vec<Inode> = before.values().flatten().map(|file| file.3).collect();
    for (path, file) in &now {
        assert!(file.is_none_or(|file| !used.contains(&file.3)), "{path}");
    }
}

#[test]
fn a_store_whose_log_was_deleted_is_opened_anew() {
    let library = Library::new();
    library.add("a.flac", "One");
    library.scan();
    let (musefs, mut refresher) = library.serve();
    assert!(refresher.poll(&musefs).unwrap().is_none());
    for suffix in ["-wal", "-shm"] {
        fs::remove_file(format!("{}{suffix}", library.db().display())).unwrap();
    }
    library.edit("UPDATE tags SET value = 'Two' WHERE key = 'title'");
    refresher.poll(&musefs).unwrap().unwrap();
    let titles = |musefs: &Musefs| {
        shown(&musefs.tree())
            .into_keys()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert!(titles(&musefs).contains("Two"), "{}", titles(&musefs));
    library.edit("UPDATE tags SET value = 'Three' WHERE key = 'title'");
    refresher.poll(&musefs).unwrap().unwrap();
    assert!(titles(&musefs).contains("Three"), "{}", titles(&musefs));
    assert_eq!(gaps(&musefs), 1);
    assert!(refresher.poll(&musefs).unwrap().is_none());
}
