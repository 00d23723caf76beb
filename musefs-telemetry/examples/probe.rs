//! Calls of every kind in functions with names of their own, for the test that looks at what becomes of them.

use std::hint::black_box;

use musefs_telemetry::dynamic::DynOp;
use musefs_telemetry::scope::Completion;
use musefs_telemetry::{
    AttributeEnum, Buckets, Counter, Counters, Engine, Histogram, MetricSet, Ops, metric_set,
    register_op,
};

#[derive(Clone, Copy, AttributeEnum)]
enum Op {
    Read,
    Open,
}

#[metric_set(prefix = "probe")]
struct Probe {
    /// Events.
    events: Counter,
    /// Events by operation.
    labelled: Counters<Op>,
    /// Sizes.
    #[metric(unit = "bytes", min = 1, max = 1 << 20)]
    size: Histogram,
}

#[inline(never)]
fn probe_increment(probe: &Probe) {
    probe.events.increment();
}

#[inline(never)]
fn probe_labelled(probe: &Probe, op: Op) {
    probe.labelled.increment(op);
}

#[inline(never)]
fn probe_histogram(probe: &Probe, value: u64) {
    probe.size.record(value);
}

#[inline(never)]
fn probe_operation(ops: &Ops<Op>, duration_ns: u64) {
    ops.record_op(Op::Read, duration_ns, Completion::Ok);
}

#[inline(never)]
fn probe_run_time(op: &DynOp, duration_ns: u64) {
    op.record(duration_ns, false);
}

fn main() {
    let engine = Engine::new();
    let declared = (
        Probe::declare(&engine),
        Ops::declare(&engine, "probe", Buckets::powers_of_two(1, 1 << 30)),
        register_op!(engine, "probe_fetch"),
        register_op!("probe_process"),
    );
    let (Ok(probe), Ok(ops), Ok(fetch), Some(process)) = declared else {
        return eprintln!("an engine without room");
    };
    probe_increment(black_box(&probe));
    probe_labelled(black_box(&probe), black_box(Op::Open));
    probe_histogram(black_box(&probe), black_box(7));
    probe_operation(black_box(&ops), black_box(7));
    probe_run_time(black_box(&fetch), black_box(7));
    probe_run_time(black_box(process), black_box(7));
    println!("{}", engine.schema().len());
}
