//! `musefs status` tells what there is: each number beside what the test made, read as a script would and as people do.

use serde_json::Value;

use crate::support::library::Library;
use crate::support::mount::Mount;
use crate::support::process::{Outcome, musefs, run};

fn status(library: &Library, arguments: &[&str]) -> Outcome {
    let mut command = musefs(["status", "--db"]);
    run(command.arg(library.db()).args(arguments)).done()
}

fn json(outcome: &Outcome) -> Value {
    serde_json::from_slice(&outcome.stdout).expect("status --json is JSON")
}

#[test]
fn the_numbers_are_those_of_the_library() {
    require_fuse!();
    let library = Library::of_two();
    let bytes: u64 = ["one.flac", "two.mp3"]
        .iter()
        .map(|name| library.music().join(name).metadata().unwrap().len())
        .sum();
    std::fs::write(library.music().join("three.flac"), "no FLAC at all").unwrap();
    assert_eq!(library.try_scan(&[]).code, Some(2));
    library.set_tag("one.flac", "title", "Edited");
    let told = json(&status(&library, &["--json"]));
    assert_eq!(told["tracks"]["count"], 3);
    assert_eq!(told["tracks"]["edited"], 1);
    assert_eq!(told["tracks"]["dark"], 0);
    assert_eq!(told["tracks"]["backing_bytes"], bytes + 14);
    assert_eq!(told["tracks"]["by_format"]["mp3"], 1);
    assert_eq!(told["tracks"]["by_failure"]["unrecognised"], 1);
    let root = library.music().canonicalize().unwrap();
    assert_eq!(told["roots"][0], root.to_str().unwrap());
    let scan = &told["last_scan"];
    assert_eq!(scan["files_seen"], 3);
    assert_eq!(scan["added"], 1);
    assert_eq!(scan["unchanged"], 2);
    assert_eq!(scan["failures"]["unrecognised"], 1);
    assert!(scan["finished_unix_ms"].as_i64() >= scan["started_unix_ms"].as_i64());
    assert_eq!(told["store"]["schema_version"], 1);
    let size = library.db().metadata().unwrap().len();
    assert_eq!(told["store"]["bytes"], size);
    assert_eq!(told["mounts"].as_array().map(Vec::len), Some(0));

    std::fs::remove_file(library.music().join("two.mp3")).unwrap();
    library.try_scan(&[]);
    let text = status(&library, &[]).text();
    for part in [
        "3 tracks",
        "1 edited",
        "1 mp3",
        "Dark: 1 missing",
        "Served as they are: 1 unrecognised",
        "1 gone",
        "No mount of it answers",
    ] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

#[test]
fn a_mount_is_named_and_leads_to_its_store() {
    require_fuse!();
    let library = Library::of_one();
    let other = Library::of_two();
    let (mount, _mount_of_other) = (Mount::new(&library), Mount::new(&other));
    let album = mount.join("Boards of Canada/Geogaddi");
    let told = json(&run(musefs(["status", "--json"]).arg(album)).done());
    assert_eq!(told["store"]["path"], library.db().to_str().unwrap());
    assert_eq!(told["tracks"]["count"], 1);
    let mounts = told["mounts"].as_array().expect("a list of mounts");
    assert_eq!(mounts.len(), 1, "{mounts:?}");
    assert_eq!(mounts[0]["mountpoint"], mount.path().to_str().unwrap());
    assert_eq!(mounts[0]["pid"], mount.pid().as_raw());
    let text = status(&library, &[]).text();
    assert!(text.contains("Mounted at "), "{text}");
}

#[test]
fn what_is_no_store_and_no_mount_is_refused() {
    require_fuse!();
    let library = Library::of_one();
    run(musefs(["status"]).arg(library.music())).refused(1, &["no musefs of yours answers for"]);
    run(musefs(["status", "--db"]).arg(library.path().join("none.db")))
        .refused(1, &["there is no store at"]);
    assert_eq!(run(&mut musefs(["status"])).code, Some(64));
}
