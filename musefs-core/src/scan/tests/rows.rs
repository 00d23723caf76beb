//! Rows that another version of musefs wrote, and rows that somebody broke.

use super::*;
use crate::formats::Structure;

/// Two files, scanned; the second one's title edited.
fn library() -> Library {
    let mut library = Library::new();
    library.file("one.flac", flac("One"));
    library.file("two.flac", flac("Two"));
    library.scan();
    library.edit("UPDATE tags SET value = 'Mine' WHERE key = 'title' AND value = 'Two'");
    library
}

fn structure(library: &Library, track: TrackId) -> Structure {
    let detail = library.store.track(track).expect("readable");
    detail.expect("there").structure
}

#[test]
fn files_that_another_version_read_are_read_again_and_edits_kept() {
    let mut library = library();
    library.edit("UPDATE tracks SET probe_version = probe_version - 1");
    let before = library.row("one.flac");
    assert!(!before.is_current);
    assert_eq!(
        structure(&library, before.id),
        Structure::AsIs,
        "never guessed at"
    );
    assert_eq!(before.served_size, Some(before.stamp.size));
    let report = library.scan();
    assert_eq!(counts(&report), (2, 0, 2, 0, 0));
    assert_eq!((report.outdated, report.scan_opens), (2, 2));
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    let after = library.row("one.flac");
    assert!(matches!(structure(&library, after.id), Structure::Flac(_)));
    assert!(
        after.content_seq > before.content_seq,
        "other bytes, another inode"
    );
    assert_eq!(library.title(after.id).as_deref(), Some("One"));
    let edited = library.row("two.flac");
    assert_eq!(library.title(edited.id).as_deref(), Some("Mine"));
    let again = library.scan();
    assert_eq!(
        (again.unchanged, again.outdated, again.scan_opens),
        (2, 0, 0)
    );
}

#[test]
fn edits_that_are_given_up_change_no_bytes_until_the_next_scan() {
    let mut library = library();
    let before = library.row("two.flac");
    library.edit("UPDATE tracks SET edited_ns = NULL");
    let given_up = library.row("two.flac");
    assert_eq!(given_up.content_seq, before.content_seq);
    assert!(matches!(structure(&library, before.id), Structure::Flac(_)));
    let report = library.scan();
    assert_eq!((report.outdated, report.updated), (1, 1));
    assert_eq!(library.title(before.id).as_deref(), Some("Two"));
}

#[test]
fn a_broken_row_stops_no_scan_and_is_mended_by_it() {
    let mut library = library();
    for broken in [
        "format = 'wax cylinder'",
        "format = CAST(x'ff00' AS TEXT)",
        "failure = 'bored'",
        "failure = CAST(x'80' AS TEXT)",
        "structure = x'ff'",
        "structure = x''",
        "structure = zeroblob(100000)",
        "probe_version = 9223372036854775807",
        "probe_version = -9223372036854775808",
        "probe_version = 0",
    ] {
        let before = library.row("two.flac");
        library.edit(&format!(
            "UPDATE tracks SET {broken} WHERE path = CAST('two.flac' AS BLOB)"
        ));
        let row = library.row("two.flac");
        assert!(
            row.change_seq > before.change_seq,
            "a mount hears of it: {broken}"
        );
        if !broken.starts_with("fail") {
            assert!(row.content_seq > before.content_seq, "{broken}");
        }
        if !broken.starts_with('f') {
            assert_eq!(structure(&library, row.id), Structure::AsIs, "{broken}");
        }
        let report = library.scan();
        assert_eq!(counts(&report), (2, 0, 1, 1, 0), "{broken}");
        let named = report.warnings.get(&ScanWarning::BrokenRow);
        let named = named.map_or(0, |named| named.count);
        assert_eq!(
            (named + report.outdated, report.scan_opens),
            (1, 1),
            "{broken}"
        );
        let mended = library.row("two.flac");
        assert_eq!(
            (mended.format, mended.failure),
            (Format::Flac, None),
            "{broken}"
        );
        assert!(
            matches!(structure(&library, mended.id), Structure::Flac(_)),
            "{broken}"
        );
        assert_eq!(
            library.title(mended.id).as_deref(),
            Some("Mine"),
            "{broken}"
        );
        assert!(mended.served_size.is_some(), "{broken}");
    }
}
