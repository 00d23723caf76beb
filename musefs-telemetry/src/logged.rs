//! What an event with a name is: plain data, the same whether anybody reads it or not.

use std::fmt;
use std::sync::Arc;

use crate::scope::Ctx;

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something may be wrong.
    Warn,
    /// Something to know.
    Info,
    /// Something for whoever looks for a fault.
    Debug,
}

impl Level {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
        }
    }
}

/// What part of a program an event is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// An engine, such as a mount.
    Engine,
    /// The process as a whole.
    Global,
    /// Its administration.
    Admin,
    /// The telemetry itself.
    Internal,
}

impl Context {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Global => "global",
            Self::Admin => "admin",
            Self::Internal => "internal",
        }
    }
}

/// Whom events are handed to, on the thread that they are of. What it says itself is internal, a panic of its stays its own.
pub type Pipeline = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// Where events go.
#[derive(Clone)]
pub enum Mode {
    /// Nowhere.
    Noop,
    /// To the console, before the program goes on.
    ConsoleDirect,
    /// To the console, by a thread of its own; what its queue has no room for is dropped and counted.
    ConsoleAsync,
    /// To the caller's own.
    Pipeline(Pipeline),
}

impl fmt::Debug for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Noop => "Noop",
            Self::ConsoleDirect => "ConsoleDirect",
            Self::ConsoleAsync => "ConsoleAsync",
            Self::Pipeline(_) => "Pipeline",
        })
    }
}

/// Where events of the telemetry itself go. It has no queue that its own events could fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InternalMode {
    /// Nowhere.
    Noop,
    /// To the console, before the program goes on.
    ConsoleDirect,
}

/// Why there are no providers.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// A directive of a filter is none.
    #[error(
        "`{0}` is no directive: write a level, or name=level; levels are off, error, warn, info, debug, trace"
    )]
    Directive(String),
    /// The system has no thread for the console.
    #[error("no thread writes the console: {0}")]
    Thread(std::io::Error),
}

/// What a field holds.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// A number that is not negative.
    Unsigned(u64),
    /// A whole number.
    Signed(i64),
    /// A number.
    Float(f64),
    /// Whether something is so.
    Bool(bool),
    /// A text.
    Text(&'a str),
    /// What is written for people.
    Display(&'a dyn fmt::Display),
    /// What is written for programmers.
    Debug(&'a dyn fmt::Debug),
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(value) => value.fmt(formatter),
            Self::Signed(value) => value.fmt(formatter),
            Self::Float(value) => value.fmt(formatter),
            Self::Bool(value) => value.fmt(formatter),
            Self::Text(value) => formatter.write_str(value),
            Self::Display(value) => value.fmt(formatter),
            Self::Debug(value) => value.fmt(formatter),
        }
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Values of Rust as values of fields.
macro_rules! values {
    ($($ty:ty => $variant:ident as $into:ty),* $(,)?) => {
        $(
            impl From<$ty> for Value<'_> {
                fn from(value: $ty) -> Self {
                    Self::$variant(<$into>::from(value))
                }
            }
        )*
    };
}

values! {
    u8 => Unsigned as u64, u16 => Unsigned as u64, u32 => Unsigned as u64, u64 => Unsigned as u64,
    i8 => Signed as i64, i16 => Signed as i64, i32 => Signed as i64, i64 => Signed as i64,
    f32 => Float as f64, f64 => Float as f64, bool => Bool as bool,
}

impl From<usize> for Value<'_> {
    fn from(value: usize) -> Self {
        Self::Unsigned(value as u64)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(value)
    }
}

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// When, in milliseconds since 1970.
    pub wall_ms: u64,
    /// How much it matters.
    pub level: Level,
    /// What part of the program it is of.
    pub context: Context,
    /// What happened.
    pub name: &'static str,
    /// The request that its thread works for.
    pub ctx: Ctx,
    /// What else is known.
    pub fields: &'a [(&'static str, Value<'a>)],
}

/// One line: the time, the level, the context, the name, the request's id, the fields. A text that is not plain is quoted.
#[cfg(feature = "stats")]
impl fmt::Display for Event<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_date(formatter, self.wall_ms)?;
        let (level, context) = (self.level.name(), self.context.name());
        write!(formatter, " {level:<5} {context} {}", self.name)?;
        let name = crate::event::fields::REQUEST_ID;
        write!(formatter, " {name}={}", self.ctx.id())?;
        let mut text = String::new();
        for (key, value) in self.fields {
            text.clear();
            fmt::Write::write_fmt(&mut text, format_args!("{value}"))?;
            let plain =
                |character: char| character.is_ascii_graphic() && !"\"=\\".contains(character);
            if !text.is_empty() && text.chars().all(plain) {
                write!(formatter, " {key}={text}")?;
            } else {
                write!(formatter, " {key}={text:?}")?;
            }
        }
        Ok(())
    }
}

/// As RFC 3339 has it, in UTC with milliseconds. The date is Howard Hinnant's `civil_from_days`, for days since 1970.
#[cfg(feature = "stats")]
fn write_date(formatter: &mut fmt::Formatter<'_>, wall_ms: u64) -> fmt::Result {
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
        formatter,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z"
    )
}

/// Refuses what is no name of an event: two or more parts with dots between, of lower case letters, digits and `_`, each with a
/// letter first.
///
/// # Panics
/// When it is none, which in a constant the compiler says.
pub const fn assert_event_name(name: &str) {
    let bytes = name.as_bytes();
    let mut index = 0;
    let mut parts = 1;
    let mut begins = true;
    let mut good = true;
    while index < bytes.len() {
        let byte = bytes[index];
        if byte == b'.' {
            good = good && !begins;
            parts += 1;
            begins = true;
        } else {
            let letter = byte.is_ascii_lowercase();
            good = good && (letter || (!begins && (byte.is_ascii_digit() || byte == b'_')));
            begins = false;
        }
        index += 1;
    }
    assert!(
        good && !begins && parts > 1,
        "an event's name is two or more parts with dots between, each lower case letters, digits and `_`, a letter first"
    );
}
