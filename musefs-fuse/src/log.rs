//! The log, on standard error: written by a thread of its own behind a bounded queue, so that no request waits for a terminal
//! or a pipe that nobody reads. What does not fit is dropped and counted; what cannot be written is forgotten.

use std::io::IsTerminal as _;
use std::sync::OnceLock;

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// What is logged unless the environment says otherwise. The FUSE library warns of an unmount that was done already.
const FILTER: &str = "warn,fuser=error";
/// Lines that may wait to be written.
const QUEUE_LINES_MAX: usize = 4096;

/// The process has one standard error, and so one log.
static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// Starts the log; what is still queued is written when the guard is dropped.
pub fn start() -> WorkerGuard {
    let filter = EnvFilter::try_from_env("MUSEFS_LOG").unwrap_or_else(|_| EnvFilter::new(FILTER));
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(QUEUE_LINES_MAX)
        .thread_name("musefs-log")
        .finish(std::io::stderr());
    let first = DROPPED.set(writer.error_counter()).is_ok();
    assert!(first, "the log is started once");
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .without_time()
        .log_internal_errors(false)
        .init();
    guard
}

/// Lines that were dropped because too many waited.
pub fn lines_dropped() -> u64 {
    DROPPED
        .get()
        .map_or(0, |dropped| dropped.dropped_lines() as u64)
}
