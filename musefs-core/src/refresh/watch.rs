//! Hears of commits from the kernel: a write to the store or its log has the next poll come at once.
//!
//! It only hurries; what changed, and whether anything did, is found out by the poll. Where files cannot be watched, as on
//! some network filesystems, polling goes on at its interval and nothing else is lost than time.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use musefs_telemetry::{event_warn, logging};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::stop::Stop;
use crate::store::log_path;

/// When to look again after an event, in ms after the look before: the log is written before its commit can be seen, which
/// may take as long as the disk takes to sync. The first wait also bounds how often a busy writer makes us look.
const LOOKS_AFTER_MS: [u16; 7] = [5, 10, 20, 40, 80, 160, 320];

/// Watches a store until it is dropped.
#[derive(Debug)]
pub struct Watch {
    end: Arc<EventFd>,
}

impl Watch {
    /// Starts to watch the store at `path` for whoever takes `turns`.
    ///
    /// # Errors
    /// When the directory of the store cannot be watched, or the thread not be started.
    pub fn start(path: &Path, turns: Arc<Stop>) -> io::Result<Self> {
        let path = path.canonicalize()?;
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the store has no directory",
            ));
        };
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let events = AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_ONLYDIR;
        inotify.add_watch(directory, events)?;
        let names = [name.to_owned(), log_path(Path::new(name)).into()];
        let end = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?);
        let ended = Arc::clone(&end);
        std::thread::Builder::new()
            .name("musefs-watch".into())
            .spawn(move || watch(&inotify, &ended, &names, &turns))?;
        Ok(Self { end })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // The counter is full only when the thread was told already.
        let _ = self.end.write(1);
    }
}

fn watch(inotify: &Inotify, end: &EventFd, names: &[OsString; 2], turns: &Stop) {
    let mut waits: &[u16] = &[];
    loop {
        let timeout = waits
            .first()
            .map_or(PollTimeout::NONE, |&wait| PollTimeout::from(wait));
        let mut ready = [
            PollFd::new(end.as_fd(), PollFlags::POLLIN),
            PollFd::new(inotify.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut ready, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return given_up(error),
        }
        let [ended, told] = ready.map(|fd| fd.any().unwrap_or_default());
        if ended {
            return;
        }
        if told {
            match inotify.read_events() {
                Ok(events) => {
                    let concerns = |name: &OsStr| {
                        names
                            .iter()
                            .any(|known| known.as_bytes() == name.as_bytes())
                    };
                    // An event without a name tells that events were lost.
                    let heard = events
                        .iter()
                        .any(|event| event.name.as_deref().is_none_or(concerns));
                    if !heard {
                        continue;
                    }
                    if waits.is_empty() {
                        turns.hurry();
                    }
                    waits = &LOOKS_AFTER_MS;
                    // What a busy writer does meanwhile is one event.
                    let pause = std::time::Duration::from_millis(LOOKS_AFTER_MS[0].into());
                    std::thread::sleep(pause);
                }
                Err(Errno::EAGAIN | Errno::EINTR) => continue,
                Err(error) => return given_up(error),
            }
        }
        if let Some(rest) = waits.get(1..) {
            turns.hurry();
            waits = rest;
        }
    }
}

fn given_up(error: Errno) {
    event_warn!(
        logging::engine(),
        "store.watch.ended",
        message = %format_args!("the store is not watched any more, only polled: {error}"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn a_write_to_the_log_hurries_and_one_to_another_file_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("store.db");
        std::fs::write(&store, "").unwrap();
        let turns = Arc::new(Stop::default());
        let watch = Watch::start(&store, Arc::clone(&turns)).unwrap();
        let hurried = |after: Duration| {
            let start = Instant::now();
            turns.goes_on_after(after);
            start.elapsed() < after
        };
        std::fs::write(directory.path().join("store.db-wal"), "x").unwrap();
        assert!(hurried(Duration::from_secs(60)));
        while hurried(Duration::from_millis(700)) {}
        std::fs::write(directory.path().join("store.db-shm"), "x").unwrap();
        assert!(!hurried(Duration::from_millis(100)));
        drop(watch);
    }
}
