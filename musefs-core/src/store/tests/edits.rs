//! What the triggers do for somebody who edits the store with a plain `SQLite`.

use super::*;

/// Runs `sql` as somebody else and tells how the track's numbers changed: change, content, backing.
fn edit(fixture: &Fixture, track: TrackId, sql: &str) -> (bool, bool, bool) {
    let before = fixture.row(track);
    fixture.outside().execute_batch(sql).expect(sql);
    let after = fixture.row(track);
    let own: i64 = fixture
        .outside()
        .query_row("SELECT own FROM writer", [], |row| row.get(0))
        .expect("a row");
    assert_eq!(own, 0, "{sql}");
    (
        after.change_seq != before.change_seq,
        after.content_seq != before.content_seq,
        after.backing_seq != before.backing_seq,
    )
}

#[test]
fn every_edit_of_a_part_marks_its_track() {
    let mut fixture = Fixture::new();
    let edits = [
        "INSERT INTO tags (track_id, key, value) VALUES (ID, 'mood', 'Calm')",
        "INSERT OR REPLACE INTO tags (track_id, key, ordinal, value) VALUES (ID, 'title', 0, 'x')",
        "INSERT INTO tags (track_id, key, value) VALUES (ID, 'title', 'y')
         ON CONFLICT (track_id, key, ordinal) DO UPDATE SET value = excluded.value",
        "UPDATE tags SET value = 'z' WHERE track_id = ID",
        "DELETE FROM tags WHERE track_id = ID",
        "UPDATE art SET picture_type = 4 WHERE track_id = ID",
        "DELETE FROM art WHERE track_id = ID",
        "INSERT INTO blobs (data) VALUES (x'00');
         INSERT INTO art (track_id, mime, blob_id) SELECT ID, 'image/png', max(id) FROM blobs",
        "UPDATE items SET flags = 1 WHERE track_id = ID",
        "DELETE FROM items WHERE track_id = ID",
        "INSERT INTO items (track_id, native, backing_offset, backing_len) VALUES (ID, 'PRIV', 0, 1)",
    ];
    for (number, sql) in edits.iter().enumerate() {
        let track = fixture.add(&format!("{number}.flac"));
        assert_eq!(fixture.row(track).served_size, Some(5000));
        let other = fixture.add(&format!("{number}-untouched.flac"));
        let untouched = fixture.row(other);
        let sql = sql.replace("ID", &track.0.to_string());
        assert_eq!(edit(&fixture, track, &sql), (true, true, false), "{sql}");
        let row = fixture.row(track);
        assert_eq!(row.served_size, None, "{sql}");
        let now = now_ns();
        let edited = row.edited_ns.expect("edited");
        assert!((now - edited).abs() < 60_000_000_000, "{edited} at {now}");
        assert_eq!(row.change_seq, row.content_seq);
        assert_eq!(fixture.row(other), untouched, "{sql}");
    }
}

#[test]
fn each_row_of_a_bulk_edit_gets_its_own_number() {
    let mut fixture = Fixture::new();
    let tracks: Vec<TrackId> = (0..50)
        .map(|number| fixture.add(&number.to_string()))
        .collect();
    fixture
        .outside()
        .execute_batch("UPDATE tags SET value = upper(value) || ' (live)' WHERE key = 'title'")
        .expect("an edit");
    let numbers: BTreeSet<i64> = tracks
        .iter()
        .map(|&track| fixture.row(track).content_seq)
        .collect();
    assert_eq!(numbers.len(), 50);
    assert_eq!(
        numbers.last().copied(),
        Some(fixture.store.sequence().expect("a number"))
    );
}

#[test]
fn an_edit_that_changes_nothing_is_none() {
    let mut fixture = Fixture::new();
    let track = fixture.add("a");
    for sql in [
        "UPDATE tags SET value = value",
        "UPDATE art SET mime = mime",
        "UPDATE items SET native = native",
        "UPDATE tracks SET path = path, structure = structure",
        "UPDATE roots SET path = path",
    ] {
        assert_eq!(edit(&fixture, track, sql), (false, false, false), "{sql}");
    }
    assert_eq!(fixture.row(track).edited_ns, None);
}

#[test]
fn a_part_moved_to_another_track_marks_both() {
    let mut fixture = Fixture::new();
    let tracks = ["a", "b"].map(|path| fixture.add(path));
    for sql in [
        "UPDATE tags SET track_id = 2, ordinal = 1 WHERE track_id = 1",
        "UPDATE art SET track_id = 2 WHERE track_id = 1",
        "UPDATE items SET track_id = 2 WHERE track_id = 1",
    ] {
        let before = tracks.map(|track| fixture.row(track).content_seq);
        fixture.outside().execute_batch(sql).expect(sql);
        let after = tracks.map(|track| fixture.row(track).content_seq);
        assert!(before[0] < after[0] && before[1] < after[1], "{sql}");
        assert_ne!(after[0], after[1], "{sql}");
    }
}

#[test]
fn an_edit_of_a_track_moves_the_numbers_it_concerns() {
    let mut fixture = Fixture::new();
    let track = fixture.add("a");
    let size = |fixture: &Fixture| fixture.row(track).served_size;
    assert_eq!(
        edit(&fixture, track, "UPDATE tracks SET path = x'62'"),
        (true, false, false)
    );
    assert_eq!(
        edit(&fixture, track, "UPDATE roots SET path = x'2f6e'"),
        (true, false, false)
    );
    assert_eq!(size(&fixture), Some(5000), "the bytes are the same");
    assert_eq!(
        edit(&fixture, track, "UPDATE tracks SET backing_size = 9"),
        (true, true, true)
    );
    assert_eq!(size(&fixture), None);
    assert_eq!(
        edit(&fixture, track, "UPDATE tracks SET failure = 'missing'"),
        (true, false, false)
    );
}

#[test]
fn giving_up_the_edits_lets_the_file_speak_again() {
    let mut fixture = Fixture::new();
    let track = fixture.add("a");
    edit(&fixture, track, "UPDATE tags SET value = 'mine'");
    let given_up = edit(&fixture, track, "UPDATE tracks SET edited_ns = NULL");
    assert_eq!(given_up, (true, false, false));
    let known = fixture.store.known_tracks(fixture.root).expect("readable");
    assert!(!known[0].is_current, "the next scan reads the file");
    fixture.ingest("a", stamp(1000), &reading(&[("title", "a")]));
    assert_eq!(fixture.titles(track), [("title".into(), "a".into())]);
}

#[test]
fn what_an_editor_must_not_do_is_refused() {
    let mut fixture = Fixture::new();
    let track = fixture.add("a");
    let before = fixture.detail(track);
    let outside = fixture.outside();
    outside
        .execute_batch(
            "INSERT INTO blobs (data) VALUES (x'01'), (x'02'), (x'03');
             DELETE FROM blobs WHERE id = 3",
        )
        .expect("blobs");
    for (sql, why) in [
        ("UPDATE blobs SET data = x'09'", "immutable"),
        (
            "INSERT OR REPLACE INTO blobs (id, data) VALUES (1, x'09')",
            "never used again",
        ),
        (
            "INSERT INTO blobs (id, data) VALUES (3, x'09')",
            "never used again",
        ),
        (
            "INSERT INTO roots (path, added_ns) VALUES (x'2f', 0)",
            "musefs scan",
        ),
        (
            "INSERT OR REPLACE INTO tracks SELECT * FROM tracks",
            "musefs scan",
        ),
        ("UPDATE tracks SET change_seq = 0", "by hand"),
        ("UPDATE tracks SET id = 7", "by hand"),
        (
            "INSERT INTO tags (track_id, key, value) VALUES (99, 'k', 'v')",
            "no track",
        ),
        ("UPDATE tags SET track_id = 99", "no track"),
        (
            "INSERT INTO art (track_id, mime, blob_id) VALUES (1, 'm', 99)",
            "no blob",
        ),
        ("INSERT INTO art (track_id, mime) VALUES (1, 'm')", "CHECK"),
        (
            "INSERT INTO items (track_id, native, backing_offset, backing_len, blob_id) VALUES (1, 'm', 0, 1, 1)",
            "CHECK",
        ),
        (
            "INSERT INTO items (track_id, native, backing_offset) VALUES (1, 'm', 0)",
            "CHECK",
        ),
    ] {
        let error = outside.execute_batch(sql).expect_err(sql);
        assert!(error.to_string().contains(why), "{sql}: {error}");
    }
    assert_eq!(fixture.detail(track), before);
    outside
        .execute_batch("INSERT INTO art (track_id, mime, blob_id) VALUES (1, 'm', 1)")
        .expect("art");
    let used = outside
        .execute_batch("DELETE FROM blobs WHERE id = 1")
        .expect_err("used");
    assert!(used.to_string().contains("still uses"), "{used}");
    outside
        .execute_batch("DELETE FROM blobs WHERE id = 2")
        .expect("nothing uses it");
}

#[test]
fn a_deleted_track_leaves_a_tombstone_and_nothing_else() {
    for foreign_keys in ["ON", "OFF"] {
        let mut fixture = Fixture::new();
        for path in ["a", "b", "c"] {
            fixture.add(path);
        }
        let before = fixture.store.sequence().expect("a number");
        let outside = fixture.outside();
        outside
            .execute_batch(&format!(
                "PRAGMA foreign_keys = {foreign_keys}; DELETE FROM tracks WHERE id = 2; DELETE FROM roots"
            ))
            .expect("deleted");
        let removed = fixture.store.removed_tracks(before).expect("readable");
        assert_eq!(removed, [TrackId(2), TrackId(1), TrackId(3)]);
        for table in ["tracks", "tags", "art", "items"] {
            let left: i64 = outside
                .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                    row.get(0)
                })
                .expect("a count");
            assert_eq!(left, 0, "{table}, foreign keys {foreign_keys}");
        }
    }
}

#[test]
fn another_connection_sees_that_something_changed() {
    let mut fixture = Fixture::new();
    let reader = Store::open(&fixture.path()).expect("a second store");
    let before = reader.data_version().expect("a number");
    assert_eq!(reader.data_version().expect("a number"), before);
    fixture.add("a");
    assert_ne!(reader.data_version().expect("a number"), before);
}
