//! A snapshot as text: pure functions, in a stable order, into a string whose memory serves again.

pub mod json;
pub mod openmetrics;
pub mod prometheus;

mod number;

use crate::snapshot::Metric;

/// Appends `text` with `\`, `"` and line feeds escaped, as all the text formats want label values.
fn push_escaped(into: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '\\' => into.push_str("\\\\"),
            '"' => into.push_str("\\\""),
            '\n' => into.push_str("\\n"),
            other => into.push(other),
        }
    }
}

/// A label that a format adds: its name, and what writes its value.
type Extra<'a> = (&'a str, &'a dyn Fn(&mut String));

/// The labels of one sample: those of the instance, those of the series, and one that the format adds.
#[derive(Clone, Copy)]
struct Labels<'a> {
    identity: &'a [(String, String)],
    metric: Option<(&'a Metric<'a>, usize)>,
}

impl Labels<'_> {
    /// Appends the labels in braces, or nothing when there are none. `extra` writes a value that needs no escapes.
    fn push(self, into: &mut String, extra: Option<Extra<'_>>) {
        let start = into.len();
        for (name, value) in self.identity {
            push_label(into, start, name, value);
        }
        if let Some((metric, index)) = self.metric {
            for (name, value) in metric.family().series_labels(index) {
                push_label(into, start, name, value);
            }
        }
        if let Some((name, value)) = extra {
            open_label(into, start, name);
            value(into);
            into.push('"');
        }
        if into.len() > start {
            into.push('}');
        }
    }
}

fn push_label(into: &mut String, start: usize, name: &str, value: &str) {
    open_label(into, start, name);
    push_escaped(into, value);
    into.push('"');
}

fn open_label(into: &mut String, start: usize, name: &str) {
    into.push(if into.len() == start { '{' } else { ',' });
    into.push_str(name);
    into.push_str("=\"");
}
