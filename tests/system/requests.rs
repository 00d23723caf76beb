//! Each request has one name and one end: whatever becomes of it on its way, it is told once, and called the same everywhere.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use crate::operations::{HUNG_SERVED, line_with, lines, scene, stuck_reader};
use crate::support::eventually;
use crate::support::hanging::Stuck;
use crate::support::library::{Library, ONE_SERVED};
use crate::support::metrics::Metrics;
use crate::support::mount::Mount;
use crate::support::process::{musefs, run};
use crate::support::python;

/// Who opens one file at the same time.
const OPENERS: usize = 6;
/// How long a text answers for.
const MOMENT: Duration = Duration::from_millis(1100);
const OPENS: Stuck = Stuck {
    reads: false,
    opens: true,
    flushes: false,
};

fn opened(path: &Path) -> JoinHandle<std::io::Result<File>> {
    let path = path.to_owned();
    std::thread::spawn(move || File::open(path))
}

/// The lines of the log and the numbers of one moment, with nothing asked before it but that.
fn moment(mount: &Mount) -> (Vec<String>, Metrics) {
    std::thread::sleep(MOMENT);
    let directory = mount.join(".musefs-metrics");
    let metrics = std::fs::read(directory.join("metrics")).unwrap();
    let log = lines(mount, "oplog");
    let rendered = |name| -> SystemTime {
        let metadata = directory.join(name).metadata().unwrap();
        metadata.modified().unwrap()
    };
    assert_eq!(rendered("metrics"), rendered("oplog"), "one moment");
    (log, Metrics::parse(&metrics))
}

/// The ids of these lines, which have one each, and no two the same.
fn ids(log: &[String]) -> BTreeSet<String> {
    let ids: BTreeSet<String> = log
        .iter()
        .map(|line| line.split(' ').nth(2).unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), log.len(), "{log:#?}");
    for id in &ids {
        let (mount, number) = id.split_once('-').unwrap();
        assert!(
            mount.parse::<u32>().is_ok() && number.parse::<u64>().is_ok(),
            "{id}"
        );
    }
    ids
}

#[test]
fn opens_of_one_file_at_once_are_resolved_once_and_tell_by_whom() {
    require_fuse!();
    let scene = scene(&["--workers", "8", "--event-loops", "4", "--slow-ms", "1"]);
    let mount = &scene.mount;
    let path = mount.join(HUNG_SERVED);
    path.metadata().unwrap();
    scene.hung.stick_all(OPENS);
    let openers: Vec<_> = (0..OPENERS).map(|_| opened(&path)).collect();
    eventually("all wait, and one of them works", || {
        let waiting = lines(mount, "inflight");
        let phase = |phase| waiting.iter().filter(|line| line.contains(phase)).count();
        let phases = (phase(" open backing "), phase(" open queue "));
        (phases == (1, OPENERS - 1)).then_some(())
    });
    assert_eq!(scene.hung.held(), 1, "one of them opens it");
    scene.hung.release();
    for opener in openers {
        opener.join().unwrap().unwrap();
    }
    let slow: Vec<Vec<String>> = eventually("all are told", || {
        let slow = lines(mount, "slow").into_iter();
        let slow: Vec<_> = slow.filter(|line| line.contains(" open ok ")).collect();
        let words = |line: String| line.split(' ').map(str::to_owned).collect();
        (slow.len() == OPENERS).then(|| slow.into_iter().map(words).collect())
    });
    let (leaders, followers): (Vec<_>, Vec<_>) = slow.iter().partition(|line| line[3] == "-");
    assert_eq!(leaders.len(), 1, "{slow:#?}");
    let leader = leaders[0];
    assert_eq!(
        leader[9],
        "header_cache=miss,store=ok(fallback),backing=ok(fallback)"
    );
    for follower in followers {
        assert_eq!(follower[3], format!("leader={}", leader[2]));
        assert_eq!(follower[9], "header_cache=miss,leader=hit(fallback)");
    }
    let metrics = mount.metrics();
    assert_eq!(metrics.value("musefs_resolves_total{cause=\"open\"}"), 1);
    assert_eq!(
        metrics.value("musefs_resolves_coalesced_total"),
        OPENERS as u64 - 1
    );
    assert_eq!(metrics.value("musefs_cache_header_misses_total"), 1);
}

#[test]
fn every_request_ends_once_whatever_becomes_of_it() {
    require_fuse!();
    let bounds = [
        "--workers",
        "2",
        "--reads-inflight-max",
        "1",
        "--backing-timeout",
        "2",
    ];
    let scene = scene(&bounds);
    let mount = &scene.mount;
    let path = mount.join(HUNG_SERVED);
    scene.hung.stick_all(OPENS);
    // The first opens, the others follow; none gets an answer in time, and none gets two.
    let openers: Vec<_> = (0..OPENERS).map(|_| opened(&path)).collect();
    assert!(File::open(mount.join("nothing")).is_err());
    assert!(File::options().write(true).open(&path).is_err());
    for opener in openers {
        let error = opener.join().unwrap().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
    }
    scene.hung.release();
    // Handed to the pool, and answered there.
    drop(eventually("the file opens", || File::open(&path).ok()));
    std::fs::read_dir(mount.path()).unwrap().for_each(drop);
    let (log, metrics) = moment(mount);
    ids(&log);
    assert_eq!(
        log.len() as u64,
        metrics.sum("musefs_ops_total"),
        "{log:#?}"
    );
    let failed = log
        .iter()
        .filter(|line| line.contains(" open EIO "))
        .count();
    assert_eq!(failed, OPENERS);
    for (way, least) in [("timed_out", OPENERS as u64), ("pooled", OPENERS as u64)] {
        let number = metrics.value(&format!("musefs_requests_total{{way=\"{way}\"}}"));
        assert!(number >= least, "{number} {way}");
    }
    // What is taken and has not ended is the request that asks for these numbers.
    let taken = metrics.sum("musefs_client_requests_total");
    assert_eq!(taken, log.len() as u64 + 1, "{log:#?}");
}

#[test]
fn an_id_is_of_one_request_of_one_mount_on_whatever_thread() {
    require_fuse!();
    let libraries = [(); 2].map(|()| Library::of_one());
    let mounts: Vec<Mount> = libraries
        .iter()
        .map(|library| Mount::with(library, &["--event-loops", "4", "--no-kernel-cache"]))
        .collect();
    let read = |path: &Path| {
        let mut reader = Command::new("cat");
        reader.arg(path).stdout(Stdio::null());
        assert!(reader.status().unwrap().success());
    };
    std::thread::scope(|scope| {
        for mount in &mounts {
            for _ in 0..3 {
                scope.spawn(|| read(&mount.join(ONE_SERVED)));
            }
        }
    });
    let ids: Vec<_> = mounts.iter().map(|mount| ids(&moment(mount).0)).collect();
    assert!(ids.iter().all(|ids| ids.len() > 10));
    assert!(ids[0].is_disjoint(&ids[1]), "{ids:?}");
}

const EXEMPLARS: &str = "
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
for family in parse(open(sys.argv[1]).read()):
    for sample in family.samples:
        if sample.exemplar:
            bound = sample.labels['le']
            assert sample.exemplar.value <= float(bound), sample
            print(sample.name, sample.labels['op'], sample.exemplar.labels['request_id'], sample.exemplar.value)
";

#[test]
fn the_examples_of_a_histogram_are_real_requests_by_the_name_that_they_have_elsewhere() {
    require_fuse!();
    let scene = scene(&[]);
    let mount = &scene.mount;
    let mut reader = stuck_reader(&scene);
    let words = format!("read backing {} cat {HUNG_SERVED}", reader.id());
    let waits = line_with(mount, "inflight", &words);
    std::thread::sleep(Duration::from_millis(300));
    scene.hung.release();
    assert!(reader.wait().unwrap().success());
    let slow = line_with(mount, "slow", &format!("read ok {}", reader.id()));
    assert_eq!(slow[2], waits[1]);
    let text = mount.join(".metrics/metrics.om");
    run(musefs(["metrics", "check", "--format", "om"]).arg(&text)).done();
    if !python::has_mutagen() {
        return;
    }
    let examples = python::script(EXEMPLARS, [&text]).done().text();
    let example = examples
        .lines()
        .find(|line| line.split(' ').nth(2) == Some(&slow[2]))
        .unwrap_or_else(|| panic!("no {} in {examples}", slow[2]));
    let words: Vec<&str> = example.split(' ').collect();
    assert_eq!(words[..2], ["musefs_op_duration_seconds_bucket", "read"]);
    let [told, kept] = [words[3], &slow[1]].map(|seconds| seconds.parse::<f64>().unwrap());
    assert!((told - kept).abs() < 1e-5, "{told} {kept}");
    let own = slow[2].split('-').next().unwrap();
    let ids = examples.lines().map(|line| line.split(' ').nth(2).unwrap());
    for id in ids {
        assert_eq!(id.split('-').next(), Some(own), "{examples}");
    }
}
