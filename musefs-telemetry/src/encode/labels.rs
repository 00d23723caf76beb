//! Labels in braces, as the text formats have them: those of the instance first, then those of the series.

use std::ops::Range;

/// Appends `text` with `\`, `"` and line feeds escaped, as all the text formats want label values.
pub(super) fn push_escaped(into: &mut String, text: &str) {
    if !text
        .bytes()
        .any(|byte| matches!(byte, b'\\' | b'"' | b'\n'))
    {
        return into.push_str(text);
    }
    for character in text.chars() {
        match character {
            '\\' => into.push_str("\\\\"),
            '"' => into.push_str("\\\""),
            '\n' => into.push_str("\\n"),
            other => into.push(other),
        }
    }
}

/// Appends one label; before it a brace, or a comma when labels were appended since `start`.
pub(super) fn push_label(into: &mut String, start: usize, name: &str, value: &str) {
    into.push(if into.len() == start { '{' } else { ',' });
    into.push_str(name);
    into.push_str("=\"");
    push_escaped(into, value);
    into.push('"');
}

/// The labels that every sample of one text carries. They are rendered for the first sample and copied from there for the
/// others, so that they cost no memory beside the text.
#[derive(Debug)]
pub(super) struct Identity<'a> {
    labels: &'a [(String, String)],
    /// Where the text has them; empty before the first sample.
    rendered: Range<usize>,
}

impl<'a> Identity<'a> {
    pub(super) fn new(labels: &'a [(String, String)]) -> Self {
        Self {
            labels,
            rendered: 0..0,
        }
    }

    #[cfg(feature = "stats")]
    pub(super) fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Appends a brace and the labels to `text`, which is the same text each time and only ever grows. False when there are
    /// no labels, and then nothing is appended.
    #[inline]
    pub(super) fn push(&mut self, text: &mut String) -> bool {
        if self.labels.is_empty() {
            return false;
        }
        if self.rendered.is_empty() {
            let start = text.len();
            for (name, value) in self.labels {
                push_label(text, start, name, value);
            }
            self.rendered = start..text.len();
        } else {
            text.extend_from_within(self.rendered.clone());
        }
        true
    }
}
