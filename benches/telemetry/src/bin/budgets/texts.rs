//! The text of 1,000 labelled series here and in `prometheus-client`, each from its live counters into a string that serves
//! again; and what our texts allocate.

use std::hint::black_box;
use std::rc::Rc;

use musefs_telemetry::encode::{json, openmetrics, prometheus};
use musefs_telemetry::{Engine, Family, Label, Snapshot};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::{counter::Counter, family::Family as Foreign};
use prometheus_client::registry::Registry;

use crate::Check;
use crate::measure::{Row, medians, nanoseconds};
use crate::memory::allocations;

const FAMILIES: usize = 20;
const SERIES: usize = 50;
const ROUNDS: usize = 201;
const TEXTS: u32 = 100;

/// The labels of the other engine's series.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    label: &'static str,
}

/// The same series in both engines.
struct Both {
    engine: Engine,
    foreign: Registry,
}

impl Both {
    fn new() -> Self {
        let engine = Engine::new();
        let mut foreign = Registry::default();
        for number in 0..FAMILIES {
            let values: Vec<&'static str> = (0..SERIES)
                .map(|value| &*format!("value_{value}").leak())
                .collect();
            let values: &'static [&'static str] = values.leak();
            let labels = vec![Label {
                name: "label",
                values,
            }];
            let name = format!("family_{number}_total").leak();
            let described = Family::counter(name, "A family.").with_labels(labels.leak());
            let ours = engine
                .counters(Box::leak(Box::new(described)))
                .expect("room for a family");
            let theirs = Foreign::<Labels, Counter>::default();
            foreign.register(format!("family_{number}"), "A family.", theirs.clone());
            for (index, label) in values.iter().enumerate() {
                let amount = (number * 7_919 + index * 104_729) as u64;
                ours.add(index, amount);
                theirs.get_or_create(&Labels { label }).inc_by(amount);
            }
        }
        Self { engine, foreign }
    }
}

pub fn checks() -> Vec<Check> {
    let both = Rc::new(Both::new());
    let other = Rc::clone(&both);
    vec![
        Box::new(move || time(&both)),
        Box::new(move || allocated(&other.engine)),
    ]
}

fn time(both: &Both) -> Row {
    let mut snapshot = Snapshot::default();
    let (mut our_text, mut their_text) = (String::new(), String::new());
    let rounds: Vec<_> = (0..=ROUNDS)
        .map(|_| {
            our_text.clear();
            their_text.clear();
            let ours = nanoseconds(|| {
                both.engine.snapshot_into(&mut snapshot);
                prometheus::Writer::new(&mut our_text, &[]).snapshot(&snapshot);
            });
            let theirs = nanoseconds(|| {
                text::encode(&mut their_text, &both.foreign)
                    .expect("a String takes whatever is written to it");
            });
            (ours, theirs)
        })
        .collect();
    for text in [&our_text, &their_text] {
        let samples = text.lines().filter(|line| line.contains("} ")).count();
        assert_eq!(black_box(samples), FAMILIES * SERIES, "{text}");
    }
    let name = "text of 1,000 series / prometheus-client";
    // The first round is when both strings grow.
    medians(name.to_owned(), &rounds[1..], 0.6)
}

fn allocated(engine: &Engine) -> Row {
    let mut snapshot = Snapshot::default();
    let mut texts = [const { String::new() }; 3];
    let mut render = || {
        engine.snapshot_into(&mut snapshot);
        texts.iter_mut().for_each(String::clear);
        let [classic, open, machine] = &mut texts;
        prometheus::Writer::new(classic, &[]).snapshot(&snapshot);
        openmetrics::encode(open, &snapshot, &[]);
        json::encode(machine, &snapshot, &[]);
    };
    render();
    let allocations = allocations(|| (0..TEXTS).for_each(|_| render()));
    let amounts = (f64::from(allocations), f64::from(TEXTS));
    Row::of(
        "allocations of 100 texts after the first / texts",
        "",
        amounts,
        0.0,
    )
}
