//! A music library of a test's own, with its store and a place to mount it.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;

use super::audio::{self, Sound};
use super::process::{Outcome, musefs, run};

/// A temporary directory with `music`, `store.db` and `mnt`.
pub struct Library {
    directory: TempDir,
}

impl Library {
    /// An empty library.
    pub fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("musefs-test-")
            .tempdir()
            .expect("a temporary directory");
        for name in ["music", "mnt"] {
            std::fs::create_dir(directory.path().join(name)).expect("a new directory");
        }
        Self { directory }
    }

    /// A FLAC and an MP3 with tags and art, scanned.
    pub fn of_two() -> Self {
        let library = Self::new();
        library.add("one.flac", Sound::Flac, ONE, true);
        library.add("two.mp3", Sound::Mp3, TWO, true);
        library.scan();
        library
    }

    /// One small FLAC, scanned.
    pub fn of_one() -> Self {
        let library = Self::new();
        library.add("one.flac", Sound::TinyFlac, ONE, false);
        library.scan();
        library
    }

    /// `count` small files without tags, called `0000.flac` and so on, scanned.
    pub fn of_many(count: usize) -> Self {
        let library = Self::new();
        let sample = audio::sample(Sound::TinyFlac);
        for index in 0..count {
            std::fs::copy(&sample, library.music().join(format!("{index:04}.flac")))
                .expect("a library is writable");
        }
        library.scan();
        library
    }

    /// The temporary directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where the user's files are.
    pub fn music(&self) -> PathBuf {
        self.path().join("music")
    }

    /// The store.
    pub fn db(&self) -> PathBuf {
        self.path().join("store.db")
    }

    /// An empty directory to mount at.
    pub fn mountpoint(&self) -> PathBuf {
        self.path().join("mnt")
    }

    /// Adds a file; its path.
    pub fn add(&self, name: &str, sound: Sound, tags: &[(&str, &str)], with_art: bool) -> PathBuf {
        let path = self.music().join(name);
        audio::write(&path, sound, tags, with_art);
        path
    }

    /// Scans `music`, with no file failing.
    #[track_caller]
    pub fn scan(&self) -> Outcome {
        self.try_scan(&[]).done()
    }

    /// Scans `music`; what came of it.
    #[track_caller]
    pub fn try_scan(&self, arguments: &[&str]) -> Outcome {
        let mut command = musefs(["scan", "--db"]);
        command.arg(self.db()).arg(self.music()).args(arguments);
        run(&mut command)
    }

    /// A connection to the store, as anybody would make it.
    pub fn store(&self) -> Connection {
        let store = Connection::open(self.db()).expect("the store opens");
        store
            .busy_timeout(super::SOON)
            .expect("a connection takes a timeout");
        store
    }

    /// Sets all values of a tag of the track whose file is called `name` to one.
    pub fn set_tag(&self, name: &str, key: &str, value: &str) {
        let store = self.store();
        let track: i64 = store
            .query_row(
                "SELECT id FROM tracks WHERE path = CAST(?1 AS BLOB)",
                [name],
                |row| row.get(0),
            )
            .expect("the track is in the store");
        store
            .execute(
                "INSERT INTO tags (track_id, key, ordinal, value) VALUES (?1, ?2, 0, ?3)
                 ON CONFLICT (track_id, key, ordinal) DO UPDATE SET value = excluded.value",
                rusqlite::params![track, key, value],
            )
            .expect("a tag can be set");
    }
}

/// Tags of `one.flac`, by ffmpeg's names.
pub const ONE: &[(&str, &str)] = &[
    ("title", "Ready"),
    ("artist", "Boards of Canada"),
    ("album_artist", "Boards of Canada"),
    ("album", "Geogaddi"),
    ("date", "2002"),
    ("track", "1/12"),
    ("genre", "Electronic"),
];

/// Tags of `two.mp3`, by ffmpeg's names.
pub const TWO: &[(&str, &str)] = &[
    ("title", "Money"),
    ("artist", "Abba"),
    ("album_artist", "Abba"),
    ("album", "Arrival"),
    ("date", "1976"),
    ("track", "2"),
    ("genre", "Pop"),
];

/// Where the default template shows `one.flac`.
pub const ONE_SERVED: &str = "Boards of Canada/Geogaddi/Ready.flac";

/// Where the default template shows `two.mp3`.
pub const TWO_SERVED: &str = "Abba/Arrival/Money.mp3";
