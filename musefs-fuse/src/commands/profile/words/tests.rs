use super::super::made_up;
use super::*;
use crate::control::trace::Operation;

const MS: u64 = 1_000_000;
const WATCHED: u64 = 10_000 * MS;

fn said(operations: impl IntoIterator<Item = Operation>) -> Vec<String> {
    let mut sums = Sums::default();
    for operation in operations {
        sums.add(operation);
    }
    words(&sums, WATCHED)
}

fn read(path: &str, command: &str, phase: &str, ms: u64) -> Operation {
    made_up("read", path, command, &[(phase, ms * MS)], ms * MS)
}

#[test]
fn a_mount_that_nobody_uses() {
    assert_eq!(said([]), ["Nothing was asked of the mount in 10.0 s."]);
}

#[test]
fn one_thing_took_most_of_the_time_and_all_of_it_has_something_in_common() {
    let slow = (0..81).map(|_| read("Abba/Gold/1.flac", "mpd", "backing", 10));
    let quick = (0..19).map(|_| made_up("lookup", "x/y/z", "ls", &[], 10 * MS));
    assert_eq!(
        said(slow.chain(quick)),
        [
            "Of 1000 ms in 100 operations, 81 % was waiting for backing files, most of it reads under Abba/Gold/ by mpd."
                .replace("1000 ms", "1.0 s"),
            "That is the disk or network that the music is on.".into(),
        ]
    );
}

#[test]
fn each_part_has_its_words_and_what_helps() {
    for (phase, spent, helps) in [
        ("queue", "waiting for a free thread", "--workers"),
        ("store", "reading the store", "A scan or an edit"),
        ("layout", "computing what is served", "--header-cache-mib"),
        ("backing", "waiting for backing files", "disk or network"),
        ("reply", "giving the answer", ""),
        ("unheard of", "answering from memory", ""),
    ] {
        let words = said([
            read("a/b/c", "mpd", phase, 1),
            read("a/b/c", "mpd", phase, 1),
        ]);
        assert!(
            words[0].contains(&format!("100 % was {spent}")),
            "{words:?}"
        );
        assert_eq!(
            words.len(),
            if helps.is_empty() { 1 } else { 2 },
            "{words:?}"
        );
        assert!(words.last().unwrap().contains(helps), "{words:?}");
    }
}

#[test]
fn what_is_shared_by_albums_alone_is_told_by_their_artist() {
    let words = said([
        read("Abba/Gold/1.flac", "mpd", "backing", 10),
        read("Abba/Arrival/1.flac", "mpd", "backing", 10),
        read("Abba/Voyage/1.flac", "mpd", "backing", 10),
    ]);
    assert!(
        words[0].ends_with("most of it reads under Abba/ by mpd."),
        "{words:?}"
    );
}

#[test]
fn what_is_not_shared_is_not_said() {
    let anybody = said([
        read("Abba/Gold/1.flac", "mpd", "backing", 10),
        read("Abba/Gold/1.flac", "cp", "backing", 10),
        read("Abba/Gold/1.flac", "rsync", "backing", 10),
    ]);
    assert!(
        anybody[0].ends_with("most of it reads under Abba/Gold/."),
        "{anybody:?}"
    );
    let anywhere = said([
        read("a/b/1.flac", "mpd", "backing", 10),
        read("c/d/1.flac", "mpd", "backing", 10),
        read("e/f/1.flac", "mpd", "backing", 10),
    ]);
    assert!(
        anywhere[0].ends_with("most of it reads by mpd."),
        "{anywhere:?}"
    );
    // Each holds of most of the time, but both together do not.
    let apart = said([
        read("Abba/Gold/1.flac", "mpd", "backing", 30),
        read("Abba/Gold/1.flac", "cp", "backing", 30),
        read("x/y/1.flac", "mpd", "backing", 40),
    ]);
    assert!(
        apart[0].ends_with("most of it reads under Abba/Gold/."),
        "{apart:?}"
    );
    let anything = said([
        made_up("open", "a/b/c", "mpd", &[("backing", 10 * MS)], 10 * MS),
        made_up("read", "a/b/c", "mpd", &[("backing", 10 * MS)], 10 * MS),
    ]);
    assert!(
        anything[0].ends_with("100 % was waiting for backing files."),
        "{anything:?}"
    );
}

#[test]
fn the_top_and_files_that_are_gone_have_words_of_their_own() {
    let twice = |path| {
        said([
            read(path, "mpd", "backing", 1),
            read(path, "mpd", "backing", 1),
        ])
    };
    assert!(twice("one.flac")[0].ends_with("reads at the top by mpd."));
    let gone = twice("inode 7");
    assert!(
        gone[0].ends_with("reads of files that are gone or were edited by mpd."),
        "{gone:?}"
    );
}

#[test]
fn no_one_thing_took_most() {
    let words = said([
        read("a/b/c", "mpd", "backing", 45),
        read("a/b/c", "mpd", "store", 35),
        read("a/b/c", "mpd", "queue", 15),
        read("a/b/c", "mpd", "layout", 5),
    ]);
    assert_eq!(
        words,
        [
            "Of 100 ms in 4 operations, no one thing took most: 45 % was waiting for backing files, 35 % was reading the store, or \
             waiting for it, 15 % was waiting for a free thread."
        ]
    );
}

#[test]
fn failures_are_told_by_their_kind() {
    let failed = |outcome: &str| Operation {
        outcome: outcome.into(),
        ..made_up("lookup", "a", "ls", &[], MS)
    };
    let of = |outcomes: &[&str]| said(outcomes.iter().map(|outcome| failed(outcome))).pop();
    let said = |outcomes| of(outcomes).unwrap();
    assert_eq!(said(&["ENOENT", "ENOENT"]), "2 failed with ENOENT.");
    assert_eq!(
        said(&["ENOENT", "EIO", "ENOENT"]),
        "3 failed, most of them with ENOENT."
    );
    assert_eq!(
        said(&["ENOENT", "EIO", "ENOENT", "ESTALE"]),
        "4 failed, most often with ENOENT."
    );
}

#[test]
fn one_that_stands_out_is_named() {
    let slow = Operation {
        request: "77".into(),
        ..read("Abba/Gold/1.flac", "mpd", "backing", 600)
    };
    let others = || (0..5).map(|_| read("a/b/c", "cp", "backing", 100));
    let words = said(others().chain([slow.clone()]));
    assert_eq!(
        words.last().unwrap(),
        "The slowest took 600 ms: read of Abba/Gold/1.flac by mpd (request 77)."
    );
    // Among more, it is one of many.
    let words = said(others().chain(others()).chain([slow]));
    assert!(!words.last().unwrap().contains("slowest"), "{words:?}");
    let long = (0..9).map(|_| read("a/b/c", "cp", "backing", 1_000));
    assert!(
        said(long)
            .last()
            .unwrap()
            .contains("The slowest took 1.0 s")
    );
}

#[test]
fn what_was_missed_is_never_kept_quiet() {
    let missed = |missed| {
        let sums = Sums {
            missed,
            ..Sums::default()
        };
        words(&sums, WATCHED).pop().unwrap()
    };
    assert_eq!(
        missed(1_300),
        "1,300 more operations came too fast to be told and are in none of this."
    );
    assert_eq!(
        missed(1),
        "1 more operation came too fast to be told and is in none of this."
    );
}

#[test]
fn numbers_are_told_as_people_read_them() {
    for (ns, expected) in [
        (999, "1.0 µs"),
        (50_000, "0.05 ms"),
        (12 * MS, "12 ms"),
        (3_210 * MS, "3.2 s"),
    ] {
        assert_eq!(took(ns), expected);
    }
    assert_eq!((percent(1, 3), percent(2, 3), percent(5, 0)), (33, 67, 0));
}
