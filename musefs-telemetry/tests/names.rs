//! Each concept under the name that its readers look for, doing what the name says.

#![cfg(feature = "stats")]

use musefs_telemetry::describe::{
    AttributesDescriptor, ClosedSet as _, MetricsDescriptor, MetricsField,
};
use musefs_telemetry::dynamic::{DynCounter, DynGauge, DynHistogram, DynOp};
use musefs_telemetry::metrics::MAX_SHARDS;
use musefs_telemetry::stats::{self, Stats};
use musefs_telemetry::{
    AttributeEnum, AttributeSet, Buckets, Completion, Counters, Engine, MetricSet, Unit,
    attribute_set, metric_set, register_op,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
enum Op {
    Read,
    Open,
}

#[metric_set(prefix = "shop", instrument = "counter")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counter {
    /// Customers that came in.
    Customers,
    /// What was sold.
    #[metric(unit = "bytes")]
    Sold,
}

#[metric_set(prefix = "shop", instrument = "gauge")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gauge {
    /// Customers that are inside.
    Inside,
}

fn shop() -> (Engine, Stats<Op, Counter, Gauge>) {
    let engine = Engine::new();
    let stats = Stats::declare(&engine, "shop").unwrap();
    (engine, stats)
}

#[test]
fn closed_sets_know_all_of_themselves() {
    assert_eq!((Op::COUNT, Counter::COUNT, Gauge::COUNT), (2, 2, 1));
    assert_eq!(Op::ALL, [Op::Read, Op::Open]);
    assert_eq!(Op::ALL.map(Op::name), ["read", "open"]);
    assert_eq!(Counter::ALL, [Counter::Customers, Counter::Sold]);
    let names: Vec<_> = Counter::ALL.iter().map(|counter| counter.name()).collect();
    assert_eq!(names, ["shop_customers_total", "shop_sold_bytes_total"]);
    assert_eq!(Gauge::Inside.name(), "shop_inside");
}

#[test]
fn what_is_written_by_name_is_read_by_name() {
    let (engine, stats) = shop();
    stats.tick_counter(Counter::Customers);
    stats.add_counter(Counter::Sold, 41);
    stats.tick_counter(Counter::Sold);
    stats.set_gauge(Gauge::Inside, 5);
    stats.incr_gauge(Gauge::Inside);
    stats.decr_gauge(Gauge::Inside);
    stats.decr_gauge(Gauge::Inside);
    assert_eq!(stats.counter(Counter::Customers), 1);
    assert_eq!(stats.counter(Counter::Sold), 42);
    assert_eq!(stats.gauge(Gauge::Inside), 4);
    let mut text = String::new();
    stats::dump_text(&mut text, &engine.snapshot());
    assert!(text.contains("shop_sold_bytes_total  42\n"), "{text}");
    assert!(text.contains("shop_inside  4\n"), "{text}");
}

#[test]
fn an_operation_has_a_total_errors_buckets_and_quantiles() {
    let (engine, stats) = shop();
    for duration_us in 1..=100 {
        let failed = duration_us % 10 == 0;
        let completion = if failed {
            Completion::Errno(5)
        } else {
            Completion::Ok
        };
        stats.record_op(Op::Open, duration_us * 1_000, completion);
    }
    stats.record_op(Op::Open, 1_000, Completion::Cancelled);
    assert_eq!(
        (stats.op_total(Op::Open), stats.op_errors(Op::Open)),
        (101, 11)
    );
    assert_eq!(
        (stats.op_total(Op::Read), stats.op_errors(Op::Read)),
        (0, 0)
    );
    let buckets = stats.op_buckets(Op::Open);
    assert_eq!(buckets.iter().map(|(_, count)| count).sum::<u64>(), 101);
    // Of 1 µs twice, and 2 µs: a bound of 1.024 µs, then one of 2.048 µs.
    assert_eq!(&buckets[..2], [(Some(1_024), 2), (Some(2_048), 1)]);
    assert_eq!(buckets.last(), Some(&(None, 0)));
    assert_eq!(stats.op_quantile_ns(Op::Open, 0.5), Some(1 << 16));
    assert_eq!(stats.op_quantile_ns(Op::Open, 1.0), Some(1 << 17));
    assert_eq!(stats.op_quantile_ns(Op::Open, f64::NAN), None);
    assert_eq!(stats.op_quantile_ns(Op::Read, 0.5), None);
    let mut text = String::new();
    stats::dump_text(&mut text, &engine.snapshot());
    let line = text
        .lines()
        .find(|line| line.starts_with("shop_op_duration_seconds op=open "))
        .unwrap();
    assert!(
        line.contains("count 101 ") && line.contains("p50 65536 "),
        "{line}"
    );
    assert!(!text.contains("op=read"), "what is 0 is left out\n{text}");
}

#[test]
fn names_of_run_time_give_handles_that_read() {
    let engine = Engine::new();
    let counter: DynCounter = engine.register_counter("late_total", "Late.").unwrap();
    let gauge: DynGauge = engine.register_gauge("late_level", "Late.").unwrap();
    let buckets = Buckets::powers_of_two(1, 1 << 10);
    let histogram: DynHistogram = engine
        .register_histogram("late_bytes", "Late.", Unit::Bytes, buckets)
        .unwrap();
    counter.add(2);
    gauge.set(-3);
    for value in [1, 2, 3, 4_000] {
        histogram.record(value);
    }
    assert_eq!((counter.value(), gauge.value()), (2, -3));
    assert_eq!((histogram.count(), histogram.quantile(0.5)), (4, Some(2)));
    let told = histogram.buckets();
    assert_eq!(&told[..3], [(Some(1), 1), (Some(2), 1), (Some(4), 1)]);
    assert_eq!(told.last(), Some(&(None, 1)));
    let op: DynOp = register_op!(engine, "fetch").unwrap();
    op.record(2_000, true);
    assert_eq!((op.total(), op.errors()), (1, 1));
    assert_eq!(op.durations().quantile(0.99), Some(2_048));
}

#[attribute_set]
#[derive(Clone, Copy, Debug)]
struct Place {
    op: Op,
    under: Op,
}

#[metric_set(prefix = "place")]
#[derive(Debug)]
struct Places {
    /// Visits.
    visits: Counters<Place>,
}

#[test]
fn descriptors_tell_what_was_declared() {
    let set: &MetricsDescriptor = Places::DESCRIPTOR;
    let [visits]: &[MetricsField] = set.fields else {
        panic!("one metric")
    };
    assert_eq!((set.name, visits.name), ("Places", "place_visits_total"));
    let attributes: &AttributesDescriptor = Place::DESCRIPTOR;
    let labels: Vec<_> = attributes.labels.iter().map(|label| label.name).collect();
    assert_eq!((attributes.name, labels), ("Place", vec!["op", "under"]));
}

#[test]
fn shards_beyond_the_last_are_in_the_last() {
    let engine = Engine::new();
    let places = Places::declare(&engine).unwrap();
    let place = Place {
        op: Op::Read,
        under: Op::Open,
    };
    let threads = MAX_SHARDS + 20;
    let barrier = std::sync::Barrier::new(threads + 1);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            std::thread::Builder::new()
                .stack_size(64 << 10)
                .spawn_scoped(scope, || {
                    places.visits.increment(place);
                    barrier.wait();
                    barrier.wait();
                })
                .unwrap();
        }
        barrier.wait();
        let shards = places.visits.per_shard(place);
        assert_eq!(shards.len(), MAX_SHARDS);
        assert_eq!(shards.iter().sum::<u64>(), threads as u64);
        assert!(shards[MAX_SHARDS - 1] > 1, "{shards:?}");
        barrier.wait();
    });
}
