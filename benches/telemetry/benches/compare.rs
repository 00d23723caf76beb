//! What one event costs here and elsewhere, from one and from two threads.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use musefs_telemetry_benches::{Subjects, cell, counter, dynamic, histogram, labelled, op, shared};

#[metriken::metric(name = "bench_counter")]
static METRIKEN: metriken::Counter = metriken::Counter::new();

/// Times `count` calls on each of `threads` threads; the slowest counts.
fn timed(threads: usize, count: u64, call: &(dyn Fn(u64) + Sync)) -> Duration {
    let barrier = Barrier::new(threads);
    thread::scope(|scope| {
        let run = || {
            barrier.wait();
            let start = Instant::now();
            call(count);
            start.elapsed()
        };
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let ours = run();
        let others = others
            .into_iter()
            .map(|other| other.join().expect("a loop does not panic"));
        others.fold(ours, Duration::max)
    })
}

fn compare(criterion: &mut Criterion) {
    let subjects = Subjects::new();
    let recorder = metrics_util::registry::Registry::<metrics::Key, _>::new(
        metrics_util::registry::AtomicStorage,
    );
    let key = metrics::Key::from_name("bench");
    let metrics_counter = recorder.get_or_create_counter(&key, |handle| {
        metrics::Counter::from_arc(std::sync::Arc::clone(handle))
    });
    let prometheus = prometheus::IntCounter::new("bench", "Bench.").expect("a name");
    let prometheus_histogram =
        prometheus::Histogram::with_opts(prometheus::HistogramOpts::new("bench_h", "Bench."))
            .expect("a name");
    let client = prometheus_client::metrics::counter::Counter::<u64>::default();
    let calls: [(&str, &(dyn Fn(u64) + Sync)); 13] = [
        ("thread-local Cell", &|count| cell(&subjects, count)),
        ("AtomicU64", &|count| shared(&subjects, count)),
        ("musefs counter", &|count| counter(&subjects, count)),
        ("musefs labelled counter", &|count| {
            labelled(&subjects, count);
        }),
        ("musefs counter of run time", &|count| {
            dynamic(&subjects, count);
        }),
        ("musefs histogram", &|count| histogram(&subjects, count)),
        ("musefs operation", &|count| op(&subjects, count)),
        ("metrics counter", &|count| {
            (0..count).for_each(|_| black_box(&metrics_counter).increment(1));
        }),
        ("prometheus counter", &|count| {
            (0..count).for_each(|_| black_box(&prometheus).inc());
        }),
        ("prometheus histogram", &|count| {
            (0..count).for_each(|_| black_box(&prometheus_histogram).observe(black_box(0.3)));
        }),
        ("prometheus-client counter", &|count| {
            (0..count).for_each(|_| {
                black_box(&client).inc();
            });
        }),
        ("metriken counter", &|count| {
            (0..count).for_each(|_| {
                black_box(&METRIKEN).increment();
            });
        }),
        ("nothing", &|count| {
            (0..count).for_each(|value| {
                black_box(value);
            });
        }),
    ];
    let mut group = criterion.benchmark_group("event");
    group
        .measurement_time(Duration::from_secs(1))
        .warm_up_time(Duration::from_millis(300));
    for (name, call) in calls {
        for threads in [1, 2] {
            group.bench_function(BenchmarkId::new(name, threads), |bencher| {
                bencher.iter_custom(|count| timed(threads, count, call));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, compare);
criterion_main!(benches);
