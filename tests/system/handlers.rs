//! Event handlers that misbehave, on a mount in the test's own process: files are served on, the same byte by byte, and each
//! operation is told of once or counted among those that were not.
//!
//! The files are read by another process. The test itself looks at numbers alone.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, Instant};

use fuser::{BackgroundSession, Config, MountOption, Session};
use musefs_core::serve::{Mode, Musefs, ServeConfig};
use musefs_core::template::DEFAULT_TEMPLATE;
use musefs_fuse::adapter::{Adapter, Appearance};
use musefs_fuse::dispatch::{Dispatch, DispatchConfig};
use musefs_fuse::health::Health;
use musefs_fuse::metrics::EdgeMetrics;
use musefs_fuse::metrics_files::{Gauges, MetricsFiles, Presentation};
use musefs_fuse::passthrough::Passthrough;
use musefs_fuse::roots::Roots;
use musefs_telemetry::events::{Dropped, QUEUED_MAX};
use musefs_telemetry::snapshot::Value;
use musefs_telemetry::{Engine, EventHandler, Family, OperationEvent, Subscription};

use crate::support::library::{Library, ONE_SERVED};
use crate::support::{SOON, eventually};

#[path = "../in_process.rs"]
mod in_process;

const EVENT_LOOPS: usize = 2;
/// What is not asked for is counted nowhere else.
static OPENS: Family = Family::counter("test_passthrough_opens_total", "Files passed through.");

/// A library mounted by this process, with a kernel that remembers nothing.
struct Mounted {
    library: Library,
    path: PathBuf,
    musefs: Arc<Musefs>,
    dispatch: Arc<Dispatch>,
    roots: Arc<Roots>,
    session: Option<BackgroundSession>,
    /// What is served.
    bytes: Vec<u8>,
}

impl Mounted {
    fn new() -> Self {
        let library = Library::of_one();
        let (path, db) = (library.mountpoint(), library.path().join("own.db"));
        let config = ServeConfig {
            mode: Mode::Synthesis,
            header_cache_bytes_max: 1 << 20,
            readahead_bytes_max: 0,
            dir_handles_max: 16,
            store_connections: 1,
        };
        let music = library.music();
        let musefs = Arc::new(in_process::serve_music(
            &music,
            DEFAULT_TEMPLATE,
            config,
            &db,
        ));
        let engine = musefs.engine();
        let edge = EdgeMetrics::declare(engine).unwrap();
        let gauges = Gauges::declare(engine).unwrap();
        let passthrough = Passthrough::new(Err("a test"), engine.counter(&OPENS).unwrap());
        let config = DispatchConfig {
            workers: 4,
            queue_len_max: 64,
            backing_timeout: Duration::from_secs(30),
        };
        let dispatch = Dispatch::start(config, edge).unwrap();
        let roots = Roots::watch(Arc::clone(&musefs)).unwrap();
        let health = Arc::new(Health {
            musefs: Arc::clone(&musefs),
            dispatch: Arc::clone(&dispatch),
            roots: Arc::clone(&roots),
            refreshing: Arc::default(),
        });
        let presentation = Presentation {
            directory: None,
            identity: Vec::new(),
            config: String::new(),
        };
        let files = MetricsFiles::new(presentation, gauges, health, Arc::clone(&passthrough));
        let adapter = Adapter {
            musefs: Arc::clone(&musefs),
            dispatch: Arc::clone(&dispatch),
            metrics_files: Arc::new(files),
            appearance: Appearance {
                uid: nix::unistd::getuid().as_raw(),
                gid: nix::unistd::getgid().as_raw(),
                file_mode: 0o444,
                dir_mode: 0o555,
                ttl: Duration::ZERO,
                keeps_bytes: false,
            },
            roots: Arc::clone(&roots),
            telling: Arc::default(),
            passthrough,
        };
        let mut config = Config::default();
        config.mount_options = vec![MountOption::RO, MountOption::FSName("musefs".into())];
        config.n_threads = Some(EVENT_LOOPS);
        config.clone_fd = true;
        let session = Session::new(adapter, &path, &config).expect("a mount");
        let session = session.spawn().expect("a thread");
        let mut mounted = Self {
            library,
            path,
            musefs,
            dispatch,
            roots,
            session: Some(session),
            bytes: Vec::new(),
        };
        mounted.bytes = mounted.read();
        assert!(mounted.bytes.starts_with(b"fLaC"));
        mounted
    }

    fn engine(&self) -> &Engine {
        self.musefs.engine()
    }

    fn served(&self) -> PathBuf {
        self.path.join(ONE_SERVED)
    }

    /// What another process reads.
    fn read(&self) -> Vec<u8> {
        let output = Command::new("cat").arg(self.served()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    }

    #[track_caller]
    fn is_served(&self) {
        assert!(
            self.read() == self.bytes,
            "other bytes than without handlers"
        );
    }

    /// Operations that ended, once no more end.
    fn ended(&self) -> u64 {
        let mut before = None;
        eventually("operations end", || {
            let ended = operations(self.engine());
            let settled = before.replace(ended) == Some(ended);
            std::thread::sleep(Duration::from_millis(50));
            settled.then_some(ended)
        })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            session.umount_and_join().expect("it can be unmounted");
        }
        let deadline = Instant::now() + SOON;
        assert!(self.dispatch.stop(deadline) && self.roots.stop(deadline));
        assert!(self.library.path().exists());
    }
}

/// Operations that ended, of whatever kind and however.
fn operations(engine: &Engine) -> u64 {
    let snapshot = engine.snapshot();
    let ops = snapshot.find("musefs_ops_total").expect("operations");
    let count = |value| match value {
        Value::Counter(count) => count,
        other => panic!("{other:?} is no counter"),
    };
    ops.series().map(|(_, value)| count(value)).sum()
}

/// Counts what it is told of.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicU64>);

impl EventHandler for Counting {
    fn on_operation_complete(&self, _: &OperationEvent<'_>) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// Panics whenever it is told of something, without a word.
struct Panicking;

impl EventHandler for Panicking {
    fn on_operation_complete(&self, _: &OperationEvent<'_>) {
        std::panic::resume_unwind(Box::new("a handler's fault"));
    }
}

#[test]
fn a_handler_that_panics_harms_nothing_and_each_operation_is_told_of_once() {
    require_fuse!();
    let mounted = Mounted::new();
    let events = Arc::clone(mounted.engine().events());
    let before = mounted.ended();
    let told = Counting::default();
    let _panicking = events.subscribe(Panicking);
    let _counting = events.subscribe(told.clone());
    for _ in 0..5 {
        mounted.is_served();
    }
    let ended = mounted.ended() - before;
    assert!(ended > 20, "{ended} operations");
    assert_eq!(told.0.load(Relaxed), ended);
    assert_eq!(events.panics(), ended);
}

/// Reads the file of the mount whenever it is told of something, a few times.
struct Reading {
    path: PathBuf,
    expected: Vec<u8>,
    reads: Arc<AtomicU64>,
}

const READS_MAX: u64 = 10;

impl EventHandler for Reading {
    fn on_operation_complete(&self, _: &OperationEvent<'_>) {
        if self.reads.load(Relaxed) < READS_MAX {
            let read = std::fs::read(&self.path).expect("the mount serves its own handlers");
            assert!(read == self.expected);
            self.reads.fetch_add(1, Relaxed);
        }
    }
}

#[test]
fn a_queued_handler_reads_the_mount_that_it_hears_of() {
    require_fuse!();
    let mounted = Mounted::new();
    let events = Arc::clone(mounted.engine().events());
    let before = mounted.ended();
    let (reads, told) = (Arc::new(AtomicU64::new(0)), Counting::default());
    let reading = Reading {
        path: mounted.served(),
        expected: mounted.bytes.clone(),
        reads: Arc::clone(&reads),
    };
    let _reading = events.subscribe_queued(reading).unwrap();
    let _counting = events.subscribe(told.clone());
    for _ in 0..5 {
        mounted.is_served();
    }
    assert!(events.flush(SOON));
    let ended = mounted.ended() - before;
    assert_eq!((reads.load(Relaxed), events.panics()), (READS_MAX, 0));
    // What it did itself is counted and not told, so that it does not hear itself for ever.
    let own = events.dropped(Dropped::Own);
    assert!(own > READS_MAX, "{own}");
    assert_eq!(told.0.load(Relaxed) + own, ended);
}

/// Stops listening the first time that it is told of something.
#[derive(Clone, Default)]
struct Leaving {
    subscription: Arc<Mutex<Option<Subscription>>>,
    told: Arc<AtomicU64>,
}

impl EventHandler for Leaving {
    fn on_operation_complete(&self, _: &OperationEvent<'_>) {
        self.told.fetch_add(1, Relaxed);
        self.subscription.lock().unwrap().take();
    }
}

#[test]
fn a_handler_that_leaves_while_it_is_told_hears_no_more_and_others_hear_all() {
    require_fuse!();
    let mounted = Mounted::new();
    let events = Arc::clone(mounted.engine().events());
    let before = mounted.ended();
    let (leaving, told) = (Leaving::default(), Counting::default());
    *leaving.subscription.lock().unwrap() = Some(events.subscribe(leaving.clone()));
    let _counting = events.subscribe(told.clone());
    mounted.is_served();
    let ended = mounted.ended() - before;
    // Each event loop, worker and the test may be telling it at that moment, and none begins to afterwards.
    let heard = leaving.told.load(Relaxed);
    assert!((1..=EVENT_LOOPS as u64 + 4).contains(&heard), "{heard}");
    assert_eq!(told.0.load(Relaxed), ended);
    mounted.is_served();
    assert!(mounted.ended() - before > ended);
    assert_eq!(leaving.told.load(Relaxed), heard);
}

/// Is told nothing more until the test lets it.
struct Stuck {
    gate: Arc<Barrier>,
    told: Arc<AtomicU64>,
}

impl EventHandler for Stuck {
    fn on_operation_complete(&self, _: &OperationEvent<'_>) {
        if self.told.fetch_add(1, Relaxed) == 0 {
            self.gate.wait();
        }
    }
}

/// Asks for the attributes of a file, so often.
fn look(path: &Path, times: usize) {
    for _ in 0..times {
        std::fs::metadata(path).expect("the file is there");
    }
}

#[test]
fn a_queued_handler_that_is_stuck_holds_up_nobody_and_what_it_misses_is_counted() {
    require_fuse!();
    let mounted = Mounted::new();
    let events = Arc::clone(mounted.engine().events());
    let before = mounted.ended();
    let (gate, told) = (Arc::new(Barrier::new(2)), Arc::new(AtomicU64::new(0)));
    let stuck = Stuck {
        gate: Arc::clone(&gate),
        told: Arc::clone(&told),
    };
    let _stuck = events.subscribe_queued(stuck).unwrap();
    look(&mounted.served(), 2 * QUEUED_MAX * EVENT_LOOPS);
    mounted.is_served();
    let dropped = events.dropped(Dropped::QueueFull);
    assert!(dropped > 0 && told.load(Relaxed) == 1, "{dropped}");
    gate.wait();
    assert!(events.flush(SOON));
    let ended = mounted.ended() - before;
    assert!(events.flush(SOON));
    let dropped = events.dropped(Dropped::QueueFull);
    assert_eq!(told.load(Relaxed) + dropped, ended);
}
