//! Wrong usage is told from failure: exit code 64, and what to write instead.

use crate::support::library::Library;
use crate::support::mount::Mount;
use crate::support::process::{Outcome, musefs, run};
use crate::support::python::script;

#[track_caller]
fn mount_with(arguments: &[&str]) -> Outcome {
    let library = Library::of_one();
    run(Mount::command(&library).arg("--dry-run").args(arguments))
}

#[test]
fn a_bad_template_is_refused_with_the_column() {
    require_fuse!();
    let outcome = mount_with(&["--template", "$artist/${title"]);
    assert_eq!(outcome.code, Some(64), "{outcome:?}");
    assert!(outcome.stderr.contains("column 9"), "{}", outcome.stderr);
    outcome.is_calm();
}

#[test]
fn an_unknown_field_is_a_warning_with_the_known_ones() {
    require_fuse!();
    let outcome = mount_with(&["--template", "$albumm/$title"]).done();
    for part in [
        "`albumm`",
        "column 1",
        "Did you mean `album`?",
        "Known fields: title artist ",
    ] {
        assert!(outcome.stderr.contains(part), "{}", outcome.stderr);
    }
    assert_eq!(outcome.text(), "Unknown/Ready.flac\n1 track\n");
}

#[test]
fn flags_and_values_that_are_none_are_refused() {
    require_fuse!();
    for arguments in [
        &["--no-such-flag"][..],
        &["--mode", "both"],
        &["--fallback", "title"],
        &["--owner", "no such user"],
        &["--poll-interval-ms", "soon"],
        &["--metrics-dir", "a/b"],
        &["--file-mode", "999"],
    ] {
        let outcome = mount_with(arguments);
        assert_eq!(outcome.code, Some(64), "{arguments:?}: {outcome:?}");
        assert!(outcome.stderr.contains(arguments[0]), "{}", outcome.stderr);
        assert_eq!(outcome.text(), "");
        outcome.is_calm();
    }
}

#[test]
fn a_command_without_what_it_needs_is_refused() {
    for arguments in [
        &[][..],
        &["scan"],
        &["scan", "/tmp"],
        &["mount", "/mnt"],
        &["sing"],
    ] {
        let outcome = run(&mut musefs(arguments));
        assert_eq!(outcome.code, Some(64), "{arguments:?}: {outcome:?}");
        assert!(outcome.stderr.contains("Usage"), "{}", outcome.stderr);
        outcome.is_calm();
    }
}

#[test]
fn help_and_version_are_no_failure() {
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["help", "mount"],
        &["scan", "--help"],
    ] {
        let outcome = run(&mut musefs(arguments)).done();
        assert_eq!(outcome.stderr, "");
        assert!(outcome.text().contains("musefs"), "{}", outcome.text());
    }
}

#[test]
fn a_metrics_label_that_would_stand_twice_is_refused() {
    require_fuse!();
    for arguments in [
        &["--metrics-label", "op=mine"][..],
        &["--metrics-label", "a=1", "--metrics-label", "a=2"],
    ] {
        let library = Library::of_one();
        let outcome = run(Mount::command(&library).args(arguments));
        assert_eq!(outcome.code, Some(64), "{outcome:?}");
        assert!(
            outcome.stderr.contains("--metrics-label"),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn formats_are_told_to_people_and_to_programs() {
    let told = run(&mut musefs(["formats"])).done().text();
    assert!(told.contains("FLAC  .flac\n"), "{told}");
    let page = run(&mut musefs(["formats", "--markdown"])).done().text();
    assert!(page.contains("| `title` | `TITLE` | `TIT2` |"), "{page}");
    let json = run(&mut musefs(["formats", "--json"])).done().text();
    let names = "import json, sys; print([format['name'] for format in json.loads(sys.argv[1])['formats']][:2])";
    assert_eq!(script(names, [json]).done().text(), "['flac', 'mp3']\n");
    assert_eq!(
        run(&mut musefs(["formats", "--json", "--markdown"])).code,
        Some(64)
    );
}
