//! `musefs tag`: the edit is visible when the command returns, is one transaction, and can be given up again.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::support::SOON;
use crate::support::library::{Library, ONE_SERVED, TWO_SERVED};
use crate::support::mount::Mount;
use crate::support::process::{Outcome, Running, musefs, run};

/// A mount that finds nothing by itself for ten minutes, and whose names the kernel keeps for an hour.
fn patient(library: &Library) -> Mount {
    let mut command = musefs(["mount", "--poll-interval-ms", "600000"]);
    command.args(["--attr-ttl-ms", "3600000", "--db"]);
    command.arg(library.db()).arg(library.mountpoint());
    Mount::start(&mut command, &library.mountpoint()).expect("it can be mounted")
}

fn tag(words: &[&str]) -> Outcome {
    run(musefs(["tag"]).args(words))
}

/// As [`tag`], of the store of `library`.
fn tag_in(library: &Library, words: &[&str]) -> Outcome {
    run(musefs(["tag", "--db"]).arg(library.db()).args(words))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of UTF-8")
}

/// All that can be edited, and the marks of having been.
fn state(library: &Library) -> Vec<String> {
    let store = library.store();
    let mut all = Vec::new();
    for sql in [
        "SELECT track_id || key || ordinal || value FROM tags ORDER BY track_id, key, ordinal",
        "SELECT id || ',' || change_seq || ',' || content_seq || ',' || edited_parts || ',' || ifnull(edited_ns, '') FROM tracks",
        "SELECT id || ',' || track_id || ',' || ordinal FROM art ORDER BY id",
    ] {
        let mut statement = store.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        all.extend(rows.map(Result::unwrap));
    }
    all
}

fn lines(outcome: &Outcome) -> Vec<String> {
    outcome.text().lines().map(ToOwned::to_owned).collect()
}

#[test]
fn the_very_next_look_shows_what_was_set_by_path_and_by_condition() {
    require_fuse!();
    let library = Library::of_two();
    let mount = patient(&library);
    let backing = library.music().join("one.flac");
    let sound = std::fs::read(&backing).unwrap();
    let album = mount.join("Boards of Canada/Geogaddi");
    let old = mount.join(ONE_SERVED);
    let wheres: [(&str, Vec<&str>); 4] = [
        ("By Mount", vec![text(&old)]),
        ("By Backing", vec!["--db", "STORE", text(&backing)]),
        (
            "By Condition",
            vec!["--db", "STORE", "artist:boards OF canada", "title:~backing"],
        ),
        ("By Directory", vec![text(mount.path()), "ALBUM:geogaddi"]),
    ];
    let (db, mut old) = (library.db(), old.clone());
    for (title, mut wheres) in wheres {
        let new = album.join(format!("{title}.flac"));
        assert!(old.exists() && !new.exists(), "remembered by the kernel");
        let size = old.metadata().unwrap().len();
        for word in &mut wheres {
            if *word == "STORE" {
                *word = text(&db);
            }
        }
        let (pair, comment) = (
            format!("title={title}"),
            format!("comment={}", "x".repeat(5000)),
        );
        wheres.extend(["set", &pair, &comment]);
        let told = tag(&wheres).done();
        assert_eq!(
            told.text(),
            "Changed 1 of 1 tracks; shown by 1 mount of this store\n"
        );
        let names: Vec<PathBuf> = std::fs::read_dir(&album)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(names, std::slice::from_ref(&new));
        assert!(!old.exists(), "the old name is gone");
        let bytes = std::fs::read(&new).expect("a name that was absent is there");
        assert_eq!(bytes.len() as u64, new.metadata().unwrap().len());
        assert!(bytes.len() as u64 >= size && bytes.len() > 5000);
        let shown = bytes
            .windows(title.len())
            .any(|window| window == title.as_bytes());
        assert!(shown, "{title}");
        old = new;
    }
    assert_eq!(std::fs::read(&backing).unwrap(), sound, "the user's file");
    std::fs::read(mount.join(TWO_SERVED)).expect("the other track is where it was");
}

#[test]
fn values_are_set_added_removed_and_shown() {
    require_fuse!();
    let library = Library::of_two();
    let get = |keys: &[&str]| {
        let mut words = vec!["title:money", "get"];
        words.extend(keys);
        let mut shown = lines(&tag_in(&library, &words).done());
        assert!(shown.remove(0).ends_with("/music/two.mp3"));
        shown
    };
    let edit = |words: &[&str]| {
        let mut all = vec!["title:money"];
        all.extend(words);
        tag_in(&library, &all).done()
    };
    edit(&["set", "genre=Pop", "genre=Disco", "MOOD=", "comment=a\nb"]);
    assert_eq!(
        get(&["genre", "mood", "comment"]),
        ["comment=a\\nb", "genre=Pop", "genre=Disco", "mood="]
    );
    edit(&["add", "genre=Schlager", "artist=Guest"]);
    assert_eq!(
        get(&["genre"]),
        ["genre=Pop", "genre=Disco", "genre=Schlager"]
    );
    assert_eq!(get(&["artist"]), ["artist=Abba", "artist=Guest"]);
    edit(&["rm", "genre=Disco", "mood", "comment"]);
    assert_eq!(
        get(&["genre", "mood", "comment"]),
        ["genre=Pop", "genre=Schlager"]
    );
    let told = edit(&["rm", "mood"]);
    assert_eq!(told.text(), "Changed 0 of 1 tracks\n");
    let diff = tag_in(&library, &["title:money", "diff"]).done();
    let changed: Vec<String> = lines(&diff).split_off(1);
    assert_eq!(
        changed,
        [
            "-artist=Abba",
            "+artist=Abba",
            "+artist=Guest",
            "-genre=Pop",
            "+genre=Pop",
            "+genre=Schlager"
        ]
    );
    assert_eq!(tag_in(&library, &["title:ready", "diff"]).done().text(), "");
    // A path says which file, whatever a condition says of others.
    let two = library.music().join("two.mp3");
    let neither = tag_in(&library, &[text(&two), "title:ready", "get"]);
    neither.refused(1, &["no track is meant"]);
    let both = tag_in(&library, &["--all"]).done();
    assert!(both.text().contains("one.flac") && both.text().contains("two.mp3"));
}

#[test]
fn a_dry_run_says_what_it_would_do_and_changes_nothing() {
    require_fuse!();
    let library = Library::of_two();
    library.set_tag("one.flac", "mood", "Calm");
    let before = state(&library);
    let told = tag_in(&library, &["--all", "--dry-run", "set", "genre=Pop"]).done();
    let shown = lines(&told).split_off(1);
    assert_eq!(
        shown,
        [
            "-genre=Electronic",
            "+genre=Pop",
            "Would change 1 of 2 tracks"
        ]
    );
    let told = tag_in(&library, &["--all", "--dry-run", "revert"]).done();
    let shown = lines(&told).split_off(1);
    assert_eq!(
        shown,
        ["-mood=Calm", "Would give up the edits of 1 of 2 tracks"]
    );
    assert_eq!(state(&library), before);
}

#[test]
fn json_goes_round_and_changes_nothing_and_edited_json_changes_just_that() {
    require_fuse!();
    let library = Library::of_two();
    let mount = patient(&library);
    library.set_tag("one.flac", "X-Native:Name", "kept \u{1} \"as\" it is");
    run(musefs(["sync"]).arg(mount.path())).done();
    let before = state(&library);
    let json = tag(&[text(mount.path()), "get", "--json"]).done();
    let parsed: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(parsed.as_array().map(Vec::len), Some(2));
    assert_eq!(parsed[0]["served"], text(&mount.join(ONE_SERVED)));
    assert_eq!(parsed[0]["tags"]["artist"][0], "Boards of Canada");
    let file = library.path().join("tags.json");
    std::fs::write(&file, &json.stdout).unwrap();
    let told = tag_in(&library, &["--from", text(&file)]).done();
    assert!(told.text().starts_with("Changed 0 of 2 tracks"), "{told:?}");
    assert_eq!(state(&library), before);

    let mut edited = parsed.clone();
    edited[1]["tags"]["artist"] = serde_json::json!(["Abba", "Guest"]);
    edited[1]["tags"]["genre"] = serde_json::json!([]);
    // What is not said stays: JSON of a few keys is no loss of the others.
    edited[1]["tags"].as_object_mut().unwrap().remove("title");
    std::fs::write(&file, edited.to_string()).unwrap();
    let mut piped = musefs(["tag", "--from", "-", "--db"]);
    piped.arg(library.db());
    piped.stdin(Stdio::from(std::fs::File::open(&file).unwrap()));
    let mut running = Running::start(&mut piped);
    let status = running.wait(SOON);
    let told = running.outcome(status).done();
    assert_eq!(
        told.text(),
        "Changed 1 of 2 tracks; shown by 1 mount of this store\n"
    );
    let after = lines(
        &tag_in(
            &library,
            &["title:money", "get", "artist", "genre", "title"],
        )
        .done(),
    );
    assert_eq!(after[1..], ["artist=Abba", "artist=Guest", "title=Money"]);
}

#[test]
fn a_fault_anywhere_changes_nothing_at_all() {
    require_fuse!();
    let library = Library::of_two();
    let mount = patient(&library);
    let json = tag_in(&library, &["--all", "get", "--json"]).done();
    let before = state(&library);
    let pairs = ["--all", "set", "title=a", "no pair", "genre=b"];
    tag_in(&library, &pairs).refused(64, &["`no pair` is not KEY=VALUE"]);
    let served = text(mount.path()).to_owned();
    tag(&[&served, "/no/such/place", "set", "title=a"]).refused(1, &["/no/such/place"]);
    let good: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let file = library.path().join("tags.json");
    let refuse = |change: &dyn Fn(&mut serde_json::Value), parts: &[&str]| {
        let mut bad = good.clone();
        bad[0]["tags"]["title"] = serde_json::json!(["Changed"]);
        change(&mut bad);
        std::fs::write(&file, bad.to_string()).unwrap();
        tag_in(&library, &["--from", text(&file)]).refused(1, parts);
        assert_eq!(state(&library), before);
    };
    refuse(&|bad| bad[1]["track"] = 77.into(), &["no track 77"]);
    refuse(
        &|bad| bad[1]["path"] = "/elsewhere".into(),
        &["another store"],
    );
    refuse(
        &|bad| bad[1]["tags"]["a=b"] = serde_json::json!(["x"]),
        &["is no key"],
    );
    refuse(
        &|bad| bad[1]["tags"]["genre"] = serde_json::json!([7]),
        &["--json"],
    );
    refuse(&|bad| bad[1] = bad[0].clone(), &["given twice"]);
    // One of two files cannot be read again: the edits of neither are given up.
    tag_in(&library, &["--all", "set", "genre=x"]).done();
    let before = state(&library);
    std::fs::rename(library.music().join("two.mp3"), library.path().join("away")).unwrap();
    tag_in(&library, &["--all", "revert"]).refused(1, &["two.mp3", "it is missing"]);
    assert_eq!(state(&library), before);
    assert_eq!(tag_in(&library, &["--all", "diff"]).code, Some(2));
}

#[test]
fn revert_gives_back_the_very_bytes() {
    require_fuse!();
    let library = Library::of_two();
    let mount = patient(&library);
    let (one, two) = (mount.join(ONE_SERVED), mount.join(TWO_SERVED));
    let read = || [&one, &two].map(|path| std::fs::read(path).expect("it is served"));
    let original = read();
    let root = text(mount.path()).to_owned();
    tag(&[&root, "set", "genre=x", "comment=Edited", "title=New"]).done();
    library
        .store()
        .execute_batch("DELETE FROM art; DELETE FROM items")
        .unwrap();
    assert!(!one.exists() && !two.exists());
    let told = tag(&[&root, "revert"]).done();
    assert!(
        told.text()
            .starts_with("Gave up the edits of 2 of 2 tracks; shown"),
        "{told:?}"
    );
    assert!(read() == original, "other bytes");
    // And a scan agrees.
    let before = state(&library);
    library.scan();
    assert_eq!(state(&library), before);
}

#[test]
fn what_is_not_clear_is_asked_back() {
    require_fuse!();
    let library = Library::of_two();
    let other = Library::of_one();
    let mount = patient(&library);
    tag_in(&library, &["set", "title=a"]).refused(64, &["--all"]);
    assert_eq!(tag(&[]).code, Some(64));
    tag_in(&library, &["--all", "diff", "--json"]).refused(64, &["--json goes with `get` alone"]);
    let one = library.music().join("one.flac");
    tag(&[text(&one), "get"]).refused(1, &["which store?"]);
    tag_in(&other, &[text(mount.path()), "get"]).refused(1, &["lies in a mount of the store"]);
    tag_in(&library, &[text(library.path()), "diff", "title"])
        .refused(64, &["nothing comes after"]);
    tag_in(&library, &[text(library.path()), "get"]).done();
    tag_in(&library, &["/usr", "get"]).refused(1, &["no track of the store is at /usr"]);
    tag_in(&library, &["artist:nobody", "get"]).refused(1, &["no track is meant"]);
    let told = tag_in(&library, &["title:ready", "set", "albm=x"]).done();
    assert!(told.stderr.contains("`albm` is no common key"), "{told:?}");
    assert!(told.stderr.contains("Did you mean `album`?"), "{told:?}");
    let known = tag_in(&library, &["title:ready", "set", "albm=y"]).done();
    assert_eq!(known.stderr, "", "the track has it");
}

#[test]
fn an_unknown_name_of_a_mount_that_is_gone_is_no_crash() {
    require_fuse!();
    let library = Library::of_one();
    let mount = patient(&library);
    let path = mount.join(ONE_SERVED);
    mount.stop().done();
    let told = tag_in(&library, &[text(&path), "get"]);
    told.refused(1, &["no such file either"]);
}
