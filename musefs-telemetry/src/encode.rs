//! A snapshot as text: pure functions, in a stable order, into a string whose memory serves again.

#[cfg(feature = "stats")]
pub mod json;
#[cfg(not(feature = "stats"))]
pub use off::{json, openmetrics};
#[cfg(feature = "stats")]
pub mod openmetrics;
pub mod prometheus;

#[cfg(feature = "stats")]
mod number;
#[cfg(not(feature = "stats"))]
mod off;
#[cfg(feature = "stats")]
mod samples;

#[cfg(feature = "stats")]
use samples::{Extra, Labels};

/// Appends `text` with `\`, `"` and line feeds escaped, as all the text formats want label values.
fn push_escaped(into: &mut String, text: &str) {
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
