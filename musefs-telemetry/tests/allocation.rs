//! What allocates: nothing that counts, and after the first time nothing that reads or writes a text.

#![cfg(feature = "stats")]
#![expect(unsafe_code, reason = "an allocator that counts is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use musefs_telemetry::encode::{json, openmetrics, prometheus};
use musefs_telemetry::logging::{Mode, Providers};
use musefs_telemetry::scope::Completion;
use musefs_telemetry::{
    AttributeEnum, Buckets, Engine, EventHandler, OperationEvent, Ops, Outcome, Snapshot,
    Temporality, event_error, event_info,
};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many allocations `work` makes on this thread.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

#[derive(Clone, Copy, AttributeEnum)]
enum Op {
    Read,
    Open,
}

#[test]
fn nothing_allocates_after_the_first_time() {
    let engine = Engine::builder()
        .attribute("mount", "a\"b")
        .build()
        .unwrap();
    let counter = engine.register_counter("seen_total", "Seen.").unwrap();
    let ops =
        Ops::<Op>::declare(&engine, "shop", Buckets::powers_of_two(1 << 10, 1 << 30)).unwrap();
    counter.increment();
    let counting = allocations(|| {
        counter.add(3);
        ops.record_op(Op::Open, 5_000, Completion::Errno(2));
        let mut scope = ops.scope(Op::Read);
        scope.tier("store").timed().finish(Outcome::Hit);
        scope.finish(Completion::Ok);
        // One that failed is kept with its tiers.
        drop(ops.scope(Op::Read));
    });
    assert_eq!(counting, 0);
    assert_eq!(engine.events().recent().len(), 2);
    assert_eq!(engine.events().failed().len(), 1);

    let mut snapshot = Snapshot::default();
    let mut cursor = engine.cursor(Temporality::Delta).sparse();
    let mut texts = [const { String::new() }; 3];
    let mut read = || {
        engine.snapshot_into(&mut snapshot);
        texts.iter_mut().for_each(String::clear);
        let [classic, open, machine] = &mut texts;
        let attributes = engine.attributes();
        prometheus::Writer::new(classic, attributes).snapshot(&snapshot);
        openmetrics::encode(open, &snapshot, attributes);
        json::encode(machine, &snapshot, attributes);
        let batch = cursor.batch();
        let _ = batch.is_empty();
        batch.commit();
    };
    // The second time finds the memory of both buffers that a cursor swaps.
    read();
    read();
    counter.increment();
    assert_eq!(allocations(read), 0);
}

struct Outcomes(AtomicU64);

impl EventHandler for Outcomes {
    fn on_operation_complete(&self, event: &OperationEvent<'_>) {
        self.0.fetch_add(u64::from(event.failed), Relaxed);
    }
}

#[test]
fn telling_a_handler_allocates_nothing_after_a_threads_first_operation() {
    let engine = Engine::builder()
        .event_handler(Outcomes(AtomicU64::new(0)))
        .queued_event_handler(Outcomes(AtomicU64::new(0)))
        .build()
        .unwrap();
    let ops =
        Ops::<Op>::declare(&engine, "shop", Buckets::powers_of_two(1 << 10, 1 << 30)).unwrap();
    let operation = || {
        let mut scope = ops.scope(Op::Open);
        scope.tier("store").finish(Outcome::Hit);
        scope.finish(Completion::Errno(2));
    };
    operation();
    assert_eq!(allocations(|| (0..100).for_each(|_| operation())), 0);
}

#[test]
fn an_event_that_goes_nowhere_allocates_nothing() {
    let providers = Providers::builder()
        .engine(Mode::ConsoleAsync)
        .filter("warn,store.read=off")
        .unwrap()
        .build()
        .unwrap();
    let (log, silent) = (providers.engine(), providers.admin());
    let path = String::from("a path");
    let say = || {
        event_info!(log, "store.scan.began", path = &path, rows = 7_u64);
        event_error!(log, "store.read.failed", message = %format_args!("no {path}"));
        event_error!(silent, "store.scan.failed", path = ?path);
        event_error!(
            musefs_telemetry::logging::engine(),
            "store.scan.failed",
            path = &path
        );
    };
    // The first time finds that the process has installed no providers.
    say();
    assert_eq!(allocations(|| (0..100).for_each(|_| say())), 0);
}
