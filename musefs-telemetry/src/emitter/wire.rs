//! What goes over the wire, as JSON: a payload there, a response back.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::facts::Fact;

/// What is sent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Payload {
    /// Random, made once for an installation; says nothing of it.
    pub instance_id: String,
    /// When it was made, as in RFC 3339, in UTC.
    pub timestamp: String,
    /// By when the next one comes unless the server's reply says otherwise, in the same form; absent in the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect_next: Option<String>,
    /// The facts by their names.
    pub data: BTreeMap<String, Fact>,
}

impl Payload {
    /// One with `data`, at `wall_ms` milliseconds since 1970, when the next comes within `next_in`.
    pub(super) fn new(
        instance_id: String,
        data: BTreeMap<String, Fact>,
        wall_ms: u64,
        next_in: Option<Duration>,
    ) -> Self {
        Self {
            instance_id,
            timestamp: date(Duration::from_millis(wall_ms)),
            expect_next: next_in.map(|next| date(Duration::from_millis(wall_ms) + next)),
            data,
        }
    }

    pub(super) fn compact(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("names are text, and numbers finite")
    }

    pub(super) fn pretty(&self) -> String {
        serde_json::to_string_pretty(self).expect("names are text, and numbers finite")
    }
}

/// `since_1970` as a date, to the second.
fn date(since_1970: Duration) -> String {
    let seconds = i64::try_from(since_1970.as_secs()).ok();
    let moment = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    // Only a clock that is thousands of years off has no date.
    let moment = moment.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    moment.format(&Rfc3339).unwrap_or_default()
}

/// What a server may say. What it leaves out, or gives as null, it says nothing of.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Response {
    /// In how many nanoseconds the next payload is wanted.
    #[serde(deserialize_with = "null_is_default")]
    pub next_update: f64,
    /// Whether the client is to stop until it is started again.
    #[serde(deserialize_with = "null_is_default")]
    pub stop: bool,
    /// What went wrong, for the client's log.
    #[serde(deserialize_with = "null_is_default")]
    pub error: String,
    /// Facts that are not wanted until they are enabled. Wins over `enable_keys`.
    #[serde(deserialize_with = "null_is_default")]
    pub disable_keys: Vec<String>,
    /// Facts that are wanted again.
    #[serde(deserialize_with = "null_is_default")]
    pub enable_keys: Vec<String>,
}

impl Response {
    /// The response in `body`; `None` when it is none.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// When the next payload is wanted; `None` when that was not said.
    pub(super) fn next_update(&self) -> Option<Duration> {
        (self.next_update > 0.0)
            .then(|| Duration::try_from_secs_f64(self.next_update / 1e9).unwrap_or(Duration::MAX))
    }
}

fn null_is_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}
