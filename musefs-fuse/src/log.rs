//! The log, on standard error: written by a thread of its own behind a bounded queue, so that no request waits for a terminal
//! or a pipe that nobody reads. What does not fit is dropped and counted, and what goes on happening is told once a second.
//!
//! Every line is an event with a name. What other libraries say through the crate `log` is one, too.

use std::ffi::OsStr;
use std::io::{IsTerminal as _, Write as _};
use std::sync::OnceLock;
use std::time::Duration;

use musefs_telemetry::logging::{
    Format, InternalMode, Level, LoggingError, Mode, Providers, ProvidersBuilder,
};
use musefs_telemetry::{event_error, event_warn, logging};

use crate::cli::LogFormat;
use crate::commands::Failure;

pub mod events;
mod libraries;

/// What is logged unless the environment says otherwise. The FUSE library warns of an unmount that was done already.
const FILTER: &str = "warn,fuser=error";
/// Environment variables that say what is logged; the first one that says something counts.
const VARIABLES: [&str; 2] = ["MUSEFS_LOG", "RUST_LOG"];
/// How often an event of one name is told.
const INTERVAL: Duration = Duration::from_secs(1);
/// Events with such fields are told apart by them: each broken file is named, and each of its faults.
const SUBJECTS: &[&str] = &["path", "track", "what", "setting", "target"];
/// How long the end of the program waits for lines to be written.
const PATIENCE: Duration = Duration::from_secs(1);

/// The process has one standard error, and so one log.
static STARTED: OnceLock<Started> = OnceLock::new();

#[derive(Debug)]
struct Started {
    providers: Providers,
    format: LogFormat,
}

/// The log of the process; what is still queued is written when it is dropped.
#[derive(Debug)]
#[must_use = "lines that wait are lost when nobody waits for them"]
pub struct Log(());

impl Drop for Log {
    fn drop(&mut self) {
        flush();
    }
}

/// Starts the log.
///
/// # Errors
/// When the system has no thread for it.
pub fn start(format: LogFormat) -> Result<Log, LoggingError> {
    let said = VARIABLES.map(|variable| (variable, std::env::var_os(variable)));
    let said = said
        .iter()
        .map(|(variable, value)| (*variable, value.as_deref()));
    let (builder, complaint) = filtered(|| builder(format), said);
    let providers = builder.build()?;
    libraries::listen(providers.most());
    let first = providers.install() && STARTED.set(Started { providers, format }).is_ok();
    assert!(first, "the log is started once");
    if let Some(complaint) = complaint {
        event_warn!(
            logging::global(),
            "log.filter.refused",
            message = %complaint,
        );
    }
    Ok(Log(()))
}

fn builder(format: LogFormat) -> ProvidersBuilder {
    let coloured = std::io::stderr().is_terminal();
    Providers::builder()
        .engine(Mode::ConsoleAsync)
        .global(Mode::ConsoleAsync)
        .admin(Mode::ConsoleAsync)
        .internal(InternalMode::ConsoleDirect)
        .limit(INTERVAL, SUBJECTS)
        .format(match format {
            LogFormat::Text => Format::Short { coloured },
            LogFormat::Json => Format::Json,
        })
}

/// A log with the filter of the first variable that says something, or, and why, with that of none.
fn filtered<'a>(
    builder: impl Fn() -> ProvidersBuilder,
    said: impl Iterator<Item = (&'static str, Option<&'a OsStr>)>,
) -> (ProvidersBuilder, Option<String>) {
    let by_default = || {
        let filtered = builder().filter(FILTER);
        filtered.expect("the filter is one")
    };
    let mut said = said.filter_map(|(variable, value)| Some((variable, value?)));
    let Some((variable, directives)) = said.find(|(_, directives)| !directives.is_empty()) else {
        return (by_default(), None);
    };
    let filtered = match directives.to_str() {
        Some(directives) => match misspelt(directives) {
            Some(word) => Err(LoggingError::Directive(word.to_owned())),
            None => builder().filter(directives),
        },
        None => Err(LoggingError::Directive(
            directives.to_string_lossy().into_owned(),
        )),
    };
    match filtered {
        Ok(builder) => (builder, None),
        Err(error) => (
            by_default(),
            Some(format!("{variable}: {error}. `{FILTER}` is logged instead")),
        ),
    }
}

/// A word that is neither a level nor the beginning of an event's name nor a context: taken for a name, it would let nothing
/// else pass, without a word.
fn misspelt(directives: &str) -> Option<&str> {
    let is_known = |word: &str| {
        let levels = ["off", "error", "warn", "info", "debug", "trace"];
        let contexts = ["engine", "global", "admin", "internal", "fuser", "lofty"];
        let names = word.replace("::", ".");
        let mut events = events::EVENTS.iter().map(|(name, ..)| *name);
        levels.contains(&&*word.to_ascii_lowercase())
            || contexts.contains(&word)
            || events.any(|event| {
                let rest = event.strip_prefix(&*names);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
    };
    let words = directives.split(',').map(str::trim);
    let mut words = words.filter(|word| !word.is_empty() && !word.contains('='));
    words.find(|word| !is_known(word))
}

/// Tells that the command could not be done: for programs, where the log is, else as every tool does.
pub fn failed(failure: &Failure) {
    flush();
    let format = STARTED.get().map(|started| started.format);
    if format == Some(LogFormat::Json)
        && logging::admin().enabled(Level::Error, "command.run.failed")
    {
        event_error!(
            logging::admin(),
            "command.run.failed",
            message = %failure,
            code = failure.code,
        );
    } else {
        // Nowhere is left to say that this failed.
        writeln!(std::io::stderr(), "musefs: {failure}").ok();
    }
}

/// Waits, not for long, until what was said is written.
pub fn flush() {
    if let Some(started) = STARTED.get() {
        started.providers.flush(PATIENCE);
    }
}

/// Lines that were dropped because too many waited, or that could not be written.
pub fn lines_dropped() -> u64 {
    STARTED
        .get()
        .map_or(0, |started| started.providers.lines_dropped())
}
