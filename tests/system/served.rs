//! What a mount shows: names by template, tags and art as the store has them, the same sound, and untouched backing files.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::audio::{self, Sound};
use crate::support::files_below;
use crate::support::library::{Library, ONE, ONE_SERVED, TWO, TWO_SERVED};
use crate::support::mount::Mount;
use crate::support::process::run;
use crate::support::{has_program, python};

/// A mount without its metrics directory, which is no part of the library.
fn plain(library: &Library, arguments: &[&str]) -> Mount {
    Mount::with(library, &[&["--metrics-dir", "off"], arguments].concat())
}

#[test]
fn the_default_template_names_files_by_artist_album_and_title() {
    require_fuse!();
    let library = Library::of_two();
    let mount = plain(&library, &[]);
    assert_eq!(files_below(mount.path()), [TWO_SERVED, ONE_SERVED]);
    mount.stop().done();
}

#[test]
fn sections_vanish_where_a_field_is_missing_and_track_numbers_are_padded() {
    require_fuse!();
    let library = Library::new();
    library.add("one.flac", Sound::TinyFlac, ONE, false);
    let undated: Vec<_> = ONE.iter().copied().filter(|tag| tag.0 != "date").collect();
    library.add("undated.flac", Sound::TinyFlac, &undated, false);
    library.add(
        "two.mp3",
        Sound::Mp3,
        &[TWO, &[("track", "7/100")]].concat(),
        false,
    );
    library.scan();
    let template = "$albumartist/[$year - ]$album/[$track ]$title";
    let mount = plain(&library, &["--template", template]);
    assert_eq!(
        files_below(mount.path()),
        [
            "Abba/1976 - Arrival/007 Money.mp3",
            "Boards of Canada/2002 - Geogaddi/01 Ready.flac",
            "Boards of Canada/Geogaddi/01 Ready.flac",
        ]
    );
}

#[test]
fn files_that_want_one_name_are_numbered() {
    require_fuse!();
    let library = Library::new();
    for name in ["a.flac", "b.flac", "c.flac"] {
        library.add(name, Sound::TinyFlac, ONE, false);
    }
    library.scan();
    let mount = plain(&library, &["--template", "$title"]);
    assert_eq!(
        files_below(mount.path()),
        ["Ready (2).flac", "Ready (3).flac", "Ready.flac"]
    );
}

#[test]
fn mutagen_reads_the_tags_and_the_art_of_the_backing_files() {
    require_fuse!();
    require!(python::has_mutagen(), "there is no mutagen");
    let library = Library::of_two();
    let mount = Mount::new(&library);
    for (backing, served) in [("one.flac", ONE_SERVED), ("two.mp3", TWO_SERVED)] {
        let told = python::tags(&mount.join(served));
        assert_eq!(told, python::tags(&library.music().join(backing)));
        let pictures = told.iter().filter(|line| line.starts_with("picture="));
        assert_eq!(pictures.count(), 1, "{told:?}");
    }
}

#[test]
fn mutagen_reads_edited_tags_and_everything_else_as_it_was() {
    require_fuse!();
    require!(python::has_mutagen(), "there is no mutagen");
    let library = Library::of_two();
    library.set_tag("one.flac", "genre", "Märchen");
    library.set_tag("two.mp3", "genre", "Märchen");
    let mount = Mount::new(&library);
    for (backing, served) in [("one.flac", ONE_SERVED), ("two.mp3", TWO_SERVED)] {
        let mut expected = python::tags(&library.music().join(backing));
        for line in &mut expected {
            *line = line
                .replace("genre=Electronic", "genre=Märchen")
                .replace("TCON=Pop", "TCON=Märchen");
        }
        expected.sort();
        let told = python::tags(&mount.join(served));
        assert_eq!(told, expected);
        assert!(told.iter().any(|line| line.ends_with("=Märchen")));
    }
}

#[test]
fn art_that_somebody_put_into_the_store_is_served() {
    require_fuse!();
    require!(python::has_mutagen(), "there is no mutagen");
    let library = Library::of_two();
    let picture: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let store = library.store();
    store
        .execute("INSERT INTO blobs (data) VALUES (?1)", [&picture])
        .unwrap();
    let blob = store.last_insert_rowid();
    store
        .execute(
            "INSERT INTO art (track_id, ordinal, picture_type, mime, description, blob_id)
             SELECT id, 1, 4, 'image/jpeg', 'back', ?1 FROM tracks",
            [blob],
        )
        .unwrap();
    drop(store);
    let mount = Mount::new(&library);
    for served in [ONE_SERVED, TWO_SERVED] {
        let told = python::tags(&mount.join(served));
        let added = told
            .iter()
            .filter(|line| line.starts_with("picture=4 image/jpeg back "));
        assert_eq!(added.count(), 1, "{told:?}");
        let bytes = std::fs::read(mount.join(served)).unwrap();
        assert!(bytes.windows(1000).any(|window| window == &picture[..1000]));
    }
}

#[test]
fn the_sound_of_every_served_file_is_that_of_its_backing_file() {
    require_fuse!();
    let library = Library::of_two();
    // Edited, so that nothing is served as it is.
    library.set_tag("one.flac", "comment", &"long ".repeat(5000));
    library.set_tag("two.mp3", "comment", &"long ".repeat(5000));
    let mount = Mount::new(&library);
    for (backing, served) in [("one.flac", ONE_SERVED), ("two.mp3", TWO_SERVED)] {
        let served = mount.join(served);
        let backing = library.music().join(backing);
        assert!(served.metadata().unwrap().len() > backing.metadata().unwrap().len());
        assert_eq!(audio::sound_hash(&served), audio::sound_hash(&backing));
    }
}

#[test]
fn flac_finds_no_fault_in_served_files() {
    require_fuse!();
    require!(has_program("flac"), "there is no flac");
    let library = Library::of_two();
    library.set_tag("one.flac", "comment", "edited");
    let mount = Mount::new(&library);
    run(Command::new("flac")
        .args(["-t", "-s"])
        .arg(mount.join(ONE_SERVED)))
    .done();
}

#[test]
fn any_part_of_a_file_is_that_slice_of_the_whole() {
    require_fuse!();
    let library = Library::of_two();
    library.set_tag("one.flac", "comment", "edited");
    let mount = Mount::new(&library);
    for served in [ONE_SERVED, TWO_SERVED] {
        let path = mount.join(served);
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(whole.len() as u64, path.metadata().unwrap().len());
        // Direct, so that each read reaches musefs as it is.
        let file = open_direct(&path);
        for (offset, len) in [
            (0, 1),
            (1, 4095),
            (4090, 12),
            (8191, 70_001),
            (whole.len() - 3, 10),
        ] {
            let mut part = vec![0; len];
            let count = file.read_at(&mut part, offset as u64).unwrap();
            let end = (offset + len).min(whole.len());
            assert_eq!(part[..count], whole[offset..end], "{served} at {offset}");
        }
        assert_eq!(file.read_at(&mut [0; 8], whole.len() as u64).unwrap(), 0);
    }
}

fn open_direct(path: &Path) -> File {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options()
        .read(true)
        .custom_flags(libc::O_DIRECT)
        .open(path)
        .unwrap()
}

#[test]
fn structure_only_serves_the_bytes_of_the_backing_files() {
    require_fuse!();
    let library = Library::of_two();
    library.set_tag("one.flac", "title", "Moved");
    let mount = Mount::with(&library, &["--mode", "structure-only"]);
    for (backing, served) in [
        ("one.flac", "Boards of Canada/Geogaddi/Moved.flac"),
        ("two.mp3", TWO_SERVED),
    ] {
        let mut bytes = Vec::new();
        File::open(mount.join(served))
            .unwrap()
            .read_to_end(&mut bytes)
            .unwrap();
        assert!(
            bytes == std::fs::read(library.music().join(backing)).unwrap(),
            "{served}"
        );
    }
}

#[test]
fn a_dry_run_prints_the_tree_and_mounts_nothing() {
    require_fuse!();
    let library = Library::of_two();
    let told = run(Mount::command(&library).arg("--dry-run")).done().text();
    assert_eq!(told, format!("{TWO_SERVED}\n{ONE_SERVED}\n2 tracks\n"));
    assert_eq!(std::fs::read_dir(library.mountpoint()).unwrap().count(), 0);
}
