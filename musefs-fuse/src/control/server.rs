//! The mount's side of the control socket: a thread that listens, and one for each connection, up to a bound. Those that
//! follow the mount's operations have a smaller one of their own, and are ended with the mount.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::AcqRel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use musefs_core::serve::Musefs;
use musefs_core::tree::{Inode, NodeKind};
use musefs_telemetry::{event_debug, event_warn, logging};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use parking_lot::{Condvar, Mutex};

use super::follow::Follower;
use super::trace::{Line, Wanted};
use super::{About, Answer, Request, SPEAK_TIMEOUT, StoreIdentity, deadline, hear, say};
use crate::invalidate::Invalidator;
use crate::metrics::Transport;
use crate::metrics_files::MetricsFiles;

/// Connections that are answered at once; more of them are closed unheard.
const CONNECTIONS_MAX: usize = 16;

/// Of these, how many may follow the mount's operations.
const FOLLOWERS_MAX: usize = 4;

/// How long nobody is heard after a connection could not be taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What the requests are about.
#[derive(Debug)]
pub struct Served {
    /// The mounted library.
    pub musefs: Arc<Musefs>,
    /// What tells the kernel of changes.
    pub invalidator: Arc<Invalidator>,
    /// What it measures.
    pub metrics: Arc<MetricsFiles>,
    /// What to say when asked.
    pub about: About,
}

/// An open control socket; it is closed and removed when this is dropped.
#[derive(Debug)]
pub struct Control {
    socket: PathBuf,
    /// Which file that is.
    identity: Option<(u64, u64)>,
    end: Arc<EventFd>,
    followers: Arc<Followers>,
}

/// The connections that follow the mount's operations.
#[derive(Debug, Default)]
struct Followers {
    open: Mutex<usize>,
    left: Condvar,
}

impl Followers {
    /// A place among them, until it is dropped.
    fn join(&self) -> Option<Following<'_>> {
        let mut open = self.open.lock();
        if *open >= FOLLOWERS_MAX {
            return None;
        }
        *open += 1;
        Some(Following(self))
    }

    /// Waits until all have left; whether they had before `deadline`.
    fn await_none(&self, deadline: Instant) -> bool {
        let mut open = self.open.lock();
        while *open > 0 {
            if self.left.wait_until(&mut open, deadline).timed_out() {
                return *open == 0;
            }
        }
        true
    }
}

struct Following<'a>(&'a Followers);

impl Drop for Following<'_> {
    fn drop(&mut self) {
        *self.0.open.lock() -= 1;
        self.0.left.notify_all();
    }
}

/// The file at `path`, whatever it is called.
fn identity_of(path: &Path) -> Option<(u64, u64)> {
    let metadata = path.symlink_metadata().ok()?;
    Some((metadata.dev(), metadata.ino()))
}

impl Control {
    /// Opens the socket of the mount with this device number.
    ///
    /// # Errors
    /// When the socket's directory is not the user's own, or the socket cannot be made.
    pub fn open(device: u64, served: Served) -> anyhow::Result<Self> {
        let socket = super::socket(&super::own_directory()?, device);
        // The kernel gives a device number to one mount at a time: what lies there was left by a killed one.
        match std::fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot replace {}", socket.display()));
            }
            _ => {}
        }
        let listener = UnixListener::bind(&socket)
            .with_context(|| format!("cannot make {}", socket.display()))?;
        std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        let end = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?);
        let followers = Arc::<Followers>::default();
        let shared = Arc::new(Shared {
            served,
            end: Arc::clone(&end),
            followers: Arc::clone(&followers),
        });
        std::thread::Builder::new()
            .name("musefs-control".into())
            .spawn(move || listen(&listener, &shared))?;
        Ok(Self {
            identity: identity_of(&socket),
            socket,
            end,
            followers,
        })
    }

    /// Hears nobody any more, and tells those who follow that the mount ends; whether they were told before `deadline`.
    pub fn stop(&self, deadline: Instant) -> bool {
        self.end();
        self.followers.await_none(deadline)
    }

    fn end(&self) {
        // The counter is full only when the threads were told already.
        let _ = self.end.write(1);
    }
}

/// What the threads of the socket have in common.
struct Shared {
    served: Served,
    end: Arc<EventFd>,
    followers: Arc<Followers>,
}

impl Drop for Control {
    fn drop(&mut self) {
        self.end();
        // The kernel may have given the device number, and so the name, to another mount already.
        if identity_of(&self.socket) == self.identity {
            std::fs::remove_file(&self.socket).ok();
        }
    }
}

fn listen(listener: &UnixListener, shared: &Arc<Shared>) {
    let connections = Arc::new(AtomicUsize::new(0));
    loop {
        let mut ready = [
            PollFd::new(shared.end.as_fd(), PollFlags::POLLIN),
            PollFd::new(listener.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut ready, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => {
                event_warn!(
                    logging::admin(),
                    "control.socket.closed",
                    message = %format_args!("the control socket is closed: {error}"),
                );
                return;
            }
        }
        if ready[0].any().unwrap_or_default() {
            return;
        }
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors the connection stays where it is, and would be offered again at once.
                if error.kind() != io::ErrorKind::WouldBlock {
                    std::thread::sleep(ACCEPT_PAUSE);
                }
                continue;
            }
        };
        let place = Place::take(&connections);
        let Some(place) = place else {
            event_warn!(
                logging::admin(),
                "control.connection.refused",
                message = "too many ask at the control socket at once; one was not heard",
            );
            continue;
        };
        let shared = Arc::clone(shared);
        let spawned = std::thread::Builder::new()
            .name("musefs-control".into())
            .spawn(move || {
                converse(stream, &shared);
                drop(place);
            });
        if let Err(error) = spawned {
            event_warn!(
                logging::admin(),
                "control.connection.refused",
                message = %format_args!("no thread for the control socket: {error}"),
            );
        }
    }
}

/// One of the connections that may be open.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(open: &Arc<AtomicUsize>) -> Option<Self> {
        let place = Self(Arc::clone(open));
        (open.fetch_add(1, AcqRel) < CONNECTIONS_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, AcqRel);
    }
}

fn converse(mut stream: UnixStream, shared: &Shared) {
    let served = &shared.served;
    let spoken = (|| {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(SPEAK_TIMEOUT))?;
        stream.set_write_timeout(Some(SPEAK_TIMEOUT))?;
        let answer = match hear(&stream) {
            Ok(Request::Trace(wanted)) => return trace(stream, wanted, shared),
            Ok(request) => answer(request, served),
            Err(error) => Answer::Failed {
                why: format!("not understood: {error}"),
            },
        };
        say(&mut stream, &answer)
    })();
    if let Err(error) = spoken {
        event_debug!(
            logging::admin(),
            "control.connection.ended",
            message = %format_args!("a connection to the control socket ended early: {error}"),
        );
    }
}

/// Tells of operations, line by line.
fn trace(mut stream: UnixStream, wanted: Wanted, shared: &Shared) -> io::Result<()> {
    let (served, end) = (&shared.served, shared.end.as_fd());
    let mountpoint = served.about.mountpoint.clone();
    let refused = |why| Answer::Failed {
        why: format!("the mount at {} {why}", mountpoint.display()),
    };
    if cfg!(not(feature = "stats")) {
        return say(&mut stream, &refused("was built to count nothing".into()));
    }
    if !wanted.follow {
        say(&mut stream, &Answer::Tracing { mountpoint })?;
        for operation in served.metrics.kept(&wanted) {
            say(&mut stream, &Line::Operation(Box::new(operation)))?;
        }
        return say(&mut stream, &Line::End { mount_ends: false });
    }
    let Some(_place) = shared.followers.join() else {
        let why = format!("is followed by {FOLLOWERS_MAX} already, and has no room for more");
        return say(&mut stream, &refused(why));
    };
    follow(stream, end, wanted, served)
}

fn follow(
    mut stream: UnixStream,
    end: BorrowedFd<'_>,
    wanted: Wanted,
    served: &Served,
) -> io::Result<()> {
    let mountpoint = served.about.mountpoint.clone();
    let follower = Follower::begin(stream.try_clone()?, end, wanted, served)?;
    // Whoever reads this is told of all that ends from here on. A line so short finds room.
    say(&mut stream, &Answer::Tracing { mountpoint })?;
    drop(stream);
    follower.tell()
}

fn answer(request: Request, served: &Served) -> Answer {
    let musefs = &served.musefs;
    match request {
        Request::Sync { store, timeout_ms } => {
            let deadline = deadline(timeout_ms);
            if let Some(store) = store
                && StoreIdentity::of(&served.about.db).ok() != Some(store)
            {
                return Answer::OtherStore;
            }
            let why = if !musefs.turns().await_turn(deadline) {
                "did not get to read its store in time"
            } else if !served.invalidator.await_told(deadline) {
                "did not get to tell the kernel of all changes in time"
            } else {
                let generation = musefs.telemetry().refresh_generation;
                return Answer::Synced { generation };
            };
            Answer::Failed {
                why: format!("the mount at {} {why}", served.about.mountpoint.display()),
            }
        }
        Request::About => Answer::About(served.about.clone()),
        Request::Metrics { name } => match served.metrics.give(&name, Transport::Control) {
            Some(text) => Answer::Metrics {
                text: String::from_utf8_lossy(&text).into_owned(),
            },
            None => Answer::Failed {
                why: format!(
                    "the mount at {} has no `{name}` now",
                    served.about.mountpoint.display()
                ),
            },
        },
        Request::SlowFrom { threshold_ms } => {
            served
                .metrics
                .slow_from(threshold_ms.map(Duration::from_millis));
            Answer::SlowSet
        }
        Request::Tracks { inodes } => {
            let tree = musefs.tree();
            let track = |inode| match tree.node(tree.find(Inode(inode))?).kind {
                NodeKind::File { track, .. } => Some(track.0),
                NodeKind::Directory { .. } => None,
            };
            Answer::Tracks {
                tracks: inodes.into_iter().map(track).collect(),
            }
        }
        Request::Trace(_) => unreachable!("a trace has answers of its own"),
    }
}
