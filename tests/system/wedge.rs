//! A whole filesystem that stops answering, with more readers than a mount has threads and queues: what does not need it goes
//! on, at the pace that it has without.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::support::audio::{self, Sound};
use crate::support::hanging::{Hanging, Stuck};
use crate::support::library::Library;
use crate::support::mount::Mount;
use crate::support::process::{musefs, run};
use crate::support::{SOON, eventually, files_below, is_full, within};

const WORKERS: usize = 4;
const QUEUE_LEN_MAX: usize = 8;
const EVENT_LOOPS: usize = 2;
const READERS: usize = 4 * (WORKERS + QUEUE_LEN_MAX + EVENT_LOOPS);
/// Files that are opened for the first time while nothing answers.
const OPENERS: usize = 8;
/// Files that are closed while nothing answers: more than there are event loops.
const CLOSED: usize = 4;
const AT_ONCE: Duration = Duration::from_secs(1);
const ROUNDS: usize = 20;

/// Readers of stalled files beside which others work.
const STALLED: usize = 32;
/// Tries to have a ratio that other work on this machine did not spoil.
const TRIES: usize = 5;

/// A library on two filesystems, the first of which hangs on demand and the second of which always answers. Both are read by the
/// pool alone.
struct Scene {
    hung: Hanging,
    mount: Mount,
    /// Where the files of the first are shown.
    hung_files: Vec<PathBuf>,
    /// Where the long file of the second is shown.
    long: PathBuf,
    /// Not used, but there until the end.
    _healthy: Hanging,
    /// Last, because nothing can be taken away from under a mount.
    _library: Library,
}

/// `hung_count` files on the filesystem that hangs; the store is on that, too, where it is to hang.
fn scene(hung_count: usize, has_store: bool) -> Scene {
    let library = Library::new();
    let tiny = std::fs::read(audio::sample(Sound::TinyFlac)).unwrap();
    let directory = |name: &str| {
        let path = library.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    };
    let (hung_path, healthy_path) = (directory("hung"), directory("healthy"));
    let named = |prefix: &'static str, count| {
        let tiny = tiny.clone();
        (0..count).map(move |index| (format!("{prefix}{index:03}.flac"), tiny.clone()))
    };
    let hung = Hanging::mount(&hung_path, named("hung", hung_count).collect());
    let long = std::fs::read(audio::sample(Sound::LongFlac)).unwrap();
    let long = ("long.flac".to_owned(), long);
    let healthy = named("healthy", 20).chain([long]).collect();
    let healthy = Hanging::mount(&healthy_path, healthy);
    run(musefs(["scan", "-q", "--db"])
        .arg(library.db())
        .args([&hung_path, &healthy_path]))
    .done();
    let mut store = library.db();
    if has_store {
        let connection = library.store();
        connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .unwrap();
        drop(connection);
        hung.add("store.db", std::fs::read(&store).unwrap());
        store = hung_path.join("store.db");
    }
    let mut command = musefs(["mount", "--no-kernel-cache", "--backing-timeout", "300"]);
    command
        .args(["--template", "$filename", "--db"])
        .arg(&store)
        .args(["--workers", &WORKERS.to_string()])
        .args(["--reads-inflight-max", &QUEUE_LEN_MAX.to_string()])
        .args(["--event-loops", &EVENT_LOOPS.to_string()])
        .arg(library.mountpoint());
    let mount = Mount::start(&mut command, &library.mountpoint())
        .unwrap_or_else(|outcome| panic!("could not be mounted: {outcome:?}"));
    let shown = |wanted: &str| -> Vec<PathBuf> {
        files_below(mount.path())
            .into_iter()
            .filter(|path| path.contains(wanted) && !path.contains("musefs-metrics"))
            .map(|path| mount.join(path))
            .collect()
    };
    let hung_files = shown("hung");
    assert_eq!(hung_files.len(), hung_count);
    let long = shown("long").pop().expect("the long file is shown");
    Scene {
        hung_files,
        long,
        hung,
        mount,
        _healthy: healthy,
        _library: library,
    }
}

fn open_direct(path: &Path) -> File {
    File::options()
        .read(true)
        .custom_flags(libc::O_DIRECT)
        .open(path)
        .unwrap()
}

/// Reads each of the files whole, on a thread of its own; what each reader gets comes by itself.
fn read_all(files: Vec<File>, len: usize) -> Receiver<std::io::Result<Vec<u8>>> {
    let (done, results) = channel();
    for file in files {
        let done = done.clone();
        std::thread::spawn(move || {
            let mut bytes = vec![0; len];
            let read = file.read_exact_at(&mut bytes, 0);
            done.send(read.map(|()| bytes))
        });
    }
    results
}

#[test]
fn a_filesystem_that_hangs_with_the_store_on_it_stops_nobody_else() {
    require_fuse!();
    let scene = scene(READERS + OPENERS + CLOSED, true);
    let mount = &scene.mount;
    let (readers, others) = scene.hung_files.split_at(READERS);
    let (openers, closed) = others.split_at(OPENERS);
    let len = usize::try_from(readers[0].metadata().unwrap().len()).unwrap();
    let files: Vec<File> = readers.iter().map(|path| open_direct(path)).collect();
    let closed: Vec<File> = closed.iter().map(|path| open_direct(path)).collect();
    // Known to musefs from here on, but to nobody else.
    let cached = scene.long.clone();
    let cached_bytes = std::fs::read(&cached).unwrap();

    scene.hung.stick_all(Stuck {
        reads: true,
        opens: true,
        flushes: true,
    });
    drop(closed);
    let results = read_all(files, len);
    let opened: Vec<_> = openers
        .iter()
        .map(|path| {
            let path = path.clone();
            std::thread::spawn(move || std::fs::read(path))
        })
        .collect();
    mount.metrics_when("all wait", |metrics| {
        let parked = metrics.value("musefs_requests_total{way=\"parked\"}");
        metrics.value("musefs_pool_queued") == QUEUE_LEN_MAX as u64
            && parked >= (READERS + OPENERS - WORKERS - QUEUE_LEN_MAX) as u64
    });
    let texts = mount.join(".musefs-metrics");
    let mut slowest = Duration::ZERO;
    for round in 0..ROUNDS {
        let (texts, cached, len) = (texts.clone(), cached.clone(), cached_bytes.len());
        let begun = Instant::now();
        within(AT_ONCE, &format!("the metrics, {round}"), move || {
            for entry in std::fs::read_dir(texts).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_file() {
                    assert!(!std::fs::read(entry.path()).unwrap().is_empty());
                }
            }
        });
        slowest = slowest.max(begun.elapsed());
        let begun = Instant::now();
        within(AT_ONCE, &format!("a cached track, {round}"), move || {
            let file = open_direct(&cached);
            let mut bytes = vec![0; 256 * 1024];
            let offset = (round * len / ROUNDS) as u64;
            assert!(file.read_at(&mut bytes, offset).unwrap() > 0);
        });
        slowest = slowest.max(begun.elapsed());
    }
    println!("the slowest of {ROUNDS} rounds took {slowest:?} beside {READERS} stuck readers");
    assert!(results.try_recv().is_err(), "no reader got anything yet");
    assert!(
        scene.hung.held() <= WORKERS,
        "half of the pool, and the refresh"
    );

    scene.hung.release();
    let whole = std::fs::read(&readers[0]).unwrap();
    for _ in 0..READERS {
        let read = results.recv_timeout(SOON).expect("a reader goes on");
        assert!(read.unwrap() == whole);
    }
    for opened in opened {
        assert!(opened.join().unwrap().is_ok_and(|read| read.len() == len));
    }
    mount.metrics_when("nothing is left", |metrics| {
        metrics.value("musefs_reads_inflight") == 0 && metrics.value("musefs_handles_open") == 0
    });
    assert!(std::fs::read(&cached).unwrap() == cached_bytes);
}

/// Names walked, files looked at and bytes read by one walker, one who stats and one sequential reader within `limit`.
fn work(scene: &Scene, limit: Duration) -> [u64; 3] {
    let deadline = Instant::now() + limit;
    let repeat = |step: &mut dyn FnMut() -> u64| {
        let mut done = 0;
        while Instant::now() < deadline {
            done += step();
        }
        done
    };
    let root = scene.mount.path();
    std::thread::scope(|scope| {
        let walk = scope.spawn(|| repeat(&mut || files_below(root).len() as u64));
        let stat = scope.spawn(|| {
            let mut paths = scene.hung_files.iter().cycle();
            repeat(&mut || {
                let path = paths.next().expect("they go round");
                path.metadata().map(|_| 1).unwrap()
            })
        });
        let read = scope.spawn(|| {
            let file = File::open(&scene.long).unwrap();
            let mut bytes = vec![0; 128 * 1024];
            let mut offset = 0;
            repeat(&mut || {
                let count = file.read_at(&mut bytes, offset).unwrap() as u64;
                offset = if count == 0 { 0 } else { offset + count };
                count
            })
        });
        [walk, stat, read].map(|worker| worker.join().unwrap())
    })
}

#[test]
fn work_beside_stalled_files_is_at_least_half_of_what_it_is_without() {
    require_fuse!();
    let slice = Duration::from_secs(if is_full() { 5 } else { 1 });
    let scene = scene(STALLED, false);
    let len = usize::try_from(scene.hung_files[0].metadata().unwrap().len()).unwrap();
    let mut best = [0.0f64; 3];
    work(&scene, slice / 4);
    for _ in 0..TRIES {
        let files = scene.hung_files.iter().map(|path| open_direct(path));
        let files: Vec<File> = files.collect();
        let free = work(&scene, slice);
        let reads = Stuck {
            reads: true,
            ..Stuck::default()
        };
        scene.hung.stick_all(reads);
        let results = read_all(files, len);
        eventually("the readers are stuck", || {
            (scene.hung.held() >= WORKERS / 2).then_some(())
        });
        let stalled = work(&scene, slice);
        assert!(results.try_recv().is_err(), "no reader got anything yet");
        scene.hung.release();
        for _ in 0..STALLED {
            results
                .recv_timeout(SOON)
                .expect("a reader goes on")
                .unwrap();
        }
        #[expect(clippy::cast_precision_loss, reason = "a ratio need not be exact")]
        for ((best, with), without) in best.iter_mut().zip(stalled).zip(free) {
            *best = best.max(with as f64 / without.max(1) as f64);
        }
        println!(
            "walked, looked at, read: {free:?} in {slice:?}, {stalled:?} beside {STALLED} stalled readers"
        );
        if best.iter().all(|&ratio| ratio >= 0.5) {
            break;
        }
    }
    println!("best ratios: {best:.2?}");
    assert!(best.iter().all(|&ratio| ratio >= 0.5), "{best:.2?}");
}
