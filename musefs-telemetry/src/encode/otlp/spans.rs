//! Operations as the spans of OTLP: one for each, and one below it for each tier whose duration is known.
//!
//! The ids are no dice: the trace of a request is the instance's id and the request's, and its span is the request's id. So
//! whoever knows a request from a log finds its span.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use super::{Fnv, Origin, attribute, number, scope, text};
use crate::clock::Clock;
use crate::event::{OperationEvent, OperationRecord, TierRecord, fields};
use crate::outcome::{Completion, Outcome};

/// Sampled; and it is known that the parent is none of another process.
const FLAGS: u32 = 0x101;

/// Whether a span is all of a kind of work that its operation did: how long that took is true, when it was is not told.
const SUMMED: &str = "summed";

/// What turns moments of an engine's clock into the date.
#[derive(Clone, Copy, Debug)]
pub struct Anchor {
    now_ns: u64,
    unix_ns: u64,
}

impl Anchor {
    /// The date of now.
    pub fn of(clock: &dyn Clock) -> Self {
        Self {
            now_ns: clock.now_ns(),
            unix_ns: clock.wall_ms().saturating_mul(1_000_000),
        }
    }

    fn unix_ns(self, moment_ns: u64) -> u64 {
        let ago_ns = self.now_ns.saturating_sub(moment_ns);
        let ahead_ns = moment_ns.saturating_sub(self.now_ns);
        self.unix_ns.saturating_sub(ago_ns).saturating_add(ahead_ns)
    }
}

/// `operations` as a request of a collector's trace service. `attributes` tells more of each, by name and value.
pub fn spans(
    origin: &Origin,
    operations: &[OperationRecord],
    anchor: Anchor,
    attributes: impl Fn(&OperationEvent<'_>) -> Vec<(&'static str, String)>,
) -> ExportTraceServiceRequest {
    let mut spans = Vec::new();
    for operation in operations {
        let event = operation.event();
        let encoding = Encoding {
            ids: Ids::of(origin, &event),
            start_ns: anchor.unix_ns(event.started_ns),
            origin,
            event: &event,
        };
        encoding.push(&mut spans, attributes(&event));
    }
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(origin.resource()),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope()),
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

/// Where a span belongs.
struct Ids {
    trace: [u8; 16],
    span: u64,
    /// 0 when there is none.
    parent: u64,
}

impl Ids {
    /// Work in the background belongs to the request that triggered it; when none did, to nothing but itself.
    fn of(origin: &Origin, event: &OperationEvent<'_>) -> Self {
        if event.request_id != 0 {
            return Self {
                trace: origin.trace_id(event.request_id),
                span: event.request_id,
                parent: 0,
            };
        }
        let mut hash = Fnv::new();
        hash.text(event.operation);
        for part in [event.cause, event.started_ns, event.duration_ns] {
            hash.number(part);
        }
        let span = hash.value();
        let trace = if event.cause == 0 { span } else { event.cause };
        Self {
            trace: origin.trace_id(trace),
            span,
            parent: event.cause,
        }
    }
}

fn id(number: u64) -> Vec<u8> {
    if number == 0 {
        Vec::new()
    } else {
        number.to_be_bytes().to_vec()
    }
}

struct Encoding<'a> {
    ids: Ids,
    start_ns: u64,
    origin: &'a Origin,
    event: &'a OperationEvent<'a>,
}

impl Encoding<'_> {
    fn push(&self, spans: &mut Vec<Span>, told: Vec<(&'static str, String)>) {
        let event = self.event;
        let mut attributes = self.attributes();
        attributes.extend(told.into_iter().map(|(name, value)| text(name, value)));
        let (kind, links) = (self.kind(), self.links());
        let place = spans.len();
        spans.push(Span {
            trace_id: self.ids.trace.to_vec(),
            span_id: id(self.ids.span),
            parent_span_id: id(self.ids.parent),
            flags: FLAGS,
            name: event.operation.into(),
            kind: kind.into(),
            start_time_unix_nano: self.start_ns,
            end_time_unix_nano: self.start_ns.saturating_add(event.duration_ns),
            links,
            status: event.failed.then(|| Status {
                message: event.outcome.to_string(),
                code: StatusCode::Error.into(),
            }),
            ..Span::default()
        });
        // Of what was only summed up it is not known when it was: it is laid out in its order.
        let mut laid_out_ns = 0;
        for (index, tier) in event.tiers.iter().enumerate() {
            let Some(duration_ns) = tier.duration_ns else {
                // Without its time it can be no span.
                attributes.push(text(&format!("tier.{}", tier.name), tier.outcome.name()));
                continue;
            };
            let began_ns = tier.began_ns.unwrap_or(laid_out_ns);
            if tier.began_ns.is_none() {
                laid_out_ns += duration_ns;
            }
            spans.push(self.tier(index, tier, began_ns, duration_ns));
        }
        spans[place].attributes = attributes;
    }

    fn kind(&self) -> SpanKind {
        if self.event.request_id == 0 {
            SpanKind::Internal
        } else {
            SpanKind::Server
        }
    }

    fn attributes(&self) -> Vec<KeyValue> {
        let event = self.event;
        let mut attributes = vec![text(fields::OUTCOME, event.outcome.name())];
        if let Completion::Errno(error) = event.outcome {
            attributes.push(number("errno", error.into()));
        }
        let ids = [
            (
                fields::REQUEST_ID,
                Some(event.id()).filter(|id| id.number != 0),
            ),
            (fields::CAUSE, event.cause_id()),
            (fields::LEADER, event.leader_id()),
        ];
        for (name, id) in ids {
            attributes.extend(id.map(|id| text(name, id.to_string())));
        }
        if event.process != 0 {
            attributes.push(number(fields::PROCESS, event.process.into()));
        }
        attributes.push(flag(fields::COALESCED, event.coalesced()));
        attributes.push(flag(fields::FALLBACK, event.fallback()));
        let tiers = i64::try_from(event.tier_count).unwrap_or(i64::MAX);
        attributes.push(number(fields::TIERS, tiers));
        attributes
    }

    /// Another request whose work answered this one.
    fn links(&self) -> Vec<Link> {
        let leader = self.event.leader;
        let link = (leader != 0).then(|| Link {
            trace_id: self.origin.trace_id(leader).to_vec(),
            span_id: id(leader),
            attributes: vec![flag(fields::LEADER, true)],
            flags: FLAGS,
            ..Link::default()
        });
        link.into_iter().collect()
    }

    fn tier(&self, index: usize, tier: &TierRecord, began_ns: u64, duration_ns: u64) -> Span {
        let mut hash = Fnv::new();
        hash.number(self.ids.span);
        hash.number(index as u64);
        let start_ns = self.start_ns.saturating_add(began_ns);
        Span {
            trace_id: self.ids.trace.to_vec(),
            span_id: id(hash.value()),
            parent_span_id: id(self.ids.span),
            flags: FLAGS,
            name: tier.name.into(),
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: start_ns,
            end_time_unix_nano: start_ns.saturating_add(duration_ns),
            attributes: vec![
                text(fields::OUTCOME, tier.outcome.name()),
                flag(fields::FALLBACK, tier.fallback),
                flag(SUMMED, tier.began_ns.is_none()),
            ],
            status: (tier.outcome == Outcome::Error).then(|| Status {
                message: tier.outcome.name().into(),
                code: StatusCode::Error.into(),
            }),
            ..Span::default()
        }
    }
}

fn flag(key: &str, value: bool) -> KeyValue {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    attribute(key, Value::BoolValue(value))
}
