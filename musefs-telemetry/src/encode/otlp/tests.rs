use std::sync::Arc;

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric as Message, NumberDataPoint, number_data_point::Value as Number,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use proptest::prelude::*;

use super::*;
use crate::clock::ManualClock;
use crate::events::OperationRecord;
use crate::{
    AttributeEnum, Buckets, Completion, Ctx, Engine, Family, Kind, Label, Ops, Outcome, Scope,
    Temporality, Unit,
};

static READS: Family = Family::counter("reads_total", "Reads.").with_labels(&[Label {
    name: "source",
    values: &["memory", "disk"],
}]);
static BUSY: Family = Family::counter("busy_seconds_total", "Busy.").with_unit(Unit::Seconds);
static OPEN: Family = Family::gauge("open", "Open.");
static SIZE: Family = Family::gauge("size_bytes", "Size.").with_unit(Unit::Bytes);
static TOOK: Family = Family::of(
    "took_seconds",
    "Took.",
    Kind::Histogram(Buckets::powers_of_two(1_000, 1 << 30).with_scale(1)),
)
.with_unit(Unit::Seconds);
static LOAD: Family =
    Family::of("load_seconds", "Load.", Kind::MinMaxSumCount).with_unit(Unit::Seconds);

const SECOND: u64 = 1_000_000_000;

fn origin() -> Origin {
    let labels = [("mount".to_owned(), "/m".to_owned())];
    Origin::new("shop", "1.2", &labels, UNIX_EPOCH + Duration::from_secs(5))
}

fn window(temporality: Temporality) -> Window {
    Window {
        temporality,
        since_ns: 0,
        time_ns: 100 * SECOND,
        histograms: HistogramForm::Explicit,
    }
}

fn encoded(engine: &Engine, window: &Window) -> Vec<Message> {
    let request = metrics(&origin(), &engine.snapshot(), window);
    let [of_resource] = &request.resource_metrics[..] else {
        panic!("one resource");
    };
    of_resource.scope_metrics[0].metrics.clone()
}

fn find<'a>(messages: &'a [Message], name: &str) -> &'a Message {
    let found = messages.iter().find(|message| message.name == name);
    found.unwrap_or_else(|| panic!("no {name}"))
}

fn value(point: &NumberDataPoint) -> f64 {
    match point.value.unwrap() {
        Number::AsInt(value) => f64::from(i32::try_from(value).unwrap()),
        Number::AsDouble(value) => value,
    }
}

#[test]
fn every_kind_of_metric_has_its_message() {
    let engine = Engine::builder()
        .clock(Arc::new(ManualClock::default()))
        .build()
        .unwrap();
    engine.counters(&READS).unwrap().add(1, 3);
    engine.counter(&BUSY).unwrap().add(1_500_000_000);
    let open = engine.up_down_counter(&OPEN).unwrap();
    open.add(2);
    let size = engine.gauge(&SIZE).unwrap();
    size.clear();
    let load = engine.min_max_sum_counts(&LOAD).unwrap();
    load.record(0, 2 * SECOND);
    load.record(0, 3 * SECOND);

    let messages = encoded(&engine, &window(Temporality::Cumulative));
    let reads = find(&messages, "reads_total");
    assert_eq!(
        (reads.unit.as_str(), reads.description.as_str()),
        ("", "Reads.")
    );
    let Some(Data::Sum(sum)) = &reads.data else {
        panic!("{reads:?}");
    };
    assert!(sum.is_monotonic);
    let cumulative = AggregationTemporality::Cumulative;
    assert_eq!(sum.aggregation_temporality(), cumulative);
    let values: Vec<f64> = sum.data_points.iter().map(value).collect();
    assert_eq!(values, [0.0, 3.0]);
    assert_eq!(
        sum.data_points[1].attributes,
        [text("source", "disk")],
        "labels are attributes"
    );
    assert_eq!(sum.data_points[1].time_unix_nano, 100 * SECOND);

    let busy = find(&messages, "busy_seconds_total");
    let Some(Data::Sum(sum)) = &busy.data else {
        panic!("{busy:?}");
    };
    assert_eq!((busy.unit.as_str(), value(&sum.data_points[0])), ("s", 1.5));
    let Some(Data::Sum(level)) = &find(&messages, "open").data else {
        panic!("a level is a sum that falls");
    };
    assert!(!level.is_monotonic);
    assert!(
        !messages.iter().any(|m| m.name == "size_bytes"),
        "a gauge that nobody knows is absent"
    );
    size.set(-7);
    let messages = encoded(&engine, &window(Temporality::Delta));
    let size = find(&messages, "size_bytes");
    let Some(Data::Gauge(gauge)) = &size.data else {
        panic!("{size:?}");
    };
    assert_eq!(
        (size.unit.as_str(), value(&gauge.data_points[0])),
        ("By", -7.0)
    );
    let Some(Data::Sum(level)) = &find(&messages, "open").data else {
        panic!("a level is a sum that falls");
    };
    assert_eq!(level.aggregation_temporality(), cumulative);

    let Some(Data::Histogram(summary)) = &find(&messages, "load_seconds").data else {
        panic!("sums and counts");
    };
    let point = &summary.data_points[0];
    assert_eq!(
        (point.count, point.sum, point.min, point.max),
        (2, Some(5.0), None, None)
    );
    for (name, expected) in [("load_seconds_min", 2.0), ("load_seconds_max", 3.0)] {
        let Some(Data::Gauge(extreme)) = &find(&messages, name).data else {
            panic!("{name}");
        };
        assert_eq!(
            value(&extreme.data_points[0]).to_bits(),
            f64::to_bits(expected)
        );
    }
}

#[test]
fn totals_count_from_the_declaration_or_from_the_last_batch() {
    let clock = Arc::new(ManualClock::default());
    let engine = Engine::builder().clock(clock.clone()).build().unwrap();
    clock.advance(7 * SECOND);
    engine.counters(&READS).unwrap().add(0, 1);
    let start = |temporality, since_ns| {
        let messages = encoded(
            &engine,
            &Window {
                since_ns,
                ..window(temporality)
            },
        );
        let Some(Data::Sum(sum)) = &find(&messages, "reads_total").data else {
            panic!("a sum");
        };
        sum.data_points[0].start_time_unix_nano / SECOND
    };
    assert_eq!(start(Temporality::Cumulative, 50 * SECOND), 7);
    assert_eq!(start(Temporality::Delta, 50 * SECOND), 50);
    assert_eq!(start(Temporality::Delta, 0), 7);
}

#[test]
fn a_resource_says_whose_numbers_they_are() {
    let request = metrics(
        &origin(),
        &Engine::new().snapshot(),
        &window(Temporality::Delta),
    );
    let resource = request.resource_metrics[0].resource.clone().unwrap();
    assert_eq!(
        resource.attributes,
        [
            text("service.name", "shop"),
            text("service.version", "1.2"),
            text("service.instance.id", origin().instance_id()),
            text("mount", "/m"),
        ]
    );
    let later = Origin::new("shop", "1.2", &[("mount".into(), "/m".into())], UNIX_EPOCH);
    assert_ne!(later.instance_id(), origin().instance_id());
    assert_eq!(origin().instance_id(), origin().instance_id());
}

/// What a bucket of an exponential histogram claims: above the first number, not above the second.
fn claimed(scale: i32, index: i32) -> (f64, f64) {
    let bound = |index: i32| (f64::from(index) / f64::from(scale).exp2()).exp2();
    (bound(index), bound(index + 1))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_value_is_in_a_bucket_that_claims_it(value in prop_oneof![0_u64..5_000, any::<u64>().prop_map(|v| v >> 20)]) {
        let engine = Engine::new();
        engine.histogram(&TOOK).unwrap().record(value);
        let explicit = encoded(&engine, &window(Temporality::Cumulative));
        let Some(Data::Histogram(histogram)) = &find(&explicit, "took_seconds").data else {
            panic!("a histogram");
        };
        let point = &histogram.data_points[0];
        #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
        let (cells, seconds) = (value as f64, value as f64 / 1e9);
        prop_assert_eq!(point.count, 1);
        prop_assert_eq!(point.sum, Some(seconds));
        prop_assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
        prop_assert!(point.explicit_bounds.is_sorted_by(|a, b| a < b));
        let bucket = point.bucket_counts.iter().position(|count| *count == 1).unwrap();
        prop_assert!(point.explicit_bounds.get(bucket).is_none_or(|bound| seconds <= *bound));
        prop_assert!(bucket == 0 || seconds > point.explicit_bounds[bucket - 1]);

        let form = Window { histograms: HistogramForm::Exponential, ..window(Temporality::Cumulative) };
        let powers = encoded(&engine, &form);
        let message = find(&powers, "took_nanoseconds");
        prop_assert_eq!(message.unit.as_str(), "ns");
        let Some(Data::ExponentialHistogram(histogram)) = &message.data else {
            panic!("an exponential histogram");
        };
        let point = &histogram.data_points[0];
        prop_assert_eq!((point.count, point.sum, point.scale), (1, Some(cells), 1));
        match &point.positive {
            None => prop_assert!(point.zero_count == 1 && cells <= point.zero_threshold),
            Some(buckets) => {
                prop_assert_eq!(&buckets.bucket_counts, &[1]);
                let (above, up_to) = claimed(point.scale, buckets.offset);
                prop_assert!(cells > above, "{} is not above {}", cells, above);
                // What is beyond the range is in the bucket that follows it.
                prop_assert!(cells <= up_to || above >= f64::from(1 << 30));
            }
        }
    }
}

#[derive(Clone, Copy, AttributeEnum)]
enum Op {
    Read,
    Refresh,
}

/// What became of `work`, as spans, with the clock and operations to do it with.
fn spans_of(work: impl FnOnce(&ManualClock, &Ops<Op>)) -> Vec<Span> {
    let clock = Arc::new(ManualClock::default());
    clock.advance(10 * SECOND);
    let engine = Engine::builder().clock(clock.clone()).build().unwrap();
    let ops: Ops<Op> =
        Ops::declare(&engine, "shop", Buckets::powers_of_two(1 << 10, 1 << 30)).unwrap();
    ops.set_slow_ns(0);
    work(&clock, &ops);
    clock.advance(SECOND);
    let operations: Vec<OperationRecord> = engine.events().slow();
    let request = spans(&origin(), &operations, Anchor::of(&*clock), |event| {
        vec![("about", event.subject.to_string())]
    });
    request.resource_spans[0].scope_spans[0].spans.clone()
}

fn told<'a>(span: &'a Span, key: &str) -> Option<&'a Any> {
    let attribute = span.attributes.iter().find(|own| own.key == key)?;
    attribute.value.as_ref()?.value.as_ref()
}

#[test]
fn an_operation_is_a_span_whose_ids_tell_the_request() {
    let spans = spans_of(|clock, ops| {
        let mut scope = Scope::begin(ops, Op::Read, Ctx::request(0, 42));
        scope.set_subject(7);
        scope.set_process(99);
        scope.tier("header_cache").finish(Outcome::Miss);
        clock.advance(5);
        let tier = scope.tier("store").timed();
        clock.advance(10);
        tier.finish(Outcome::Ok);
        scope.phase("queue", 3);
        scope.phase("backing", 4);
        scope.finish(Completion::Errno(5));
    });
    let [read, store, queue, backing] = &spans[..] else {
        panic!("{spans:?}");
    };
    let trace = format!("{}{:016x}", origin().instance_id(), 42);
    let hex = u128::from_be_bytes(read.trace_id.clone().try_into().unwrap());
    let hex = format!("{hex:032x}");
    assert_eq!(hex, trace);
    assert_eq!(read.span_id, 42_u64.to_be_bytes());
    assert!(read.parent_span_id.is_empty());
    assert_eq!(
        (read.name.as_str(), read.kind()),
        ("read", SpanKind::Server)
    );
    let times = |span: &Span| (span.start_time_unix_nano, span.end_time_unix_nano);
    // The date is known to the millisecond, what lies between two moments to the nanosecond.
    let began = times(read).0;
    assert!(began.abs_diff(10 * SECOND) < 1_000_000, "{began}");
    assert_eq!(times(read).1, began + 15);
    let status = read.status.as_ref().unwrap();
    assert_eq!((status.message.as_str(), status.code), ("errno 5", 2));
    let text = |text: &str| Any::StringValue(text.into());
    for (key, value) in [
        ("request_id", text("42")),
        ("outcome", text("errno")),
        ("errno", Any::IntValue(5)),
        ("process", Any::IntValue(99)),
        ("tier.header_cache", text("miss")),
        ("about", text("7")),
        ("tiers", Any::IntValue(4)),
    ] {
        assert_eq!(told(read, key), Some(&value), "{key}");
    }
    assert_eq!(times(store), (began + 5, began + 15));
    assert_eq!(
        (times(queue), times(backing)),
        ((began, began + 3), (began + 3, began + 7))
    );
    assert_eq!(told(store, "summed"), Some(&Any::BoolValue(false)));
    assert_eq!(told(backing, "summed"), Some(&Any::BoolValue(true)));
    let mut ids = vec![];
    for tier in [store, queue, backing] {
        assert_eq!(tier.parent_span_id, read.span_id);
        assert_eq!(tier.trace_id, read.trace_id);
        assert_eq!(tier.kind(), SpanKind::Internal);
        ids.push(&tier.span_id);
    }
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[test]
fn work_for_others_is_found_by_the_request_it_belongs_to() {
    let spans = spans_of(|clock, ops| {
        let leader = Ctx::request(0, 42);
        let mut follower = Scope::begin(ops, Op::Read, Ctx::request(0, 44));
        follower.coalesce(leader);
        clock.advance(1);
        follower.finish(Completion::Ok);
        let triggered = Scope::begin(ops, Op::Refresh, leader.triggers());
        clock.advance(1);
        triggered.finish(Completion::Ok);
        let alone = Scope::begin(ops, Op::Refresh, Ctx::BACKGROUND);
        clock.advance(1);
        alone.finish(Completion::Ok);
    });
    let [follower, triggered, alone] = &spans[..] else {
        panic!("{spans:?}");
    };
    let of_leader = origin().trace_id(42).to_vec();
    assert_eq!(follower.links[0].trace_id, of_leader);
    assert_eq!(follower.links[0].span_id, 42_u64.to_be_bytes());
    assert_eq!(told(follower, "coalesced"), Some(&Any::BoolValue(true)));
    assert_eq!(follower.status, None);
    assert_eq!(triggered.trace_id, of_leader);
    assert_eq!(triggered.parent_span_id, 42_u64.to_be_bytes());
    assert_eq!(triggered.kind(), SpanKind::Internal);
    assert_ne!(alone.trace_id, of_leader);
    assert!(alone.parent_span_id.is_empty());
    assert!(alone.links.is_empty());
}
