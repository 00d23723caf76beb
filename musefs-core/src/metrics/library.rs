//! What the published tree holds: set when a tree is published, so that nobody has to walk it.

use musefs_telemetry::{Gauge, Gauges, metric_set};

use crate::formats::Format;

/// The library as it is served.
#[metric_set(prefix = "musefs_library")]
#[derive(Clone, Debug)]
pub struct LibraryMetrics {
    /// Tracks in the tree, by what their backing file is.
    pub(crate) tracks: Gauges<Format>,
    /// Directories in the tree, its root included.
    pub(crate) directories: Gauge,
    /// Lengths of all served files together.
    #[metric(unit = "bytes")]
    pub(crate) bytes: Gauge,
}
