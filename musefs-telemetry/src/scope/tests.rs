use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::clock::ManualClock;
use crate::{AttributeEnum, Buckets, Engine};

#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
enum Op {
    Read,
    Open,
}

fn ops() -> (Engine, Arc<ManualClock>, Arc<Ops<Op>>) {
    let clock = Arc::new(ManualClock::default());
    let engine = Engine::builder().clock(clock.clone()).build().unwrap();
    let ops = Ops::declare(&engine, "shop", Buckets::powers_of_two(1 << 10, 1 << 30)).unwrap();
    (engine, clock, Arc::new(ops))
}

/// Ended, and failed with an errno, by cancellation, by panic.
fn ends(engine: &Engine, op: Op) -> [u64; 4] {
    let snapshot = engine.snapshot();
    let value = |name: &str, index| {
        let metric = snapshot.find(name).unwrap();
        snapshot.value(metric.family(), index).unwrap()
    };
    let first = op as usize * 3;
    [
        value("shop_ops_total", op as usize),
        value("shop_op_errors_total", first),
        value("shop_op_errors_total", first + 1),
        value("shop_op_errors_total", first + 2),
    ]
}

#[test]
fn each_way_out_completes_once() {
    let (engine, _, ops) = ops();
    ops.scope(Op::Open).finish(Completion::Ok);
    ops.scope(Op::Open).finish(Completion::Errno(2));
    drop(ops.scope(Op::Open));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _scope = ops.scope(Op::Open);
        panic!("on purpose");
    }));
    assert!(panicked.is_err());
    assert_eq!(ends(&engine, Op::Open), [4, 1, 1, 1]);
    assert_eq!(ends(&engine, Op::Read), [0, 0, 0, 0]);
    let durations = engine.snapshot();
    let durations = durations.find("shop_op_duration_seconds").unwrap();
    let Some(crate::snapshot::Value::Histogram(open)) = durations.value(1) else {
        panic!("durations are a histogram")
    };
    assert_eq!(open.count(), 4);
}

#[test]
fn a_scope_that_ends_on_another_thread_counts_there() {
    let (engine, _, ops) = ops();
    let scope = ops.scope_owned(Op::Read);
    std::thread::spawn(move || scope.finish(Completion::Ok))
        .join()
        .unwrap();
    assert_eq!(ends(&engine, Op::Read), [1, 0, 0, 0]);
}

#[test]
fn one_pair_of_clock_reads_feeds_everything() {
    let (_engine, clock, ops) = ops();
    let before = clock.reads();
    let mut scope = ops.scope(Op::Read);
    scope.tier("header_cache").finish(Outcome::Miss);
    clock.advance(5_000);
    scope.tier("store").fallback().finish(Outcome::Hit);
    let finished = scope.finish(Completion::Ok);
    assert_eq!(clock.reads() - before, 2);
    assert_eq!(finished.duration_ns, 5_000);
    let tiers: Vec<_> = finished
        .tiers()
        .iter()
        .map(|tier| (tier.name, tier.outcome, tier.fallback))
        .collect();
    assert_eq!(
        tiers,
        [
            ("header_cache", Outcome::Miss, false),
            ("store", Outcome::Hit, true)
        ]
    );
}

#[test]
fn tiers_beyond_the_eighth_are_only_counted() {
    let (_engine, clock, ops) = ops();
    let mut scope = ops.scope(Op::Read);
    for _ in 0..20 {
        drop(scope.tier("again"));
    }
    let mut tier = scope.tier("timed").timed();
    tier.record.fallback = false;
    clock.advance(7);
    tier.finish(Outcome::Ok);
    let finished = scope.finish(Completion::Ok);
    assert_eq!((finished.tiers().len(), finished.tier_count()), (8, 21));
    assert!(
        finished
            .tiers()
            .iter()
            .all(|tier| tier.outcome == Outcome::Cancelled)
    );
}

#[test]
fn a_context_is_restored_by_every_way_out() {
    let outer = Ctx::request(1, 10);
    let inner = Ctx::request(1, 11);
    let _outer = outer.enter();
    {
        let _inner = inner.enter();
        assert_eq!(Ctx::current(), inner);
    }
    assert_eq!(Ctx::current(), outer);
    let panicked = catch_unwind(|| {
        let _inner = inner.enter();
        panic!("on purpose");
    });
    assert!(panicked.is_err());
    assert_eq!(Ctx::current(), outer);
    assert_eq!(
        std::thread::spawn(Ctx::current).join().unwrap(),
        Ctx::BACKGROUND
    );
}

#[test]
fn a_future_has_its_context_at_each_poll() {
    let ctx = Ctx::request(3, 99);
    let mut polls = 0;
    let future = std::future::poll_fn(|_| {
        assert_eq!(Ctx::current(), ctx);
        polls += 1;
        if polls < 3 {
            Poll::Pending
        } else {
            Poll::Ready(polls)
        }
    });
    let mut future = pin!(WithRequestId::new(ctx, future));
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(future.as_mut().poll(&mut context), Poll::Pending);
    assert_eq!(Ctx::current(), Ctx::BACKGROUND);
    assert_eq!(future.as_mut().poll(&mut context), Poll::Pending);
    assert_eq!(future.as_mut().poll(&mut context), Poll::Ready(3));
    assert_eq!(Ctx::current(), Ctx::BACKGROUND);
}

#[test]
fn ids_of_our_own_are_never_given_twice() {
    let ids = || {
        (0..3_000)
            .map(|_| Ctx::next(0).request_id)
            .collect::<Vec<_>>()
    };
    let other = std::thread::spawn(ids);
    let mut all = ids();
    all.extend(other.join().unwrap());
    let distinct: std::collections::HashSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), 6_000);
    assert!(!all.contains(&0));
}

#[test]
fn each_bucket_has_a_real_request_of_the_last_second_and_the_slowest_at_once() {
    let (engine, clock, ops) = ops();
    ops.set_slow_ns(1_000_000);
    let operation = |request: u64, took_ns| {
        let _entered = Ctx::request(2, request).enter();
        let scope = ops.scope(Op::Read);
        clock.advance(took_ns);
        scope.finish(Completion::Ok);
    };
    let kept = || {
        let snapshot = engine.snapshot();
        let durations = snapshot.find("shop_op_duration_seconds").unwrap();
        let kept = durations.exemplars(0).map(|(_, exemplar)| {
            assert_eq!(exemplar.request.instance, 2);
            (exemplar.request.number, exemplar.value)
        });
        kept.collect::<Vec<_>>()
    };
    assert!(kept().is_empty());
    operation(1, 2_000);
    operation(2, 2_000);
    operation(3, 40_000);
    operation(0, 80_000);
    assert_eq!(kept(), [(1, 2_000), (3, 40_000)]);
    clock.advance(1_000_000_000);
    operation(4, 2_000);
    operation(5, 2_000_000);
    operation(6, 2_000_000);
    assert_eq!(kept(), [(4, 2_000), (3, 40_000), (6, 2_000_000)]);
    let mut text = String::new();
    crate::encode::openmetrics::encode(&mut text, &engine.snapshot(), &[]);
    assert!(text.contains(" # {request_id=\"2-6\"} 0.002 "), "{text}");
}

#[test]
fn only_the_series_that_were_asked_for_are_there_and_nothing_goes_uncounted() {
    let engine = Engine::new();
    let series = OpsSeries {
        buckets: Buckets::powers_of_two(1 << 10, 1 << 30),
        timed: 1,
        failures: Some(&[
            (Op::Read, Failure::Errno),
            (Op::Read, Failure::Panicked),
            (Op::Open, Failure::Panicked),
        ]),
    };
    let ops: Ops<Op> = Ops::declare_with(&engine, "shop", series).unwrap();
    for op in Op::ALL {
        ops.record_op(op, 5, Completion::Ok);
        ops.record_op(op, 5, Completion::Errno(2));
        ops.record_op(op, 5, Completion::Cancelled);
    }
    assert_eq!([ops.total(Op::Read), ops.total(Op::Open)], [3, 3]);
    assert_eq!([ops.errors(Op::Read), ops.errors(Op::Open)], [2, 2]);
    assert!(!ops.buckets(Op::Read).is_empty() && ops.buckets(Op::Open).is_empty());
    assert_eq!(ops.quantile_ns(Op::Open, 0.5), None);
    let mut text = String::new();
    crate::encode::prometheus::Writer::new(&mut text, &[]).snapshot(&engine.snapshot());
    let samples: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("shop_op_errors") || line.contains("_count"))
        .collect();
    assert_eq!(
        samples,
        [
            "shop_op_errors_total{op=\"read\",failure=\"errno\"} 1",
            "shop_op_errors_total{op=\"read\",failure=\"panicked\"} 1",
            "shop_op_errors_total{op=\"open\",failure=\"panicked\"} 2",
            "shop_op_duration_seconds_count{op=\"read\"} 3",
        ]
    );
    assert!(engine.schema().contains("[\"open\",\"panicked\"]"));
}
