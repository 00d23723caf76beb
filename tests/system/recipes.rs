//! The recipes of `docs/monitoring.md` do what they say, in a plain shell, on a mount.
//!
//! A recipe is a block that is fenced as `sh recipe`; the heading above it is its name. Each has its judge here: one without
//! fails, and so does a judge without a recipe.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::library::Library;
use crate::support::mount::Mount;
use crate::support::process::{MUSEFS, Running, clean, run};
use crate::support::{SOON, eventually, has_program};

/// Names and scripts.
fn recipes() -> BTreeMap<String, String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/monitoring.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let (mut found, mut heading, mut within) = (BTreeMap::<String, String>::new(), "", false);
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("### ") {
            heading = title;
        } else if line.starts_with("```") {
            within = line == "```sh recipe";
            if within {
                let before = found.insert(heading.to_owned(), String::new());
                assert!(before.is_none(), "two recipes under `{heading}`");
            }
        } else if within {
            let script = found.get_mut(heading).expect("its block has begun");
            script.push_str(line);
            script.push('\n');
        }
    }
    found
}

/// A shell that stops at the first mistake, with the mount in `M` and nothing else of a test's.
fn shell(script: &str, mount: &Mount, directory: &Path) -> Command {
    // What a person waits for, a test need not: a moment later the numbers are new.
    let script = script.replace("sleep 10", "sleep 1.2");
    let programs = Path::new(MUSEFS).parent().expect("it lies in a directory");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("sh");
    clean(&mut command)
        .args(["-euc", &script])
        .current_dir(directory)
        .env("M", mount.path())
        .env("PATH", format!("{}:{path}", programs.display()));
    command
}

/// A number at the beginning of `text`.
fn number(text: &str) -> f64 {
    let first = text.split_whitespace().next().unwrap_or_default();
    first
        .parse()
        .unwrap_or_else(|_| panic!("no number: {text}"))
}

#[test]
fn every_recipe_does_what_it_says() {
    require_fuse!();
    let library = Library::of_two();
    let mount = Mount::new(&library);
    let mut recipes = recipes();
    let mut recipe = |name: &str| {
        recipes
            .remove(name)
            .unwrap_or_else(|| panic!("there is no recipe `{name}`"))
    };
    let told = |script: &str| {
        let outcome = run(&mut shell(script, &mount, library.path())).done();
        assert_eq!(outcome.stderr, "", "{script}");
        outcome.text()
    };
    let text = told(&recipe("One number"));
    let numbers: Vec<u64> = text
        .lines()
        .map(|line| line.trim().parse().unwrap())
        .collect();
    assert_eq!(numbers.len(), 2);

    let text = told(&recipe("All numbers as variables"));
    assert!(
        text.ends_with("of them still open\n") && number(&text) >= 0.0,
        "{text}"
    );

    assert_eq!(told(&recipe("Is it ready")), "ready\n");
    assert_eq!(told(&recipe("Wait until all is well")), "all is well\n");
    let alert = recipe("An exit code for whoever alerts");
    assert_eq!(told(&alert), "ok\n");

    let text = told(&recipe("Errors per minute"));
    assert_eq!(text, "0 errors per minute\n");

    // Somebody reads meanwhile.
    let files = crate::support::files_below(mount.path());
    let music: Vec<_> = files.iter().filter(|file| !file.starts_with('.')).collect();
    let throughput = recipe("Throughput between two looks");
    let mut running = Running::start(&mut shell(&throughput, &mount, library.path()));
    let status = eventually("the end of the look", || {
        for file in &music {
            std::fs::read(mount.join(file)).unwrap();
            // So that the next read is one.
            drop_from_page_cache(&mount.join(file));
        }
        running.wait(std::time::Duration::ZERO)
    });
    let outcome = running.outcome(Some(status)).done();
    assert!(outcome.text().ends_with(" kB/s\n"), "{outcome:?}");
    assert!(number(&outcome.text()) > 0.0, "{outcome:?}");

    let text = told(&recipe("How long a read takes"));
    assert!(
        number(&text) > 0.0 && text.ends_with(" ms on average\n"),
        "{text}"
    );

    let watch = recipe("Watch");
    // The shell makes way for the program, which is then what is stopped.
    let watch = format!("exec {}", watch.replace("--watch 2", "--watch 0.1"));
    let mut running = Running::start(&mut shell(&watch, &mount, library.path()));
    eventually("two looks", || {
        let printed = String::from_utf8(running.stdout()).unwrap();
        (printed.matches("musefs_reads_inflight ").count() >= 2).then_some(())
    });
    let pid = i32::try_from(running.child.id()).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGINT).unwrap();
    assert_eq!(running.wait(SOON).and_then(|status| status.code()), Some(0));

    let text = told(&recipe("What changed while something ran"));
    assert!(text.contains("musefs_ops_total{op=\"open\"}"), "{text}");

    let dark = recipe("Which tracks are dark, for programs");
    if has_program("jq") {
        let text = told(&dark);
        assert!(text.lines().any(|line| line == "missing: 0"), "{text}");
    }

    let (profile, failed) = (
        recipe("Where the time goes, for programs"),
        recipe("What failed last"),
    );
    if has_program("jq") {
        let text = told(&profile.replace("--seconds 10", "--seconds 0.5"));
        assert!(text.contains("backing 0 ms\n"), "{text}");
        assert!(std::fs::metadata(mount.join("nothing")).is_err());
        let text = told(&failed);
        assert!(text.lines().any(|line| line == "lookup ENOENT ."), "{text}");
    }

    let text = told(&recipe("A check of what is kept"));
    assert!(text.contains("no fault"), "{text}");

    let left: Vec<_> = recipes.keys().collect();
    assert!(left.is_empty(), "nobody judges {left:?}");

    // What alerts has to, too.
    std::fs::remove_file(library.music().join("one.flac")).unwrap();
    eventually("an alert", || {
        for file in &music {
            // The one that is gone fails.
            std::fs::read(mount.join(file)).ok();
        }
        let outcome = run(&mut shell(&alert, &mount, library.path()));
        (outcome.code == Some(1) && outcome.text() == "degraded: 1 dark track\n").then_some(())
    });
    let mut gone = shell(&alert, &mount, library.path());
    mount.stop();
    let outcome = run(&mut gone);
    assert_eq!(
        (outcome.code, outcome.text().as_str()),
        (Some(1), "failing: not mounted\n")
    );
}

/// Lets the kernel forget what it read of a file.
fn drop_from_page_cache(path: &Path) {
    use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
    let file = std::fs::File::open(path).unwrap();
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).unwrap();
}
