//! Scans of what is not there, not readable or odd, and scans that are interrupted.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::audio::{self, Sound};
use crate::support::hanging::{Hanging, Stuck};
use crate::support::library::{Library, ONE, TWO};
use crate::support::mount::Mount;
use crate::support::process::{Running, musefs, run};
use crate::support::users::{give_to_normal_user, has_normal_user, musefs_as_normal_user};
use crate::support::{SOON, eventually};

#[test]
fn a_target_that_is_not_there() {
    let library = Library::new();
    let missing = library.path().join("nowhere");
    let mut scan = musefs(["scan", "-q", "--db"]);
    scan.arg(library.db()).arg(&missing);
    run(&mut scan).refused(1, &[missing.to_str().unwrap(), "does not exist"]);
}

#[test]
fn one_target_that_is_not_there_keeps_no_other_from_being_scanned() {
    require_fuse!();
    let library = Library::new();
    library.add("one.flac", Sound::TinyFlac, ONE, false);
    let missing = library.path().join("nowhere");
    let mut scan = musefs(["scan", "-q", "--db"]);
    scan.arg(library.db()).arg(&missing).arg(library.music());
    run(&mut scan).refused(2, &[missing.to_str().unwrap(), "does not exist"]);
    assert!(
        run(Mount::command(&library).arg("--dry-run"))
            .done()
            .text()
            .ends_with("1 track\n")
    );
}

#[test]
fn a_target_that_cannot_be_read() {
    if !has_normal_user() {
        return;
    }
    let library = Library::new();
    give_to_normal_user(&library);
    std::fs::set_permissions(library.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(library.music(), std::fs::Permissions::from_mode(0o000)).unwrap();
    let mut scan = musefs_as_normal_user();
    scan.args(["scan", "-q", "--db"])
        .arg(library.db())
        .arg(library.music());
    let path = library.music();
    run(&mut scan).refused(
        1,
        &[
            path.to_str().unwrap(),
            "cannot be read",
            "Permission denied",
        ],
    );
}

#[test]
fn a_file_that_cannot_be_read_fails_alone() {
    require_fuse!();
    if !has_normal_user() {
        return;
    }
    let library = Library::new();
    let locked = library.add("locked.flac", Sound::TinyFlac, ONE, false);
    library.add("two.mp3", Sound::Mp3, TWO, false);
    give_to_normal_user(&library);
    std::fs::set_permissions(library.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o000)).unwrap();
    let mut scan = musefs_as_normal_user();
    scan.args(["scan", "--db"])
        .arg(library.db())
        .arg(library.music());
    let outcome = run(&mut scan);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(
        outcome.stderr.contains(locked.to_str().unwrap()),
        "{}",
        outcome.stderr
    );
    assert!(
        outcome.text().contains("unreadable 1"),
        "{}",
        outcome.text()
    );
    outcome.is_calm();
    assert!(
        run(Mount::command(&library).arg("--dry-run"))
            .done()
            .text()
            .contains("Abba/Arrival/Money.mp3")
    );
}

#[test]
fn files_that_are_no_audio_fail_alone_and_are_served_as_they_are() {
    require_fuse!();
    let library = Library::new();
    library.add("one.flac", Sound::TinyFlac, ONE, false);
    let whole = std::fs::read(audio::sample(Sound::Flac)).unwrap();
    let odd: [(&str, &[u8]); 4] = [
        ("empty.flac", b""),
        ("text.flac", b"Dear diary"),
        ("cut.flac", &whole[..30]),
        ("noise.mp3", &whole[10_000..12_000]),
    ];
    for (name, bytes) in odd {
        std::fs::write(library.music().join(name), bytes).unwrap();
    }
    let outcome = library.try_scan(&[]);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    outcome.is_calm();
    for (name, _) in odd {
        let path = library.music().join(name);
        assert!(
            outcome.stderr.contains(path.to_str().unwrap()),
            "{name}: {}",
            outcome.stderr
        );
    }
    let mount = Mount::with(&library, &["--template", "$filename"]);
    for (name, bytes) in odd {
        assert_eq!(std::fs::read(mount.join(name)).unwrap(), bytes, "{name}");
    }
    assert!(mount.join("one.flac").exists());
}

#[test]
fn a_target_inside_a_musefs_mount() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    let other = library.path().join("other.db");
    let inside = mount.join("Boards of Canada");
    for target in [mount.path(), &inside] {
        let mut scan = musefs(["scan", "-q", "--db"]);
        scan.arg(&other).arg(target);
        let parts = [
            target.to_str().unwrap(),
            "inside the musefs mount",
            "scan the music itself",
        ];
        run(&mut scan).refused(1, &parts);
    }
}

#[test]
fn a_mount_inside_a_target_is_left_out() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    // The whole directory, in which the mount lies.
    let other = library.path().join("other.db");
    let mut scan = musefs(["scan", "--db"]);
    scan.arg(&other).arg(library.path());
    let outcome = run(&mut scan).done();
    assert!(
        outcome.text().starts_with("Scanned 1 audio files"),
        "{}",
        outcome.text()
    );
    assert!(
        outcome.text().contains("musefs_mount 1"),
        "{}",
        outcome.text()
    );
    assert_eq!(mount.metrics().sum("musefs_backing_opens_total"), 0);
}

#[test]
fn a_loop_of_directories_ends() {
    require_fuse!();
    let library = Library::new();
    library.add("artist/one.flac", Sound::TinyFlac, ONE, false);
    symlink("..", library.music().join("artist/up")).unwrap();
    symlink(library.music(), library.music().join("again")).unwrap();
    let outcome = library.try_scan(&["--follow-symlinks"]).done();
    assert!(
        outcome.text().starts_with("Scanned 1 audio files"),
        "{}",
        outcome.text()
    );
    assert!(
        outcome.text().contains("symlink_loop"),
        "{}",
        outcome.text()
    );
    outcome.is_calm();
}

/// How many files the interrupted library has: more than are read before anybody looks whether to go on.
const MANY: usize = 3000;

#[test]
fn an_interrupted_scan_says_so_and_the_next_goes_on() {
    require_fuse!();
    let library = Library::new();
    let bytes = std::fs::read(audio::sample(Sound::TinyFlac)).unwrap();
    let files = (0..MANY).map(|index| (format!("{index:04}.flac"), bytes.clone()));
    let hanging = Hanging::mount(&library.music(), files.collect());
    hanging.stick(
        "0000.flac",
        Stuck {
            reads: true,
            ..Stuck::default()
        },
    );
    let mut scan = musefs(["scan", "--jobs", "2", "--db"]);
    scan.arg(library.db()).arg(library.music());
    let mut running = Running::start(&mut scan);
    eventually("the scan reads", || (hanging.held() > 0).then_some(()));
    let pid = Pid::from_raw(i32::try_from(running.child.id()).unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    hanging.release();
    let status = running.wait(SOON).expect("it ends");
    let outcome = running.outcome(Some(status));
    assert_eq!(outcome.code, Some(130), "{outcome:?}");
    assert!(
        outcome.text().starts_with("Interrupted"),
        "{}",
        outcome.text()
    );
    assert!(
        outcome.text().contains(library.db().to_str().unwrap()),
        "{}",
        outcome.text()
    );
    outcome.is_calm();
    let rest = library.scan();
    assert!(
        rest.text().starts_with("Scanned 3,000 audio files"),
        "{}",
        rest.text()
    );
    assert!(
        run(Mount::command(&library).arg("--dry-run"))
            .done()
            .text()
            .ends_with("3000 tracks\n")
    );
}
