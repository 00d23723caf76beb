//! What is asked over HTTP, and how that went.

use musefs_telemetry::{AttributeEnum, Counters, UpDownCounter, attribute_set, metric_set};

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
#[attribute(name = "path")]
pub enum HttpPath {
    /// The metrics as text.
    Metrics,
    /// The metrics as JSON, or what they tell.
    Json,
    /// How the mount is.
    Health,
    /// The page.
    Page,
    /// Single operations, with paths.
    Operations,
    /// Something that is not there, or that was not understood.
    Other,
}

/// How it was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
#[attribute(name = "code")]
pub enum HttpCode {
    /// With what was asked for.
    #[attribute(value = "2xx")]
    Given,
    /// Not, for a fault of whoever asked.
    #[attribute(value = "4xx")]
    Refused,
    /// With an error: the mount fails, or did not come to answer.
    #[attribute(value = "5xx")]
    Failed,
}

/// One way in which one thing was answered.
#[attribute_set]
#[derive(Clone, Copy, Debug)]
pub struct HttpAnswer {
    /// What was asked for.
    pub path: HttpPath,
    /// How it was answered.
    pub code: HttpCode,
}

/// What the HTTP endpoint counts.
#[metric_set(prefix = "musefs_http")]
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    /// Requests over HTTP, by what was asked for and how that was answered; those that were not understood are among the other.
    pub(crate) requests: Counters<HttpAnswer>,
    /// Open connections over HTTP.
    pub(crate) connections: UpDownCounter,
}
