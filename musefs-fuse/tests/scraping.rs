//! What costs nothing: reading the metrics again within a second (nothing is allocated, no statement reaches the store and no
//! call a backing file), and keeping what an event loop answers.

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;

use fuser::Errno;
use musefs_core::serve::Musefs;
use musefs_fuse::dispatch::{Asked, Dispatch, DispatchConfig, OwnedReply};
use musefs_fuse::health::Health;
use musefs_fuse::metrics::{EdgeMetrics, Operation};
use musefs_fuse::metrics_files::{DirectoryName, Gauges, MetricsFiles, NodeId, Presentation};
use musefs_fuse::passthrough::Passthrough;
use musefs_fuse::roots::Roots;
use musefs_telemetry::{Engine, Family, Outcome};

#[path = "../../tests/counting_allocator.rs"]
mod counting_allocator;
#[path = "../../tests/in_process.rs"]
mod in_process;

use counting_allocator::ALLOCATIONS;

static OPENS: Family = Family::counter("opens_total", "Opens.");

fn metrics_files(musefs: &Arc<Musefs>) -> MetricsFiles {
    let engine = musefs.engine();
    let edge = EdgeMetrics::declare(engine).unwrap();
    let gauges = Gauges::declare(engine).unwrap();
    let config = DispatchConfig {
        workers: 1,
        queue_len_max: 1,
        backing_timeout: Duration::from_secs(30),
    };
    let health = Health {
        musefs: Arc::clone(musefs),
        dispatch: Dispatch::start(config, edge).unwrap(),
        roots: Roots::watch(Arc::clone(musefs)).unwrap(),
        refreshing: Arc::default(),
    };
    let presentation = Presentation {
        directory: Some(DirectoryName {
            name: ".musefs-metrics".into(),
            hidden: false,
        }),
        identity: Vec::new(),
        config: String::new(),
    };
    let opens = Engine::new().counter(&OPENS).unwrap();
    let passthrough = Passthrough::new(Err("nothing is mounted"), opens);
    MetricsFiles::new(presentation, gauges, Arc::new(health), passthrough)
}

/// What the store and the backing files were asked so far.
fn asked(musefs: &Musefs) -> u64 {
    let snapshot = musefs.engine().snapshot();
    [
        "musefs_store_queries_total",
        "musefs_backing_opens_total",
        "musefs_backing_stats_total",
        "musefs_backing_preads_total",
    ]
    .into_iter()
    .map(|name| {
        let metric = snapshot.find(name).expect(name);
        let series = 0..metric.family().series_count();
        let values = series.filter_map(|index| snapshot.value(metric.family(), index));
        values.sum::<u64>()
    })
    .sum()
}

#[test]
fn a_warm_snapshot_is_read_without_work() {
    let directory = tempfile::tempdir().unwrap();
    let musefs = Arc::new(in_process::serve(&directory.path().join("music.db"), 0));
    let files = metrics_files(&musefs);
    let texts = ["metrics", "metrics.prom", "metrics.om", "metrics.json"];
    let nodes = texts.map(|name| files.child(NodeId::ROOT, OsStr::new(name)).unwrap());
    // As often as a request looks; the whole second is seldom over in the middle of it.
    let read_all = || -> Option<u64> {
        let before = ALLOCATIONS.get();
        for node in nodes {
            let snapshot = files.warm()?;
            let len = files.len(node, &snapshot)?;
            let handle = files.open(files.text(node, &snapshot)?);
            assert_eq!(files.opened(handle).map(|text| text.len()), Some(len));
            assert!(files.release(handle));
        }
        Some(ALLOCATIONS.get() - before)
    };
    let asked_before = asked(&musefs);
    let mut least = u64::MAX;
    for _ in 0..20 {
        files.fresh();
        least = least.min(read_all().unwrap_or(u64::MAX));
        least = least.min(read_all().unwrap_or(u64::MAX));
    }
    assert_eq!(least, 0, "allocations of a second look");
    assert_eq!(asked(&musefs), asked_before, "rendering asks nobody either");
}

/// Nobody, who waits for an answer.
struct Nobody;

impl OwnedReply for Nobody {
    fn fail(self, _: Errno) {}
}

#[test]
fn a_request_that_its_event_loop_answers_is_kept_without_an_allocation() {
    let engine = Engine::new();
    let config = DispatchConfig {
        workers: 1,
        queue_len_max: 1,
        backing_timeout: Duration::from_secs(30),
    };
    let metrics = EdgeMetrics::declare(&engine).unwrap();
    // Each is slow and kept with its tiers, which is the most that can happen.
    metrics.slow_from(Some(Duration::ZERO));
    let dispatch = Dispatch::start(config, metrics).unwrap();
    let request = |inode, result: Result<(), Errno>| {
        let asked = Asked {
            unique: inode,
            inode,
            process: 1,
        };
        let mut taken = dispatch.take(Operation::Read, asked);
        taken.is_about(inode);
        taken.note("backing", Outcome::Ok);
        dispatch.answer(taken, Nobody, result, |_, ()| {});
    };
    // The first one of a thread makes room for what that counts.
    request(1, Ok(()));
    let before = ALLOCATIONS.get();
    for inode in 2..1000 {
        request(inode, Ok(()));
        request(inode, Err(Errno::EIO));
    }
    assert_eq!(ALLOCATIONS.get() - before, 0);
    let last = engine.events().slow().pop().expect("the last one is kept");
    let event = last.event();
    assert_eq!((event.subject, event.process, event.failed), (999, 1, true));
    assert_eq!(event.tiers[0].name, "backing");
}
