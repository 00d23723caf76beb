//! WAVE, AIFF, `APEv2`-tagged and ADTS files: what mutagen reads of them and how they sound, untouched and edited.

use std::path::{Path, PathBuf};

use crate::support::library::Library;
use crate::support::mount::Mount;
use crate::support::{audio, files_below, python};

/// Files, each with the arguments that encode it. All keep their tags where mutagen looks for them.
const FILES: &[(&str, &[&str])] = &[
    ("info.wav", &["-metadata", "genre=From INFO"]),
    (
        "bext.wav",
        &[
            "-write_bext",
            "1",
            "-metadata",
            "description=x",
            "-c:a",
            "pcm_s24le",
        ],
    ),
    ("text.aiff", &["-metadata", "comment=From ANNO"]),
    ("one.wv", &[]),
    // Without the APEv2 tag that names the encoder.
    ("one.tta", &["-fflags", "+bitexact"]),
    ("one.aac", &["-f", "adts"]),
];

/// The files with tags by mutagen, scanned.
fn tagged() -> Library {
    let library = Library::new();
    for (name, arguments) in FILES {
        let path = library.music().join(name);
        audio::encode(&path, arguments);
        python::script(include_str!("support/tag_files.py"), [&path]).done();
    }
    library.scan();
    library
}

/// A mount that names files by their titles, which hold the names of the backing files.
fn mounted(library: &Library) -> Mount {
    let template = ["--metrics-dir", "off", "--template", "$title"];
    let mount = Mount::with(library, &template);
    assert_eq!(files_below(mount.path()).len(), FILES.len());
    mount
}

fn served(mount: &Mount, name: &str) -> PathBuf {
    mount.join(format!("Žluťoučký {name}"))
}

/// What mutagen reads of a file: one line for each frame or item.
fn tags(path: &Path) -> Vec<String> {
    let told = python::script(include_str!("support/all_tags.py"), [path]).done();
    told.text().lines().map(ToOwned::to_owned).collect()
}

/// Part of a file that must be in it as it is.
fn has(file: &Path, part: &[u8]) -> bool {
    let bytes = std::fs::read(file).expect("the file reads");
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn mutagen_reads_every_frame_and_item_of_the_backing_files() {
    require_fuse!();
    require!(python::has_mutagen(), "there is no mutagen");
    let library = tagged();
    let mount = mounted(&library);
    for (name, _) in FILES {
        let told = tags(&served(&mount, name));
        assert_eq!(told, tags(&library.music().join(name)), "{name}");
        assert!(told.len() >= 8, "{told:?}");
    }
}

#[test]
fn edits_are_read_beside_everything_else_and_the_sound_is_the_same() {
    require_fuse!();
    require!(python::has_mutagen(), "there is no mutagen");
    let library = tagged();
    for (name, _) in FILES {
        library.set_tag(name, "genre", "Märchen");
        library.set_tag(name, "mood", &"long ".repeat(5000));
    }
    let mount = mounted(&library);
    for (name, _) in FILES {
        let (backing, served) = (library.music().join(name), served(&mount, name));
        let told = tags(&served);
        for line in tags(&backing) {
            assert!(told.contains(&line), "{name}: no {line}");
        }
        assert!(told.iter().any(|line| line.contains("Märchen")), "{name}");
        assert_eq!(
            audio::sound_hash(&served),
            audio::sound_hash(&backing),
            "{name}"
        );
        let (served_len, len) = (
            served.metadata().unwrap().len(),
            backing.metadata().unwrap().len(),
        );
        assert!(served_len > len + 20_000, "{name}: {served_len} of {len}");
    }
    assert!(has(
        &served(&mount, "info.wav"),
        "IGNR\x09\0\0\0Märchen\0".as_bytes()
    ));
    assert!(has(&served(&mount, "bext.wav"), b"bext"));
}

#[test]
fn files_without_tags_of_mutagen_are_served_byte_for_byte() {
    require_fuse!();
    let library = Library::new();
    for (name, arguments) in FILES {
        let stem = name.split('.').next().expect("a name");
        let title = format!("title=Žluťoučký {stem}");
        // ADTS holds no tags of ffmpeg's, and so has no name of its own.
        if *name != "one.aac" {
            let arguments = [arguments, &["-metadata", &title][..]].concat();
            audio::encode(&library.music().join(name), &arguments);
        }
    }
    library.scan();
    let mount = Mount::with(&library, &["--metrics-dir", "off", "--template", "$title"]);
    for (name, _) in FILES.iter().filter(|(name, _)| *name != "one.aac") {
        let backing = std::fs::read(library.music().join(name)).unwrap();
        assert!(
            std::fs::read(served(&mount, name)).unwrap() == backing,
            "{name}"
        );
    }
}
