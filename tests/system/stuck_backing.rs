//! A backing filesystem that stops answering: whoever needs it waits, and nobody else does.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::support::audio::{self, Sound};
use crate::support::hanging::{Hanging, Stuck};
use crate::support::library::{Library, ONE, ONE_SERVED};
use crate::support::mount::Mount;
use crate::support::process::{musefs, run};
use crate::support::{SOON, errno, eventually, within};

/// Twice and more as many as four workers and two event loops.
const READERS: usize = 32;
/// Where one reader starts after the other: further apart than the kernel reads ahead.
const STRIDE: u64 = 256 * 1024;
const AT_ONCE: Duration = Duration::from_secs(1);
const THREADS: [&str; 4] = ["--workers", "4", "--event-loops", "2"];

/// A library with one file on a disk that works and one on a filesystem that hangs on demand.
struct Scene {
    hanging: Hanging,
    mount: Mount,
    library: Library,
}

/// Where the file of the hanging filesystem is shown.
const HUNG_SERVED: &str = "Hung/Unknown/Long.flac";

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
    let files = vec![("long.flac".to_owned(), std::fs::read(long).unwrap())];
    let hanging = Hanging::mount(&slow, files);
    run(musefs(["scan", "--db"]).arg(library.db()).arg(&slow)).done();
    let mount = Mount::with(&library, &[&THREADS, arguments].concat());
    // Remembered by the kernel and by musefs from here on.
    std::fs::read(mount.join(ONE_SERVED)).unwrap();
    Scene {
        hanging,
        mount,
        library,
    }
}

/// Has the hanging file stop answering reads, with readers at work in it, each at a place of its own. What each of them
/// gets comes by itself.
fn stick_readers(scene: &Scene) -> Receiver<std::io::Result<Vec<u8>>> {
    let open = || File::open(scene.mount.join(HUNG_SERVED)).unwrap();
    let files: Vec<File> = (0..READERS).map(|_| open()).collect();
    scene.hanging.stick(Stuck {
        reads: true,
        opens: false,
    });
    let (done, results) = channel();
    for (index, file) in files.into_iter().enumerate() {
        let done = done.clone();
        std::thread::spawn(move || {
            let mut bytes = vec![0; 4096];
            let read = file.read_exact_at(&mut bytes, index as u64 * STRIDE);
            done.send(read.map(|()| bytes))
        });
    }
    eventually("all workers are stuck", || {
        (scene.hanging.held() >= 4).then_some(())
    });
    results
}

#[test]
fn a_hanging_file_holds_up_nobody_but_its_readers() {
    require_fuse!();
    let scene = scene(&[]);
    let expected = std::fs::read(scene.mount.join(HUNG_SERVED)).unwrap();
    // Anew, so that the kernel remembers nothing of the file that will hang.
    let Scene {
        hanging,
        mount,
        library,
    } = scene;
    mount.stop().done();
    let mount = Mount::with(&library, &THREADS);
    std::fs::read(mount.join(ONE_SERVED)).unwrap();
    let scene = Scene {
        hanging,
        mount,
        library,
    };
    let results = stick_readers(&scene);
    let metrics = scene.mount.metrics_when("all readers wait", |metrics| {
        metrics.value("musefs_reads_inflight") >= READERS as u64
    });
    assert_eq!(metrics.value("musefs_pool_active"), 4);

    let one = scene.mount.join(ONE_SERVED);
    within(AT_ONCE, "a file on a disk that works", move || {
        std::fs::read(one).unwrap()
    });
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
    for _ in 0..READERS {
        let bytes = results
            .recv_timeout(SOON)
            .expect("a reader goes on")
            .unwrap();
        assert!(expected.chunks(4096).any(|chunk| chunk == bytes));
    }
    scene.mount.metrics_when("all reads are over", |metrics| {
        metrics.value("musefs_reads_inflight") == 0
    });
    drop(scene.library);
}

#[test]
fn who_waits_too_long_for_a_disk_gets_an_error_and_is_counted() {
    require_fuse!();
    let scene = scene(&["--backing-timeout", "1"]);
    let results = stick_readers(&scene);
    for _ in 0..READERS {
        let result = results
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
    scene.hanging.stick(Stuck {
        reads: false,
        opens: true,
    });
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
    let scene = scene(&["--backing-timeout", "60"]);
    let results = stick_readers(&scene);
    let Scene {
        hanging,
        mut mount,
        library,
    } = scene;
    mount.signal(nix::sys::signal::Signal::SIGTERM);
    // The process cannot be gone before its stuck threads are, but nobody can go in any more.
    eventually("it is unmounted", || {
        (!crate::support::mount::is_mounted(mount.path())).then_some(())
    });
    std::thread::sleep(Duration::from_secs(6));
    hanging.release();
    mount.ended(SOON).expect("it ends").is_calm();
    for _ in 0..READERS {
        results
            .recv_timeout(SOON)
            .expect("every reader gets an answer")
            .ok();
    }
    drop(library);
}
