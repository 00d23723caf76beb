//! One summary for each operation, made of its tier events and its completion, in memory that stays flat: cancelled and
//! panicked operations complete, too, so nothing waits for an end that never comes.
//!
//! `cargo run -p musefs-telemetry --example telemetry_accumulator`

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use musefs_telemetry::{
    AttributeEnum, Buckets, Completion, Ctx, Engine, EventHandler, OperationEvent, Ops, Outcome,
    TierEvent,
};

#[derive(Clone, Copy, AttributeEnum)]
enum Op {
    Read,
    Open,
}

/// What is known of operations that have not completed, by request.
#[derive(Default)]
struct Accumulator {
    open: HashMap<u64, Vec<String>>,
    open_max: usize,
    summaries: u64,
    without_answer: u64,
    last: String,
}

#[derive(Clone, Default)]
struct Handler(Arc<Mutex<Accumulator>>);

impl Handler {
    fn with<T>(&self, work: impl FnOnce(&mut Accumulator) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl EventHandler for Handler {
    fn on_tier_event(&self, event: &TierEvent<'_>) {
        self.with(|all| {
            let tiers = all.open.entry(event.request_id).or_default();
            let stands_in = if event.fallback { " (fallback)" } else { "" };
            tiers.push(format!("{}: {}{stands_in}", event.name, event.outcome));
            all.open_max = all.open_max.max(all.open.len());
        });
    }

    fn on_operation_complete(&self, event: &OperationEvent<'_>) {
        self.with(|all| {
            let tiers = all.open.remove(&event.request_id).unwrap_or_default();
            all.summaries += 1;
            let unanswered = [Completion::Cancelled, Completion::Panicked];
            all.without_answer += u64::from(unanswered.contains(&event.outcome));
            all.last = format!(
                "{} {:x}: {} after {} ns; {}",
                event.operation,
                event.request_id,
                event.outcome,
                event.duration_ns,
                tiers.join(", ")
            );
        });
    }
}

/// What one request does: every tenth is cancelled, and one in a thousand panics.
fn request(ops: &Ops<Op>, number: u64) {
    let _entered = Ctx::next(0).enter();
    let mut scope = ops.scope(if number.is_multiple_of(3) {
        Op::Open
    } else {
        Op::Read
    });
    scope.tier("memory").finish(Outcome::Miss);
    scope.tier("disk").timed().fallback().finish(Outcome::Hit);
    match number {
        number if number % 1_000 == 7 => {
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let _scope = scope;
                std::panic::resume_unwind(Box::new("on purpose, and quietly"));
            }));
            drop(panicked);
        }
        number if number.is_multiple_of(10) => drop(scope),
        _ => drop(scope.finish(Completion::Ok)),
    }
}

/// Whether each of `threads` times `each` operations was summed up, with no more than one open for each thread.
fn run(threads: u64, each: u64) -> Result<bool, musefs_telemetry::DescribeError> {
    let handler = Handler::default();
    let engine = Engine::builder().event_handler(handler.clone()).build()?;
    let ops = Ops::declare(&engine, "example", Buckets::powers_of_two(1 << 8, 1 << 30))?;
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| (0..each).for_each(|number| request(&ops, number)));
        }
    });
    Ok(handler.with(|all| {
        println!("the last one: {}", all.last);
        println!(
            "{} summaries, {} without an answer; {} open at most, {} now",
            all.summaries,
            all.without_answer,
            all.open_max,
            all.open.len()
        );
        let flat = all.open.is_empty() && all.open_max as u64 <= threads;
        flat && all.summaries == threads * each
    }))
}

fn main() -> std::process::ExitCode {
    match run(4, 100_000) {
        Ok(true) => std::process::ExitCode::SUCCESS,
        Ok(false) => std::process::ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[test]
fn every_operation_is_summed_up_and_memory_stays_flat() {
    assert_eq!(run(4, 5_000), Ok(true));
}
