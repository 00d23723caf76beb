//! The small library of the test data, scanned and served without a kernel, for tests and benches that look at what happens
//! inside of a process. They include this file by its path, and use what they need of it.

#![allow(dead_code, reason = "each that includes it uses a part")]

use std::path::Path;
use std::sync::atomic::AtomicBool;

use musefs_core::metrics::{CoreMetrics, Metrics};
use musefs_core::refresh::{Refresher, TreeConfig, open_connections};
use musefs_core::scan::{ScanOptions, scan};
use musefs_core::serve::{Mode, Musefs, ServeConfig};
use musefs_core::store::Store;
use musefs_core::template::{DEFAULT_TEMPLATE, Fallbacks, Template};
use musefs_telemetry::{Engine, MetricSet as _};

/// The library of the test data, served by a new store at `db`, with this much memory for reading ahead.
pub fn serve(db: &Path, readahead_bytes_max: u64) -> Musefs {
    let music = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/library");
    let config = ServeConfig {
        mode: Mode::Synthesis,
        header_cache_bytes_max: 64 << 20,
        readahead_bytes_max,
        dir_handles_max: 16,
        store_connections: 1,
    };
    serve_music(&music, DEFAULT_TEMPLATE, config, db)
}

/// The files below `music` under names by `template`, served by a new store at `db`.
pub fn serve_music(music: &Path, template: &str, config: ServeConfig, db: &Path) -> Musefs {
    let scanning = Metrics::declare(&Engine::new()).expect("the scan's metrics");
    scan(
        &mut Store::create(db).expect("a store"),
        &[music.to_path_buf()],
        &ScanOptions::default(),
        &scanning,
        &(),
        &AtomicBool::new(false),
    )
    .expect("a scan");
    let engine = Engine::new();
    let metrics = CoreMetrics::declare(&engine).expect("the mount's metrics");
    let tree = TreeConfig {
        template: Template::parse(template).expect("a template"),
        fallbacks: Fallbacks::default(),
        mode: config.mode,
        reserved_root_names: Vec::new(),
    };
    let (published, _) = Refresher::open(db, tree, &metrics)
        .expect("the store")
        .build(None)
        .expect("a tree");
    let stores = open_connections(db, config.store_connections, &metrics).expect("connections");
    Musefs::new(config, engine, metrics, stores, published)
}
