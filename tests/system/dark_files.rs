//! Backing files that are not what was scanned: each fails alone, is named once in the log, and is counted.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use crate::support::library::{Library, ONE_SERVED, TWO_SERVED};
use crate::support::mount::Mount;
use crate::support::{errno, eventually};

const TRIES: u64 = 3;

/// Does something to `one.flac` while it is mounted; only that file goes dark, for `reason`.
#[track_caller]
fn goes_dark(reason: &str, happens: impl FnOnce(&Path)) {
    let library = Library::of_two();
    let mount = Mount::new(&library);
    let backing = library.music().join("one.flac");
    happens(&backing);
    let path = mount.join(ONE_SERVED);
    for _ in 0..TRIES {
        assert_eq!(errno(&std::fs::read(&path)), libc::EIO);
    }
    assert!(
        path.metadata().is_ok(),
        "it stays listed until the next scan"
    );
    std::fs::read(mount.join(TWO_SERVED)).expect("other files are served");
    let metrics = mount.metrics();
    assert_eq!(
        metrics.value(&format!("musefs_tracks_dark{{reason=\"{reason}\"}}")),
        1
    );
    assert_eq!(metrics.sum("musefs_tracks_dark"), 1);
    assert_eq!(
        metrics.value(&format!(
            "musefs_backing_failures_total{{reason=\"{reason}\"}}"
        )),
        TRIES
    );
    // The log is written by a thread of its own.
    let log = eventually("a line about the file", || {
        let log = mount.log();
        log.contains("one.flac").then_some(log)
    });
    let told: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("one.flac"))
        .collect();
    assert_eq!(told.len(), 1, "{log}");
    assert!(
        told[0].contains(&*backing.to_string_lossy()) && told[0].contains("; "),
        "{log}"
    );
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
fn a_file_that_vanished() {
    require_fuse!();
    goes_dark("missing", |path| std::fs::remove_file(path).unwrap());
}

#[test]
fn a_file_that_shrank() {
    require_fuse!();
    goes_dark("changed", |path| {
        let len = path.metadata().unwrap().len();
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_len(len / 2)
            .unwrap();
    });
}

#[test]
fn a_file_that_was_replaced_by_one_of_the_same_size_and_time() {
    require_fuse!();
    goes_dark("changed", |path| {
        let metadata = path.metadata().unwrap();
        let other = path.with_extension("new");
        std::fs::copy(path, &other).unwrap();
        let file = File::options().write(true).open(&other).unwrap();
        file.set_modified(metadata.modified().unwrap()).unwrap();
        std::fs::rename(&other, path).unwrap();
    });
}

#[test]
fn a_file_that_was_written_to() {
    require_fuse!();
    goes_dark("changed", |path| {
        let mut file = File::options().write(true).open(path).unwrap();
        file.write_all(b"fLaC").unwrap();
        file.set_modified(std::time::SystemTime::now()).unwrap();
    });
}

#[test]
fn a_file_whose_place_is_taken_by_a_directory() {
    require_fuse!();
    goes_dark("unreadable", |path| {
        std::fs::remove_file(path).unwrap();
        std::fs::create_dir(path).unwrap();
    });
}

#[test]
fn a_file_that_shrinks_while_it_is_read() {
    require_fuse!();
    let library = Library::of_two();
    let mount = Mount::new(&library);
    let mut file = File::open(mount.join(ONE_SERVED)).unwrap();
    file.read_exact(&mut [0; 100]).unwrap();
    let backing = File::options()
        .write(true)
        .open(library.music().join("one.flac"))
        .unwrap();
    backing.set_len(1000).unwrap();
    let mut rest = Vec::new();
    assert_eq!(errno(&file.read_to_end(&mut rest)), libc::EIO);
    std::fs::read(mount.join(TWO_SERVED)).expect("other files are served");
    assert_eq!(
        mount
            .metrics()
            .value("musefs_tracks_dark{reason=\"changed\"}"),
        1
    );
}

#[test]
fn the_next_scan_brings_back_what_changed() {
    require_fuse!();
    let library = Library::of_two();
    let mount = Mount::new(&library);
    let backing = library.music().join("one.flac");
    File::open(&backing)
        .unwrap()
        .set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    let path = mount.join(ONE_SERVED);
    assert_eq!(errno(&std::fs::read(&path)), libc::EIO);
    assert_eq!(mount.metrics().sum("musefs_tracks_dark"), 1);
    library.scan();
    eventually("it is served again", || std::fs::read(&path).ok());
    mount.metrics_when("no track is dark", |metrics| {
        metrics.sum("musefs_tracks_dark") == 0
    });
}

#[test]
fn a_file_that_comes_back_is_served_again() {
    require_fuse!();
    let library = Library::of_two();
    let mount = Mount::new(&library);
    let (backing, away) = (
        library.music().join("one.flac"),
        library.path().join("away"),
    );
    std::fs::rename(&backing, &away).unwrap();
    assert_eq!(errno(&std::fs::read(mount.join(ONE_SERVED))), libc::EIO);
    std::fs::rename(&away, &backing).unwrap();
    std::fs::read(mount.join(ONE_SERVED)).expect("it is served again");
    assert_eq!(mount.metrics().sum("musefs_tracks_dark"), 0);
}
