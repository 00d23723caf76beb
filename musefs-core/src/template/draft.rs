//! Filling a template in, in two steps: what a track says, then how wide its numbers are.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::numbers::{self, NumberWidths, Numbered, Siblings};
use super::{Fallbacks, Field, FieldName, Part, Values};
use crate::names::{self, NAME_BYTES_MAX, PATH_BYTES_MAX, ServedPath};

/// Longer than most paths, in bytes.
const PATH_BYTES_USUAL: usize = 128;

/// A filled-in template whose numbers have no width yet. Small, so that a whole library of them can wait for it.
#[derive(Debug)]
pub struct Draft {
    /// `/` separates directories.
    text: String,
    numbers: Box<[Number]>,
    /// Absent when the template shows no numbers.
    siblings: Option<Siblings>,
}

/// A number that goes into the text.
#[derive(Clone, Copy, Debug)]
struct Number {
    /// Bytes of the text in front of it.
    offset: usize,
    value: u32,
    numbered: Numbered,
}

impl Draft {
    /// Whom the track shares the widths of its numbers with; `None` when the template shows none.
    pub fn siblings(&self) -> Option<Siblings> {
        self.siblings
    }

    /// Whether nothing of the path depends on the widths: it need not wait for them.
    pub fn is_settled(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The path, with numbers as wide as `widths` says by now, and `extension` (without its dot). A name that came out
    /// empty gets the default of `fallbacks`.
    pub fn finish(
        &self,
        widths: &NumberWidths,
        extension: Option<&str>,
        fallbacks: &Fallbacks,
    ) -> ServedPath {
        let path = match self.siblings {
            Some(siblings) if !self.numbers.is_empty() => {
                Cow::Owned(self.with_numbers(widths, siblings))
            }
            _ => Cow::Borrowed(self.text.as_str()),
        };
        ServedPath::new(path.split('/'), extension, &fallbacks.default)
    }

    fn with_numbers(&self, widths: &NumberWidths, siblings: Siblings) -> String {
        let mut path = String::with_capacity(self.text.len() + 4 * self.numbers.len());
        let mut copied = 0;
        for number in &self.numbers {
            let width = widths.width(siblings, number.numbered);
            path.push_str(&self.text[copied..number.offset]);
            write!(path, "{:0width$}", number.value).expect("a string takes any text");
            copied = number.offset;
        }
        path.push_str(&self.text[copied..]);
        path
    }
}

/// Writes what the values of a track have to say.
pub(super) struct Pen<'a> {
    values: &'a dyn Values,
    text: String,
    numbers: Vec<Number>,
}

impl<'a> Pen<'a> {
    pub(super) fn new(values: &'a dyn Values) -> Self {
        Self {
            values,
            text: String::with_capacity(PATH_BYTES_USUAL),
            numbers: Vec::new(),
        }
    }

    pub(super) fn finish(mut self, siblings: Option<Siblings>) -> Draft {
        if !self.numbers.is_empty() {
            // It waits; others are used at once.
            self.text.shrink_to_fit();
        }
        Draft {
            text: self.text,
            numbers: self.numbers.into(),
            siblings,
        }
    }

    /// Writes `text` as it stands.
    pub(super) fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Writes the first value of `field` that is present, and says whether there was one.
    pub(super) fn field(&mut self, field: &Field) -> bool {
        for FieldName { name, .. } in &field.names {
            let Some(value) = self.values.value(name) else {
                continue;
            };
            let number = Numbered::of_field(name).zip(numbers::leading_number(&value));
            if let Some((numbered, value)) = number {
                let offset = self.text.len();
                self.numbers.push(Number {
                    offset,
                    value,
                    numbered,
                });
                return true;
            }
            if self.value(&value, field.keeps_separators) {
                return true;
            }
        }
        false
    }

    /// Writes a section, or nothing when it is to be dropped, and says which.
    pub(super) fn section(&mut self, parts: &[Part]) -> bool {
        let (text_len, number_count) = (self.text.len(), self.numbers.len());
        let mut has_shown = false;
        let mut lacks_field = false;
        for part in parts {
            match part {
                Part::Text(text) => self.text(text),
                Part::Section(parts) => has_shown |= self.section(parts),
                Part::Field(field) if self.field(field) => has_shown = true,
                Part::Field(_) => {
                    lacks_field = true;
                    break;
                }
            }
        }
        let keep = has_shown && !lacks_field;
        if !keep {
            self.text.truncate(text_len);
            self.numbers.truncate(number_count);
        }
        keep
    }

    /// Writes `value`, and says whether it had anything to show.
    pub(super) fn value(&mut self, value: &str, keeps_separators: bool) -> bool {
        let before = self.text.len();
        if keeps_separators {
            // `a//b` and `/a` have no name where the slashes meet; nothing is missing there.
            for name in bounded(value, PATH_BYTES_MAX).split('/').map(str::trim) {
                if !name.is_empty() {
                    let separator = if self.text.len() == before { "" } else { "/" };
                    self.text.push_str(separator);
                    self.text.push_str(name);
                }
            }
        } else {
            let mut pieces = bounded(value, NAME_BYTES_MAX).split('/');
            self.text.extend(pieces.next());
            for piece in pieces {
                self.text.push('_');
                self.text.push_str(piece);
            }
        }
        self.text.len() > before
    }
}

/// `value` without white space around it. Of a long one only a little more than a path can show is kept: enough for the
/// path to see that something was cut.
fn bounded(value: &str, len_max: usize) -> &str {
    const LONGEST_CHARACTER: usize = 4;
    names::cut(value.trim(), len_max + LONGEST_CHARACTER)
}
