//! Listings, attributes and sizes of a mounted library.

use std::collections::BTreeSet;
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::Path;

use crate::support::audio::Sound;
use crate::support::files_below;
use crate::support::library::{Library, ONE_SERVED, TWO};
use crate::support::mount::Mount;
use crate::support::process::run;
use crate::support::users::is_root;

/// Entries of the large directory: several answers of the kernel's size each.
const ENTRIES: usize = 3000;

fn names(directory: impl Iterator<Item = std::io::Result<std::fs::DirEntry>>) -> Vec<String> {
    directory
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

fn expected() -> BTreeSet<String> {
    (0..ENTRIES)
        .map(|index| format!("{index:04}.flac"))
        .collect()
}

#[track_caller]
fn is_complete(names: Vec<String>) {
    assert_eq!(names.len(), ENTRIES);
    assert!(names.into_iter().collect::<BTreeSet<_>>() == expected());
}

#[test]
fn more_directories_than_may_have_a_listing_of_their_own_are_listed_completely() {
    require_fuse!();
    let library = Library::of_many(ENTRIES);
    let arguments = ["--dir-handles-max", "2", "--template", "all/$filename"];
    let mount = Mount::with(&library, &arguments);
    let directory = mount.join("all");
    // All open at once, and each begun before any is ended.
    let mut open: Vec<_> = (0..6)
        .map(|_| std::fs::read_dir(&directory).unwrap())
        .collect();
    let mut begun: Vec<Vec<String>> = Vec::new();
    for listing in &mut open {
        begun.push(names(listing.by_ref().take(10)));
    }
    let metrics = mount.metrics();
    assert_eq!(metrics.value("musefs_dir_handles"), 2);
    for (listing, mut first) in open.into_iter().zip(begun) {
        first.extend(names(listing));
        is_complete(first);
    }
    let listed = run(std::process::Command::new("ls").arg("-U").arg(&directory))
        .done()
        .text();
    is_complete(listed.lines().map(ToOwned::to_owned).collect());
    mount.metrics_when("all directories are closed", |metrics| {
        metrics.value("musefs_dir_handles") == 0
    });
}

#[test]
fn a_listing_goes_on_while_the_store_changes() {
    require_fuse!();
    let library = Library::of_many(ENTRIES);
    for handles_max in ["0", "100"] {
        let arguments = [
            "--dir-handles-max",
            handles_max,
            "--template",
            "all/$filename[ $comment]",
        ];
        let mount = Mount::with(&library, &arguments);
        let mut listing = std::fs::read_dir(mount.join("all")).unwrap();
        let mut found = names(listing.by_ref().take(5));
        let before = mount.metrics().value("musefs_refresh_generation");
        let store = library.store();
        // Every tenth file gets another name.
        store
            .execute(
                "INSERT OR REPLACE INTO tags (track_id, key, ordinal, value)
                 SELECT id, 'comment', 0, ?1 FROM tracks WHERE id % 10 = 0",
                [handles_max],
            )
            .unwrap();
        mount.metrics_when("a new tree", |metrics| {
            metrics.value("musefs_refresh_generation") > before
        });
        found.extend(names(listing));
        let unique: BTreeSet<&String> = found.iter().collect();
        assert_eq!(unique.len(), found.len(), "a name twice");
        let track_of = |name: &String| name[..4].to_owned();
        let tracks: BTreeSet<String> = found.iter().map(track_of).collect();
        assert_eq!(tracks.len(), ENTRIES, "a file is missing");
        store
            .execute("DELETE FROM tags WHERE key = 'comment'", [])
            .unwrap();
    }
}

#[test]
fn every_file_is_as_long_as_its_size_says() {
    require_fuse!();
    let library = Library::of_two();
    library.set_tag("one.flac", "comment", "edited");
    let mount = Mount::new(&library);
    for file in files_below(mount.path()) {
        let path = mount.join(&file);
        let size = path.metadata().unwrap().len();
        assert_eq!(std::fs::read(&path).unwrap().len() as u64, size, "{file}");
        assert!(size > 0, "{file}");
    }
}

fn all_paths(directory: &Path, into: &mut Vec<std::path::PathBuf>) {
    into.push(directory.to_path_buf());
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all_paths(&path, into);
        } else {
            into.push(path);
        }
    }
}

#[test]
fn inodes_fit_in_53_bits_and_are_those_of_the_listing() {
    require_fuse!();
    let library = Library::of_two();
    let mount = Mount::new(&library);
    let mut paths = Vec::new();
    all_paths(mount.path(), &mut paths);
    let inodes: BTreeSet<u64> = paths
        .iter()
        .map(|path| path.metadata().unwrap().ino())
        .collect();
    assert_eq!(inodes.len(), paths.len(), "two things with one inode");
    assert!(
        inodes.iter().all(|&inode| inode > 0 && inode < 1 << 53),
        "{inodes:?}"
    );
    for path in paths.iter().filter(|path| path.is_dir()) {
        for entry in std::fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(
                entry.ino(),
                entry.metadata().unwrap().ino(),
                "{:?}",
                entry.path()
            );
        }
    }
}

#[test]
fn directories_count_their_subdirectories_as_links() {
    require_fuse!();
    let library = Library::of_two();
    library.add(
        "three.mp3",
        Sound::Mp3,
        &[TWO, &[("album", "Super Trouper")]].concat(),
        false,
    );
    library.scan();
    let mount = Mount::with(&library, &["--metrics-dir", "off"]);
    let links = |path: &str| mount.join(path).metadata().unwrap().nlink();
    assert_eq!(links("Abba"), 4);
    assert_eq!(links("Abba/Arrival"), 2);
    assert_eq!(links(ONE_SERVED), 1);
    assert_eq!(mount.path().metadata().unwrap().nlink(), 4);
}

#[test]
fn the_metrics_directory_counts_among_the_links_of_the_root() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    let directories = std::fs::read_dir(mount.path()).unwrap().count() as u64;
    assert_eq!(mount.path().metadata().unwrap().nlink(), 2 + directories);
}

#[test]
fn the_filesystem_has_a_size() {
    require_fuse!();
    let library = Library::of_two();
    let mount = Mount::new(&library);
    let space = nix::sys::statvfs::statvfs(mount.path()).unwrap();
    let served: u64 = [ONE_SERVED, "Abba/Arrival/Money.mp3"]
        .iter()
        .map(|file| mount.join(file).metadata().unwrap().len())
        .sum();
    assert!(space.blocks() * space.fragment_size() >= served);
    assert_eq!(space.files(), 2);
    assert!(
        space
            .flags()
            .contains(nix::sys::statvfs::FsFlags::ST_RDONLY)
    );
    // What is free is looked up by a thread of its own.
    crate::support::eventually("free space", || {
        let space = nix::sys::statvfs::statvfs(mount.path()).unwrap();
        (space.blocks_available() > 0 && space.blocks() > space.blocks_available()).then_some(())
    });
}

#[test]
fn owner_and_modes_are_those_of_the_flags_and_times_those_of_the_files() {
    require_fuse!();
    let library = Library::of_two();
    // Who is not root sees only what is their own.
    let owner = if is_root() {
        1234
    } else {
        nix::unistd::geteuid().as_raw()
    };
    let flags = [
        "--group",
        "5678",
        "--file-mode",
        "440",
        "--dir-mode",
        "550",
        "--owner",
    ];
    let mount = Mount::with(&library, &[&flags[..], &[&owner.to_string()]].concat());
    let file = mount.join(ONE_SERVED).metadata().unwrap();
    let directory = mount.join("Abba").metadata().unwrap();
    assert_eq!(
        (file.uid(), file.gid(), file.mode() & 0o7777),
        (owner, 5678, 0o440)
    );
    assert_eq!((directory.uid(), directory.mode() & 0o7777), (owner, 0o550));
    let backing = library.music().join("one.flac").metadata().unwrap();
    assert_eq!(
        (file.mtime(), file.mtime_nsec()),
        (backing.mtime(), backing.mtime_nsec())
    );
    assert!(directory.mtime() > 0);
    assert_eq!(file.blocks(), file.size().div_ceil(512));
}
