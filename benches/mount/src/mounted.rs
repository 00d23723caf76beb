//! A program that serves a mount while this lives.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};

const READY_DEADLINE: Duration = Duration::from_secs(120);
const END_DEADLINE: Duration = Duration::from_secs(15);
const LOOK_INTERVAL: Duration = Duration::from_micros(200);
/// The number of `nobody` everywhere.
const NOBODY: u32 = 65_534;

/// Who runs a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum As {
    /// Who runs this one.
    Self_,
    /// Somebody without rights, when this is root.
    Nobody,
}

/// A command that is run by `who`.
pub fn command(program: &Path, arguments: &[OsString], who: As) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    if who == As::Nobody {
        // Groups of root are dropped along.
        command.uid(NOBODY).gid(NOBODY);
        command.current_dir("/").env_remove("XDG_RUNTIME_DIR");
    }
    command
}

/// Gives a file or directory to whom [`As::Nobody`] is.
pub fn give_to_nobody(path: &Path) -> anyhow::Result<()> {
    std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY))
        .with_context(|| path.display().to_string())
}

/// A mount, and the program behind it.
pub struct Mounted {
    child: Child,
    /// Where it is.
    pub at: PathBuf,
    /// From the start of the program until the library was listed.
    pub ready_seconds: f64,
}

impl Mounted {
    /// Starts a program and waits until `first`, an entry of its root, is there. Its messages go to `log`.
    pub fn start(
        command: &mut Command,
        at: &Path,
        first: &str,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let device = at.metadata()?.dev();
        let start = Instant::now();
        let child = command
            .stdout(Stdio::null())
            .stderr(fs::File::create(log)?)
            .spawn()
            .with_context(|| command.get_program().display().to_string())?;
        let mut mounted = Self {
            child,
            at: at.to_owned(),
            ready_seconds: 0.0,
        };
        // Of a mount of somebody else's nothing can be read; that it is there must be enough.
        let is_ready = || match at.metadata() {
            Ok(metadata) => metadata.dev() != device && at.join(first).exists(),
            Err(error) => error.kind() == std::io::ErrorKind::PermissionDenied,
        };
        while !is_ready() {
            if mounted.child.try_wait()?.is_some() {
                bail!("it did not mount: {}", last_line(log));
            }
            if start.elapsed() > READY_DEADLINE {
                bail!("it was not ready in time");
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
        mounted.ready_seconds = start.elapsed().as_secs_f64();
        Ok(mounted)
    }

    /// Resident memory of the program, in MiB.
    pub fn resident_mib(&self) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib: u32 = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"))
            .context("no resident memory")?
            .parse()?;
        Ok(f64::from(kib) / 1024.0)
    }

    /// The value of a metric without labels, from inside the mount. The texts are up to a second old.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let text = fs::read_to_string(self.metrics()).ok()?;
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    /// Where the metrics of a musefs are.
    pub fn metrics(&self) -> PathBuf {
        self.at.join(".musefs-metrics/metrics")
    }

    /// Waits until `path` below the mount is there; how long that took, in seconds.
    pub fn wait_for(&self, path: &Path) -> anyhow::Result<f64> {
        let start = Instant::now();
        while !self.at.join(path).exists() {
            if start.elapsed() > READY_DEADLINE {
                return Err(anyhow!("{} was never shown", path.display()));
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
        Ok(start.elapsed().as_secs_f64())
    }

    fn unmount(&mut self) {
        Command::new("fusermount3")
            .args(["-u", "-z", "-q"])
            .arg(&self.at)
            .stderr(Stdio::null())
            .status()
            .ok();
        let start = Instant::now();
        while start.elapsed() < END_DEADLINE {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.unmount();
    }
}

fn last_line(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let line = text.lines().rfind(|line| !line.trim().is_empty());
    line.unwrap_or("it said nothing").to_owned()
}
