//! What a scan reads of a file depends on its text, not on its pictures or its sound.

use crate::support::judge::judge;
use crate::support::kinds::{self, Kind};
use crate::support::library::Library;
use crate::support::python;

/// Most bytes that a scan reads of a file with a few short texts, however large its cover.
const BYTES_READ_MAX: i64 = 64 << 10;

/// The cover is larger than this, in bytes.
const COVER_BYTES_MIN: u64 = 5_000_000;

/// One kind of each format.
const KINDS: [Kind; 11] = [
    kinds::FLAC,
    kinds::MP3,
    kinds::MP4_AAC,
    kinds::OGG_VORBIS,
    kinds::WAV,
    kinds::AIFF,
    kinds::APE,
    kinds::WAVPACK,
    kinds::MUSEPACK,
    kinds::TRUE_AUDIO,
    kinds::ADTS,
];

/// Bytes that the last scan read, titles and pictures that it found.
fn scanned(library: &Library) -> (i64, i64, i64) {
    library
        .store()
        .query_row(
            "SELECT (SELECT bytes_read FROM scan_runs ORDER BY id DESC LIMIT 1),
                    (SELECT count(*) FROM tags WHERE key = 'title' AND value = 'The title'),
                    (SELECT count(*) FROM art)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .expect("a scan was recorded")
}

#[test]
fn a_cover_of_5_mb_is_found_and_not_read() {
    require_fuse!();
    require!(python::has_mutagen(), "there is no mutagen");
    let mut faults = Vec::new();
    for kind in &KINDS {
        let Some(sample) = kinds::sample(kind) else {
            crate::support::skip("MUSEFS_CORPUS names no directory");
            continue;
        };
        let library = Library::new();
        let arguments = [
            kind.family.into(),
            sample.into_os_string(),
            library.music().into_os_string(),
            "cover".into(),
        ];
        judge("write", arguments);
        let file = library.music().join(format!("cover.{}", kind.extension));
        let len = file.metadata().expect("the judge wrote it").len();
        assert!(len > COVER_BYTES_MIN, "{}: {len} bytes", kind.name);
        library.scan();
        let (read, titles, pictures) = scanned(&library);
        eprintln!("{}: {read} bytes of {len} read", kind.name);
        if (titles, pictures) != (1, 1) || read == 0 || read > BYTES_READ_MAX {
            faults.push(format!(
                "{}: {titles} titles, {pictures} pictures, {read} bytes read",
                kind.name
            ));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
