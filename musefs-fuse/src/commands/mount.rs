//! `musefs mount`: checks, the tree, the threads, the mount itself, and its end.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use fuser::{BackgroundSession, Config, MountOption, Session, SessionACL};
use musefs_core::metrics::Metrics;
use musefs_core::refresh::{BuildReport, Refresher, TreeConfig, open_connections};
use musefs_core::serve::{Mode, Musefs, ServeConfig};
use musefs_core::stop::Stop;
use musefs_core::template::{Fallbacks, Template, known_fields};
use musefs_core::tree::{NodeIndex, NodeKind, Tree};
use musefs_telemetry::Engine;
use nix::unistd::{Group, User};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::Failure;
use crate::adapter::{Adapter, Appearance};
use crate::cli::{EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, MetricsDirectory, ModeArg, MountArgs};
use crate::dispatch::{Dispatch, DispatchConfig};
use crate::files;
use crate::invalidate::Invalidator;
use crate::metrics::EdgeMetrics;
use crate::metrics_files::{DirectoryName, LINK_NAME, MetricsFiles};
use crate::mountpoint::{self, FUSERMOUNT, Unmount};
use crate::space::FreeSpace;

/// How long threads have to end before the process ends without them: one may be stuck on a dead network mount.
const STOP_DEADLINE: Duration = Duration::from_secs(5);
const EVENT_LOOPS_MIN: usize = 2;
const WORKERS_PER_CORE: usize = 4;
const WORKERS_MIN: usize = 8;
/// Store connections for resolving files. More would not be faster: a resolve is a handful of indexed reads.
const STORE_CONNECTIONS: usize = 3;
const MIB: u64 = 1 << 20;
const FUSE_DEVICE: &str = "/dev/fuse";

/// Mounts and serves until told to end; the exit code.
///
/// # Errors
/// When it could not be mounted, or the flags make no sense together.
pub(super) fn run(args: &MountArgs) -> Result<u8, Failure> {
    let tree_config = tree_config(args)?;
    let appearance = appearance(args)?;
    files::raise_descriptor_limit();
    files::refuse_inside_musefs(&args.db, "the store")?;
    if args.dry_run {
        return dry_run(args, tree_config);
    }
    let mountpoint = mountpoint::check(&args.mountpoint, args.remount)?;
    let mut refresher = Refresher::open(&args.db, tree_config)?;
    let roots = refresher.roots()?;
    mountpoint::check_apart(&mountpoint, &args.db, roots.iter().map(PathBuf::as_path))?;
    check_permitted(args)?;
    let (published, report) = refresher.build(None)?;

    let engine = Engine::new();
    let metrics = Metrics::declare(&engine).context("a metric of the core")?;
    let edge = EdgeMetrics::declare(&engine).context("a metric of the edge")?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = args
        .workers
        .map_or((cores * WORKERS_PER_CORE).max(WORKERS_MIN), usize::from);
    let event_loops = args
        .event_loops
        .map_or(cores.max(EVENT_LOOPS_MIN), usize::from);
    let serve_config = ServeConfig {
        mode: mode(args),
        header_cache_bytes_max: u64::from(args.header_cache_mib) * MIB,
        readahead_bytes_max: u64::from(args.readahead_mib) * MIB,
        dir_handles_max: args.dir_handles_max,
        store_connections: STORE_CONNECTIONS,
    };
    let connections = open_connections(&args.db, STORE_CONNECTIONS)?;
    let musefs = Arc::new(Musefs::new(serve_config, metrics, connections, published));
    let dispatch_config = DispatchConfig {
        workers,
        queue_len_max: args.reads_inflight_max as usize,
        backing_timeout: args.backing_timeout,
    };
    let dispatch = Dispatch::start(dispatch_config, edge.clone())?;
    sweep_at_intervals(&dispatch);
    let metrics_files = Arc::new(MetricsFiles::new(
        directory_name(args),
        identity(args, &mountpoint),
        Arc::clone(&musefs),
        Arc::clone(&dispatch),
    ));
    let space = FreeSpace::watch(roots)?;
    let adapter = Adapter {
        musefs: Arc::clone(&musefs),
        dispatch: Arc::clone(&dispatch),
        metrics_files,
        appearance,
        space: Arc::clone(&space),
    };
    // Watched from here on, so that a signal that comes while the mount is made is not lost.
    let (events, ended) = mpsc::channel();
    watch_signals(events.clone())?;
    let session = Session::new(adapter, &mountpoint, &session_config(args, event_loops))
        .map_err(|error| explain_mount_error(&error, &mountpoint))?;
    let notifier = session.notifier();
    watch_session(session.spawn()?, events)?;
    let invalidator = Invalidator::start(notifier, edge)?;
    let stop_refresh = Arc::new(Stop::default());
    let interval = Duration::from_millis(args.poll_interval_ms);
    {
        let (musefs, stop) = (Arc::clone(&musefs), Arc::clone(&stop_refresh));
        std::thread::Builder::new()
            .name("musefs-refresh".into())
            .spawn(move || {
                refresher.run(&musefs, interval, &stop, |changes| {
                    invalidator.tell(changes);
                });
            })?;
    }
    println!(
        "musefs: {} at {}; Ctrl-C unmounts",
        told(&report),
        mountpoint.display()
    );

    let served = wait_for_end(&ended, &mountpoint);
    let deadline = Instant::now() + STOP_DEADLINE;
    let stopped = [
        stop_refresh.ask_and_wait(deadline),
        space.stop(deadline),
        dispatch.stop(deadline),
    ];
    if stopped.contains(&false) {
        tracing::warn!(
            "a thread is stuck on a disk or network that does not answer; leaving without it"
        );
        // Returning would take away what the thread still uses.
        std::process::exit(served?.into());
    }
    served
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

fn mode(args: &MountArgs) -> Mode {
    match args.mode {
        ModeArg::Synthesis => Mode::Synthesis,
        ModeArg::StructureOnly => Mode::StructureOnly,
    }
}

fn tree_config(args: &MountArgs) -> Result<TreeConfig, Failure> {
    let template = Template::parse(&args.template).map_err(Failure::usage)?;
    for unknown in template.unknown_fields() {
        let nearest = unknown
            .nearest
            .map(|nearest| format!(" Did you mean `{nearest}`?"))
            .unwrap_or_default();
        let known: Vec<&str> = known_fields().collect();
        eprintln!(
            "musefs: warning: the template's field `{}` (column {}) is none of the known ones; only files with a tag of \
             exactly that name have it.{nearest}\nKnown fields: {}",
            unknown.name,
            unknown.column,
            known.join(" ")
        );
    }
    let mut fallbacks = Fallbacks::default();
    fallbacks.default.clone_from(&args.default_fallback);
    fallbacks.skip_on_missing = args.skip_on_missing;
    for fallback in &args.fallback {
        let (field, value) = fallback.split_once('=').ok_or_else(|| {
            Failure::usage(anyhow!("--fallback {fallback}: expected FIELD=VALUE"))
        })?;
        fallbacks.set(field, value);
    }
    let reserved_root_names = directory_name(args)
        .map(|directory| vec![directory.name, LINK_NAME.into()])
        .unwrap_or_default();
    Ok(TreeConfig {
        template,
        fallbacks,
        mode: mode(args),
        reserved_root_names,
    })
}

fn directory_name(args: &MountArgs) -> Option<DirectoryName> {
    match &args.metrics_dir {
        MetricsDirectory::Off => None,
        MetricsDirectory::Name(name) => Some(DirectoryName {
            name: name.clone(),
            hidden: args.metrics_hidden,
        }),
    }
}

/// The labels that tell this mount's samples from another's.
fn identity(args: &MountArgs, mountpoint: &Path) -> Vec<(String, String)> {
    let mut labels = args.metrics_label.clone();
    if labels.iter().all(|(key, _)| key != "mount") {
        labels.insert(0, ("mount".into(), escaped(mountpoint)));
    }
    labels
}

/// `path` as text; bytes that are not UTF-8 as `\xNN`, so that two paths never give one text.
fn escaped(path: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            write!(text, "\\x{byte:02x}").expect("a string takes any text");
        }
    }
    text
}

fn appearance(args: &MountArgs) -> Result<Appearance, Failure> {
    let user = |name: &str| Ok(User::from_name(name)?.map(|user| user.uid.as_raw()));
    let group = |name: &str| Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()));
    let uid = match &args.owner {
        None => nix::unistd::getuid().as_raw(),
        Some(owner) => id_of(owner, "--owner", "user", user)?,
    };
    let gid = match &args.group {
        None => nix::unistd::getgid().as_raw(),
        Some(name) => id_of(name, "--group", "group", group)?,
    };
    Ok(Appearance {
        uid,
        gid,
        file_mode: args.file_mode,
        dir_mode: args.dir_mode,
        ttl: Duration::from_millis(args.attr_ttl_ms),
    })
}

fn id_of(
    text: &str,
    flag: &str,
    what: &str,
    by_name: impl FnOnce(&str) -> nix::Result<Option<u32>>,
) -> Result<u32, Failure> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    by_name(text)?.ok_or_else(|| {
        Failure::usage(anyhow!(
            "{flag} {text}: there is no such {what}; give its name or number"
        ))
    })
}

fn dry_run(args: &MountArgs, tree_config: TreeConfig) -> Result<u8, Failure> {
    use io::Write as _;
    let (published, report) = Refresher::open(&args.db, tree_config)?.build(None)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let printed =
        print_tree(&published.tree, &mut out).and_then(|()| writeln!(out, "{}", told(&report)));
    match printed.and_then(|()| out.flush()) {
        // Whoever read the tree has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(EXIT_DONE),
        other => other.map(|()| EXIT_DONE).map_err(Failure::from),
    }
}

/// Every file's path, in the order of a walk.
fn print_tree(tree: &Tree, out: &mut impl io::Write) -> io::Result<()> {
    let mut directories = vec![tree.children(NodeIndex::ROOT)];
    while let Some(children) = directories.last_mut() {
        match children.next() {
            None => {
                directories.pop();
            }
            Some(node) => match tree.node(node).kind {
                NodeKind::Directory { .. } => directories.push(tree.children(node)),
                NodeKind::File { .. } => writeln!(out, "{}", tree.path_of(node))?,
            },
        }
    }
    Ok(())
}

fn told(report: &BuildReport) -> String {
    let left_out =
        |count: u64, why: &str| (count > 0).then(|| format!("{count} left out because {why}"));
    let mut told = vec![format!("{} tracks", report.listed)];
    told.extend(left_out(report.missing, "their files are gone"));
    told.extend(
        report
            .skipped
            .iter()
            .filter_map(|(field, &count)| left_out(count, &format!("they lack {field}"))),
    );
    told.extend(left_out(report.broken, "their rows cannot be read"));
    told.join(", ")
}

/// What the system must have for a mount, asked before anything is started.
fn check_permitted(args: &MountArgs) -> Result<()> {
    match std::fs::File::options()
        .read(true)
        .write(true)
        .open(FUSE_DEVICE)
    {
        Ok(_) => {}
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::ENOENT | libc::ENODEV | libc::ENXIO)
            ) =>
        {
            bail!(
                "{FUSE_DEVICE} is not there: load the kernel's FUSE module with `modprobe fuse`; in a container, pass the device in"
            )
        }
        Err(error) => {
            bail!(
                "{FUSE_DEVICE} cannot be opened ({error}): ask for read and write permission on it, or run as root"
            )
        }
    }
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    if !mountpoint::on_path(FUSERMOUNT) {
        bail!(
            "{FUSERMOUNT} is not installed, and normal users mount with its help: install the package fuse3, or run as root"
        );
    }
    if args.allow_other && !user_allow_other() {
        bail!(
            "--allow-other is not permitted to normal users here: add the line `user_allow_other` to /etc/fuse.conf, or run as root"
        );
    }
    Ok(())
}

fn user_allow_other() -> bool {
    let config = std::fs::read_to_string("/etc/fuse.conf").unwrap_or_default();
    config.lines().any(|line| line.trim() == "user_allow_other")
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

fn watch_session(session: BackgroundSession, events: Sender<Event>) -> io::Result<()> {
    std::thread::Builder::new()
        .name("musefs-session".into())
        .spawn(move || {
            // Nobody listens only when the program is ending anyway.
            events.send(Event::SessionEnded(session.join())).ok();
        })?;
    Ok(())
}

/// Serves until the mount ends: by somebody's `umount`, or by a signal. The first signal unmounts: at once when nothing is
/// in use, else nobody can go in any more and what is open is served for a while. The second ends the program.
fn wait_for_end(events: &Receiver<Event>, mountpoint: &Path) -> Result<u8, Failure> {
    match events.recv()? {
        Event::SessionEnded(result) => {
            return result
                .map(|()| EXIT_DONE)
                .context("the connection to the kernel failed")
                .map_err(Failure::from);
        }
        Event::Signal => {}
    }
    match mountpoint::unmount(mountpoint, Unmount::IfIdle) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
            eprintln!(
                "musefs: {} is in use; nobody can go in any more, and what is open is served for {} s (Ctrl-C ends it now)",
                mountpoint.display(),
                STOP_DEADLINE.as_secs()
            );
            mountpoint::unmount(mountpoint, Unmount::Detach)
                .with_context(|| format!("cannot unmount {}", mountpoint.display()))?;
        }
        Err(error) => {
            let error = anyhow!(error).context(format!("cannot unmount {}", mountpoint.display()));
            return Err(Failure {
                error,
                code: EXIT_FAILED,
            });
        }
    }
    match events.recv_timeout(STOP_DEADLINE) {
        Ok(Event::SessionEnded(_)) => Ok(EXIT_DONE),
        Ok(Event::Signal) => std::process::exit(EXIT_INTERRUPTED.into()),
        // Detached, but still open somewhere: the kernel ends that when the process does.
        Err(_) => std::process::exit(EXIT_DONE.into()),
    }
}
