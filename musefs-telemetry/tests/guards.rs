//! What counts by scope, and the clock that all of it asks.

#![cfg(feature = "stats")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Barrier};
use std::thread;

use musefs_telemetry::clock::{Clock, ManualClock};
use musefs_telemetry::encode::{json, openmetrics, prometheus};
use musefs_telemetry::metrics::SampledTimer;
use musefs_telemetry::snapshot::Value;
use musefs_telemetry::{
    AttributeEnum, Buckets, Completion, Counter, Ctx, Engine, Family, Histogram, Kind, Label, Ops,
    Outcome, Unit,
};

static PASSES: Family = Family::counter("passes_total", "Passes.");
static DURATIONS: Family = Family::of(
    "pass_seconds",
    "How long one of some passes took.",
    Kind::Histogram(Buckets::powers_of_two(1, 1 << 30).with_scale(3)),
)
.with_unit(Unit::Seconds);
static OPEN: Family = Family::gauge("open", "Open.").with_labels(&[Label {
    name: "kind",
    values: &["file", "directory"],
}]);

fn engine() -> (Engine, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    let engine = Engine::builder().clock(clock.clone()).build().unwrap();
    (engine, clock)
}

/// How many durations were recorded, and their sum.
fn durations(engine: &Engine) -> (u64, u64) {
    let snapshot = engine.snapshot();
    let Some(Value::Histogram(durations)) = snapshot.find("pass_seconds").unwrap().value(0) else {
        panic!("a histogram")
    };
    (durations.count(), durations.sum())
}

fn timer(engine: &Engine, every: u64) -> (SampledTimer, Counter, Histogram) {
    let passes = engine.counter(&PASSES).unwrap();
    let histogram = engine.histogram(&DURATIONS).unwrap();
    let clock = Arc::clone(engine.clock());
    let timer = SampledTimer::new(passes.clone(), histogram.clone(), clock, every);
    (timer, passes, histogram)
}

#[test]
fn a_sampled_timer_counts_all_and_times_one_of_each() {
    let (engine, clock) = engine();
    let (timer, passes, _) = timer(&engine, 8);
    let reads = clock.reads();
    for _ in 0..1_000 {
        let pass = timer.start();
        clock.advance(40);
        drop(pass);
    }
    assert_eq!(passes.value(), 1_000);
    let read = clock.reads() - reads;
    assert_eq!(read, 250, "the clock is read twice for one pass of eight");
    let (count, sum) = durations(&engine);
    assert_eq!((count, sum), (125, 125 * 40));
    assert_eq!(sum * 8, 1_000 * 40, "times `every` is what all passes took");
}

#[test]
fn a_sampled_timer_is_exact_over_threads_and_picks_in_each() {
    let (engine, clock) = engine();
    let (timer, passes, _) = timer(&engine, 4);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..1_002).for_each(|_| drop(timer.start())));
        }
    });
    assert_eq!(passes.value(), 8 * 1_002);
    // The first pass of a thread is timed, so a started group of four counts as one.
    assert_eq!(durations(&engine), (8 * 251, 0));
    assert_eq!(clock.now_ns(), 0);
}

#[test]
fn a_timed_pass_that_panics_is_counted_and_timed() {
    let (engine, clock) = engine();
    let (timer, passes, _) = timer(&engine, 1);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _pass = timer.start();
        clock.advance(9);
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    assert_eq!(passes.value(), 1);
    assert_eq!(durations(&engine), (1, 9));
}

#[test]
fn one_of_no_power_of_two_is_a_fault_of_the_program() {
    let (engine, _) = engine();
    let made = catch_unwind(AssertUnwindSafe(|| timer(&engine, 3)));
    let message = *made.unwrap_err().downcast::<&str>().unwrap();
    assert_eq!(message, "one of a power of two");
}

#[test]
fn what_is_in_flight_ends_on_any_thread_and_by_any_way_out() {
    let (engine, _) = engine();
    let open = engine.up_down_counters(&OPEN).unwrap();
    let guards: Vec<_> = (0..10).map(|_| open.in_flight(1)).collect();
    assert_eq!((open.value(0), open.value(1)), (0, 10));
    // Each guard is dropped where it was not made, half of them by a panic.
    let threads = guards.into_iter().enumerate().map(|(number, guard)| {
        thread::spawn(move || {
            let _guard = guard;
            assert!(number % 2 == 0, "on purpose");
        })
    });
    let threads: Vec<_> = threads.collect();
    let panicked = threads
        .into_iter()
        .filter_map(|thread| thread.join().err())
        .count();
    assert_eq!(panicked, 5);
    assert_eq!(open.value(1), 0);
}

#[test]
fn what_is_in_flight_is_seen_while_it_is() {
    let (engine, _) = engine();
    let open = engine.up_down_counters(&OPEN).unwrap();
    let barrier = Barrier::new(9);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let _guard = open.in_flight(0);
                barrier.wait();
                barrier.wait();
            });
        }
        barrier.wait();
        assert_eq!(open.value(0), 8);
        assert_eq!(engine.snapshot().value(&OPEN, 0), Some(8));
        barrier.wait();
    });
    assert_eq!(open.value(0), 0);
}

#[derive(Clone, Copy, AttributeEnum)]
enum Op {
    Read,
}

/// Every time in every text, with all that can have one in it.
fn texts_at(clock: &Arc<ManualClock>) -> [String; 3] {
    static SPREAD: Family =
        Family::of("spread_seconds", "Spread.", Kind::MinMaxSumCount).with_unit(Unit::Seconds);
    let engine = Engine::builder()
        .clock(clock.clone())
        .extremes_window_ns(1_000)
        .build()
        .unwrap();
    let spread = engine.min_max_sum_counts(&SPREAD).unwrap();
    let (timer, ..) = timer(&engine, 1);
    let ops = Ops::<Op>::declare(&engine, "shop", Buckets::powers_of_two(1, 1 << 30)).unwrap();
    ops.set_slow_ns(1);
    let _entered = Ctx::request(0, 5).enter();
    let mut scope = ops.scope(Op::Read);
    let pass = timer.start();
    clock.advance(2_000_000);
    spread.record(0, 17);
    drop(pass);
    scope.tier("store").timed().finish(Outcome::Hit);
    scope.finish(Completion::Ok);
    // The reader's time decides when a window of extremes ends.
    let _ = engine.snapshot();
    let snapshot = engine.snapshot();
    let mut texts = [const { String::new() }; 3];
    let [classic, open, machine] = &mut texts;
    prometheus::Writer::new(classic, &[]).snapshot(&snapshot);
    openmetrics::encode(open, &snapshot, &[]);
    json::encode(machine, &snapshot, &[]);
    texts
}

#[test]
fn no_time_is_asked_of_another_clock() {
    let [first, second] = [(); 2].map(|()| {
        let clock = Arc::new(ManualClock::default());
        clock.advance(5_000_000_000);
        let texts = texts_at(&clock);
        // If anything asked the system's clock instead, this would be long enough to see.
        thread::sleep(std::time::Duration::from_millis(3));
        texts
    });
    assert_eq!(first, second);
    let open = &first[1];
    for expected in [
        "shop_ops_created{op=\"read\"} 5\n",
        "# {request_id=\"5\"} 0.002 5.002\n",
        "shop_op_duration_seconds_sum{op=\"read\"} 0.002\n",
        "pass_seconds_sum 0.002\n",
        "spread_seconds{quantile=\"1.0\"} 0.000000017\n",
    ] {
        assert!(open.contains(expected), "{expected}{open}");
    }
}
