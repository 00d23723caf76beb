//! The encoders of the build without `stats`.

/// A snapshot as JSON.
pub mod json {
    use crate::snapshot::Snapshot;

    /// The media type of the format.
    pub const CONTENT_TYPE: &str = "application/json";

    /// Appends an object without families.
    pub fn encode(text: &mut String, _: &Snapshot, _: &[(String, String)]) {
        text.push_str("{\"attributes\":{},\"families\":[]}\n");
    }
}

/// The `OpenMetrics` text format.
pub mod openmetrics {
    use crate::snapshot::Snapshot;

    /// The media type of the format.
    pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Appends the end mark.
    pub fn encode(text: &mut String, _: &Snapshot, _: &[(String, String)]) {
        text.push_str("# EOF\n");
    }
}

/// Numbers with nothing around them.
pub mod plain {
    use crate::describe::Kind;
    use crate::snapshot::{Metric, Snapshot};

    /// There are no numbers.
    pub const fn suffixes(_: Kind) -> &'static [&'static str] {
        &[]
    }

    /// There are no numbers.
    pub fn push(_: &mut String, metric: &Metric, _: usize, _: usize) -> bool {
        match *metric {}
    }

    /// Appends nothing.
    pub fn encode(_: &mut String, _: &Snapshot) {}
}
