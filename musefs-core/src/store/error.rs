//! What can go wrong with a store: one sentence each, with the path and the way out.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the store could not be opened, read or written. A variant for each thing that somebody does differently about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such file.
    #[error(
        "there is no store at {}: run `musefs scan DIR --db {}` first",
        path.display(), path.display()
    )]
    Missing {
        /// Where the store was to be.
        path: PathBuf,
    },
    /// The directory that should hold the store is not there, so the store cannot be made.
    #[error(
        "the directory of the store {} does not exist: create it, or give another path with --db",
        path.display()
    )]
    DirectoryMissing {
        /// Where the store was to be.
        path: PathBuf,
    },
    /// The path is a directory.
    #[error(
        "{} is a directory: give the path of a file for the store, for example --db {}",
        path.display(), path.join("musefs.db").display()
    )]
    IsDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// The file is empty, or a database without a table: nothing was ever scanned into it.
    #[error(
        "the store {} is empty: run `musefs scan DIR --db {}` first",
        path.display(), path.display()
    )]
    Empty {
        /// The store.
        path: PathBuf,
    },
    /// The file is no database at all.
    #[error(
        "{} is not an SQLite database, so not a store of musefs: give another path with --db",
        path.display()
    )]
    NotSqlite {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database, of another application.
    #[error(
        "{} is the database of another application, not a store of musefs: give another path with --db",
        path.display()
    )]
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// The store was made by a later musefs.
    #[error(
        "the store {} has schema version {found}, this musefs knows versions up to {supported}: use a newer musefs",
        path.display()
    )]
    Newer {
        /// The store.
        path: PathBuf,
        /// Schema version of the store.
        found: i64,
        /// The latest schema version this program knows.
        supported: i64,
    },
    /// The store was made by an earlier musefs and cannot be brought up to date, because it cannot be written.
    #[error(
        "the store {} has the old schema version {found} and cannot be written: make it writable, or run `musefs scan` on it as its owner",
        path.display()
    )]
    Older {
        /// The store.
        path: PathBuf,
        /// Schema version of the store.
        found: i64,
    },
    /// Another process held the store for longer than the busy timeout.
    #[error(
        "the store {} is locked by another process: wait for the other program to finish its write, or stop it, and try again",
        path.display()
    )]
    Locked {
        /// The store.
        path: PathBuf,
    },
    /// The store has to be written and cannot be.
    #[error(
        "the store {} cannot be written: it or its directory is read-only for this user; make both writable or give another path with --db",
        path.display()
    )]
    ReadOnly {
        /// The store.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error(
        "the store {} cannot be read: {source}; check the permissions of it and of its directory",
        path.display()
    )]
    Unreadable {
        /// The store.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The content of the store is damaged.
    #[error(
        "the store {} is damaged: {what}; move it away and scan again",
        path.display()
    )]
    Corrupt {
        /// The store.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// Anything else that `SQLite` reports, a full disk for one.
    #[error("the store {} failed: {source}", path.display())]
    Sqlite {
        /// The store.
        path: PathBuf,
        /// What `SQLite` said.
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// What an error of `SQLite` means for the store at `path`.
    pub(super) fn new(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_path_buf();
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked { path },
            Some(ErrorCode::ReadOnly) => Self::ReadOnly { path },
            Some(ErrorCode::NotADatabase) => Self::NotSqlite { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Corrupt {
                path,
                what: source.to_string(),
            },
            _ => Self::Sqlite { path, source },
        }
    }

    /// What an error of the file system means for the store at `path`.
    pub(super) fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            _ => Self::Unreadable { path, source },
        }
    }
}
