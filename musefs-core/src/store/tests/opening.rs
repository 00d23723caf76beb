//! Every way in which a path is no store that can be used, and what is said of it.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use super::*;

/// The error of both ways to open.
fn errors(path: &Path) -> [StoreError; 2] {
    let wait = Duration::from_millis(50);
    [
        Store::open_with(path, wait).expect_err("it cannot be opened"),
        Store::create_with(path, wait).expect_err("it cannot be made"),
    ]
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

#[test]
fn a_store_that_is_not_there_names_the_way_out() {
    let directory = directory();
    let path = directory.path().join("none.db");
    let error = Store::open(&path).expect_err("missing");
    assert!(matches!(error, StoreError::Missing { .. }), "{error:?}");
    let said = error.to_string();
    assert!(said.contains(&path.display().to_string()), "{said}");
    assert!(said.contains("musefs scan DIR --db"), "{said}");
    assert!(!path.exists(), "opening makes nothing");
}

#[test]
fn an_empty_file_is_a_store_to_be() {
    let directory = directory();
    let path = directory.path().join("empty.db");
    File::create(&path).expect("a file");
    let error = Store::open(&path).expect_err("empty");
    assert!(matches!(error, StoreError::Empty { .. }), "{error:?}");
    Store::create(&path).expect("made in place");
    Store::open(&path).expect("a store now");
}

#[test]
fn a_directory_that_is_not_there_is_said() {
    let directory = directory();
    let path = directory.path().join("no/such.db");
    let error = Store::create(&path).expect_err("no directory");
    assert!(
        matches!(error, StoreError::DirectoryMissing { .. }),
        "{error:?}"
    );
    let file = directory.path().join("file");
    File::create(&file).expect("a file");
    for error in errors(&file.join("x.db")) {
        assert!(
            matches!(error, StoreError::DirectoryMissing { .. }),
            "{error:?}"
        );
    }
}

#[test]
fn a_directory_is_no_store() {
    let directory = directory();
    for error in errors(directory.path()) {
        assert!(matches!(error, StoreError::IsDirectory { .. }), "{error:?}");
    }
}

#[test]
fn another_kind_of_file_is_no_store() {
    let directory = directory();
    let path = directory.path().join("song.flac");
    for content in ["fLaC and so on, more than sixteen bytes", "short"] {
        fs::write(&path, content).expect("a file");
        for error in errors(&path) {
            assert!(matches!(error, StoreError::NotSqlite { .. }), "{error:?}");
        }
        assert_eq!(fs::read_to_string(&path).expect("as it was"), content);
    }
}

#[test]
fn the_database_of_another_application_is_left_alone() {
    let directory = directory();
    for (name, sql) in [
        ("plain.db", "CREATE TABLE x (y)"),
        ("named.db", "PRAGMA application_id = 5; CREATE TABLE x (y)"),
        ("versioned.db", "PRAGMA user_version = 1"),
    ] {
        let path = directory.path().join(name);
        let other = rusqlite::Connection::open(&path).expect("a database");
        other.execute_batch(sql).expect(sql);
        drop(other);
        let content = fs::read(&path).expect("readable");
        for error in errors(&path) {
            assert!(matches!(error, StoreError::NotAStore { .. }), "{error:?}");
        }
        assert_eq!(fs::read(&path).expect("readable"), content, "{name}");
    }
}

#[test]
fn a_newer_store_is_refused_and_left_alone() {
    let fixture = Fixture::new();
    fixture
        .outside()
        .execute_batch("PRAGMA user_version = 99")
        .expect("a version");
    for error in errors(&fixture.path()) {
        assert!(
            matches!(
                error,
                StoreError::Newer {
                    found: 99,
                    supported: SCHEMA_VERSION,
                    ..
                }
            ),
            "{error:?}"
        );
    }
}

#[test]
fn a_locked_store_says_so_after_a_while() {
    let mut fixture = Fixture::new();
    let path = fixture.path();
    let outside = fixture.outside();
    outside.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let wait = Duration::from_millis(50);
    let error = Store::create_with(&path, wait).expect_err("locked");
    assert!(matches!(error, StoreError::Locked { .. }), "{error:?}");
    fixture.store = Store::open_with(&path, wait).expect("reading needs no lock");
    let error = fixture
        .store
        .mark_missing(&[TrackId(1)])
        .expect_err("locked");
    assert!(matches!(error, StoreError::Locked { .. }), "{error:?}");
    outside.execute_batch("COMMIT").expect("unlocked");
    fixture
        .store
        .mark_missing(&[TrackId(1)])
        .expect("free again");
}

#[test]
fn a_damaged_store_is_said_to_be() {
    let mut fixture = Fixture::new();
    for number in 0..200 {
        fixture.add(&format!("{number:0100}"));
    }
    let path = fixture.path();
    let directory = fixture.directory;
    drop(fixture.store);
    let mut content = fs::read(&path).expect("readable");
    for byte in &mut content[8192..] {
        *byte = 0xa5;
    }
    fs::write(&path, content).expect("damaged");
    let error = Store::open(&path)
        .and_then(|store| store.for_each_track(&[], |_, _| {}))
        .expect_err("damaged");
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    drop(directory);
}

#[test]
fn making_a_store_twice_is_opening_it() {
    let fixture = Fixture::new();
    let again = Store::create(&fixture.path()).expect("a store");
    assert_eq!(again.id(), fixture.store.id());
    assert_eq!(again.roots().expect("readable").len(), 1);
    let outside = fixture.outside();
    let pragma = |name: &str| -> String {
        outside
            .query_row(
                &format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}"),
                [],
                |row| row.get(0),
            )
            .expect("a pragma")
    };
    assert_eq!(pragma("application_id"), "1836413797");
    assert_eq!(pragma("user_version"), "1");
    assert_eq!(pragma("journal_mode"), "wal");
}

/// Does `work` as a user who may read but not write; `None` where this process is no superuser and cannot change users.
fn as_nobody<T>(work: impl FnOnce() -> T) -> Option<T> {
    use nix::unistd::{Uid, setfsuid};
    if !Uid::effective().is_root() {
        return None;
    }
    // The file system's idea of the user, of this thread alone.
    setfsuid(Uid::from_raw(65_534));
    let done = work();
    setfsuid(Uid::from_raw(0));
    Some(done)
}

fn permit(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permissions");
}

#[test]
fn a_store_that_cannot_be_written_is_opened_for_reading() {
    let mut fixture = Fixture::new();
    fixture.add("a");
    let path = fixture.path();
    let directory = fixture.directory;
    drop(fixture.store);
    permit(directory.path(), 0o755);
    permit(&path, 0o644);
    as_nobody(|| {
        let store = Store::open(&path).expect("readable");
        assert!(store.is_read_only());
        assert!(store.track(TrackId(1)).expect("readable").is_some());
        let error = Store::create(&path).expect_err("not writable");
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    });
    // A writable file in a directory that is not: no log can be made beside it.
    permit(&path, 0o666);
    as_nobody(|| {
        let mut store = Store::open(&path).expect("readable");
        assert!(store.is_read_only());
        let error = store.mark_missing(&[TrackId(1)]).expect_err("not writable");
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
        let error = Store::create(&path).expect_err("not writable");
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
        let error = Store::create(&directory.path().join("new.db")).expect_err("not writable");
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    });
    permit(&path, 0o600);
    as_nobody(|| {
        for error in errors(&path) {
            assert!(matches!(error, StoreError::Unreadable { .. }), "{error:?}");
        }
    });
}
