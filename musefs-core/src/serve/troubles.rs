//! What keeps a mount from serving although no track is at fault: the store, and a lack of descriptors. Told when it begins and
//! when it is over, not again for each request that meets it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use musefs_telemetry::{event_error, event_info, logging};
use parking_lot::Mutex;

use super::Error;
use crate::layout::BlobId;
use crate::store::StoreError;

/// Lost blobs that are remembered; when there are more, one may be told of again.
const BLOBS_MAX: usize = 1024;

/// What is wrong at this moment.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    store: AtomicBool,
    descriptors: AtomicBool,
    blobs: Mutex<HashSet<BlobId>>,
}

impl Troubles {
    /// Notes how reading the store went.
    pub(super) fn store<T>(&self, result: Result<T, StoreError>) -> Result<T, Error> {
        match &result {
            Err(error) if !self.store.swap(true, Relaxed) => {
                event_error!(
                    logging::engine(),
                    "store.read.failed",
                    message = %format_args!("{error}; files that need it cannot be opened until it reads"),
                );
            }
            Ok(_) if self.store.load(Relaxed) && self.store.swap(false, Relaxed) => {
                event_info!(
                    logging::engine(),
                    "store.read.recovered",
                    message = "the store reads again",
                );
            }
            _ => {}
        }
        result.map_err(Error::Store)
    }

    /// Notes that there was no descriptor left for opening `path`.
    pub(super) fn out_of_descriptors(&self, path: &Path) -> Error {
        let error = Error::OutOfDescriptors { path: path.into() };
        if !self.descriptors.swap(true, Relaxed) {
            event_error!(
                logging::engine(),
                "descriptors.open.exhausted",
                message = %format_args!("{error}; raise the limit on open files (ulimit -n)"),
            );
        }
        error
    }

    /// Notes that a backing file was opened.
    pub(super) fn descriptor_found(&self) {
        if self.descriptors.load(Relaxed) && self.descriptors.swap(false, Relaxed) {
            event_info!(
                logging::engine(),
                "descriptors.open.recovered",
                message = "files can be opened again: there are descriptors left",
            );
        }
    }

    /// Notes that the store has no more than a part of `blob`. It never comes back: ids are not used twice.
    pub(super) fn blob_gone(&self, blob: BlobId) -> Error {
        let error = Error::BlobGone(blob);
        let is_new = {
            let mut blobs = self.blobs.lock();
            if blobs.len() >= BLOBS_MAX {
                blobs.clear();
            }
            blobs.insert(blob)
        };
        if is_new {
            event_error!(
                logging::engine(),
                "store.blob.gone",
                message = %error,
                blob = blob.0,
            );
        }
        error
    }
}
