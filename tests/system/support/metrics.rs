//! The text of a metrics file, read as strictly as a collector would.

use std::collections::{BTreeMap, BTreeSet};

/// A parsed text.
#[derive(Debug)]
pub struct Metrics {
    /// By name with labels, as in the text.
    samples: BTreeMap<String, String>,
}

impl Metrics {
    /// Reads a text.
    ///
    /// # Panics
    /// When it is torn, padded with zeros, has a line that is none of the format's, or a family twice.
    #[track_caller]
    pub fn parse(text: &[u8]) -> Self {
        assert!(!text.contains(&0), "a zero byte in the metrics");
        let text = std::str::from_utf8(text).expect("metrics are text");
        let lines = text
            .strip_suffix("# EOF\n")
            .unwrap_or_else(|| panic!("does not end with # EOF: {:?}", text.get(..200)));
        let mut samples = BTreeMap::new();
        let mut families = BTreeSet::new();
        let mut helped = BTreeSet::new();
        for line in lines.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let name = help.split(' ').next().unwrap_or_default();
                assert!(helped.insert(name), "a second HELP: {line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a TYPE has a name and a type");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(families.insert(name), "a second TYPE: {line}");
            } else {
                let (name, value) = line
                    .rsplit_once(' ')
                    .unwrap_or_else(|| panic!("no sample: {line:?}"));
                let family = name.split('{').next().unwrap_or_default();
                let base = ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|suffix| family.strip_suffix(suffix));
                let declared =
                    families.contains(family) || base.is_some_and(|base| families.contains(base));
                assert!(declared, "a sample before its TYPE: {line}");
                assert!(value.parse::<f64>().is_ok(), "no number: {line:?}");
                let before = samples.insert(name.to_owned(), value.to_owned());
                assert!(before.is_none(), "twice: {line}");
            }
        }
        Self { samples }
    }

    /// The value of one sample, a whole number, by its name with its labels.
    #[track_caller]
    pub fn value(&self, name: &str) -> u64 {
        let value = self
            .samples
            .get(name)
            .unwrap_or_else(|| panic!("there is no {name}"));
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is {value}, no whole number"))
    }

    /// The value of one sample by its name with its labels.
    #[track_caller]
    pub fn number(&self, name: &str) -> f64 {
        let value = self.samples.get(name);
        let value = value.unwrap_or_else(|| panic!("there is no {name}"));
        value.parse().expect("a sample is a number")
    }

    /// The sum of a family over all labels.
    #[track_caller]
    pub fn sum(&self, family: &str) -> u64 {
        self.samples
            .keys()
            .filter(|name| name.split('{').next() == Some(family))
            .map(|name| self.value(name))
            .sum()
    }

    /// All samples as they are in the text, by name with labels.
    pub fn samples(&self) -> &BTreeMap<String, String> {
        &self.samples
    }

    /// Names with labels, but for what is told of single programs, which come and go.
    pub fn names(&self) -> Vec<&str> {
        let names = self.samples.keys().map(String::as_str);
        names.filter(|name| !name.contains("client=\"")).collect()
    }
}
