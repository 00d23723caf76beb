use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::*;
use crate::clock::ManualClock;
use crate::{AttributeEnum, Buckets, Ctx, Engine, Ops};

#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
enum Op {
    Read,
    Open,
}

const PATIENCE: Duration = Duration::from_secs(20);

fn shop(engine: &Engine) -> Ops<Op> {
    Ops::declare(engine, "shop", Buckets::powers_of_two(1 << 10, 1 << 30)).unwrap()
}

/// What a handler was told, as text.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    fn push(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl EventHandler for Told {
    fn on_tier_event(&self, event: &TierEvent<'_>) {
        self.push(format!(
            "{} {} {} {}",
            event.request_id, event.operation, event.name, event.outcome
        ));
    }

    fn on_operation_complete(&self, event: &OperationEvent<'_>) {
        self.push(format!(
            "{} {} {}",
            event.request_id, event.operation, event.outcome
        ));
    }
}

#[test]
fn a_handler_is_told_of_tiers_and_then_of_the_operation() {
    let clock = Arc::new(ManualClock::default());
    let engine = Engine::builder().clock(clock.clone()).build().unwrap();
    let ops = shop(&engine);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Told::default();
    let _one = engine.events().subscribe(told.clone());
    let keeper = Arc::clone(&seen);
    let _other = engine
        .events()
        .subscribe(Does(move |event: &OperationEvent<'_>| {
            keeper.lock().unwrap().push(OperationRecord::from(event));
        }));

    let leader = Ctx::request(3, 6);
    let _entered = Ctx::request(3, 7).enter();
    let mut scope = ops.scope(Op::Read);
    scope.set_subject(99);
    scope.set_process(12);
    scope.set_bytes(4096);
    scope.coalesce(leader);
    scope.phase("queue", 40);
    scope.tier("memory").finish(Outcome::Miss);
    clock.advance(5);
    let tier = scope.tier("disk").timed().fallback();
    clock.advance(6);
    tier.finish(Outcome::Hit);
    scope.finish(Completion::Errno(5));

    assert_eq!(
        told.take(),
        [
            "7 read queue ok",
            "7 read memory miss",
            "7 read disk hit",
            "7 read errno 5"
        ]
    );
    let seen = seen.lock().unwrap();
    let event = seen[0].event();
    assert_eq!((event.instance, event.leader, event.cause), (3, 6, 0));
    assert_eq!((event.subject, event.process), (99, 12));
    assert_eq!(event.bytes, Some(4096));
    assert!(event.coalesced() && event.fallback() && event.failed);
    assert_eq!((event.started_ns, event.duration_ns), (0, 11));
    let [queue, memory, disk] = event.tiers else {
        panic!("three tiers")
    };
    assert_eq!((queue.duration_ns, memory.duration_ns), (Some(40), None));
    assert_eq!((disk.began_ns, disk.duration_ns), (Some(5), Some(6)));
}

#[test]
fn handlers_come_and_go_and_interest_with_them() {
    let told = Told::default();
    let engine = Engine::builder()
        .event_handler(told.clone())
        .build()
        .unwrap();
    assert!(engine.events().interested());
    let engine = Engine::new();
    let ops = shop(&engine);
    assert!(!engine.events().interested());
    let one = engine.events().subscribe(told.clone());
    let other = engine.events().subscribe(told.clone());
    ops.scope(Op::Open).finish(Completion::Ok);
    assert_eq!(told.take().len(), 2);
    drop(one);
    drop(ops.scope(Op::Open));
    assert_eq!(told.take(), ["0 open cancelled"]);
    assert!(engine.events().interested());
    drop(other);
    assert!(!engine.events().interested());
    ops.scope(Op::Open).finish(Completion::Ok);
    assert!(told.take().is_empty());
}

/// Panics at everything.
struct Panics;

impl EventHandler for Panics {
    fn on_tier_event(&self, _: &TierEvent<'_>) {
        std::panic::resume_unwind(Box::new("a tier"));
    }

    fn on_operation_complete(&self, _: &OperationEvent<'_>) {
        std::panic::resume_unwind(Box::new("an operation"));
    }
}

#[test]
fn a_panic_of_a_handler_stays_its_own() {
    let engine = Engine::new();
    let ops = shop(&engine);
    let told = Told::default();
    let _panics = engine.events().subscribe(Panics);
    let _told = engine.events().subscribe(told.clone());
    let mut scope = ops.scope(Op::Read);
    scope.tier("memory").finish(Outcome::Hit);
    scope.finish(Completion::Ok);
    assert_eq!(told.take(), ["0 read memory hit", "0 read ok"]);
    assert_eq!(engine.events().panics(), 2);
    // An operation that ends because its thread panics is told in the middle of that.
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _scope = ops.scope(Op::Read);
        std::panic::resume_unwind(Box::new("on purpose"));
    }));
    assert!(panicked.is_err());
    assert_eq!(told.take(), ["0 read panicked"]);
    assert_eq!(engine.events().panics(), 3);
    assert_eq!((ops.total(Op::Read), ops.errors(Op::Read)), (2, 1));
}

/// Does what is in it at each completion.
struct Does<F>(F);

impl<F: Fn(&OperationEvent<'_>) + Send + Sync> EventHandler for Does<F> {
    fn on_operation_complete(&self, event: &OperationEvent<'_>) {
        (self.0)(event);
    }
}

#[test]
fn a_handler_may_end_its_own_subscription_and_begin_others_while_it_is_told() {
    let engine = Engine::new();
    let ops = shop(&engine);
    let own: Arc<Mutex<Option<Subscription>>> = Arc::default();
    let told = Told::default();
    let calls = Arc::new(AtomicU64::new(0));
    let later: Arc<Mutex<Option<Subscription>>> = Arc::default();
    let handler = {
        let (own, calls, later, told) = (own.clone(), calls.clone(), later.clone(), told.clone());
        let events = Arc::downgrade(engine.events());
        Does(move |_: &OperationEvent<'_>| {
            calls.fetch_add(1, Relaxed);
            drop(own.lock().unwrap().take());
            let events = events.upgrade().unwrap();
            *later.lock().unwrap() = Some(events.subscribe(told.clone()));
        })
    };
    *own.lock().unwrap() = Some(engine.events().subscribe(handler));
    ops.scope(Op::Read).finish(Completion::Ok);
    ops.scope(Op::Open).finish(Completion::Ok);
    assert_eq!(calls.load(Relaxed), 1);
    assert_eq!(told.take(), ["0 open ok"]);
}

#[test]
fn what_a_handler_does_itself_raises_no_events_and_is_counted() {
    let engine = Engine::new();
    let ops = Arc::new(shop(&engine));
    let calls = Arc::new(AtomicU64::new(0));
    let handler = {
        let (ops, calls) = (Arc::clone(&ops), Arc::clone(&calls));
        Does(move |_: &OperationEvent<'_>| {
            calls.fetch_add(1, Relaxed);
            ops.scope(Op::Open).finish(Completion::Ok);
        })
    };
    let _listening = engine.events().subscribe(handler);
    ops.scope(Op::Read).finish(Completion::Ok);
    ops.scope(Op::Read).finish(Completion::Ok);
    assert_eq!(calls.load(Relaxed), 2);
    assert_eq!((ops.total(Op::Read), ops.total(Op::Open)), (2, 2));
    assert_eq!(engine.events().dropped(Dropped::Own), 2);
}

/// A queued handler that waits until it is let go, and then counts.
fn gate() -> (impl EventHandler + 'static, Sender<()>, Arc<AtomicU64>) {
    let (open, gate): (Sender<()>, Receiver<()>) = channel();
    let gate = Mutex::new(gate);
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let handler = Does(move |_: &OperationEvent<'_>| {
        // Without a sender it is open for ever.
        let _ = gate.lock().unwrap().recv();
        counted.fetch_add(1, Relaxed);
    });
    (handler, open, calls)
}

#[test]
fn a_queued_handler_that_waits_delays_nobody_and_what_it_misses_is_counted() {
    let engine = Engine::new();
    let ops = shop(&engine);
    let (handler, open, calls) = gate();
    let _listening = engine.events().subscribe_queued(handler).unwrap();
    let ended = QUEUED_MAX as u64 * 3;
    // With a handler that never comes back, this would never end if anything waited for it.
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..ended {
                    ops.scope(Op::Read).finish(Completion::Ok);
                }
            });
        }
    });
    assert_eq!(ops.total(Op::Read), 2 * ended);
    assert!(!engine.events().flush(Duration::from_millis(20)));
    assert_eq!(calls.load(Relaxed), 0);
    let dropped = engine.events().dropped(Dropped::QueueFull);
    assert!(dropped >= 2 * (ended - QUEUED_MAX as u64) - 1, "{dropped}");
    drop(open);
    assert!(engine.events().flush(PATIENCE));
    assert_eq!(calls.load(Relaxed) + dropped, 2 * ended);
}

#[test]
fn a_queued_handler_hears_of_every_thread_in_the_order_of_each() {
    let engine = Engine::new();
    let ops = shop(&engine);
    let told = Told::default();
    let listening = engine.events().subscribe_queued(told.clone()).unwrap();
    let barrier = Barrier::new(3);
    thread::scope(|scope| {
        for number in 1..=3 {
            let (ops, barrier) = (&ops, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for round in 0..50 {
                    let _entered = Ctx::request(0, number * 1_000 + round).enter();
                    let mut scope = ops.scope(Op::Read);
                    scope.tier("memory").finish(Outcome::Hit);
                    scope.finish(Completion::Ok);
                }
            });
        }
    });
    assert!(engine.events().flush(PATIENCE));
    let lines = told.take();
    assert_eq!(lines.len(), 300);
    for number in 1..=3 {
        let own = lines
            .iter()
            .filter(|line| line.starts_with(&number.to_string()));
        let expected = (0..50).flat_map(|round| {
            let id = number * 1_000 + round;
            [format!("{id} read memory hit"), format!("{id} read ok")]
        });
        assert!(own.cloned().eq(expected));
    }
    drop(listening);
    ops.scope(Op::Read).finish(Completion::Ok);
    assert!(engine.events().flush(PATIENCE));
    assert!(told.take().is_empty());
}

#[test]
fn requests_of_the_thread_of_queued_handlers_raise_no_events() {
    let engine = Engine::new();
    let ops = Arc::new(shop(&engine));
    let process = Arc::new(AtomicU64::new(0));
    let handler = {
        let process = Arc::clone(&process);
        Does(move |_: &OperationEvent<'_>| {
            let link = std::fs::read_link("/proc/thread-self").unwrap();
            let thread = link.file_name().unwrap().to_str().unwrap().parse();
            process.store(thread.unwrap(), Relaxed);
        })
    };
    let _queued = engine.events().subscribe_queued(handler).unwrap();
    let told = Told::default();
    let _inline = engine.events().subscribe(told.clone());
    ops.scope(Op::Read).finish(Completion::Ok);
    assert!(engine.events().flush(PATIENCE));
    told.take();
    // Another thread serves what that one asked.
    let mut served = ops.scope(Op::Open);
    served.set_process(u32::try_from(process.load(Relaxed)).unwrap());
    served.finish(Completion::Ok);
    assert!(told.take().is_empty());
    assert_eq!(engine.events().dropped(Dropped::Own), 1);
}

#[test]
fn what_is_queued_when_the_engine_goes_is_still_delivered() {
    let engine = Engine::new();
    let ops = shop(&engine);
    let (sender, told) = channel();
    let handler = Does(move |event: &OperationEvent<'_>| {
        sender.send(event.operation).unwrap();
    });
    engine.events().subscribe_queued(handler).unwrap().forever();
    ops.scope(Op::Read).finish(Completion::Ok);
    ops.scope(Op::Open).finish(Completion::Ok);
    drop((ops, engine));
    // The channel ends when the handler is gone, and with it the thread's hold on it.
    assert_eq!(told.iter().collect::<Vec<_>>(), ["read", "open"]);
}

#[test]
fn failures_and_slow_operations_are_kept_though_nobody_listens() {
    let clock = Arc::new(ManualClock::default());
    let engine = Engine::builder()
        .clock(clock.clone())
        .operations_kept(4, 2)
        .build()
        .unwrap();
    let ops = shop(&engine);
    ops.set_slow_ns(1_000);
    let end = |request, ns, completion| {
        let _entered = Ctx::request(0, request).enter();
        let mut scope = ops.scope(Op::Read);
        scope.set_subject(request * 10);
        scope.tier("disk").finish(Outcome::Hit);
        clock.advance(ns);
        scope.finish(completion);
    };
    end(1, 10, Completion::Ok);
    end(2, 2_000, Completion::Ok);
    for request in 3..6 {
        end(request, 10, Completion::Errno(2));
    }
    let ids = |records: Vec<OperationRecord>| -> Vec<_> {
        records.iter().map(|kept| kept.event().request_id).collect()
    };
    let events = engine.events();
    assert_eq!(ids(events.slow()), [2]);
    assert_eq!(ids(events.failed()), [4, 5]);
    let slow = events.slow();
    let slow = slow[0].event();
    assert_eq!((slow.subject, slow.duration_ns), (20, 2_000));
    assert_eq!((slow.tiers.len(), slow.tiers[0].name), (1, "disk"));
    let recent: Vec<_> = events.recent().iter().map(|kept| kept.request_id).collect();
    assert_eq!(recent, [2, 3, 4, 5]);
    let evicted = [Kept::Recent, Kept::Failed, Kept::Slow].map(|kept| events.evicted(kept));
    assert_eq!(evicted, [1, 1, 0]);
}

#[test]
fn a_threshold_follows_the_quantile_at_each_snapshot() {
    let clock = Arc::new(ManualClock::default());
    let engine = Engine::builder().clock(clock.clone()).build().unwrap();
    let ops = shop(&engine);
    ops.follow_quantile(0.99);
    for _ in 0..198 {
        ops.record_op(Op::Read, 3_000, Completion::Ok);
    }
    assert_eq!(ops.slow_ns(), u64::MAX, "nobody read yet");
    for _ in 0..2 {
        ops.record_op(Op::Open, 1 << 20, Completion::Ok);
    }
    engine.snapshot();
    assert_eq!(ops.slow_ns(), 4_096, "the bound of the bucket");
    for ns in [4_000, 5_000] {
        let scope = ops.scope(Op::Open);
        clock.advance(ns);
        scope.finish(Completion::Ok);
    }
    assert_eq!(engine.events().slow().len(), 1);
    ops.set_slow_ns(7);
    engine.snapshot();
    assert_eq!(ops.slow_ns(), 7, "what is set by hand stays");
    ops.follow_quantile(f64::NAN);
    assert_eq!(ops.slow_ns(), 7);
    for (bounds_ns, expected) in [(9_000..=10_000, 9_000), (1..=10_000, 8_192), (1..=2, 2)] {
        let least = *bounds_ns.start();
        ops.follow_quantile_within(0.99, bounds_ns);
        assert_eq!(ops.slow_ns(), least);
        engine.snapshot();
        assert_eq!(ops.slow_ns(), expected);
    }
}

#[test]
fn a_reader_of_kept_operations_makes_no_writer_wait() {
    let ring = Ring::new(3);
    for number in 0..5 {
        ring.push(number);
    }
    assert_eq!((ring.copies(), ring.evicted()), (vec![2, 3, 4], 2));
    let reading = ring.lock_for_test(2);
    ring.push(5);
    assert_eq!(ring.evicted(), 4, "one more that gave way, and itself");
    drop(reading);
    ring.push(6);
    assert_eq!(ring.copies(), [2, 4, 6]);
}

#[test]
fn what_was_dropped_and_evicted_are_metrics() {
    let engine = Engine::builder().operations_kept(1, 1).build().unwrap();
    let ops = shop(&engine);
    engine.events().declare(&engine, "shop").unwrap();
    let _panics = engine.events().subscribe(Panics);
    for _ in 0..3 {
        ops.scope(Op::Read).finish(Completion::Errno(1));
    }
    let snapshot = engine.snapshot();
    let value = |name: &str, index| {
        let metric = snapshot.find(name).unwrap();
        snapshot.value(metric.family(), index)
    };
    assert_eq!(value("shop_event_handler_panics_total", 0), Some(3));
    assert_eq!(value("shop_operations_evicted_total", 1), Some(2));
    assert_eq!(value("shop_operations_evicted_total", 2), Some(0));
    assert_eq!(value("shop_events_dropped_total", 0), Some(0));
}

#[test]
fn events_of_many_threads_arrive_while_handlers_come_and_go() {
    let engine = Engine::new();
    let ops = shop(&engine);
    let told = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&told);
    let _always = engine
        .events()
        .subscribe(Does(move |_: &OperationEvent<'_>| {
            counted.fetch_add(1, Relaxed);
        }));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let churn = scope.spawn(|| {
            while !done.load(Relaxed) {
                drop(engine.events().subscribe(Told::default()));
            }
        });
        let workers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        ops.scope(Op::Read).finish(Completion::Ok);
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.join().unwrap();
        }
        done.store(true, Relaxed);
        churn.join().unwrap();
    });
    assert_eq!(told.load(Relaxed), 4_000);
}
