//! Metrics tell what happened and nothing else: a driver makes a known number of system calls, every counter that is concerned
//! moves by exactly that, and no other number in the whole text moves.
//!
//! With `--no-kernel-cache` each call becomes the requests that the kernel needs for it: attributes of each directory that a
//! path goes through, the name in it, and attributes of what is opened or looked at.

use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{Mode, fstat, fstatat};
use nix::sys::uio::pread;

use crate::support::audio::{self, Sound};
use crate::support::hanging::Hanging;
use crate::support::library::{Library, ONE, ONE_SERVED, TWO, TWO_SERVED};
use crate::support::metrics::Metrics;
use crate::support::mount::Mount;
use crate::support::process::{musefs, run};

const CHUNK_BYTES: usize = 64 * 1024;

/// Families that move by themselves, by their beginning, each with the reason.
const MOVES_BY_ITSELF: &[(&str, &str)] = &[
    (
        "musefs_client_",
        "by the name of who asks; their own tests compare the sums",
    ),
    ("musefs_uptime_seconds", "time"),
    ("musefs_start_time_seconds", "rounded anew from the clock"),
    ("musefs_snapshot_timestamp_seconds", "time"),
    ("musefs_process_", "of the process, not of its work"),
    ("musefs_alloc_", "of the allocator"),
    ("musefs_sqlite_memory_bytes", "of SQLite's allocator"),
    ("musefs_health_state", "compared by the test itself"),
    ("musefs_render_seconds_total", "the scrape itself"),
    ("musefs_refresh_polls_total", "polls come with time"),
    (
        "musefs_refresh_last_success_timestamp_seconds",
        "time of the last poll",
    ),
    ("musefs_refresh_seconds_total", "polls take time"),
    ("musefs_store_queries_total", "polls ask the store"),
    ("musefs_store_query_seconds_total", "polls ask the store"),
    (
        "musefs_oldest_inflight_seconds",
        "the age of the scrape's own request",
    ),
];

/// How much counters are expected to have moved.
#[derive(Debug, Default)]
struct Expected(BTreeMap<String, u64>);

impl Expected {
    fn add(&mut self, sample: &str, by: u64) {
        *self.0.entry(sample.to_owned()).or_default() += by;
    }

    fn ops(&mut self, op: &str, count: u64) {
        self.add(&format!("musefs_ops_total{{op=\"{op}\"}}"), count);
    }

    fn errors(&mut self, op: &str, errno: &str, count: u64) {
        let sample = format!("musefs_op_errors_total{{op=\"{op}\",errno=\"{errno}\"}}");
        self.add(&sample, count);
    }

    fn way(&mut self, way: &str, count: u64) {
        self.add(&format!("musefs_requests_total{{way=\"{way}\"}}"), count);
    }

    /// Reads that were answered with so many bytes each; the bounds are those of `text`.
    fn read_sizes(&mut self, sizes: &[usize], text: &Metrics) {
        let sum: usize = sizes.iter().sum();
        self.add("musefs_read_size_bytes_count", sizes.len() as u64);
        self.add("musefs_read_size_bytes_sum", sum as u64);
        for name in text.names() {
            if let Some(bound) = name.strip_prefix("musefs_read_size_bytes_bucket{le=\"") {
                // The last one is infinite.
                let bound = bound.trim_end_matches("\"}").parse().unwrap_or(usize::MAX);
                let within = sizes.iter().filter(|&&size| size <= bound).count();
                self.add(name, within as u64);
            }
        }
    }

    /// What neither pool nor lane answers is answered by the event loops.
    ///
    /// Whoever watches this machine may ask each of its mounts how much is free: that is foreign, and counted all the same.
    fn rest_is_inline(&mut self, before: &Metrics, after: &Metrics) {
        let free = "musefs_ops_total{op=\"statfs\"}";
        self.ops("statfs", after.value(free) - before.value(free));
        let sum = |start: &str| -> u64 {
            let of_family = self.0.iter().filter(|(name, _)| name.starts_with(start));
            of_family.map(|(_, count)| count).sum()
        };
        let inline = sum("musefs_ops_total") - sum("musefs_requests_total");
        self.way("inline", inline);
    }
}

/// A mount whose every request is known, and its root.
struct Driven {
    mount: Mount,
    root: OwnedFd,
    library: Library,
    /// Where the first file is: a filesystem that cannot tell whether a read would wait, so that the pool reads it.
    _slow: Hanging,
}

const PATH: OFlag = OFlag::O_PATH;

impl Driven {
    fn new(arguments: &[&str]) -> Self {
        let library = Library::new();
        let one = library.path().join("one.flac");
        audio::write(&one, Sound::Flac, ONE, true);
        let path = library.path().join("slow");
        std::fs::create_dir(&path).unwrap();
        let file = ("one.flac".to_owned(), std::fs::read(&one).unwrap());
        let slow = Hanging::mount(&path, vec![file]);
        library.add("two.mp3", Sound::Mp3, TWO, true);
        let mut scan = musefs(["scan", "-q", "--db"]);
        run(scan.arg(library.db()).args([library.music(), path])).done();
        let mount = Mount::with(&library, &[&["--no-kernel-cache"], arguments].concat());
        let root = open(mount.path(), PATH | OFlag::O_DIRECTORY, Mode::empty()).unwrap();
        Self {
            mount,
            root,
            library,
            _slow: slow,
        }
    }

    /// The metrics, read with calls that are counted as what they are. Each snapshot is of the moment at which the name of the
    /// text is looked up, because the one before is too old by then.
    fn scrape(&self, expected: &mut Expected) -> Metrics {
        std::thread::sleep(Duration::from_millis(1500));
        let file = openat(
            &self.root,
            ".musefs-metrics/metrics",
            OFlag::O_RDONLY,
            Mode::empty(),
        )
        .unwrap();
        let (text, calls) = read_to_end(file.as_fd());
        expected.ops("lookup", 2);
        // Of both directories, and of the file.
        expected.ops("getattr", 3);
        expected.ops("open", 1);
        expected.ops("read", calls);
        expected.ops("release", 1);
        expected.way("lane", 1);
        expected.add("musefs_scrapes_total{transport=\"file\"}", 1);
        expected.add("musefs_renders_total", 1);
        Metrics::parse(&text)
    }

    fn open(&self, path: &str, flags: OFlag) -> nix::Result<OwnedFd> {
        openat(&self.root, path, flags, Mode::empty())
    }
}

/// What a file holds, and how many calls that took.
fn read_to_end(file: BorrowedFd<'_>) -> (Vec<u8>, u64) {
    let mut text = Vec::new();
    for calls in 1.. {
        let mut chunk = vec![0; CHUNK_BYTES];
        let count = pread(file, &mut chunk, i64::try_from(text.len()).unwrap()).unwrap();
        text.extend_from_slice(&chunk[..count]);
        if count == 0 {
            return (text, calls);
        }
    }
    unreachable!("a file ends")
}

/// Names in a directory, and how many calls listing it took.
fn list(directory: BorrowedFd<'_>) -> (u64, u64) {
    let mut buffer = vec![MaybeUninit::uninit(); 32 * 1024];
    let mut listing = rustix::fs::RawDir::new(directory, &mut buffer);
    let (mut names, mut calls) = (0, 0);
    loop {
        if listing.is_buffer_empty() {
            calls += 1;
        }
        match listing.next() {
            Some(entry) => {
                entry.unwrap();
                names += 1;
            }
            None => return (names, calls),
        }
    }
}

/// Compares whole texts: what is expected to move moved by just that, durations moved only with their operations, and all else
/// is as it was.
#[expect(clippy::float_cmp, reason = "whole numbers, which are exact")]
fn compare(before: &Metrics, after: &Metrics, expected: &Expected) {
    let names = |metrics: &Metrics| -> Vec<String> {
        metrics.names().into_iter().map(str::to_owned).collect()
    };
    assert_eq!(names(before), names(after), "the same samples");
    let (before, after) = (before.samples(), after.samples());
    let number = |text: &String| text.parse::<f64>().unwrap();
    let mut faults = Vec::new();
    for (name, value) in after {
        // A program that asks for the first time had nothing before.
        let moved = number(value) - before.get(name).map_or(0.0, number);
        let family = name.split('{').next().unwrap();
        let wanted = expected.0.get(name).copied();
        let op = name
            .split("op=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let op_count = op.map(|op| {
            let ops = format!("musefs_ops_total{{op=\"{op}\"}}");
            expected.0.get(&ops).copied().unwrap_or_default()
        });
        let is_right = if let Some(wanted) = wanted {
            #[expect(clippy::cast_precision_loss, reason = "counts of a short test")]
            let wanted = wanted as f64;
            moved == wanted
        } else if MOVES_BY_ITSELF
            .iter()
            .any(|(start, _)| family.starts_with(start))
        {
            true
        } else if family == "musefs_op_duration_seconds_count" {
            #[expect(clippy::cast_precision_loss, reason = "counts of a short test")]
            let count = op_count.unwrap() as f64;
            moved == count
        } else if family.starts_with("musefs_op_duration_seconds")
            || family == "musefs_op_phase_seconds_total"
        {
            // How long they took nobody knows, but whether there were any.
            moved == 0.0 || op_count.unwrap() > 0
        } else if family == "musefs_resolve_seconds_total" {
            let resolves = name.replace("resolve_seconds", "resolves");
            (moved > 0.0) == expected.0.contains_key(&resolves)
        } else {
            moved == 0.0
        };
        if !is_right {
            faults.push(format!("{name} moved by {moved}, expected {wanted:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_number_moves_by_what_was_done_and_no_other_moves() {
    require_fuse!();
    let driven = Driven::new(&["--mode", "structure-only", "--readahead-mib", "0"]);
    // Nothing but the scrape itself.
    driven.scrape(&mut Expected::default());
    let mut expected = Expected::default();
    let idle = driven.scrape(&mut Expected::default());
    let before = driven.scrape(&mut expected);
    expected.rest_is_inline(&idle, &before);
    compare(&idle, &before, &expected);

    let mut expected = Expected::default();
    // Names that are there: the directory they are in, the name, and what it stands for.
    for _ in 0..7 {
        fstatat(&driven.root, "Abba", AtFlags::AT_SYMLINK_NOFOLLOW).unwrap();
    }
    expected.ops("lookup", 7);
    expected.ops("getattr", 2 * 7);
    // And that are not.
    for _ in 0..5 {
        let nothing = fstatat(&driven.root, "Nobody", AtFlags::AT_SYMLINK_NOFOLLOW);
        assert_eq!(nothing, Err(nix::Error::ENOENT));
    }
    expected.ops("lookup", 5);
    expected.errors("lookup", "ENOENT", 5);
    expected.ops("getattr", 5);
    // Three names on the way, in as many directories.
    let one = driven.open(ONE_SERVED, PATH).unwrap();
    expected.ops("lookup", 3);
    expected.ops("getattr", 3);
    for _ in 0..11 {
        fstat(&one).unwrap();
    }
    expected.ops("getattr", 11);
    // A file, read to its end in pieces.
    let file = driven.open(ONE_SERVED, OFlag::O_RDONLY).unwrap();
    expected.ops("lookup", 3);
    expected.ops("getattr", 4);
    expected.ops("open", 1);
    let (bytes, calls) = read_to_end(file.as_fd());
    drop(file);
    let len = bytes.len() as u64;
    assert_eq!(calls, len.div_ceil(CHUNK_BYTES as u64) + 1);
    expected.ops("read", calls);
    expected.ops("release", 1);
    let served = "musefs_read_bytes_total{source=\"backing\",format=\"flac\"}";
    expected.add(served, len);
    // Two whole pieces, the rest, and nothing at the end.
    let sizes = [CHUNK_BYTES, CHUNK_BYTES, bytes.len() - 2 * CHUNK_BYTES, 0];
    expected.read_sizes(&sizes, &before);
    expected.add("musefs_reads_total{pattern=\"header\"}", 1);
    expected.add("musefs_reads_total{pattern=\"sequential\"}", calls - 1);
    expected.add("musefs_resolves_total{cause=\"open\"}", 1);
    expected.add("musefs_cache_header_misses_total", 1);
    expected.add("musefs_cache_header_entries", 1);
    // What is past the end needs nobody; the device is asked once what it can do.
    expected.way("pooled", 1 + calls - 1);
    expected.add("musefs_backing_opens_total", 1);
    expected.add("musefs_backing_preads_total", 1 + calls - 1);
    expected.add("musefs_backing_pread_bytes_total", len);
    // Before and after the open has looked at the file, and after each read.
    expected.add("musefs_backing_stats_total", 2 + calls - 1);

    // Opening for writing ends before it comes to us: the kernel knows that the mount is read-only.
    for _ in 0..3 {
        let refused = driven.open(ONE_SERVED, OFlag::O_WRONLY);
        assert_eq!(refused.unwrap_err(), nix::Error::EROFS);
    }
    expected.ops("lookup", 3 * 3);
    expected.ops("getattr", 3 * 3);

    // A listing: all names at once, and that there are no more.
    let directory = driven
        .open("Abba", OFlag::O_RDONLY | OFlag::O_DIRECTORY)
        .unwrap();
    let (names, calls) = list(directory.as_fd());
    drop(directory);
    assert_eq!((names, calls), (3, 2));
    expected.ops("lookup", 1);
    expected.ops("getattr", 2);
    expected.ops("opendir", 1);
    expected.ops("readdir", 2);
    expected.ops("releasedir", 1);

    // A file whose backing file is gone.
    std::fs::remove_file(driven.library.music().join("two.mp3")).unwrap();
    for _ in 0..2 {
        let missing = driven.open(TWO_SERVED, OFlag::O_RDONLY);
        assert_eq!(missing.unwrap_err(), nix::Error::EIO);
    }
    expected.ops("lookup", 2 * 3);
    expected.ops("getattr", 2 * 4);
    expected.ops("open", 2);
    expected.errors("open", "EIO", 2);
    expected.add("musefs_cache_header_misses_total", 2);
    expected.add("musefs_backing_failures_total{reason=\"missing\"}", 2);
    expected.add("musefs_tracks_dark{reason=\"missing\"}", 1);
    // That is a trouble to tell: of the states, another one has the 1.
    let health = |metrics: &Metrics| {
        ["ok", "degraded"].map(|state| {
            let sample = format!("musefs_health_state{{state=\"{state}\"}}");
            metrics.value(&sample)
        })
    };
    assert_eq!(health(&before), [1, 0]);
    expected.add("musefs_resolves_total{cause=\"open\"}", 2);
    expected.add("musefs_backing_opens_total", 2);
    expected.way("pooled", 2);

    let after = driven.scrape(&mut expected);
    assert_eq!(health(&after), [0, 1]);
    expected.rest_is_inline(&before, &after);
    compare(&before, &after, &expected);
}

#[test]
fn what_an_edit_has_taken_away_is_stale_and_counted_each_time() {
    require_fuse!();
    let driven = Driven::new(&[]);
    let one = driven.open(ONE_SERVED, PATH).unwrap();
    fstat(&one).unwrap();
    let before = driven.scrape(&mut Expected::default());
    driven.library.set_tag("one.flac", "title", "Edited");
    run(musefs(["sync"]).arg(driven.mount.path())).done();
    for _ in 0..4 {
        assert_eq!(fstat(&one).unwrap_err(), nix::Error::ESTALE);
    }
    let after = driven.scrape(&mut Expected::default());
    let stale = "musefs_op_errors_total{op=\"getattr\",errno=\"ESTALE\"}";
    assert_eq!(after.value(stale) - before.value(stale), 4);
    let failed = |metrics: &Metrics| metrics.sum("musefs_op_errors_total");
    assert_eq!(
        failed(&after) - failed(&before),
        4,
        "and nothing else failed"
    );
}
