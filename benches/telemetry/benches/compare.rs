//! What one event costs here and elsewhere, from one and from two threads. A table at the end has all of them.

use std::cell::RefCell;
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use musefs_telemetry_benches::{Subjects, cell, counter, dynamic, histogram, labelled, op, shared};

#[metriken::metric(name = "bench_counter")]
static METRIKEN: metriken::Counter = metriken::Counter::new();

/// Makes so many calls on the thread of this number.
type Call<'a> = &'a (dyn Fn(u16, u64) + Sync);

const THREADS: [u16; 2] = [1, 2];
/// A sample of fewer calls says little about one.
const CALLS_MIN: u64 = 10_000;

/// Times `count` calls on each of `threads` threads; the slowest counts.
fn timed(threads: u16, count: u64, call: Call<'_>) -> Duration {
    let barrier = Barrier::new(threads.into());
    let run = &|thread| {
        barrier.wait();
        let start = Instant::now();
        call(thread, count);
        start.elapsed()
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads)
            .map(|thread| scope.spawn(move || run(thread)))
            .collect();
        let ours = run(0);
        let others = others
            .into_iter()
            .map(|other| other.join().expect("a loop does not panic"));
        others.fold(ours, Duration::max)
    })
}

/// Nanoseconds of one call, for each sample that was taken of it, by how many threads made it.
type Samples = [Vec<f64>; THREADS.len()];

/// The rows of the table, as far as they were measured.
#[derive(Default)]
struct Table(RefCell<Vec<(&'static str, Samples)>>);

impl Table {
    fn begin(&self, name: &'static str) {
        self.0.borrow_mut().push((name, Default::default()));
    }

    #[expect(clippy::cast_precision_loss, reason = "far fewer calls than 2^53")]
    fn add(&self, column: usize, took: Duration, count: u64) {
        if count >= CALLS_MIN {
            let mut rows = self.0.borrow_mut();
            let (_, row) = rows.last_mut().expect("a row was begun");
            row[column].push(took.as_secs_f64() * 1e9 / count as f64);
        }
    }

    /// The medians of all that was measured.
    fn print(&self) {
        let rows = self.0.take();
        if rows.iter().all(|(_, row)| row.iter().all(Vec::is_empty)) {
            return;
        }
        println!("ns of one call                       1 thread  2 threads");
        for (name, row) in rows {
            let [one, two] = row.map(|mut samples| {
                samples.sort_by(f64::total_cmp);
                let median = samples.get(samples.len() / 2);
                median.map_or("-".to_owned(), |median| format!("{median:.2}"))
            });
            println!("{name:<36} {one:>8}  {two:>9}");
        }
    }
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
    let skeg_row = skeg_telemetry::register_counter("bench_total");
    let skeg_histogram = skeg_telemetry::register_histogram("bench_us");
    let calls: [(&str, Call<'_>); 17] = [
        ("nothing", &|_, count| {
            (0..count).for_each(|value| {
                black_box(value);
            });
        }),
        ("thread-local Cell", &|_, count| cell(&subjects, count)),
        ("AtomicU64", &|_, count| shared(&subjects, count)),
        ("musefs counter", &|_, count| counter(&subjects, count)),
        ("musefs labelled counter", &|_, count| {
            labelled(&subjects, count);
        }),
        ("musefs counter of run time", &|_, count| {
            dynamic(&subjects, count);
        }),
        ("metrics counter", &|_, count| {
            (0..count).for_each(|_| black_box(&metrics_counter).increment(1));
        }),
        ("prometheus counter", &|_, count| {
            (0..count).for_each(|_| black_box(&prometheus).inc());
        }),
        ("prometheus-client counter", &|_, count| {
            (0..count).for_each(|_| {
                black_box(&client).inc();
            });
        }),
        ("metriken counter", &|_, count| {
            (0..count).for_each(|_| {
                black_box(&METRIKEN).increment();
            });
        }),
        ("skeg-telemetry counter", &|_, count| {
            (0..count).for_each(|_| {
                skeg_telemetry::tick_counter(black_box(skeg_telemetry::Counter::CacheHits));
            });
        }),
        // Each thread in the shard that it would be given there.
        ("skeg-telemetry counter of run time", &|thread, count| {
            (0..count).for_each(|_| {
                black_box(skeg_row)[usize::from(thread)].fetch_add(1, Relaxed);
            });
        }),
        ("musefs histogram", &|_, count| histogram(&subjects, count)),
        ("prometheus histogram", &|_, count| {
            (0..count).for_each(|_| black_box(&prometheus_histogram).observe(black_box(0.3)));
        }),
        ("skeg-telemetry histogram", &|_, count| {
            (0..count).for_each(|value| black_box(skeg_histogram).observe(black_box(value << 2)));
        }),
        ("musefs operation", &|_, count| op(&subjects, count)),
        ("skeg-telemetry operation", &|thread, count| {
            (0..count).for_each(|value| {
                let duration = Duration::from_nanos(black_box(value << 12));
                skeg_telemetry::record_op(black_box(skeg_telemetry::Op::Get), thread, duration);
            });
        }),
    ];
    let table = Table::default();
    let mut group = criterion.benchmark_group("event");
    group
        .measurement_time(Duration::from_secs(1))
        .warm_up_time(Duration::from_millis(300));
    for (name, call) in calls {
        table.begin(name);
        for (column, threads) in THREADS.into_iter().enumerate() {
            group.bench_function(BenchmarkId::new(name, threads), |bencher| {
                bencher.iter_custom(|count| {
                    let took = timed(threads, count, call);
                    table.add(column, took, count);
                    took
                });
            });
        }
    }
    group.finish();
    table.print();
}

criterion_group!(benches, compare);
criterion_main!(benches);
