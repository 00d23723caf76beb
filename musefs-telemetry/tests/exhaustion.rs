//! Alone in its process, because it takes all the cells there are.

#![cfg(feature = "stats")]

use musefs_telemetry::dynamic::{DYNAMIC_MAX, OVERFLOW_ID};
use musefs_telemetry::{Buckets, DescribeError, Engine, Family, Kind, Unit};

#[test]
fn cells_that_run_out_are_an_error_and_the_overflow_series() {
    static WIDE: Family = Family::of("static", "Wide.", Kind::Histogram(WIDEST));
    const WIDEST: Buckets = Buckets::powers_of_two(1, 1 << 60).with_scale(3);

    let engine = Engine::new();
    let overflowed = (0..DYNAMIC_MAX).any(|number| {
        let name = format!("wide_{number}");
        let histogram = engine.register_histogram(&name, "Wide.", Unit::None, WIDEST);
        let histogram = histogram.unwrap();
        histogram.record(1);
        histogram.id() == OVERFLOW_ID
    });
    assert!(overflowed, "there are not so many cells");
    let refused = engine.histogram(&WIDE).unwrap_err();
    assert!(matches!(refused, DescribeError::Exhausted { .. }));
    drop(engine);
    Engine::new()
        .histogram(&WIDE)
        .expect("what was given back serves again");
}
