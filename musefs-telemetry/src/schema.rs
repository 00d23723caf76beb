//! The catalogue as JSON: every family of an engine, whenever it was declared. The shape of that text is said as a JSON Schema
//! (draft 2020-12) in the crate's `schema/catalogue.schema.json`.

use std::fmt::Write as _;

use crate::describe::{Family, Instrument, Kind};
use crate::encode::json::push_string;
use crate::registry::Engine;

impl Engine {
    /// What this engine measures, as one JSON object: attributes of the instance, and of each family its name, type,
    /// instrument, unit, help, stability, labels with all their values, the combinations of these when not all occur, number
    /// of series, and buckets.
    pub fn schema(&self) -> String {
        let table = self.table();
        let mut text = String::from("{\"attributes\":");
        push_list(&mut text, self.attributes(), |text, (name, _)| {
            push_string(text, name);
        });
        text.push_str(",\"families\":");
        push_list(&mut text, &table.entries, |text, entry| {
            push_family(text, entry.family, entry.instrument);
        });
        text.push_str("}\n");
        text
    }
}

fn push_family(text: &mut String, family: &Family, instrument: Instrument) {
    let pairs = [
        ("{\"name\":", family.name),
        (",\"type\":", family.kind.as_str()),
        (",\"instrument\":", instrument.as_str()),
        (",\"unit\":", family.unit.as_str()),
        (",\"help\":", family.help),
        (",\"stability\":", family.stability.as_str()),
    ];
    for (key, value) in pairs {
        text.push_str(key);
        push_string(text, value);
    }
    text.push_str(",\"labels\":");
    push_list(text, family.labels, |text, label| {
        text.push_str("{\"name\":");
        push_string(text, label.name);
        text.push_str(",\"values\":");
        push_list(text, label.values, |text, value| push_string(text, value));
        text.push('}');
    });
    if let Some(only) = family.only {
        text.push_str(",\"only\":");
        push_list(text, only, |text, positions| {
            text.push('[');
            for (place, (&position, label)) in positions.iter().zip(family.labels).enumerate() {
                if place > 0 {
                    text.push(',');
                }
                push_string(text, label.values[usize::from(position)]);
            }
            text.push(']');
        });
    }
    let series = family.series_count();
    let buckets = match family.kind {
        Kind::Histogram(buckets) => format!(
            ",\"buckets\":{{\"scale\":{},\"min\":{},\"max\":{},\"count\":{}}}",
            buckets.scale,
            buckets.min,
            buckets.max,
            buckets.len()
        ),
        _ => String::new(),
    };
    write!(text, ",\"series\":{series}{buckets}}}")
        .expect("a String takes whatever is written to it");
}

fn push_list<T>(text: &mut String, items: &[T], push: impl Fn(&mut String, &T)) {
    text.push('[');
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        push(text, item);
    }
    text.push(']');
}
