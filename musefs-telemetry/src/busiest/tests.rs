//! What space-saving promises, for any stream of names.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::describe::Label;
use crate::encode::{json, openmetrics, plain, prometheus};
use crate::{Snapshot, Temporality};

const PLACES: usize = 4;
static CLIENT: Label = Label {
    name: "client",
    values: &["#1", "#2", "#3", "#4", "other", "unknown"],
};
static VISITS: Family = Family::counter("visits_total", "Visits.")
    .with_labels(std::slice::from_ref(&CLIENT))
    .with_names();
static SALES: Family = Family::counter("sales_total", "Sales.")
    .with_labels(std::slice::from_ref(&CLIENT))
    .with_names();

fn engine() -> (Engine, Busiest) {
    let engine = Engine::new();
    let busiest = engine.busiest(&[&VISITS, &SALES]).unwrap();
    (engine, busiest)
}

/// What a family tells, by name.
fn told(snapshot: &Snapshot, family: &Family) -> HashMap<String, u64> {
    let metric = snapshot.find(family.name).unwrap();
    let series = metric.series().map(|(index, value)| {
        let (_, name) = metric.labels(index).next().unwrap();
        let crate::snapshot::Value::Counter(value) = value else {
            panic!("{value:?}");
        };
        (name.to_owned(), value)
    });
    let all: Vec<_> = series.collect();
    let by_name: HashMap<_, _> = all.iter().cloned().collect();
    assert_eq!(all.len(), by_name.len(), "each name once: {all:?}");
    by_name
}

proptest! {
    #[test]
    fn sums_are_kept_and_whatever_has_more_than_its_part_has_a_place(
        stream in prop::collection::vec((0_u8..24, 1_u64..50, 0_u64..9), 1..400),
        heavy in prop::collection::vec(0_usize..400, 0..200),
    ) {
        let (engine, busiest) = engine();
        let mut stream: Vec<(String, u64, u64)> = stream
            .into_iter()
            .map(|(name, visits, sales)| (format!("n{name}"), visits, sales))
            .collect();
        for place in heavy {
            stream.insert(place.min(stream.len()), ("heavy".into(), 10, 1));
        }
        let mut truth: HashMap<String, u64> = HashMap::new();
        for (name, visits, sales) in &stream {
            busiest.add(name, &[*visits, *sales]);
            *truth.entry(name.clone()).or_default() += visits;
        }
        busiest.add_nameless(&[3, 1]);
        let snapshot = engine.snapshot();
        let [visits, sales] = [&VISITS, &SALES].map(|family| told(&snapshot, family));
        let all: u64 = truth.values().sum();
        prop_assert_eq!(visits.values().sum::<u64>(), all + 3);
        prop_assert_eq!(sales.values().sum::<u64>(), stream.iter().map(|(.., sales)| sales).sum::<u64>() + 1);
        prop_assert!(visits.len() <= PLACES + 2);
        let bound = all / PLACES as u64;
        for place in &busiest.state().places {
            let (own, real) = (place.amounts[0], truth[&*place.name]);
            prop_assert!(own <= real && real <= place.rank && place.rank - own <= bound);
        }
        for (name, count) in &truth {
            prop_assert!(*count <= bound || visits.contains_key(name), "{} has {} of {}", name, count, all);
        }
    }
}

#[test]
fn every_text_has_the_names_and_only_a_shell_has_none() {
    let (engine, busiest) = engine();
    let odd = "a\"b\\c\nd";
    busiest.add(odd, &[7, 700]);
    busiest.add(&"long ".repeat(99), &[1]);
    // Who is called as the rest is part of it, or there would be two series of one name.
    busiest.add("other", &[2]);
    busiest.add("unknown", &[1]);
    let snapshot = engine.snapshot();
    assert_eq!(told(&snapshot, &VISITS)["other"], 2);
    assert!(
        told(&snapshot, &VISITS)
            .keys()
            .all(|name| name.chars().count() <= NAME_LEN_MAX)
    );
    let mut texts = [const { String::new() }; 4];
    let [classic, open, machine, shell] = &mut texts;
    let identity = [("mount".to_owned(), "m".to_owned())];
    prometheus::Writer::new(classic, &identity).snapshot(&snapshot);
    openmetrics::encode(open, &snapshot, &[]);
    json::encode(machine, &snapshot, &[]);
    plain::encode(shell, &snapshot);
    let escaped = "client=\"a\\\"b\\\\c\\nd\"";
    assert!(
        classic.contains(&format!("sales_total{{mount=\"m\",{escaped}}} 700\n")),
        "{classic}"
    );
    assert!(
        open.contains(&format!("visits_total{{{escaped}}} 7\n")),
        "{open}"
    );
    assert!(
        open.contains(&format!("visits_created{{{escaped}}} ")),
        "{open}"
    );
    assert!(
        !classic.contains('#') || !classic.contains("\"#"),
        "{classic}"
    );
    let machine: serde_json::Value = serde_json::from_str(machine).unwrap();
    let first = &machine["families"][0]["series"][0];
    assert_eq!(
        (first["labels"]["client"].as_str(), first["value"].as_u64()),
        (Some(odd), Some(7))
    );
    assert_eq!(
        shell,
        "visits_total_client_other=2\nvisits_total_client_unknown=1\nsales_total_client_other=0\nsales_total_client_unknown=0\n"
    );
    busiest.silence();
    assert!(engine.snapshot().find("visits_total").is_none());
}

#[test]
fn a_place_that_another_name_has_taken_counts_from_0_for_a_cursor() {
    let (engine, busiest) = engine();
    let mut cursor = engine.cursor(Temporality::Delta);
    for name in ["a", "b", "c", "d"] {
        busiest.add(name, &[5]);
    }
    cursor.batch().commit();
    busiest.add("a", &[1]);
    busiest.add("e", &[9]);
    assert_eq!(busiest.displaced(), 1);
    let batch = cursor.batch();
    let visits = told(batch.snapshot(), &VISITS);
    // What the rest took over was told before.
    assert_eq!((visits["a"], visits["e"], visits["other"]), (1, 9, 0));
    drop(batch);
    // A batch that did not arrive comes again, as it was.
    let batch = cursor.batch();
    let visits = told(batch.snapshot(), &VISITS);
    assert_eq!((visits["a"], visits["e"], visits["other"]), (1, 9, 0));
}

#[test]
fn only_families_with_the_same_label_for_names_are_taken() {
    static PLAIN: Family =
        Family::counter("plain_total", "Plain.").with_labels(std::slice::from_ref(&CLIENT));
    static LEVEL: Family = Family::gauge("level", "Level.")
        .with_labels(std::slice::from_ref(&CLIENT))
        .with_names();
    let engine = Engine::new();
    assert!(engine.busiest(&[]).is_err());
    assert!(engine.busiest(&[&VISITS, &PLAIN]).is_err());
    assert!(engine.busiest(&[&LEVEL]).is_err());
    assert!(engine.counters(&VISITS).is_err());
    assert!(engine.busiest(&[&VISITS]).is_ok());
}
