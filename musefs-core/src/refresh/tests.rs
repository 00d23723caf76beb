use std::fs;

use crate::serve::Error;
use crate::testing::Library;
use crate::tree::Inode;

#[test]
fn a_replaced_store_is_taken_over_and_no_inode_is_used_twice() {
    let library = Library::new();
    library.add("a.flac", "One");
    library.scan();
    let (musefs, mut refresher) = library.serve();
    let inodes = |name: &str| {
        let artist = musefs.lookup(Inode::ROOT, b"Artist")?;
        let album = musefs.lookup(artist.inode, b"Album")?;
        musefs
            .lookup(album.inode, name.as_bytes())
            .map(|found| found.inode)
    };
    let old = inodes("One.flac").unwrap();

    let other = Library::new();
    other.add("b.flac", "Other");
    other.scan();
    for suffix in ["-wal", "-shm"] {
        fs::remove_file(format!("{}{suffix}", library.db().display())).ok();
    }
    fs::rename(other.db(), library.db()).unwrap();
    refresher.poll(&musefs).unwrap().unwrap();
    assert!(matches!(inodes("One.flac"), Err(Error::NotFound)));
    let new = inodes("Other.flac").unwrap();
    assert!(new > old, "{new:?} after {old:?}");
    musefs.open(new).unwrap();
    let telemetry = musefs.telemetry();
    assert_eq!(
        (
            telemetry.refresh_gap_fallbacks,
            telemetry.refresh_generation
        ),
        (1, 1)
    );
    assert!(refresher.poll(&musefs).unwrap().is_none());
}

#[test]
fn a_store_that_cannot_be_read_leaves_the_tree_and_is_told() {
    let library = Library::new();
    library.add("a.flac", "One");
    library.scan();
    let (musefs, mut refresher) = library.serve();
    let away = library.music().join("away");
    fs::rename(library.db(), &away).unwrap();
    assert!(refresher.poll(&musefs).is_err());
    assert!(musefs.telemetry().refresh_needs_rebuild);
    assert!(musefs.lookup(Inode::ROOT, b"Artist").is_ok());
    fs::rename(&away, library.db()).unwrap();
    refresher.poll(&musefs).unwrap();
    assert!(!musefs.telemetry().refresh_needs_rebuild);
}

#[test]
fn sizes_of_edited_tracks_are_computed_once_and_kept() {
    let library = Library::new();
    for number in 0..5 {
        library.add(&format!("{number}.flac"), &format!("Title {number}"));
    }
    library.scan();
    library.edit("UPDATE tags SET value = value || '!' WHERE key = 'title' AND value < 'Title 3'");
    let (_musefs, mut refresher) = library.serve();
    let (_, report) = refresher.build(None).unwrap();
    assert_eq!(
        (report.listed, report.sizes_computed),
        (5, 0),
        "the first tree kept what it computed"
    );
    library.edit("UPDATE tags SET value = 'x' WHERE key = 'title' AND value = 'Title 4'");
    let (_, report) = refresher.build(None).unwrap();
    assert_eq!(report.sizes_computed, 1);
}
