//! The catalogue as JSON: every family of an engine, whenever it was declared.

use serde_json::{Value, json};

use crate::describe::{Family, Instrument, Kind};
use crate::registry::Engine;

impl Engine {
    /// What this engine measures: attributes of the instance, and of each family its name, type, instrument, unit, help,
    /// stability, labels with all their values, and buckets.
    pub fn schema(&self) -> Value {
        let table = self.table();
        let families = table
            .entries
            .iter()
            .map(|entry| family(entry.family, entry.instrument));
        let attributes = self.attributes().iter();
        json!({
            "attributes": attributes.map(|(name, _)| name).collect::<Vec<_>>(),
            "families": families.collect::<Vec<_>>(),
        })
    }
}

fn family(family: &Family, instrument: Instrument) -> Value {
    let labels = family.labels.iter();
    let mut described = json!({
        "name": family.name,
        "type": family.kind.as_str(),
        "instrument": instrument.as_str(),
        "unit": family.unit.as_str(),
        "help": family.help,
        "stability": family.stability.as_str(),
        "labels": labels
            .map(|label| json!({"name": label.name, "values": label.values}))
            .collect::<Vec<_>>(),
        "series": family.series_count(),
    });
    if let Kind::Histogram(buckets) = family.kind {
        described["buckets"] = json!({
            "scale": buckets.scale,
            "min": buckets.min,
            "max": buckets.max,
            "count": buckets.len(),
        });
    }
    described
}
