//! One request to a collector, and what its answer means. Source: the OTLP specification, sections on responses over HTTP.

use std::io::Write as _;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use ureq::Agent;
use ureq::http::Response;

use super::retry::asked;
use super::{Settings, Signal};

/// Bytes of an answer that are looked at.
const ANSWER_MAX: u64 = 64 * 1024;

/// What became of a request.
#[derive(Debug)]
pub(super) enum Answer {
    /// It was taken, but for some items, of which the collector says why.
    Taken { rejected: u64, why: String },
    /// Not now: after a while, if the collector said how long.
    Later {
        why: String,
        asked: Option<Duration>,
    },
    /// Never.
    Refused { why: String },
}

/// Sends requests.
#[derive(Debug)]
pub(super) struct Post {
    agent: Agent,
}

impl Post {
    pub(super) fn new() -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // Whoever sends data elsewhere than it was told to may send it to anybody.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!(
                env!("CARGO_PKG_NAME"),
                "/",
                env!("CARGO_PKG_VERSION")
            ))
            .build();
        Self {
            agent: config.into(),
        }
    }

    /// Sends `body` and waits for the answer, for at most `timeout` in all.
    pub(super) fn send(
        &self,
        settings: &Settings,
        signal: Signal,
        body: &[u8],
        timeout: Duration,
    ) -> Answer {
        let mut request = self
            .agent
            .post(settings.endpoint.url(signal))
            .config()
            .timeout_global(Some(timeout))
            .build()
            .content_type("application/x-protobuf");
        for header in &settings.headers {
            request = request.header(&header.name, &header.value);
        }
        let response = if settings.gzip {
            let packed = compressed(body);
            request.header("content-encoding", "gzip").send(&packed[..])
        } else {
            request.send(body)
        };
        match response {
            Ok(response) => judge(response, signal),
            // Whatever went wrong on the way may go well later: names, routes, certificates and listeners come back.
            Err(error) => Answer::Later {
                why: error.to_string(),
                asked: None,
            },
        }
    }
}

fn compressed(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(body)
        .and_then(|()| encoder.finish())
        .expect("a Vec takes whatever is written to it")
}

fn judge(mut response: Response<ureq::Body>, signal: Signal) -> Answer {
    let status = response.status();
    let why = || format!("the collector answers {status}");
    match status.as_u16() {
        200..=299 => {
            let body = response.body_mut().with_config().limit(ANSWER_MAX);
            // It was taken, whatever comes after that.
            let (rejected, why) = rejected(signal, &body.read_to_vec().unwrap_or_default());
            Answer::Taken { rejected, why }
        }
        429 | 502 | 503 | 504 => {
            let header = response.headers().get("retry-after");
            let header = header.and_then(|value| value.to_str().ok());
            Answer::Later {
                why: why(),
                asked: header.and_then(|header| asked(header, SystemTime::now())),
            }
        }
        _ => Answer::Refused { why: why() },
    }
}

/// How many items of a request the collector says that it did not take, and why.
fn rejected(signal: Signal, body: &[u8]) -> (u64, String) {
    let partial = match signal {
        Signal::Metrics => ExportMetricsServiceResponse::decode(body)
            .ok()
            .and_then(|response| response.partial_success)
            .map(|partial| (partial.rejected_data_points, partial.error_message)),
        Signal::Spans => ExportTraceServiceResponse::decode(body)
            .ok()
            .and_then(|response| response.partial_success)
            .map(|partial| (partial.rejected_spans, partial.error_message)),
    };
    let (rejected, why) = partial.unwrap_or_default();
    (u64::try_from(rejected).unwrap_or(0), why)
}
