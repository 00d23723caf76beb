//! Places where nothing can be mounted: one sentence with the path and the way out, exit code 1.

use std::path::Path;

use crate::support::library::Library;
use crate::support::mount::{Mount, is_mounted};
use crate::support::process::{musefs, run};

#[track_caller]
fn refused(library: &Library, mountpoint: &Path, parts: &[&str]) {
    let mut command = musefs(["mount", "--db"]);
    command.arg(library.db()).arg(mountpoint);
    let parts = [&[mountpoint.to_str().unwrap()][..], parts].concat();
    run(&mut command).refused(1, &parts);
    assert!(!is_mounted(mountpoint) || parts.contains(&"already"));
}

#[test]
fn a_file() {
    require_fuse!();
    let library = Library::of_one();
    let file = library.path().join("file");
    std::fs::write(&file, "").unwrap();
    refused(
        &library,
        &file,
        &["not a directory", "give an empty directory"],
    );
}

#[test]
fn nothing() {
    require_fuse!();
    let library = Library::of_one();
    refused(
        &library,
        &library.path().join("nothing"),
        &["does not exist", "mkdir -p"],
    );
}

#[test]
fn a_directory_with_something_in_it() {
    require_fuse!();
    let library = Library::of_one();
    std::fs::write(library.mountpoint().join("file"), "").unwrap();
    refused(
        &library,
        &library.mountpoint(),
        &["not empty", "give an empty directory"],
    );
}

#[test]
fn a_directory_where_something_is_mounted() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    refused(&library, &library.mountpoint(), &["already", "unmount"]);
    mount.stop().done();
}

#[test]
fn a_directory_of_the_library() {
    require_fuse!();
    let library = Library::of_one();
    let inside = library.music().join("inside");
    std::fs::create_dir(&inside).unwrap();
    refused(&library, &inside, &["lies in the library", "elsewhere"]);
}

#[test]
fn the_library_itself() {
    require_fuse!();
    let library = Library::of_one();
    refused(
        &library,
        &library.music(),
        &["mountpoint", "give an empty directory"],
    );
    // Empty it is no better a place.
    std::fs::remove_file(library.music().join("one.flac")).unwrap();
    refused(
        &library,
        &library.music(),
        &["lies in the library", "elsewhere"],
    );
}

#[test]
fn a_parent_of_the_library() {
    require_fuse!();
    let library = Library::of_one();
    refused(
        &library,
        library.path(),
        &["mountpoint", "give an empty directory"],
    );
    // The library may be away for the moment, on a disk that is not there.
    let root = library.path().join("disk");
    std::fs::create_dir_all(root.join("music")).unwrap();
    std::fs::copy(
        library.music().join("one.flac"),
        root.join("music/other.flac"),
    )
    .unwrap();
    run(musefs(["scan", "-q", "--db"])
        .arg(library.db())
        .arg(root.join("music")))
    .done();
    std::fs::remove_dir_all(root.join("music")).unwrap();
    refused(&library, &root, &["would hide it", "elsewhere"]);
}

#[test]
fn a_dead_mountpoint_is_explained_and_cleaned_up_when_asked() {
    require_fuse!();
    let library = Library::of_one();
    let mut dead = Mount::new(&library);
    // From here on the kernel remembers what it is, also without it.
    std::fs::metadata(library.mountpoint()).unwrap();
    dead.signal(nix::sys::signal::Signal::SIGKILL);
    dead.ended(crate::support::SOON)
        .expect("a killed process ends");
    assert!(is_mounted(&library.mountpoint()));
    let path = library.mountpoint();
    let path = path.to_str().unwrap();
    let told = run(&mut Mount::command(&library));
    told.refused(1, &[path, "dead mountpoint", "--remount", "or run `"]);
    let mount = Mount::with(&library, &["--remount"]);
    assert!(mount.join("Boards of Canada").exists());
    assert!(mount.log().contains(path), "{}", mount.log());
    assert_eq!(mount.log().lines().count(), 1);
    assert_eq!(mount.stop().code, Some(0));
}

#[test]
fn two_mounts_of_one_store_at_two_places_are_no_problem() {
    require_fuse!();
    let library = Library::of_one();
    let first = Mount::new(&library);
    let other = library.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let mut command = musefs(["mount", "--db"]);
    command.arg(library.db()).arg(&other);
    let second = Mount::start(&mut command, &other).unwrap();
    for mount in [&first, &second] {
        assert!(mount.join("Boards of Canada").exists());
    }
    second.stop().done();
    assert!(first.join("Boards of Canada").exists());
}
