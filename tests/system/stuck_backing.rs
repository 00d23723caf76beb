//! A backing filesystem that stops answering: whoever needs it waits, and nobody else does.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::support::audio::{self, Sound};
use crate::support::hanging::{Hanging, Stuck};
use crate::support::library::{Library, ONE, ONE_SERVED};
use crate::support::mount::Mount;
use crate::support::process::{musefs, run};
use crate::support::{SOON, errno, eventually, within};

/// Twice and more as many as four workers and two event loops.
const READERS: usize = 32;
/// Where one reader starts after the other: further apart than the kernel reads ahead.
const STRIDE: usize = 256 * 1024;
const AT_ONCE: Duration = Duration::from_secs(1);
/// Far below what waiting for a stuck reader would take, far above what starting a program does.
const SYNC_LIMIT: Duration = Duration::from_secs(10);
const THREADS: [&str; 4] = ["--workers", "4", "--event-loops", "2"];

/// A library with one file on a disk that works and one on a filesystem that hangs on demand.
struct Scene {
    hanging: Hanging,
    mount: Mount,
    /// Last, because nothing can be taken away from under a mount.
    library: Library,
}

/// Where the file of the hanging filesystem is shown.
const HUNG_SERVED: &str = "Hung/Unknown/Long.flac";

/// Where another file of the same filesystem is shown, which does not hang.
const BESIDE_SERVED: &str = "Hung/Unknown/Beside.flac";

fn scene(arguments: &[&str]) -> Scene {
    let library = Library::new();
    library.add("one.flac", Sound::Flac, ONE, true);
    library.scan();
    let long = library.path().join("long.flac");
    audio::write(
        &long,
        Sound::LongFlac,
        &[("title", "Long"), ("artist", "Hung")],
        false,
    );
    let slow = library.path().join("slow");
    std::fs::create_dir(&slow).unwrap();
    let beside = library.path().join("beside.flac");
    let tags = [("title", "Beside"), ("artist", "Hung")];
    audio::write(&beside, Sound::Flac, &tags, false);
    let files = [long, beside].map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read(path).unwrap())
    });
    let hanging = Hanging::mount(&slow, files.into());
    run(musefs(["scan", "--db"]).arg(library.db()).arg(&slow)).done();
    let mount = Mount::with(&library, &[&THREADS, arguments].concat());
    // Remembered by the kernel and by musefs from here on.
    for cached in [ONE_SERVED, BESIDE_SERVED] {
        std::fs::read(mount.join(cached)).unwrap();
    }
    Scene {
        hanging,
        mount,
        library,
    }
}

/// Has the hanging file stop answering reads, with readers at work in it, each at a place of its own. What each of them
/// gets comes by itself.
fn stick_readers(scene: &Scene) -> Receiver<(usize, std::io::Result<Vec<u8>>)> {
    let open = || File::open(scene.mount.join(HUNG_SERVED)).unwrap();
    let files: Vec<File> = (0..READERS).map(|_| open()).collect();
    scene.hanging.stick(
        "long.flac",
        Stuck {
            reads: true,
            ..Stuck::default()
        },
    );
    let (done, results) = channel();
    for (index, file) in files.into_iter().enumerate() {
        let done = done.clone();
        std::thread::spawn(move || {
            let mut bytes = vec![0; 4096];
            let offset = index * STRIDE;
            let read = file.read_exact_at(&mut bytes, offset as u64);
            done.send((offset, read.map(|()| bytes)))
        });
    }
    eventually("the readers are stuck", || {
        (scene.hanging.held() > 0).then_some(())
    });
    results
}

#[test]
fn a_hanging_file_holds_up_nobody_but_its_readers() {
    require_fuse!();
    let scene = scene(&[]);
    let results = stick_readers(&scene);
    scene.mount.metrics_when("all readers wait", |metrics| {
        metrics.value("musefs_reads_inflight") >= READERS as u64
    });
    for cached in [ONE_SERVED, BESIDE_SERVED] {
        let path = scene.mount.join(cached);
        within(AT_ONCE, cached, move || std::fs::read(path).unwrap());
    }
    let root = scene.mount.path().to_path_buf();
    let listed = within(AT_ONCE, "a listing", move || {
        crate::support::files_below(&root)
    });
    assert!(listed.iter().any(|file| file == HUNG_SERVED));
    let metrics = scene.mount.join(".musefs-metrics/metrics");
    within(AT_ONCE, "the metrics", move || {
        std::fs::read(metrics).unwrap()
    });
    assert!(results.try_recv().is_err(), "no reader got anything yet");

    scene.hanging.release();
    let whole = std::fs::read(scene.mount.join(HUNG_SERVED)).unwrap();
    for _ in 0..READERS {
        let (offset, read) = results.recv_timeout(SOON).expect("a reader goes on");
        assert!(whole[offset..].starts_with(&read.unwrap()));
    }
    scene.mount.metrics_when("all reads are over", |metrics| {
        metrics.value("musefs_reads_inflight") == 0
    });
}

/// Seconds by which reads took longer than their sound lasts.
fn starved(mount: &Mount) -> f64 {
    let text = std::fs::read_to_string(mount.join(".musefs-metrics/metrics")).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("musefs_starved_seconds_total "));
    line.unwrap().parse().unwrap()
}

#[test]
fn a_reader_that_had_to_wait_longer_than_its_sound_lasts_has_starved() {
    require_fuse!();
    let scene = scene(&[]);
    assert!(starved(&scene.mount).abs() < f64::EPSILON);
    // The kernel asks for just what is read: 4096 bytes of noise are a fraction of a tenth of a second.
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_DIRECT)
        .open(scene.mount.join(HUNG_SERVED))
        .unwrap();
    let stuck = Stuck {
        reads: true,
        ..Stuck::default()
    };
    scene.hanging.stick("long.flac", stuck);
    let asked = Instant::now();
    let reader = std::thread::spawn(move || file.read_exact_at(&mut [0; 4096], 8 << 20).unwrap());
    eventually("the reader is stuck", || {
        (scene.hanging.held() > 0).then_some(())
    });
    std::thread::sleep(Duration::from_millis(500));
    scene.hanging.release();
    reader.join().unwrap();
    let waited = asked.elapsed().as_secs_f64();
    let starved = eventually("a snapshot knows", || {
        Some(starved(&scene.mount)).filter(|&starved| starved > 0.0)
    });
    assert!((0.4..waited).contains(&starved), "{starved} of {waited} s");
}

#[test]
fn edits_are_seen_while_readers_are_stuck_those_of_the_stuck_album_too() {
    require_fuse!();
    let scene = scene(&[]);
    let results = stick_readers(&scene);
    for (file, title, shown) in [
        (
            "one.flac",
            "Edited",
            "Boards of Canada/Geogaddi/Edited.flac",
        ),
        ("long.flac", "Edited", "Hung/Unknown/Edited.flac"),
    ] {
        let new = scene.mount.join(shown);
        assert!(!new.exists());
        scene.library.set_tag(file, "title", title);
        let mount = scene.mount.path().to_path_buf();
        within(SYNC_LIMIT, "a sync", move || {
            run(musefs(["sync"]).arg(mount)).done();
        });
        within(AT_ONCE, shown, move || new.metadata().unwrap());
    }
    assert!(!scene.mount.join(ONE_SERVED).exists() && !scene.mount.join(HUNG_SERVED).exists());
    assert!(results.try_recv().is_err(), "no reader got anything yet");
    scene.hanging.release();
    for _ in 0..READERS {
        let (_, read) = results.recv_timeout(SOON).expect("a reader goes on");
        assert!(read.is_ok(), "an open file reads on: {read:?}");
    }
}

#[test]
fn who_waits_too_long_for_a_disk_gets_an_error_and_is_counted() {
    require_fuse!();
    let scene = scene(&["--backing-timeout", "1"]);
    let results = stick_readers(&scene);
    for _ in 0..READERS {
        let (_, result) = results
            .recv_timeout(SOON)
            .expect("an answer after the timeout");
        assert_eq!(errno(&result), libc::EIO);
    }
    let metrics = scene.mount.metrics();
    assert!(metrics.value("musefs_requests_total{way=\"timed_out\"}") >= READERS as u64);
    assert!(metrics.value("musefs_op_errors_total{op=\"read\",errno=\"EIO\"}") >= READERS as u64);
    scene.hanging.release();
    let path = scene.mount.join(HUNG_SERVED);
    eventually("the file reads again", || std::fs::read(&path).ok());
}

#[test]
fn an_open_that_waits_too_long_gets_an_error_and_others_open() {
    require_fuse!();
    let scene = scene(&["--backing-timeout", "1"]);
    scene.hanging.stick(
        "long.flac",
        Stuck {
            opens: true,
            ..Stuck::default()
        },
    );
    let hung = scene.mount.join(HUNG_SERVED);
    let opened = within(SOON, "an answer after the timeout", move || {
        File::open(hung)
    });
    assert_eq!(errno(&opened), libc::EIO);
    let one = scene.mount.join(ONE_SERVED);
    within(AT_ONCE, "a file on a disk that works", move || {
        std::fs::read(one).unwrap()
    });
    let metrics = scene.mount.metrics();
    assert!(metrics.value("musefs_requests_total{way=\"timed_out\"}") >= 1);
}

#[test]
fn a_mount_with_stuck_readers_ends_when_it_is_asked_to() {
    require_fuse!();
    let mut scene = scene(&["--backing-timeout", "60"]);
    let results = stick_readers(&scene);
    scene.mount.signal(nix::sys::signal::Signal::SIGTERM);
    // The process cannot be gone before its stuck threads are, but nobody can go in any more.
    eventually("it is unmounted", || {
        (!crate::support::mount::is_mounted(scene.mount.path())).then_some(())
    });
    std::thread::sleep(Duration::from_secs(6));
    scene.hanging.release();
    scene.mount.ended(SOON).expect("it ends").is_calm();
    for _ in 0..READERS {
        assert!(
            results.recv_timeout(SOON).is_ok(),
            "every reader gets an answer"
        );
    }
}
