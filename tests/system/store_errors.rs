//! Stores that are none, or cannot be used: one sentence with the path and the way out, exit code 1.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;

use rusqlite::Connection;

use crate::support::library::{Library, TWO_SERVED};
use crate::support::mount::Mount;
use crate::support::process::run;
use crate::support::users::{give_to_normal_user, has_normal_user, musefs_as_normal_user};
use crate::support::{errno, eventually};

/// What both commands say of the store that `make` leaves at the path it gets.
#[track_caller]
fn both_refuse(make: impl FnOnce(&Path), parts: &[&str]) {
    let library = Library::of_one();
    make(&library.db());
    refused_by_both(&library, parts);
}

#[track_caller]
fn refused_by_both(library: &Library, parts: &[&str]) {
    let path = library.db();
    let path = path.to_str().unwrap();
    let parts = [&[path][..], parts].concat();
    library.try_scan(&["--quiet"]).refused(1, &parts);
    run(&mut Mount::command(library)).refused(1, &parts);
}

fn remove(path: &Path) {
    for end in ["", "-wal", "-shm"] {
        std::fs::remove_file(format!("{}{end}", path.display())).ok();
    }
}

#[test]
fn a_file_that_is_no_database() {
    require_fuse!();
    both_refuse(
        |path| {
            remove(path);
            std::fs::write(path, "Dear diary, ".repeat(1000)).unwrap();
        },
        &["is not an SQLite database", "--db"],
    );
}

#[test]
fn a_database_of_another_application() {
    require_fuse!();
    both_refuse(
        |path| {
            remove(path);
            Connection::open(path)
                .unwrap()
                .execute_batch("CREATE TABLE bookmarks (url TEXT)")
                .unwrap();
        },
        &["another application", "--db"],
    );
}

#[test]
fn a_store_of_a_newer_program() {
    require_fuse!();
    both_refuse(
        |path| {
            Connection::open(path)
                .unwrap()
                .execute_batch("PRAGMA user_version = 999")
                .unwrap();
        },
        &["version 999", "newer musefs"],
    );
}

#[test]
fn a_directory() {
    require_fuse!();
    both_refuse(
        |path| {
            remove(path);
            std::fs::create_dir(path).unwrap();
        },
        &["is a directory", "--db"],
    );
}

#[test]
fn a_store_that_another_program_has_locked() {
    require_fuse!();
    let library = Library::of_one();
    let locker = library.store();
    locker
        .execute_batch(
            "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; UPDATE sequence SET value = value",
        )
        .unwrap();
    refused_by_both(&library, &["locked by another process", "try again"]);
}

#[test]
fn a_store_that_is_not_there() {
    require_fuse!();
    let library = Library::new();
    let path = library.db();
    run(&mut Mount::command(&library)).refused(1, &[path.to_str().unwrap(), "musefs scan"]);
    assert!(!path.exists(), "a mount makes no store");
}

#[test]
fn a_store_in_a_directory_that_is_not_there() {
    require_fuse!();
    let library = Library::new();
    let path = library.path().join("nowhere/store.db");
    let mut scan = crate::support::process::musefs(["scan", "-q", "--db"]);
    run(scan.arg(&path).arg(library.music())).refused(1, &[path.to_str().unwrap(), "create it"]);
}

#[test]
fn a_store_that_was_cut_off() {
    require_fuse!();
    let library = Library::of_many(50);
    library
        .store()
        .execute_batch("PRAGMA journal_mode = DELETE")
        .unwrap();
    let file = File::options().write(true).open(library.db()).unwrap();
    file.set_len(8192).unwrap();
    drop(file);
    let path = library.db();
    let outcome = run(&mut Mount::command(&library));
    outcome.refused(1, &[path.to_str().unwrap(), "damaged"]);
}

#[test]
fn a_store_that_cannot_be_written() {
    require_fuse!();
    if !has_normal_user() {
        return;
    }
    let library = Library::of_one();
    give_to_normal_user(&library);
    for (path, mode) in [(library.db(), 0o444), (library.path().to_path_buf(), 0o555)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let mut scan = musefs_as_normal_user();
    scan.args(["scan", "-q", "--db"])
        .arg(library.db())
        .arg(library.music());
    let path = library.db();
    run(&mut scan).refused(1, &[path.to_str().unwrap(), "cannot be written", "--db"]);
    // Serving needs no writing.
    let mut shown = musefs_as_normal_user();
    shown
        .args(["mount", "--dry-run", "--db"])
        .arg(library.db())
        .arg(library.mountpoint());
    assert!(run(&mut shown).done().text().ends_with("1 track\n"));
    std::fs::set_permissions(library.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_store_inside_a_mount() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    let inside = mount.join("store.db");
    let parts = [
        inside.to_str().unwrap(),
        "inside the musefs mount",
        "outside",
    ];
    let mut scan = crate::support::process::musefs(["scan", "-q", "--db"]);
    run(scan.arg(&inside).arg(library.music())).refused(1, &parts);
    let other = library.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let mut second = crate::support::process::musefs(["mount", "--db"]);
    run(second.arg(&inside).arg(other)).refused(1, &parts);
}

#[test]
fn a_row_that_somebody_broke_is_served_as_it_is_until_the_next_scan() {
    require_fuse!();
    let library = Library::of_two();
    library.set_tag("one.flac", "title", "Edited");
    let mount = Mount::new(&library);
    let served = mount.join("Boards of Canada/Geogaddi/Edited.flac");
    let edited = std::fs::read(&served).unwrap();
    let backing = std::fs::read(library.music().join("one.flac")).unwrap();
    assert!(edited != backing);
    for broken in [
        "structure = x'ff'",
        "probe_version = 9223372036854775807",
        "format = 'wax cylinder', structure = x'ff'",
    ] {
        let sql = format!("UPDATE tracks SET {broken} WHERE path = CAST('one.flac' AS BLOB)");
        library.store().execute_batch(&sql).unwrap();
        eventually("it is served as it is", || {
            let size = std::fs::metadata(&served).ok()?.len();
            (size == backing.len() as u64).then_some(())
        });
        assert!(std::fs::read(&served).unwrap() == backing, "{broken}");
        assert!(std::fs::read(mount.join(TWO_SERVED)).is_ok());
        let told = run(Mount::command(&library).arg("--dry-run")).done().text();
        assert!(told.contains("2 tracks"), "{told}");
        library.scan();
        eventually("the scan has mended it", || {
            let size = std::fs::metadata(&served).ok()?.len();
            (size == edited.len() as u64).then_some(())
        });
        assert!(std::fs::read(&served).unwrap() == edited, "{broken}");
    }
    let log = mount.stop().stderr;
    for word in ["structure", "wax cylinder", "one.flac"] {
        assert!(log.contains(word), "{word} is not in the log: {log}");
    }
}

#[test]
fn a_store_that_breaks_under_a_mount_is_told_once_and_counted_each_time() {
    require_fuse!();
    let library = Library::of_many(6);
    let connection = library.store();
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    drop(connection);
    let mut command = Mount::command(&library);
    command.args(["--template", "$filename"]);
    let mount = Mount::start(&mut command, &library.mountpoint()).unwrap();
    let file = File::options().write(true).open(library.db()).unwrap();
    let len = usize::try_from(file.metadata().unwrap().len()).unwrap();
    // All but the page that tells what the file is.
    file.write_all_at(&vec![0xFF; len - 4096], 4096).unwrap();
    for index in 0..6 {
        let opened = File::open(mount.join(format!("{index:04}.flac")));
        assert_eq!(errno(&opened), libc::EIO);
    }
    let metrics = mount.metrics();
    let failed = "musefs_op_errors_total{op=\"open\",errno=\"EIO\"}";
    assert_eq!(metrics.value(failed), 6);
    let told = mount
        .log()
        .matches("files that need it cannot be opened")
        .count();
    assert_eq!(told, 1, "{}", mount.log());
}
