//! The store as its callers and as outside editors see it.

mod edits;
mod opening;
mod retag;

use std::collections::BTreeSet;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::formats::{
    Art, AudioProperties, ByteRange, Failure, Format, OpaqueItem, Source, Structure, Tag,
};

/// A store in a directory of its own.
struct Fixture {
    directory: TempDir,
    store: Store,
    root: RootId,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut store = Store::create(&directory.path().join("musefs.db")).expect("a new store");
        let root = store.add_root("/music".as_ref(), 1).expect("a root");
        Self {
            directory,
            store,
            root,
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("musefs.db")
    }

    /// Another program's connection, as the sqlite3 shell makes it: without foreign keys.
    fn outside(&self) -> rusqlite::Connection {
        let outside = rusqlite::Connection::open(self.path()).expect("a second connection");
        outside
            .execute_batch("PRAGMA foreign_keys = OFF")
            .expect("a pragma");
        outside
    }

    fn ingest(&mut self, path: &str, stamp: Stamp, reading: &Reading) -> Ingested {
        self.ingest_as(path, stamp, Some(reading), None)
    }

    fn ingest_as(
        &mut self,
        path: &str,
        stamp: Stamp,
        reading: Option<&Reading>,
        moved_from: Option<TrackId>,
    ) -> Ingested {
        let finding = Finding {
            root: self.root,
            path: path.as_bytes(),
            stamp,
            moved_from,
            reading,
        };
        self.store.ingest(&[finding], 7).expect("ingested")[0]
    }

    fn add(&mut self, path: &str) -> TrackId {
        match self.ingest(path, stamp(1000), &reading(&[("title", path)])) {
            Ingested::Added(track) => track,
            other => panic!("not added: {other:?}"),
        }
    }

    fn detail(&self, track: TrackId) -> TrackDetail {
        self.store.track(track).expect("readable").expect("there")
    }

    fn row(&self, track: TrackId) -> TrackRow {
        self.detail(track).row
    }

    fn titles(&self, track: TrackId) -> Vec<(String, String)> {
        self.detail(track)
            .tags
            .into_iter()
            .map(|tag| (tag.key, tag.value))
            .collect()
    }
}

fn stamp(mtime_ns: i64) -> Stamp {
    Stamp {
        size: 5000,
        mtime_ns,
        ctime_ns: mtime_ns,
        inode: u64::MAX,
    }
}

fn cover(offset: u64) -> Art {
    Art {
        picture_type: 3,
        mime: "image/jpeg".into(),
        description: "front".into(),
        width: 600,
        height: 600,
        depth: 24,
        colors: 0,
        source: Source::Backing(ByteRange { offset, len: 100 }),
    }
}

fn reading(tags: &[(&str, &str)]) -> Reading {
    Reading {
        format: Format::Flac,
        structure: Structure::AsIs,
        parts: Parts {
            tags: tags
                .iter()
                .map(|(key, value)| Tag {
                    key: (*key).into(),
                    value: (*value).into(),
                })
                .collect(),
            art: vec![cover(64)],
            items: vec![OpaqueItem {
                native: "APPLICATION".into(),
                flags: 0,
                source: Source::Backing(ByteRange { offset: 8, len: 4 }),
            }],
        },
        properties: AudioProperties {
            duration_ms: Some(1234),
            ..AudioProperties::default()
        },
        failure: None,
        fingerprint: 0xfeed,
        served_size: Some(5000),
    }
}

#[test]
fn a_track_comes_back_as_it_was_ingested() {
    let mut fixture = Fixture::new();
    let read = reading(&[("artist", "A"), ("artist", "B"), ("title", "T")]);
    let Ingested::Added(track) = fixture.ingest("x/y.flac", stamp(1000), &read) else {
        panic!("a new path is added");
    };
    let detail = fixture.detail(track);
    assert_eq!(detail.tags, read.parts.tags);
    assert_eq!(detail.art, read.parts.art);
    assert_eq!(detail.items, read.parts.items);
    assert_eq!(detail.structure, Structure::AsIs);
    let row = detail.row;
    assert_eq!(row.path, b"x/y.flac");
    assert_eq!(row.stamp, stamp(1000));
    assert_eq!(row.properties.duration_ms, Some(1234));
    assert_eq!((row.served_size, row.edited_ns), (Some(5000), None));
    assert_eq!(
        (row.change_seq, row.content_seq, row.backing_seq),
        (1, 1, 1)
    );
    assert_eq!(fixture.store.sequence().expect("a number"), 1);
    assert_eq!(fixture.store.id().len(), 32);
}

#[test]
fn reading_the_same_again_changes_nothing() {
    let mut fixture = Fixture::new();
    let track = fixture.add("a.flac");
    let before = fixture.row(track);
    let again = reading(&[("title", "a.flac")]);
    assert_eq!(
        fixture.ingest("a.flac", stamp(1000), &again),
        Ingested::Unchanged(track)
    );
    assert_eq!(fixture.row(track), before);
    assert_eq!(fixture.store.sequence().expect("a number"), 1);
}

#[test]
fn numbers_move_only_with_what_they_stand_for() {
    let mut fixture = Fixture::new();
    let track = fixture.add("a.flac");
    let numbers = |fixture: &Fixture| {
        let row = fixture.row(track);
        (row.change_seq, row.content_seq, row.backing_seq)
    };
    fixture.ingest("a.flac", stamp(2000), &reading(&[("title", "a.flac")]));
    assert_eq!(numbers(&fixture), (2, 2, 2), "another backing file");
    fixture.ingest("a.flac", stamp(2000), &reading(&[("title", "new")]));
    assert_eq!(numbers(&fixture), (3, 3, 2), "other tags, same file");
    fixture.ingest_as("a.flac", stamp(2000), None, None);
    assert_eq!(numbers(&fixture), (4, 3, 2), "unreadable, bytes as before");
    assert_eq!(fixture.row(track).failure, Some(TrackFailure::Unreadable));
    assert_eq!(fixture.titles(track), [("title".into(), "new".into())]);
    fixture.store.mark_missing(&[track]).expect("marked");
    assert_eq!(numbers(&fixture), (5, 3, 2), "missing");
    let touched = Stamp {
        ctime_ns: 9999,
        ..stamp(2000)
    };
    fixture.ingest("a.flac", touched, &reading(&[("title", "new")]));
    assert_eq!(numbers(&fixture), (6, 3, 2), "there again, same bytes");
    assert_eq!(fixture.row(track).failure, None);
    assert_eq!(fixture.row(track).stamp.ctime_ns, 9999);
}

#[test]
fn a_file_never_read_is_a_row_all_the_same() {
    let mut fixture = Fixture::new();
    let Ingested::Added(track) = fixture.ingest_as("a.flac", stamp(1), None, None) else {
        panic!("a new path is added");
    };
    let row = fixture.row(track);
    assert_eq!(row.failure, Some(TrackFailure::Unreadable));
    assert_eq!((row.format, row.served_size), (Format::Unrecognised, None));
}

#[test]
fn an_edited_part_stays_when_the_file_is_read_again() {
    let mut fixture = Fixture::new();
    let track = fixture.add("a.flac");
    fixture
        .outside()
        .execute_batch("UPDATE tags SET value = 'Mine'")
        .expect("an edit");
    let mut read = reading(&[("title", "The file's"), ("artist", "New")]);
    read.parts.art = vec![cover(700)];
    fixture.ingest("a.flac", stamp(2000), &read);
    let detail = fixture.detail(track);
    assert_eq!(
        fixture.titles(track),
        [("title".into(), "Mine".into())],
        "the user's tags"
    );
    assert_eq!(detail.art, [cover(700)], "art is still the file's");
    assert!(detail.row.edited_ns.is_some());
    assert_eq!(detail.row.served_size, Some(5000), "computed anew");
}

#[test]
fn edited_art_follows_the_file_and_deleted_art_stays_away() {
    let mut fixture = Fixture::new();
    let mut read = reading(&[]);
    let back = Art {
        picture_type: 4,
        ..cover(900)
    };
    read.parts.art = vec![cover(64), back.clone()];
    fixture.ingest("a.flac", stamp(1000), &read);
    let track = TrackId(1);
    fixture
        .outside()
        .execute_batch(
            "DELETE FROM art WHERE picture_type = 4;
             INSERT INTO blobs (data) VALUES (x'010203');
             INSERT INTO art (track_id, ordinal, mime, blob_id) VALUES (1, 1, 'image/png', last_insert_rowid());",
        )
        .expect("edits");
    read.parts.art = vec![cover(164), back];
    fixture.ingest("a.flac", stamp(2000), &read);
    let art = fixture.detail(track).art;
    assert_eq!(art.len(), 2);
    assert_eq!(art[0], cover(164));
    assert_eq!(
        art[1].source,
        Source::Blob {
            blob: BlobId(1),
            len: 3
        }
    );
    // Broken for once: nothing is given up.
    let broken = Reading {
        failure: Some(TrackFailure::Probe(Failure::Truncated)),
        parts: Parts::default(),
        ..read.clone()
    };
    fixture.ingest("a.flac", stamp(3000), &broken);
    assert_eq!(fixture.detail(track).art, art);
    fixture.ingest("a.flac", stamp(4000), &read);
    assert_eq!(fixture.detail(track).art, art);
}

#[test]
fn a_renamed_file_keeps_its_row() {
    let mut fixture = Fixture::new();
    let track = fixture.add("old.flac");
    let before = fixture.row(track);
    let read = reading(&[("title", "old.flac")]);
    let moved = fixture.ingest_as("new.flac", stamp(1000), Some(&read), Some(track));
    assert_eq!(moved, Ingested::Moved(track));
    let row = fixture.row(track);
    assert_eq!(row.path, b"new.flac");
    assert!(row.change_seq > before.change_seq);
    assert_eq!(row.content_seq, before.content_seq);
    // Other first bytes: another file, whatever its stamp.
    let other = Reading {
        fingerprint: 1,
        ..read
    };
    let added = fixture.ingest_as("third.flac", stamp(1000), Some(&other), Some(track));
    assert_eq!(added, Ingested::Added(TrackId(2)));
}

#[test]
fn one_pass_tells_every_track_in_two_statements() {
    let mut fixture = Fixture::new();
    for number in 0..20 {
        let path = format!("{number}.flac");
        let tags = [
            ("album", "Ignored"),
            ("artist", "First"),
            ("artist", "Second"),
            ("title", path.as_str()),
        ];
        // Some tracks have no tag at all, so that the two statements run apart.
        let tags = if number % 3 == 0 { &[][..] } else { &tags[..] };
        fixture.ingest(&path, stamp(1), &reading(tags));
    }
    let statements = fixture.store.statements();
    let mut seen = Vec::new();
    let pass = fixture
        .store
        .for_each_track(&["title", "artist", "nothing"], |row, fields| {
            let number = row.id.0 - 1;
            assert_eq!(row.path, format!("{number}.flac").as_bytes());
            let artists: Vec<_> = fields.all(1).collect();
            if number % 3 == 0 {
                assert!(artists.is_empty() && fields.first(0).is_none());
            } else {
                assert_eq!(artists, ["First", "Second"]);
                assert_eq!(fields.first(0), Some(format!("{number}.flac").as_str()));
            }
            assert_eq!(fields.first(2), None);
            seen.push(row.id);
        })
        .expect("a pass");
    assert_eq!((pass.rows, pass.broken), (20, 0));
    assert!(seen.is_sorted());
    // The transaction and the two statements.
    assert_eq!(fixture.store.statements() - statements, 3);
}

#[test]
fn a_pass_of_two_connections_tells_what_a_pass_of_one_does() {
    let mut fixture = Fixture::new();
    // More tags than are handed over at once.
    let readings: Vec<_> = (0..1500)
        .map(|number| {
            let title = format!("Title {number}");
            let tags = [
                ("artist", "First"),
                ("artist", "Second"),
                ("title", title.as_str()),
            ];
            let tags = if number % 5 == 0 { &[][..] } else { &tags[..] };
            (format!("{number}.flac"), reading(tags))
        })
        .collect();
    let findings: Vec<_> = readings
        .iter()
        .map(|(path, reading)| Finding {
            root: fixture.root,
            path: path.as_bytes(),
            stamp: stamp(1),
            moved_from: None,
            reading: Some(reading),
        })
        .collect();
    fixture.store.ingest(&findings, 7).expect("ingested");
    let store = &fixture.store;
    let keys = ["title", "artist", "nothing"];
    let seen = |beside: Option<Store>| {
        let mut seen = Vec::new();
        let statements = store.statements();
        let see = |row: TrackRow, fields: &Fields| {
            let values: Vec<Vec<String>> = (0..keys.len())
                .map(|key| fields.all(key).map(str::to_owned).collect())
                .collect();
            seen.push((row, values));
        };
        let pass = match beside {
            Some(beside) => store.for_each_track_with(beside, &keys, see),
            None => store.for_each_track(&keys, see),
        };
        (seen, pass.expect("a pass"), store.statements() - statements)
    };
    let (alone, pass, _) = seen(None);
    assert_eq!(pass.rows, 1500);
    let beside = Store::open(&fixture.path()).expect("another connection");
    // The transaction, the highest number, and the tracks.
    assert_eq!(seen(Some(beside)), (alone.clone(), pass.clone(), 3));

    let elsewhere = Fixture::new();
    let beside = Store::open(&elsewhere.path()).expect("another store");
    let (fallen_back, ..) = seen(Some(beside));
    assert_eq!(fallen_back, alone);

    let beside = Store::open(&fixture.path()).expect("another connection");
    let outside = fixture.outside();
    outside
        .execute_batch("UPDATE tags SET value = 'New' WHERE track_id = 2 AND key = 'title'")
        .expect("an edit");
    let old = beside.database.begin_read().expect("a state");
    beside.sequence().expect("a number");
    outside
        .execute_batch("UPDATE tags SET value = 'Newer' WHERE track_id = 2 AND key = 'title'")
        .expect("an edit");
    drop(old);
    let (newest, ..) = seen(Some(beside));
    assert_eq!(newest[1].1[0], ["Newer"]);
}

#[test]
fn a_pass_over_changes_tells_just_those() {
    let mut fixture = Fixture::new();
    let tracks: Vec<TrackId> = ["a", "b", "c", "d"].map(|path| fixture.add(path)).into();
    let before = fixture.store.sequence().expect("a number");
    fixture
        .outside()
        .execute_batch("UPDATE tags SET value = 'new' WHERE track_id IN (4, 2); DELETE FROM tracks WHERE id = 3")
        .expect("edits");
    let mut told = Vec::new();
    fixture
        .store
        .for_each_changed_track(before, &["title"], |row, fields| {
            told.push((row.id, fields.first(0).map(str::to_owned)));
        })
        .expect("a pass");
    assert_eq!(
        told,
        [
            (tracks[1], Some("new".to_owned())),
            (tracks[3], Some("new".to_owned()))
        ]
    );
    assert_eq!(
        fixture.store.removed_tracks(before).expect("tombstones"),
        [tracks[2]]
    );
    let now = fixture.store.sequence().expect("a number");
    assert!(fixture.store.removed_tracks(now).expect("none").is_empty());
}

#[test]
fn a_row_that_cannot_be_read_harms_itself_alone() {
    let mut fixture = Fixture::new();
    for path in ["a", "b", "c", "d"] {
        fixture.add(path);
    }
    fixture
        .outside()
        .execute_batch(
            "UPDATE tracks SET format = 'wax cylinder' WHERE id = 2;
             UPDATE tracks SET channels = -1 WHERE id = 3;
             UPDATE tags SET value = CAST(x'ff41' AS TEXT) WHERE track_id = 4;",
        )
        .expect("edits");
    let mut told = Vec::new();
    let pass = fixture
        .store
        .for_each_track(&["title"], |row, fields| {
            let title = fields.first(0).unwrap_or_default().to_owned();
            told.push((title, row.format, row.properties.channels));
        })
        .expect("a pass");
    assert_eq!((pass.rows, pass.broken), (4, 2));
    let sound = told[0].2;
    let title = |title: &str, format, channels| (title.to_owned(), format, channels);
    assert_eq!(
        told,
        [
            title("a", Format::Flac, sound),
            title("b", Format::Unrecognised, sound),
            title("c", Format::Flac, None),
            title("\u{fffd}A", Format::Flac, sound),
        ]
    );
    // Reading the file again mends the row.
    fixture.ingest("b", stamp(1000), &reading(&[("title", "b")]));
    assert_eq!(fixture.row(TrackId(2)).format, Format::Flac);
}

#[test]
fn a_size_is_kept_only_for_the_content_it_was_computed_for() {
    let mut fixture = Fixture::new();
    let track = fixture.add("a");
    let old = fixture.row(track).content_seq;
    fixture
        .outside()
        .execute_batch("UPDATE tags SET value = 'x'")
        .expect("an edit");
    let sequence = fixture.store.sequence().expect("a number");
    fixture
        .store
        .record_served_sizes(&[(track, old, 1)])
        .expect("written");
    let row = fixture.row(track);
    assert_eq!(row.served_size, None);
    fixture
        .store
        .record_served_sizes(&[(track, row.content_seq, 77)])
        .expect("written");
    assert_eq!(fixture.row(track).served_size, Some(77));
    assert_eq!(fixture.row(track).change_seq, row.change_seq);
    assert_eq!(fixture.store.sequence().expect("a number"), sequence);
    // A size of another synthesizer counts for nothing.
    fixture
        .outside()
        .execute_batch("UPDATE tracks SET synthesizer_version = 0")
        .expect("an edit");
    assert_eq!(fixture.row(track).served_size, None);
}

#[test]
fn a_blob_is_read_from_any_offset() {
    let fixture = Fixture::new();
    fixture
        .outside()
        .execute_batch("INSERT INTO blobs (data) VALUES (x'0102030405')")
        .expect("a blob");
    let mut buffer = [0; 3];
    let mut read = |offset| {
        let read = fixture
            .store
            .blob(BlobId(1), offset, &mut buffer)
            .expect("readable");
        buffer[..read].to_vec()
    };
    assert_eq!(read(1), [2, 3, 4]);
    assert_eq!(read(3), [4, 5]);
    assert!(read(5).is_empty());
    assert!(read(u64::MAX).is_empty());
    assert!(fixture.store.blob(BlobId(9), 0, &mut [0]).is_err());
}

#[test]
fn scans_are_recorded_from_beginning_to_end() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.store.last_scan().expect("readable"), None);
    let targets = [PathBuf::from("/music"), PathBuf::from("/more")];
    let run = fixture.store.begin_scan_run(&targets, 10).expect("begun");
    let begun = fixture.store.last_scan().expect("readable").expect("there");
    assert_eq!(
        (begun.id, begun.started_ns, begun.finished_ns),
        (run, 10, None)
    );
    assert_eq!(begun.targets, targets);
    let counts = ScanCounts {
        files_seen: 3,
        added: 2,
        ..ScanCounts::default()
    };
    fixture
        .store
        .finish_scan_run(run, &counts, &[("malformed", 2), ("empty", 1)], Some(20))
        .expect("finished");
    let done = fixture.store.last_scan().expect("readable").expect("there");
    assert_eq!((done.finished_ns, done.counts), (Some(20), counts));
    assert_eq!(
        done.failures,
        [("empty".to_owned(), 1), ("malformed".to_owned(), 2)]
    );
}

#[test]
fn tracks_are_counted_by_format_and_failure() {
    let mut fixture = Fixture::new();
    let tracks = ["a", "b", "c"].map(|path| fixture.add(path));
    fixture.store.mark_missing(&tracks[..1]).expect("marked");
    fixture
        .outside()
        .execute_batch("UPDATE tags SET value = 'x' WHERE track_id = 2")
        .expect("an edit");
    let counts = fixture.store.counts().expect("counted");
    assert_eq!((counts.tracks, counts.edited), (3, 1));
    assert_eq!(counts.backing_bytes, 10_000);
    assert_eq!(counts.by_format[&Format::Flac], 3);
    assert_eq!(counts.by_failure[&TrackFailure::Missing], 1);
}

#[test]
fn no_number_is_ever_handed_out_twice() {
    let mut fixture = Fixture::new();
    let mut numbers = BTreeSet::new();
    let mut take = |fixture: &Fixture, count: usize| {
        let before = numbers.len();
        let sequence = fixture.store.sequence().expect("a number");
        fixture
            .store
            .for_each_track(&[], |row, _| {
                assert!(row.change_seq <= sequence);
                numbers.insert((row.id, row.change_seq));
            })
            .expect("a pass");
        assert_eq!(numbers.len() - before, count, "{numbers:?}");
        let distinct: BTreeSet<i64> = numbers.iter().map(|(_, number)| *number).collect();
        assert_eq!(distinct.len(), numbers.len(), "a number served two rows");
    };
    for path in ["a", "b", "c"] {
        fixture.add(path);
    }
    take(&fixture, 3);
    let outside = fixture.outside();
    outside
        .execute_batch("UPDATE tags SET value = value || '!'")
        .expect("edits");
    take(&fixture, 3);
    outside
        .execute_batch("UPDATE roots SET path = x'2f6d'")
        .expect("an edit");
    take(&fixture, 3);
    fixture.ingest("a", stamp(3), &reading(&[]));
    take(&fixture, 1);
    outside
        .execute_batch("DELETE FROM tracks WHERE id = 2")
        .expect("an edit");
    fixture.add("b");
    take(&fixture, 1);
    let ids: Vec<i64> = fixture
        .store
        .known_tracks(fixture.root)
        .expect("readable")
        .iter()
        .map(|track| track.id.0)
        .collect();
    assert_eq!(ids.iter().max(), Some(&4), "an id is never used again");
}
