//! Opening and making a store: every way it can be the wrong file, told apart before anything in it is changed.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::database::Database;
use super::{Store, StoreError, migrations};

/// How long to wait for another process's write before the store counts as locked.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Memory for pages of one connection, in KiB (negative by `SQLite`'s convention).
const CACHE_SIZE_KIB: i64 = -8192;

/// What the file is before `SQLite` is asked.
enum OnDisk {
    Absent,
    Empty,
    Something,
}

impl Store {
    /// Opens the store at `path` for writing, makes it where there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// When the file is something else than a store, newer than this program, locked, damaged, or cannot be written.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        // The path was looked at: what cannot be opened now cannot be made, or lacks a log that cannot be made.
        Self::create_with(path, BUSY_TIMEOUT).map_err(|error| match error {
            refusal if is_refusal(&refusal) => StoreError::ReadOnly { path: path.into() },
            other => other,
        })
    }

    /// Opens the store that is at `path`, for writing where possible, else for reading alone ([`Store::is_read_only`]).
    ///
    /// In a directory that cannot be written, and while nobody else has the store open, `SQLite` can only read it as a file
    /// that never changes: edits made later are seen when the store is opened again.
    ///
    /// # Errors
    /// When there is no store, or the file is something else, newer than this program, locked, damaged or unreadable.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, BUSY_TIMEOUT)
    }

    pub(super) fn create_with(path: &Path, busy_timeout: Duration) -> Result<Self, StoreError> {
        if matches!(examine(path)?, OnDisk::Absent) {
            let directory = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            if directory.is_some_and(|directory| !directory.is_dir()) {
                return Err(StoreError::DirectoryMissing { path: path.into() });
            }
            remove_log_of_deleted_store(path)?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let database = connect(path, path, flags, busy_timeout)?;
        let version = migrations::version_of(&database)?;
        if database
            .connection()
            .is_readonly("main")
            .map_err(|source| database.error(source))?
        {
            return Err(StoreError::ReadOnly { path: path.into() });
        }
        use_write_ahead_log(&database)?;
        if version != migrations::SCHEMA_VERSION {
            migrations::migrate(&database)?;
        }
        // Whether it can really be written shows only in writing: the directory may be read-only where the file is not.
        database.begin_own()?.commit()?;
        finish(database, false)
    }

    pub(super) fn open_with(path: &Path, busy_timeout: Duration) -> Result<Self, StoreError> {
        match examine(path)? {
            OnDisk::Absent => return Err(StoreError::Missing { path: path.into() }),
            OnDisk::Empty => return Err(StoreError::Empty { path: path.into() }),
            OnDisk::Something => {}
        }
        match open_writable(path, busy_timeout) {
            Err(error) if is_refusal(&error) => open_read_only(path, busy_timeout),
            done => done,
        }
    }
}

/// Whether an error may only mean that the file or its directory cannot be written.
fn is_refusal(error: &StoreError) -> bool {
    match error {
        StoreError::ReadOnly { .. } => true,
        StoreError::Sqlite { source, .. } => {
            source.sqlite_error_code() == Some(ErrorCode::CannotOpen)
        }
        _ => false,
    }
}

fn open_writable(path: &Path, busy_timeout: Duration) -> Result<Store, StoreError> {
    let database = connect(path, path, OpenFlags::SQLITE_OPEN_READ_WRITE, busy_timeout)?;
    leave_log_in_place(&database);
    let version = existing_version(&database)?;
    if database
        .connection()
        .is_readonly("main")
        .map_err(|source| database.error(source))?
    {
        return Err(StoreError::ReadOnly { path: path.into() });
    }
    if version != migrations::SCHEMA_VERSION {
        migrations::migrate(&database)?;
    }
    finish(database, false)
}

/// A store that was deleted by itself leaves its log and the log's index behind, which a mount may still use. A new store gets
/// files of its own: with those of the old one, both would be lost.
fn remove_log_of_deleted_store(path: &Path) -> Result<(), StoreError> {
    for suffix in ["-wal", "-shm"] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        match fs::remove_file(Path::new(&beside)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::from_io(path, error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Has `SQLite` leave the write-ahead log where it is when the connection closes. The log is removed by its name, and when the
/// store was deleted and made anew meanwhile, that is the log of another store.
fn leave_log_in_place(database: &Database) {
    let mut keep: std::ffi::c_int = 1;
    // SAFETY: the connection is open for as long as `database` is borrowed, the name ends with a NUL, and this operation
    // takes a pointer to an int that lives until the call returns.
    #[expect(unsafe_code, reason = "file controls have no other interface")]
    unsafe {
        rusqlite::ffi::sqlite3_file_control(
            database.connection().handle(),
            c"main".as_ptr(),
            rusqlite::ffi::SQLITE_FCNTL_PERSIST_WAL,
            (&raw mut keep).cast(),
        );
    }
}

fn open_read_only(path: &Path, busy_timeout: Duration) -> Result<Store, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let attempt = connect(path, path, flags, busy_timeout).and_then(|database| {
        existing_version(&database)?;
        Ok(database)
    });
    let database = match attempt {
        // The log's shared memory cannot be made in this directory. Without a log nothing but the file counts.
        Err(error) if is_refusal(&error) && !has_log(path) => connect(
            path,
            &immutable_uri(path),
            flags | OpenFlags::SQLITE_OPEN_URI,
            busy_timeout,
        )?,
        attempt => attempt?,
    };
    let version = existing_version(&database)?;
    if version != migrations::SCHEMA_VERSION {
        return Err(StoreError::Older {
            path: path.into(),
            found: version,
        });
    }
    finish(database, true)
}

/// The schema version of a store that must be there already.
fn existing_version(database: &Database) -> Result<i64, StoreError> {
    match migrations::version_of(database)? {
        0 => Err(StoreError::Empty {
            path: database.path().to_path_buf(),
        }),
        version => Ok(version),
    }
}

/// Looks at the file without `SQLite`, whose errors do not tell these cases apart, and without opening it: closing a file
/// drops every lock that this process holds on it, those of its other connections too.
fn examine(path: &Path) -> Result<OnDisk, StoreError> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(OnDisk::Absent),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(StoreError::DirectoryMissing { path: path.into() });
        }
        Err(error) => return Err(StoreError::from_io(path, error)),
    };
    if metadata.is_dir() {
        return Err(StoreError::IsDirectory { path: path.into() });
    }
    if !metadata.is_file() {
        return Err(StoreError::NotSqlite { path: path.into() });
    }
    if metadata.len() == 0 {
        return Ok(OnDisk::Empty);
    }
    faccessat(AT_FDCWD, path, AccessFlags::R_OK, AtFlags::AT_EACCESS)
        .map_err(|errno| StoreError::from_io(path, io::Error::from(errno)))?;
    Ok(OnDisk::Something)
}

/// Connects to `target` (the path itself, or an address made of it) and sets what every connection needs.
fn connect(
    path: &Path,
    target: &Path,
    flags: OpenFlags,
    busy_timeout: Duration,
) -> Result<Database, StoreError> {
    let connection = Connection::open_with_flags(target, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
        .map_err(|source| StoreError::new(path, source))?;
    let database = Database::new(connection, path.to_path_buf());
    database
        .connection()
        .busy_timeout(busy_timeout)
        .map_err(|source| database.error(source))?;
    // Else SQLite prepares a kept statement anew whenever it is bound to another value that its plan might have looked at.
    database
        .connection()
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(|source| database.error(source))?;
    for (pragma, value) in [
        ("foreign_keys", 1),
        ("cache_size", CACHE_SIZE_KIB),
        // NORMAL: with the log, a power failure may cost the last transactions, never the store.
        ("synchronous", 1),
    ] {
        database.count();
        database
            .connection()
            .pragma_update(None, pragma, value)
            .map_err(|source| database.error(source))?;
    }
    Ok(database)
}

/// Switches to the write-ahead log, so that a mount reads while a scan writes. It stays on in the file.
fn use_write_ahead_log(database: &Database) -> Result<(), StoreError> {
    let mode = |sql| database.row(sql, [], |row| row.get::<_, String>(0));
    if mode("PRAGMA journal_mode")?.as_deref() != Some("wal") {
        mode("PRAGMA journal_mode = WAL")?;
    }
    Ok(())
}

fn finish(database: Database, read_only: bool) -> Result<Store, StoreError> {
    let id = database
        .row("SELECT value FROM meta WHERE key = 'store_id'", [], |row| {
            row.get(0)
        })?
        .ok_or_else(|| database.corrupt("it has no store_id"))?;
    Ok(Store {
        database,
        id,
        read_only,
    })
}

/// Where the write-ahead log of the store at `path` is, while there is one.
pub fn log_path(path: &Path) -> PathBuf {
    let mut log: OsString = path.into();
    log.push("-wal");
    log.into()
}

/// Whether a write-ahead log with content lies beside the store.
fn has_log(path: &Path) -> bool {
    fs::metadata(log_path(path)).is_ok_and(|metadata| metadata.len() > 0)
}

/// The address of `path` as a database that nobody changes.
fn immutable_uri(path: &Path) -> PathBuf {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'-' | b'_') {
            uri.push(char::from(byte));
        } else {
            write!(uri, "%{byte:02X}").expect("a string takes all text");
        }
    }
    uri.push_str("?immutable=1");
    PathBuf::from(uri)
}
