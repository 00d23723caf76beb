//! How a mount ends.

use std::fs::File;
use std::io::Read as _;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use crate::support::library::{Library, ONE_SERVED};
use crate::support::mount::{Mount, is_mounted};
use crate::support::process::run;
use crate::support::users::is_root;
use crate::support::{SOON, eventually};

#[test]
fn a_mount_says_what_it_shows_and_where() {
    require_fuse!();
    let library = Library::of_two();
    let outcome = Mount::new(&library).stop().done();
    let mountpoint = library.mountpoint();
    assert_eq!(
        outcome.text(),
        format!(
            "musefs: {} has 2 tracks; Ctrl-C unmounts\n",
            mountpoint.display()
        )
    );
    assert_eq!(outcome.stderr, "");
}

#[test]
fn sigterm_unmounts() {
    require_fuse!();
    let library = Library::of_one();
    let mut mount = Mount::new(&library);
    mount.signal(Signal::SIGTERM);
    let outcome = mount.ended(SOON).expect("it ends").done();
    assert_eq!(outcome.stderr, "");
    assert!(!is_mounted(&library.mountpoint()));
    assert_eq!(std::fs::read_dir(library.mountpoint()).unwrap().count(), 0);
}

#[test]
fn sigterm_lets_who_has_a_file_open_read_it() {
    require_fuse!();
    let library = Library::of_two();
    let mut mount = Mount::new(&library);
    let expected = std::fs::read(mount.join(ONE_SERVED)).unwrap();
    let mut file = File::open(mount.join(ONE_SERVED)).unwrap();
    mount.signal(Signal::SIGTERM);
    eventually("it is detached", || {
        (!is_mounted(&library.mountpoint())).then_some(())
    });
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)
        .expect("what is open is served for a while");
    assert!(bytes == expected);
    drop(file);
    let outcome = mount
        .ended(SOON)
        .expect("it ends once nothing is open")
        .done();
    assert!(outcome.stderr.contains("is in use"), "{}", outcome.stderr);
    outcome.is_calm();
}

#[test]
fn a_file_that_stays_open_does_not_hold_up_the_end() {
    require_fuse!();
    let library = Library::of_one();
    let mut mount = Mount::new(&library);
    let file = File::open(mount.join(ONE_SERVED)).unwrap();
    mount.signal(Signal::SIGINT);
    let outcome = mount.ended(SOON).expect("it ends all the same").done();
    outcome.is_calm();
    assert!(!is_mounted(&library.mountpoint()));
    drop(file);
}

#[test]
fn the_second_signal_ends_it_at_once() {
    require_fuse!();
    let library = Library::of_one();
    let mut mount = Mount::new(&library);
    let file = File::open(mount.join(ONE_SERVED)).unwrap();
    let asked = Instant::now();
    mount.signal(Signal::SIGINT);
    eventually("it is detached", || {
        (!is_mounted(&library.mountpoint())).then_some(())
    });
    mount.signal(Signal::SIGINT);
    let outcome = mount.ended(SOON).expect("it ends");
    assert_eq!(outcome.code, Some(130), "{outcome:?}");
    // It waits for five seconds for who has a file open.
    assert!(
        asked.elapsed() < Duration::from_secs(4),
        "{:?}",
        asked.elapsed()
    );
    outcome.is_calm();
    drop(file);
}

#[test]
fn an_unmount_by_somebody_else_is_an_end_like_any() {
    require_fuse!();
    let library = Library::of_one();
    let mut mount = Mount::new(&library);
    let mut command = if is_root() {
        Command::new("umount")
    } else {
        let mut command = Command::new("fusermount3");
        command.arg("-u");
        command
    };
    run(command.arg(library.mountpoint())).done();
    let outcome = mount.ended(SOON).expect("it ends").done();
    assert_eq!(outcome.stderr, "");
}

#[test]
fn a_mountpoint_can_be_used_again_and_again() {
    require_fuse!();
    let library = Library::of_one();
    for _ in 0..3 {
        let mount = Mount::new(&library);
        assert!(mount.join(ONE_SERVED).exists());
        mount.stop().done();
    }
}

#[test]
fn whoever_stops_listening_takes_nothing_from_the_mount() {
    require_fuse!();
    let library = Library::of_two();
    let mut command = Mount::command(&library);
    // Standard output and error that nobody reads any more.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command.stdout(writer.try_clone().unwrap()).stderr(writer);
    let mut child = command.spawn().unwrap();
    let served = library.mountpoint().join(ONE_SERVED);
    eventually("it is mounted", || served.metadata().ok());
    std::fs::remove_file(library.path().join("two.mp3")).ok();
    std::fs::read_dir(library.mountpoint()).unwrap().count();
    std::fs::read(&served).unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");
    assert!(!served.exists());
}
