//! The labels of samples, with those that a format adds.

use super::{open_label, push_label};
use crate::snapshot::Metric;

/// A label that a format adds: its name, and what writes its value.
pub(super) type Extra<'a> = (&'a str, &'a dyn Fn(&mut String));

/// The labels of one sample: those of the instance, those of the series, and one that the format adds.
#[derive(Clone, Copy)]
pub(super) struct Labels<'a> {
    pub(super) identity: &'a [(String, String)],
    pub(super) metric: Option<(&'a Metric<'a>, usize)>,
}

impl Labels<'_> {
    /// Appends the labels in braces, or nothing when there are none. `extra` writes a value that needs no escapes.
    pub(super) fn push(self, into: &mut String, extra: Option<Extra<'_>>) {
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
