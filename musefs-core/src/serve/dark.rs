//! Dark tracks: files that cannot be served now, each with its reason. A track is logged when it goes dark, not again for
//! each request, and counted until it is served again or leaves the tree. Counted beside them, each track once, are those
//! that the scan could not take apart: they are served as they are.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use musefs_telemetry::{event_warn, logging};
use parking_lot::Mutex;

use crate::ids::TrackId;
use crate::metrics::{BackingFailure, DarkReason, Metrics};

/// Which tracks are dark.
#[derive(Debug)]
pub(super) struct DarkTracks {
    tracks: Mutex<Tracks>,
    /// How many are dark, for those who only ask whether there is one: every read does.
    count: AtomicUsize,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Tracks {
    reasons: HashMap<TrackId, Dark>,
    /// Listed tracks that the scan could not take apart.
    unparsable: imbl::HashSet<TrackId>,
}

/// A dark track.
#[derive(Clone, Debug)]
pub(super) struct Dark {
    pub reason: BackingFailure,
    /// Its backing file.
    pub path: PathBuf,
}

impl Tracks {
    /// Tracks that are unparsable and not dark.
    fn unparsable_alone(&self) -> i64 {
        let dark = self.reasons.keys();
        let both = dark.filter(|&track| self.unparsable.contains(track));
        i64::try_from(self.unparsable.len() - both.count()).expect("fewer tracks than 2^63")
    }
}

/// The reason that an I/O error on a backing file stands for.
pub(super) fn reason_of(error: &io::Error) -> BackingFailure {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => BackingFailure::Missing,
        _ => BackingFailure::Unreadable,
    }
}

impl DarkTracks {
    pub(super) fn new(metrics: &Metrics) -> Self {
        Self {
            tracks: Mutex::default(),
            count: AtomicUsize::new(0),
            metrics: metrics.clone(),
        }
    }

    fn shown(&self, reason: impl Into<DarkReason>, by: i64) {
        self.metrics.tracks_dark.add(reason.into(), by);
    }

    /// Notes that a request for `track` failed for `reason`.
    pub(super) fn darken(
        &self,
        track: TrackId,
        path: &Path,
        reason: BackingFailure,
        detail: &dyn std::fmt::Display,
    ) {
        self.metrics.backing_failures.increment(reason);
        {
            let mut tracks = self.tracks.lock();
            let dark = Dark {
                reason,
                path: path.to_path_buf(),
            };
            let before = tracks.reasons.insert(track, dark);
            self.count.store(tracks.reasons.len(), Relaxed);
            match before.map(|before| before.reason) {
                Some(before) if before == reason => return,
                Some(before) => self.shown(before, -1),
                None if tracks.unparsable.contains(&track) => {
                    self.shown(DarkReason::Unparsable, -1);
                }
                None => {}
            }
            self.shown(reason, 1);
        }
        let way_out = match reason {
            BackingFailure::Missing => "bring it back, or scan again to take it out of the tree",
            BackingFailure::Changed => "scan again to serve it as it is",
            BackingFailure::Unreadable => "check its permissions and the disk it is on",
        };
        event_warn!(
            logging::engine(),
            "track.dark",
            message = %format_args!("cannot serve a file ({detail}); {way_out}"),
            path = %path.display(),
            reason = reason.name(),
        );
    }

    /// Notes that `track` was served.
    pub(super) fn lighten(&self, track: TrackId) {
        if self.is_empty() {
            return;
        }
        let mut tracks = self.tracks.lock();
        if let Some(dark) = tracks.reasons.remove(&track) {
            self.shown(dark.reason, -1);
            if tracks.unparsable.contains(&track) {
                self.shown(DarkReason::Unparsable, 1);
            }
            self.count.store(tracks.reasons.len(), Relaxed);
        }
    }

    /// At most `count_max` dark tracks whose backing files lie below `directory`.
    pub(super) fn below(&self, directory: &Path, count_max: usize) -> Vec<(TrackId, Dark)> {
        let tracks = self.tracks.lock();
        let below = |dark: &Dark| dark.path.starts_with(directory);
        let found = tracks.reasons.iter().filter(|(_, dark)| below(dark));
        found
            .take(count_max)
            .map(|(track, dark)| (*track, dark.clone()))
            .collect()
    }

    /// Goes on with another tree, which lists `unparsable` among its tracks. Every dark track for which `same` says no is
    /// forgotten.
    pub(super) fn publish(
        &self,
        unparsable: imbl::HashSet<TrackId>,
        same: impl Fn(TrackId) -> bool,
    ) {
        let mut tracks = self.tracks.lock();
        let before = tracks.unparsable_alone();
        tracks.reasons.retain(|&track, dark| {
            let keep = same(track);
            if !keep {
                self.shown(dark.reason, -1);
            }
            keep
        });
        tracks.unparsable = unparsable;
        let now = tracks.unparsable_alone();
        self.shown(DarkReason::Unparsable, now - before);
        self.count.store(tracks.reasons.len(), Relaxed);
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

#[cfg(test)]
mod tests {
    use super::*;
    use musefs_telemetry::{Engine, MetricSet as _};

    #[test]
    fn each_track_is_counted_under_one_reason() {
        let metrics = Metrics::declare(&Engine::new()).unwrap();
        let dark = DarkTracks::new(&metrics);
        let [one, two, three] = [TrackId(1), TrackId(2), TrackId(3)];
        let counted = || DarkReason::ALL.map(|reason| metrics.tracks_dark.value(reason));
        let darken = |track, reason| dark.darken(track, Path::new("file"), reason, &"a test");
        dark.publish([one, two].into_iter().collect(), |_| true);
        assert_eq!(counted(), [0, 0, 0, 2]);
        darken(one, BackingFailure::Missing);
        darken(three, BackingFailure::Changed);
        assert_eq!(counted(), [1, 1, 0, 1]);
        darken(one, BackingFailure::Unreadable);
        darken(one, BackingFailure::Unreadable);
        assert_eq!(counted(), [0, 1, 1, 1]);
        dark.lighten(one);
        dark.lighten(one);
        assert_eq!(counted(), [0, 1, 0, 2]);
        darken(two, BackingFailure::Missing);
        assert_eq!(dark.below(Path::new("other"), 9).len(), 0);
        assert_eq!(dark.below(Path::new("file"), 9).len(), 2);
        assert_eq!(dark.below(Path::new("file"), 1).len(), 1);
        dark.publish([two, three].into_iter().collect(), |track| track == two);
        assert_eq!(counted(), [1, 0, 0, 1]);
        assert_eq!(
            metrics.backing_failures.value(BackingFailure::Unreadable),
            2
        );
        dark.publish(imbl::HashSet::new(), |_| false);
        assert_eq!(counted(), [0; 4]);
        assert!(dark.is_empty());
    }
}
