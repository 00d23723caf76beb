//! Scans of small directories, judged by their reports, by the rows, and by the work they took.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::sync::atomic::AtomicU64;

use tempfile::TempDir;

use musefs_telemetry::{Engine, MetricSet as _};

use super::*;
use crate::formats::{Failure, Format, synthesize};
use crate::store::{TrackFailure, TrackId, TrackRow};

mod properties;
mod rows;

/// A FLAC file of a few blocks: STREAMINFO, a title, a picture, and what passes for frames as long as nobody decodes it.
fn flac(title: &str) -> Vec<u8> {
    let block = |kind: u8, body: &[u8]| {
        let len = u32::try_from(body.len()).expect("small").to_be_bytes();
        [&[kind, len[1], len[2], len[3]], body].concat()
    };
    let text = |text: &str| {
        let len = u32::try_from(text.len()).expect("small");
        [&len.to_le_bytes(), text.as_bytes()].concat()
    };
    // 4096 samples a block, 44100 Hz, 2 channels of 16 bits, length and MD5 unknown.
    let mut stream_info = [0; 34];
    stream_info[..4].copy_from_slice(&[0x10, 0, 0x10, 0]);
    stream_info[10..14].copy_from_slice(&[0x0a, 0xc4, 0x42, 0xf0]);
    let comments = [
        text("tests"),
        1_u32.to_le_bytes().to_vec(),
        text(&format!("TITLE={title}")),
    ]
    .concat();
    let picture = [
        &[0, 0, 0, 3, 0, 0, 0, 9][..],
        b"image/png",
        &[0; 20],
        &[0, 0, 0, 5],
        b"bytes",
    ]
    .concat();
    [
        b"fLaC".to_vec(),
        block(0, &stream_info),
        block(4, &comments),
        block(0x86, &picture),
        b"\xff\xf8\xc9\x18 frames".to_vec(),
    ]
    .concat()
}

struct Library {
    directory: TempDir,
    store: Store,
    options: ScanOptions,
}

impl Library {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(directory.path().join("music")).expect("a directory");
        let store = Store::create(&directory.path().join("musefs.db")).expect("a new store");
        Self {
            directory,
            store,
            options: ScanOptions::default(),
        }
    }

    /// A path in the music directory, without symbolic links.
    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        let music = self.directory.path().join("music");
        fs::canonicalize(music).expect("there").join(name)
    }

    fn file(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("in a directory")).expect("a directory");
        fs::write(&path, content).expect("a file");
        path
    }

    fn scan(&mut self) -> ScanReport {
        self.scan_only(&[""])
    }

    fn scan_only(&mut self, names: &[&str]) -> ScanReport {
        let targets: Vec<PathBuf> = names.iter().map(|name| self.path(name)).collect();
        self.scan_with(&targets, &(), &AtomicBool::new(false))
            .expect("a report")
    }

    fn scan_with(
        &mut self,
        targets: &[PathBuf],
        progress: &dyn Progress,
        cancel: &AtomicBool,
    ) -> Result<ScanReport, ScanError> {
        let metrics = Metrics::declare(&Engine::new()).expect("a new engine");
        scan(
            &mut self.store,
            targets,
            &self.options,
            &metrics,
            progress,
            cancel,
        )
    }

    /// All rows, by absolute path.
    fn rows(&self) -> BTreeMap<PathBuf, TrackRow> {
        let roots: BTreeMap<_, _> = self
            .store
            .roots()
            .expect("readable")
            .into_iter()
            .map(|root| (root.id, root.path))
            .collect();
        let mut rows = BTreeMap::new();
        self.store
            .for_each_track(&[], |row, _| {
                let path = roots[&row.root].join(OsStr::from_bytes(&row.path));
                let twice = rows.insert(path, row);
                assert_eq!(twice, None, "a path is stored twice");
            })
            .expect("a pass");
        rows
    }

    fn row(&self, name: impl AsRef<Path>) -> TrackRow {
        let path = self.path(name);
        self.rows().remove(&path).expect("a row")
    }

    fn title(&self, track: TrackId) -> Option<String> {
        let detail = self.store.track(track).expect("readable").expect("there");
        let title = detail.tags.into_iter().find(|tag| tag.key == "title");
        title.map(|tag| tag.value)
    }

    fn edit(&self, sql: &str) {
        rusqlite::Connection::open(self.store.path())
            .and_then(|outside| outside.execute_batch(sql))
            .expect(sql);
    }
}

fn counts(report: &ScanReport) -> (u64, u64, u64, u64, u64) {
    (
        report.files_seen,
        report.added,
        report.updated,
        report.unchanged,
        report.missing,
    )
}

#[test]
fn a_scan_lists_audio_files_and_leaves_others_alone() {
    let mut library = Library::new();
    library.file("a/one.flac", flac("One"));
    library.file("a/TWO.FLAC", flac("Two"));
    library.file("a/cover.jpg", "JPEG");
    library.file("b/noise.mp3", "nothing of the kind");
    library.file("b/empty.mp3", "");
    let report = library.scan();
    assert_eq!(counts(&report), (4, 4, 0, 0, 0));
    assert_eq!(library.rows().len(), 4);
    let one = library.row("a/one.flac");
    assert_eq!((one.format, one.failure), (Format::Flac, None));
    let detail = library.store.track(one.id).expect("readable");
    let layout = synthesize(&detail.expect("there").desired()).expect("a layout");
    assert_eq!(one.served_size, Some(layout.len()));
    assert_eq!(library.title(one.id).as_deref(), Some("One"));
    for (name, failure) in [
        ("b/noise.mp3", Failure::Unrecognised),
        ("b/empty.mp3", Failure::Empty),
    ] {
        let failure = TrackFailure::Probe(failure);
        assert_eq!(library.row(name).failure, Some(failure));
        let found = &report.failures[&ScanFailure::Track(failure)];
        assert_eq!(found.count, 1);
        assert_eq!(found.places[0].path, library.path(name));
    }
    assert_eq!(report.failed(), 2);
    assert_eq!(report.scan_opens, 4);
    let run = library.store.last_scan().expect("readable").expect("there");
    assert!(run.finished_ns.is_some());
    assert_eq!(run.counts, report.counts());
    assert_eq!(
        run.failures,
        [("empty".to_owned(), 1), ("unrecognised".to_owned(), 1)]
    );
}

#[test]
fn an_unchanged_library_is_scanned_without_opening_a_file() {
    let mut library = Library::new();
    for number in 0..30 {
        library.file(format!("{number}.flac"), flac("A"));
    }
    library.file("broken.mp3", "?");
    library.scan();
    let rows = library.rows();
    let sequence = library.store.sequence().expect("a number");
    let statements = library.store.statements();
    let report = library.scan();
    assert_eq!(counts(&report), (31, 0, 0, 31, 0));
    assert_eq!((report.scan_opens, report.scan_preads), (0, 0));
    assert_eq!(report.scan_bytes_read, 0);
    assert_eq!(report.failed(), 1, "what is broken is still told");
    assert_eq!(library.rows(), rows);
    assert_eq!(library.store.sequence().expect("a number"), sequence);
    // The roots, the known tracks, and the record of the scan; nothing for each file.
    let work = library.store.statements() - statements;
    assert!(work < 30, "{work} statements");
}

#[test]
fn reads_are_rounded_to_blocks_and_no_more() {
    let mut library = Library::new();
    let mut big = flac("Big");
    big.resize(1_000_000, b'x');
    library.file("big.flac", big);
    let report = library.scan();
    assert_eq!(report.scan_opens, 1);
    // The start with its metadata, and at most a look at the end.
    assert!(report.scan_preads <= 3, "{} reads", report.scan_preads);
    assert!(
        report.scan_bytes_read <= 4096 * report.scan_preads,
        "{} bytes",
        report.scan_bytes_read
    );
}

#[test]
fn each_new_file_costs_one_open_a_few_reads_and_a_few_statements() {
    let mut library = Library::new();
    let mut scan = |files: std::ops::Range<u32>| {
        for number in files {
            library.file(format!("{number}.flac"), flac("A"));
        }
        let before = library.store.statements();
        let report = library.scan();
        let statements = library.store.statements() - before;
        [
            report.scan_opens,
            report.scan_preads,
            report.scan_bytes_read,
            statements,
        ]
    };
    let (few, many) = (scan(0..5), scan(5..25));
    let file_bytes = flac("A").len() as u64;
    // For 15 files more: a look for its row, the row, and its one tag. They may be in another transaction or two.
    let mut most = [1, 2, 2 * file_bytes, 3].map(|each| 15 * each);
    most[3] += 15;
    for (work, most) in few
        .iter()
        .zip(&many)
        .map(|(few, many)| many - few)
        .zip(most)
    {
        assert!(work <= most, "{few:?} and then {many:?}");
    }
    assert_eq!(many[0], 20);
}

#[test]
fn force_reads_again_and_finds_the_same() {
    let mut library = Library::new();
    library.file("a.flac", flac("A"));
    library.scan();
    let rows = library.rows();
    library.options.force = true;
    let report = library.scan();
    assert_eq!(counts(&report), (1, 0, 0, 1, 0));
    assert_eq!(report.scan_opens, 1);
    assert_eq!(library.rows(), rows);
}

#[test]
fn a_changed_file_is_read_again() {
    let mut library = Library::new();
    library.file("a.flac", flac("Old"));
    library.file("b.flac", flac("A"));
    library.scan();
    let before = library.row("a.flac");
    library.file("a.flac", flac("Newer"));
    let report = library.scan();
    assert_eq!(counts(&report), (2, 0, 1, 1, 0));
    let after = library.row("a.flac");
    assert_eq!(after.id, before.id);
    assert!(after.content_seq > before.content_seq);
    assert!(after.backing_seq > before.backing_seq);
    assert_eq!(library.title(after.id).as_deref(), Some("Newer"));
}

#[test]
fn an_edited_track_keeps_its_edits_when_its_file_changes() {
    let mut library = Library::new();
    library.file("a.flac", flac("Old"));
    library.scan();
    library.edit("UPDATE tags SET value = 'Mine' WHERE key = 'title'");
    let edited = library.row("a.flac");
    assert_eq!(edited.served_size, None);
    library.file("a.flac", flac("The file's"));
    let report = library.scan();
    assert_eq!(counts(&report), (1, 0, 1, 0, 0));
    let after = library.row("a.flac");
    assert_eq!(library.title(after.id).as_deref(), Some("Mine"));
    assert_eq!(after.edited_ns, edited.edited_ns);
    assert!(after.served_size.is_some(), "computed anew");
}

#[test]
fn a_file_that_is_gone_is_missing_until_it_is_back() {
    let mut library = Library::new();
    let path = library.file("a.flac", flac("A"));
    library.file("b.flac", flac("A"));
    library.scan();
    let before = library.row("a.flac");
    library.edit("UPDATE tags SET value = 'Mine' WHERE key = 'title'");
    let aside = library.directory.path().join("aside");
    fs::rename(&path, &aside).expect("moved away");
    let report = library.scan();
    assert_eq!(counts(&report), (1, 0, 0, 1, 1));
    let gone = library.row("a.flac");
    assert_eq!(gone.failure, Some(TrackFailure::Missing));
    assert_eq!(counts(&library.scan()), (1, 0, 0, 1, 0), "told once");
    fs::rename(&aside, &path).expect("moved back");
    let report = library.scan();
    assert_eq!(counts(&report), (2, 0, 1, 1, 0));
    let back = library.row("a.flac");
    assert_eq!((back.id, back.failure), (before.id, None));
    assert_eq!(back.backing_seq, before.backing_seq);
    assert_eq!(library.title(back.id).as_deref(), Some("Mine"));
}

#[test]
fn a_renamed_file_keeps_its_track() {
    let mut library = Library::new();
    let path = library.file("old/a.flac", flac("A"));
    library.scan();
    let before = library.row("old/a.flac");
    fs::create_dir(library.path("new")).expect("a directory");
    fs::rename(path, library.path("new/b.flac")).expect("renamed");
    let report = library.scan();
    assert_eq!(counts(&report), (1, 0, 0, 0, 0));
    assert_eq!(report.moved, 1);
    let after = library.row("new/b.flac");
    assert_eq!(
        (after.id, after.content_seq),
        (before.id, before.content_seq)
    );
    assert_eq!(library.rows().len(), 1);
    // A second name of a file that is still there is a file of its own.
    fs::hard_link(library.path("new/b.flac"), library.path("new/a.flac")).expect("a link");
    let report = library.scan();
    assert_eq!(counts(&report), (2, 1, 0, 1, 0));
}

#[test]
fn names_that_are_no_utf_8_are_kept_to_the_byte() {
    let mut library = Library::new();
    let name = OsStr::from_bytes(b"bad\xff\xfe/na\xe9me.flac");
    library.file(name, flac("A"));
    let report = library.scan();
    assert_eq!(counts(&report), (1, 1, 0, 0, 0));
    assert_eq!(library.row(name).path, name.as_bytes());
    assert_eq!(counts(&library.scan()), (1, 0, 0, 1, 0));
}

#[test]
fn symbolic_links_are_counted_or_followed() {
    let mut library = Library::new();
    library.file("a/one.flac", flac("A"));
    symlink(library.path("a"), library.path("a/loop")).expect("a link");
    symlink(library.path("a/one.flac"), library.path("link.flac")).expect("a link");
    symlink("nowhere", library.path("dangling.flac")).expect("a link");
    let report = library.scan();
    assert_eq!(report.files_seen, 1);
    assert_eq!(report.warnings[&ScanWarning::SymlinkSkipped].count, 3);
    library.options.follow_symlinks = true;
    let report = library.scan();
    assert_eq!(report.files_seen, 2);
    assert_eq!(report.warnings[&ScanWarning::SymlinkLoop].count, 1);
    assert_eq!(report.warnings[&ScanWarning::SymlinkDangling].count, 1);
    assert_eq!(report.failed(), 0);
}

#[test]
fn a_pipe_with_the_name_of_a_song_is_left_alone() {
    let mut library = Library::new();
    let path = library.path("pipe.flac");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("mkfifo runs").success());
    let report = library.scan();
    assert_eq!(report.files_seen, 0);
    assert_eq!(report.warnings[&ScanWarning::NotRegular].count, 1);
}

#[test]
fn no_file_is_known_under_two_roots() {
    let mut library = Library::new();
    library.file("a/b/one.flac", flac("A"));
    library.file("a/two.flac", flac("A"));
    library.file("three.flac", flac("A"));
    // Inside, around, inside again, and all at once: `rows` asserts that no path is there twice.
    for (targets, tracks, roots) in [
        (&["a/b"][..], 1, 1),
        (&["a"], 2, 2),
        (&["a/b/one.flac"], 2, 2),
        (&["", "a", "a/b", "three.flac"], 3, 3),
        (&[""], 3, 3),
    ] {
        let report = library.scan_only(targets);
        assert_eq!(report.missing, 0, "{targets:?}");
        assert_eq!(library.rows().len(), tracks, "{targets:?}");
        assert_eq!(
            library.store.roots().expect("readable").len(),
            roots,
            "{targets:?}"
        );
    }
    let first = library.row("a/b/one.flac").id;
    fs::remove_file(library.path("a/b/one.flac")).expect("removed");
    let report = library.scan();
    assert_eq!(report.missing, 1, "seen through the outer target");
    assert_eq!(library.row("a/b/one.flac").id, first);
}

#[test]
fn a_part_of_a_root_says_nothing_of_the_rest() {
    let mut library = Library::new();
    library.file("a/one.flac", flac("A"));
    library.file("ab/two.flac", flac("A"));
    library.scan();
    fs::remove_file(library.path("a/one.flac")).expect("removed");
    fs::remove_file(library.path("ab/two.flac")).expect("removed");
    let report = library.scan_only(&["a"]);
    assert_eq!(report.missing, 1);
    assert_eq!(library.row("ab/two.flac").failure, None);
}

#[test]
fn a_target_that_cannot_be_scanned_is_named_and_the_others_go_on() {
    let mut library = Library::new();
    library.file("one.flac", flac("A"));
    library.file("cover.jpg", "JPEG");
    let targets = ["", "none", "cover.jpg"].map(|name| library.path(name));
    let devices = PathBuf::from("/dev/null");
    let report = library
        .scan_with(
            &[&targets[..], std::slice::from_ref(&devices)].concat(),
            &(),
            &AtomicBool::new(false),
        )
        .expect("one target is there");
    assert_eq!(report.added, 1);
    let said: Vec<_> = report
        .target_problems
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(said[0].ends_with("none does not exist"), "{said:?}");
    assert!(
        said[1].ends_with("no extension of an audio file"),
        "{said:?}"
    );
    assert!(
        said[2].ends_with("neither a directory nor a regular file"),
        "{said:?}"
    );
    let error = library
        .scan_with(&targets[1..], &(), &AtomicBool::new(false))
        .expect_err("nothing to scan");
    assert!(matches!(error, ScanError::NothingToScan { .. }), "{error}");
    assert!(error.to_string().contains("does not exist"), "{error}");
}

/// Counts what it is told, and cancels after some commits.
#[derive(Default)]
struct Watcher {
    found: AtomicU64,
    done: AtomicU64,
    problems: AtomicU64,
    cancel: AtomicBool,
    cancel_when_found: u64,
}

impl Progress for Watcher {
    fn on_found(&self, found: u64) {
        self.found.store(found, Ordering::Relaxed);
        if found == self.cancel_when_found {
            self.cancel.store(true, Ordering::Relaxed);
        }
    }

    fn on_done(&self, done: u64) {
        self.done.fetch_max(done, Ordering::Relaxed);
    }

    fn on_problem(&self, _: &Path, _: &str) {
        self.problems.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_cancelled_scan_keeps_what_it_has_and_goes_on_the_next_time() {
    let mut library = Library::new();
    for number in 0..5000 {
        // Each its own: a file like one that is gone, written in the same instant, would be taken for that one, renamed.
        library.file(format!("{number:04}.flac"), flac(&format!("{number:04}")));
    }
    library.scan_only(&["4999.flac"]);
    fs::remove_file(library.path("4999.flac")).expect("removed");
    let watcher = Watcher {
        cancel_when_found: 4000,
        ..Watcher::default()
    };
    let targets = [library.path("")];
    let report = library
        .scan_with(&targets, &watcher, &watcher.cancel)
        .expect("a report");
    assert!(report.cancelled);
    assert!(
        report.added > 0 && report.added < 4999,
        "{} added",
        report.added
    );
    assert_eq!(report.missing, 0, "nothing is known to be gone");
    assert_eq!(
        report.added,
        library.rows().len() as u64 - 1,
        "all that was counted is there"
    );
    let run = library.store.last_scan().expect("readable").expect("there");
    assert_eq!(run.finished_ns, None);
    let again = library.scan();
    assert_eq!(again.unchanged, report.added);
    assert_eq!(again.added, 4999 - report.added);
    assert_eq!(again.missing, 1);
}

#[test]
fn progress_adds_up() {
    let mut library = Library::new();
    for number in 0..10 {
        library.file(format!("{number}.flac"), flac("A"));
    }
    library.file("bad.mp3", "?");
    library.scan_only(&["3.flac"]);
    let watcher = Watcher::default();
    let targets = [library.path("")];
    library
        .scan_with(&targets, &watcher, &watcher.cancel)
        .expect("a report");
    assert_eq!(watcher.found.into_inner(), 11);
    assert_eq!(watcher.done.into_inner(), 11);
    assert_eq!(watcher.problems.into_inner(), 1);
}

/// As a user who is not the superuser, whose files a mode of 0 really closes.
#[test]
fn what_cannot_be_read_is_named_and_what_lies_beneath_is_left_as_it_was() {
    use nix::unistd::{Uid, setfsuid};
    use std::os::unix::fs::PermissionsExt;
    if !Uid::effective().is_root() {
        return;
    }
    let mut library = Library::new();
    let closed_file = library.file("closed.flac", flac("Closed"));
    library.file("dir/inside.flac", flac("A"));
    library.file("open.flac", flac("A"));
    library.scan();
    let closed_directory = library.path("dir");
    let permit = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permissions");
    };
    permit(library.directory.path(), 0o755);
    permit(&closed_file, 0);
    permit(&closed_directory, 0);
    let everybody = |library: &Library| {
        for name in ["musefs.db", "musefs.db-wal", "musefs.db-shm"] {
            permit(&library.directory.path().join(name), 0o666);
        }
        permit(library.directory.path(), 0o777);
    };
    everybody(&library);
    library.options.force = true;
    // The scan's own threads are made while this one is nobody, and inherit that.
    setfsuid(Uid::from_raw(65_534));
    let report = library.scan();
    setfsuid(Uid::from_raw(0));
    assert_eq!(report.missing, 0);
    assert_eq!(report.failures[&ScanFailure::UnreadableDirectory].count, 1);
    let unreadable = ScanFailure::Track(TrackFailure::Unreadable);
    assert_eq!(report.failures[&unreadable].places[0].path, closed_file);
    let row = library.row("closed.flac");
    assert_eq!(row.failure, Some(TrackFailure::Unreadable));
    assert_eq!(library.title(row.id).as_deref(), Some("Closed"));
    assert_eq!(library.row("dir/inside.flac").failure, None);
    permit(&closed_file, 0o644);
    permit(&closed_directory, 0o755);
    library.options.force = false;
    library.scan();
    assert_eq!(library.row("closed.flac").failure, None);
}
