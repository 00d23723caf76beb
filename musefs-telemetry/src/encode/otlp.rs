//! Snapshots and operations as messages of OTLP, the protocol of `OpenTelemetry`: pure functions, as the other encoders are.
//!
//! A metric is called as in every other format. Whatever is absent from a snapshot is absent here. Source: the OTLP
//! specification 1.x and its published message types.

mod metrics;
mod spans;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;

pub use metrics::{HistogramForm, Window, metrics, point_count};
pub use spans::{Anchor, spans};

/// Whose numbers and operations they are: the same in every message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    service: String,
    version: String,
    labels: Vec<(String, String)>,
    /// What tells this instance from all others, later ones with the same labels included.
    instance: u64,
}

impl Origin {
    /// The instance of `service`, of this `version`, that `labels` name and that began at `started`.
    pub fn new(
        service: impl Into<String>,
        version: impl Into<String>,
        labels: &[(String, String)],
        started: SystemTime,
    ) -> Self {
        let service = service.into();
        let mut hash = Fnv::new();
        hash.text(&service);
        for (name, value) in labels {
            hash.text(name);
            hash.text(value);
        }
        hash.number(unix_ns(started));
        Self {
            service,
            version: version.into(),
            labels: labels.to_vec(),
            instance: hash.value(),
        }
    }

    /// The attribute `service.instance.id`: 16 hexadecimal digits.
    pub fn instance_id(&self) -> String {
        format!("{:016x}", self.instance)
    }

    /// The trace of the request `request_id`: the instance's id, then that of the request.
    pub fn trace_id(&self, request_id: u64) -> [u8; 16] {
        (u128::from(self.instance) << 64 | u128::from(request_id)).to_be_bytes()
    }

    fn resource(&self) -> Resource {
        let own = [
            text("service.name", &self.service),
            text("service.version", &self.version),
            text("service.instance.id", self.instance_id()),
        ];
        let labels = self.labels.iter().map(|(name, value)| text(name, value));
        Resource {
            attributes: own.into_iter().chain(labels).collect(),
            ..Resource::default()
        }
    }
}

/// This engine, which every number comes from.
fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: env!("CARGO_PKG_NAME").into(),
        version: env!("CARGO_PKG_VERSION").into(),
        ..InstrumentationScope::default()
    }
}

/// Nanoseconds since 1970; 0 before.
pub(crate) fn unix_ns(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn attribute(key: &str, value: Any) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Any::StringValue(value.into()))
}

fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Any::IntValue(value))
}

/// The 64-bit FNV-1a hash: the same in every build, and never 0, which no id may be.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
        // So that two texts in a row are not the same as others that are cut elsewhere.
        self.bytes(&[0xff]);
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_be_bytes());
    }

    fn value(&self) -> u64 {
        self.0.max(1)
    }
}

#[cfg(test)]
mod tests;
