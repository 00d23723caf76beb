//! The mount's own verdict on itself: each kind of trouble is told in one line while it lasts, and not longer.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use crate::support::audio::{self, Sound};
use crate::support::hanging::{Hanging, Stuck};
use crate::support::library::{Library, ONE_SERVED, TWO_SERVED};
use crate::support::mount::Mount;
use crate::support::process::{musefs, run};
use crate::support::{errno, eventually};

fn health(mount: &Mount) -> String {
    std::fs::read_to_string(mount.join(".musefs-metrics/health")).unwrap()
}

/// Waits until the mount tells just this of itself, as a line and as metrics.
#[track_caller]
fn becomes(mount: &Mount, line: &str) {
    let mut told = String::new();
    let deadline = std::time::Instant::now() + crate::support::SOON;
    while told != format!("{line}\n") {
        assert!(
            std::time::Instant::now() < deadline,
            "never {line:?}, but {told:?}"
        );
        std::thread::sleep(std::time::Duration::from_millis(50));
        told = health(mount);
    }
    let state = line.split(':').next().unwrap();
    let metrics = mount.metrics_when(line, |metrics| {
        metrics.value(&format!("musefs_health_state{{state=\"{state}\"}}")) == 1
    });
    assert_eq!(metrics.sum("musefs_health_state"), 1);
    let is_ready = mount.join(".musefs-metrics/ready").exists();
    assert_eq!(is_ready, state != "failing", "{line}");
}

fn reachable(mount: &Mount, root: u32, expected: u64) {
    let name = format!("musefs_backing_reachable{{root=\"{root}\"}}");
    mount.metrics_when(&name, |metrics| {
        metrics.names().contains(&name.as_str()) && metrics.value(&name) == expected
    });
}

/// Scans a directory beside the library's own, with one file in it.
fn scan_second_root(library: &Library, directory: &std::path::Path) {
    run(musefs(["scan", "--db"]).arg(library.db()).arg(directory)).done();
}

const SECOND_SERVED: &str = "Second/Unknown/Second.flac";

fn add_second(directory: &std::path::Path) -> std::path::PathBuf {
    let path = directory.join("second.flac");
    let tags = [("title", "Second"), ("artist", "Second")];
    audio::write(&path, Sound::LongFlac, &tags, false);
    path
}

#[test]
fn without_trouble_a_mount_is_ok_and_ready() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    becomes(&mount, "ok");
    reachable(&mount, 0, 1);
    let metrics = mount.metrics();
    let roots = metrics.names().into_iter();
    let roots = roots.filter(|name| name.starts_with("musefs_backing_reachable"));
    assert_eq!(roots.count(), 1, "what there is not is not told of");
}

#[test]
fn a_directory_that_is_gone_degrades_and_the_last_one_fails_until_it_is_back() {
    require_fuse!();
    let library = Library::of_one();
    let second = library.path().join("second");
    std::fs::create_dir(&second).unwrap();
    add_second(&second);
    let mount = Mount::new(&library);
    reachable(&mount, 0, 1);
    // A refresh brings it.
    scan_second_root(&library, &second);
    reachable(&mount, 1, 1);
    becomes(&mount, "ok");
    let away = |path: &std::path::Path| path.with_extension("away");
    let move_away = |path: &std::path::Path| std::fs::rename(path, away(path)).unwrap();
    move_away(&second);
    let served = mount.join(SECOND_SERVED);
    assert_eq!(errno(&std::fs::read(&served)), libc::EIO);
    becomes(&mount, "degraded: root 1 unreachable; 1 dark track");
    reachable(&mount, 0, 1);
    reachable(&mount, 1, 0);
    move_away(&library.music());
    assert_eq!(errno(&std::fs::read(mount.join(ONE_SERVED))), libc::EIO);
    becomes(&mount, "failing: all roots unreachable; 2 dark tracks");
    let log = mount.log();
    assert!(
        log.contains(&*second.to_string_lossy()) && log.contains("cannot be reached"),
        "{log}"
    );
    for path in [&second, &library.music()] {
        std::fs::rename(away(path), path).unwrap();
    }
    // Nobody reads: it is noticed all the same.
    becomes(&mount, "ok");
    for served in [SECOND_SERVED, ONE_SERVED] {
        std::fs::read(mount.join(served)).unwrap();
    }
}

#[test]
fn a_directory_on_a_filesystem_that_hangs_cannot_be_reached() {
    require_fuse!();
    let library = Library::of_one();
    let (file, slow) = (add_second(library.path()), library.path().join("slow"));
    std::fs::create_dir(&slow).unwrap();
    let bytes = std::fs::read(file).unwrap();
    let hanging = Hanging::mount(&slow, vec![("second.flac".to_owned(), bytes)]);
    scan_second_root(&library, &slow);
    hanging.stick_whole();
    let mount = Mount::new(&library);
    becomes(&mount, "degraded: root 1 unreachable");
    reachable(&mount, 1, 0);
    std::fs::read(mount.join(ONE_SERVED)).expect("the other root is served");
    // Counted by its threads: whoever else on the machine asks for free space waits there, too.
    let threads = std::fs::read_dir(format!("/proc/{}/task", mount.pid())).unwrap();
    let names = threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("comm")));
    let looks = names.filter(|name| name.as_deref().is_ok_and(|name| name == "musefs-root\n"));
    assert_eq!(looks.count(), 1, "one look waits, and no second one");
    hanging.release();
    becomes(&mount, "ok");
    reachable(&mount, 1, 1);
}

#[test]
fn a_track_that_cannot_be_served_degrades_until_it_is() {
    require_fuse!();
    let library = Library::of_two();
    let mount = Mount::new(&library);
    let backing = library.music().join("one.flac");
    let away = library.path().join("away");
    std::fs::rename(&backing, &away).unwrap();
    assert_eq!(errno(&std::fs::read(mount.join(ONE_SERVED))), libc::EIO);
    becomes(&mount, "degraded: 1 dark track");
    std::fs::rename(&away, &backing).unwrap();
    std::fs::read(mount.join(ONE_SERVED)).unwrap();
    becomes(&mount, "ok");
}

#[test]
fn a_store_that_is_gone_or_broken_fails_until_it_is_back() {
    require_fuse!();
    let library = Library::of_two();
    let mount = Mount::new(&library);
    becomes(&mount, "ok");
    let away = library.path().join("away.db");
    std::fs::rename(library.db(), &away).unwrap();
    becomes(&mount, "failing: store unreadable");
    std::fs::read(mount.join(TWO_SERVED)).expect("what is known is served");
    std::fs::write(library.db(), "Dear diary, ".repeat(1000)).unwrap();
    becomes(&mount, "failing: store unreadable");
    std::fs::rename(&away, library.db()).unwrap();
    becomes(&mount, "ok");
}

#[test]
fn requests_beyond_the_bound_degrade_while_they_wait() {
    const READERS: usize = 8;
    require_fuse!();
    let library = Library::of_one();
    let (file, slow) = (add_second(library.path()), library.path().join("slow"));
    std::fs::create_dir(&slow).unwrap();
    let bytes = std::fs::read(file).unwrap();
    let hanging = Hanging::mount(&slow, vec![("second.flac".to_owned(), bytes)]);
    scan_second_root(&library, &slow);
    let mount = Mount::with(&library, &["--workers", "2", "--reads-inflight-max", "2"]);
    let open = || File::open(mount.join(SECOND_SERVED)).unwrap();
    let files: Vec<File> = (0..READERS).map(|_| open()).collect();
    hanging.stick(
        "second.flac",
        Stuck {
            reads: true,
            ..Stuck::default()
        },
    );
    let readers: Vec<_> = (1..)
        .zip(files)
        .map(|(place, file)| {
            std::thread::spawn(move || file.read_at(&mut [0; 4096], place * 256 * 1024))
        })
        .collect();
    eventually("requests are parked", || {
        health(&mount)
            .strip_prefix("degraded: ")?
            .strip_suffix(" parked requests\n")?
            .parse::<u64>()
            .ok()
    });
    let oldest = "musefs_oldest_inflight_seconds{op=\"read\"}";
    let age = |metrics: &crate::support::metrics::Metrics| metrics.number(oldest);
    let first = age(&mount.metrics());
    assert!(first > 0.0);
    mount.metrics_when("the oldest gets older", |metrics| age(metrics) > first);
    hanging.release();
    for reader in readers {
        reader.join().unwrap().unwrap();
    }
    becomes(&mount, "ok");
    assert_eq!(mount.metrics().number(oldest).to_bits(), 0);
}
