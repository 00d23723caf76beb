//! What following the store counts.

use musefs_telemetry::{AttributeEnum, Counter, Counters, Gauge, metric_set};

/// What a poll came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
#[attribute(name = "outcome")]
pub enum PollOutcome {
    /// Nothing that is shown is different.
    Unchanged,
    /// A new tree was published.
    Changed,
    /// The store could not be read: the tree stayed as it was.
    Failed,
}

/// What became of a track in a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
#[attribute(name = "change")]
pub enum TrackChange {
    /// It is listed and was not.
    Added,
    /// It is listed as it was before, under another name or with other bytes or attributes.
    Changed,
    /// It was listed and is not.
    Removed,
}

/// What the thread that follows the store does.
#[metric_set(prefix = "musefs_refresh")]
#[derive(Clone, Debug)]
pub struct RefreshMetrics {
    /// Looks at the store for what changed, by what they came to.
    pub(crate) polls: Counters<PollOutcome>,
    /// When the tree was last known to be what the store says, in seconds since the epoch.
    #[metric(
        unit = "seconds",
        name = "musefs_refresh_last_success_timestamp_seconds"
    )]
    pub(crate) last_success_timestamp: Gauge,
    /// Time that polls have taken, whatever they came to.
    #[metric(unit = "seconds")]
    pub(crate) seconds: Counter,
    /// Time from the last commit that made a difference to the tree that shows it; absent until there was one, and where
    /// nobody knows when it was.
    #[metric(unit = "seconds")]
    pub(crate) lag: Gauge,
    /// Tracks that refreshes have changed in the tree, by what became of them.
    pub(crate) tracks: Counters<TrackChange>,
    /// Rows of the store that refreshes have read.
    pub(crate) rows: Counter,
    /// Names in the directories that refreshes have made anew.
    pub(crate) nodes: Counter,
    /// Polls that had to rebuild everything because the store was replaced.
    pub(crate) gap_fallbacks: Counter,
}
