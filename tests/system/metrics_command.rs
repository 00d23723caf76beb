//! `musefs metrics`: what it prints is what the mount has, what it checks is what collectors would find, and what it lists is
//! what there is.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::library::Library;
use crate::support::metrics::Metrics;
use crate::support::mount::Mount;
use crate::support::process::{MUSEFS, Running, clean, musefs, run};
use crate::support::{SOON, eventually, has_program, python, users};

fn metrics<A: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = musefs(["metrics"]);
    command.args(arguments);
    command
}

fn printed(mount: &Path, arguments: &[&str]) -> String {
    run(metrics([mount]).args(arguments)).done().text()
}

#[test]
fn every_path_of_a_mount_leads_to_its_metrics() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::with(&library, &["--metrics-dir", "numbers"]);
    let expected = mount.metrics_in("numbers");
    for path in ["", "numbers", ".metrics", "Boards of Canada/Geogaddi"] {
        let text = printed(&mount.join(path), &[]);
        let found = Metrics::parse(text.as_bytes());
        assert_eq!(found.names(), expected.names(), "{path}");
        assert!(!text.contains("musefs_padding"));
    }
    // From within, as people type it.
    let mut here = metrics(["."]);
    let text = run(here.current_dir(mount.path())).done().text();
    let found = Metrics::parse(text.as_bytes());
    assert_eq!(found.names(), expected.names());
}

#[test]
fn a_mount_without_a_metrics_directory_tells_its_owner_all_the_same() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::with(&library, &["--metrics-dir", "off"]);
    let scrapes = "musefs_scrapes_total{transport=\"control\"}";
    let text = printed(mount.path(), &[]);
    assert_eq!(Metrics::parse(text.as_bytes()).value("musefs_up"), 1);
    let path = library.path().join("musefs.prom");
    run(metrics(["textfile"]).arg(mount.path()).arg(&path)).done();
    let told = run(metrics(["check"]).arg(mount.path())).done().text();
    assert!(told.contains("no fault"), "{told}");
    let found = eventually("three scrapes that are counted", || {
        let text = printed(mount.path(), &["--name", "musefs_scrapes_total"]);
        let found = Metrics::parse(text.as_bytes());
        (found.value(scrapes) >= 3).then_some(found)
    });
    assert_eq!(found.value("musefs_scrapes_total{transport=\"file\"}"), 0);
}

#[test]
fn families_are_chosen_by_name_in_each_format() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    let text = printed(mount.path(), &["--name", "musefs_ops_total"]);
    let found = Metrics::parse(text.as_bytes());
    assert!(found.names().contains(&"musefs_ops_total{op=\"read\"}"));
    assert!(
        found
            .names()
            .iter()
            .all(|name| name.starts_with("musefs_ops_total{"))
    );
    assert_eq!(text.matches("# HELP ").count(), 1);

    let text = printed(
        mount.path(),
        &["--format", "om", "--name", "musefs_ops_total"],
    );
    assert!(text.contains("# TYPE musefs_ops counter\n"), "{text}");
    assert!(text.contains("musefs_ops_total{op=\"read\"} "), "{text}");
    assert_eq!(text.matches("# TYPE ").count(), 1);

    let text = printed(mount.path(), &["--format", "json", "--name", "musefs_up*"]);
    let object: Value = serde_json::from_str(&text).expect("JSON");
    let names: Vec<&str> = object["families"]
        .as_array()
        .expect("families")
        .iter()
        .map(|family| family["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(names.len(), 2);
    assert!(names.contains(&"musefs_up") && names.contains(&"musefs_uptime_seconds"));

    let text = printed(
        mount.path(),
        &["--format", "env", "--name", "musefs_reads_inflight"],
    );
    assert_eq!(text, "musefs_reads_inflight=0\n");
    let all = printed(mount.path(), &["--format", "env"]);
    assert!(all.lines().count() > 50 && !all.contains('#'), "{all}");

    run(metrics(["--name", "none_*"]).arg(mount.path())).refused(1, &["no metric is called"]);
    assert_eq!(run(&mut metrics(["--name", "a[", "."])).code, Some(64));
}

#[test]
fn a_saved_text_is_read_in_its_own_format() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    let keep = |name: &str, format: &str| {
        let path = library.path().join(name);
        std::fs::write(&path, printed(mount.path(), &["--format", format])).unwrap();
        path
    };
    let (text, open) = (keep("a.prom", "text"), keep("b.txt", "om"));
    let (json, env) = (keep("c.json", "json"), keep("d.env", "env"));
    drop(mount);
    assert_eq!(printed(&text, &[]), std::fs::read_to_string(&text).unwrap());
    assert_eq!(printed(&open, &[]), std::fs::read_to_string(&open).unwrap());
    let up = printed(&open, &["--name", "musefs_up", "--format", "om"]);
    assert!(up.ends_with("musefs_up 1\n# EOF\n"), "{up}");
    run(metrics([&text]).args(["--format", "om"])).refused(1, &["is Prometheus text"]);
    run(metrics([&text]).args(["--format", "json"])).refused(1, &["printed in its own format"]);
    for other in [json, env] {
        run(&mut metrics([&other]))
            .refused(1, &["neither Prometheus text nor OpenMetrics", "line 1"]);
    }
    run(&mut metrics([library.path().join("none")])).refused(1, &["cannot look at"]);
    run(&mut metrics([library.path()])).refused(1, &["lies in no musefs mount"]);
}

/// Runs alone in a namespace of mounts, so that other tests' mounts are not seen.
fn in_own_namespace(script: &str, arguments: &[&Path]) -> Command {
    let mut command = Command::new("unshare");
    command
        .args([
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-ec",
            script,
            "sh",
        ])
        .args(arguments);
    clean(&mut command);
    command.env("MUSEFS", MUSEFS);
    command
}

#[test]
fn the_only_mount_is_found_and_several_are_listed() {
    require_fuse!();
    require!(
        users::is_root() && has_program("unshare"),
        "a namespace of mounts takes root and unshare"
    );
    let one = Library::of_one();
    let other = Library::of_one();
    let (one, other) = (Mount::new(&one), Mount::new(&other));
    // Whatever else is mounted here is taken away from the namespace, and from nobody else.
    let script = r#"
        awk '/ - fuse.musefs / {print $5}' /proc/self/mountinfo | while read -r point; do
            [ "$point" = "$1" ] || [ "$point" = "$2" ] || umount -l "$point"
        done
        if "$MUSEFS" metrics; then exit 9; fi
        umount -l "$2"
        "$MUSEFS" metrics --name musefs_up
        umount -l "$1"
        if "$MUSEFS" metrics; then exit 9; fi
    "#;
    let outcome = run(&mut in_own_namespace(script, &[one.path(), other.path()])).done();
    assert!(
        outcome.text().ends_with("musefs_up 1\n# EOF\n"),
        "{outcome:?}"
    );
    let told: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!(told.len(), 2, "{told:?}");
    for mount in [&one, &other] {
        let path = mount.path().to_str().unwrap();
        assert!(
            told[0].contains("which mount?") && told[0].contains(path),
            "{told:?}"
        );
    }
    assert!(told[1].contains("No musefs is mounted"), "{told:?}");
}

#[test]
fn watching_goes_on_until_it_is_stopped_and_after_the_mount_was_away() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    let mut watch = metrics([mount.path()]);
    watch.args(["--name", "musefs_up", "--watch", "0.1"]);
    let mut watching = Running::start(&mut watch);
    let texts = |watching: &Running| {
        let printed = String::from_utf8(watching.stdout()).unwrap();
        printed.matches("musefs_up 1\n# EOF\n").count()
    };
    eventually("two texts", || (texts(&watching) >= 2).then_some(()));
    mount.stop();
    eventually("a word about the mount that is away", || {
        watching.stderr().contains("looking again").then_some(())
    });
    let before = texts(&watching);
    let mount = Mount::new(&library);
    eventually("texts of the mount that is back", || {
        (texts(&watching) > before).then_some(())
    });
    kill(pid(&watching), Signal::SIGINT).unwrap();
    let status = watching.wait(SOON).expect("it ends when it is asked to");
    assert_eq!(status.code(), Some(0));
    let printed = String::from_utf8(watching.stdout()).unwrap();
    assert!(
        printed.contains("# EOF\n---\n# HELP musefs_up "),
        "{printed}"
    );
    assert!(!printed.contains('\x1b'), "no terminal, nothing to clear");
    drop(mount);
}

fn pid(running: &Running) -> Pid {
    Pid::from_raw(i32::try_from(running.child.id()).unwrap())
}

#[test]
fn the_texts_of_a_mount_are_found_to_have_no_fault() {
    require_fuse!();
    let library = Library::of_two();
    let mount = Mount::with(&library, &["--metrics-label", "note=a\"b\\c"]);
    for file in crate::support::files_below(mount.path()) {
        std::fs::read(mount.join(file)).unwrap();
    }
    let check = |path: &Path| run(metrics(["check"]).arg(path)).done().text();
    assert!(check(mount.path()).contains("no fault"));
    // A copy, because who asks is told as well, and each command is somebody new.
    let copy = library.path().join("copy.prom");
    std::fs::copy(mount.join(".metrics/metrics"), &copy).unwrap();
    let told = check(&copy);
    let copied = std::fs::read(&copy).unwrap();
    let names = Metrics::parse(&copied).samples().len();
    assert!(
        told.contains("Prometheus text: ") && told.contains(&format!(" {names} samples, no fault")),
        "{told}"
    );
    for (name, format) in [
        ("metrics.prom", "Prometheus text"),
        ("metrics.om", "OpenMetrics"),
    ] {
        let told = check(&mount.join(".metrics").join(name));
        assert!(told.contains(format) && told.contains("no fault"), "{told}");
    }
    let text = std::fs::read(mount.join(".metrics/metrics")).unwrap();
    let cut = library.path().join("cut");
    std::fs::write(&cut, &text[..text.len() / 2]).unwrap();
    let outcome = run(metrics(["check"]).arg(&cut));
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.text().contains("cut:") && outcome.text().contains("`# EOF`"),
        "{outcome:?}"
    );
}

#[test]
fn faults_are_named_by_line_also_from_standard_input() {
    let mut faulty = tempfile::tempfile().unwrap();
    faulty.write_all(b"# TYPE a counter\na 1\na 1\n").unwrap();
    std::io::Seek::rewind(&mut faulty).unwrap();
    let mut check = metrics(["check", "-"]);
    let outcome = run(check.stdin(Stdio::from(faulty)));
    assert_eq!(outcome.code, Some(1));
    let text = outcome.text();
    for part in [
        "-:1: `a` has no HELP",
        "-:1: `a` is a counter, and its name does not end in `_total`",
        "-:3: the series `a` stands twice: first on line 2",
        "-:3: the text does not end with `# EOF`",
        "-: Prometheus text: 1 family, 2 samples, 4 faults",
    ] {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
}

/// What was parsed as the Python client does it, so that neither parser judges itself.
const CLIENT: &str = r"
import sys
from prometheus_client.parser import text_string_to_metric_families as text
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_
parse = open_ if sys.argv[2] == 'om' else text
print(sum(len(family.samples) for family in parse(open(sys.argv[1]).read())))
";

#[test]
fn the_count_of_samples_is_that_of_another_parser() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    for format in ["text", "om"] {
        let kept = library.path().join(format);
        std::fs::write(&kept, printed(mount.path(), &["--format", format])).unwrap();
        let count = python::script(CLIENT, [kept.as_path(), Path::new(format)])
            .done()
            .text();
        let told = run(metrics(["check"]).arg(&kept)).done().text();
        assert!(
            told.contains(&format!(" {} samples", count.trim())),
            "{told} {count}"
        );
    }
}

/// Tells of each file whether the Python client takes it.
const TAKES: &str = r"
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
for path in sys.argv[1:]:
    try:
        list(parse(open(path).read()))
        print('taken')
    except ValueError as error:
        print('refused:', error)
";

/// Each case of the checker's own tests, by other programs that read these formats: what they refuse has a fault.
#[test]
fn what_others_refuse_has_a_fault() {
    require!(has_program("promtool"), "there is no promtool");
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/exposition");
    let kept = tempfile::tempdir().unwrap();
    let (mut open, mut refused) = (Vec::new(), 0);
    for case in std::fs::read_dir(cases).unwrap() {
        let path = case.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let (input, _) = text.split_once("---\n").unwrap();
        let file = kept.path().join(path.file_name().unwrap());
        std::fs::write(&file, input).unwrap();
        let told = run(metrics(["check"]).arg(&file));
        let has_fault = told.code == Some(1);
        if told.text().contains(": OpenMetrics: ") {
            open.push((file, has_fault));
            continue;
        }
        let mut promtool = Command::new("promtool");
        promtool.args(["check", "metrics"]);
        promtool.stdin(Stdio::from(std::fs::File::open(&file).unwrap()));
        let judged = run(&mut promtool);
        // Other codes are advice on names.
        if judged.code == Some(1) {
            refused += 1;
            assert!(has_fault, "{}: {judged:?}", file.display());
        }
    }
    assert!(refused > 5, "promtool refuses {refused}");
    let files = open.iter().map(|(file, _)| file);
    let judged = python::script(TAKES, files).done().text();
    assert_eq!(judged.lines().count(), open.len());
    for ((file, has_fault), judged) in open.iter().zip(judged.lines()) {
        assert!(
            *has_fault || judged == "taken",
            "{}: {judged}",
            file.display()
        );
    }
    assert!(judged.matches("refused").count() > 2, "{judged}");
}

#[test]
fn the_catalogue_names_what_a_mount_has() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    let all: Value =
        serde_json::from_slice(&run(&mut metrics(["list", "--json"])).done().stdout).unwrap();
    let listed: Vec<&str> = all["families"]
        .as_array()
        .unwrap()
        .iter()
        .map(|family| family["name"].as_str().unwrap())
        .collect();
    let text = printed(mount.path(), &[]);
    let served: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    for name in &served {
        assert!(listed.contains(name), "{name} is served and not listed");
    }
    let plain = run(&mut metrics(["list"])).done().text();
    let page = run(&mut metrics(["list", "--markdown"])).done().text();
    for name in listed {
        assert!(
            plain.contains(name) && page.contains(&format!("`{name}`")),
            "{name}"
        );
    }
}
