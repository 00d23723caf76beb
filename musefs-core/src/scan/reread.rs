//! Reading one file for itself, as a scan would: what it holds, whatever the store says of it.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};

use parking_lot::Mutex;

use super::probe::{Outcome, probe_file};
use super::report::{ScanFailure, Tally};
use super::{FileToProbe, ScanOptions, Shared};
use crate::metrics::Metrics;
use crate::store::{Reading, RootId, Stamp, TrackFailure};

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RereadError {
    /// It is not there.
    #[error("it is missing")]
    Missing,
    /// It is there and cannot be read.
    #[error("it cannot be read: {why}")]
    Unreadable {
        /// What the system said.
        why: String,
    },
    /// It changed each time it was read.
    #[error("it is being written to")]
    Changing,
}

/// Reads and probes the file at `path`, for reading alone; what the file is and holds, and the stamp it had. What reading
/// costs is counted by `metrics`.
pub fn reread(path: &Path, metrics: &Metrics) -> Result<(Stamp, Reading), RereadError> {
    let unreadable = |error: &io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => RereadError::Missing,
        _ => RereadError::Unreadable {
            why: error.to_string(),
        },
    };
    let stamp = std::fs::metadata(path)
        .map(|metadata| Stamp::of(&metadata))
        .map_err(|error| unreadable(&error))?;
    let shared = Shared {
        options: &ScanOptions::default(),
        metrics,
        progress: &(),
        cancel: &AtomicBool::new(false),
        tally: Mutex::new(Tally::default()),
        done: AtomicU64::new(0),
        changing: Mutex::default(),
    };
    let file = FileToProbe {
        root: RootId(0),
        relative: Vec::new(),
        path: path.to_path_buf(),
        stamp,
        known: None,
        moved_from: None,
    };
    match probe_file(file, &shared).outcome {
        Outcome::Read(stamp, reading) => Ok((stamp, *reading)),
        Outcome::Vanished => Err(RereadError::Missing),
        Outcome::Changing => Err(RereadError::Changing),
        Outcome::Unreadable => {
            let tally = shared.tally.into_inner();
            let told = tally
                .failures
                .get(&ScanFailure::Track(TrackFailure::Unreadable))
                .and_then(|found| found.places.first())
                .map(|place| place.detail.clone());
            Err(RereadError::Unreadable {
                why: told.unwrap_or_default(),
            })
        }
    }
}
