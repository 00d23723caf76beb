//! What the mount tells of itself, the process and the kernel's side: beside what others tell of them.

use std::path::Path;
use std::process::Command;

use crate::support::audio::{self, Sound};
use crate::support::hanging::Hanging;
use crate::support::library::{Library, ONE_SERVED};
use crate::support::metrics::Metrics;
use crate::support::mount::Mount;
use crate::support::process::{musefs, run};
use crate::support::{errno, eventually};
use crate::system_errors::{can_hide, hidden};

/// Samples that a mount may have in all.
const SAMPLES_MAX: usize = 600;

fn labelled<'a>(metrics: &'a Metrics, family: &str) -> Vec<&'a str> {
    let start = format!("{family}{{");
    let names = metrics.names().into_iter();
    names.filter(|name| name.starts_with(&start)).collect()
}

#[test]
fn errors_and_durations_have_the_series_that_can_be_and_no_others() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    assert!(!mount.join("nobody").exists());
    assert!(std::fs::read_link(mount.join(ONE_SERVED)).is_err());
    let written = std::fs::File::options()
        .write(true)
        .open(mount.join(".metrics/metrics"));
    assert_ne!(errno(&written), 0);
    let metrics = mount.metrics();
    let absent = metrics.value("musefs_op_errors_total{op=\"lookup\",errno=\"ENOENT\"}");
    assert!(absent >= 1);
    assert_eq!(labelled(&metrics, "musefs_op_errors_total").len(), 28);
    let impossible = "musefs_op_errors_total{op=\"statfs\",errno=\"ENOENT\"}";
    assert!(!metrics.names().contains(&impossible));
    let counts = labelled(&metrics, "musefs_op_duration_seconds_count");
    assert_eq!(counts.len(), 5);
    for op in ["lookup", "getattr", "readdir", "open", "read"] {
        let ops = metrics.value(&format!("musefs_ops_total{{op=\"{op}\"}}"));
        let timed = metrics.value(&format!("musefs_op_duration_seconds_count{{op=\"{op}\"}}"));
        assert_eq!(ops, timed, "{op}");
    }
    let bounds = labelled(&metrics, "musefs_op_duration_seconds_bucket").len() / 5;
    assert_eq!(bounds, 14 + 1);
    assert!(metrics.samples().len() < SAMPLES_MAX);
}

#[test]
fn each_request_went_one_way() {
    require_fuse!();
    let library = Library::of_two();
    let mount = Mount::new(&library);
    for file in crate::support::files_below(mount.path()) {
        std::fs::read(mount.join(file)).unwrap();
    }
    // Files are closed after whoever read them goes on.
    mount.metrics_when("as many ways as requests", |metrics| {
        let way = |way| metrics.value(&format!("musefs_requests_total{{way=\"{way}\"}}"));
        let ways = ["inline", "pooled", "lane", "refused"].map(way);
        assert!(ways[0] > 0 && ways[1] > 0 && ways[2] > 0, "{ways:?}");
        ways.iter().sum::<u64>() == metrics.sum("musefs_ops_total")
    });
}

#[test]
fn time_is_told_by_phase_where_the_disk_is_waited_for_and_nowhere_else() {
    require_fuse!();
    let library = Library::of_one();
    let slow = library.path().join("slow");
    std::fs::create_dir(&slow).unwrap();
    let file = library.path().join("slow.flac");
    let tags = [("title", "Slow"), ("artist", "Slow")];
    audio::write(&file, Sound::LongFlac, &tags, false);
    let bytes = std::fs::read(&file).unwrap();
    let _hanging = Hanging::mount(&slow, vec![("slow.flac".to_owned(), bytes)]);
    run(musefs(["scan", "--db"]).arg(library.db()).arg(&slow)).done();
    let mount = Mount::new(&library);
    let phase = |metrics: &Metrics, op: &str, phase: &str| {
        metrics.number(&format!(
            "musefs_op_phase_seconds_total{{op=\"{op}\",phase=\"{phase}\"}}"
        ))
    };
    let before = mount.metrics();
    for op in ["open", "read"] {
        for name in ["store", "layout", "backing"] {
            assert_eq!(phase(&before, op, name).to_bits(), 0, "{op} {name}");
        }
    }
    assert_eq!(labelled(&before, "musefs_op_phase_seconds_total").len(), 25);
    std::fs::read(mount.join("Slow/Unknown/Slow.flac")).unwrap();
    let all = ["queue", "store", "layout", "backing", "reply"];
    let metrics = mount.metrics_when("the answer of the last read is counted", |metrics| {
        phase(metrics, "read", "reply") > 0.0 && phase(metrics, "open", "reply") > 0.0
    });
    for name in all {
        assert!(phase(&metrics, "open", name) > 0.0, "open {name}");
        // A read of sound needs no store.
        let is_there = phase(&metrics, "read", name) > 0.0;
        assert_eq!(is_there, name != "store", "read {name}");
    }
    for op in ["open", "read"] {
        let whole = metrics.number(&format!("musefs_op_duration_seconds_sum{{op=\"{op}\"}}"));
        let before_reply: f64 = all[..4].iter().map(|name| phase(&metrics, op, name)).sum();
        assert!(before_reply <= whole, "{op}: {before_reply} of {whole}");
    }
}

#[test]
fn the_process_is_as_the_system_tells() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    let proc = Path::new("/proc").join(mount.pid().to_string());
    let open = || std::fs::read_dir(proc.join("fd")).unwrap().count();
    let threads = || std::fs::read_dir(proc.join("task")).unwrap().count();
    // Threads end and begin, and so do looks at directories.
    eventually("the same number of both", || {
        let told = mount.metrics();
        let is_so = told.value("musefs_process_threads") == threads() as u64
            && told.value("musefs_process_open_fds") == open() as u64;
        is_so.then_some(())
    });
    let metrics = mount.metrics();
    let limits = std::fs::read_to_string(proc.join("limits")).unwrap();
    let max = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|line| line.split_whitespace().next())
        .unwrap();
    assert_eq!(metrics.value("musefs_process_max_fds").to_string(), max);
    assert!(metrics.value("musefs_process_resident_memory_bytes") > 1 << 20);
    let cpu = metrics.number("musefs_process_cpu_seconds_total");
    assert!(cpu > 0.0 && cpu < 60.0, "{cpu}");
}

#[test]
fn the_program_tells_its_commit_and_counts_what_it_renders() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    let metrics = mount.metrics();
    let info = labelled(&metrics, "musefs_build_info");
    let commit = info[0].split("commit=\"").nth(1).unwrap();
    let commit = commit.split('"').next().unwrap();
    let is_commit = commit.len() == 12 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(is_commit || commit == "unknown", "{commit}");
    assert!(metrics.value("musefs_renders_total") >= 1);
    let again = mount.metrics();
    let rendering = |metrics: &Metrics| metrics.number("musefs_render_seconds_total");
    assert!(rendering(&again) > rendering(&metrics));
    let opened = "musefs_scrapes_total{transport=\"file\"}";
    assert_eq!(again.value(opened), metrics.value(opened) + 1);
    assert_eq!(again.value("musefs_series_overflowed_total"), 0);
}

#[test]
fn the_kernels_side_is_told_where_the_kernel_tells() {
    require_fuse!();
    if !can_hide() {
        return;
    }
    let library = Library::of_one();
    let connections = "/sys/fs/fuse/connections";
    let may_see = Command::new("unshare")
        .args(["-m", "mount", "-t", "fusectl", "none", connections])
        .status();
    require!(
        may_see.is_ok_and(|status| status.success()),
        "the kernel's table of connections cannot be mounted here"
    );
    for (prepare, is_told) in [
        (
            format!("mount -t fusectl none {connections} && exec \"$@\""),
            true,
        ),
        (
            format!("mount -t tmpfs none {connections} && exec \"$@\""),
            false,
        ),
    ] {
        let mount = Mount::start(&mut hidden(&library, &prepare), &library.mountpoint()).unwrap();
        let seen = format!("/proc/{}/root", mount.pid());
        let within = |path: &Path| Path::new(&seen).join(path.strip_prefix("/").unwrap());
        let text = within(&library.mountpoint()).join(".metrics/metrics");
        let metrics = Metrics::parse(&std::fs::read(text).unwrap());
        let values = ["max_background", "congestion_threshold", "waiting"].map(|name| {
            let name = format!("musefs_fuse_{name}");
            let is_there = metrics.names().contains(&name.as_str());
            is_there.then(|| metrics.value(&name))
        });
        if !is_told {
            assert_eq!(values, [None; 3]);
            continue;
        }
        let minor = nix::sys::stat::minor(
            nix::sys::stat::stat(&within(&library.mountpoint()))
                .unwrap()
                .st_dev,
        );
        let own = within(&Path::new(connections).join(minor.to_string()));
        let expected = |name: &str| {
            let text = std::fs::read_to_string(own.join(name)).unwrap();
            text.trim().parse().ok()
        };
        assert_eq!(values[0], expected("max_background"));
        assert_eq!(values[1], expected("congestion_threshold"));
        assert!(values[2].is_some());
    }
}
