//! The metrics directory: what is in it, under which names, and that a collector takes it.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::has_program;
use crate::support::library::Library;
use crate::support::metrics::Metrics;
use crate::support::mount::Mount;
use crate::support::process::run;

fn names_in(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn promtool_finds_no_fault_in_the_texts() {
    require_fuse!();
    require!(has_program("promtool"), "there is no promtool");
    let library = Library::of_two();
    let mount = Mount::new(&library);
    for file in crate::support::files_below(mount.path()) {
        std::fs::read(mount.join(file)).unwrap();
    }
    for name in ["metrics", "metrics.prom"] {
        let text = std::fs::File::open(mount.join(".musefs-metrics").join(name)).unwrap();
        let mut check = Command::new("promtool");
        check.args(["check", "metrics"]).stdin(Stdio::from(text));
        let outcome = run(&mut check).done();
        assert_eq!(
            (outcome.text().as_str(), outcome.stderr.as_str()),
            ("", ""),
            "{name}"
        );
    }
}

#[test]
fn every_sample_for_collectors_names_its_mount() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::with(&library, &["--metrics-label", "host=nas"]);
    mount.metrics_when(
        "the first look at the library's directory is over",
        |metrics| metrics.sum("musefs_backing_reachable") == 1,
    );
    let text = std::fs::read(mount.join(".musefs-metrics/metrics.prom")).unwrap();
    let metrics = Metrics::parse(&text);
    let label = format!("mount=\"{}\"", library.mountpoint().display());
    for name in metrics.names() {
        assert!(
            name.contains(&label) && name.contains("host=\"nas\""),
            "{name}"
        );
    }
    let plain = mount.metrics();
    assert_eq!(metrics.names().len(), plain.names().len());
    assert!(plain.names().iter().all(|name| !name.contains("mount=")));
}

#[test]
fn a_mount_can_be_given_another_name() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::with(&library, &["--metrics-label", "mount=living room"]);
    let text = std::fs::read(mount.join(".musefs-metrics/metrics.prom")).unwrap();
    let up = Metrics::parse(&text).value("musefs_up{mount=\"living room\"}");
    assert_eq!(up, 1);
}

#[test]
fn the_link_is_reached_by_name_and_never_listed() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    assert_eq!(
        names_in(mount.path()),
        [".musefs-metrics", "Boards of Canada"]
    );
    assert_eq!(
        names_in(&mount.join(".musefs-metrics")),
        [
            "config",
            "cores",
            "health",
            "inflight",
            "metrics",
            "metrics.env",
            "metrics.json",
            "metrics.om",
            "metrics.prom",
            "oplog",
            "ready",
            "schema.json",
            "slow",
            "value",
        ]
    );
    let target = std::fs::read_link(mount.join(".metrics")).unwrap();
    assert_eq!(target, Path::new(".musefs-metrics"));
    assert!(
        mount
            .join(".metrics")
            .symlink_metadata()
            .unwrap()
            .is_symlink()
    );
    Metrics::parse(&std::fs::read(mount.join(".metrics/metrics")).unwrap());
}

#[test]
fn each_number_has_a_file_that_a_shell_can_read() {
    require_fuse!();
    let library = Library::of_two();
    let mount = Mount::new(&library);
    for file in crate::support::files_below(mount.path()) {
        std::fs::read(mount.join(file)).unwrap();
    }
    // What was rendered before the reads has had its second.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let script = r#"
        cd "$0" || exit 1
        opens=$(cat value/musefs_ops_total/op=open)
        . ./metrics.env
        [ $((opens)) -ge 2 ] && [ "$musefs_ops_total_op_open" -ge "$((opens))" ] &&
            [ "$(wc -c <value/musefs_handles_open)" = 21 ] && [ "$((musefs_up))" = 1 ] &&
            [ -f value/musefs_op_duration_seconds_count/op=read ] &&
            [ "$(ls value | wc -l)" -gt 60 ] && ! [ -e value/musefs_nonsense ]
    "#;
    let mut shell = Command::new("sh");
    shell.args(["-euc", script]).arg(mount.join(".metrics"));
    run(&mut shell).done();
    for file in crate::support::files_below(&mount.join(".musefs-metrics/value")) {
        let line =
            std::fs::read_to_string(mount.join(".musefs-metrics/value").join(&file)).unwrap();
        assert!(line.len() == 21 && line.ends_with('\n'), "{}", file);
        line.trim().parse::<f64>().unwrap();
    }
}

#[test]
fn what_holds_paths_is_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::with(&library, &["--metrics-label", "host=nas"]);
    let directory = mount.join(".musefs-metrics");
    for name in names_in(&directory) {
        let mode = directory.join(&name).metadata().unwrap().permissions();
        let expected = match &*name {
            "value" => 0o555,
            "config" | "inflight" | "oplog" | "slow" => 0o400,
            _ => 0o444,
        };
        assert_eq!(mode.mode() & 0o777, expected, "{name}");
    }
    let config = std::fs::read_to_string(directory.join("config")).unwrap();
    for line in [
        "metrics-label = host=nas  # command line",
        "attr-ttl-ms = 60000  # default",
        "no-kernel-cache = false  # default",
    ] {
        assert!(config.contains(line), "{config}");
    }
    let root = library.music().canonicalize().unwrap();
    let root = format!("root 0 = {}  # store\n", root.display());
    assert!(config.contains(&root), "{config}");
}

#[test]
fn without_the_kernels_memory_every_request_arrives() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::with(&library, &["--no-kernel-cache"]);
    let file = mount.join(crate::support::files_below(mount.path()).first().unwrap());
    let counted = || {
        let metrics = mount.metrics();
        ["getattr", "read"].map(|op| metrics.value(&format!("musefs_ops_total{{op=\"{op}\"}}")))
    };
    let look = || {
        std::fs::metadata(&file).unwrap();
        std::fs::read(&file).unwrap();
    };
    look();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let before = counted();
    look();
    look();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let after = counted();
    assert!(after[1] >= before[1] + 4, "{before:?} {after:?}");
}

#[test]
fn a_hidden_directory_is_reached_by_name_and_not_listed() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::with(&library, &["--metrics-hidden"]);
    assert_eq!(names_in(mount.path()), ["Boards of Canada"]);
    assert_eq!(mount.metrics().value("musefs_up"), 1);
    assert!(mount.join(".metrics/metrics").exists());
}

#[test]
fn the_directory_can_be_called_otherwise() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::with(&library, &["--metrics-dir", "numbers"]);
    assert_eq!(names_in(mount.path()), ["Boards of Canada", "numbers"]);
    assert_eq!(mount.metrics_in("numbers").value("musefs_up"), 1);
    assert_eq!(
        std::fs::read_link(mount.join(".metrics")).unwrap(),
        Path::new("numbers")
    );
    assert!(!mount.join(".musefs-metrics").exists());
}

#[test]
fn a_mount_can_do_without_the_directory() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::with(&library, &["--metrics-dir", "off"]);
    assert_eq!(names_in(mount.path()), ["Boards of Canada"]);
    for name in [".musefs-metrics", ".metrics", "off"] {
        assert!(mount.join(name).symlink_metadata().is_err(), "{name}");
    }
}

#[test]
fn the_metrics_tell_what_the_mount_is() {
    require_fuse!();
    let library = Library::of_two();
    let mount = Mount::with(
        &library,
        &[
            "--workers",
            "5",
            "--dir-handles-max",
            "7",
            "--reads-inflight-max",
            "9",
            "--header-cache-mib",
            "3",
            "--readahead-mib",
            "0",
        ],
    );
    let metrics = mount.metrics();
    for (name, value) in [
        ("musefs_up", 1),
        ("musefs_pool_workers", 5),
        ("musefs_dir_handles_max", 7),
        ("musefs_reads_inflight_max", 9),
        ("musefs_cache_header_bytes_max", 3 * 1024 * 1024),
        ("musefs_readahead_budget_bytes", 0),
        ("musefs_refresh_needs_rebuild", 0),
        // The root, two artists, two albums, two files.
        ("musefs_tree_nodes", 7),
        ("musefs_cache_size_entries", 2),
    ] {
        assert_eq!(metrics.value(name), value, "{name}");
    }
    assert!(
        metrics
            .names()
            .iter()
            .any(|name| name.starts_with("musefs_build_info{version="))
    );
}
