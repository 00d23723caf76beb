//! Metrics of run time, and engines beside each other.

#![cfg(feature = "stats")]

use std::sync::Barrier;
use std::thread;

use musefs_telemetry::{
    Buckets, Completion, Engine, Family, MetricSet, Unit, metric_set, register_op,
};

#[test]
fn racing_registrations_give_one_id() {
    let engine = Engine::new();
    let barrier = Barrier::new(64);
    let ids: Vec<u32> = thread::scope(|scope| {
        let threads: Vec<_> = (0..64)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    let counter = engine.register_counter("raced_total", "Raced.").unwrap();
                    counter.increment();
                    counter.id()
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let counter = engine.register_counter("raced_total", "Raced.").unwrap();
    assert_eq!(counter.value(), 64);
}

#[test]
fn another_unit_is_a_clash() {
    let engine = Engine::new();
    let buckets = Buckets::powers_of_two(1, 8);
    engine
        .register_histogram("work_seconds", "Work.", Unit::Seconds, buckets)
        .unwrap();
    let again = engine.register_histogram("work_seconds", "Work.", Unit::None, buckets);
    assert_eq!(
        again.unwrap_err().to_string(),
        "`work_seconds` is already declared with another unit"
    );
    assert!(
        engine
            .register_histogram("other", "Work.", Unit::Bytes, buckets)
            .is_err()
    );
    assert!(engine.register_counter("Bad_total", "Bad.").is_err());
}

#[test]
fn an_operation_of_run_time_has_three_metrics() {
    let engine = Engine::new();
    let op = register_op!(engine, "fetch").unwrap();
    op.record(1_500, false);
    op.record(2_500, true);
    assert_eq!((op.total(), op.errors()), (2, 1));
    let site = || register_op!("fetch_of_the_process").unwrap();
    site().record(1, false);
    site().record(1, false);
    assert_eq!(site().total(), 2);
}

#[test]
fn two_engines_never_mix() {
    let (first, second) = (Engine::new(), Engine::new());
    let (ours, theirs) = (
        first.register_counter("mixed_total", "Mixed.").unwrap(),
        second.register_counter("mixed_total", "Mixed.").unwrap(),
    );
    thread::scope(|scope| {
        scope.spawn(|| (0..1_000).for_each(|_| ours.increment()));
        scope.spawn(|| (0..500).for_each(|_| theirs.increment()));
    });
    assert_eq!((ours.value(), theirs.value()), (1_000, 500));
}

/// The one line that adds a metric, with its doc comment.
#[metric_set(prefix = "shop")]
#[derive(Debug)]
struct Shop {
    /// Bytes that were sold.
    #[metric(unit = "bytes")]
    sold: musefs_telemetry::Counter,
}

#[test]
fn a_metric_of_one_line_is_everywhere() {
    let engine = Engine::builder()
        .attribute("mount", "music")
        .build()
        .unwrap();
    let shop = Shop::declare(&engine).unwrap();
    shop.sold.add(42);
    let snapshot = engine.snapshot();
    let mut text = String::new();
    musefs_telemetry::encode::prometheus::Writer::new(&mut text, engine.attributes())
        .snapshot(&snapshot);
    assert!(text.contains(
        "# HELP shop_sold_bytes_total Bytes that were sold.\n# TYPE shop_sold_bytes_total counter\n"
    ));
    assert!(
        text.contains("\nshop_sold_bytes_total{mount=\"music\"} 42\n"),
        "{text}"
    );
    text.clear();
    musefs_telemetry::encode::openmetrics::encode(&mut text, &snapshot, engine.attributes());
    assert!(text.contains("# UNIT shop_sold_bytes bytes\n"), "{text}");
    assert!(
        text.contains("\nshop_sold_bytes_total{mount=\"music\"} 42\n"),
        "{text}"
    );
    text.clear();
    musefs_telemetry::encode::json::encode(&mut text, &snapshot, engine.attributes());
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["families"][0]["series"][0]["value"], 42);
    let schema: serde_json::Value = serde_json::from_str(&engine.schema()).unwrap();
    assert_eq!(schema["families"][0]["name"], "shop_sold_bytes_total");
    assert_eq!(schema["families"][0]["help"], "Bytes that were sold.");
    assert!(Shop::declare(&engine).is_err(), "a name is declared once");
}

#[test]
fn an_engine_label_is_no_label_of_a_family() {
    static KINDS: Family =
        Family::counter("kinds_total", "Kinds.").with_labels(&[musefs_telemetry::Label {
            name: "mount",
            values: &["a"],
        }]);
    let engine = Engine::builder()
        .attribute("mount", "music")
        .build()
        .unwrap();
    assert!(engine.counters(&KINDS).is_err());
    assert!(Engine::builder().attribute("le", "1").build().is_err());
    assert!(
        Engine::builder()
            .attribute("a", "1")
            .attribute("a", "2")
            .build()
            .is_err()
    );
    let _ = Completion::Ok;
}
