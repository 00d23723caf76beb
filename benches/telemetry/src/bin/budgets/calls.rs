//! What a call costs beside a thread-local cell, and from two threads beside one.

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use musefs_telemetry_benches::{
    Loop, Subjects, cell, cell_of_value, counter, dynamic, heard, histogram, interest, labelled,
    op, shared, unheard,
};

use crate::Check;
use crate::measure::{Row, medians, nanoseconds};

const CALLS: u32 = 200_000;
const ROUNDS: usize = 41;
/// How many rounds of two threads are begun to have enough that ran at once.
const ROUNDS_MAX: usize = 400;

/// What is called, the loop around a thread-local cell that is like it, and how many times its cost it may have.
const BUDGETS: [(&str, Loop, Loop, f64); 6] = [
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
    ("whether anybody listens", interest, cell, 1.0),
];

/// How many additions to an atomic that another thread adds to it may cost to tell a handler in line of a tier and of its
/// operation.
const TOLD: f64 = 3.0;

/// How much longer a call may take when a second thread makes it, too. Lines that are shared cost several times as much.
const FLAT: f64 = 1.5;

pub fn checks() -> Vec<Check> {
    let subjects = Arc::new(Subjects::new());
    let cores = thread::available_parallelism().map_or(1, Into::into);
    if cores < 2 {
        println!("There is one core only: calls from two threads are not measured.");
    }
    let mut checks: Vec<Check> = Vec::new();
    if cores >= 2 {
        let ours = Arc::clone(&subjects);
        checks.push(Box::new(move || told(&ours)));
    }
    for (name, call, like, budget) in BUDGETS {
        let ours = Arc::clone(&subjects);
        checks.push(Box::new(move || {
            let rounds: Vec<_> = (0..ROUNDS)
                .map(|_| (cost(call, &ours), cost(like, &ours)))
                .collect();
            medians(format!("{name} / thread-local cell"), &rounds, budget)
        }));
        if cores < 2 {
            continue;
        }
        let ours = Arc::clone(&subjects);
        checks.push(Box::new(move || {
            let rounds: Vec<_> = (0..ROUNDS_MAX)
                .filter_map(|_| {
                    let alone = cost(call, &ours);
                    Some((together(call, &ours)?, alone))
                })
                .take(ROUNDS)
                .collect();
            medians(format!("{name}, two threads / one"), &rounds, FLAT)
        }));
    }
    checks
}

/// What a handler in line adds to an operation with one tier, beside an atomic; both from two threads, without which nothing
/// is shared.
fn told(subjects: &Subjects) -> Row {
    let rounds: Vec<_> = (0..ROUNDS_MAX)
        .filter_map(|_| {
            let telling = together(heard, subjects)? - together(unheard, subjects)?;
            Some((telling, together(shared, subjects)?))
        })
        .take(ROUNDS)
        .collect();
    let name = "handler told of tier and end / atomic of two threads";
    medians(name.into(), &rounds, TOLD)
}

/// Nanoseconds of one call.
fn cost(call: Loop, subjects: &Subjects) -> f64 {
    nanoseconds(|| call(subjects, u64::from(CALLS))) / f64::from(CALLS)
}

/// Nanoseconds of one call on the slower of two threads; nothing when they did not run at the same time.
fn together(call: Loop, subjects: &Subjects) -> Option<f64> {
    let ready = AtomicUsize::new(0);
    let timed = || {
        ready.fetch_add(1, Relaxed);
        // A barrier that sleeps would let one thread start when the other is nearly done.
        while ready.load(Relaxed) < 2 {
            spin_loop();
        }
        let start = Instant::now();
        let cost = cost(call, subjects);
        (start, Instant::now(), cost)
    };
    let (ours, theirs) = thread::scope(|scope| {
        let other = scope.spawn(timed);
        (timed(), other.join().expect("a loop does not panic"))
    });
    let shared = ours
        .1
        .min(theirs.1)
        .saturating_duration_since(ours.0.max(theirs.0));
    let longest = ours.1.max(theirs.1) - ours.0.min(theirs.0);
    (shared.as_secs_f64() > 0.8 * longest.as_secs_f64()).then_some(ours.2.max(theirs.2))
}
