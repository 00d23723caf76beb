//! The numbers of a snapshot with nothing around them, for shells: one at a time, or as lines to be sourced.
//!
//! ```text
//! NAME_label_value=1
//! ```
//! A summary or histogram gives `NAME_sum` and `NAME_count`. What a shell cannot have in a name becomes `_`;
//! series that have their names from run time are left out.

use super::number::{push_scaled, push_scaled_signed, push_u64};
use crate::describe::Kind;
use crate::snapshot::{Metric, Snapshot, Value};

/// What the numbers of one series of `kind` add to the name of their family.
pub const fn suffixes(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Counter | Kind::Gauge => &[""],
        Kind::MinMaxSumCount | Kind::Histogram(_) => &["_sum", "_count"],
    }
}

/// Appends the number of series `index` that adds the suffix at `place` to the name, in the base unit. Whether there is such
/// a number: an unknown one is not.
pub fn push(text: &mut String, metric: &Metric<'_>, index: usize, place: usize) -> bool {
    let decimals = metric.family().unit.decimals();
    match (metric.value(index), place) {
        (Some(Value::Counter(value)), 0) => push_scaled(text, value, decimals),
        (Some(Value::Gauge(value)), 0) => push_scaled_signed(text, value, decimals),
        (Some(Value::MinMaxSumCount { sum, .. }), 0) => push_scaled(text, sum, decimals),
        (Some(Value::MinMaxSumCount { count, .. }), 1) => push_u64(text, count),
        (Some(Value::Histogram(distribution)), 0) => {
            push_scaled(text, distribution.sum(), decimals);
        }
        (Some(Value::Histogram(distribution)), 1) => push_u64(text, distribution.count()),
        _ => return false,
    }
    true
}

/// Appends all numbers of `snapshot`, a line each, as a shell sources them: digits, a point, a sign and names only.
pub fn encode(text: &mut String, snapshot: &Snapshot) {
    for metric in snapshot.families() {
        let family = metric.family();
        // A name of run time is none of a variable.
        let variables = metric
            .series()
            .filter(|(index, _)| *index >= family.place_count());
        for (index, _) in variables {
            for (place, suffix) in suffixes(family.kind).iter().enumerate() {
                text.push_str(family.name);
                text.push_str(suffix);
                for (name, value) in family.series_labels(index) {
                    for part in [name, value] {
                        text.push('_');
                        text.extend(part.chars().map(safe));
                    }
                }
                text.push('=');
                push(text, &metric, index, place);
                text.push('\n');
            }
        }
    }
}

fn safe(character: char) -> char {
    if character.is_ascii_alphanumeric() {
        character
    } else {
        '_'
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buckets::Buckets;
    use crate::describe::{Family, Label, Unit};
    use crate::registry::Engine;

    #[test]
    fn a_shell_can_source_every_line() {
        static WAITS: Family = Family::of(
            "waits_seconds",
            "Waits.",
            Kind::Histogram(Buckets::powers_of_two(1, 1 << 30)),
        )
        .with_unit(Unit::Seconds);
        static LEVELS: Family = Family::gauge("levels", "Levels.").with_labels(&[Label {
            name: "tank",
            values: &["left; rm -rf", "right"],
        }]);
        let engine = Engine::new();
        engine.histogram(&WAITS).unwrap().record(1_500_000_000);
        let levels = engine.gauges(&LEVELS).unwrap();
        levels.set(0, -3);
        levels.clear(1);
        let mut text = String::new();
        encode(&mut text, &engine.snapshot());
        assert_eq!(
            text,
            "waits_seconds_sum=1.5\nwaits_seconds_count=1\nlevels_tank_left__rm__rf=-3\n"
        );
    }
}
