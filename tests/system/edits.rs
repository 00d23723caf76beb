//! Edits are seen at once: by name, size and bytes, whoever makes them, and whatever the kernel had remembered.

use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::support::audio::Sound;
use crate::support::library::{Library, ONE_SERVED};
use crate::support::mount::Mount;
use crate::support::process::{Outcome, musefs, run};
use crate::support::{eventually, python};

/// A mount that would find an edit by itself in ten minutes, and whose names the kernel keeps for an hour.
fn patient(library: &Library) -> Mount {
    let mut command = musefs(["mount", "--poll-interval-ms", "600000"]);
    command.args(["--attr-ttl-ms", "3600000", "--db"]);
    command.arg(library.db()).arg(library.mountpoint());
    Mount::start(&mut command, &library.mountpoint()).expect("it can be mounted")
}

fn sync(mount: &Mount) -> Outcome {
    run(musefs(["sync"]).arg(mount.path()))
}

fn is_absent(path: &Path) -> bool {
    path.metadata()
        .is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

#[test]
fn after_sync_the_very_next_look_shows_what_was_committed() {
    require_fuse!();
    let library = Library::of_two();
    let mount = patient(&library);
    let album = mount.join("Boards of Canada/Geogaddi");
    let shown = |number: u32| album.join(format!("Title {number}.flac"));
    let mut old = mount.join(ONE_SERVED);
    for number in 0..25 {
        let new = shown(number);
        // Remembered by the kernel: the one is there, the other is not.
        let size = old.metadata().unwrap().len();
        assert!(is_absent(&new));
        library.set_tag("one.flac", "title", &format!("Title {number}"));
        library.set_tag("one.flac", "comment", &"x".repeat(number as usize * 100));
        sync(&mount).done();
        let names: Vec<_> = std::fs::read_dir(&album)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(names.contains(&new) && !names.contains(&old), "{names:?}");
        assert!(is_absent(&old), "the old name is gone");
        let metadata = new.metadata().expect("a name that was absent is there");
        assert!(number == 0 || metadata.len() > size);
        assert_eq!(std::fs::read(&new).unwrap().len() as u64, metadata.len());
        old = new;
    }
}

#[test]
fn a_commit_is_noticed_without_a_poll_and_without_being_told() {
    require_fuse!();
    let library = Library::of_two();
    let mount = patient(&library);
    for number in 0..5 {
        let new = mount.join(format!("Boards of Canada/Geogaddi/Title {number}.flac"));
        assert!(is_absent(&new));
        library.set_tag("one.flac", "title", &format!("Title {number}"));
        eventually("the edit shows", || new.exists().then_some(()));
    }
}

#[test]
fn a_scan_has_the_mounts_of_its_store_show_what_it_found() {
    require_fuse!();
    let library = Library::of_one();
    let mount = patient(&library);
    let new = mount.join("New/Unknown/New.flac");
    assert!(is_absent(&new));
    let tags = [("title", "New"), ("artist", "New")];
    library.add("new.flac", Sound::TinyFlac, &tags, false);
    let told = library.scan();
    assert!(new.exists(), "{told:?}");
}

#[test]
fn a_script_that_knows_only_sqlite_waits_with_sync() {
    require_fuse!();
    let library = Library::of_two();
    let mount = patient(&library);
    let script = r#"
import os, sqlite3, subprocess, sys
db, mount, old, new, musefs = sys.argv[1:]
assert os.path.exists(old) and not os.path.exists(new)
store = sqlite3.connect(db)
with store:
    store.execute("UPDATE tags SET value = 'By a Script' WHERE key = 'title' AND value = 'Ready'")
subprocess.run([musefs, "sync", mount], check=True)
assert not os.path.exists(old), os.listdir(os.path.dirname(old))
assert os.stat(new).st_size == len(open(new, "rb").read())
"#;
    let new = mount.join("Boards of Canada/Geogaddi/By a Script.flac");
    let musefs = Path::new(env!("CARGO_BIN_EXE_musefs"));
    let (db, old) = (library.db(), mount.join(ONE_SERVED));
    python::script(script, [&*db, mount.path(), &old, &new, musefs]).done();
}

/// How often the edited file's tag says its number, so that a mixture of versions would show.
const COPIES: usize = 300;
const EDITS: u32 = 1000;
const READERS: usize = 4;

#[test]
fn nobody_ever_reads_two_versions_mixed() {
    require_fuse!();
    let library = Library::of_two();
    let mount = patient(&library);
    let path = mount.join(ONE_SERVED);
    let audio = {
        let bytes = std::fs::read(&path).unwrap();
        bytes[bytes.len() - 4096..].to_vec()
    };
    let (is_over, wholes) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| {
                while !is_over.load(Relaxed) {
                    let mut file = std::fs::File::open(&path).expect("it is there all the time");
                    let mut bytes = Vec::new();
                    file.read_to_end(&mut bytes).expect("it reads to its end");
                    let size = file.metadata().unwrap().len();
                    assert_eq!(size, bytes.len() as u64);
                    assert!(bytes.ends_with(&audio), "the sound is at the end");
                    let marks: Vec<&[u8]> = bytes
                        .windows(10)
                        .filter(|window| window.starts_with(b"<v") && window[9] == b'>')
                        .collect();
                    assert!(marks.windows(2).all(|pair| pair[0] == pair[1]), "mixed");
                    assert!(marks.is_empty() || marks.len() == COPIES);
                    wholes.fetch_add(1, Relaxed);
                }
            });
        }
        let store = library.store();
        store.execute_batch("PRAGMA synchronous = OFF").unwrap();
        store
            .execute_batch(
                "INSERT INTO tags (track_id, key, value) SELECT id, 'comment', '' FROM tracks
                 WHERE path = CAST('one.flac' AS BLOB) ON CONFLICT DO NOTHING",
            )
            .unwrap();
        for edit in 0..EDITS {
            // Of a different length each time.
            let value = format!("<v{edit:07}>").repeat(COPIES) + &"-".repeat(edit as usize % 97);
            store
                .execute(
                    "UPDATE tags SET value = ?1 WHERE key = 'comment' AND track_id =
                     (SELECT id FROM tracks WHERE path = CAST('one.flac' AS BLOB))",
                    [value],
                )
                .unwrap();
        }
        sync(&mount).done();
        is_over.store(true, Relaxed);
    });
    let last = format!("<v{:07}>", EDITS - 1);
    let bytes = std::fs::read(&path).unwrap();
    let shown = bytes
        .windows(last.len())
        .filter(|window| *window == last.as_bytes())
        .count();
    assert_eq!(shown, COPIES, "after sync, the last edit");
    assert!(wholes.load(Relaxed) > 0);
    assert!(!mount.log().contains("panicked"), "{}", mount.log());
}

/// Resident memory of a process in KiB.
fn resident_kib(mount: &Mount) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", mount.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.unwrap().parse().unwrap()
}

const TRACKS: usize = 1000;

#[test]
fn a_thousand_tracks_retagged_at_once_are_a_thousand_tracks_of_work() {
    require_fuse!();
    let library = Library::of_many(2 * TRACKS);
    let store = library.store();
    store
        .execute_batch("INSERT INTO tags (track_id, key, value) SELECT id, 'album', 'Album ' || (id / 10) FROM tracks")
        .unwrap();
    let mount = patient(&library);
    let retag = |round: usize| {
        let keys = [
            "title", "lyricist", "genre", "date", "composer", "comment", "label", "mood", "isrc",
            "media", "track", "disc", "bpm", "key", "work",
        ];
        let edits: Vec<String> = keys
            .iter()
            .map(|key| {
                format!(
                    "INSERT INTO tags (track_id, key, value) SELECT id, '{key}', 'Value ' || id || ' {round}' FROM tracks
                     WHERE id <= {TRACKS} ON CONFLICT (track_id, key, ordinal) DO UPDATE SET value = excluded.value;"
                )
            })
            .collect();
        store
            .execute_batch(&format!("BEGIN IMMEDIATE; {} COMMIT", edits.concat()))
            .unwrap();
        sync(&mount).done();
    };
    // The first rounds find the size that the process has while it works.
    (0..3).for_each(retag);
    let before = mount.metrics();
    let resident_before = resident_kib(&mount);
    retag(3);
    let after = mount.metrics();
    let grown = |name: &str| after.value(name) - before.value(name);
    assert_eq!(grown("musefs_refresh_rows_total"), TRACKS as u64);
    // The albums that the tracks are in, and no others.
    let nodes = grown("musefs_refresh_nodes_total");
    assert!(nodes <= 2 * TRACKS as u64, "{nodes} nodes");
    assert_eq!(grown("musefs_refresh_gap_fallbacks_total"), 0);
    assert_eq!(after.value("musefs_refresh_gap_fallbacks_total"), 0);
    (4..8).for_each(retag);
    eventually("memory is back to within 5 %", || {
        (resident_kib(&mount) * 100 <= resident_before * 105).then_some(())
    });
}

#[test]
fn sync_says_what_keeps_it() {
    require_fuse!();
    let library = Library::of_one();
    let outside = run(musefs(["sync"]).arg(library.music()));
    outside.refused(1, &["no musefs of yours answers for"]);
    outside.is_calm();
    let missing = run(&mut musefs(["sync", "/no/such/place"]));
    missing.refused(1, &["/no/such/place"]);
    let mount = patient(&library);
    let away = library.path().join("away.db");
    std::fs::rename(library.db(), &away).unwrap();
    let kept = run(musefs(["sync", "--timeout", "1"]).arg(mount.path()));
    kept.refused(1, &["did not get to read its store in time"]);
    std::fs::rename(&away, library.db()).unwrap();
    sync(&mount).done();
}
