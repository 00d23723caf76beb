//! Connections that never wait without limit, and what is said of a mount that does not answer: whose it is, which process,
//! and whether that is stopped.

use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::socket::sockopt::{PeerCredentials, SendTimeout};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, setsockopt, socket,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

/// Connects to the socket at `path`. Who listens there may be stopped, and those who wait to be heard too many: then this
/// gives up after `patience`.
///
/// # Errors
/// When nobody listens, or who does is somebody else's or does not hear; the last is [`io::ErrorKind::WouldBlock`].
pub(super) fn connect_within(path: &Path, patience: Duration) -> io::Result<UnixStream> {
    let opened = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let milliseconds = i64::try_from(patience.as_millis()).unwrap_or(i64::MAX);
    setsockopt(&opened, SendTimeout, &TimeVal::milliseconds(milliseconds))?;
    connect(opened.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(UnixStream::from(opened))
}

/// The process that listens at the other end of `stream`.
pub(super) fn listener_of(stream: &UnixStream) -> Option<u32> {
    let credentials = getsockopt(stream, PeerCredentials).ok()?;
    u32::try_from(credentials.pid())
        .ok()
        .filter(|pid| *pid != 0)
}

/// A mount that does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silent {
    /// Where it is mounted, as far as that is known.
    pub mountpoint: Option<PathBuf>,
    /// Its process, as far as that is known.
    pub pid: Option<u32>,
}

impl Silent {
    /// Whether its process is stopped.
    pub fn is_stopped(&self) -> bool {
        self.pid.is_some_and(is_stopped)
    }

    /// Why it does not answer, and what helps; nothing when that is not known.
    pub fn why(&self) -> String {
        match self.pid {
            Some(pid) if is_stopped(pid) => {
                format!("its process {pid} is stopped; `kill -CONT {pid}` lets it go on")
            }
            Some(pid) => format!("its process is {pid}"),
            None => String::new(),
        }
    }
}

impl std::fmt::Display for Silent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.mountpoint {
            Some(point) => write!(
                formatter,
                "the musefs at {} does not answer",
                point.display()
            )?,
            None => formatter.write_str("a musefs does not answer")?,
        }
        let why = self.why();
        if why.is_empty() {
            Ok(())
        } else {
            write!(formatter, ": {why}")
        }
    }
}

/// Whether the process is stopped, by a signal or a debugger (proc(5), `stat`).
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before the state may hold anything, but the last parenthesis ends it.
    let end = stat.iter().rposition(|&byte| byte == b')');
    let state = end.and_then(|end| stat.get(end + 2));
    matches!(state, Some(b'T' | b't'))
}

/// Whether `error` says that somebody who is there took too long.
pub(super) fn is_silence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// Whether the process `pid` has the file at `path` open, as far as `/proc` says.
pub(super) fn has_open(pid: u32, path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else {
        return false;
    };
    // What the links name is not looked at: it may lie on a disk that does not answer.
    std::fs::read_dir(format!("/proc/{pid}/fd")).is_ok_and(|descriptors| {
        let mut links = descriptors
            .flatten()
            .filter_map(|descriptor| std::fs::read_link(descriptor.path()).ok());
        links.any(|link| link == path)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn who_is_not_heard_gives_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
        let patience = Duration::from_millis(20);
        // Nobody accepts: the first few wait to be heard, and one finds no room.
        let tries: Vec<_> = (0..8).map(|_| connect_within(&path, patience)).collect();
        let heard = tries[0].as_ref().expect("there is room for one");
        assert_eq!(listener_of(heard), Some(std::process::id()));
        let last = tries[7].as_ref().expect_err("there is no room");
        assert!(is_silence(last), "{last}");
        assert!(connect_within(&directory.path().join("none"), patience).is_err());
    }

    #[test]
    fn a_process_tells_which_files_it_has_open() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(has_open(std::process::id(), file.path()));
        let path = file.path().to_path_buf();
        drop(file);
        assert!(!has_open(std::process::id(), &path));
        assert!(!is_stopped(std::process::id()));
    }
}
