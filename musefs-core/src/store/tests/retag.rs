//! Edits that musefs makes itself leave what an outside editor's would.

use super::*;

const TRACKS: usize = 1000;
const TAGS: usize = 15;

fn tag(key: &str, value: &str) -> Tag {
    Tag {
        key: key.into(),
        value: value.into(),
    }
}

#[test]
fn an_edit_of_our_own_leaves_what_the_triggers_leave() {
    let mut fixture = Fixture::new();
    let (ours, theirs) = (fixture.add("a.flac"), fixture.add("b.flac"));
    let untouched = fixture.row(theirs);
    let before = fixture.row(ours);
    let changed = fixture
        .store
        .retag(&[ours, theirs], 7, |track| {
            let mut tags = track.tags.clone();
            if track.id == ours {
                tags.push(tag("mood", "Calm"));
                tags.push(tag("album", "First"));
            }
            tags
        })
        .expect("an edit");
    assert_eq!(changed, [ours]);
    assert_eq!(fixture.row(theirs), untouched);
    let row = fixture.row(ours);
    assert!(row.change_seq > untouched.change_seq.max(before.change_seq));
    assert_eq!(row.content_seq, row.change_seq);
    assert_eq!(row.backing_seq, before.backing_seq);
    assert_eq!((row.served_size, row.edited_ns), (None, Some(7)));
    let parts = |track: TrackId| -> i64 {
        fixture
            .outside()
            .query_row(
                "SELECT edited_parts FROM tracks WHERE id = ?1",
                [track.0],
                |row| row.get(0),
            )
            .expect("a row")
    };
    assert_eq!((parts(ours), parts(theirs)), (1, 0));
    let keys: Vec<String> = fixture
        .detail(ours)
        .tags
        .into_iter()
        .map(|tag| tag.key)
        .collect();
    assert_eq!(keys, ["album", "mood", "title"]);
}

#[test]
fn a_thousand_tracks_are_a_statement_for_each_row_in_one_transaction() {
    let mut fixture = Fixture::new();
    let tracks: Vec<TrackId> = (0..TRACKS)
        .map(|number| fixture.add(&format!("{number}.flac")))
        .collect();
    let before = fixture.store.statements();
    let version = fixture.outside();
    let data_version = |connection: &rusqlite::Connection| -> i64 {
        connection
            .query_row("PRAGMA data_version", [], |row| row.get(0))
            .expect("a number")
    };
    let seen = data_version(&version);
    let changed = fixture
        .store
        .retag(&tracks, 7, |track| {
            (0..TAGS)
                .map(|key| tag(&format!("key{key:02}"), &format!("{} {key}", track.id.0)))
                .collect()
        })
        .expect("an edit");
    assert_eq!(changed, tracks);
    assert!(data_version(&version) > seen);
    let statements = fixture.store.statements() - before;
    // The tags, one deletion and one row for each track; and what a transaction is made of.
    let rows = (TRACKS * (TAGS + 2)) as u64;
    assert!(
        statements <= rows + 10,
        "{statements} statements for {rows} rows"
    );
}

#[test]
fn a_value_that_is_no_text_survives_an_edit_of_another_key() {
    let mut fixture = Fixture::new();
    let track = fixture.add("a.flac");
    fixture
        .outside()
        .execute_batch("INSERT INTO tags (track_id, key, value) VALUES (1, 'comment', CAST(x'61ff62' AS TEXT))")
        .expect("an edit");
    let changed = fixture
        .store
        .retag(&[track], 7, |track| {
            let mut tags = track.tags.clone();
            tags.push(tag("mood", "Calm"));
            tags
        })
        .expect("an edit");
    assert_eq!(changed, [track]);
    let bytes: Vec<u8> = fixture
        .outside()
        .query_row(
            "SELECT CAST(value AS BLOB) FROM tags WHERE key = 'comment'",
            [],
            |row| row.get(0),
        )
        .expect("a row");
    assert_eq!(bytes, b"a\xffb");
}

#[test]
fn giving_up_edits_gives_back_the_files_own_and_counts_as_a_change() {
    let mut fixture = Fixture::new();
    let read = reading(&[("title", "Own")]);
    fixture.ingest("a.flac", stamp(1000), &read);
    let track = TrackId(1);
    let own = fixture.detail(track);
    fixture
        .outside()
        .execute_batch("UPDATE tags SET value = 'x'; DELETE FROM art; DELETE FROM items")
        .expect("edits");
    let edited = fixture.row(track);
    let root = fixture.root;
    let finding = |path| Finding {
        root,
        path,
        stamp: stamp(1000),
        moved_from: None,
        reading: Some(&read),
    };
    let reverted = fixture
        .store
        .revert(&[finding(b"a.flac"), finding(b"gone.flac")], 9)
        .expect("a revert");
    assert_eq!(reverted, 1, "a track that is gone does not come back");
    assert_eq!(fixture.store.all_tracks().expect("a list"), [track]);
    let detail = fixture.detail(track);
    assert_eq!(
        (detail.tags, detail.art, detail.items),
        (own.tags, own.art, own.items)
    );
    assert_eq!(detail.row.edited_ns, None);
    assert!(detail.row.content_seq > edited.content_seq);
    // Nothing but the mark: news all the same, since a mount remembers who it saw last.
    fixture
        .outside()
        .execute_batch("INSERT INTO edits (track_id, part) VALUES (1, 1)")
        .expect("a mark");
    let marked = fixture.row(track);
    fixture
        .store
        .revert(&[finding(b"a.flac")], 9)
        .expect("a revert");
    assert!(fixture.row(track).change_seq > marked.change_seq);
}

#[test]
fn tracks_are_found_by_path_and_by_value() {
    let mut fixture = Fixture::new();
    let mut add = |path| fixture.add(path);
    let all = [
        add("a/b.flac"),
        add("a/c.flac"),
        add("a.flac"),
        add("a0.flac"),
    ];
    let root = fixture.root;
    let below = |path: &[u8]| fixture.store.tracks_below(root, path).expect("a list");
    assert_eq!(below(b"a"), all[..2]);
    assert_eq!(below(b"a/c.flac"), all[1..2]);
    assert_eq!(below(b""), all);
    assert_eq!(below(b"b"), []);
    let with = |key, part: &str| {
        fixture
            .store
            .tracks_with(key, |value| value.contains(part))
            .expect("a list")
    };
    assert_eq!(with("TITLE", "a/"), all[..2]);
    assert_eq!(with("album", ""), []);
}
