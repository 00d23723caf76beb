use std::collections::BTreeMap;
use std::fs;

use musefs_telemetry::snapshot::Value;
use proptest::prelude::*;

use crate::metrics::{PollOutcome, TrackChange, family};
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

/// The value of a gauge without labels; `None` while it is absent.
fn gauge(musefs: &Musefs, name: &str) -> Option<i64> {
    let snapshot = musefs.engine().snapshot();
    let (_, value) = snapshot.find(name)?.series().next()?;
    match value {
        Value::Gauge(value) => Some(value),
        other => panic!("{name} is no gauge: {other:?}"),
    }
}

/// Tracks in the library, of all formats together.
fn of_all_formats(musefs: &Musefs) -> Option<i64> {
    let snapshot = musefs.engine().snapshot();
    let metric = snapshot.find("musefs_library_tracks")?;
    let values = metric.series().map(|(_, value)| match value {
        Value::Gauge(value) => value,
        other => panic!("no gauge: {other:?}"),
    });
    Some(values.sum())
}

#[test]
fn polls_are_counted_by_what_they_come_to_and_tracks_by_what_becomes_of_them() {
    let library = Library::new();
    for number in 0..3 {
        library.add(&format!("{number}.flac"), &format!("Title {number}"));
    }
    library.scan();
    let (musefs, mut refresher) = library.serve_as("$album/$title");
    let metrics = refresher.metrics.refresh.clone();
    let polls = || PollOutcome::ALL.map(|outcome| metrics.polls.value(outcome));
    let tracks = || TrackChange::ALL.map(|change| metrics.tracks.value(change));
    let built = gauge(&musefs, "musefs_refresh_last_success_timestamp_seconds").unwrap();
    assert_eq!(gauge(&musefs, "musefs_refresh_lag_seconds"), None);

    refresher.poll(&musefs).unwrap();
    assert_eq!((polls(), tracks()), ([1, 0, 0], [0, 0, 0]));
    let took = metrics.seconds.value();
    assert!(took > 0);
    let checked = gauge(&musefs, "musefs_refresh_last_success_timestamp_seconds").unwrap();
    assert!(checked > built);

    library.edit("UPDATE tags SET value = 'Other' WHERE key = 'title' AND track_id = 1");
    refresher.poll(&musefs).unwrap();
    assert_eq!((polls(), tracks()), ([1, 1, 0], [0, 1, 0]));
    assert!(metrics.seconds.value() > took);
    let minute = 60_000_000_000;
    let lag = gauge(&musefs, "musefs_refresh_lag_seconds").unwrap();
    assert!((0..minute).contains(&lag), "{lag} ns");

    library.edit("DELETE FROM tracks WHERE id = 2");
    library.add("new.flac", "New");
    library.scan();
    refresher.poll(&musefs).unwrap();
    // The file of the deleted row is still there, so the scan lists it again.
    assert_eq!((polls(), tracks()), ([1, 2, 0], [2, 1, 1]));
    assert_eq!(gauge(&musefs, "musefs_library_directories"), Some(2));
    let (bytes, files) = musefs.usage();
    assert_eq!(
        gauge(&musefs, "musefs_library_bytes"),
        Some(bytes.cast_signed())
    );
    assert_eq!(of_all_formats(&musefs), Some(files.cast_signed()));

    let away = library.music().join("away");
    fs::rename(library.db(), &away).unwrap();
    let succeeded = gauge(&musefs, "musefs_refresh_last_success_timestamp_seconds");
    refresher.poll(&musefs).unwrap_err();
    assert_eq!((polls(), tracks()), ([1, 2, 1], [2, 1, 1]));
    assert_eq!(
        gauge(&musefs, "musefs_refresh_last_success_timestamp_seconds"),
        succeeded
    );
}

#[test]
fn what_nothing_shows_changes_no_track() {
    let library = Library::new();
    library.add("a.flac", "One");
    library.scan();
    let (musefs, mut refresher) = library.serve_as("$title");
    library.edit("UPDATE tracks SET sample_rate_hz = 8000");
    refresher.poll(&musefs).unwrap();
    let tracks = |change| refresher.metrics.refresh.tracks.value(change);
    assert_eq!(TrackChange::ALL.map(tracks), [0, 0, 0]);
    let polls = &refresher.metrics.refresh.polls;
    assert_eq!(polls.value(PollOutcome::Unchanged), 1);
    assert!(refresher.metrics.refresh.rows.value() > 0);
}

#[test]
fn a_store_that_takes_the_place_of_another_has_other_tracks_and_no_lag_is_known() {
    let library = Library::new();
    library.add("a.flac", "One");
    library.add("b.flac", "Two");
    library.scan();
    let (musefs, mut refresher) = library.serve();
    library.edit("UPDATE tags SET value = 'Other' WHERE key = 'title' AND track_id = 1");
    refresher.poll(&musefs).unwrap();
    assert!(gauge(&musefs, "musefs_refresh_lag_seconds").is_some());
    let other = Library::new();
    other.add("c.flac", "Three");
    other.scan();
    for suffix in ["-wal", "-shm"] {
        fs::remove_file(format!("{}{suffix}", library.db().display())).ok();
    }
    fs::rename(other.db(), library.db()).unwrap();
    refresher.poll(&musefs).unwrap();
    let tracks = |change| refresher.metrics.refresh.tracks.value(change);
    assert_eq!(TrackChange::ALL.map(tracks), [1, 1, 2]);
    assert_eq!(gauge(&musefs, "musefs_refresh_lag_seconds"), None);
}

#[test]
fn the_last_scan_that_ended_is_told_and_none_where_there_was_none() {
    let library = Library::new();
    library.add("a.flac", "One");
    fs::write(library.music().join("broken.flac"), "no such thing").unwrap();
    library.scan();
    library.edit("DELETE FROM scan_runs");
    let (musefs, mut refresher) = library.serve();
    let names = ["timestamp_seconds", "duration_seconds", "files", "failures"]
        .map(|name| format!("musefs_last_scan_{name}"));
    for name in &names {
        assert!(musefs.engine().snapshot().find(name).is_none(), "{name}");
    }
    library.add("b.flac", "Two");
    library.scan();
    // One that is still running, or never ended.
    library.edit("INSERT INTO scan_runs (started_ns, targets) VALUES (1, x'')");
    refresher.poll(&musefs).unwrap();
    let values = |name: &str| -> Vec<i64> {
        let snapshot = musefs.engine().snapshot();
        let metric = snapshot.find(name).unwrap();
        let values = metric.series().map(|(_, value)| match value {
            Value::Gauge(value) => value,
            other => panic!("no gauge: {other:?}"),
        });
        values.collect()
    };
    let run = refresher.store.last_finished_scan().unwrap().unwrap();
    let ended = run.finished_ns.unwrap();
    assert_eq!(values(&names[0]), [ended]);
    assert_eq!(values(&names[1]), [ended - run.started_ns]);
    assert_eq!(values(&names[2]), [1, 0, 2, 0]);
    let failures = values(&names[3]);
    assert_eq!(failures.iter().sum::<i64>(), 1, "{failures:?}");
    assert_eq!(run.failures.len(), 1);
    library.edit("DELETE FROM scan_runs");
    refresher.poll(&musefs).unwrap();
    assert!(musefs.engine().snapshot().find(&names[0]).is_none());
}

#[test]
fn what_the_store_takes_is_looked_at_by_each_poll() {
    let library = Library::new();
    library.add("a.flac", "One");
    library.scan();
    let (musefs, mut refresher) = library.serve();
    assert!(gauge(&musefs, "musefs_sqlite_memory_bytes").unwrap() > 0);
    let held = rusqlite::Connection::open(library.db()).unwrap();
    held.execute_batch("UPDATE tags SET value = 'Other' WHERE key = 'title'")
        .unwrap();
    refresher.poll(&musefs).unwrap();
    let log = fs::metadata(crate::store::log_path(&library.db())).unwrap();
    assert!(log.len() > 0);
    assert_eq!(
        gauge(&musefs, "musefs_store_wal_bytes"),
        Some(log.len().cast_signed())
    );
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
        let tracks_at_first = musefs.usage().1;
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
            let (fresh, _) = library.fresh(template);
            prop_assert_eq!(&now, &shown(&fresh.tree));
            prop_assert_eq!(musefs.usage(), (fresh.tree.file_bytes(), fresh.tree.file_count() as u64));
            prop_assert_eq!(&refresher.holdings, &fresh.holdings);
            let listed = |tree: &Tree| Some(i64::try_from(tree.file_count()).unwrap());
            prop_assert_eq!(of_all_formats(&musefs), listed(&musefs.tree()));
            let tracks = |change| refresher.metrics.refresh.tracks.value(change);
            prop_assert_eq!(
                tracks_at_first + tracks(TrackChange::Added) - tracks(TrackChange::Removed),
                musefs.usage().1
            );
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
