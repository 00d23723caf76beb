//! What is inside a mount's process, without a kernel: names from a template, a tree of them and a lookup in it, the layout of
//! one file of each format, reads that splice what is made and what lies on the disk, and the text of the metrics.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use musefs_core::formats::{self, AudioProperties, Desired, Fetched, Format, Probe, Tag};
use musefs_core::ids::TrackId;
use musefs_core::names::ServedPath;
use musefs_core::serve::{Attempt, ReadBuffer};
use musefs_core::telemetry::{
    AllocatorStats, CoreTelemetry, FuseTelemetry, render_prometheus, render_served,
};
use musefs_core::template::{DEFAULT_TEMPLATE, Fallbacks, NumberWidths, Template, TrackValues};
use musefs_core::tree::{DirectoryInodes, Entry, Inode, NodeIndex, NodeKind, Tree};

#[path = "../tests/in_process.rs"]
mod in_process;

/// As many as a large private library has.
const TRACKS: u32 = 50_000;

fn library() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/library")
}

/// The first file of each extension, taken apart.
fn one_of_each() -> Vec<(String, u64, Probe)> {
    fn files(dir: &Path, found: &mut Vec<PathBuf>) {
        let mut entries: Vec<_> = fs::read_dir(dir)
            .expect("the library of the tests")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                files(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    files(&library(), &mut paths);
    let mut probes: Vec<(String, u64, Probe)> = Vec::new();
    for path in paths {
        let bytes = fs::read(&path).expect("a file of the library");
        let mut fetched = Fetched::new(bytes.len() as u64);
        fetched.insert(0, bytes.into());
        let extension = path.extension().and_then(|extension| extension.to_str());
        let probe = formats::probe(&fetched, extension).expect("all of it was fetched");
        let name = extension.unwrap_or_default().to_owned();
        let is_music = probe.format != Format::Unrecognised && !probe.tags.is_empty();
        if is_music && probes.iter().all(|(known, ..)| *known != name) {
            probes.push((name, fetched.file_len(), probe));
        }
    }
    probes
}

fn layouts(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("layout");
    for (name, len, probe) in one_of_each() {
        let desired = Desired {
            structure: &probe.structure,
            backing_len: len,
            tags: &probe.tags,
            art: &probe.art,
            items: &probe.items,
        };
        group.bench_function(name, |bencher| {
            bencher.iter(|| formats::synthesize(black_box(&desired)).expect("a layout"));
        });
    }
    group.finish();
}

fn tags(number: u32) -> Vec<Tag> {
    [
        ("albumartist", format!("Artist {:05}", number / 50)),
        ("artist", format!("Artist {:05}", number / 50)),
        ("album", format!("Album {:06}", number / 10)),
        ("title", format!("Title {number:07}")),
        ("track", (number % 10 + 1).to_string()),
        ("date", "1999-04-09".into()),
    ]
    .into_iter()
    .map(|(key, value)| Tag {
        key: key.into(),
        value,
    })
    .collect()
}

fn templates(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("template");
    let tags = tags(1234);
    let values = TrackValues {
        tags: &tags,
        path: b"a/b.flac",
        format: "flac",
        properties: AudioProperties::default(),
    };
    for (name, text) in [
        ("default", DEFAULT_TEMPLATE),
        (
            "long",
            "${albumartist|artist}/[$year - ]$album/[$disc-][$track ]$title",
        ),
    ] {
        let template = Template::parse(text).expect("a template");
        let fallbacks = Fallbacks::default();
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut widths = NumberWidths::default();
                let draft = template.draft(black_box(&values), &fallbacks, &mut widths);
                let draft = draft.expect("nothing is missing");
                draft.finish(&widths, Some("flac"), &fallbacks)
            });
        });
    }
    group.finish();
}

fn entries() -> Vec<Entry> {
    (0..TRACKS)
        .map(|number| {
            let (artist, album) = (number / 50, number / 10);
            let names = [
                format!("Artist {artist:05}"),
                format!("Album {album:06}"),
                format!("Title {number:07}"),
            ];
            Entry {
                track: TrackId(i64::from(number) + 1),
                inode: Inode(u64::from(number) + 2),
                path: ServedPath::new(names.iter().map(String::as_str), Some("flac"), "Unknown"),
                size: 90_000,
                mtime_ns: 0,
                listed_ns: 0,
            }
        })
        .collect()
}

fn trees(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tree");
    let entries = entries();
    let build = |entries| {
        let mut inodes = DirectoryInodes::default();
        let tree = Tree::build(entries, &mut inodes, None, &[], 0);
        (tree, inodes)
    };
    group.sample_size(10);
    group.throughput(Throughput::Elements(TRACKS.into()));
    group.bench_function("build", |bencher| {
        bencher.iter_batched(|| entries.clone(), build, BatchSize::LargeInput);
    });

    let (tree, mut inodes) = build(entries.clone());
    let moved = || {
        let mut moved = entries[0].clone();
        moved.path = ServedPath::new(["Artist 00000", "New", "Name"], Some("flac"), "Unknown");
        moved
    };
    group.throughput(Throughput::Elements(1));
    group.bench_function("one track moved", |bencher| {
        bencher.iter(|| {
            let removed = [entries[0].inode];
            tree.update(&removed, vec![moved()], &mut inodes, &[], 0)
                .expect("no directory changes its name")
        });
    });

    group.sample_size(100);
    let mut number = 0;
    group.bench_function("look a path up", |bencher| {
        bencher.iter(|| {
            number = (number + 7919) % TRACKS;
            let artist = tree.lookup(
                NodeIndex::ROOT,
                format!("Artist {:05}", number / 50).as_bytes(),
            );
            let album = tree.lookup(
                artist.expect("an artist"),
                format!("Album {:06}", number / 10).as_bytes(),
            );
            tree.lookup(
                album.expect("an album"),
                format!("Title {number:07}.flac").as_bytes(),
            )
            .expect("a title")
        });
    });
    group.finish();
}

fn reads(criterion: &mut Criterion) {
    const READ_BYTES: u64 = 128 << 10;
    let work = tempfile::tempdir().expect("a directory");
    let musefs = in_process::serve(&work.path().join("music.db"), 64 << 20);
    let mut group = criterion.benchmark_group("read");
    let tree = musefs.tree();
    for (_, inode) in tree.tracks() {
        let node = tree.node(tree.find(inode).expect("its node"));
        let name = String::from_utf8_lossy(node.name).into_owned();
        let NodeKind::File { size, .. } = node.kind else {
            continue;
        };
        let id = musefs.open(inode).expect("a handle");
        let handle = musefs.handle(id).expect("that handle");
        let mut buffer = ReadBuffer::default();
        // What is neither made nor in the page cache is so after this.
        let len = READ_BYTES.min(size);
        musefs
            .read(&handle, 0, len, &mut buffer)
            .expect("the beginning of the file");
        group.throughput(Throughput::Bytes(len));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let attempt = musefs.read_cached(&handle, 0, len, &mut buffer);
                if let Attempt::WouldBlock = attempt {
                    musefs
                        .read(&handle, 0, len, &mut buffer)
                        .expect("the beginning of the file");
                }
                assert_eq!(buffer.filled().len() as u64, len);
            });
        });
        musefs.release(id).expect("that handle");
    }
    group.finish();
}

fn texts(criterion: &mut Criterion) {
    let work = tempfile::tempdir().expect("a directory");
    let musefs = in_process::serve(&work.path().join("music.db"), 64 << 20);
    let mut group = criterion.benchmark_group("metrics");
    group.bench_function("snapshot", |bencher| {
        bencher.iter(|| musefs.engine().snapshot());
    });
    let snapshot = musefs.engine().snapshot();
    let identity = [("mount".to_owned(), "/home/user/music".to_owned())];
    group.bench_function("text of a snapshot", |bencher| {
        bencher.iter(|| render_served(black_box(&snapshot), &identity));
    });
    let core: CoreTelemetry = musefs.telemetry();
    group.bench_function("text of the contract", |bencher| {
        bencher.iter(|| {
            render_prometheus(
                black_box(&core),
                &FuseTelemetry::default(),
                Some(&AllocatorStats::default()),
                None,
            )
        });
    });
    group.finish();
}

criterion_group!(benches, layouts, templates, trees, reads, texts);
criterion_main!(benches);
