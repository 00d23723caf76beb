//! `musefs mount`: checks, the tree, the threads, the mount itself, and its end.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use fuser::{Config, MountOption, Session, SessionACL};
use musefs_core::metrics::CoreMetrics;
use musefs_core::refresh::{Refresher, Watch, open_connections};
use musefs_core::serve::Musefs;
use musefs_telemetry::{Engine, Family};
use musefs_telemetry::{event_info, event_warn, logging};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

mod config;
mod options;
mod outlets;
mod permitted;
mod report;

use self::outlets::{Outlets, Wanted};
use super::Failure;
use crate::adapter::Adapter;
use crate::allocator;
use crate::cli::{EXIT_DONE, EXIT_INTERRUPTED, MountArgs};
use crate::control::{About, Control, Served};
use crate::dispatch::{Dispatch, DispatchConfig};
use crate::files;
use crate::health::Health;
use crate::invalidate::{Invalidator, Telling};
use crate::log;
use crate::metrics::EdgeMetrics;
use crate::metrics_files::{Gauges, MetricsFiles};
use crate::mountpoint::{self, Unmount};
use crate::roots::Roots;
use crate::tuning::Tuning;

/// How long threads have to end before the process ends without them: one may be stuck on a dead network mount.
const STOP_DEADLINE: Duration = Duration::from_secs(5);
const EVENT_LOOPS_MIN: usize = 2;
const WORKERS_PER_CORE: usize = 4;
const WORKERS_MIN: usize = 8;
/// Store connections for resolving files. More would not be faster: a resolve is a handful of indexed reads.
const STORE_CONNECTIONS: usize = 3;

/// Mounts and serves until told to end; the exit code.
///
/// # Errors
/// When it could not be mounted, or the flags make no sense together.
pub(super) fn run(args: &MountArgs) -> Result<u8, Failure> {
    let tree_config = options::tree_config(args)?;
    let appearance = options::appearance(args)?;
    files::raise_descriptor_limit();
    files::refuse_inside_musefs(&args.db, "the store")?;
    if args.dry_run {
        return report::dry_run(args, tree_config);
    }
    let mountpoint = mountpoint::check(&args.mountpoint, args.remount)?;
    let outlets = Wanted::of(args, &mountpoint)?;
    let Declared {
        engine,
        metrics,
        edge,
        gauges,
    } = Declared::new()?;
    let mut refresher = Refresher::open(&args.db, tree_config, &metrics)?;
    let roots = refresher.roots()?;
    mountpoint::check_apart(&mountpoint, &args.db, roots.iter().map(PathBuf::as_path))?;
    permitted::check(args)?;
    let presentation = options::presentation(args, &mountpoint, &engine)?;
    let (published, built) = refresher.build(None)?;
    allocator::give_back();

    let (workers, event_loops) = thread_counts(args);
    let connections = open_connections(&args.db, STORE_CONNECTIONS, &metrics)?;
    let musefs = Arc::new(Musefs::new(
        options::serve_config(args, STORE_CONNECTIONS),
        engine.clone(),
        metrics,
        connections,
        published,
    ));
    let dispatch = start_dispatch(args, workers, edge.clone())?;
    let health = Arc::new(Health {
        musefs: Arc::clone(&musefs),
        dispatch: Arc::clone(&dispatch),
        roots: Roots::watch(Arc::clone(&musefs))?,
        refreshing: Arc::default(),
    });
    let passthrough = options::passthrough(args, &edge);
    let metrics_files = Arc::new(MetricsFiles::new(
        presentation,
        gauges,
        Arc::clone(&health),
        Arc::clone(&passthrough),
    ));
    let telling = Arc::new(Telling::default());
    let adapter = Adapter {
        musefs: Arc::clone(&musefs),
        dispatch: Arc::clone(&dispatch),
        metrics_files: Arc::clone(&metrics_files),
        appearance,
        roots: Arc::clone(&health.roots),
        telling: Arc::clone(&telling),
        passthrough,
    };
    // Watched from here on, so that a signal that comes while the mount is made is not lost.
    let (events, ended) = mpsc::channel();
    watch_signals(events.clone())?;
    let session = Session::new(adapter, &mountpoint, &session_config(args, event_loops))
        .map_err(|error| explain_mount_error(&error, &mountpoint))?;
    let device = mountpoint::device_of(&mountpoint);
    tune(device, args.kernel_readahead_kib, &metrics_files);
    // Whatever can fail comes before the session runs: until then, dropping it unmounts.
    telling.by(session.notifier());
    let invalidator = Arc::new(Invalidator::start(
        session.notifier(),
        appearance.ttl,
        edge,
    )?);
    telling.through(&invalidator);
    let interval = Duration::from_millis(args.poll_interval_ms);
    let _watch = watch_store(&args.db, &musefs);
    let told = Arc::clone(&invalidator);
    health
        .refreshing
        .start(refresher, &musefs, interval, told)?;
    let served = Served {
        musefs: Arc::clone(&musefs),
        invalidator,
        metrics: Arc::clone(&metrics_files),
        about: About::of(&args.db, &mountpoint),
    };
    let control = device.and_then(|device| open_control(device, served));
    let outlets = outlets.start(args, &metrics_files)?;
    watch_session(session, events)?;
    say(
        io::stdout(),
        format_args!(
            "{} has {}; Ctrl-C unmounts",
            mountpoint.display(),
            report::told(&built)
        ),
    );

    let served = wait_for_end(&ended, &mountpoint, device);
    if !stop(&outlets, control.as_ref(), &health) {
        // Returning would take away what the thread still uses.
        std::process::exit(served?.into());
    }
    served
}

/// Ends the threads of a mount; whether all ended in time. Where they did not, the log tells.
fn stop(outlets: &Outlets, control: Option<&Control>, health: &Health) -> bool {
    let deadline = Instant::now() + STOP_DEADLINE;
    let stopped = [
        control.is_none_or(|control| control.stop(deadline)),
        // While there is a lane to render what they write.
        outlets.stop(deadline),
        health.musefs.turns().ask_and_wait(deadline),
        health.roots.stop(deadline),
        health.dispatch.stop(deadline),
    ];
    let all = !stopped.contains(&false);
    if !all {
        event_warn!(
            logging::engine(),
            "mount.thread.stuck",
            message =
                "a thread is stuck on a disk or network that does not answer; leaving without it",
        );
        log::flush();
    }
    all
}

/// What the mount counts, all of it: the catalogue does not change after this.
struct Declared {
    engine: Engine,
    metrics: CoreMetrics,
    edge: EdgeMetrics,
    gauges: Gauges,
}

impl Declared {
    fn new() -> anyhow::Result<Self> {
        let engine = Engine::new();
        Ok(Self {
            metrics: CoreMetrics::declare(&engine).context("a metric of the core")?,
            edge: EdgeMetrics::declare(&engine).context("a metric of the edge")?,
            gauges: Gauges::declare(&engine).context("a gauge of the mount")?,
            engine,
        })
    }
}

/// What a mount measures, in the order of declaration.
///
/// # Errors
/// When two families have one name.
pub(super) fn catalogue() -> anyhow::Result<Vec<&'static Family>> {
    Ok(Declared::new()?.engine.families())
}

/// Workers and event loops.
fn thread_counts(args: &MountArgs) -> (usize, usize) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = (cores * WORKERS_PER_CORE).max(WORKERS_MIN);
    let event_loops = cores.max(EVENT_LOOPS_MIN);
    (
        args.workers.map_or(workers, usize::from),
        args.event_loops.map_or(event_loops, usize::from),
    )
}

fn start_dispatch(
    args: &MountArgs,
    workers: usize,
    edge: EdgeMetrics,
) -> io::Result<Arc<Dispatch>> {
    let slow_ms = args.slow_ms.milliseconds();
    edge.slow_from(slow_ms.map(Duration::from_millis));
    let config = DispatchConfig {
        workers,
        queue_len_max: args.reads_inflight_max as usize,
        backing_timeout: args.backing_timeout,
    };
    let dispatch = Dispatch::start(config, edge)?;
    sweep_at_intervals(&dispatch);
    Ok(dispatch)
}

/// Tells the kernel what makes the mount faster, and the log and the metrics directory what came of it.
fn tune(device: Option<u64>, readahead_kib: u32, metrics_files: &MetricsFiles) {
    if let Some(device) = device {
        metrics_files.mounted_as(device);
    }
    let tuning = Tuning::apply(device, readahead_kib);
    for (name, outcome) in tuning.outcomes() {
        event_info!(
            logging::engine(),
            "kernel.setting.chosen",
            message = %format_args!("the kernel's {name} = {outcome}"),
            setting = %name,
        );
    }
    metrics_files.tell_tuning(tuning);
}

/// Edits are found by polling where the store cannot be watched.
fn watch_store(db: &Path, musefs: &Arc<Musefs>) -> Option<Watch> {
    Watch::start(db, Arc::clone(musefs.turns()))
        .inspect_err(|error| {
            event_warn!(
                logging::engine(),
                "store.watch.failed",
                message = %format_args!("the store cannot be watched, edits are seen at the next poll: {error}"),
            );
        })
        .ok()
}

/// A mount without a control socket serves all the same.
fn open_control(device: u64, served: Served) -> Option<Control> {
    Control::open(device, served)
        .inspect_err(|error| {
            event_warn!(
                logging::admin(),
                "control.socket.failed",
                message = %format_args!("no control socket, `musefs sync` will not find this mount: {error:#}"),
            );
        })
        .ok()
}

fn sweep_at_intervals(dispatch: &Arc<Dispatch>) {
    // The lane belongs to the dispatch, so what runs on it must not keep that alive.
    let swept = Arc::downgrade(dispatch);
    dispatch.lane().at_intervals(move |now| {
        if let Some(dispatch) = swept.upgrade() {
            dispatch.sweep(now);
        }
    });
}

fn session_config(args: &MountArgs, event_loops: usize) -> Config {
    let mut config = Config::default();
    config.mount_options = vec![
        MountOption::RO,
        MountOption::NoAtime,
        MountOption::DefaultPermissions,
        MountOption::FSName("musefs".into()),
        // As an option that the kernel takes itself: the dedicated one reaches it only by way of fusermount.
        MountOption::CUSTOM("subtype=musefs".into()),
    ];
    config.acl = if args.allow_other {
        SessionACL::All
    } else {
        SessionACL::Owner
    };
    config.n_threads = Some(event_loops);
    config.clone_fd = true;
    config
}

fn explain_mount_error(error: &io::Error, mountpoint: &Path) -> anyhow::Error {
    let said = error.to_string();
    let said = said.trim().trim_start_matches("fusermount3: ");
    anyhow!(
        "cannot mount at {}: {said}. A normal user must own the mountpoint",
        mountpoint.display()
    )
}

/// What ends the wait.
enum Event {
    Signal,
    /// The kernel's side of the mount is gone.
    SessionEnded(io::Result<()>),
}

fn watch_signals(events: Sender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    std::thread::Builder::new()
        .name("musefs-signal".into())
        .spawn(move || {
            for _ in signals.forever() {
                if events.send(Event::Signal).is_err() {
                    // The program is past waiting, and was asked again.
                    std::process::exit(EXIT_INTERRUPTED.into());
                }
            }
        })?;
    Ok(())
}

/// Runs the session on threads of its own, and tells when it is over.
fn watch_session(session: Session<Adapter>, events: Sender<Event>) -> io::Result<()> {
    std::thread::Builder::new()
        .name("musefs-session".into())
        .spawn(move || {
            // Nobody listens only when the program is ending anyway.
            events.send(Event::SessionEnded(session.run())).ok();
        })?;
    Ok(())
}

/// Tells the user. A pipe or terminal that is gone is no reason to end, and least of all to leave a mount behind.
fn say(mut to: impl io::Write, what: std::fmt::Arguments<'_>) {
    writeln!(to, "musefs: {what}")
        .and_then(|()| to.flush())
        .ok();
}

/// Serves until the mount ends: by somebody's `umount`, or by a signal. The first signal unmounts: at once when nothing is
/// in use, else nobody can go in any more and what is open is served for a while. The second ends the program.
fn wait_for_end(
    events: &Receiver<Event>,
    mountpoint: &Path,
    device: Option<u64>,
) -> Result<u8, Failure> {
    loop {
        match events.recv()? {
            Event::SessionEnded(result) => {
                return result
                    .map(|()| EXIT_DONE)
                    .context("the connection to the kernel failed")
                    .map_err(Failure::from);
            }
            Event::Signal => {}
        }
        let Some(mountpoint) = mountpoint::place_of(mountpoint, device) else {
            event_warn!(
                logging::admin(),
                "mount.point.covered",
                message = %format_args!(
                    "something else is mounted over {}; unmount that first, then stop musefs again",
                    mountpoint.display()
                ),
            );
            continue;
        };
        if let Err(error) = mountpoint::unmount(&mountpoint, Unmount::IfIdle) {
            mountpoint::unmount(&mountpoint, Unmount::Detach)
                .with_context(|| format!("cannot unmount {}", mountpoint.display()))?;
            if error.kind() == io::ErrorKind::ResourceBusy {
                event_warn!(
                    logging::admin(),
                    "mount.point.busy",
                    message = %format_args!(
                        "{} is in use; nobody can go in any more, and what is open is served for {} s (Ctrl-C ends it now)",
                        mountpoint.display(),
                        STOP_DEADLINE.as_secs()
                    ),
                );
            }
        }
        return match events.recv_timeout(STOP_DEADLINE) {
            Ok(Event::Signal) => std::process::exit(EXIT_INTERRUPTED.into()),
            // Detached, but still open somewhere: the kernel ends that when the process does.
            Ok(Event::SessionEnded(_)) | Err(_) => Ok(EXIT_DONE),
        };
    }
}
