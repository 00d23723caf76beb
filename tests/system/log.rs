//! What a mount tells in its log: which lines, in which form, about which request, and how often.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::library::{Library, ONE_SERVED};
use crate::support::mount::Mount;
use crate::support::process::run;
use crate::support::{errno, eventually};

/// A mounted library of one file that cannot be served any more, after somebody tried to.
fn with_a_dark_file(set: impl FnOnce(&mut Command)) -> (Library, Mount) {
    let library = Library::of_one();
    let mut command = Mount::command(&library);
    set(&mut command);
    let mount = Mount::start(&mut command, &library.mountpoint()).unwrap();
    let served = mount.join(ONE_SERVED);
    std::fs::remove_file(library.music().join("one.flac")).unwrap();
    assert_eq!(errno(&std::fs::read(served)), libc::EIO);
    eventually("it is told", || {
        mount.log().contains("one.flac").then_some(())
    });
    (library, mount)
}

#[test]
fn a_line_has_the_name_of_its_event_and_the_request_that_it_is_about() {
    require_fuse!();
    let (_library, mount) = with_a_dark_file(|_| {});
    let log = mount.log();
    let line = log.lines().find(|line| line.contains("one.flac")).unwrap();
    assert!(line.starts_with("WARN  track.dark: cannot serve"), "{line}");
    assert!(line.contains(" reason=missing"), "{line}");
    let (_, id) = line.split_once(" request_id=").expect(line);
    let (_, number) = id.split_once('-').unwrap_or(("", id));
    assert!(
        number.parse::<u64>().is_ok_and(|number| number > 0),
        "{line}"
    );
}

#[test]
fn a_line_of_json_is_an_object() {
    require_fuse!();
    let (_library, mount) = with_a_dark_file(|command| {
        command
            .args(["--log-format", "json"])
            .env("MUSEFS_LOG", "debug");
    });
    let outcome = mount.stop();
    let mut dark = 0;
    for line in outcome.stderr.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect(line);
        let text = |key: &str| {
            line[key]
                .as_str()
                .unwrap_or_else(|| panic!("{key} in {line}"))
        };
        assert!(text("time").ends_with('Z'));
        if text("event") == "track.dark" {
            dark += 1;
            assert_eq!((text("level"), text("context")), ("warn", "engine"));
            assert!(text("message").starts_with("cannot serve"));
            assert!(text("request_id").ends_with(|digit: char| digit.is_ascii_digit()));
            assert_eq!(line["fields"]["reason"], "missing");
        }
    }
    assert_eq!(dark, 1, "{}", outcome.stderr);
}

#[test]
fn a_command_that_could_not_be_done_says_so_in_the_form_of_its_log() {
    let library = Library::of_one();
    let mut command = Mount::command(&library);
    command.env("MUSEFS_LOG_FORMAT", "json");
    std::fs::remove_file(library.db()).unwrap();
    let outcome = run(&mut command);
    assert_eq!(outcome.code, Some(1));
    let line: serde_json::Value = serde_json::from_str(&outcome.stderr).expect(&outcome.stderr);
    assert_eq!(line["event"], "command.run.failed");
    assert_eq!(line["fields"]["code"], 1);
}

#[test]
fn filters_go_by_names_and_one_variable_stands_back_behind_the_other() {
    require_fuse!();
    let logged = |variables: &[(&str, &str)]| {
        let library = Library::of_one();
        let mut command = Mount::command(&library);
        command.envs(variables.iter().copied());
        let mount = Mount::start(&mut command, &library.mountpoint()).unwrap();
        mount.stop().stderr
    };
    let setting = "kernel.setting.chosen";
    assert_eq!(logged(&[]), "");
    assert_eq!(
        logged(&[("RUST_LOG", "info"), ("MUSEFS_LOG", "warn,fuser=error")]),
        ""
    );
    let told = logged(&[("RUST_LOG", "off,kernel=trace"), ("MUSEFS_LOG", "")]);
    assert!(told.contains(setting), "{told}");
    assert!(told.lines().all(|line| line.contains(" kernel.")), "{told}");
    let told = logged(&[("MUSEFS_LOG", "info,kernel.setting=off")]);
    assert!(!told.contains(setting), "{told}");
    // What a library says reaches the log by its target.
    let told = logged(&[("MUSEFS_LOG", "off,fuser=debug")]);
    assert!(told.contains(" library.message.said: "), "{told}");
    assert!(told.contains(" target=fuser"), "{told}");
    assert!(
        told.lines()
            .all(|line| line.contains(" library.message.said: ")),
        "{told}"
    );
}

#[test]
fn a_filter_that_cannot_be_understood_is_told_and_not_used() {
    let dry_run = |variable: &str, value: &str| {
        let library = Library::of_one();
        let mut command = Mount::command(&library);
        command.arg("--dry-run").env(variable, value);
        run(&mut command).done().stderr
    };
    for (variable, value, wrong) in [
        ("MUSEFS_LOG", "bogus=loud", "`bogus=loud`"),
        ("MUSEFS_LOG", "warn,bogus=", "`bogus=`"),
        ("MUSEFS_LOG", "debugg", "`debugg`"),
        ("RUST_LOG", "info,[span]=debug", "`[span]=debug`"),
    ] {
        let told = dry_run(variable, value);
        assert_eq!(told.lines().count(), 1, "{told}");
        for part in [
            "WARN  log.filter.refused",
            variable,
            wrong,
            "warn,fuser=error",
        ] {
            assert!(told.contains(part), "{part} is not in: {told}");
        }
    }
    assert_eq!(dry_run("RUST_LOG", "store=debug"), "");
}

#[test]
fn a_path_cannot_break_a_line() {
    require_fuse!();
    let library = Library::of_one();
    let music = library.music();
    let odd = music.join("odd\nERROR \u{1b}[2J.flac");
    std::fs::rename(music.join("one.flac"), &odd).unwrap();
    library.scan();
    let mount = Mount::new(&library);
    let served = mount.join(ONE_SERVED);
    std::fs::remove_file(&odd).unwrap();
    assert_eq!(errno(&std::fs::read(served)), libc::EIO);
    let log = eventually("it is told", || {
        let log = mount.log();
        log.contains("track.dark").then_some(log)
    });
    let line = log
        .lines()
        .find(|line| line.contains("track.dark"))
        .unwrap();
    assert!(line.contains(r"odd\nERROR \u{1b}[2J.flac"), "{line}");
    assert!(!log.contains('\u{1b}'), "{log}");
}

#[test]
fn what_goes_on_failing_is_told_once_a_second_with_a_count_of_the_rest() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::with(&library, &["--no-kernel-cache"]);
    let (served, backing) = (mount.join(ONE_SERVED), library.music().join("one.flac"));
    let away = backing.with_extension("away");
    let begun = Instant::now();
    // Whenever the file is back the trouble ends, so that each time it is gone is one to tell of.
    let goes_dark = || {
        std::fs::rename(&backing, &away).unwrap();
        assert_eq!(errno(&std::fs::read(&served)), libc::EIO);
        std::fs::rename(&away, &backing).unwrap();
        std::fs::read(&served).unwrap();
    };
    (0..19).for_each(|_| goes_dark());
    std::thread::sleep(Duration::from_millis(1_100));
    goes_dark();
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap();
    let log = mount.stop().stderr;
    let told: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("track.dark"))
        .collect();
    assert!((2..=seconds + 1).contains(&told.len()), "{log}");
    let suppressed = |line: &&str| {
        let (_, count) = line.split_once(" suppressed=")?;
        count.split(' ').next()?.parse::<usize>().ok()
    };
    let suppressed: usize = told.iter().filter_map(suppressed).sum();
    assert_eq!(told.len() + suppressed, 20, "{log}");
}

#[test]
fn a_log_that_nobody_reads_holds_up_nobody_and_what_it_misses_is_counted() {
    require_fuse!();
    let library = Library::of_one();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = Mount::command(&library);
    // The library that speaks to the kernel says something of every request.
    command.env("MUSEFS_LOG", "debug").arg("--no-kernel-cache");
    let mut mount = Mount::start_with_log(&mut command, &library.mountpoint(), writer).unwrap();
    // The pipe's end for writing is the mount's alone.
    drop(command);
    let served = mount.join(ONE_SERVED);
    let before = mount.metrics().value("musefs_log_lines_dropped_total");
    for _ in 0..4_000 {
        std::fs::metadata(&served).unwrap();
    }
    let after = mount.metrics().value("musefs_log_lines_dropped_total");
    assert!(after > before, "{before} to {after}");
    drop(reader);
    mount.signal(nix::sys::signal::Signal::SIGINT);
    assert!(mount.ended(crate::support::SOON).is_some());
}
