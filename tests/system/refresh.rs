//! Edits of the store while it is mounted: seen after a poll, without disturbing who reads.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;

use crate::support::audio::Sound;
use crate::support::library::{Library, ONE, ONE_SERVED, TWO_SERVED};
use crate::support::mount::Mount;
use crate::support::process::musefs;
use crate::support::{eventually, python};

const GENERATION: &str = "musefs_refresh_generation";
const RENAMED: &str = "Boards of Canada/Geogaddi/Dawn Chorus.flac";

/// Makes an edit and waits until a new tree is published.
fn edit(mount: &Mount, make: impl FnOnce()) {
    let before = mount.metrics().value(GENERATION);
    make();
    mount.metrics_when("a new tree", |metrics| metrics.value(GENERATION) > before);
}

#[test]
fn an_edited_tag_shows_in_name_size_and_bytes_after_a_poll() {
    require_fuse!();
    let library = Library::of_two();
    let mount = Mount::new(&library);
    let old = mount.join(ONE_SERVED).metadata().unwrap();
    edit(&mount, || {
        library.set_tag("one.flac", "title", "Dawn Chorus");
    });
    let new = mount
        .join(RENAMED)
        .metadata()
        .expect("the new name is there as soon as the tree is");
    assert_ne!(new.ino(), old.ino(), "an inode stands for one content");
    assert!(new.mtime_nsec() != old.mtime_nsec() || new.mtime() > old.mtime());
    assert_ne!(new.size(), old.size());
    assert_eq!(
        std::fs::read(mount.join(RENAMED)).unwrap().len() as u64,
        new.size()
    );
    // The kernel is told to forget it from another thread.
    eventually("the old name is gone", || {
        let gone = mount.join(ONE_SERVED).metadata();
        gone.is_err_and(|error| error.kind() == ErrorKind::NotFound)
            .then_some(())
    });
    assert!(mount.join(TWO_SERVED).exists());
    if python::has_mutagen() {
        let told = python::tags(&mount.join(RENAMED));
        assert!(
            told.iter()
                .any(|line| line.to_lowercase() == "title=dawn chorus"),
            "{told:?}"
        );
    }
}

#[test]
fn an_open_file_keeps_its_bytes_across_an_edit() {
    require_fuse!();
    let library = Library::of_two();
    let mount = Mount::new(&library);
    let expected = std::fs::read(mount.join(ONE_SERVED)).unwrap();
    let mut file = File::open(mount.join(ONE_SERVED)).unwrap();
    let mut read = vec![0; 1000];
    file.read_exact(&mut read).unwrap();
    edit(&mount, || {
        library.set_tag("one.flac", "title", "Dawn Chorus");
        library.set_tag("one.flac", "comment", &"longer ".repeat(3000));
    });
    // Nothing of it may come from the kernel's memory.
    drop_caches();
    file.read_to_end(&mut read).unwrap();
    assert!(read == expected, "an open file changed");
    assert_eq!(file.metadata().unwrap().size(), expected.len() as u64);
    let now = std::fs::read(mount.join(RENAMED)).unwrap();
    assert!(now.len() > expected.len() + 20_000);
}

/// As root only; elsewhere what the kernel remembers is part of what is shown.
fn drop_caches() {
    std::fs::write("/proc/sys/vm/drop_caches", "3").ok();
}

#[test]
fn an_edit_that_only_moves_a_file_keeps_its_inode_in_structure_only_mode() {
    require_fuse!();
    let library = Library::of_two();
    let mount = Mount::with(&library, &["--mode", "structure-only"]);
    let before = mount.join(ONE_SERVED).metadata().unwrap();
    edit(&mount, || {
        library.set_tag("one.flac", "title", "Dawn Chorus");
    });
    let after = mount.join(RENAMED).metadata().unwrap();
    assert_eq!((after.ino(), after.size()), (before.ino(), before.size()));
}

#[test]
fn files_come_and_go_with_a_scan_while_mounted() {
    require_fuse!();
    let library = Library::of_two();
    let mount = Mount::new(&library);
    edit(&mount, || {
        library.add(
            "new.flac",
            Sound::TinyFlac,
            &[("title", "New"), ("artist", "New")],
            false,
        );
        library.scan();
    });
    assert!(mount.join("New/Unknown/New.flac").exists());
    edit(&mount, || {
        std::fs::remove_file(library.music().join("new.flac")).unwrap();
        library.scan();
    });
    eventually("a file that is gone leaves the tree", || {
        (!mount.join("New").exists()).then_some(())
    });
}

#[test]
fn a_size_is_right_for_every_edit_that_comes() {
    require_fuse!();
    let library = Library::of_two();
    let mount = Mount::new(&library);
    for len in [10, 5000, 1] {
        edit(&mount, || {
            library.set_tag("one.flac", "comment", &"x".repeat(len));
            library.set_tag("two.mp3", "comment", &"x".repeat(len));
        });
        for served in [ONE_SERVED, TWO_SERVED] {
            // Whoever opens by name gets one version, whole.
            let mut file = File::open(mount.join(served)).unwrap();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            assert_eq!(
                file.metadata().unwrap().size(),
                bytes.len() as u64,
                "{served}"
            );
        }
    }
}

#[test]
fn a_store_that_is_replaced_is_taken_over() {
    require_fuse!();
    let library = Library::of_two();
    let other = Library::new();
    other.add(
        "other.flac",
        Sound::TinyFlac,
        &[ONE, &[("title", "Other")]].concat(),
        false,
    );
    other.scan();
    other
        .store()
        .execute_batch("PRAGMA journal_mode = DELETE")
        .unwrap();
    let mount = Mount::new(&library);
    let inode = mount.join(ONE_SERVED).metadata().unwrap().ino();
    edit(&mount, || {
        for end in ["-wal", "-shm"] {
            std::fs::remove_file(format!("{}{end}", library.db().display())).ok();
        }
        std::fs::rename(other.db(), library.db()).unwrap();
    });
    let shown = mount.join("Boards of Canada/Geogaddi/Other.flac");
    assert_ne!(shown.metadata().unwrap().ino(), inode);
    assert!(!std::fs::read(shown).unwrap().is_empty());
    assert_eq!(
        mount.metrics().value("musefs_refresh_gap_fallbacks_total"),
        1
    );
}

#[test]
fn a_file_that_was_just_edited_opens_before_the_next_poll() {
    require_fuse!();
    let library = Library::of_two();
    // Far apart: only whoever needs the edit makes it seen.
    let mut command = musefs(["mount", "--poll-interval-ms", "60000", "--db"]);
    command.arg(library.db()).arg(library.mountpoint());
    let mount = Mount::start(&mut command, &library.mountpoint()).unwrap();
    mount.join(ONE_SERVED).metadata().unwrap();
    library.set_tag("one.flac", "comment", "edited, under the same name");
    let bytes = std::fs::read(mount.join(ONE_SERVED)).expect("no error shows of an edit");
    let edited = b"edited, under the same name";
    assert!(bytes.windows(edited.len()).any(|window| window == edited));
}

#[test]
fn a_store_that_is_deleted_and_made_anew_while_mounted_is_whole() {
    require_fuse!();
    let library = Library::of_two();
    let mount = Mount::new(&library);
    edit(&mount, || library.set_tag("one.flac", "title", "Edited"));
    std::fs::remove_file(library.db()).unwrap();
    library.scan();
    mount.metrics_when("the new store is taken over", |metrics| {
        metrics.value("musefs_refresh_gap_fallbacks_total") == 1
            && metrics.value("musefs_refresh_needs_rebuild") == 0
    });
    eventually("its tracks are served", || {
        std::fs::read(mount.join(ONE_SERVED)).ok()
    });
    mount.stop().done();
    let mount = Mount::new(&library);
    assert!(
        mount.join(ONE_SERVED).exists(),
        "nothing was lost with the old one's log"
    );
}
