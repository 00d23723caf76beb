//! What the benchmarks and the budget program measure: one loop for each way to count.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use musefs_telemetry::clock::Clock;
use musefs_telemetry::dynamic::DynCounter;
use musefs_telemetry::{
    AttributeEnum, Buckets, Completion, Counter, Counters, Engine, EventHandler, Histogram,
    MetricSet, OperationEvent, Ops, Outcome, TierEvent, metric_set,
};

thread_local! {
    static OWN: Cell<u64> = const { Cell::new(0) };
}

/// The operations that are recorded.
#[derive(Clone, Copy, Debug, AttributeEnum)]
pub enum Op {
    /// One.
    Read,
    /// And another.
    Open,
}

/// A declared set.
#[metric_set(prefix = "bench")]
#[derive(Debug)]
pub struct Bench {
    /// Events.
    pub events: Counter,
    /// Events by operation.
    pub labelled: Counters<Op>,
    /// How long something took.
    #[metric(unit = "seconds", min = 1 << 10, max = 1 << 36)]
    pub duration: Histogram,
}

/// Everything that is counted with.
#[derive(Debug)]
pub struct Subjects {
    /// The engine.
    pub engine: Engine,
    /// Its declared set.
    pub set: Bench,
    /// A counter of run time.
    pub dynamic: DynCounter,
    /// Operations.
    pub ops: Ops<Op>,
    /// One cell for all threads.
    pub shared: AtomicU64,
    /// Operations that nobody hears of, on a clock that costs nothing.
    pub unheard: Ops<Op>,
    /// The same, with a handler in line.
    pub heard: Ops<Op>,
}

/// Time stands still, and asking for it takes none.
#[derive(Debug)]
struct NoClock;

impl Clock for NoClock {
    fn now_ns(&self) -> u64 {
        0
    }

    fn wall_ms(&self) -> u64 {
        0
    }
}

/// A handler that looks at everything and keeps nothing.
struct Looks;

impl EventHandler for Looks {
    fn on_tier_event(&self, event: &TierEvent<'_>) {
        black_box(event.name);
    }

    fn on_operation_complete(&self, event: &OperationEvent<'_>) {
        black_box(event.duration_ns);
    }
}

/// Operations on a clock that costs nothing. They keep their engine's handlers.
fn operations(heard: bool) -> Ops<Op> {
    let builder = Engine::builder().clock(Arc::new(NoClock));
    let builder = if heard {
        builder.event_handler(Looks)
    } else {
        builder
    };
    let engine = builder.build().expect("there is no label to be refused");
    Ops::declare(&engine, "bench", Buckets::powers_of_two(1 << 10, 1 << 36))
        .expect("room for operations")
}

impl Subjects {
    /// All of them, in an engine of their own.
    ///
    /// # Panics
    /// When there is no room in the process.
    pub fn new() -> Self {
        let engine = Engine::new();
        Self {
            set: Bench::declare(&engine).expect("room for a set"),
            dynamic: engine
                .register_counter("bench_dynamic_total", "Events.")
                .expect("room for a counter"),
            ops: Ops::declare(&engine, "bench", Buckets::powers_of_two(1 << 10, 1 << 36))
                .expect("room for operations"),
            shared: AtomicU64::new(0),
            unheard: operations(false),
            heard: operations(true),
            engine,
        }
    }
}

impl Default for Subjects {
    fn default() -> Self {
        Self::new()
    }
}

/// A way to count, and how often it is done in a loop.
pub type Loop = fn(&Subjects, u64);

/// A thread-local cell, which the budgets are ratios of. The loop hides its subject from the compiler as the others do.
#[inline(never)]
pub fn cell(subjects: &Subjects, count: u64) {
    for _ in 0..count {
        black_box(subjects);
        OWN.set(OWN.get() + 1);
    }
}

/// The same in a loop that hides a value, too.
#[inline(never)]
pub fn cell_of_value(subjects: &Subjects, count: u64) {
    for value in 0..count {
        black_box(subjects);
        OWN.set(OWN.get() + black_box(value << 12));
    }
}

/// An atomic that all threads add to.
#[inline(never)]
pub fn shared(subjects: &Subjects, count: u64) {
    for _ in 0..count {
        black_box(&subjects.shared).fetch_add(1, Relaxed);
    }
}

/// A counter of a declared set.
#[inline(never)]
pub fn counter(subjects: &Subjects, count: u64) {
    for _ in 0..count {
        black_box(&subjects.set).events.increment();
    }
}

/// A labelled counter of a declared set.
#[inline(never)]
pub fn labelled(subjects: &Subjects, count: u64) {
    for _ in 0..count {
        black_box(&subjects.set)
            .labelled
            .increment(black_box(Op::Open));
    }
}

/// A counter that was named at run time.
#[inline(never)]
pub fn dynamic(subjects: &Subjects, count: u64) {
    for _ in 0..count {
        black_box(&subjects.dynamic).increment();
    }
}

/// A histogram, with values all over its range.
#[inline(never)]
pub fn histogram(subjects: &Subjects, count: u64) {
    for value in 0..count {
        black_box(&subjects.set)
            .duration
            .record(black_box(value << 12));
    }
}

/// The count, the errors and the histogram of an operation.
#[inline(never)]
pub fn op(subjects: &Subjects, count: u64) {
    for value in 0..count {
        black_box(&subjects.ops).record_op(
            black_box(Op::Read),
            black_box(value << 12),
            black_box(Completion::Ok),
        );
    }
}

/// Whether anybody listens.
#[inline(never)]
pub fn interest(subjects: &Subjects, count: u64) {
    for _ in 0..count {
        black_box(black_box(subjects.engine.events()).interested());
    }
}

/// An operation with one tier that nobody hears of.
#[inline(never)]
pub fn unheard(subjects: &Subjects, count: u64) {
    whole(black_box(&subjects.unheard), count);
}

/// The same, with a handler in line.
#[inline(never)]
pub fn heard(subjects: &Subjects, count: u64) {
    whole(black_box(&subjects.heard), count);
}

#[inline(never)]
fn whole(ops: &Ops<Op>, count: u64) {
    for _ in 0..count {
        let mut scope = ops.scope(black_box(Op::Read));
        scope.tier("memory").finish(Outcome::Hit);
        black_box(scope.finish(Completion::Ok));
    }
}
