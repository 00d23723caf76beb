//! The small library of the test data, scanned and served without a kernel, for tests and benches that look at what happens
//! inside of a process. They include this file by its path.

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
    let scanning = Metrics::declare(&Engine::new()).expect("the scan's metrics");
    scan(
        &mut Store::create(db).expect("a store"),
        &[music],
        &ScanOptions::default(),
        &scanning,
        &(),
        &AtomicBool::new(false),
    )
    .expect("a scan");
    let engine = Engine::new();
    let metrics = CoreMetrics::declare(&engine).expect("the mount's metrics");
    let tree = TreeConfig {
        template: Template::parse(DEFAULT_TEMPLATE).expect("a template"),
        fallbacks: Fallbacks::default(),
        mode: Mode::Synthesis,
        reserved_root_names: Vec::new(),
    };
    let (published, _) = Refresher::open(db, tree, &metrics)
        .expect("the store")
        .build(None)
        .expect("a tree");
    let config = ServeConfig {
        mode: Mode::Synthesis,
        header_cache_bytes_max: 64 << 20,
        readahead_bytes_max,
        dir_handles_max: 16,
        store_connections: 1,
    };
    let stores = open_connections(db, 1, &metrics).expect("a connection");
    Musefs::new(config, engine, metrics, stores, published)
}
