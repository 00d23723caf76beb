//! Commands with deadlines, and what they said. Output goes to files, so that no grandchild that keeps a pipe open can make
//! anybody wait.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::SOON;

/// The program that is tested.
pub const MUSEFS: &str = env!("CARGO_BIN_EXE_musefs");

/// What a command did.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Outcome {
    /// Its output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// That it did what it was told to.
    #[track_caller]
    pub fn done(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// That it ended with `code` and told why in one sentence that holds all of `parts`.
    #[track_caller]
    pub fn refused(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for part in parts {
            assert!(
                self.stderr.contains(part),
                "`{part}` is not in: {}",
                self.stderr
            );
        }
        self.is_calm();
        let lines: Vec<&str> = self.stderr.lines().collect();
        assert_eq!(lines.len(), 1, "one line: {}", self.stderr);
        assert!(lines[0].starts_with("musefs: "), "{}", self.stderr);
    }

    /// That nothing of it sounds like a crash.
    #[track_caller]
    pub fn is_calm(&self) {
        for word in ["panicked", "RUST_BACKTRACE", "unwrap()", "Os {", "Error {"] {
            assert!(!self.stderr.contains(word), "{}", self.stderr);
        }
    }
}

/// `musefs` with arguments, untouched by the caller's environment.
pub fn musefs<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(MUSEFS);
    clean(&mut command).args(arguments);
    command
}

/// Takes away what would change what `musefs` does.
pub fn clean(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MUSEFS_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null())
}

/// Runs a command to its end.
///
/// # Panics
/// When it cannot be started or does not end within [`SOON`].
#[track_caller]
pub fn run(command: &mut Command) -> Outcome {
    let mut running = Running::start(command);
    let status = running.wait(SOON);
    let outcome = running.outcome(status);
    assert!(
        status.is_some(),
        "{command:?} did not end in time: {outcome:?}"
    );
    outcome
}

/// A command that was started. Killed when it is dropped.
pub struct Running {
    pub child: Child,
    stdout: File,
    stderr: File,
}

impl Running {
    /// Starts a command.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let stderr = tempfile::tempfile().expect("a temporary file");
        command.stderr(stderr.try_clone().expect("a second descriptor"));
        Self::start_as_it_complains(command, stderr)
    }

    /// Starts a command that complains to whatever it was told to, and not to `stderr`.
    #[track_caller]
    pub fn start_as_it_complains(command: &mut Command, stderr: File) -> Self {
        let stdout = tempfile::tempfile().expect("a temporary file");
        let child = command
            .stdout(stdout.try_clone().expect("a second descriptor"))
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
        Self {
            child,
            stdout,
            stderr,
        }
    }

    /// Waits for its end; `None` when that does not come within `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it wrote to its output so far.
    pub fn stdout(&self) -> Vec<u8> {
        whole(&self.stdout)
    }

    /// What it complained of so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&whole(&self.stderr)).into_owned()
    }

    /// What it did until it ended with `status`.
    pub fn outcome(&self, status: Option<ExitStatus>) -> Outcome {
        Outcome {
            code: status.and_then(|status| status.code()),
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        self.child.kill().ok();
        self.child.try_wait().ok();
    }
}

/// The child writes at the offset that all descriptors share, which reading from the start must not move.
fn whole(file: &File) -> Vec<u8> {
    use std::os::unix::fs::FileExt as _;
    let len = file.metadata().map_or(0, |metadata| metadata.len());
    let mut bytes = vec![0; usize::try_from(len).expect("output fits memory")];
    file.read_exact_at(&mut bytes, 0).expect("output reads");
    bytes
}

/// Reads a file from its start through an open descriptor.
pub fn read_again(file: &mut File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).expect("a file seeks");
    file.read_to_end(&mut bytes).expect("a file reads");
    bytes
}
