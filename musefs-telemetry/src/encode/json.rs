//! A snapshot as one JSON object, for machines: cells' values in the base unit, series in the order of their index.
//!
//! ```text
//! {"attributes": {"mount": "music"},
//!  "families": [{"name": …, "type": …, "unit": …, "created_ms": …, "series": [{"labels": {…}, "value": 1}]}]}
//! ```
//! A summary has `sum`, `count` and, when there are any, `min` and `max` in place of `value`; a histogram has `sum`, `count` and
//! `buckets`, a list of bound and count that is not accumulated, the last with the bound `null`, empty buckets left out. What
//! holds of every such text is said as a JSON Schema (draft 2020-12) in the crate's `schema/snapshot.schema.json`.

use super::number::{push_scaled, push_scaled_signed, push_u64};
use crate::snapshot::{Metric, Snapshot, Value};

/// The media type of the format.
pub const CONTENT_TYPE: &str = "application/json";

/// Appends `snapshot` to `text`, with a line feed at the end.
pub fn encode(text: &mut String, snapshot: &Snapshot, attributes: &[(String, String)]) {
    text.push_str("{\"attributes\":{");
    for (index, (name, value)) in attributes.iter().enumerate() {
        comma(text, index);
        push_pair(text, name, value);
    }
    text.push_str("},\"families\":[");
    for (index, metric) in snapshot.families().enumerate() {
        comma(text, index);
        encode_metric(text, &metric);
    }
    text.push_str("]}\n");
}

fn encode_metric(text: &mut String, metric: &Metric<'_>) {
    let family = metric.family();
    text.push('{');
    push_pair(text, "name", family.name);
    text.push(',');
    push_pair(text, "type", family.kind.as_str());
    text.push(',');
    push_pair(text, "unit", family.unit.as_str());
    text.push_str(",\"created_ms\":");
    push_u64(text, metric.created_ms());
    text.push_str(",\"series\":[");
    for (place, (index, value)) in metric.series().enumerate() {
        comma(text, place);
        text.push_str("{\"labels\":{");
        for (place, (name, value)) in metric.labels(index).enumerate() {
            comma(text, place);
            push_pair(text, name, value);
        }
        text.push('}');
        push_value(text, &value, family.unit.decimals());
        text.push('}');
    }
    text.push_str("]}");
}

fn push_value(text: &mut String, value: &Value<'_>, decimals: u32) {
    let scaled = |text: &mut String, name: &str, value: u64| {
        key(text, name);
        push_scaled(text, value, decimals);
    };
    match *value {
        Value::Counter(value) => scaled(text, "value", value),
        Value::Gauge(value) => {
            key(text, "value");
            push_scaled_signed(text, value, decimals);
        }
        Value::MinMaxSumCount {
            sum,
            count,
            extremes,
        } => {
            scaled(text, "sum", sum);
            key(text, "count");
            push_u64(text, count);
            if let Some((smallest, largest)) = extremes {
                scaled(text, "min", smallest);
                scaled(text, "max", largest);
            }
        }
        Value::Histogram(distribution) => {
            scaled(text, "sum", distribution.sum());
            key(text, "count");
            push_u64(text, distribution.count());
            key(text, "buckets");
            text.push('[');
            let filled = distribution.buckets().filter(|(_, count)| *count > 0);
            for (place, (bound, count)) in filled.enumerate() {
                comma(text, place);
                text.push('[');
                match bound {
                    Some(bound) => push_scaled(text, bound, decimals),
                    None => text.push_str("null"),
                }
                text.push(',');
                push_u64(text, count);
                text.push(']');
            }
            text.push(']');
        }
    }
}

fn comma(text: &mut String, place: usize) {
    if place > 0 {
        text.push(',');
    }
}

fn key(text: &mut String, name: &str) {
    text.push_str(",\"");
    text.push_str(name);
    text.push_str("\":");
}

fn push_pair(text: &mut String, name: &str, value: &str) {
    push_string(text, name);
    text.push(':');
    push_string(text, value);
}

/// Appends `value` as a JSON string.
pub(crate) fn push_string(text: &mut String, value: &str) {
    const HEX: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            // Those behind the first line are no end of a line in JSON, but for some who read it by lines.
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => {
                let code = character as usize;
                text.push_str("\\u00");
                text.push(HEX[code >> 4]);
                text.push(HEX[code & 15]);
            }
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            other => text.push(other),
        }
    }
    text.push('"');
}
