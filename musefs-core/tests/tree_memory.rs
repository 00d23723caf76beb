//! What a mount holds in memory for each track, whether anybody looks at it or not. The only test of its program, because it
//! counts what all threads hold.

use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use musefs_core::formats::{AudioProperties, Format, Structure, Tag};
use musefs_core::metrics::CoreMetrics;
use musefs_core::refresh::{Refresher, TreeConfig};
use musefs_core::serve::Mode;
use musefs_core::store::{Finding, Parts, Reading, Stamp, Store};
use musefs_core::template::{DEFAULT_TEMPLATE, Fallbacks, Template};
use musefs_telemetry::Engine;

#[path = "../../tests/counting_allocator.rs"]
mod counting_allocator;

use counting_allocator::LIVE_BYTES;

const TRACKS: usize = 6_000;
const TRACKS_PER_ALBUM: usize = 12;
const TRACKS_PER_ARTIST: usize = 36;
/// The tree, its index, and what is remembered to make the next one.
const BYTES_PER_TRACK_MAX: i64 = 300;

/// A store of albums with names as long as usual.
fn fill(db: &Path) {
    let mut store = Store::create(db).unwrap();
    let root = store.add_root("/music".as_ref(), 1).unwrap();
    let tracks: Vec<(String, Reading)> = (0..TRACKS).map(track).collect();
    let findings: Vec<Finding<'_>> = (0..)
        .zip(&tracks)
        .map(|(number, (path, reading))| Finding {
            root,
            path: path.as_bytes(),
            stamp: Stamp {
                size: 30_000_000,
                mtime_ns: number,
                ctime_ns: number,
                inode: number.cast_unsigned(),
            },
            moved_from: None,
            reading: Some(reading),
        })
        .collect();
    store.ingest(&findings, 1).unwrap();
}

fn track(number: usize) -> (String, Reading) {
    let artist = format!("The Artists {:04}", number / TRACKS_PER_ARTIST);
    let album = format!("An Album ({:05})", number / TRACKS_PER_ALBUM);
    let title = format!("A Title of Some Words {number:06}");
    let path = format!("{artist}/{album}/{title}.flac");
    let place = (number % TRACKS_PER_ALBUM + 1).to_string();
    let tags = [
        ("album", album),
        ("artist", artist),
        ("title", title),
        ("track", place),
    ];
    let tags = tags.map(|(key, value)| Tag {
        key: key.to_owned(),
        value,
    });
    let reading = Reading {
        format: Format::Flac,
        structure: Structure::AsIs,
        parts: Parts {
            tags: tags.into(),
            ..Parts::default()
        },
        properties: AudioProperties::default(),
        failure: None,
        fingerprint: number as u64,
        served_size: Some(30_001_234),
    };
    (path, reading)
}

#[test]
fn a_track_takes_less_than_a_bound_of_memory() {
    let directory = tempfile::tempdir().unwrap();
    let db = directory.path().join("store.db");
    fill(&db);
    let metrics = CoreMetrics::declare(&Engine::new()).unwrap();
    for template in [DEFAULT_TEMPLATE, "$albumartist/$album/$track - $title"] {
        let config = TreeConfig {
            template: Template::parse(template).unwrap(),
            fallbacks: Fallbacks::default(),
            mode: Mode::Synthesis,
            reserved_root_names: Vec::new(),
        };
        let before = LIVE_BYTES.load(Relaxed);
        let mut refresher = Refresher::open(&db, config, &metrics).unwrap();
        let (published, report) = refresher.build(None).unwrap();
        let per_track = (LIVE_BYTES.load(Relaxed) - before) / i64::try_from(TRACKS).unwrap();
        assert_eq!((report.listed, report.sizes_computed), (TRACKS as u64, 0));
        println!("{per_track} bytes a track with {template}");
        assert!(
            per_track <= BYTES_PER_TRACK_MAX,
            "{per_track} with {template}"
        );
        drop((refresher, published));
    }
}
