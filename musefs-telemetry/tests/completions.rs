//! Each operation completes exactly once, after its tiers, whatever becomes of it.

#![cfg(feature = "stats")]

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;

use musefs_telemetry::{
    AttributeEnum, Buckets, Completion, Ctx, Engine, EventHandler, OperationEvent, Ops, Outcome,
    Scope, TierEvent, WithRequestId, scope::Failure,
};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq, AttributeEnum)]
enum Op {
    Read,
    Open,
}

type Owned = Scope<Op, Failure, Arc<Ops<Op>>>;

/// What happens next, to one of the operations under way.
#[derive(Clone, Debug)]
enum Step {
    Begin(bool),
    Tier(usize),
    Coalesce(usize, usize),
    Finish(usize),
    Fail(usize),
    Drop(usize),
    Panic(usize),
    /// Another thread takes it and does the step.
    HandOver(usize, Box<Step>),
    /// Its worker and a timer both want to end it.
    Timeout(usize),
    /// A future has it, is polled so often, and is dropped.
    Future(usize, u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let leaf = prop_oneof![
        4 => any::<bool>().prop_map(Step::Begin),
        3 => any::<usize>().prop_map(Step::Tier),
        1 => any::<(usize, usize)>().prop_map(|(a, b)| Step::Coalesce(a, b)),
        1 => any::<usize>().prop_map(Step::Finish),
        1 => any::<usize>().prop_map(Step::Fail),
        1 => any::<usize>().prop_map(Step::Drop),
        1 => any::<usize>().prop_map(Step::Panic),
        1 => any::<usize>().prop_map(Step::Timeout),
        1 => (any::<usize>(), 0..4_u8).prop_map(|(a, polls)| Step::Future(a, polls)),
    ];
    let step = leaf.prop_recursive(2, 4, 1, |inner| {
        (any::<usize>(), inner).prop_map(|(a, step)| Step::HandOver(a, Box::new(step)))
    });
    prop::collection::vec(step, 1..40)
}

/// What a handler was told of one request.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    tiers: usize,
    ends: Vec<Completion>,
    tiers_after_end: usize,
    leader: u64,
}

#[derive(Clone, Default)]
struct Witness(Arc<Mutex<HashMap<u64, Seen>>>);

impl EventHandler for Witness {
    fn on_tier_event(&self, event: &TierEvent<'_>) {
        let mut all = self.0.lock().unwrap();
        let seen = all.entry(event.request_id).or_default();
        seen.tiers += 1;
        seen.tiers_after_end += usize::from(!seen.ends.is_empty());
    }

    fn on_operation_complete(&self, event: &OperationEvent<'_>) {
        let mut all = self.0.lock().unwrap();
        let seen = all.entry(event.request_id).or_default();
        seen.ends.push(event.outcome);
        seen.leader = event.leader;
    }
}

/// The operations under way, and what a handler should be told of each that there ever was.
struct World {
    ops: Arc<Ops<Op>>,
    under_way: Vec<Owned>,
    expected: HashMap<u64, Seen>,
}

impl World {
    fn take(&mut self, index: usize) -> Option<Owned> {
        let len = self.under_way.len();
        (len > 0).then(|| self.under_way.swap_remove(index % len))
    }

    fn expect(&mut self, scope: &Owned, end: Completion) {
        let seen = self.expected.get_mut(&scope.ctx().request_id).unwrap();
        seen.ends.push(end);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Begin(read) => {
                let ctx = Ctx::next(1);
                self.expected.insert(ctx.request_id, Seen::default());
                let op = if *read { Op::Read } else { Op::Open };
                self.under_way
                    .push(Scope::begin(Arc::clone(&self.ops), op, ctx));
            }
            Step::HandOver(index, step) => {
                if let Some(scope) = self.take(*index) {
                    self.under_way.push(scope);
                    thread::scope(|threads| {
                        threads.spawn(|| self.step(step)).join().unwrap();
                    });
                }
            }
            Step::Coalesce(index, leader) if !self.under_way.is_empty() => {
                let len = self.under_way.len();
                let leader = self.under_way[leader % len].ctx();
                let scope = &mut self.under_way[index % len];
                scope.coalesce(leader);
                let seen = self.expected.get_mut(&scope.ctx().request_id).unwrap();
                seen.leader = leader.request_id;
            }
            Step::Tier(index) => {
                if let Some(mut scope) = self.take(*index) {
                    scope.tier("tier").finish(Outcome::Hit);
                    let seen = self.expected.get_mut(&scope.ctx().request_id).unwrap();
                    seen.tiers = (seen.tiers + 1).min(musefs_telemetry::scope::TIERS_MAX);
                    self.under_way.push(scope);
                }
            }
            Step::Coalesce(..) => {}
            Step::Finish(index)
            | Step::Fail(index)
            | Step::Drop(index)
            | Step::Panic(index)
            | Step::Timeout(index)
            | Step::Future(index, _) => {
                if let Some(scope) = self.take(*index) {
                    self.end(step, scope);
                }
            }
        }
    }

    fn end(&mut self, step: &Step, scope: Owned) {
        match step {
            Step::Fail(_) => {
                self.expect(&scope, Completion::Errno(5));
                scope.finish(Completion::Errno(5));
            }
            Step::Drop(_) => {
                self.expect(&scope, Completion::Cancelled);
                drop(scope);
            }
            Step::Panic(_) => {
                self.expect(&scope, Completion::Panicked);
                let panicked = catch_unwind(AssertUnwindSafe(|| {
                    let _scope = scope;
                    std::panic::resume_unwind(Box::new(()));
                }));
                assert!(panicked.is_err());
            }
            Step::Timeout(_) => {
                self.expect(&scope, Completion::Errno(110));
                let shared = Mutex::new(Some(scope));
                let end = || {
                    let taken = shared.lock().unwrap().take();
                    taken.is_some_and(|scope| {
                        scope.finish(Completion::Errno(110));
                        true
                    })
                };
                let ended = thread::scope(|threads| {
                    let timer = threads.spawn(end);
                    usize::from(end()) + usize::from(timer.join().unwrap())
                });
                assert_eq!(ended, 1);
            }
            Step::Future(_, polls) => {
                let cancelled = *polls < 2;
                let end = [Completion::Ok, Completion::Cancelled][usize::from(cancelled)];
                self.expect(&scope, end);
                let ctx = scope.ctx();
                let mut scope = Some(scope);
                let mut polled = 0;
                let future = std::future::poll_fn(move |_| {
                    assert_eq!(Ctx::current(), ctx);
                    polled += 1;
                    if polled == 2 {
                        scope.take().unwrap().finish(Completion::Ok);
                        return Poll::Ready(());
                    }
                    Poll::Pending
                });
                let mut future = Box::pin(WithRequestId::new(ctx, future));
                let mut context = Context::from_waker(Waker::noop());
                for _ in 0..*polls {
                    if future.as_mut().poll(&mut context).is_ready() {
                        break;
                    }
                }
            }
            _ => {
                self.expect(&scope, Completion::Ok);
                scope.finish(Completion::Ok);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_operation_completes_exactly_once_and_after_its_tiers(steps in steps()) {
        let witness = Witness::default();
        let engine = Engine::builder().event_handler(witness.clone()).build().unwrap();
        let buckets = Buckets::powers_of_two(1 << 10, 1 << 30);
        let ops = Arc::new(Ops::declare(&engine, "shop", buckets).unwrap());
        let mut world = World {
            ops: Arc::clone(&ops),
            under_way: Vec::new(),
            expected: HashMap::new(),
        };
        for step in &steps {
            world.step(step);
        }
        // What is still under way when all is over is cancelled.
        while let Some(scope) = world.take(0) {
            world.end(&Step::Drop(0), scope);
        }
        let seen = witness.0.lock().unwrap();
        prop_assert_eq!(&*seen, &world.expected);
        let ended = ops.total(Op::Read) + ops.total(Op::Open);
        prop_assert_eq!(ended, world.expected.len() as u64);
    }
}

#[test]
fn ids_of_many_threads_are_unique_in_what_handlers_see() {
    let witness = Witness::default();
    let engine = Engine::builder()
        .event_handler(witness.clone())
        .build()
        .unwrap();
    let buckets = Buckets::powers_of_two(1 << 10, 1 << 30);
    let ops: Ops<Op> = Ops::declare(&engine, "shop", buckets).unwrap();
    let ids: HashSet<u64> = thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let ids = (0..1_500).map(|_| {
                        let ctx = Ctx::next(0);
                        let _entered = ctx.enter();
                        drop(ops.scope(Op::Read));
                        ctx.request_id
                    });
                    ids.collect::<Vec<_>>()
                })
            })
            .collect();
        let ids = workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap());
        ids.collect()
    });
    let seen = witness.0.lock().unwrap();
    assert_eq!((ids.len(), seen.len()), (12_000, 12_000));
    assert!(
        seen.values()
            .all(|seen| seen.ends == [Completion::Cancelled])
    );
}
