//! The catalogue that a mount serves, and whether an expression keeps to it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::mount::Mount;
use super::promql::{Matcher, Selector, references};

/// Labels that collecting adds, and the one that tells a mount from others: their values are not known here.
const ATTACHED: [&str; 3] = ["job", "instance", "mount"];
/// Metrics of Prometheus and of `node_exporter`.
const FOREIGN: [&str; 2] = ["up", "node_textfile_scrape_error"];

/// Names of labels with all their values.
type Labels = BTreeMap<String, BTreeSet<String>>;

/// What a mount measures.
#[derive(Debug)]
pub struct Catalogue {
    families: BTreeMap<String, Labels>,
    histograms: BTreeSet<String>,
    /// What recording rules make of it: their labels are those of what they are made of.
    recorded: BTreeSet<String>,
}

impl Catalogue {
    /// That of a mount.
    #[track_caller]
    pub fn of(mount: &Mount) -> Self {
        let text = std::fs::read(mount.join(".musefs-metrics/schema.json")).expect("a catalogue");
        Self::parse(&serde_json::from_slice(&text).expect("the catalogue is JSON"))
    }

    /// From JSON.
    #[track_caller]
    pub fn parse(schema: &Value) -> Self {
        let mut families = BTreeMap::new();
        let mut histograms = BTreeSet::new();
        for family in schema["families"].as_array().expect("a list of families") {
            let name = text(&family["name"]);
            let labels = family["labels"].as_array().expect("a list of labels");
            let labels = labels.iter().map(|label| {
                let values = label["values"].as_array().expect("a list of values");
                (text(&label["name"]), values.iter().map(text).collect())
            });
            if family["type"] == "histogram" {
                histograms.insert(name.clone());
            }
            families.insert(name, labels.collect());
        }
        Self {
            families,
            histograms,
            recorded: BTreeSet::new(),
        }
    }

    /// Makes the name of a recording rule known.
    pub fn record(&mut self, name: &str) {
        self.recorded.insert(name.to_owned());
    }

    /// The family that a series called `metric` belongs to.
    fn family_of<'m>(&self, metric: &'m str) -> Option<&'m str> {
        if self.families.contains_key(metric) && !self.histograms.contains(metric) {
            return Some(metric);
        }
        ["_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|suffix| metric.strip_suffix(suffix))
            .find(|base| self.histograms.contains(*base))
    }

    /// Everything that `expression` names and that does not exist. `mentioned` are labels that a text beside it is filled
    /// in from.
    pub fn faults(&self, expression: &str, mentioned: &BTreeSet<String>) -> Vec<String> {
        let found = references(expression);
        let mut faults = Vec::new();
        let mut known: BTreeSet<&str> = ATTACHED.into();
        // Whether there may be labels that are not known here.
        let mut is_open = false;
        for selector in &found.selectors {
            let metric = selector.metric.as_str();
            if FOREIGN.contains(&metric) {
                continue;
            }
            if self.recorded.contains(metric) {
                is_open = true;
                continue;
            }
            let Some(family) = self.family_of(metric) else {
                faults.push(format!("there is no metric {metric}"));
                is_open = true;
                continue;
            };
            let labels = &self.families[family];
            known.extend(labels.keys().map(String::as_str));
            if metric.ends_with("_bucket") {
                known.insert("le");
            }
            faults.extend(wrong_conditions(selector, labels));
        }
        for label in found.labels.iter().chain(mentioned) {
            if !is_open && !known.contains(label.as_str()) {
                faults.push(format!("nothing here has a label {label}"));
            }
        }
        faults
    }
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

fn wrong_conditions(selector: &Selector, labels: &Labels) -> Vec<String> {
    let metric = &selector.metric;
    let mut faults = Vec::new();
    for Matcher {
        label,
        operator,
        value,
    } in &selector.matchers
    {
        if ATTACHED.contains(&label.as_str()) {
            continue;
        }
        let Some(values) = labels.get(label) else {
            faults.push(format!("{metric} has no label {label}"));
            continue;
        };
        // The words of a regular expression; values hold no sign that means anything in one.
        let words = if operator.ends_with('~') {
            value.split('|').collect()
        } else {
            vec![value.as_str()]
        };
        for word in words {
            if !values.contains(word) {
                faults.push(format!("{label} of {metric} is never {word:?}"));
            }
        }
    }
    faults
}
