//! What the metrics count is what happened, to the byte.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use crate::support::audio::Sound;
use crate::support::files_below;
use crate::support::hanging::Hanging;
use crate::support::library::{Library, ONE, ONE_SERVED, TWO};
use crate::support::mount::Mount;
use crate::support::process::{musefs, run};

/// Four files of two formats, scanned.
fn library_of_four() -> Library {
    let library = Library::new();
    library.add("one.flac", Sound::Flac, ONE, true);
    library.add("two.mp3", Sound::Mp3, TWO, true);
    library.add("three.flac", Sound::LongFlac, &[("title", "Three")], false);
    library.add("four.mp3", Sound::Mp3, &[("title", "Four")], false);
    library.scan();
    library
}

/// Reads all files of the library at once, each with a reader of its own; how many bytes that gave.
fn read_all_at_once(mount: &Mount) -> u64 {
    let files: Vec<PathBuf> = files_below(mount.path())
        .into_iter()
        .filter(|file| !file.starts_with(".musefs-metrics/"))
        .map(|file| mount.join(file))
        .collect();
    assert_eq!(files.len(), 4);
    std::thread::scope(|scope| {
        let readers: Vec<_> = files
            .iter()
            .map(|file| scope.spawn(move || std::fs::read(file).unwrap().len() as u64))
            .collect();
        readers
            .into_iter()
            .map(|reader| reader.join().unwrap())
            .sum()
    })
}

#[test]
fn served_bytes_are_counted_exactly() {
    require_fuse!();
    let library = library_of_four();
    library.set_tag("one.flac", "comment", "edited");
    let mount = Mount::new(&library);
    assert_eq!(mount.metrics().sum("musefs_read_bytes_total"), 0);
    let read = read_all_at_once(&mount);
    let metrics = mount.metrics_when("all files are closed", |metrics| {
        metrics.value("musefs_handles_open") == 0
    });
    assert_eq!(metrics.sum("musefs_read_bytes_total"), read);
    let header = "musefs_read_bytes_total{source=\"synthesized_header\",format=\"flac\"}";
    assert!(metrics.value(header) > 0);
    assert_eq!(
        metrics.value("musefs_ops_total{op=\"open\"}"),
        4 + scrapes(&metrics)
    );
    // Some may have been resolved before they were asked for.
    let found = ["hits", "misses"].map(|how| format!("musefs_cache_header_{how}_total"));
    assert_eq!(
        found.map(|name| metrics.value(&name)).iter().sum::<u64>(),
        4
    );
    assert_eq!(metrics.value("musefs_reads_inflight"), 0);
    assert_eq!(metrics.sum("musefs_op_errors_total"), 0);
}

/// Opens of metrics texts are opens, too.
fn scrapes(metrics: &crate::support::metrics::Metrics) -> u64 {
    metrics.value("musefs_scrapes_total{transport=\"file\"}")
}

#[test]
fn backing_bytes_are_counted_exactly() {
    require_fuse!();
    let library = library_of_four();
    let mount = Mount::with(&library, &["--mode", "structure-only", "--no-passthrough"]);
    assert_eq!(mount.metrics().value("musefs_backing_pread_bytes_total"), 0);
    let read = read_all_at_once(&mount);
    let metrics = mount.metrics_when("all files are closed", |metrics| {
        metrics.value("musefs_handles_open") == 0
    });
    assert_eq!(metrics.value("musefs_backing_pread_bytes_total"), read);
    assert_eq!(metrics.sum("musefs_read_bytes_total"), read);
    // Those that were opened ahead are opens as well, and of a few that was in vain.
    let ahead = metrics.value("musefs_resolves_total{cause=\"ahead\"}");
    let opens = metrics.value("musefs_backing_opens_total");
    assert!(
        (4..=4 + ahead).contains(&opens),
        "{opens} opens, {ahead} ahead"
    );
}

#[test]
fn no_backing_byte_is_read_twice_where_the_disk_must_be_waited_for() {
    require_fuse!();
    let library = library_of_four();
    let slow = library.path().join("slow");
    std::fs::create_dir(&slow).unwrap();
    let files = files_below(&library.music()).into_iter().map(|name| {
        let bytes = std::fs::read(library.music().join(&name)).unwrap();
        (name, bytes)
    });
    let filesystem = Hanging::mount(&slow, files.collect());
    filesystem.slow_down(Duration::from_millis(5));
    std::fs::remove_file(library.db()).unwrap();
    run(musefs(["scan", "-q", "--db"]).arg(library.db()).arg(&slow)).done();
    // Requests of the kernel that are as large as a window leave nothing to read ahead.
    let requests = ["--kernel-readahead-kib", "128"];
    let mount = Mount::with(
        &library,
        &[&["--mode", "structure-only"], &requests[..]].concat(),
    );
    let read = read_all_at_once(&mount);
    let metrics = mount.metrics();
    assert_eq!(metrics.value("musefs_backing_pread_bytes_total"), read);
    assert_eq!(metrics.sum("musefs_read_bytes_total"), read);
    assert!(metrics.value("musefs_readahead_hits_total") > 0);
}

#[test]
fn open_files_are_counted_while_they_are_open() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    let files: Vec<File> = (0..5)
        .map(|_| File::open(mount.join(ONE_SERVED)).unwrap())
        .collect();
    let metrics = mount.metrics();
    assert_eq!(metrics.value("musefs_handles_open"), 5);
    assert_eq!(metrics.value("musefs_cache_header_hits_total"), 4);
    assert_eq!(metrics.value("musefs_cache_header_entries"), 1);
    drop(files);
    mount.metrics_when("all files are closed", |metrics| {
        metrics.value("musefs_handles_open") == 0
    });
}

#[test]
fn looking_at_a_library_opens_no_backing_file() {
    require_fuse!();
    let library = Library::of_two();
    let mount = Mount::new(&library);
    for file in files_below(mount.path()) {
        mount.join(file).metadata().unwrap();
    }
    let metrics = mount.metrics();
    for name in ["opens", "stats", "preads"] {
        assert_eq!(
            metrics.value(&format!("musefs_backing_{name}_total")),
            0,
            "{name}"
        );
    }
    assert_eq!(metrics.value("musefs_requests_total{way=\"pooled\"}"), 0);
}
