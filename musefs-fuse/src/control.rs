//! The control socket of a mount: other commands of the same user ask a mount for what only it can do.
//!
//! A socket lies in a directory of the user's own, outside of every musefs mount, under the device number of its mount, so
//! that any path inside a mount leads to it. One line of JSON each way, then the connection ends. Who may open the socket
//! may ask; nobody but its owner may.

mod server;

use std::fs::{DirBuilder, Metadata};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use serde::{Deserialize, Serialize};

use crate::files;

pub use server::{Control, Served};

/// Longest line that either side reads, in bytes.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// How long either side waits for the other to say something, beyond the time that the request itself gives.
const SPEAK_TIMEOUT: Duration = Duration::from_secs(5);

/// Which file a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreIdentity {
    device: u64,
    inode: u64,
}

impl StoreIdentity {
    /// The identity of the store at `path`.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn of(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        Ok(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }
}

/// What a mount may be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request {
    /// To show every commit made so far, and to have told the kernel.
    Sync {
        /// Only if this is the store that it serves.
        store: Option<StoreIdentity>,
        /// How long to try, in milliseconds.
        timeout_ms: u64,
    },
    /// What it serves.
    About,
    /// A text of its metrics directory, whether that is in the mount or not.
    Metrics {
        /// The text's name there.
        name: String,
    },
    /// From how long on operations are slow.
    SlowFrom {
        /// In milliseconds; absent follows what most operations take.
        threshold_ms: Option<u64>,
    },
    /// The tracks that these inodes of it stand for.
    Tracks {
        /// At most as many as fit a line.
        inodes: Vec<u64>,
    },
}

/// What a mount answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// All commits made before the request are shown.
    Synced {
        /// How many refreshes changed something so far.
        generation: u64,
    },
    /// It serves another store than the one that was asked for.
    OtherStore,
    /// What it serves.
    About(About),
    /// The track of each inode, in the order of the request; absent where the inode is no track's.
    Tracks {
        /// Row ids of the store.
        tracks: Vec<Option<i64>>,
    },
    /// The text.
    Metrics {
        /// All of it.
        text: String,
    },
    /// So it is from here on.
    SlowSet,
    /// It could not be done.
    Failed {
        /// Why, for people.
        why: String,
    },
}

/// What a mount serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The store.
    pub db: PathBuf,
    /// Where it is mounted.
    pub mountpoint: PathBuf,
    /// The process.
    pub pid: u32,
    /// The version of the program.
    pub version: String,
}

impl About {
    /// What this process says of a mount of the store `db` at `mountpoint`.
    pub fn of(db: &Path, mountpoint: &Path) -> Self {
        Self {
            db: std::path::absolute(db).unwrap_or_else(|_| db.to_path_buf()),
            mountpoint: mountpoint.to_path_buf(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}

/// The directory of the sockets: in `$XDG_RUNTIME_DIR`, else where only this user can write.
fn directory() -> PathBuf {
    let user = nix::unistd::geteuid();
    match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(directory) if Path::new(&directory).is_absolute() => {
            Path::new(&directory).join("musefs")
        }
        _ if user.is_root() => PathBuf::from("/run/musefs"),
        _ => std::env::temp_dir().join(format!("musefs-{user}")),
    }
}

/// [`directory`], made if need be, and made sure of that it is nobody else's.
fn own_directory() -> anyhow::Result<PathBuf> {
    let directory = directory();
    files::refuse_inside_musefs(&directory, "the directory of control sockets")?;
    let made = DirBuilder::new().mode(0o700).create(&directory);
    if let Err(error) = made
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error).with_context(|| format!("cannot make {}", directory.display()));
    }
    let metadata = std::fs::symlink_metadata(&directory)
        .with_context(|| format!("cannot look at {}", directory.display()))?;
    if !is_own(&metadata) {
        bail!(
            "{} is not a directory that only you can write: set XDG_RUNTIME_DIR to one that is",
            directory.display()
        );
    }
    Ok(directory)
}

fn is_own(directory: &Metadata) -> bool {
    directory.is_dir()
        && directory.uid() == nix::unistd::geteuid().as_raw()
        && directory.permissions().mode() & 0o022 == 0
}

/// The socket of the mount with this device number.
fn socket(directory: &Path, device: u64) -> PathBuf {
    let (major, minor) = (libc::major(device), libc::minor(device));
    directory.join(format!("{major}-{minor}.sock"))
}

/// Asks the mount that holds `path`.
///
/// # Errors
/// When there is none, it does not answer, or it belongs to somebody else.
pub fn ask_mount_of(path: &Path, request: &Request) -> anyhow::Result<Answer> {
    let metadata =
        std::fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
    let socket = socket(&directory(), metadata.dev());
    ask(&socket, request).with_context(|| {
        format!(
            "no musefs of yours answers for {} (asked at {})",
            path.display(),
            socket.display()
        )
    })
}

/// What the mount that holds `path` serves.
///
/// # Errors
/// As [`ask_mount_of`].
pub fn about_mount_of(path: &Path) -> anyhow::Result<About> {
    match ask_mount_of(path, &Request::About)? {
        Answer::About(about) => Ok(about),
        other => Err(unexpected(&other)),
    }
}

/// The text called `name` of the metrics of the mount that holds `path`.
///
/// # Errors
/// As [`ask_mount_of`], or when it has no such text.
pub fn metrics_of(path: &Path, name: &str) -> anyhow::Result<String> {
    let request = Request::Metrics { name: name.into() };
    match ask_mount_of(path, &request)? {
        Answer::Metrics { text } => Ok(text),
        other => Err(unexpected(&other)),
    }
}

/// The error for an answer that is none to what was asked.
pub fn unexpected(answer: &Answer) -> anyhow::Error {
    match answer {
        Answer::Failed { why } => anyhow!("{why}"),
        other => anyhow!("the mount gave another answer than was asked for: {other:?}"),
    }
}

/// The mounts of the store at `db` that answer, in the order of their mountpoints.
pub fn mounts_of(db: &Path) -> Vec<About> {
    let (Ok(store), Ok(sockets)) = (StoreIdentity::of(db), std::fs::read_dir(directory())) else {
        return Vec::new();
    };
    let mut mounts: Vec<About> = sockets
        .flatten()
        .filter_map(|socket| match ask(&socket.path(), &Request::About) {
            Ok(Answer::About(about)) => Some(about),
            // Of a mount that was killed, or no socket at all.
            Ok(_) | Err(_) => None,
        })
        .filter(|about| StoreIdentity::of(&about.db).ok() == Some(store))
        .collect();
    mounts.sort_by(|a, b| a.mountpoint.cmp(&b.mountpoint));
    mounts
}

/// Has every mount of the store at `db` show what was committed; how many did, and what went wrong with the others.
pub fn sync_mounts_of(db: &Path, timeout: Duration) -> (u64, Vec<String>) {
    let request = |store| Request::Sync {
        store: Some(store),
        timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
    };
    let (mut synced, mut failed) = (0, Vec::new());
    let (Ok(store), Ok(sockets)) = (StoreIdentity::of(db), std::fs::read_dir(directory())) else {
        return (synced, failed);
    };
    for socket in sockets.flatten() {
        match ask(&socket.path(), &request(store)) {
            Ok(Answer::Synced { .. }) => synced += 1,
            Ok(Answer::Failed { why }) => failed.push(why),
            // Of another store, of a mount that was killed, or no socket at all.
            Ok(_) | Err(_) => {}
        }
    }
    (synced, failed)
}

fn ask(socket: &Path, request: &Request) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
    let working = match request {
        Request::Sync { timeout_ms, .. } => Duration::from_millis(*timeout_ms),
        Request::About
        | Request::Metrics { .. }
        | Request::SlowFrom { .. }
        | Request::Tracks { .. } => Duration::ZERO,
    };
    stream.set_write_timeout(Some(SPEAK_TIMEOUT))?;
    stream.set_read_timeout(Some(SPEAK_TIMEOUT.saturating_add(working)))?;
    say(&mut stream, request)?;
    hear(&stream)
}

fn say(stream: &mut UnixStream, what: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    stream.write_all(&line)
}

fn hear<T: for<'a> Deserialize<'a>>(stream: &UnixStream) -> io::Result<T> {
    let mut line = String::new();
    BufReader::new(stream.take(LINE_BYTES_MAX)).read_line(&mut line)?;
    if !line.ends_with('\n') {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "no whole line came",
        ));
    }
    Ok(serde_json::from_str(&line)?)
}

/// The moment until which a request of that many milliseconds is tried.
fn deadline(timeout_ms: u64) -> Instant {
    let longest = Duration::from_secs(24 * 60 * 60);
    Instant::now() + Duration::from_millis(timeout_ms).min(longest)
}
