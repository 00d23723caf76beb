//! Files that hold what a test expects: cases, and pages of documentation. With `UPDATE` set, they are written anew. Tests that
//! have such files include this one by its path.

#![allow(dead_code, reason = "each that includes it uses a part")]

use std::fmt::Write as _;
use std::path::Path;

fn is_updating() -> bool {
    std::env::var_os("UPDATE").is_some()
}

/// Runs every case below `tests/data`, in the directory `name`: an input, a line `---`, and the output that is expected. How
/// many there were.
pub fn cases(name: &str, run: impl Fn(&str) -> String) -> usize {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/data")
        .join(name);
    let mut failures = String::new();
    let mut count = 0;
    for entry in std::fs::read_dir(&directory).expect("the directory of cases") {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "case") {
            continue;
        }
        count += 1;
        let case = std::fs::read_to_string(&path).unwrap();
        let (input, expected) = case.split_once("---\n").unwrap_or((&case, ""));
        let output = run(input);
        if output == expected {
            continue;
        }
        if is_updating() {
            std::fs::write(&path, format!("{input}---\n{output}")).unwrap();
        } else {
            writeln!(
                failures,
                "{}\nexpected:\n{expected}found:\n{output}",
                path.display()
            )
            .unwrap();
        }
    }
    assert!(
        failures.is_empty(),
        "{failures}(UPDATE=1 takes these outputs as expected)"
    );
    count
}

/// Compares the page `path` of the repository with what `command` prints.
#[track_caller]
pub fn page(path: &str, command: &str, printed: &str) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if is_updating() {
        std::fs::write(&page, printed).expect("the page");
    }
    let kept = std::fs::read_to_string(&page).expect("the page");
    assert!(
        kept == printed,
        "{path} is not what `{command}` prints; UPDATE=1 cargo test writes it"
    );
}

/// Compares a table of the page `path` of the repository, found by its first line, with what it is to be.
#[track_caller]
pub fn table(path: &str, expected: &str) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let text = std::fs::read_to_string(&page).expect("the page");
    let heading = expected.lines().next().expect("a table has a heading");
    let begin = text.find(heading).expect("the page has the table");
    let end = begin
        + text[begin..]
            .find("\n\n")
            .map_or(text.len() - begin, |end| end + 1);
    if is_updating() {
        let updated = format!("{}{expected}{}", &text[..begin], &text[end..]);
        std::fs::write(&page, updated).expect("the page");
        return;
    }
    assert!(
        &text[begin..end] == expected,
        "the table `{heading}` of {path} is not as it should be; UPDATE=1 cargo test writes it"
    );
}
