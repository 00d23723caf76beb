//! What commands ask of the system before they begin.

use std::path::Path;

use anyhow::{Result, bail};
use musefs_core::mounts::Mounts;
use musefs_telemetry::{event_warn, logging};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::control::locate::musefs_holding;

/// Raises the limit on open files to the hard limit. Where that is not allowed the limit stays as it is.
pub fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        event_warn!(
            logging::global(),
            "descriptors.limit.kept",
            message = %format_args!("the limit on open files stays as it is: {error}"),
        );
    }
}

/// Refuses a path inside a musefs mount: writing there fails, and reading there reads our own output.
///
/// # Errors
/// When `path` lies in one, whether it is there or not.
pub fn refuse_inside_musefs(path: &Path, what: &str) -> Result<()> {
    let Some(mount) = musefs_holding(&Mounts::of_this_process(), path) else {
        return Ok(());
    };
    bail!(
        "{what} {} lies inside the musefs mount at {}, which is read-only: give a path outside of it",
        path.display(),
        mount.point.display()
    );
}
