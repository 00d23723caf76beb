//! `musefs sync`: waits until a mount shows every commit to its store.

use std::time::Duration;

use super::Failure;
use crate::cli::{EXIT_DONE, SyncArgs};
use crate::control::{self, Answer, Request};

/// Waits; the exit code.
///
/// # Errors
/// When the mount does not answer, or not in time.
pub(super) fn run(args: &SyncArgs) -> Result<u8, Failure> {
    let timeout = Duration::from_secs(args.timeout.into());
    let request = Request::Sync {
        store: None,
        timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
    };
    match control::ask_mount_of(&args.mount, &request)? {
        Answer::Synced { .. } => Ok(EXIT_DONE),
        other => Err(control::unexpected(&other).into()),
    }
}
