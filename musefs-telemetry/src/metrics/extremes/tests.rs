use super::*;
use crate::clock::{Clock, ManualClock};
use crate::snapshot::Value;
use crate::{Cursor, Engine, Family, Kind, Temporality};

static SPREAD: Family = Family::of("spread", "Spread.", Kind::MinMaxSumCount);

const WINDOW_NS: u64 = 100;

fn engine() -> (Engine, Arc<ManualClock>, MinMaxSumCounts) {
    let clock = Arc::new(ManualClock::default());
    let engine = Engine::builder()
        .clock(clock.clone())
        .extremes_window_ns(WINDOW_NS)
        .build()
        .unwrap();
    let spread = engine.min_max_sum_counts(&SPREAD).unwrap();
    (engine, clock, spread)
}

/// Sum, count and extremes that `cursor` finds, and takes.
fn take(cursor: &mut Cursor) -> (u64, u64, Option<(u64, u64)>) {
    let batch = cursor.batch();
    let Some(Value::MinMaxSumCount {
        sum,
        count,
        extremes,
    }) = batch.snapshot().find("spread").unwrap().value(0)
    else {
        panic!("a sum with extremes")
    };
    batch.commit();
    (sum, count, extremes)
}

#[test]
fn readers_of_different_pace_each_see_every_extreme() {
    let (engine, clock, spread) = engine();
    let mut often = engine.cursor(Temporality::Delta);
    let mut seldom = engine.cursor(Temporality::Delta);
    let mut highest = (0, 0);
    // One of them reads every third of a window, the other every two thirds.
    for round in 1..=60_u64 {
        spread.record(0, round);
        highest.0 = highest.0.max(take(&mut often).2.unwrap().1);
        assert_eq!(highest.0, round, "it was just recorded");
        if round % 2 == 0 {
            let (sum, count, extremes) = take(&mut seldom);
            assert_eq!((sum, count), (2 * round - 1, 2), "its own difference");
            let (smallest, largest) = extremes.unwrap();
            assert!(smallest < round, "all that came since it read last");
            assert_eq!(largest, round);
            highest.1 = largest;
        }
        clock.advance(WINDOW_NS / 3 + 1);
    }
    assert_eq!(highest, (60, 60));
}

#[test]
fn many_threads_leave_the_true_extremes_to_each_reader() {
    let (engine, _, spread) = engine();
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let spread = &spread;
            scope.spawn(move || {
                for value in 0..10_000 {
                    spread.record(0, 1_000 + thread * 10_000 + value);
                }
            });
        }
        for _ in 0..100 {
            let _ = engine.snapshot();
        }
    });
    for temporality in [Temporality::Delta, Temporality::Cumulative] {
        let (_, count, extremes) = take(&mut engine.cursor(temporality));
        assert_eq!((count, extremes), (80_000, Some((1_000, 80_999))));
    }
}

#[test]
fn a_writer_that_slept_through_windows_replaces_no_later_one() {
    for later in [5, TAG_MAX, TAG_MAX + 2] {
        let cell = AtomicU64::new(tag(later - 4) << VALUE_BITS);
        raise(&cell, later, 7);
        let kept = cell.load(Relaxed);
        raise(&cell, later - 2, VALUE_MAX);
        assert_eq!(cell.load(Relaxed), kept, "window {later}");
        raise(&cell, later, 9);
        assert_eq!(cell.load(Relaxed) & VALUE_MAX, 9);
        raise(&cell, later + 2, 1);
        assert_eq!(cell.load(Relaxed) & VALUE_MAX, 1, "the next one does");
    }
}

#[test]
fn a_value_that_is_too_large_counts_as_the_largest() {
    let (engine, clock, spread) = engine();
    spread.record(0, u64::MAX >> 1);
    let (sum, _, extremes) = take(&mut engine.cursor(Temporality::Cumulative));
    assert_eq!(sum, u64::MAX >> 1, "the sum is exact");
    assert_eq!(extremes, Some((VALUE_MAX, VALUE_MAX)));
    assert_eq!(clock.now_ns(), 0);
}
