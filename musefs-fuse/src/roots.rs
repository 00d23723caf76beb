//! The directories that the library's files lie in: whether they can be reached, and what is free there.
//!
//! Asking may hang on a dead network mount, so no request asks: each root has a thread of its own while it is looked at, and
//! never two. Who wants to know gets what was seen last, without waiting.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use musefs_core::serve::Musefs;
use musefs_core::stop::Stop;
use musefs_telemetry::{event_info, event_warn, logging};

/// Time between two looks at a root that can be reached.
const INTERVAL: Duration = Duration::from_secs(30);
/// Time between two looks at a root that cannot.
const INTERVAL_UNREACHABLE: Duration = Duration::from_secs(5);
/// Who has not answered for so long cannot be reached.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is noticed that there are other roots, or that files cannot be served.
const ROUND: Duration = Duration::from_secs(1);
/// Threads that look at the same time; the other roots wait for one.
const LOOKS_MAX: usize = 16;

/// What is known of the roots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Whether each root can be reached, in the order of their numbers in the store; `None` before the first look at it is over.
    pub reachable: Vec<Option<bool>>,
    /// Free bytes of all backing filesystems together, each counted once, as last seen.
    pub free_bytes: u64,
}

/// The roots, and the thread that has them looked at.
#[derive(Debug)]
pub struct Roots {
    seen: ArcSwap<Seen>,
    stop: Arc<Stop>,
}

impl Roots {
    /// Starts to look after the roots that `musefs` has at any time.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn watch(musefs: Arc<Musefs>) -> io::Result<Arc<Self>> {
        let roots = Arc::new(Self {
            seen: ArcSwap::default(),
            stop: Arc::default(),
        });
        let watched = Arc::clone(&roots);
        std::thread::Builder::new()
            .name("musefs-roots".into())
            .spawn(move || watched.work(&musefs))?;
        Ok(roots)
    }

    /// What was seen last.
    pub fn seen(&self) -> Arc<Seen> {
        self.seen.load_full()
    }

    /// Ends the thread; whether it ended before `deadline`. A look that hangs is left behind: it holds nothing of the mount.
    pub fn stop(&self, deadline: Instant) -> bool {
        self.stop.ask_and_wait(deadline)
    }

    fn work(&self, musefs: &Arc<Musefs>) {
        let stop = Arc::clone(&self.stop);
        let library = Arc::downgrade(musefs);
        let mut watched = Watched::new(move |path, answer| {
            let (path, answered) = (path.to_path_buf(), Arc::clone(&stop));
            let library = library.clone();
            std::thread::Builder::new()
                .name("musefs-root".into())
                .spawn(move || {
                    let looked = look(&path);
                    let is_reachable = looked.is_ok();
                    answer.set(looked).ok();
                    answered.hurry();
                    if is_reachable && let Some(musefs) = library.upgrade() {
                        musefs.look_again_at_dark_tracks(&path);
                    }
                })
                .map(drop)
        });
        let mut dark = 0;
        loop {
            let dark_now = musefs.dark_tracks();
            // A file that cannot be served may be the first of many.
            let is_doubtful = dark_now > std::mem::replace(&mut dark, dark_now);
            let wait = watched.round(Instant::now(), musefs.roots(), is_doubtful);
            let seen = watched.seen();
            if **self.seen.load() != seen {
                self.seen.store(Arc::new(seen));
            }
            if !self.stop.goes_on_after(wait) {
                break;
            }
        }
        self.stop.is_over();
    }
}

/// What a look at a root gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Space {
    device: u64,
    free_bytes: u64,
}

/// Looks at a root; may hang.
fn look(root: &Path) -> io::Result<Space> {
    let stat = nix::sys::stat::stat(root)?;
    let space = nix::sys::statvfs::statvfs(root)?;
    Ok(Space {
        device: stat.st_dev,
        free_bytes: space
            .blocks_available()
            .saturating_mul(space.fragment_size()),
    })
}

type Answer = Arc<OnceLock<io::Result<Space>>>;

/// The state of all roots. `S` starts a thread that looks at a root and sets the answer.
struct Watched<S> {
    start: S,
    /// Those that are roots now come first, in their order. Behind them are former ones that a look hangs on.
    roots: Vec<Root>,
    current: usize,
}

#[derive(Debug)]
struct Root {
    path: PathBuf,
    look: Option<(Instant, Answer)>,
    /// When to look next; not while a look is under way.
    due: Instant,
    last_look: Option<Instant>,
    reachable: Option<bool>,
    space: Option<Space>,
}

impl Root {
    fn new(path: PathBuf, now: Instant) -> Self {
        Self {
            path,
            look: None,
            due: now,
            last_look: None,
            reachable: None,
            space: None,
        }
    }

    /// Takes what a look that is over gave.
    fn settle(&mut self, now: Instant) {
        let Some((begun, answer)) = self.look.clone() else {
            return;
        };
        let Some(answer) = answer.get() else {
            if now >= begun + PATIENCE {
                self.turned(false, "it does not answer");
            }
            return;
        };
        match answer {
            Ok(space) => {
                self.space = Some(*space);
                self.due = now + INTERVAL;
                self.turned(true, "");
            }
            Err(error) => {
                let error = error.to_string();
                self.due = now + INTERVAL_UNREACHABLE;
                self.turned(false, &error);
            }
        }
        self.look = None;
    }

    fn turned(&mut self, reachable: bool, why: &str) {
        let before = self.reachable.replace(reachable);
        let path = self.path.display();
        match (before, reachable) {
            (Some(false), false) | (None | Some(true), true) => {}
            (_, false) => event_warn!(
                logging::engine(),
                "root.reach.lost",
                message = %format_args!(
                    "a directory of the library cannot be reached ({why}); its files cannot be served"
                ),
                path = %path,
            ),
            (Some(false), true) => event_info!(
                logging::engine(),
                "root.reach.recovered",
                message = "a directory of the library is back",
                path = %path,
            ),
        }
    }
}

impl<S: FnMut(&Path, Answer) -> io::Result<()>> Watched<S> {
    fn new(start: S) -> Self {
        Self {
            start,
            roots: Vec::new(),
            current: 0,
        }
    }

    /// Takes what looks gave, goes on with `paths` as the roots, and has those looked at whose time has come; in doubt, all
    /// that were not looked at just now. How long to wait for the next round.
    fn round(&mut self, now: Instant, paths: Vec<PathBuf>, is_doubtful: bool) -> Duration {
        for root in &mut self.roots {
            root.settle(now);
        }
        self.arrange(now, paths);
        let mut running = self.roots.iter().filter(|root| root.look.is_some()).count();
        for root in &mut self.roots[..self.current] {
            if is_doubtful && let Some(last) = root.last_look {
                root.due = root.due.min(last + ROUND);
            }
            if root.look.is_some() || now < root.due || running == LOOKS_MAX {
                continue;
            }
            let answer = Answer::default();
            root.last_look = Some(now);
            if let Err(error) = (self.start)(&root.path, Arc::clone(&answer)) {
                event_warn!(
                    logging::engine(),
                    "root.look.failed",
                    message = %format_args!("cannot look after the directories of the library: {error}"),
                );
                root.due = now + INTERVAL_UNREACHABLE;
                continue;
            }
            root.look = Some((now, answer));
            running += 1;
        }
        let events = self.roots.iter().map(|root| match root.look {
            Some((begun, _)) => begun + PATIENCE,
            None => root.due,
        });
        events
            .filter(|&event| event > now)
            .map(|event| event - now)
            .fold(ROUND, Duration::min)
    }

    fn arrange(&mut self, now: Instant, paths: Vec<PathBuf>) {
        let current = self.roots[..self.current].iter().map(|root| &root.path);
        if current.eq(&paths) {
            self.roots
                .retain_mut(|root| root.look.is_some() || paths.contains(&root.path));
            return;
        }
        let mut before = std::mem::take(&mut self.roots);
        self.current = paths.len();
        self.roots = paths
            .into_iter()
            .map(
                |path| match before.iter().position(|root| root.path == path) {
                    Some(known) => before.swap_remove(known),
                    None => Root::new(path, now),
                },
            )
            .collect();
        before.retain(|root| root.look.is_some());
        self.roots.append(&mut before);
    }

    fn seen(&self) -> Seen {
        let roots = &self.roots[..self.current];
        let mut devices = Vec::new();
        let mut free_bytes: u64 = 0;
        for space in roots.iter().filter_map(|root| root.space) {
            if !devices.contains(&space.device) {
                devices.push(space.device);
                free_bytes = free_bytes.saturating_add(space.free_bytes);
            }
        }
        Seen {
            reachable: roots.iter().map(|root| root.reachable).collect(),
            free_bytes,
        }
    }
}

#[cfg(test)]
mod tests;
