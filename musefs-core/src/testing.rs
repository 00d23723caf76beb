//! A small library on disk, scanned and served without a mount, for the tests of this crate.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use musefs_telemetry::{Engine, MetricSet as _};
use tempfile::TempDir;

use crate::metrics::{CoreMetrics, Metrics};
use crate::refresh::{BuildReport, Refresher, TreeConfig, open_connections};
use crate::scan::{ScanOptions, ScanReport, scan};
use crate::serve::{Mode, Musefs, Published, ServeConfig};
use crate::store::Store;
use crate::template::{DEFAULT_TEMPLATE, Fallbacks, Template};

/// A FLAC file (RFC 9639) with these comments and `audio` where its frames would be.
pub(crate) fn flac(comments: &[(&str, &str)], audio: &[u8]) -> Vec<u8> {
    let mut vorbis = 4u32.to_le_bytes().to_vec();
    vorbis.extend(b"test");
    vorbis.extend(u32::try_from(comments.len()).unwrap().to_le_bytes());
    for (key, value) in comments {
        let comment = format!("{key}={value}");
        vorbis.extend(u32::try_from(comment.len()).unwrap().to_le_bytes());
        vorbis.extend(comment.as_bytes());
    }
    let mut info = vec![0x10, 0, 0x10, 0, 0, 0, 0, 0, 0, 0];
    // 44,100 Hz, 2 channels, 16 bits, 44,100 samples, no checksum.
    info.extend([0x0A, 0xC4, 0x42, 0xF0, 0, 0, 0xAC, 0x44]);
    info.extend([0; 16]);
    let mut file = b"fLaC".to_vec();
    for (head, body) in [(0u8, info), (0x84, vorbis)] {
        file.push(head);
        file.extend(&u32::try_from(body.len()).unwrap().to_be_bytes()[1..]);
        file.extend(body);
    }
    file.extend([0xFF, 0xF8]);
    file.extend(audio);
    file
}

/// A directory of music, its store, and what it takes to serve both.
pub(crate) struct Library {
    directory: TempDir,
    pub(crate) mode: Mode,
}

impl Library {
    /// A library without files.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("music")).unwrap();
        Self {
            directory,
            mode: Mode::Synthesis,
        }
    }

    pub(crate) fn music(&self) -> PathBuf {
        self.directory.path().join("music")
    }

    pub(crate) fn db(&self) -> PathBuf {
        self.directory.path().join("store.db")
    }

    /// Adds `ARTIST/ALBUM/TITLE` as a FLAC file called `name`, with 100,000 bytes of audio; its path.
    pub(crate) fn add(&self, name: &str, title: &str) -> PathBuf {
        let audio: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
        let path = self.music().join(name);
        let comments = [("ARTIST", "Artist"), ("ALBUM", "Album"), ("TITLE", title)];
        std::fs::write(&path, flac(&comments, &audio)).unwrap();
        path
    }

    pub(crate) fn scan(&self) -> ScanReport {
        let mut store = Store::create(&self.db()).unwrap();
        let metrics = Metrics::declare(&Engine::new()).unwrap();
        let options = ScanOptions::default();
        scan(
            &mut store,
            &[self.music()],
            &options,
            &metrics,
            &(),
            &AtomicBool::new(false),
        )
        .unwrap()
    }

    /// What an outside editor does with `sql`.
    pub(crate) fn edit(&self, sql: &str) {
        rusqlite::Connection::open(self.db())
            .unwrap()
            .execute_batch(sql)
            .unwrap();
    }

    /// What decides how the tree looks, with this template.
    pub(crate) fn tree_config(&self, template: &str) -> TreeConfig {
        TreeConfig {
            template: Template::parse(template).unwrap(),
            fallbacks: Fallbacks::default(),
            mode: self.mode,
            reserved_root_names: vec![".metrics".into()],
        }
    }

    /// A tree from nothing, counted by nobody.
    pub(crate) fn fresh(&self, template: &str) -> (Published, BuildReport) {
        let metrics = CoreMetrics::declare(&Engine::new()).unwrap();
        let config = self.tree_config(template);
        let mut refresher = Refresher::open(&self.db(), config, &metrics).unwrap();
        refresher.build(None).unwrap()
    }

    pub(crate) fn serve(&self) -> (Musefs, Refresher) {
        self.serve_as(DEFAULT_TEMPLATE)
    }

    pub(crate) fn serve_as(&self, template: &str) -> (Musefs, Refresher) {
        let engine = Engine::new();
        let metrics = CoreMetrics::declare(&engine).unwrap();
        let config = self.tree_config(template);
        let mut refresher = Refresher::open(&self.db(), config, &metrics).unwrap();
        let (published, _) = refresher.build(None).unwrap();
        let config = ServeConfig {
            mode: self.mode,
            header_cache_bytes_max: 1 << 20,
            readahead_bytes_max: 4 << 20,
            dir_handles_max: 2,
            store_connections: 1,
        };
        let stores = open_connections(&self.db(), 1, &metrics).unwrap();
        (
            Musefs::new(config, engine, metrics, stores, published),
            refresher,
        )
    }
}

/// Changes one byte in the middle of a file in place.
pub(crate) fn flip_a_byte(path: &Path) {
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let middle = file.metadata().unwrap().len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle).unwrap();
    file.write_all_at(&[!byte[0]], middle).unwrap();
}
