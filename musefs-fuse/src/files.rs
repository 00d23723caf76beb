//! What commands ask of the system before they begin.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use musefs_core::mounts::Mounts;
use musefs_telemetry::{event_warn, logging};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

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
/// When `path`, or the nearest directory above it that exists, lies in one.
pub fn refuse_inside_musefs(path: &Path, what: &str) -> Result<()> {
    let mounts = Mounts::of_this_process();
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let existing: Option<PathBuf> = absolute
        .ancestors()
        .find_map(|above| above.canonicalize().ok());
    let Some(mount) =
        existing.and_then(|existing| mounts.musefs_holding(&existing).map(Path::to_path_buf))
    else {
        return Ok(());
    };
    bail!(
        "{what} {} lies inside the musefs mount at {}, which is read-only: give a path outside of it",
        path.display(),
        mount.display()
    );
}
