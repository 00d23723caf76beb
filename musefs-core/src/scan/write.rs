//! The one writer: what the probes learned, committed in batches.

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::probe::{Outcome, Probed};
use super::{Milestone, Shared};
use crate::store::{Finding, Ingested, Store, StoreError, TrackId, now_ns};

/// Files in one transaction, give or take what a probe hands over at once.
pub(super) const BATCH_TRACKS_MAX: usize = 500;

/// How long a file may wait for its transaction, so that a slow disk's scan loses little when it is stopped.
const BATCH_WAIT_MAX: Duration = Duration::from_secs(1);

/// What was written.
#[derive(Default)]
pub(super) struct Written {
    pub(super) added: u64,
    pub(super) updated: u64,
    pub(super) unchanged: u64,
    /// Rows that took over a new path.
    pub(super) moved: HashSet<TrackId>,
    /// Rows whose file went away after the walk came upon it.
    pub(super) vanished: Vec<TrackId>,
    files: u64,
}

/// Writes until the probes are through. Dropping `readings` on an error tells them to stop.
#[expect(
    clippy::needless_pass_by_value,
    reason = "returning closes the queue, which stops the probes when the store has failed"
)]
pub(super) fn write(
    store: &mut Store,
    readings: Receiver<Vec<Probed>>,
    shared: &Shared<'_>,
) -> Result<Written, StoreError> {
    let mut written = Written::default();
    let mut batch = Vec::new();
    let mut oldest = Instant::now();
    loop {
        let wait = BATCH_WAIT_MAX.saturating_sub(oldest.elapsed());
        match readings.recv_timeout(if batch.is_empty() {
            BATCH_WAIT_MAX
        } else {
            wait
        }) {
            Ok(probed) => {
                if batch.is_empty() {
                    oldest = Instant::now();
                }
                batch.extend(probed);
                if batch.len() < BATCH_TRACKS_MAX && oldest.elapsed() < BATCH_WAIT_MAX {
                    continue;
                }
                commit(store, &mut batch, &mut written, shared)?;
            }
            Err(RecvTimeoutError::Timeout) => commit(store, &mut batch, &mut written, shared)?,
            Err(RecvTimeoutError::Disconnected) => {
                commit(store, &mut batch, &mut written, shared)?;
                return Ok(written);
            }
        }
    }
}

fn commit(
    store: &mut Store,
    batch: &mut Vec<Probed>,
    written: &mut Written,
    shared: &Shared<'_>,
) -> Result<(), StoreError> {
    if batch.is_empty() {
        return Ok(());
    }
    let mut findings = Vec::with_capacity(batch.len());
    for probed in batch.iter() {
        let file = &probed.file;
        let (stamp, reading) = match &probed.outcome {
            Outcome::Read(stamp, reading) => (*stamp, Some(&**reading)),
            Outcome::Unreadable => (file.stamp, None),
            Outcome::Vanished => {
                written.vanished.extend(file.known);
                continue;
            }
            Outcome::Changing => continue,
        };
        findings.push(Finding {
            root: file.root,
            path: &file.relative,
            stamp,
            moved_from: file.moved_from,
            reading,
        });
    }
    for ingested in store.ingest(&findings, now_ns())? {
        match ingested {
            Ingested::Added(_) => written.added += 1,
            Ingested::Updated(_) => written.updated += 1,
            Ingested::Unchanged(_) => written.unchanged += 1,
            Ingested::Moved(track) => {
                written.moved.insert(track);
            }
        }
    }
    let files = batch.len() as u64;
    written.files += files;
    batch.clear();
    shared.done(files);
    shared.progress.on_milestone(Milestone::Committed {
        written: written.files,
    });
    Ok(())
}
