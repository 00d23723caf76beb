//! A snapshot of many cells of many threads beside just summing as much memory.

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use musefs_telemetry::{Counters, Engine, Family, Label, Snapshot};

use crate::Check;
use crate::measure::{Row, medians, nanoseconds};

pub const CELLS: usize = 2_000;
pub const THREADS: usize = 32;
const ROUNDS: usize = 201;

/// An engine and one family of so many cells.
pub fn engine() -> (Engine, Counters) {
    let names = (0..CELLS).map(|number| &*format!("v{number}").leak());
    let labels = vec![Label {
        name: "number",
        values: names.collect::<Vec<&'static str>>().leak(),
    }];
    let family = Family::counter("wide_total", "Wide.").with_labels(labels.leak());
    let engine = Engine::new();
    let wide = engine
        .counters(Box::leak(Box::new(family)))
        .expect("room for all cells");
    (engine, wide)
}

pub fn checks() -> Vec<Check> {
    vec![Box::new(check)]
}

fn check() -> Row {
    let (engine, wide) = engine();
    let plain: Vec<Vec<AtomicU64>> = (0..THREADS)
        .map(|_| (0..CELLS).map(|_| AtomicU64::new(1)).collect())
        .collect();
    let barrier = Barrier::new(THREADS + 1);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                (0..CELLS).for_each(|cell| wide.increment(cell));
                barrier.wait();
                barrier.wait();
            });
        }
        barrier.wait();
        let mut snapshot = Snapshot::default();
        let mut sums = vec![0_u64; CELLS];
        let rounds: Vec<_> = (0..ROUNDS)
            .map(|_| {
                let ours = nanoseconds(|| engine.snapshot_into(&mut snapshot));
                (ours, nanoseconds(|| sum(&plain, &mut sums)))
            })
            .collect();
        barrier.wait();
        let name = "snapshot of 2,000 cells of 32 threads / their sum";
        medians(name.to_owned(), &rounds, 3.0)
    })
}

fn sum(plain: &[Vec<AtomicU64>], sums: &mut [u64]) {
    sums.fill(0);
    for thread in black_box(plain) {
        for (sum, cell) in sums.iter_mut().zip(thread) {
            *sum += cell.load(Relaxed);
        }
    }
    black_box(sums);
}
