//! An event as one line, whatever its fields hold: no control character, and no end of a line but its own.

use std::fmt::{self, Write as _};

use crate::encode::json::push_string;
use crate::event::RequestId;
use crate::event::fields::{CAUSE, MESSAGE, REQUEST_ID, SUPPRESSED};
use crate::logged::{Event, Format, Level, Value};

impl Event<'_> {
    /// This event as a line of that format, without the line feed.
    pub fn line(&self, format: Format) -> String {
        let mut line = String::new();
        let written = match format {
            Format::Full => write!(line, "{self}"),
            Format::Short { coloured } => self.short(&mut line, coloured),
            Format::Json => self.json(&mut line),
        };
        written.expect("a String takes whatever is written to it");
        line
    }

    fn request(&self) -> Option<RequestId> {
        (self.ctx.request_id != 0).then(|| self.ctx.id())
    }

    /// The request that triggered this work in the background.
    fn cause(&self) -> Option<RequestId> {
        let (instance, number) = (self.ctx.instance, self.ctx.cause);
        (number != 0).then_some(RequestId { instance, number })
    }

    fn message(&self) -> Option<&Value<'_>> {
        let mut fields = self.fields.iter();
        fields.find_map(|(key, value)| (*key == MESSAGE).then_some(value))
    }

    fn short(&self, line: &mut String, coloured: bool) -> fmt::Result {
        let level = self.level.name();
        if coloured {
            write!(line, "\u{1b}[{}m{level:<5}\u{1b}[0m ", colour(self.level))?;
        } else {
            write!(line, "{level:<5} ")?;
        }
        self.text(line)?;
        if let Some(request) = self.request() {
            write!(line, " {REQUEST_ID}={request}")?;
        }
        Ok(())
    }

    /// The name, the message, the fields.
    fn text(&self, into: &mut String) -> fmt::Result {
        into.push_str(self.name);
        if let Some(message) = self.message() {
            into.push_str(": ");
            write!(Escaped(into), "{message}")?;
        }
        self.push_fields(into)
    }

    fn push_fields(&self, into: &mut String) -> fmt::Result {
        let mut text = String::new();
        for (key, value) in self.fields.iter().filter(|(key, _)| *key != MESSAGE) {
            text.clear();
            write!(text, "{value}")?;
            let plain =
                |character: char| character.is_ascii_graphic() && !"\"=\\".contains(character);
            if !text.is_empty() && text.chars().all(plain) {
                write!(into, " {key}={text}")?;
            } else {
                write!(into, " {key}={text:?}")?;
            }
        }
        if self.suppressed > 0 {
            write!(into, " {SUPPRESSED}={}", self.suppressed)?;
        }
        if let Some(cause) = self.cause() {
            write!(into, " {CAUSE}={cause}")?;
        }
        Ok(())
    }

    fn json(&self, line: &mut String) -> fmt::Result {
        line.push_str("{\"time\":\"");
        write_date(line, self.wall_ms)?;
        line.push('"');
        let mut pair = |key: &str, value: &str| {
            line.push(',');
            push_string(line, key);
            line.push(':');
            push_string(line, value);
        };
        pair("level", &self.level.name().to_ascii_lowercase());
        pair("context", self.context.name());
        pair("event", self.name);
        if let Some(message) = self.message() {
            pair(MESSAGE, &message.to_string());
        }
        if let Some(request) = self.request() {
            pair(REQUEST_ID, &request.to_string());
        }
        if let Some(cause) = self.cause() {
            pair(CAUSE, &cause.to_string());
        }
        if self.suppressed > 0 {
            write!(line, ",\"{SUPPRESSED}\":{}", self.suppressed)?;
        }
        line.push_str(",\"fields\":{");
        let fields = self.fields.iter().filter(|(key, _)| *key != MESSAGE);
        for (place, (key, value)) in fields.enumerate() {
            if place > 0 {
                line.push(',');
            }
            push_string(line, key);
            line.push(':');
            push_json(line, value)?;
        }
        line.push_str("}}");
        Ok(())
    }
}

/// A number that JSON has no notation for is a text, as is whatever is written for people.
fn push_json(line: &mut String, value: &Value<'_>) -> fmt::Result {
    match value {
        Value::Unsigned(value) => write!(line, "{value}"),
        Value::Signed(value) => write!(line, "{value}"),
        Value::Float(value) if value.is_finite() => write!(line, "{value}"),
        Value::Bool(value) => write!(line, "{value}"),
        Value::Text(value) => {
            push_string(line, value);
            Ok(())
        }
        other => {
            push_string(line, &other.to_string());
            Ok(())
        }
    }
}

/// The number that a terminal knows a colour by.
fn colour(level: Level) -> u8 {
    match level {
        Level::Error => 31,
        Level::Warn => 33,
        Level::Info => 32,
        Level::Debug => 34,
    }
}

/// A text that stays within its line.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                // What turns the direction of a text can hide what is in a line.
                '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                    self.0.extend(character.escape_unicode());
                }
                _ if character.is_control() => self.0.extend(character.escape_default()),
                _ => self.0.push(character),
            }
        }
        Ok(())
    }
}

/// One line: the time, the level, the context, the name and the message, the request's id, the fields. A text that is not
/// plain is quoted.
impl fmt::Display for Event<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_date(formatter, self.wall_ms)?;
        let (level, context) = (self.level.name(), self.context.name());
        write!(formatter, " {level:<5} {context} {}", self.name)?;
        let mut rest = String::new();
        if let Some(message) = self.message() {
            rest.push_str(": ");
            write!(Escaped(&mut rest), "{message}")?;
        }
        write!(rest, " {REQUEST_ID}={}", self.ctx.id())?;
        self.push_fields(&mut rest)?;
        formatter.write_str(&rest)
    }
}

/// As RFC 3339 has it, in UTC with milliseconds. The date is Howard Hinnant's `civil_from_days`, for days since 1970.
fn write_date(into: &mut impl fmt::Write, wall_ms: u64) -> fmt::Result {
    let (seconds, milliseconds) = (wall_ms / 1_000, wall_ms % 1_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    write!(
        into,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z"
    )
}
