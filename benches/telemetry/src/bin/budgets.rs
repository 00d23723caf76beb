//! Checks the budgets of the telemetry engine as ratios that are measured in one run: exits with 1 when one is missed.
//!
//! Each round measures every subject once, in turn; the least time of all rounds counts, because whatever disturbs a
//! measurement makes it longer. A run that misses a budget is repeated a few times with its times kept.

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use musefs_telemetry::encode::prometheus;
use musefs_telemetry::{Engine, Family, Label, Snapshot};
use musefs_telemetry_benches::{
    Loop, Subjects, cell, cell_of_value, counter, dynamic, histogram, labelled, op,
};

const COUNT: u64 = 200_000;
const ROUNDS: usize = 30;
const ATTEMPTS: usize = 4;

/// Subjects, the loop around a thread-local cell that is like theirs, and how many times its cost each may have.
const BUDGETS: [(&str, Loop, Loop, f64); 5] = [
    ("counter of a declared set", counter, cell, 2.0),
    (
        "labelled counter of a declared set",
        labelled,
        cell_of_value,
        2.0,
    ),
    ("counter of run time", dynamic, cell, 4.0),
    ("histogram", histogram, cell_of_value, 6.0),
    ("operation", op, cell_of_value, 8.0),
];

/// How much longer a call may take when a second thread makes it, too. Beyond noise, shared lines cost several times.
const FLAT: f64 = 1.5;

/// The least nanoseconds of each measurement so far.
struct Least {
    cell: [f64; BUDGETS.len()],
    alone: [f64; BUDGETS.len()],
    together: [f64; BUDGETS.len()],
    sum: f64,
    snapshot: f64,
    foreign_text: f64,
    our_text: f64,
}

fn main() -> ExitCode {
    let subjects = Subjects::new();
    let texts = Texts::new();
    let mut least = Least {
        cell: [f64::MAX; BUDGETS.len()],
        alone: [f64::MAX; BUDGETS.len()],
        together: [f64::MAX; BUDGETS.len()],
        sum: f64::MAX,
        snapshot: f64::MAX,
        foreign_text: f64::MAX,
        our_text: f64::MAX,
    };
    let mut kept = false;
    for _ in 0..ATTEMPTS {
        for _ in 0..ROUNDS {
            round(&subjects, &mut least);
            texts.round(&mut least);
        }
        wide(&mut least);
        kept = lines(&least).iter().all(|line| line.1 <= line.2);
        if kept {
            break;
        }
    }
    println!("a thread-local cell: {:.2} ns", least.cell[0]);
    println!(
        "our text: {:.0} ns, theirs: {:.0} ns",
        least.our_text, least.foreign_text
    );
    for (name, ratio, budget) in lines(&least) {
        let verdict = if ratio <= budget { "ok" } else { "MISSED" };
        println!("{name:<55} {ratio:5.2} of {budget:4.1} {verdict}");
    }
    if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Each budget: what, the ratio, how much it may be.
fn lines(least: &Least) -> Vec<(String, f64, f64)> {
    let mut lines = Vec::new();
    for (index, (name, _, _, budget)) in BUDGETS.iter().enumerate() {
        let name = |tail| format!("{name}{tail}");
        lines.push((name(""), least.alone[index] / least.cell[index], *budget));
        let flat = least.together[index] / least.alone[index];
        lines.push((name(", two threads beside one"), flat, FLAT));
    }
    let snapshot = "snapshot of 2,000 cells of 32 threads beside their sum";
    lines.push((snapshot.into(), least.snapshot / least.sum, 3.0));
    let text = "text of 1,000 series beside prometheus-client";
    lines.push((text.into(), least.our_text / least.foreign_text, 0.6));
    lines
}

#[expect(clippy::cast_precision_loss, reason = "times of a few milliseconds")]
fn nanoseconds(work: impl FnOnce(), count: u64) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64 / count as f64
}

fn keep(least: &mut f64, measured: f64) {
    *least = least.min(measured);
}

fn round(subjects: &Subjects, least: &mut Least) {
    for (index, (_, call, like, _)) in BUDGETS.iter().enumerate() {
        let cell = nanoseconds(|| like(subjects, COUNT), COUNT);
        keep(&mut least.cell[index], cell);
        let alone = nanoseconds(|| call(subjects, COUNT), COUNT);
        keep(&mut least.alone[index], alone);
        let barrier = Barrier::new(2);
        let together = thread::scope(|scope| {
            let timed = || {
                barrier.wait();
                nanoseconds(|| call(subjects, COUNT), COUNT)
            };
            let other = scope.spawn(timed);
            timed().max(other.join().expect("a loop does not panic"))
        });
        keep(&mut least.together[index], together);
    }
}

/// 2,000 cells of 32 threads: read as a snapshot, and just summed.
fn wide(least: &mut Least) {
    const CELLS: usize = 2_000;
    const THREADS: usize = 32;
    let engine = Engine::new();
    let names: Vec<_> = (0..CELLS).map(|number| format!("v{number}")).collect();
    let values: Vec<&'static str> = names.into_iter().map(|name| &*name.leak()).collect();
    let labels = vec![Label {
        name: "number",
        values: values.leak(),
    }];
    let family = Family::counter("wide_total", "Wide.").with_labels(labels.leak());
    let wide = engine
        .counters(Box::leak(Box::new(family)))
        .expect("room for all cells");
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
        for _ in 0..200 {
            let took = nanoseconds(|| engine.snapshot_into(&mut snapshot), 1);
            keep(&mut least.snapshot, took);
            let took = nanoseconds(
                || {
                    sums.fill(0);
                    for thread in black_box(&plain) {
                        for (sum, cell) in sums.iter_mut().zip(thread) {
                            *sum += cell.load(Relaxed);
                        }
                    }
                    black_box(&mut sums);
                },
                1,
            );
            keep(&mut least.sum, took);
        }
        barrier.wait();
    });
}

/// The same 1,000 series in both engines.
struct Texts {
    engine: Engine,
    foreign: prometheus_client::registry::Registry,
}

impl Texts {
    fn new() -> Self {
        use prometheus_client::metrics::{counter::Counter, family::Family as Foreign};

        let engine = Engine::new();
        let mut foreign = prometheus_client::registry::Registry::default();
        for family in 0..20_usize {
            let values: Vec<&'static str> = (0..50)
                .map(|value| &*format!("value_{value}").leak())
                .collect();
            let name: &'static str = format!("family_{family}_total").leak();
            let labels = vec![Label {
                name: "label",
                values: values.clone().leak(),
            }];
            let described = Family::counter(name, "A family.").with_labels(labels.leak());
            let ours = engine
                .counters(Box::leak(Box::new(described)))
                .expect("room for a family");
            let theirs = Foreign::<Vec<(&'static str, &'static str)>, Counter>::default();
            foreign.register(format!("family_{family}"), "A family.", theirs.clone());
            for (index, value) in values.into_iter().enumerate() {
                let amount = (family * 7_919 + index * 104_729) as u64;
                ours.add(index, amount);
                theirs.get_or_create(&vec![("label", value)]).inc_by(amount);
            }
        }
        Self { engine, foreign }
    }

    fn round(&self, least: &mut Least) {
        let snapshot = self.engine.snapshot();
        let mut text = String::with_capacity(1 << 17);
        let ours = nanoseconds(
            || prometheus::Writer::new(&mut text, &[]).snapshot(&snapshot),
            1,
        );
        keep(&mut least.our_text, ours);
        let mut other = String::with_capacity(1 << 17);
        let foreign = nanoseconds(
            || {
                prometheus_client::encoding::text::encode(&mut other, &self.foreign)
                    .expect("a String takes whatever is written to it");
            },
            1,
        );
        keep(&mut least.foreign_text, foreign);
        assert_eq!(
            black_box(&text).matches("} ").count(),
            black_box(&other).matches("} ").count()
        );
    }
}
