//! Calls of every kind in functions with names of their own, for the test that looks at what becomes of them.

use std::hint::black_box;

use musefs_telemetry::dynamic::{DynCounter, DynGauge, DynHistogram, DynOp};
use musefs_telemetry::scope::Completion;
use musefs_telemetry::stats::Stats;
use musefs_telemetry::{
    AttributeEnum, Buckets, Counter, Counters, Engine, Events, Histogram, MetricSet, Ops, Unit,
    metric_set, register_op,
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

#[metric_set(prefix = "probe", instrument = "counter")]
#[derive(Clone, Copy)]
enum Ticks {
    /// Ticks.
    Ticks,
}

#[metric_set(prefix = "probe", instrument = "gauge")]
#[derive(Clone, Copy)]
enum Levels {
    /// Level.
    Level,
}

/// What is named at run time.
struct Named {
    events: DynCounter,
    level: DynGauge,
    size: DynHistogram,
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

#[inline(never)]
fn probe_named(named: &Named, value: u64) {
    named.events.add(value);
    named.level.set(7);
    named.size.record(value);
}

#[inline(never)]
fn probe_sets(stats: &Stats<Op, Ticks, Levels>, duration_ns: u64) {
    stats.tick_counter(Ticks::Ticks);
    stats.set_gauge(Levels::Level, 7);
    stats.record_op(Op::Open, duration_ns, Completion::Ok);
}

#[inline(never)]
fn probe_interest(events: &Events) -> bool {
    events.interested()
}

fn named(engine: &Engine) -> Result<Named, musefs_telemetry::DescribeError> {
    let buckets = Buckets::powers_of_two(1, 1 << 20);
    Ok(Named {
        events: engine.register_counter("probe_named_total", "Events.")?,
        level: engine.register_gauge("probe_named_level", "Level.")?,
        size: engine.register_histogram(
            "probe_named_size_bytes",
            "Sizes.",
            Unit::Bytes,
            buckets,
        )?,
    })
}

fn main() {
    let engine = Engine::new();
    let declared = (
        Probe::declare(&engine),
        Ops::declare(&engine, "probe", Buckets::powers_of_two(1, 1 << 30)),
        register_op!(engine, "probe_fetch"),
        register_op!("probe_process"),
        named(&engine),
        Stats::declare(&engine, "sets"),
    );
    let (Ok(probe), Ok(ops), Ok(fetch), Some(process), Ok(named), Ok(stats)) = declared else {
        return eprintln!("an engine without room");
    };
    probe_increment(black_box(&probe));
    probe_labelled(black_box(&probe), black_box(Op::Open));
    probe_histogram(black_box(&probe), black_box(7));
    probe_operation(black_box(&ops), black_box(7));
    probe_run_time(black_box(&fetch), black_box(7));
    probe_run_time(black_box(process), black_box(7));
    probe_named(black_box(&named), black_box(7));
    probe_sets(black_box(&stats), black_box(7));
    println!("{}", probe_interest(black_box(engine.events())));
    println!("{}", engine.schema().len());
}
