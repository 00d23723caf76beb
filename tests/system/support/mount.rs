//! A mounted library that ends with its test: asked to first, then made to.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::library::Library;
use super::metrics::Metrics;
use super::process::{Outcome, Running, musefs};
use super::{SOON, eventually};

/// How long a mount has to end after it was asked to.
const END_LIMIT: Duration = Duration::from_secs(20);

/// A running `musefs mount`.
pub struct Mount {
    path: PathBuf,
    running: Running,
}

impl Mount {
    /// Mounts a library with the usual flags, but that it looks for edits ten times a second.
    #[track_caller]
    pub fn new(library: &Library) -> Self {
        Self::with(library, &[])
    }

    /// Mounts a library with more flags.
    #[track_caller]
    pub fn with(library: &Library, arguments: &[&str]) -> Self {
        let mut command = Self::command(library);
        command.args(arguments);
        Self::start(&mut command, &library.mountpoint())
            .unwrap_or_else(|outcome| panic!("could not be mounted: {outcome:?}"))
    }

    /// The command that mounts a library.
    pub fn command(library: &Library) -> Command {
        let mut command = musefs(["mount", "--poll-interval-ms", "100", "--db"]);
        command.arg(library.db()).arg(library.mountpoint());
        command
    }

    /// Starts a command that mounts at `path`, and waits until it says that it is ready.
    ///
    /// # Errors
    /// What came of it when it ended instead.
    #[track_caller]
    pub fn start(command: &mut Command, path: &Path) -> Result<Self, Outcome> {
        Self::when_ready(Running::start(command), path)
    }

    /// The same, with a log that goes to `log`.
    ///
    /// # Errors
    /// What came of it when it ended instead.
    #[track_caller]
    pub fn start_with_log(
        command: &mut Command,
        path: &Path,
        log: impl Into<Stdio>,
    ) -> Result<Self, Outcome> {
        let unused = tempfile::tempfile().expect("a temporary file");
        let running = Running::start_as_it_complains(command.stderr(log), unused);
        Self::when_ready(running, path)
    }

    #[track_caller]
    fn when_ready(running: Running, path: &Path) -> Result<Self, Outcome> {
        let mut mount = Self {
            path: path.to_path_buf(),
            running,
        };
        let deadline = Instant::now() + SOON;
        while !mount.running.stdout().ends_with(b"Ctrl-C unmounts\n") {
            if let Some(status) = mount.running.wait(Duration::ZERO) {
                return Err(mount.running.outcome(Some(status)));
            }
            assert!(Instant::now() < deadline, "never ready");
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(mount)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path in it.
    pub fn join(&self, below: impl AsRef<OsStr>) -> PathBuf {
        self.path.join(below.as_ref())
    }

    /// What it told on standard output so far.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.running.stdout()).into_owned()
    }

    /// What it wrote to its log so far.
    pub fn log(&self) -> String {
        self.running.stderr()
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.running.child.id()).expect("a process id"))
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the process is there");
    }

    /// Waits for its end within `limit`; `None` when it goes on.
    pub fn ended(&mut self, limit: Duration) -> Option<Outcome> {
        let status = self.running.wait(limit)?;
        Some(self.running.outcome(Some(status)))
    }

    /// Unmounts it as Ctrl-C does; what it did.
    #[track_caller]
    pub fn stop(mut self) -> Outcome {
        self.signal(Signal::SIGINT);
        let outcome = self.ended(END_LIMIT).expect("it ends when it is asked to");
        assert!(!is_mounted(&self.path), "still mounted after its end");
        outcome
    }

    /// The metrics of a moment after this call.
    #[track_caller]
    pub fn metrics(&self) -> Metrics {
        self.metrics_in(".musefs-metrics")
    }

    /// As [`Mount::metrics`], of a metrics directory with another name.
    #[track_caller]
    pub fn metrics_in(&self, directory: &str) -> Metrics {
        let path = self.join(directory).join("metrics");
        let asked = SystemTime::now();
        // A text answers for up to a second, and its modification time is that of the moment it tells of.
        eventually("metrics of this moment", || {
            let rendered = std::fs::metadata(&path)
                .and_then(|metadata| metadata.modified())
                .expect("the metrics are there");
            (rendered >= asked).then_some(())
        });
        Metrics::parse(&std::fs::read(&path).expect("the metrics read"))
    }

    /// Waits until metrics tell what is waited for.
    #[track_caller]
    pub fn metrics_when(&self, what: &str, mut is_so: impl FnMut(&Metrics) -> bool) -> Metrics {
        eventually(what, || {
            let metrics = self.metrics();
            is_so(&metrics).then_some(metrics)
        })
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if self.running.wait(Duration::ZERO).is_none() {
            self.signal(Signal::SIGINT);
            if self.running.wait(END_LIMIT).is_none() {
                self.signal(Signal::SIGKILL);
                self.running.wait(END_LIMIT);
            }
        }
        if is_mounted(&self.path) {
            detach(&self.path);
        }
    }
}

/// Whether something is mounted at `path`. Asks no filesystem, so it never waits for one.
pub fn is_mounted(path: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt as _;
    let mounts = std::fs::read("/proc/self/mountinfo").expect("the list of mounts");
    let escaped = path.as_os_str().as_bytes().replace_blanks();
    mounts
        .split(|&byte| byte == b'\n')
        .filter_map(|line| line.split(|&byte| byte == b' ').nth(4))
        .any(|point| point == escaped)
}

trait ReplaceBlanks {
    fn replace_blanks(&self) -> Vec<u8>;
}

impl ReplaceBlanks for [u8] {
    /// As the kernel writes blanks in its list of mounts.
    fn replace_blanks(&self) -> Vec<u8> {
        let mut escaped = Vec::new();
        for &byte in self {
            if byte == b' ' {
                escaped.extend_from_slice(b"\\040");
            } else {
                escaped.push(byte);
            }
        }
        escaped
    }
}

/// Takes a mount away, whoever uses it and whether it answers or not.
pub fn detach(path: &Path) {
    if nix::mount::umount2(path, nix::mount::MntFlags::MNT_DETACH).is_err() {
        // As a normal user. When this fails too there is nothing left to try.
        Command::new("fusermount3")
            .args(["-u", "-q", "-z", "--"])
            .arg(path)
            .status()
            .ok();
    }
}
