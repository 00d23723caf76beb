//! The JSON text of a mount's metrics, read.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

/// The values of one moment, by family.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Moment {
    attributes: BTreeMap<String, String>,
    families: HashMap<String, Vec<Series>>,
}

/// One series: a value, or a distribution.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Series {
    labels: BTreeMap<String, String>,
    /// Of a counter or gauge, in base units.
    value: Option<f64>,
    /// Upper bounds in base units, absent for the one without a bound, and how many are in each alone.
    #[serde(default)]
    buckets: Vec<(Option<f64>, u64)>,
}

#[derive(Deserialize)]
struct Text {
    attributes: BTreeMap<String, String>,
    families: Vec<Family>,
}

#[derive(Deserialize)]
struct Family {
    name: String,
    series: Vec<Series>,
}

impl Moment {
    /// Reads `metrics.json`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        let text: Text = serde_json::from_slice(text)?;
        let families = text
            .families
            .into_iter()
            .map(|family| (family.name, family.series));
        Ok(Self {
            attributes: text.attributes,
            families: families.collect(),
        })
    }

    /// The label of all series that is called `name`.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    /// The sum of the values of `family`; `None` when it has none.
    pub fn sum(&self, family: &str) -> Option<f64> {
        self.values(family, &[]).reduce(|a, b| a + b)
    }

    /// The sum of the values of those series of `family` that have all of `labels`; `None` when there are none.
    pub fn sum_where(&self, family: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.values(family, labels).reduce(|a, b| a + b)
    }

    fn values<'a>(
        &'a self,
        family: &str,
        labels: &'a [(&str, &str)],
    ) -> impl Iterator<Item = f64> + 'a {
        self.series(family, labels)
            .filter_map(|series| series.value)
    }

    fn series<'a>(
        &'a self,
        family: &str,
        labels: &'a [(&str, &str)],
    ) -> impl Iterator<Item = &'a Series> + 'a {
        let series = self.families.get(family).map_or(&[][..], Vec::as_slice);
        series.iter().filter(|series| {
            labels
                .iter()
                .all(|(name, value)| series.labels.get(*name).is_some_and(|own| own == value))
        })
    }

    /// What the label `name` is in the series of `family`, each once, in order.
    pub fn label_values<'a>(&'a self, family: &str, name: &str) -> Vec<&'a str> {
        let mut found: Vec<&str> = Vec::new();
        for series in self.families.get(family).map_or(&[][..], Vec::as_slice) {
            match series.labels.get(name) {
                Some(value) if !found.contains(&value.as_str()) => found.push(value),
                _ => {}
            }
        }
        found
    }

    /// The buckets of `family` with `labels` that are not empty: upper bounds, infinite for the last, and how many are in each alone.
    pub fn buckets(&self, family: &str, labels: &[(&str, &str)]) -> Vec<(f64, u64)> {
        let mut series = self.series(family, labels);
        series.next().map_or_else(Vec::new, |series| {
            let bounds = series.buckets.iter();
            bounds
                .map(|(bound, count)| (bound.unwrap_or(f64::INFINITY), *count))
                .collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_family_and_labels() {
        let moment = Moment::parse(
            br#"{"attributes":{"mount":"m"},"families":[
                {"name":"a_total","type":"counter","unit":"","created_ms":0,"series":[
                    {"labels":{"op":"read","errno":"EIO"},"value":1},
                    {"labels":{"op":"read","errno":"ESTALE"},"value":2},
                    {"labels":{"op":"open","errno":"EIO"},"value":4}]},
                {"name":"h_seconds","type":"histogram","unit":"seconds","created_ms":0,"series":[
                    {"labels":{"op":"read"},"sum":1,"count":3,"buckets":[[0.5,2],[null,1]]}]}]}"#,
        )
        .unwrap();
        assert_eq!(moment.attribute("mount"), Some("m"));
        assert_eq!(moment.sum("a_total"), Some(7.0));
        assert_eq!(moment.sum_where("a_total", &[("op", "read")]), Some(3.0));
        assert_eq!(moment.sum("b_total"), None);
        assert_eq!(moment.label_values("a_total", "errno"), ["EIO", "ESTALE"]);
        let buckets = moment.buckets("h_seconds", &[("op", "read")]);
        assert_eq!(buckets, [(0.5, 2), (f64::INFINITY, 1)]);
        Moment::parse(b"ok\n").unwrap_err();
    }
}
