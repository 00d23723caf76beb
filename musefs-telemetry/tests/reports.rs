//! The thread that reports: whatever its reader does, the batches and what is handed back at the end are what was counted.
//!
//! The intervals are a millisecond where a test waits for batches and an hour where it must not get one; no test measures time.

#![cfg(feature = "stats")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use musefs_telemetry::report::{Collector, Reporter};
use musefs_telemetry::{Counters, Engine, Family, Label, Snapshot, Temporality};

static EVENTS: Family = Family::counter("events_total", "Events.").with_labels(&[Label {
    name: "kind",
    values: &["a", "b"],
}]);

const SOON: Duration = Duration::from_millis(1);
const NEVER: Duration = Duration::from_secs(3_600);

fn counting() -> (Engine, Counters) {
    let engine = Engine::new();
    let events = engine.counters(&EVENTS).unwrap();
    (engine, events)
}

fn collector(
    engine: &Engine,
    reports_max: usize,
) -> (Collector, std::sync::mpsc::Receiver<Snapshot>) {
    Collector::new(engine.cursor(Temporality::Delta).sparse(), reports_max)
}

fn told(report: &Snapshot) -> u64 {
    report.value(&EVENTS, 0).unwrap_or(0)
}

#[test]
fn batches_come_by_themselves_and_add_up() {
    let (engine, events) = counting();
    let (collector, reports) = collector(&engine, 4);
    let reporter = Reporter::start(collector, SOON).unwrap();
    let mut sum = 0;
    for round in 1..=20 {
        events.add(0, 3);
        while sum < round * 3 {
            sum += told(&reports.recv().unwrap());
        }
        assert_eq!(sum, round * 3);
    }
    assert!(
        reporter.stop().is_none(),
        "everything was delivered already"
    );
    assert!(reports.try_iter().next().is_none());
}

#[test]
fn a_slow_reader_gets_few_batches_with_everything_in_them() {
    let (engine, events) = counting();
    let collects = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&collects);
    let cursor = engine.cursor(Temporality::Delta).sparse().filter(move |_| {
        seen.fetch_add(1, Relaxed);
        true
    });
    let (collector, reports) = Collector::new(cursor, 2);
    let reporter = Reporter::start(collector, SOON).unwrap();
    // The reader sleeps until the thread found the queue full many times.
    for _ in 0..10 {
        events.increment(0);
        let before = collects.load(Relaxed);
        while collects.load(Relaxed) < before + 2 {
            thread::yield_now();
        }
    }
    let rest = reporter.stop().expect("the queue is full");
    let batches: Vec<_> = reports.iter().map(|report| told(&report)).collect();
    assert_eq!(batches.len(), 2);
    assert_eq!(batches.iter().sum::<u64>() + told(&rest), 10);
}

#[test]
fn a_stop_delivers_what_no_interval_did() {
    let (engine, events) = counting();
    let (collector, reports) = collector(&engine, 1);
    let reporter = Reporter::start(collector, NEVER).unwrap();
    events.add(0, 7);
    assert!(reports.try_recv().is_err());
    assert!(reporter.stop().is_none());
    assert_eq!(reports.iter().map(|report| told(&report)).sum::<u64>(), 7);
}

#[test]
fn a_dropped_reporter_delivers_and_ends_its_thread() {
    let (engine, events) = counting();
    let (collector, reports) = collector(&engine, 1);
    let reporter = Reporter::start(collector, NEVER).unwrap();
    events.add(0, 7);
    drop(reporter);
    assert_eq!(told(&reports.recv().unwrap()), 7);
    assert!(
        reports.recv().is_err(),
        "the thread is gone, and its end of the queue"
    );
}

#[test]
fn a_reader_that_left_ends_the_thread_and_takes_nothing() {
    let (engine, events) = counting();
    let alive = Arc::new(());
    let held = Arc::clone(&alive);
    let cursor = engine.cursor(Temporality::Delta).sparse().filter(move |_| {
        let _ = &held;
        true
    });
    let (collector, reports) = Collector::new(cursor, 1);
    drop(reports);
    let reporter = Reporter::start(collector, SOON).unwrap();
    events.add(0, 5);
    let rest = reporter.stop().expect("nobody took it");
    assert_eq!(told(&rest), 5);
    assert_eq!(
        Arc::strong_count(&alive),
        1,
        "the cursor ended with its thread"
    );
}

#[test]
fn two_reporters_of_one_engine_each_tell_everything() {
    let (engine, events) = counting();
    let pairs: Vec<_> = (0..2)
        .map(|_| {
            let (collector, reports) = collector(&engine, 64);
            (Reporter::start(collector, SOON).unwrap(), reports)
        })
        .collect();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..10_000).for_each(|_| events.increment(0)));
        }
    });
    for (reporter, reports) in pairs {
        let rest = reporter.stop();
        let delivered: u64 = reports.iter().map(|report| told(&report)).sum();
        assert_eq!(delivered + rest.as_ref().map_or(0, told), 40_000);
    }
}

#[test]
fn a_filter_that_panics_is_told_by_the_stop() {
    let (engine, _events) = counting();
    let cursor = engine
        .cursor(Temporality::Delta)
        .filter(|_| panic!("on purpose"));
    let (collector, reports) = Collector::new(cursor, 1);
    let reporter = Reporter::start(collector, NEVER).unwrap();
    let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| reporter.stop()));
    assert!(stopped.is_err());
    assert!(
        reports.recv().is_err(),
        "and its end of the queue is closed"
    );
}
