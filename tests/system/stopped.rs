//! A mount whose process is stopped answers nobody: every command says so soon, with the mount and its process, and none hangs.
//! And two smaller things that went by in silence.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::control::{self, own};
use crate::support::library::{Library, ONE_SERVED};
use crate::support::mount::Mount;
use crate::support::process::{Running, run};
use crate::support::{SOON, eventually};

/// A mount that is stopped until this is dropped.
struct Stopped<'a>(&'a Mount);

impl<'a> Stopped<'a> {
    fn new(mount: &'a Mount) -> Self {
        mount.signal(Signal::SIGSTOP);
        Self(mount)
    }
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.0.signal(Signal::SIGCONT);
    }
}

#[test]
fn every_command_says_that_a_stopped_mount_does_not_answer() {
    require_fuse!();
    let library = Library::of_one();
    let mount = control::mount(&library, &[]);
    let prom = library.path().join("musefs.prom");
    let (point, prom_path) = (mount.path().to_str().unwrap(), prom.to_str().unwrap());
    let mut keeping = Running::start(&mut own(
        &library,
        &["metrics", "textfile", point, prom_path, "--interval", "0.1"],
    ));
    let says = |what: &str| {
        eventually(what, || {
            let text = std::fs::read_to_string(&prom).unwrap_or_default();
            text.contains(&format!("musefs_up{{mount=\"{point}\"}} {what}\n"))
                .then_some(())
        });
    };
    says("1");
    let mut watching = Running::start(&mut own(&library, &["trace", "--follow", point]));
    eventually("it follows", || {
        watching.stderr().contains("Ctrl-C ends").then_some(())
    });
    let stopped = Stopped::new(&mount);
    let below = mount.join(ONE_SERVED);
    let below = below.to_str().unwrap();
    let (once, twice) = (
        library.path().join("once.prom"),
        library.path().join("twice.prom"),
    );
    let commands: &[&[&str]] = &[
        &["metrics", point],
        &["metrics", below],
        &["metrics", "--watch", "1", point],
        &["metrics", "check", point],
        &["metrics", "textfile", point, once.to_str().unwrap()],
        &["metrics", "textfile", below, twice.to_str().unwrap()],
        &["stats", "--once", point],
        &["slow", point],
        &["slow", point, "--threshold-ms", "5"],
        &["sync", point],
        &["status", below],
        &["tag", below],
        &["trace", point],
        &["trace", "--follow", point],
        &["profile", point],
    ];
    let mut running: Vec<Running> = commands
        .iter()
        .map(|arguments| Running::start(&mut own(&library, arguments)))
        .collect();
    let process = format!("its process {} is stopped", mount.pid());
    let silence = format!("the musefs at {point} does not answer: {process}");
    for (running, arguments) in running.iter_mut().zip(commands) {
        let status = running.wait(SOON);
        let outcome = running.outcome(status);
        assert_eq!(outcome.code, Some(1), "{arguments:?}: {outcome:?}");
        assert!(
            outcome.stderr.contains(&silence),
            "{arguments:?}: {outcome:?}"
        );
        outcome.is_calm();
    }

    let status = |arguments: &[&str]| {
        let mut command = own(&library, &["status", "--db"]);
        run(command.arg(library.db()).args(arguments)).done().text()
    };
    let told = status(&[]);
    assert!(
        told.contains(&format!("The musefs at {point} does not answer: {process}")),
        "{told}"
    );
    let told: Value = serde_json::from_str(&status(&["--json"])).unwrap();
    let mounts = told["mounts"].as_array().unwrap();
    assert_eq!(mounts.len(), 1, "{told}");
    assert_eq!(mounts[0]["mountpoint"], point);
    assert_eq!(
        (&mounts[0]["answers"], &mounts[0]["stopped"]),
        (&false.into(), &true.into())
    );
    assert_eq!(mounts[0]["pid"], mount.pid().as_raw());
    let mut scan = own(&library, &["scan", "-q", "--db"]);
    let scanned = run(scan.arg(library.db()).arg(library.music()));
    assert!(scanned.stderr.contains(&silence), "{scanned:?}");

    says("0");
    eventually("the follower says so", || {
        watching.stderr().contains(&silence).then_some(())
    });
    drop(stopped);
    says("1");
    let complaints = keeping.stderr().matches(&silence).count();
    assert_eq!(complaints, 1, "{}", keeping.stderr());
    assert_eq!(keeping.wait(Duration::ZERO), None);
    assert_eq!(watching.wait(Duration::ZERO), None);
    assert_eq!(watching.stderr().matches(&silence).count(), 1);
    let told: Value = serde_json::from_str(&status(&["--json"])).unwrap();
    assert_eq!(told["mounts"][0]["answers"], true);
}

#[test]
fn a_name_that_no_metric_has_is_said_to_be_none() {
    require_fuse!();
    let library = Library::of_one();
    let mount = control::mount(&library, &[]);
    let point = mount.path().to_str().unwrap();
    for format in ["text", "om", "json", "env"] {
        let named = |name| {
            run(&mut own(
                &library,
                &["metrics", point, "--format", format, "--name", name],
            ))
        };
        named("musefs_redas*").refused(
            1,
            &["no metric is called `musefs_redas*`", "musefs metrics list"],
        );
        assert!(
            named("musefs_reads*")
                .done()
                .text()
                .contains("musefs_reads")
        );
    }
}

#[test]
fn two_mounts_do_not_keep_one_file() {
    require_fuse!();
    let (first, second) = (Library::of_one(), Library::of_one());
    let path = first.path().join("musefs.prom");
    let path = path.to_str().unwrap();
    let mount = Mount::with(&first, &["--metrics-textfile", path]);
    eventually("it is written", || {
        std::fs::metadata(path).is_ok().then_some(())
    });
    let series = format!("musefs_up{{mount=\"{}\"}}", mount.path().display());
    let refused = run(Mount::command(&second).args(["--metrics-textfile", path]));
    refused.refused(1, &["is kept by another musefs", &series]);
    assert!(std::fs::read_to_string(path).unwrap().contains(&series));
    mount.signal(Signal::SIGKILL);
    drop(mount);
    // What a mount that was killed left behind is nobody's.
    let _mount = Mount::with(&second, &["--metrics-textfile", path]);
    eventually("it tells of the other", || {
        let text = std::fs::read_to_string(path).unwrap();
        text.contains(second.mountpoint().to_str().unwrap())
            .then_some(())
    });
}
