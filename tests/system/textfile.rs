//! Files of metrics outside of the mount, kept by `musefs metrics textfile` or by a mount itself: whole, in time, and honest
//! about a mount that is gone.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::library::Library;
use crate::support::metrics::Metrics;
use crate::support::mount::Mount;
use crate::support::process::{Running, musefs, run};
use crate::support::{SOON, eventually, users};

fn textfile(mount: &Path, path: &Path) -> Command {
    let mut command = musefs(["metrics", "textfile"]);
    command.arg(mount).arg(path);
    command
}

#[test]
fn a_copy_is_what_the_mount_has_and_looks_as_asked() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    let directory = library.path().join("collected");
    std::fs::create_dir(&directory).unwrap();
    let path = directory.join("musefs.prom");
    let outcome = run(&mut textfile(mount.path(), &path)).done();
    assert_eq!((outcome.text().as_str(), outcome.stderr.as_str()), ("", ""));
    let text = std::fs::read(&path).unwrap();
    let label = format!("musefs_up{{mount=\"{}\"}}", mount.path().display());
    assert_eq!(Metrics::parse(&text).value(&label), 1);
    assert_eq!(
        path.metadata().unwrap().permissions().mode() & 0o7777,
        0o644
    );
    run(textfile(mount.path(), &path).args(["--mode", "600", "--once"])).done();
    assert_eq!(
        path.metadata().unwrap().permissions().mode() & 0o7777,
        0o600
    );
    if users::is_root() {
        run(textfile(mount.path(), &path).args(["--owner", "nobody", "--group", "65534"])).done();
        let metadata = path.metadata().unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (65_534, 65_534));
    }
    // Nothing is left beside it.
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1);

    let odd = directory.join("musefs.txt");
    let outcome = run(&mut textfile(mount.path(), &odd)).done();
    assert!(
        outcome
            .stderr
            .contains("node_exporter reads only files that do")
    );
}

#[test]
fn what_cannot_be_written_is_refused_with_the_way_out() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    let refused = |path: PathBuf, parts: &[&str]| {
        run(&mut textfile(mount.path(), &path)).refused(1, parts);
    };
    refused(
        mount.join(".metrics/musefs.prom"),
        &["lies inside the musefs mount", "give a path outside of it"],
    );
    refused(
        library.path().join("none/a.prom"),
        &["is no directory", "make it first"],
    );
    refused(library.path().into(), &["is a directory", "musefs.prom"]);
    let path = library.path().join("a.prom");
    run(textfile(mount.path(), &path).args(["--owner", "nobody of that name"]))
        .refused(64, &["there is no such user"]);
    run(&mut textfile(library.path(), &path)).is_calm();
    assert!(!path.exists(), "nothing is known of a mount that never was");
}

#[test]
fn a_copy_says_that_the_mount_is_gone_and_goes_on_when_it_is_back() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::with(&library, &["--metrics-label", "host=nas"]);
    let path = library.path().join("musefs.prom");
    let mut copying = Running::start(textfile(mount.path(), &path).args(["--interval", "0.1"]));
    let label = format!(
        "musefs_up{{mount=\"{}\",host=\"nas\"}}",
        mount.path().display()
    );
    let value = || Some(Metrics::parse(&std::fs::read(&path).ok()?).value(&label));
    eventually("a copy", || (value() == Some(1)).then_some(()));
    mount.stop();
    eventually("a copy that says 0", || (value() == Some(0)).then_some(()));
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 4, "{text}");
    // By itself, it knows the labels from the file.
    let outcome = run(&mut textfile(&library.mountpoint(), &path));
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.stderr.contains("says that it is down"),
        "{outcome:?}"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    let mount = Mount::with(&library, &["--metrics-label", "host=nas"]);
    eventually("a copy of the mount that is back", || {
        (value() == Some(1)).then_some(())
    });
    kill(
        Pid::from_raw(i32::try_from(copying.child.id()).unwrap()),
        Signal::SIGTERM,
    )
    .unwrap();
    let status = copying.wait(SOON).expect("it ends when it is asked to");
    assert_eq!(status.code(), Some(0));
    drop(mount);
}

#[test]
fn a_mount_writes_the_file_by_itself_and_says_at_its_end_that_it_is_gone() {
    require_fuse!();
    let library = Library::of_one();
    let path = library.path().join("musefs.prom");
    let mut command = Mount::command(&library);
    command
        .args([
            "--metrics-textfile-interval",
            "0.1",
            "--metrics-textfile-mode",
            "640",
        ])
        .arg("--metrics-textfile")
        .arg(&path);
    let mount = Mount::start(&mut command, &library.mountpoint()).expect("it mounts");
    let label = format!("musefs_up{{mount=\"{}\"}}", mount.path().display());
    let metrics = || Some(Metrics::parse(&std::fs::read(&path).ok()?));
    let up = eventually("the file", metrics);
    assert_eq!(up.value(&label), 1);
    assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o640);
    assert_eq!(up.names().len(), mount.metrics().names().len());
    // Written again and again, from memory, and counted as what it is.
    let scrapes = format!(
        "musefs_scrapes_total{{mount=\"{}\",transport=\"textfile\"}}",
        mount.path().display()
    );
    eventually("a later text", || {
        (metrics()?.value(&scrapes) > up.value(&scrapes)).then_some(())
    });
    mount.stop();
    let down = Metrics::parse(&std::fs::read(&path).unwrap());
    assert_eq!(down.names(), [label.as_str()]);
    assert_eq!(down.value(&label), 0);
}

#[test]
fn a_mount_whose_file_cannot_be_written_is_refused_or_serves_on() {
    require_fuse!();
    let library = Library::of_one();
    let refused = |path: &Path, code: i32, parts: &[&str]| {
        let mut command = Mount::command(&library);
        command.arg("--metrics-textfile").arg(path);
        match Mount::start(&mut command, &library.mountpoint()) {
            Ok(_) => panic!("{} was taken", path.display()),
            Err(outcome) => outcome.refused(code, parts),
        }
    };
    refused(
        &library.mountpoint().join("a.prom"),
        64,
        &["lies at the mountpoint", "give a path outside of it"],
    );
    refused(
        &library.path().join("none/a.prom"),
        1,
        &["is no directory", "make it first"],
    );
    // A directory that goes away later takes nothing with it.
    let directory = library.path().join("collected");
    std::fs::create_dir(&directory).unwrap();
    let path = directory.join("a.prom");
    let mut command = Mount::command(&library);
    command
        .args(["--metrics-textfile-interval", "0.1", "--metrics-textfile"])
        .arg(&path);
    let mount = Mount::start(&mut command, &library.mountpoint()).expect("it mounts");
    eventually("the file", || path.exists().then_some(()));
    std::fs::remove_dir_all(&directory).unwrap();
    eventually("a word in the log", || {
        mount.log().contains("trying again").then_some(())
    });
    assert_eq!(mount.log().matches("trying again").count(), 1);
    std::fs::create_dir(&directory).unwrap();
    eventually("the file again", || path.exists().then_some(()));
    assert_eq!(mount.metrics().value("musefs_up"), 1);
}

#[test]
fn a_mount_that_hangs_at_its_end_still_says_that_it_is_gone() {
    require_fuse!();
    let library = Library::of_one();
    let path = library.path().join("musefs.prom");
    let mut command = Mount::command(&library);
    command.arg("--metrics-textfile").arg(&path);
    let mut mount = Mount::start(&mut command, &library.mountpoint()).expect("it mounts");
    eventually("the file", || path.exists().then_some(()));
    // Held open, the mount outlives the wait for whoever uses it.
    let held = std::fs::File::open(mount.join("Boards of Canada")).unwrap();
    mount.signal(Signal::SIGINT);
    let outcome = mount.ended(Duration::from_secs(30)).expect("it ends");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    drop(held);
    let down = Metrics::parse(&std::fs::read(&path).unwrap());
    assert_eq!(down.names().len(), 1);
}
