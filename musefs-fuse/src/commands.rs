//! One module per subcommand: from flags to the core, and what the user is told.

use crate::cli::{Command, EXIT_FAILED, EXIT_USAGE};

mod formats;
mod metrics;
mod mount;
mod owners;
mod profile;
mod revalidate;
mod scan;
mod slow;
mod stats;
mod status;
mod sync;
mod tag;
mod trace;

/// Why a command ended early, and the exit code for it.
#[derive(Debug)]
pub struct Failure {
    /// What to tell.
    pub error: anyhow::Error,
    /// The exit code.
    pub code: u8,
}

impl std::fmt::Display for Failure {
    /// The error and its causes, each once: some errors tell their cause themselves.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut told = String::new();
        for cause in self.error.chain().map(ToString::to_string) {
            if !told.contains(&cause) {
                if !told.is_empty() {
                    told.push_str(": ");
                }
                told.push_str(&cause);
            }
        }
        formatter.write_str(&told)
    }
}

impl Failure {
    fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self {
            error: error.into(),
            code: EXIT_USAGE,
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            code: EXIT_FAILED,
        }
    }
}

/// Runs `command`; its exit code.
///
/// # Errors
/// When it could not be done.
pub fn run(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Scan(args) => scan::run(&args),
        Command::Mount(args) => mount::run(&args),
        Command::Formats(args) => formats::run(&args),
        Command::Sync(args) => sync::run(&args),
        Command::Slow(args) => slow::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Profile(args) => profile::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Tag(args) => tag::run(&args),
        Command::Revalidate(args) => revalidate::run(&args),
        Command::Metrics(args) => metrics::run(&args),
        Command::Stats(args) => stats::run(&args),
    }
}

/// Nanoseconds since 1970.
fn now_ns() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
        })
}
