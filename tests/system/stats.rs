//! `musefs stats`: what a person sees in a terminal, and what programs get.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::library::{Library, ONE_SERVED, TWO_SERVED};
use crate::support::mount::Mount;
use crate::support::process::{musefs, run};
use crate::support::terminal::Terminal;

/// Calls `look` while a thread reads the files of `mount` without pause.
fn under_load<T>(mount: &Mount, look: impl FnOnce() -> T) -> T {
    let ended = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !ended.load(Relaxed) {
                for file in [ONE_SERVED, TWO_SERVED] {
                    std::fs::read(mount.join(file)).expect("it is served");
                }
            }
        });
        let seen = look();
        ended.store(true, Relaxed);
        seen
    })
}

/// What is seen in a terminal of that size, once there are numbers.
fn seen(mount: &Mount, columns: u16, lines: u16) -> String {
    let mut command = musefs(["stats", "--interval", "1.1"]);
    let mut terminal = Terminal::start(command.arg(mount.path()), columns, lines);
    terminal.shows("Operations");
    // One more interval, so that all of it is of the load.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let text = terminal.text();
    terminal.press("q");
    assert!(terminal.ended().success());
    text
}

#[test]
fn a_person_sees_what_the_mount_does_on_any_terminal() {
    require_fuse!();
    let library = Library::of_two();
    let mount = Mount::with(&library, &["--no-kernel-cache"]);
    for (columns, lines) in [(80, 24), (200, 60)] {
        let text = under_load(&mount, || seen(&mount, columns, lines));
        let mountpoint = mount.path().display().to_string();
        for words in [
            mountpoint.as_str(),
            " ok",
            "Bytes answered",
            "backing files",
            "/s",
            "read",
            "q ends",
        ] {
            assert!(text.contains(words), "no `{words}` in\n{text}");
        }
        let reads = text
            .lines()
            .find(|line| line.contains("│read    "))
            .expect("a line of reads");
        let rate = reads.split_whitespace().nth(1).expect("NAME RATE …");
        assert_ne!(rate, "0", "{text}");
        is_as_documented(columns, lines, &text, &mountpoint);
    }
}

/// That docs/ has a screen of this size with the same parts; with `UPDATE` set, this one is kept there.
#[track_caller]
fn is_as_documented(columns: u16, lines: u16, text: &str, mountpoint: &str) {
    let name = format!("../docs/stats-{columns}x{lines}.txt");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("UPDATE").is_some() {
        let told = text.replace(mountpoint, "/mnt/music");
        let told: Vec<&str> = told.lines().map(str::trim_end).collect();
        std::fs::write(&path, told.join("\n") + "\n").expect("a writable page");
    }
    let kept = std::fs::read_to_string(&path).expect("the page");
    let frames = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with('┌'));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(
        frames(&kept),
        frames(text),
        "UPDATE=1 cargo test writes {}",
        path.display()
    );
}

#[test]
fn a_mount_that_stops_is_told_and_comes_back() {
    require_fuse!();
    let library = Library::of_two();
    let mount = Mount::new(&library);
    let mut command = musefs(["stats", "--interval", "1.1"]);
    let mut terminal = Terminal::start(command.arg(mount.path()), 80, 24);
    terminal.shows("Operations");
    mount.signal(Signal::SIGSTOP);
    terminal.shows("no answer for");
    mount.signal(Signal::SIGCONT);
    terminal.shows("q ends");
    terminal.press("\u{3}");
    assert!(terminal.ended().success());
}

#[test]
fn programs_get_the_same_as_lines_of_json() {
    require_fuse!();
    let library = Library::of_two();
    let mount = Mount::with(&library, &["--no-kernel-cache"]);
    let mut command = musefs(["stats", "--once", "--json", "--interval", "1.2"]);
    let before = mount.metrics().value("musefs_ops_total{op=\"read\"}");
    let outcome = under_load(&mount, || run(command.arg(mount.path())).done());
    let told: Value = serde_json::from_slice(&outcome.stdout).expect("one object");
    let after = mount.metrics().value("musefs_ops_total{op=\"read\"}");
    let operations = told["operations"].as_array().expect("a list");
    let read = operations
        .iter()
        .find(|operation| operation["name"] == "read")
        .expect("reads");
    let rate = read["per_second"].as_f64().expect("a number");
    let seconds = told["interval_seconds"].as_f64().expect("a number");
    let reads = rate * seconds;
    #[expect(clippy::cast_precision_loss, reason = "a few thousand reads")]
    let all = (after - before) as f64;
    assert!(reads > 0.0 && reads <= all, "{reads} of {all}");
    assert!(
        (reads - reads.round()).abs() < 1e-3,
        "a whole number of reads: {reads}"
    );
    assert_eq!(told["tracks"], 2.0);
}

#[test]
fn what_is_no_mount_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    run(musefs(["stats"]).arg(directory.path())).refused(1, &["lies in no musefs mount"]);
    run(&mut musefs(["stats", "unix:/nowhere/musefs.sock"]))
        .refused(1, &["no musefs answers at unix:/nowhere/musefs.sock"]);
    run(&mut musefs(["stats", "http://127.0.0.1:1"]))
        .refused(1, &["no musefs answers at http://127.0.0.1:1"]);
}
