//! Dark tracks: files that cannot be served now, each with its reason. A track is logged when it goes dark, not again for
//! each request, and counted until it is served again or leaves the tree.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;

use crate::ids::TrackId;
use crate::metrics::{DarkReason, Metrics};

/// Which tracks are dark.
#[derive(Debug)]
pub(super) struct DarkTracks {
    reasons: Mutex<HashMap<TrackId, DarkReason>>,
    /// How many there are, for those who only ask whether there is one: every read does.
    count: AtomicUsize,
    metrics: Metrics,
}

/// The reason that an I/O error on a backing file stands for.
pub(super) fn reason_of(error: &io::Error) -> DarkReason {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => DarkReason::Missing,
        _ => DarkReason::Unreadable,
    }
}

impl DarkTracks {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            reasons: Mutex::default(),
            count: AtomicUsize::new(0),
            metrics: metrics.clone(),
        }
    }

    /// Notes that a request for `track` failed for `reason`.
    pub(super) fn darken(
        &self,
        track: TrackId,
        path: &Path,
        reason: DarkReason,
        detail: &dyn std::fmt::Display,
    ) {
        self.metrics.backing_failures.increment(reason);
        let before = {
            let mut reasons = self.reasons.lock();
            let before = reasons.insert(track, reason);
            self.count.store(reasons.len(), Relaxed);
            before
        };
        if before == Some(reason) {
            return;
        }
        if let Some(before) = before {
            self.metrics.tracks_dark.add(before, -1);
        }
        self.metrics.tracks_dark.add(reason, 1);
        let way_out = match reason {
            DarkReason::Missing => "bring it back, or scan again to take it out of the tree",
            DarkReason::Changed => "scan again to serve it as it is",
            DarkReason::Unreadable => "check its permissions and the disk it is on",
        };
        tracing::warn!(
            path = %path.display(),
            reason = reason.name(),
            "cannot serve a file ({detail}); {way_out}"
        );
    }

    /// Notes that `track` was served.
    pub(super) fn lighten(&self, track: TrackId) {
        if self.is_empty() {
            return;
        }
        let mut reasons = self.reasons.lock();
        if let Some(reason) = reasons.remove(&track) {
            self.metrics.tracks_dark.add(reason, -1);
            self.count.store(reasons.len(), Relaxed);
        }
    }

    /// Forgets every track for which `listed` says no.
    pub(super) fn retain(&self, listed: impl Fn(TrackId) -> bool) {
        let mut reasons = self.reasons.lock();
        reasons.retain(|&track, reason| {
            let keep = listed(track);
            if !keep {
                self.metrics.tracks_dark.add(*reason, -1);
            }
            keep
        });
        self.count.store(reasons.len(), Relaxed);
    }

    /// Whether no track is dark.
    pub(super) fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// How many tracks are dark.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Relaxed) as u64
    }
}
