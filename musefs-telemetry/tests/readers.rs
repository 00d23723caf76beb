//! Whatever threads, readers and commits do in whatever order: the deltas of a reader add up to the cumulative total, which
//! is what was counted, and nothing that only grows is ever seen to fall.

#![cfg(feature = "stats")]

use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use musefs_telemetry::snapshot::Value;
use musefs_telemetry::{
    Buckets, Counters, Cursor, Engine, Family, Histogram, Kind, Label, Snapshot, Temporality,
};
use proptest::prelude::*;

static EVENTS: Family = Family::counter("events_total", "Events.").with_labels(&[Label {
    name: "kind",
    values: &["a", "b", "c"],
}]);
static SIZES: Family = Family::of(
    "sizes",
    "Sizes.",
    Kind::Histogram(Buckets::powers_of_two(1, 1 << 10).with_scale(1)),
);

#[derive(Clone, Debug)]
enum Step {
    Count {
        thread: usize,
        series: usize,
        amount: u64,
    },
    Record {
        thread: usize,
        value: u64,
    },
    End {
        thread: usize,
    },
    Commit {
        reader: usize,
    },
    Drop {
        reader: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (thread, reader) = (0_usize..4, 0_usize..3);
    prop_oneof![
        4 => (thread.clone(), 0_usize..3, 1_u64..100)
            .prop_map(|(thread, series, amount)| Step::Count { thread, series, amount }),
        4 => (thread.clone(), 0_u64..3_000).prop_map(|(thread, value)| Step::Record { thread, value }),
        1 => thread.prop_map(|thread| Step::End { thread }),
        2 => reader.clone().prop_map(|reader| Step::Commit { reader }),
        1 => reader.prop_map(|reader| Step::Drop { reader }),
    ]
}

type Job = Box<dyn FnOnce(&Counters, &Histogram) + Send>;

/// A thread that does jobs until it is ended.
struct Worker {
    jobs: Sender<(Job, Sender<()>)>,
    thread: JoinHandle<()>,
}

impl Worker {
    fn new(events: Counters, sizes: Histogram) -> Self {
        let (jobs, todo) = channel::<(Job, Sender<()>)>();
        let thread = thread::spawn(move || {
            for (job, done) in todo {
                job(&events, &sizes);
                done.send(()).unwrap();
            }
        });
        Self { jobs, thread }
    }

    fn work(&self, job: Job) {
        let (done, wait) = channel();
        self.jobs.send((job, done)).unwrap();
        wait.recv().unwrap();
    }

    fn end(self) {
        drop(self.jobs);
        self.thread.join().unwrap();
    }
}

/// All totals of a snapshot: the counters, then the buckets, then the sum.
fn totals(snapshot: &Snapshot) -> Vec<u64> {
    let mut totals: Vec<_> = (0..3)
        .map(|series| snapshot.value(&EVENTS, series).unwrap_or(0))
        .collect();
    if let Some(Value::Histogram(sizes)) = snapshot.find("sizes").and_then(|metric| metric.value(0))
    {
        totals.extend(sizes.buckets().map(|(_, count)| count));
        totals.push(sizes.sum());
    }
    totals
}

fn add(sum: &mut Vec<u64>, delta: &[u64]) {
    sum.resize(sum.len().max(delta.len()), 0);
    for (sum, delta) in sum.iter_mut().zip(delta) {
        *sum += delta;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn deltas_add_up_to_the_truth(steps in prop::collection::vec(step(), 1..120)) {
        let engine = Engine::new();
        let events = engine.counters(&EVENTS).unwrap();
        let sizes = engine.histogram(&SIZES).unwrap();
        let Kind::Histogram(buckets) = SIZES.kind else { unreachable!() };
        let mut truth = vec![0; 3 + buckets.len() + 1];
        let mut workers: [Option<Worker>; 4] = Default::default();
        let mut readers: Vec<(Cursor, Vec<u64>)> = vec![
            (engine.cursor(Temporality::Delta), Vec::new()),
            (engine.cursor(Temporality::Delta).sparse(), Vec::new()),
            (engine.cursor(Temporality::Cumulative), Vec::new()),
        ];
        let mut before = totals(&engine.snapshot());
        let last = (0..3).map(|reader| Step::Commit { reader });
        for step in steps.into_iter().chain(last) {
            match step {
                Step::Count { thread, series, amount } => {
                    truth[series] += amount;
                    workers[thread]
                        .get_or_insert_with(|| Worker::new(events.clone(), sizes.clone()))
                        .work(Box::new(move |events, _| events.add(series, amount)));
                }
                Step::Record { thread, value } => {
                    truth[3 + buckets.index(value)] += 1;
                    *truth.last_mut().unwrap() += value;
                    workers[thread]
                        .get_or_insert_with(|| Worker::new(events.clone(), sizes.clone()))
                        .work(Box::new(move |_, sizes| sizes.record(value)));
                }
                Step::End { thread } => {
                    if let Some(worker) = workers[thread].take() {
                        worker.end();
                    }
                }
                Step::Commit { reader: 2 } => {
                    let (cursor, seen) = &mut readers[2];
                    let batch = cursor.batch();
                    let told = totals(batch.snapshot());
                    prop_assert!(told.iter().zip(&*seen).all(|(now, before)| now >= before));
                    *seen = told;
                    batch.commit();
                }
                Step::Commit { reader } => {
                    let (cursor, sum) = &mut readers[reader];
                    let batch = cursor.batch();
                    let told = batch.snapshot();
                    // A sparse batch leaves out what did not move.
                    if told.find("sizes").is_some() || told.find("events_total").is_some() {
                        let mut whole = vec![0; truth.len()];
                        let events = totals(told);
                        whole[..3].copy_from_slice(&events[..3]);
                        if events.len() > 3 {
                            whole[3..].copy_from_slice(&events[3..]);
                        }
                        add(sum, &whole);
                    }
                    batch.commit();
                }
                Step::Drop { reader } => drop(readers[reader].0.batch()),
            }
            let now = totals(&engine.snapshot());
            prop_assert!(now.iter().zip(&before).all(|(now, before)| now >= before));
            prop_assert_eq!(&now, &truth);
            before = now;
        }
        for (_, sum) in &mut readers {
            sum.resize(truth.len(), 0);
            prop_assert_eq!(&*sum, &truth);
        }
        workers.into_iter().flatten().for_each(Worker::end);
    }
}

#[test]
fn eight_threads_count_a_million_each() {
    let engine = Engine::new();
    let events = engine.counters(&EVENTS).unwrap();
    let sizes = engine.histogram(&SIZES).unwrap();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for value in 0..1_000_000 {
                    events.increment(1);
                    sizes.record(value & 1_023);
                }
            });
        }
        let mut cursor = engine.cursor(Temporality::Delta);
        let mut sum = 0;
        while sum < 8_000_000 {
            let batch = cursor.batch();
            sum += batch.snapshot().value(&EVENTS, 1).unwrap();
            batch.commit();
            assert!(sum <= 8_000_000);
        }
    });
    assert_eq!(events.value(1), 8_000_000);
    let snapshot = engine.snapshot();
    let Some(Value::Histogram(sizes)) = snapshot.find("sizes").unwrap().value(0) else {
        panic!("a histogram")
    };
    assert_eq!(sizes.count(), 8_000_000);
    let last = 1_000_000 % 1_024;
    let sum = 8 * ((1_000_000 / 1_024) * (1_023 * 1_024 / 2) + last * (last - 1) / 2);
    assert_eq!(sizes.sum(), sum);
}

#[test]
fn no_reader_sees_a_counter_or_a_bucket_fall_while_threads_come_and_go() {
    let engine = Engine::new();
    let events = engine.counters(&EVENTS).unwrap();
    let sizes = engine.histogram(&SIZES).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..300 {
                thread::scope(|inner| {
                    for _ in 0..2 {
                        inner.spawn(|| {
                            for value in 0..100 {
                                events.increment(round % 3);
                                sizes.record(value);
                            }
                        });
                    }
                });
            }
        });
        for temporality in [Temporality::Cumulative, Temporality::Delta] {
            let engine = &engine;
            scope.spawn(move || {
                let mut cursor = engine.cursor(temporality);
                let mut seen = Vec::new();
                while seen.iter().take(3).sum::<u64>() < 60_000 {
                    let batch = cursor.batch();
                    let told = totals(batch.snapshot());
                    match temporality {
                        Temporality::Cumulative => {
                            let falls = told.iter().zip(&seen).any(|(now, before)| now < before);
                            assert!(!falls, "{told:?} after {seen:?}");
                            seen = told;
                        }
                        // A difference below zero would be a very large one.
                        Temporality::Delta => {
                            add(&mut seen, &told);
                            assert!(seen[..3].iter().sum::<u64>() <= 60_000, "{told:?}");
                        }
                    }
                    batch.commit();
                }
            });
        }
    });
    let told = totals(&engine.snapshot());
    assert_eq!(told[..3], [20_000; 3]);
    assert_eq!(told[3..told.len() - 1].iter().sum::<u64>(), 60_000);
}

#[test]
fn a_filter_holds_nothing_back_for_ever() {
    let engine = Engine::new();
    let events = engine.counters(&EVENTS).unwrap();
    let sizes = engine.histogram(&SIZES).unwrap();
    events.add(0, 2);
    sizes.record(1);
    let mut cursor = engine
        .cursor(Temporality::Delta)
        .filter(|family| family.name.starts_with("events"));
    let batch = cursor.batch();
    let names: Vec<_> = batch
        .snapshot()
        .families()
        .map(|metric| metric.family().name)
        .collect();
    assert_eq!(names, ["events_total"]);
    batch.commit();
    let batch = cursor.batch();
    assert_eq!(batch.snapshot().value(&EVENTS, 0), Some(0));
}

proptest! {
    #[test]
    fn a_quantile_is_in_the_bucket_of_the_value(
        mut values in prop::collection::vec(1_u64..100_000, 1..300),
        q in 0.0..=1.0_f64,
        scale in 0_u8..=3,
    ) {
        let buckets = Buckets::powers_of_two(1, 1 << 20).with_scale(scale);
        let engine = Engine::new();
        let histogram = engine
            .register_histogram(&format!("q{scale}"), "Values.", musefs_telemetry::Unit::None, buckets)
            .unwrap();
        for &value in &values {
            histogram.record(value);
        }
        values.sort_unstable();
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank among a few hundred")]
        let rank = ((q * values.len() as f64).ceil() as usize).clamp(1, values.len());
        let exact = values[rank - 1];
        let snapshot = engine.snapshot();
        let Some(Value::Histogram(told)) = snapshot.find(&format!("q{scale}")).unwrap().value(0) else {
            panic!("a histogram")
        };
        let told = told.quantile(q).unwrap();
        prop_assert!(told >= exact);
        prop_assert_eq!(buckets.index(told), buckets.index(exact));
    }
}
