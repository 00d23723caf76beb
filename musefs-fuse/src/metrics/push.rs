//! What becomes of facts that a mount sends.

use musefs_telemetry::{AttributeEnum, Counter, Counters, metric_set};

/// How sending facts ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
#[attribute(name = "outcome")]
pub enum PushOutcome {
    /// The server has them.
    Sent,
    /// It does not; they are in the next.
    Failed,
    /// The server wants them later; they are in the next.
    Throttled,
    /// The server wants none any more.
    Gone,
    /// They were too long, and dropped.
    Oversized,
}

/// What a mount counts of facts that it sends where `--telemetry-endpoint` says.
#[metric_set(prefix = "musefs")]
#[derive(Clone, Debug)]
pub struct PushCounters {
    /// Attempts to send facts to the telemetry endpoint, by how they ended; all 0 where there is none.
    pub(crate) pushes: Counters<PushOutcome>,
    /// Facts that were not told because there was no room for them.
    pub(crate) push_facts_refused: Counter,
}
