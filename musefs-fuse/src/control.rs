//! The control socket of a mount: other commands of the same user ask a mount for what only it can do.
//!
//! A socket lies in a directory of the user's own, outside of every musefs mount, under the device number of its mount, so
//! that any path inside a mount leads to it. One line of JSON each way, then the connection ends; who follows a mount's
//! operations gets a line for each. Who may open the socket may ask; nobody but its owner may. Nobody who asks waits without
//! limit: the mount's process may be stopped.

mod follow;
pub(crate) mod locate;
mod server;
mod silent;
pub mod trace;

use std::fs::{DirBuilder, Metadata};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use musefs_core::mounts::Mounts;
use serde::{Deserialize, Serialize};

use crate::files;

use self::locate::Place;
pub use self::server::{Control, Served};
pub use self::silent::Silent;
use self::silent::{connect_within, has_open, is_silence, listener_of};
use self::trace::Wanted;

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
    /// The operations that ended, or those that do from here on. The answer has further lines, of [`trace::Line`].
    Trace(Wanted),
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
    /// The lines of a trace come next.
    Tracing {
        /// Where it is mounted.
        mountpoint: PathBuf,
    },
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

/// The device number of the mount whose socket this is.
fn device_of(socket: &Path) -> Option<u64> {
    let (major, minor) = socket
        .file_name()?
        .to_str()?
        .strip_suffix(".sock")?
        .split_once('-')?;
    Some(libc::makedev(major.parse().ok()?, minor.parse().ok()?))
}

/// The mount that a path leads to, and where it listens.
struct Reached {
    /// As it was asked for.
    path: PathBuf,
    /// Where the mount is, where this process sees it.
    mountpoint: Option<PathBuf>,
    /// Who mounted it, where the kernel says.
    user: Option<u32>,
    socket: PathBuf,
}

impl Reached {
    /// The mount that holds `path`. Does not ask the mount itself.
    fn of(path: &Path) -> anyhow::Result<Self> {
        let (mountpoint, user, device) = match locate::locate(path)? {
            Place::Musefs(mount) => (Some(mount.point), mount.user, mount.device),
            Place::Other { device } => (None, None, device),
        };
        Ok(Self {
            path: path.to_path_buf(),
            mountpoint,
            user,
            socket: socket(&directory(), device),
        })
    }

    /// A connection, and what is to be said when nothing comes of it.
    fn connect(&self) -> anyhow::Result<(UnixStream, Silent)> {
        let mut silent = Silent {
            mountpoint: self.mountpoint.clone(),
            pid: None,
        };
        match connect_within(&self.socket, SPEAK_TIMEOUT) {
            Ok(stream) => {
                silent.pid = listener_of(&stream);
                Ok((stream, silent))
            }
            Err(error) => Err(self.explain(error, &silent)),
        }
    }

    fn explain(&self, error: io::Error, silent: &Silent) -> anyhow::Error {
        if is_silence(&error) {
            return anyhow!("{silent}");
        }
        let own = nix::unistd::geteuid().as_raw();
        let is_nowhere = matches!(
            error.kind(),
            io::ErrorKind::NotFound
                | io::ErrorKind::ConnectionRefused
                | io::ErrorKind::PermissionDenied
        );
        let what = match (&self.mountpoint, self.user) {
            (Some(point), Some(user)) if is_nowhere && user != own => format!(
                "the one at {} belongs to user {user}, who alone may ask it",
                point.display()
            ),
            (Some(point), _) if is_nowhere => format!(
                "the one at {} was killed or has no control socket; `musefs mount --remount` cleans up",
                point.display()
            ),
            (None, _) if is_nowhere => "it is in no musefs mount".into(),
            _ => format!("asked at {}", self.socket.display()),
        };
        anyhow::Error::new(error).context(format!(
            "no musefs of yours answers for {} ({what})",
            self.path.display()
        ))
    }
}

/// Asks the mount that holds `path`.
///
/// # Errors
/// When there is none, it does not answer in time, or it belongs to somebody else.
pub fn ask_mount_of(path: &Path, request: &Request) -> anyhow::Result<Answer> {
    let reached = Reached::of(path)?;
    // What takes its time is asked of a mount that is known to answer.
    if !working(request).is_zero() {
        let (stream, silent) = reached.connect()?;
        ask(stream, &Request::About).map_err(|error| reached.explain(error, &silent))?;
    }
    let (stream, silent) = reached.connect()?;
    ask(stream, request).map_err(|error| reached.explain(error, &silent))
}

/// The mount that holds `path`, when it does not answer. `None` when it does, and when there is nobody to ask.
pub fn silent_mount_of(path: &Path) -> Option<Silent> {
    let reached = Reached::of(path).ok()?;
    let mut silent = Silent {
        mountpoint: reached.mountpoint,
        pid: None,
    };
    let answer = connect_within(&reached.socket, SPEAK_TIMEOUT).and_then(|stream| {
        silent.pid = listener_of(&stream);
        ask(stream, &Request::About)
    });
    answer
        .is_err_and(|error| is_silence(&error))
        .then_some(silent)
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

/// The mounts of the store at `db`, in the order of their mountpoints: those that answer, and those that do not, as far as it
/// can be told of them that they are mounts of that store.
pub fn mounts_of(db: &Path) -> (Vec<About>, Vec<Silent>) {
    let (mut mounts, mut silent) = (Vec::new(), Vec::new());
    for (_, answer) in ask_all(db, &Request::About) {
        match answer {
            Ok(Answer::About(about)) => mounts.push(about),
            Err(Unheard::Silent(mount)) => silent.push(mount),
            // Of a mount that was killed, or no socket at all.
            Ok(_) | Err(Unheard::Nobody) => {}
        }
    }
    if let Ok(store) = StoreIdentity::of(db) {
        mounts.retain(|about| StoreIdentity::of(&about.db).ok() == Some(store));
    }
    mounts.sort_by(|a, b| a.mountpoint.cmp(&b.mountpoint));
    silent.sort_by(|a, b| a.mountpoint.cmp(&b.mountpoint));
    (mounts, silent)
}

/// Has every mount of the store at `db` show what was committed; how many did, and what went wrong with the others.
pub fn sync_mounts_of(db: &Path, timeout: Duration) -> (u64, Vec<String>) {
    let (mut synced, mut failed) = (0, Vec::new());
    let Ok(store) = StoreIdentity::of(db) else {
        return (synced, failed);
    };
    let request = Request::Sync {
        store: Some(store),
        timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
    };
    for (socket, answer) in ask_all(db, &Request::About) {
        match answer {
            Ok(Answer::About(_)) => {}
            Err(Unheard::Silent(mount)) => {
                failed.push(mount.to_string());
                continue;
            }
            Ok(_) | Err(Unheard::Nobody) => continue,
        }
        let answer =
            connect_within(&socket, SPEAK_TIMEOUT).and_then(|stream| ask(stream, &request));
        match answer {
            Ok(Answer::Synced { .. }) => synced += 1,
            Ok(Answer::Failed { why }) => failed.push(why),
            // Of another store, or of a mount that has ended meanwhile.
            Ok(_) | Err(_) => {}
        }
    }
    (synced, failed)
}

/// Why a socket gave no answer.
enum Unheard {
    /// A mount of the store that was asked for does not answer.
    Silent(Silent),
    /// Nobody is there, or nobody who is known to serve that store.
    Nobody,
}

/// Asks at all sockets of this user, at once: none waits for another. `db` tells which of those that do not answer matter.
fn ask_all(db: &Path, request: &Request) -> Vec<(PathBuf, Result<Answer, Unheard>)> {
    let Ok(sockets) = std::fs::read_dir(directory()) else {
        return Vec::new();
    };
    let sockets: Vec<PathBuf> = sockets.flatten().map(|socket| socket.path()).collect();
    std::thread::scope(|scope| {
        let asking: Vec<_> = sockets
            .into_iter()
            .map(|socket| {
                scope.spawn(move || {
                    let answer = ask_at(&socket, db, request);
                    (socket, answer)
                })
            })
            .collect();
        asking
            .into_iter()
            .map(|asking| asking.join().expect("asking does not panic"))
            .collect()
    })
}

fn ask_at(socket: &Path, db: &Path, request: &Request) -> Result<Answer, Unheard> {
    let stream = connect_within(socket, SPEAK_TIMEOUT).map_err(|_| Unheard::Nobody)?;
    let pid = listener_of(&stream);
    match ask(stream, request) {
        Ok(answer) => Ok(answer),
        Err(error) if is_silence(&error) && pid.is_some_and(|pid| has_open(pid, db)) => {
            Err(Unheard::Silent(Silent {
                mountpoint: device_of(socket).and_then(|device| {
                    let mounts = Mounts::of_this_process();
                    Some(mounts.of_device(device)?.point.clone())
                }),
                pid,
            }))
        }
        Err(_) => Err(Unheard::Nobody),
    }
}

/// How long the mount may work on a request, beyond hearing and answering it.
fn working(request: &Request) -> Duration {
    match request {
        Request::Sync { timeout_ms, .. } => Duration::from_millis(*timeout_ms),
        Request::About
        | Request::Metrics { .. }
        | Request::SlowFrom { .. }
        | Request::Tracks { .. }
        | Request::Trace(_) => Duration::ZERO,
    }
}

fn ask(mut stream: UnixStream, request: &Request) -> io::Result<Answer> {
    stream.set_write_timeout(Some(SPEAK_TIMEOUT))?;
    stream.set_read_timeout(Some(SPEAK_TIMEOUT.saturating_add(working(request))))?;
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
