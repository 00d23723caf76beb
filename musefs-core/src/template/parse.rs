//! Text of a template → its parts, or the column of what is wrong with it.

use std::fmt;

use super::{Field, FieldName, Part};

/// Length of a template in bytes at most.
pub const TEMPLATE_BYTES_MAX: usize = 4096;

/// Sections within sections at most.
pub const SECTION_DEPTH_MAX: usize = 16;

/// What is wrong with a template, and where. Shown as several lines: the column and the problem, the template with a
/// caret below the place, and the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// The template as it was given.
    pub template: String,
    /// The place, in characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: TemplateProblem,
}

/// The ways a template can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateProblem {
    /// There is no text at all.
    #[error("the template is empty")]
    Empty,
    /// Longer than [`TEMPLATE_BYTES_MAX`].
    #[error("the template is longer than {TEMPLATE_BYTES_MAX} bytes")]
    TooLong,
    /// A character that no name may hold.
    #[error("a control character cannot be part of a name")]
    ControlCharacter,
    /// It begins with a separator.
    #[error("a path begins with a name, not with /")]
    LeadingSeparator,
    /// It ends with a separator.
    #[error("no name follows the last /")]
    TrailingSeparator,
    /// Two separators side by side.
    #[error("there is no name between two /")]
    DoubleSeparator,
    /// A `$` with nothing after it that could be a field.
    #[error("this $ starts no field")]
    LoneDollar,
    /// `$!` without `{`.
    #[error("$! needs a field in braces")]
    BangWithoutBrace,
    /// `${` without `}`.
    #[error("this field is never closed")]
    UnclosedField,
    /// Braces, or one side of a `|`, without a name.
    #[error("a field's name is missing here")]
    MissingName,
    /// A character that no field's name holds.
    #[error("{0:?} cannot be part of a field's name")]
    BadNameCharacter(char),
    /// `[` without `]`.
    #[error("this section is never closed")]
    UnclosedSection,
    /// `]` without `[`.
    #[error("this ] closes no section")]
    StrayBracket,
    /// A section that could never be dropped.
    #[error("this section holds no field, so it would always be there")]
    SectionWithoutField,
    /// More than [`SECTION_DEPTH_MAX`] sections within each other.
    #[error("sections are nested more than {SECTION_DEPTH_MAX} deep")]
    TooDeep,
}

impl TemplateProblem {
    /// What to write instead.
    pub fn way_out(&self) -> &'static str {
        match self {
            Self::Empty | Self::TrailingSeparator => {
                "a template ends with the file's name, for example $title"
            }
            Self::TooLong | Self::TooDeep => "use a simpler one",
            Self::ControlCharacter => "leave it out",
            Self::LeadingSeparator => {
                "paths start at the mount point anyway: leave the first / out"
            }
            Self::DoubleSeparator => "leave one of them out",
            Self::LoneDollar => "write $field or ${field} for a field, $$ for a dollar sign",
            Self::BangWithoutBrace => "write $!{field}; a dollar sign is $$",
            Self::UnclosedField | Self::BadNameCharacter(_) => {
                "write ${field}, or ${first|second} to choose the first that is there"
            }
            Self::MissingName => "write for example ${albumartist|artist}",
            Self::UnclosedSection => "close it with ], or write $[ for a bracket in the name",
            Self::StrayBracket => "write $] for a bracket in the name",
            Self::SectionWithoutField => "write $[ and $] for brackets in the name",
        }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A control character would move the caret away from its place, or worse.
        let shown: String = self
            .template
            .chars()
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .collect();
        writeln!(f, "column {}: {}", self.column, self.problem)?;
        writeln!(f, "  {shown}")?;
        writeln!(f, "  {:>width$}", '^', width = self.column)?;
        write!(f, "{}", self.problem.way_out())
    }
}

impl std::error::Error for TemplateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        None
    }
}

/// Takes `template` apart.
pub(super) fn parse(template: &str) -> Result<Vec<Part>, TemplateError> {
    let mut parser = Parser {
        characters: template.chars().collect(),
        index: 0,
    };
    parser
        .template(template.len())
        .map_err(|fault| TemplateError {
            template: template.to_owned(),
            column: fault.index + 1,
            problem: fault.problem,
        })
}

/// A problem at a character that is counted from 0.
struct Fault {
    index: usize,
    problem: TemplateProblem,
}

struct Parser {
    characters: Vec<char>,
    index: usize,
}

impl Parser {
    fn template(&mut self, len: usize) -> Result<Vec<Part>, Fault> {
        let whole_is = |problem| Err(Fault { index: 0, problem });
        if len > TEMPLATE_BYTES_MAX {
            return whole_is(TemplateProblem::TooLong);
        }
        match self.characters[..] {
            [] => return whole_is(TemplateProblem::Empty),
            ['/', ..] => return whole_is(TemplateProblem::LeadingSeparator),
            [.., '/'] => {
                return Err(Fault {
                    index: self.characters.len() - 1,
                    problem: TemplateProblem::TrailingSeparator,
                });
            }
            _ => {}
        }
        self.parts(0)
    }

    /// Parts up to the end of the template (`depth` 0) or of the section.
    fn parts(&mut self, depth: usize) -> Result<Vec<Part>, Fault> {
        let mut parts = Vec::new();
        let mut text = String::new();
        while let Some(&character) = self.characters.get(self.index) {
            let start = self.index;
            let fault = |problem| {
                Err(Fault {
                    index: start,
                    problem,
                })
            };
            let part = match (character, self.characters.get(start + 1)) {
                ('$', Some(literal @ ('$' | '[' | ']'))) => {
                    text.push(*literal);
                    self.index += 2;
                    continue;
                }
                ('$', _) => Part::Field(self.field()?),
                ('[', _) if depth == SECTION_DEPTH_MAX => return fault(TemplateProblem::TooDeep),
                ('[', _) => self.section(depth)?,
                (']', _) if depth == 0 => return fault(TemplateProblem::StrayBracket),
                (']', _) => break,
                ('/', _) if text.ends_with('/') => return fault(TemplateProblem::DoubleSeparator),
                (control, _) if control.is_control() => {
                    return fault(TemplateProblem::ControlCharacter);
                }
                (literal, _) => {
                    text.push(literal);
                    self.index += 1;
                    continue;
                }
            };
            push_text(&mut parts, &mut text);
            parts.push(part);
        }
        push_text(&mut parts, &mut text);
        Ok(parts)
    }

    /// `[ … ]`, from its bracket.
    fn section(&mut self, depth: usize) -> Result<Part, Fault> {
        let start = self.index;
        let fault = |problem| {
            Err(Fault {
                index: start,
                problem,
            })
        };
        self.index += 1;
        let parts = self.parts(depth + 1)?;
        if self.characters.get(self.index) != Some(&']') {
            return fault(TemplateProblem::UnclosedSection);
        }
        self.index += 1;
        if parts.iter().all(|part| matches!(part, Part::Text(_))) {
            return fault(TemplateProblem::SectionWithoutField);
        }
        Ok(Part::Section(parts.into()))
    }

    /// `$name`, `${name|name}` or `$!{name|name}`, from its dollar sign.
    fn field(&mut self) -> Result<Field, Fault> {
        let start = self.index;
        let fault = |problem| {
            Err(Fault {
                index: start,
                problem,
            })
        };
        let after = &self.characters[start + 1..];
        match after {
            ['{', ..] => self.braced(start + 2, false),
            ['!', '{', ..] => self.braced(start + 3, true),
            ['!', ..] => fault(TemplateProblem::BangWithoutBrace),
            _ => {
                let name: String = after
                    .iter()
                    .take_while(|c| c.is_ascii_alphanumeric() || **c == '_')
                    .collect();
                if name.is_empty() {
                    return fault(TemplateProblem::LoneDollar);
                }
                self.index = start + 1 + name.len();
                Ok(Field {
                    names: [FieldName::new(&name, start + 1)].into(),
                    keeps_separators: false,
                })
            }
        }
    }

    /// The names from `first`, the index after the opening brace, to the closing one.
    fn braced(&mut self, first: usize, keeps_separators: bool) -> Result<Field, Fault> {
        let mut names = Vec::new();
        let mut name_start = first;
        for index in first..self.characters.len() {
            let character = self.characters[index];
            match character {
                '|' | '}' => {
                    let name: String = self.characters[name_start..index].iter().collect();
                    if name.trim().is_empty() {
                        return Err(Fault {
                            index: name_start,
                            problem: TemplateProblem::MissingName,
                        });
                    }
                    names.push(FieldName::new(name.trim(), self.index + 1));
                    name_start = index + 1;
                    if character == '}' {
                        self.index = index + 1;
                        return Ok(Field {
                            names: names.into(),
                            keeps_separators,
                        });
                    }
                }
                '$' | '{' => {
                    return Err(Fault {
                        index,
                        problem: TemplateProblem::BadNameCharacter(character),
                    });
                }
                control if control.is_control() => {
                    return Err(Fault {
                        index,
                        problem: TemplateProblem::ControlCharacter,
                    });
                }
                _ => {}
            }
        }
        Err(Fault {
            index: self.index,
            problem: TemplateProblem::UnclosedField,
        })
    }
}

fn push_text(parts: &mut Vec<Part>, text: &mut String) {
    if !text.is_empty() {
        parts.push(Part::Text(std::mem::take(text).into()));
    }
}
