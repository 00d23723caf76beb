//! Where the HTTP endpoint listens: at an address, or at a socket file of its owner's own, which goes when it ends.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nix::sys::stat::{Mode, fchmod};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixSocket};

/// Connections that wait to be taken.
const BACKLOG: u32 = 128;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// At this address; port 0 is any that is free.
    Address(SocketAddr),
    /// At a socket at this path.
    Unix(PathBuf),
}

impl FromStr for Listen {
    type Err = &'static str;

    /// `PORT`, `:PORT` and `localhost:PORT` are this machine alone.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err("expected a path after `unix:`"),
                path => Ok(Self::Unix(path.into())),
            };
        }
        let own = text
            .strip_prefix("localhost:")
            .or_else(|| text.strip_prefix(':'))
            .unwrap_or(text);
        if let Ok(port) = own.parse::<u16>() {
            return Ok(Self::Address((Ipv4Addr::LOCALHOST, port).into()));
        }
        text.parse()
            .map(Self::Address)
            .map_err(|_| "expected PORT, ADDRESS:PORT with a number for an address, or unix:PATH")
    }
}

impl Listen {
    /// Whether nobody but this machine's own programs reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Address(address) => address.ip().is_loopback(),
            Self::Unix(_) => true,
        }
    }
}

/// Why it cannot be listened there.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another program does already.
    #[error(
        "--metrics-listen {what}: another program listens there; choose another, or end that first"
    )]
    InUse {
        /// Where.
        what: String,
    },
    /// What is there is no socket.
    #[error("--metrics-listen unix:{}: something else than a socket is there; choose another path, or take it away", .path.display())]
    NoSocket {
        /// Where.
        path: PathBuf,
    },
    /// The system does not let it.
    #[error("--metrics-listen {what}: cannot listen there")]
    Refused {
        /// Where.
        what: String,
        /// Why.
        source: io::Error,
    },
}

/// A connection.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

/// What listens.
#[derive(Debug)]
pub(super) enum Listener {
    Address(TcpListener),
    Unix(UnixListener, SocketFile),
}

impl Listener {
    /// Listens from here on. To be called inside a runtime.
    pub(super) fn bind(listen: &Listen) -> Result<Self, ListenError> {
        match listen {
            Listen::Address(address) => {
                let explain = |source: io::Error| explain(address.to_string(), source);
                let listener = std::net::TcpListener::bind(address).map_err(explain)?;
                listener.set_nonblocking(true).map_err(explain)?;
                TcpListener::from_std(listener)
                    .map(Self::Address)
                    .map_err(explain)
            }
            Listen::Unix(path) => {
                make_room(path)?;
                let explain =
                    |source: io::Error| explain(format!("unix:{}", path.display()), source);
                let (listener, file) = bind_unix(path).map_err(explain)?;
                Ok(Self::Unix(listener, file))
            }
        }
    }

    /// As people type it.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Address(listener) => match listener.local_addr() {
                Ok(address) => format!("http://{address}/"),
                Err(error) => format!("an address that is not known: {error}"),
            },
            Self::Unix(_, file) => format!("the socket {}", file.path.display()),
        }
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<Box<dyn Duplex>> {
        Ok(match self {
            Self::Address(listener) => {
                let (stream, _) = listener.accept().await?;
                // An answer is written at once, so there is nothing to gather; without it the answer is the same.
                stream.set_nodelay(true).ok();
                Box::new(stream)
            }
            Self::Unix(listener, _) => Box::new(listener.accept().await?.0),
        })
    }
}

fn explain(what: String, source: io::Error) -> ListenError {
    if source.kind() == io::ErrorKind::AddrInUse {
        ListenError::InUse { what }
    } else {
        ListenError::Refused { what, source }
    }
}

/// Takes away a socket at `path` that nobody listens at any more.
fn make_room(path: &Path) -> Result<(), ListenError> {
    let Ok(found) = path.symlink_metadata() else {
        return Ok(());
    };
    if !found.file_type().is_socket() {
        return Err(ListenError::NoSocket { path: path.into() });
    }
    let what = || format!("unix:{}", path.display());
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|source| explain(what(), source))
        }
        // Whoever does not answer, or not us, may still be there.
        _ => Err(ListenError::InUse { what: what() }),
    }
}

fn bind_unix(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let socket = UnixSocket::new_stream()?;
    // The file gets the mode that the socket has, so that nobody else can open it, not even at first.
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    socket.bind(path)?;
    let file = SocketFile {
        path: path.into(),
        identity: identity_of(path),
    };
    Ok((socket.listen(BACKLOG)?, file))
}

/// A socket's file, which is taken away when this is dropped.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

fn identity_of(path: &Path) -> Option<(u64, u64)> {
    let metadata = path.symlink_metadata().ok()?;
    Some((metadata.dev(), metadata.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have put something else in its place.
        if self.identity.is_some() && identity_of(&self.path) == self.identity {
            std::fs::remove_file(&self.path).ok();
        }
    }
}

/// Whether `host`, the value of a header, names this machine by its address or as `localhost`. A page from elsewhere whose
/// name was made to lead here says its own name.
pub(super) fn names_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'))
        .unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_port_alone_is_this_machine_alone() {
        for text in ["9184", ":9184", "localhost:9184", "127.0.0.1:9184"] {
            let listen: Listen = text.parse().unwrap();
            assert_eq!(listen, Listen::Address(([127, 0, 0, 1], 9184).into()));
            assert!(listen.is_local());
        }
        for (text, is_local) in [("0.0.0.0:1", false), ("[::1]:1", true), ("[::]:1", false)] {
            assert_eq!(text.parse::<Listen>().unwrap().is_local(), is_local);
        }
        assert_eq!("unix:/a:b".parse(), Ok(Listen::Unix("/a:b".into())));
        for text in ["", "65536", "nas:80", "unix:", "127.0.0.1", "::1:x"] {
            text.parse::<Listen>().unwrap_err();
        }
    }

    #[test]
    fn addresses_and_localhost_name_this_machine() {
        for host in [
            "localhost",
            "LocalHost:80",
            "127.0.0.1:9184",
            "[::1]:9184",
            "[::1]",
            "10.1.2.3",
        ] {
            assert!(names_this_machine(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example:80",
            "127.0.0.1.nip.io",
            ":80",
        ] {
            assert!(!names_this_machine(host), "{host}");
        }
    }

    #[test]
    fn a_socket_is_its_owners_alone_and_only_a_stale_one_is_replaced() {
        let runtime = super::super::runtime().unwrap();
        let _inside = runtime.enter();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("musefs.sock");
        let listen = Listen::Unix(path.clone());
        let bound = Listener::bind(&listen).unwrap();
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        let refused = Listener::bind(&listen).unwrap_err();
        assert!(matches!(refused, ListenError::InUse { .. }), "{refused}");
        drop(bound);
        assert!(!path.exists());

        // As a mount that was killed leaves it.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let bound = Listener::bind(&listen).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "somebody else's").unwrap();
        drop(bound);
        assert!(path.exists());
        let refused = Listener::bind(&listen).unwrap_err();
        assert!(matches!(refused, ListenError::NoSocket { .. }), "{refused}");
    }
}
