//! Path templates: parsed once, filled in for every track.
//!
//! A template is the path of a served file below the mount, without its extension. `/` separates directories, and
//!
//! | written | stands for |
//! |---|---|
//! | `$field` | a field; the name is letters, digits and `_` |
//! | `${field}`, `${first\|second}` | the same with any name, such as `TXXX:My Tag`; the first that is present |
//! | `$!{field}` | a field whose own `/` separate directories too; elsewhere they become `_` |
//! | `[ … ]` | a section: dropped as a whole when a field in it is missing; sections may be nested |
//! | `$$`, `$[`, `$]` | the character |
//!
//! A section without a field of its own is dropped when all sections in it are. A field that is missing outside of a
//! section has a fallback ([`Fallbacks`]). `track` and `disc` are numbers, padded with zeros as their siblings need
//! ([`NumberWidths`]), which is why filling in is two steps: [`Template::draft`] for each track as it passes, then
//! [`Draft::finish`] when all have passed. Whatever the values hold, the outcome is a valid
//! [`ServedPath`](crate::names::ServedPath).
//!
//! Nothing here knows of the store or of other tracks' paths; two tracks may well get the same one.

mod draft;
mod fields;
mod numbers;
mod parse;
mod values;

use std::collections::BTreeMap;

pub use draft::Draft;
pub use fields::{DERIVED_FIELDS, canonical, is_known, known_fields, nearest};
pub use numbers::{NumberWidths, Siblings};
pub use parse::{SECTION_DEPTH_MAX, TEMPLATE_BYTES_MAX, TemplateError, TemplateProblem};
pub use values::{TagSource, TrackValues, Values};

use draft::Pen;
use numbers::Numbered;

/// The template of a mount that names none.
pub const DEFAULT_TEMPLATE: &str = "$albumartist/$album/$title";

/// What a missing field is called where nobody said otherwise.
pub const DEFAULT_FALLBACK: &str = "Unknown";

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Box<[Part]>,
    /// Whether it shows a track or disc number.
    shows_numbers: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// As it stands; `/` separates directories.
    Text(Box<str>),
    Field(Field),
    Section(Box<[Part]>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    /// The first that is present counts. Never empty.
    names: Box<[FieldName]>,
    keeps_separators: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FieldName {
    /// Canonical.
    name: Box<str>,
    /// Where its `$` is, in characters from 1.
    column: usize,
}

impl FieldName {
    fn new(name: &str, column: usize) -> Self {
        Self {
            name: canonical(name).into(),
            column,
        }
    }
}

/// A field without a meaning of its own: perhaps a format's native name, perhaps a slip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownField<'a> {
    /// As the template has it.
    pub name: &'a str,
    /// Where its `$` is, in characters from 1.
    pub column: usize,
    /// The known field that was probably meant, where one is near.
    pub nearest: Option<&'static str>,
}

/// What to do about fields that are missing outside of sections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallbacks {
    per_field: BTreeMap<String, String>,
    /// For fields without a fallback of their own, and for names that come out empty.
    pub default: String,
    /// A track that lacks a field without a fallback of its own is not shown at all.
    pub skip_on_missing: bool,
}

impl Default for Fallbacks {
    fn default() -> Self {
        Self {
            per_field: BTreeMap::new(),
            default: DEFAULT_FALLBACK.to_owned(),
            skip_on_missing: false,
        }
    }
}

impl Fallbacks {
    /// From here on, a missing `field` is shown as `value`.
    pub fn set(&mut self, field: &str, value: impl Into<String>) {
        self.per_field.insert(canonical(field), value.into());
    }

    /// What to show for `field`, of whose names none is present.
    fn of(&self, field: &Field) -> Result<&str, Skipped> {
        let own = field
            .names
            .iter()
            .find_map(|name| self.per_field.get(&*name.name));
        match own {
            Some(value) => Ok(value),
            None if self.skip_on_missing => Err(Skipped {
                field: field.to_string(),
            }),
            None => Ok(&self.default),
        }
    }
}

/// A track is not shown because a field is missing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the field {field} is missing")]
pub struct Skipped {
    /// The field, with its alternatives as the template has them.
    pub field: String,
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, name) in self.names.iter().enumerate() {
            let separator = if index == 0 { "" } else { "|" };
            write!(f, "{separator}{}", name.name)?;
        }
        Ok(())
    }
}

impl Template {
    /// Takes a template apart.
    ///
    /// # Errors
    /// When it breaks the rules of templates, with the first place that does.
    pub fn parse(template: &str) -> Result<Self, TemplateError> {
        let parts = parse::parse(template)?.into();
        let mut parsed = Self {
            parts,
            shows_numbers: false,
        };
        parsed.shows_numbers = parsed
            .fields()
            .into_iter()
            .any(|field| Numbered::of_field(field).is_some());
        Ok(parsed)
    }

    /// The fields it uses, each once, in order.
    pub fn fields(&self) -> Vec<&str> {
        let mut fields = Vec::new();
        for name in self.field_names() {
            push_once(&mut fields, &name.name);
        }
        fields
    }

    /// The fields it uses that are none of [`known_fields`], each once, in order.
    pub fn unknown_fields(&self) -> Vec<UnknownField<'_>> {
        let mut unknown: Vec<UnknownField<'_>> = Vec::new();
        for FieldName { name, column } in self.field_names() {
            if !is_known(name) && unknown.iter().all(|field| field.name != &**name) {
                unknown.push(UnknownField {
                    name,
                    column: *column,
                    nearest: nearest(name),
                });
            }
        }
        unknown
    }

    /// The keys of the tags that have to be at hand to fill it in, each once.
    pub fn tag_keys(&self) -> Vec<&str> {
        let mut keys = Vec::new();
        for field in self.fields() {
            for key in fields::tags_behind(field) {
                push_once(&mut keys, key);
            }
        }
        if self.shows_numbers {
            for key in numbers::TAGS_FOR_WIDTHS {
                push_once(&mut keys, key);
            }
        }
        keys
    }

    /// Fills the template in for one track, but for the width of its numbers; `widths` takes note of them.
    ///
    /// # Errors
    /// When the track is to be left out because a field is missing; `widths` then has not seen it.
    pub fn draft(
        &self,
        values: &dyn Values,
        fallbacks: &Fallbacks,
        widths: &mut NumberWidths,
    ) -> Result<Draft, Skipped> {
        let mut pen = Pen::new(values);
        for part in &self.parts {
            match part {
                Part::Text(text) => pen.text(text),
                Part::Section(parts) => {
                    pen.section(parts);
                }
                Part::Field(field) => {
                    if !pen.field(field) {
                        pen.value(fallbacks.of(field)?, field.keeps_separators);
                    }
                }
            }
        }
        let siblings = self.shows_numbers.then(|| widths.note(values));
        Ok(pen.finish(siblings))
    }

    fn field_names(&self) -> Vec<&FieldName> {
        fn collect<'a>(parts: &'a [Part], names: &mut Vec<&'a FieldName>) {
            for part in parts {
                match part {
                    Part::Text(_) => {}
                    Part::Field(field) => names.extend(&field.names),
                    Part::Section(parts) => collect(parts, names),
                }
            }
        }
        let mut names = Vec::new();
        collect(&self.parts, &mut names);
        names
    }
}

fn push_once<'a>(names: &mut Vec<&'a str>, name: &'a str) {
    if !names.contains(&name) {
        names.push(name);
    }
}

#[cfg(test)]
mod tests;
