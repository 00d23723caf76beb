//! `musefs revalidate` reads what differs and nothing else, keeps edits, and does not take an unmounted disk for deleted files.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::SystemTime;

use serde_json::Value;

use crate::support::audio::Sound;
use crate::support::errno;
use crate::support::library::{Library, ONE, ONE_SERVED, TWO_SERVED};
use crate::support::mount::Mount;
use crate::support::process::{Outcome, musefs, run};
use crate::support::users::{can_be_bound_by_modes, musefs_bound_by_modes};

fn revalidate(library: &Library, arguments: &[&str]) -> Outcome {
    run(musefs(["revalidate", "--db"])
        .arg(library.db())
        .args(arguments))
}

/// What it tells as JSON, and that it ends with `code`.
#[track_caller]
fn told(library: &Library, code: i32, arguments: &[&str]) -> Value {
    let outcome = revalidate(library, &[arguments, &["--json"]].concat());
    assert_eq!(outcome.code, Some(code), "{outcome:?}");
    serde_json::from_slice(&outcome.stdout).expect("revalidate --json is JSON")
}

fn tracks(library: &Library) -> i64 {
    let sql = "SELECT count(*) FROM tracks";
    library
        .store()
        .query_row(sql, [], |row| row.get(0))
        .unwrap()
}

fn touch(path: &Path) {
    File::open(path)
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH)
        .unwrap();
}

#[test]
fn only_what_differs_is_read_and_a_mount_shows_it_at_once() {
    require_fuse!();
    let library = Library::of_two();
    let mut command = musefs(["mount", "--poll-interval-ms", "600000"]);
    command.args(["--attr-ttl-ms", "3600000", "--db"]);
    command.arg(library.db()).arg(library.mountpoint());
    let mount = Mount::start(&mut command, &library.mountpoint()).expect("it can be mounted");
    let before = told(&library, 0, &[]);
    assert_eq!(
        (&before["checked"], &before["unchanged"]),
        (&2.into(), &2.into())
    );
    assert_eq!(
        (&before["files_read"], &before["bytes_read"]),
        (&0.into(), &0.into())
    );

    library.set_tag("one.flac", "mood", "Calm");
    let one = library.music().join("one.flac");
    touch(&one);
    library.add("three.flac", Sound::TinyFlac, ONE, false);
    let served = mount.join(ONE_SERVED);
    assert_eq!(errno(&std::fs::read(&served)), libc::EIO, "it changed");
    let after = told(&library, 0, &[]);
    assert_eq!(after["checked"], 2, "no walk for new files");
    assert_eq!(after["updated"], 1);
    assert_eq!(after["files_read"], 1);
    let bytes = std::fs::read(&served).expect("it is served again");
    assert!(
        bytes.windows(4).any(|window| window == b"Calm"),
        "the edit stays"
    );
}

#[test]
fn what_cannot_be_served_is_named_by_reason() {
    require_fuse!();
    let library = Library::of_two();
    library.add("three.flac", Sound::TinyFlac, ONE, false);
    library.add("sub/four.flac", Sound::TinyFlac, ONE, false);
    library.scan();
    let path = |name| {
        library
            .music()
            .canonicalize()
            .unwrap()
            .join(name)
            .to_str()
            .unwrap()
            .to_owned()
    };
    std::fs::remove_file(path("one.flac")).unwrap();
    std::fs::write(path("two.mp3"), "no MP3 at all").unwrap();
    let report = told(&library, 2, &[]);
    assert_eq!(report["failed"]["missing"][0], path("one.flac"));
    assert_eq!(report["failed"]["unrecognised"][0], path("two.mp3"));
    assert_eq!(report["missing"], 1);
    assert_eq!(report["absent_roots"], serde_json::json!([]));
    assert_eq!(told(&library, 2, &[])["missing"], 0, "no news");
    let sub = told(&library, 0, &[&path("sub")]);
    assert_eq!(
        (&sub["checked"], &sub["failed"]),
        (&1.into(), &serde_json::json!({}))
    );
    let text = revalidate(&library, &[]).text();
    assert!(
        text.contains("missing: 1") && text.contains("one.flac"),
        "{text}"
    );
    let elsewhere = revalidate(&library, &["/usr"]);
    elsewhere.refused(1, &["/usr holds no track of the store"]);

    if !can_be_bound_by_modes() {
        return;
    }
    touch(Path::new(&path("three.flac")));
    std::fs::set_permissions(path("three.flac"), Permissions::from_mode(0o000)).unwrap();
    std::fs::set_permissions(path("sub"), Permissions::from_mode(0o000)).unwrap();
    let mut command = musefs_bound_by_modes();
    command.args(["revalidate", "--prune", "--json", "--db"]);
    let outcome = run(command.arg(library.db()));
    std::fs::set_permissions(path("sub"), Permissions::from_mode(0o755)).unwrap();
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    let report: Value = serde_json::from_slice(&outcome.stdout).unwrap();
    assert_eq!(report["pruned"], 1, "what cannot be read is not gone");
    let unreadable = ["sub/four.flac", "three.flac"].map(path);
    assert_eq!(
        report["failed"]["unreadable"],
        serde_json::json!(unreadable)
    );
}

#[test]
fn prune_forgets_what_is_gone_and_nothing_else() {
    require_fuse!();
    let library = Library::of_two();
    let mount = Mount::new(&library);
    std::fs::remove_file(library.music().join("one.flac")).unwrap();
    let report = told(&library, 0, &["--prune"]);
    assert_eq!(report["pruned"], 1);
    assert_eq!(tracks(&library), 1);
    assert!(!mount.join(ONE_SERVED).exists());
    std::fs::read(mount.join(TWO_SERVED)).expect("the other one is served");
    assert_eq!(told(&library, 0, &["--prune"])["pruned"], 0);
}

#[test]
fn an_unmounted_disk_is_not_pruned_unless_forced() {
    require_fuse!();
    let library = Library::of_two();
    library.set_tag("one.flac", "title", "Kept");
    let away = library.path().join("away");
    for leaves_directory in [false, true] {
        std::fs::rename(library.music(), &away).unwrap();
        if leaves_directory {
            std::fs::create_dir(library.music()).unwrap();
        }
        revalidate(&library, &["--prune"]).refused(1, &["is the disk mounted?", "music"]);
        assert_eq!(tracks(&library), 2);
        // The files come back, and so do the tracks, with their edits.
        if leaves_directory {
            std::fs::remove_dir(library.music()).unwrap();
        }
        std::fs::rename(&away, library.music()).unwrap();
        assert_eq!(told(&library, 0, &["--prune"])["updated"], 2);
        let kept = run(musefs(["tag", "--db"]).arg(library.db()).arg("title:kept")).done();
        assert!(kept.text().contains("title=Kept"));
    }
    std::fs::rename(library.music(), &away).unwrap();
    assert_eq!(told(&library, 0, &["--prune", "--force"])["pruned"], 2);
    assert_eq!(tracks(&library), 0);
    assert_eq!(revalidate(&library, &["--force"]).code, Some(64));
}
