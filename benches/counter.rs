//! What one count costs: the engine's counter beside the least and the usual that could count instead.
//!
//! A thread-local `Cell<u64>` is the floor: nobody else can read it. `AtomicU64::fetch_add` on a shared word is what most
//! programs do. Each is measured on one thread and on two that count the same thing at once; the time is that of one count
//! on one of the threads.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use musefs_telemetry::{Engine, Family, Label};

static COUNTED: Family = Family::counter("bench_counted_total", "What the benchmark counts.");

static COUNTED_BY_KIND: Family = Family::counter(
    "bench_counted_by_kind_total",
    "What the benchmark counts, with a label.",
)
.with_labels(&[Label {
    name: "kind",
    values: &["red", "green", "blue"],
}]);

thread_local! {
    static CELL: Cell<u64> = const { Cell::new(0) };
}

/// The time that the slowest of `threads` threads takes for `iterations` calls of `count`, all at once.
fn timed(threads: usize, iterations: u64, count: &(impl Fn() + Sync)) -> Duration {
    let start_together = Barrier::new(threads);
    thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    // The first count of a thread makes its cells, which is not what is measured.
                    count();
                    start_together.wait();
                    let start = Instant::now();
                    for _ in 0..iterations {
                        count();
                    }
                    start.elapsed()
                })
            })
            .collect();
        handles
            .into_iter()
            .map(|handle| handle.join().expect("counting does not panic"))
            .max()
            .expect("there is at least one thread")
    })
}

fn measure(criterion: &mut Criterion, name: &str, count: impl Fn() + Sync) {
    let mut group = criterion.benchmark_group(name);
    for (threads, label) in [(1, "1 thread"), (2, "2 threads")] {
        group.bench_function(label, |bencher| {
            bencher.iter_custom(|iterations| timed(threads, iterations, &count));
        });
    }
    group.finish();
}

// `black_box` on what is counted keeps the compiler from folding the counts of a loop into one addition.

fn counters(criterion: &mut Criterion) {
    let engine = Engine::new();
    let counter = engine
        .counter(&COUNTED)
        .expect("the engine has room for a family");
    let by_kind = engine
        .counters(&COUNTED_BY_KIND)
        .expect("the engine has room for a family");
    let shared = AtomicU64::new(0);

    measure(criterion, "musefs_telemetry::Counter::increment", || {
        black_box(&counter).increment();
    });
    measure(criterion, "musefs_telemetry::Counters::increment", || {
        black_box(&by_kind).increment(black_box(1));
    });
    measure(criterion, "AtomicU64::fetch_add", || {
        black_box(&shared).fetch_add(1, Relaxed);
    });
    measure(criterion, "thread-local Cell<u64>", || {
        CELL.with(|cell| {
            let cell = black_box(cell);
            cell.set(cell.get().wrapping_add(1));
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = counters
}
criterion_main!(benches);
