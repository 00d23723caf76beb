//! What an event with a name is: plain data, the same whether anybody reads it or not.

mod macros;

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

/// How a line of the console is written. None holds a control character, whatever a field holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// The time, the level, the context, the name, the message, the request's id, the fields: for a file.
    #[default]
    Full,
    /// The level, the name, the message and the fields, and the request's id where there is one: for a terminal, or for a
    /// journal that adds the time itself.
    Short {
        /// Whether the level is coloured.
        coloured: bool,
    },
    /// One JSON object, with `time`, `level`, `context`, `event` and `fields`, and where they are known `message`,
    /// `request_id` and `cause` (texts), and `suppressed`.
    Json,
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
    /// How many events like this one were left out since the last that was not, because they came too fast.
    pub suppressed: u64,
    /// What else is known. The field `message` is a sentence for people.
    pub fields: &'a [(&'static str, Value<'a>)],
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
