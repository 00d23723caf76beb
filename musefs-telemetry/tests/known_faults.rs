//! Faults of other telemetry designs that concern numbers, each as a test that ours does not have it. Three are elsewhere: that
//! shards share cache lines, beside the slabs; that reading allocates at each tick, in `allocation.rs`; that a build without
//! counting leaves the names of run time behind, in `machine_code.rs`. Those that concern events are in `completions.rs`, in
//! `bridges.rs` and beside `events`.

#![cfg(feature = "stats")]

use std::sync::Arc;
use std::thread;

use musefs_telemetry::clock::ManualClock;
use musefs_telemetry::dynamic::{DYNAMIC_MAX, OVERFLOW_ID};
use musefs_telemetry::encode::{openmetrics, prometheus};
use musefs_telemetry::report::{Collector, Offered, Reporter};
use musefs_telemetry::snapshot::Value;
use musefs_telemetry::{
    Buckets, Completion, DescribeError, Engine, Family, Kind, Label, Ops, Outcome, Temporality,
    Unit, stats,
};

static EVENTS: Family = Family::counter("events_total", "Events.").with_labels(&[Label {
    name: "kind",
    values: &["a", "b"],
}]);

static SIZES: Family = Family::of(
    "sizes_bytes",
    "Sizes.",
    Kind::Histogram(Buckets::powers_of_two(1, 1 << 20)),
)
.with_unit(Unit::Bytes);

fn text_of(engine: &Engine) -> String {
    let mut text = String::new();
    prometheus::Writer::new(&mut text, engine.attributes()).snapshot(&engine.snapshot());
    text
}

/// The numbers of all lines that begin with `start`.
fn numbers(text: &str, start: &str) -> Vec<f64> {
    text.lines()
        .filter(|line| line.starts_with(start))
        .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
        .collect()
}

#[test]
fn totals_are_not_one_cell_that_every_thread_hits() {
    let engine = Engine::new();
    let events = engine.counters(&EVENTS).unwrap();
    let barrier = std::sync::Barrier::new(4);
    let shards = thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                events.add(0, 10);
                barrier.wait();
                barrier.wait();
            });
        }
        barrier.wait();
        let shards = events.per_shard(0);
        barrier.wait();
        shards
    });
    let counted = shards[2..].iter().filter(|&&count| count == 10).count();
    assert_eq!(
        counted, 3,
        "each living thread has a shard of its own: {shards:?}"
    );
    assert_eq!(events.per_shard(0).iter().sum::<u64>(), events.value(0));
}

#[test]
fn bounds_that_are_written_as_le_are_inclusive() {
    let engine = Engine::new();
    let sizes = engine.histogram(&SIZES).unwrap();
    for power in 0..=20 {
        sizes.record(1 << power);
    }
    let text = text_of(&engine);
    for power in 0..=20_u32 {
        let below = numbers(
            &text,
            &format!("sizes_bytes_bucket{{le=\"{}\"}}", 1 << power),
        );
        assert_eq!(below, [f64::from(power + 1)], "2^{power}\n{text}");
    }
}

#[test]
fn count_is_the_bucket_without_a_bound() {
    let engine = Engine::new();
    let sizes = engine.histogram(&SIZES).unwrap();
    thread::scope(|scope| {
        let recording = scope.spawn(|| {
            for value in 0..200_000 {
                sizes.record(value * 17);
            }
        });
        while !recording.is_finished() {
            let text = text_of(&engine);
            let all = numbers(&text, "sizes_bytes_bucket{le=\"+Inf\"}");
            assert_eq!(all, numbers(&text, "sizes_bytes_count"));
            let buckets = numbers(&text, "sizes_bytes_bucket");
            assert!(buckets.is_sorted(), "{buckets:?}");
        }
    });
}

#[test]
fn exhaustion_does_not_panic_and_is_counted() {
    let engine = Engine::new();
    let registered: Vec<_> = (0..DYNAMIC_MAX + 5)
        .map(|number| {
            let name = format!("things_{number}_total");
            engine.register_counter(&name, "Things.").unwrap()
        })
        .collect();
    let without_room = registered.iter().filter(|one| one.id() == OVERFLOW_ID);
    assert_eq!(without_room.count(), 5);
    registered.last().unwrap().add(7);
    let text = text_of(&engine);
    assert_eq!(numbers(&text, "telemetry_overflow_total"), [7.0]);
    assert_eq!(numbers(&text, "telemetry_overflowed_total"), [5.0]);
}

#[test]
fn one_name_is_one_kind() {
    let engine = Engine::new();
    let again = |engine: &Engine| {
        engine.register_histogram("work", "Work.", Unit::None, Buckets::powers_of_two(1, 8))
    };
    engine.register_gauge("work", "Work.").unwrap();
    let clash = DescribeError::Clash {
        name: "work".into(),
        what: "kind",
    };
    assert_eq!(again(&engine).unwrap_err(), clash);
    assert!(engine.register_counter("work_total", "Work.").is_err());
    engine.counters(&EVENTS).unwrap();
    assert!(engine.register_counter("events_total", "Events.").is_err());
    assert!(engine.register_gauge("events", "Events.").is_err());
}

#[test]
fn a_reader_needs_nothing_of_a_blocked_writer() {
    let engine = Engine::new();
    let events = engine.counters(&EVENTS).unwrap();
    let (go_on, blocked) = std::sync::mpsc::channel::<()>();
    let (counted, ready) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        let events = &events;
        scope.spawn(move || {
            events.add(1, 3);
            counted.send(()).unwrap();
            // As in a read that never returns.
            let _ = blocked.recv();
        });
        ready.recv().unwrap();
        let mut cursor = engine.cursor(Temporality::Delta);
        let batch = cursor.batch();
        assert_eq!(batch.snapshot().value(&EVENTS, 1), Some(3));
        batch.commit();
        assert_eq!(cursor.batch().snapshot().value(&EVENTS, 1), Some(0));
        drop(go_on);
    });
}

#[test]
fn text_has_no_timestamps() {
    let engine = Engine::new();
    engine.counters(&EVENTS).unwrap().add(0, 1);
    engine.histogram(&SIZES).unwrap().record(3);
    for line in text_of(&engine)
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        assert_eq!(line.split(' ').count(), 2, "{line}");
    }
}

#[test]
fn a_distribution_has_buckets() {
    let engine = Engine::new();
    engine.histogram(&SIZES).unwrap().record(300);
    let mut text = String::new();
    openmetrics::encode(&mut text, &engine.snapshot(), &[]);
    assert!(
        text.contains("sizes_bytes_bucket{le=\"512.0\"} 1\n"),
        "{text}"
    );
}

#[test]
fn a_full_queue_loses_nothing() {
    let engine = Engine::new();
    let events = engine.counters(&EVENTS).unwrap();
    let (mut collector, queue) = Collector::new(engine.cursor(Temporality::Delta).sparse(), 1);
    assert_eq!(collector.collect(), Offered::Nothing);
    let mut offered = Vec::new();
    for amount in [1, 2, 4] {
        events.add(0, amount);
        offered.push(collector.collect());
    }
    assert_eq!(offered, [Offered::Queued, Offered::Full, Offered::Full]);
    assert_eq!(queue.recv().unwrap().value(&EVENTS, 0), Some(1));
    assert_eq!(collector.collect(), Offered::Queued);
    assert_eq!(queue.recv().unwrap().value(&EVENTS, 0), Some(6));
    drop(queue);
    events.add(0, 1);
    assert_eq!(collector.collect(), Offered::Closed);
}

#[test]
fn a_reader_does_not_take_from_another() {
    static SPREAD: Family = Family::of("spread", "Spread.", Kind::MinMaxSumCount);
    let clock = Arc::new(ManualClock::default());
    let engine = Engine::builder()
        .clock(clock.clone())
        .extremes_window_ns(100)
        .build()
        .unwrap();
    let spread = engine.min_max_sum_counts(&SPREAD).unwrap();
    spread.record(0, 5);
    spread.record(0, 9);
    let extremes = |engine: &Engine| {
        let snapshot = engine.snapshot();
        let Some(Value::MinMaxSumCount { extremes, .. }) =
            snapshot.find("spread").unwrap().value(0)
        else {
            panic!("a sum with extremes")
        };
        extremes
    };
    assert_eq!(extremes(&engine), Some((5, 9)));
    assert_eq!(
        extremes(&engine),
        Some((5, 9)),
        "another reader sees the same"
    );
    clock.advance(100);
    assert_eq!(extremes(&engine), Some((5, 9)));
    spread.record(0, 7);
    assert_eq!(extremes(&engine), Some((5, 9)), "the window before counts");
    clock.advance(100);
    let _ = extremes(&engine);
    assert_eq!(extremes(&engine), Some((7, 7)));
    clock.advance(100);
    let _ = extremes(&engine);
    clock.advance(100);
    let _ = extremes(&engine);
    assert_eq!(extremes(&engine), None, "extremes pass");
}

#[test]
fn an_observed_total_that_falls_or_panics_is_no_falling_counter() {
    static SEEN: Family = Family::counter("seen_total", "Seen.");
    let engine = Engine::new();
    let told = std::sync::atomic::AtomicI64::new(10);
    let told = Arc::new(told);
    let tell = told.clone();
    engine
        .observe_counters(&SEEN, move |_| {
            let value = tell.load(std::sync::atomic::Ordering::Relaxed);
            assert!(value != 13, "on purpose");
            value
        })
        .unwrap();
    for (tells, expected) in [(10, 10), (4, 10), (13, 10), (11, 11)] {
        told.store(tells, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(engine.snapshot().value(&SEEN, 0), Some(expected));
    }
}

#[derive(Clone, Copy, musefs_telemetry::AttributeEnum)]
enum Op {
    Read,
}

fn operations(engine: &Engine) -> Ops<Op> {
    Ops::declare(engine, "shop", Buckets::powers_of_two(1, 1 << 30)).unwrap()
}

#[test]
fn no_id_and_no_stopwatch_is_paid_for_a_tier_that_nobody_times() {
    let clock = Arc::new(ManualClock::default());
    let engine = Engine::builder().clock(clock.clone()).build().unwrap();
    let ops = operations(&engine);
    let before = clock.reads();
    let mut scope = ops.scope(Op::Read);
    for _ in 0..5 {
        scope.tier("cache").finish(Outcome::Hit);
    }
    assert_eq!(
        scope.ctx().request_id,
        0,
        "nobody asked, so there is no number"
    );
    scope.finish(Completion::Ok);
    assert_eq!(clock.reads() - before, 2, "its beginning and its end");
}

#[test]
fn a_cancelled_operation_completes_and_no_operation_is_without_an_outcome() {
    let engine = Engine::new();
    let ops = operations(&engine);
    drop(ops.scope(Op::Read));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _scope = ops.scope(Op::Read);
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    ops.scope(Op::Read).finish(Completion::Ok);
    assert_eq!((ops.total(Op::Read), ops.errors(Op::Read)), (3, 2));
    let text = text_of(&engine);
    for (failure, count) in [("errno", 0.0), ("cancelled", 1.0), ("panicked", 1.0)] {
        let start = format!("shop_op_errors_total{{op=\"read\",failure=\"{failure}\"}}");
        assert_eq!(numbers(&text, &start), [count], "{text}");
    }
}

#[test]
fn data_that_was_not_delivered_is_not_dropped() {
    let engine = Engine::new();
    let events = engine.counters(&EVENTS).unwrap();
    let mut cursor = engine.cursor(Temporality::Delta).sparse();
    for failures in 1..=4 {
        events.add(0, 10);
        // Four failed sends in a row are no success: each batch holds all of it.
        let batch = cursor.batch();
        assert_eq!(batch.snapshot().value(&EVENTS, 0), Some(failures * 10));
    }
    let batch = cursor.batch();
    assert_eq!(batch.snapshot().value(&EVENTS, 0), Some(40));
    batch.commit();
    assert!(cursor.batch().is_empty());
}

#[test]
fn what_one_batch_told_does_not_leak_into_the_next() {
    let engine = Engine::new();
    let events = engine.counters(&EVENTS).unwrap();
    let sizes = engine.histogram(&SIZES).unwrap();
    let mut cursor = engine.cursor(Temporality::Delta).sparse();
    events.add(1, 7);
    cursor.batch().commit();
    sizes.record(3);
    let batch = cursor.batch();
    let told: Vec<_> = batch
        .snapshot()
        .families()
        .map(|metric| metric.family().name)
        .collect();
    assert_eq!(told, ["sizes_bytes"]);
    batch.commit();
    assert!(cursor.batch().is_empty());
}

#[test]
fn a_stop_while_the_queue_is_full_ends_the_reporting() {
    let engine = Engine::new();
    let events = engine.counters(&EVENTS).unwrap();
    let (mut collector, queue) = Collector::new(engine.cursor(Temporality::Delta).sparse(), 1);
    events.add(0, 1);
    assert_eq!(collector.collect(), Offered::Queued);
    let reporter = Reporter::start(collector, std::time::Duration::from_millis(1)).unwrap();
    events.add(0, 2);
    let rest = reporter.stop().expect("the queue has room for one");
    assert_eq!(rest.value(&EVENTS, 0), Some(2));
    events.add(0, 4);
    let delivered: Vec<_> = queue
        .iter()
        .map(|report| report.value(&EVENTS, 0))
        .collect();
    assert_eq!(delivered, [Some(1)], "and nothing comes after the stop");
}

#[test]
fn a_set_does_not_grow_without_bound() {
    let engine = Engine::new();
    let families = |engine: &Engine| engine.snapshot().families().count();
    for number in 0..DYNAMIC_MAX {
        let name = format!("grown_{number}");
        engine.register_gauge(&name, "Grown.").unwrap();
    }
    let full = families(&engine);
    for number in 0..DYNAMIC_MAX {
        let name = format!("grown_more_{number}");
        engine.register_gauge(&name, "Grown.").unwrap();
    }
    assert_eq!(families(&engine), full);
    let text = text_of(&engine);
    let refused = numbers(&text, "telemetry_overflowed_total");
    assert_eq!(refused.len(), 1);
    assert!(refused[0] >= f64::from(u32::try_from(DYNAMIC_MAX).unwrap()));
}

#[test]
fn no_nan_ends_a_cycle_or_comes_out_of_it() {
    let engine = Engine::new();
    let sizes = engine.histogram(&SIZES).unwrap();
    for empty in [true, false] {
        if !empty {
            sizes.record(5);
        }
        for q in [f64::NAN, f64::INFINITY, -0.1, 1.1] {
            assert_eq!(sizes.quantile(q), None);
        }
        let mut text = text_of(&engine);
        stats::dump_text(&mut text, &engine.snapshot());
        assert!(!text.contains("NaN"), "{text}");
    }
    assert_eq!(sizes.quantile(0.5), Some(8));
}
