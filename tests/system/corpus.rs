//! Files that others collected because some program had trouble with them: mutagen's test files, under `MUSEFS_CORPUS`.
//!
//! Each is scanned, listed, read to its end with the size that it states, and loses nothing that mutagen finds in the original,
//! but for what the table in `docs/corpus.md` names, with a reason.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::files_below;
use crate::support::judge::judge;
use crate::support::kinds;
use crate::support::library::Library;
use crate::support::mount::Mount;
use crate::support::python;

/// Extensions of this corpus alone, and those that the files have in libraries.
const EXTENSIONS: [(&str, &str); 5] = [
    ("oggflac", "oga"),
    ("oggtheora", "ogg"),
    ("id3", "mp3"),
    ("3g2", "mp4"),
    ("eac3", "ac3"),
];

/// Fewer audio files than this are not the corpus.
const FILES_MIN: usize = 80;

const EXCEPTIONS: &str = include_str!("../../docs/corpus.md");

/// Name of the file and of what is lost, from the rows of the table.
fn exceptions() -> BTreeSet<(String, String)> {
    EXCEPTIONS
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let parts: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            assert!(parts.len() == 3 && !parts[2].is_empty(), "{line}");
            (parts[0].trim_matches('`').to_owned(), parts[1].to_owned())
        })
        .collect()
}

fn copy_audio(from: &Path, to: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(from).expect("the corpus lists") {
        let path = entry.expect("an entry of the corpus reads").path();
        let mut name = path
            .file_name()
            .expect("a file")
            .to_string_lossy()
            .into_owned();
        let extension = path.extension().unwrap_or_default();
        if let Some((_, known)) = EXTENSIONS.iter().find(|(other, _)| extension == *other) {
            name = format!("{name}.{known}");
        }
        let extension = Path::new(&name).extension().unwrap_or_default();
        if musefs_core::formats::is_audio_extension(extension.as_encoded_bytes()) {
            std::fs::copy(&path, to.join(&name)).expect("a library is writable");
            names.push(name);
        }
    }
    names.sort();
    names
}

#[test]
fn files_that_others_had_trouble_with_lose_nothing() {
    require_fuse!();
    require!(python::has_mutagen(), "there is no mutagen");
    let Some(corpus) = kinds::corpus() else {
        return crate::support::skip("MUSEFS_CORPUS names no directory");
    };
    let library = Library::new();
    let names = copy_audio(&corpus, &library.music());
    assert!(names.len() >= FILES_MIN, "{names:?}");
    // Some are broken on purpose, which the exit code tells.
    let scanned = library.try_scan(&[]);
    scanned.is_calm();
    assert!(matches!(scanned.code, Some(0 | 2)), "{scanned:?}");
    let mount = Mount::with(
        &library,
        &["--template", "$filename", "--metrics-dir", "off"],
    );
    assert_eq!(files_below(mount.path()), names);
    for name in &names {
        let path = mount.join(name);
        let stated = path.metadata().expect("a served file has attributes").len();
        let read = std::fs::read(&path).expect("a served file reads");
        assert_eq!(read.len() as u64, stated, "{name}");
    }
    let verdict = judge(
        "corpus",
        [library.music().as_os_str(), mount.path().as_os_str()],
    );
    assert!(verdict.checked > names.len() / 2, "{verdict:?}");
    let lost: BTreeSet<(String, String)> = verdict
        .lines
        .iter()
        .map(|line| {
            let mut parts = line.split('\t').map(ToOwned::to_owned);
            (
                parts.next().unwrap_or_default(),
                parts.next().unwrap_or_default(),
            )
        })
        .collect();
    let excepted = exceptions();
    let unlisted: Vec<&String> = verdict
        .lines
        .iter()
        .filter(|line| {
            !excepted
                .iter()
                .any(|(file, what)| line.starts_with(&format!("{file}\t{what}\t")))
        })
        .collect();
    assert!(unlisted.is_empty(), "not listed: {unlisted:#?}");
    let over: Vec<_> = excepted.difference(&lost).collect();
    assert!(over.is_empty(), "listed, and not lost any more: {over:#?}");
}
