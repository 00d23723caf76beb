//! What the store tells of the last scan.

use musefs_telemetry::{AttributeEnum, Gauge, Gauges, metric_set};

use crate::store::ScanRun;

/// What a scan made of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
#[attribute(name = "outcome")]
pub enum ScanOutcome {
    /// It is new.
    Added,
    /// It changed, was renamed, or can be read again, or no longer.
    Updated,
    /// It is as it was at the scan before.
    Unchanged,
    /// It is gone.
    Missing,
}

/// Why a scan calls a file or a directory failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
#[attribute(name = "reason")]
pub enum ScanFailureReason {
    /// It has no bytes.
    Empty,
    /// Nothing here recognises its content.
    Unrecognised,
    /// It breaks its own format's rules.
    Malformed,
    /// It ends within its own metadata.
    Truncated,
    /// A size or count in it is over a bound.
    OverLimit,
    /// It is of a kind that is left alone on purpose.
    Unsupported,
    /// It could not be read.
    Unreadable,
    /// A directory could not be read.
    UnreadableDirectory,
    /// It changed each time it was read.
    Changing,
    /// Reading it ran into a fault of musefs.
    Panicked,
    /// Something that this program has no name for.
    Other,
}

impl ScanFailureReason {
    fn from_name(name: &str) -> Self {
        let known = Self::ALL.into_iter().find(|reason| reason.name() == name);
        known.unwrap_or(Self::Other)
    }
}

/// The last scan that came to its end. Nothing of it is told while the store knows of none.
#[metric_set(prefix = "musefs_last_scan")]
#[derive(Clone, Debug)]
pub struct LastScanMetrics {
    /// When the last scan that came to its end did so, in seconds since the epoch.
    #[metric(unit = "seconds")]
    timestamp: Gauge,
    /// How long the last scan that came to its end took.
    #[metric(unit = "seconds")]
    duration: Gauge,
    /// Files that the last scan came upon or missed, by what it made of them.
    files: Gauges<ScanOutcome>,
    /// Files and directories that failed in the last scan, by reason. Such files are listed all the same.
    failures: Gauges<ScanFailureReason>,
}

impl LastScanMetrics {
    /// Shows `run`, or nothing.
    pub(crate) fn show(&self, run: Option<&ScanRun>) {
        let ended = run.and_then(|run| Some((run, run.finished_ns?)));
        let Some((run, finished_ns)) = ended else {
            self.timestamp.clear();
            self.duration.clear();
            for outcome in ScanOutcome::ALL {
                self.files.clear(outcome);
            }
            for reason in ScanFailureReason::ALL {
                self.failures.clear(reason);
            }
            return;
        };
        self.timestamp.set(finished_ns);
        // A clock that was set back meanwhile leaves nothing to tell.
        match finished_ns.checked_sub(run.started_ns) {
            Some(ns @ 0..) => self.duration.set(ns),
            _ => self.duration.clear(),
        }
        let counts = &run.counts;
        for (outcome, count) in [
            (ScanOutcome::Added, counts.added),
            (ScanOutcome::Updated, counts.updated),
            (ScanOutcome::Unchanged, counts.unchanged),
            (ScanOutcome::Missing, counts.missing),
        ] {
            self.files.set(outcome, count.cast_signed());
        }
        let mut failures = [0_u64; ScanFailureReason::COUNT];
        for (name, count) in &run.failures {
            failures[ScanFailureReason::from_name(name).position()] += count;
        }
        for (reason, count) in ScanFailureReason::ALL.into_iter().zip(failures) {
            self.failures.set(reason, count.cast_signed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::Failure;
    use crate::scan::ScanFailure;
    use crate::store::TrackFailure;

    #[test]
    fn every_failure_of_a_scan_has_its_reason() {
        let probe = Failure::ALL.map(|failure| ScanFailure::Track(TrackFailure::Probe(failure)));
        let others = [
            ScanFailure::Track(TrackFailure::Unreadable),
            ScanFailure::UnreadableDirectory,
            ScanFailure::Changing,
            ScanFailure::Panicked,
        ];
        for failure in probe.into_iter().chain(others) {
            let name = failure.as_str();
            assert_eq!(ScanFailureReason::from_name(name).name(), name);
        }
        assert_eq!(
            ScanFailureReason::from_name("of a later version"),
            ScanFailureReason::Other
        );
    }
}
