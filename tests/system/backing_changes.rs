//! The table in `docs/store.md` of what happens to a backing file under a mount: read from there, and done row by row.

use std::fs::{File, Permissions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::SystemTime;

use crate::support::library::{Library, ONE_SERVED};
use crate::support::mount::Mount;
use crate::support::process::run;
use crate::support::users::{can_be_bound_by_modes, musefs_bound_by_modes};
use crate::support::{errno, eventually};

const DOCUMENT: &str = include_str!("../../docs/store.md");
const HEAD: &str = "| what you do to it |";
const EDIT: &str = "An edit of the user's";

/// What is done to a file called `one.flac`.
type Change = fn(&Path);

/// What can be done, by its name in the table.
const CHANGES: &[(&str, Change)] = &[
    ("move it out of the library", |path| {
        std::fs::rename(path, path.with_file_name("../away.flac")).unwrap();
    }),
    ("move it within the library", |path| {
        let directory = path.with_file_name("sub");
        std::fs::create_dir(&directory).unwrap();
        std::fs::rename(path, directory.join("one.flac")).unwrap();
    }),
    ("rename it", |path| {
        std::fs::rename(path, path.with_file_name("renamed.flac")).unwrap();
    }),
    ("delete it", |path| std::fs::remove_file(path).unwrap()),
    ("replace it by another file", |path| {
        let other = path.with_file_name("other");
        std::fs::copy(path, &other).unwrap();
        std::fs::rename(other, path).unwrap();
    }),
    ("write to it", |path| {
        let mut file = File::options().append(true).open(path).unwrap();
        file.write_all(b"more").unwrap();
    }),
    ("truncate it", |path| {
        let len = path.metadata().unwrap().len();
        let file = File::options().write(true).open(path).unwrap();
        file.set_len(len - len / 4).unwrap();
    }),
    ("touch it", |path| {
        let later = SystemTime::now() + std::time::Duration::from_secs(1);
        File::open(path).unwrap().set_modified(later).unwrap();
    }),
    ("chmod it, still readable", |path| {
        std::fs::set_permissions(path, Permissions::from_mode(0o400)).unwrap();
    }),
    ("chmod it, unreadable", |path| {
        std::fs::set_permissions(path, Permissions::from_mode(0o000)).unwrap();
    }),
    ("make a hard link to it", |path| {
        std::fs::hard_link(path, path.with_file_name("link.flac")).unwrap();
    }),
];

/// The cells of each row of the table, without backquotes.
fn rows() -> Vec<[String; 6]> {
    let mut lines = DOCUMENT.lines().skip_while(|line| !line.starts_with(HEAD));
    assert!(
        lines.next().is_some() && lines.next().is_some(),
        "the table is there"
    );
    lines
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.trim_matches('|').split('|');
            let cells: Vec<String> = cells.map(|cell| cell.trim().replace('`', "")).collect();
            cells.try_into().expect("six cells")
        })
        .collect()
}

/// What comes of opening and reading a file of the mount, in the words of the table.
fn found(path: &Path) -> &'static str {
    let read = std::fs::read(path);
    match errno(&read) {
        0 => {
            let bytes = read.unwrap();
            let is_edited = bytes
                .windows(EDIT.len())
                .any(|window| window == EDIT.as_bytes());
            assert!(is_edited, "it is served without its edits");
            let twin = path.with_file_name("Ready (2).flac");
            if twin.exists() {
                "served twice"
            } else {
                "served"
            }
        }
        libc::EIO => "EIO",
        libc::ENOENT => "not listed",
        other => panic!("error {other}"),
    }
}

/// Does what a row says, and then `afterwards` to the store.
fn check(row: &[String; 6], afterwards: &str, expected: &str) {
    let [what, open, opening, reason, _, _] = row;
    let (_, change) = CHANGES
        .iter()
        .find(|(name, _)| name == what)
        .unwrap_or_else(|| panic!("nobody knows how to: {what}"));
    let library = Library::of_two();
    library.set_tag("one.flac", "comment", EDIT);
    let mut command = musefs_bound_by_modes();
    command.args(["mount", "--poll-interval-ms", "100", "--db"]);
    command.arg(library.db()).arg(library.mountpoint());
    let mount = Mount::start(&mut command, &library.mountpoint()).expect("it can be mounted");
    let served = mount.join(ONE_SERVED);
    let mut file = File::open(&served).unwrap();
    change(&library.music().join("one.flac"));

    let mut bytes = Vec::new();
    let is_open = match errno(&file.read_to_end(&mut bytes)) {
        0 => "goes on",
        libc::EIO => "EIO",
        other => panic!("{what}: error {other}"),
    };
    assert_eq!(is_open, open, "{what}, while it is open");
    assert_eq!(
        is_open == "goes on",
        bytes.len() as u64 == file.metadata().unwrap().len()
    );
    drop(file);
    assert_eq!(found(&served), opening, "{what}, then open it");
    let metrics = mount.metrics();
    let dark = metrics.sum("musefs_tracks_dark");
    if reason == "none" {
        assert_eq!(dark, 0, "{what}: nothing is dark");
    } else {
        let sample = format!("musefs_tracks_dark{{reason=\"{reason}\"}}");
        assert_eq!(
            (dark, metrics.value(&sample)),
            (1, 1),
            "{what}: dark for {reason}"
        );
    }

    let mut command = musefs_bound_by_modes();
    command.args([afterwards, "--db"]).arg(library.db());
    if afterwards == "scan" {
        command.arg(library.music());
    }
    let outcome = run(&mut command);
    assert!(matches!(outcome.code, Some(0 | 2)), "{outcome:?}");
    eventually(&format!("{what}, then {afterwards}: {expected}"), || {
        (found(&served) == expected).then_some(())
    });
    let is_dark = mount.metrics().sum("musefs_tracks_dark") > 0;
    assert_eq!(is_dark, expected == "EIO", "{what}, then {afterwards}");
}

#[test]
fn what_the_table_says_is_what_happens() {
    require_fuse!();
    if !can_be_bound_by_modes() {
        return;
    }
    let rows = rows();
    let told: Vec<&String> = rows.iter().map(|row| &row[0]).collect();
    let known: Vec<&str> = CHANGES.iter().map(|(name, _)| *name).collect();
    assert_eq!(told, known, "each row, and each change");
    // Each waits for metrics most of the time.
    std::thread::scope(|scope| {
        for row in &rows {
            scope.spawn(|| check(row, "scan", &row[4]));
            scope.spawn(|| check(row, "revalidate", &row[5]));
        }
    });
}
