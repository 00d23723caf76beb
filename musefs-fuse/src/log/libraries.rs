//! What other libraries say, through the crate `log`, as events of the process.

use log::{LevelFilter, Log, Metadata, Record};
use musefs_telemetry::logging::{self, Level, Value};

/// What a line of another library is called; its target says of which.
pub(super) const NAME: &str = "library.message.said";

struct Libraries;

impl Log for Libraries {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        logging::global().hears(level(metadata.level()), metadata.target())
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let fields = [
                ("message", Value::Display(record.args())),
                ("target", Value::Text(record.target())),
            ];
            logging::global().emit(level(record.level()), NAME, &fields);
        }
    }

    fn flush(&self) {}
}

fn level(level: log::Level) -> Level {
    match level {
        log::Level::Error => Level::Error,
        log::Level::Warn => Level::Warn,
        log::Level::Info => Level::Info,
        log::Level::Debug | log::Level::Trace => Level::Debug,
    }
}

/// Listens to what other libraries say of `most` or more.
pub(super) fn listen(most: Option<Level>) {
    log::set_max_level(match most {
        None => LevelFilter::Off,
        Some(Level::Error) => LevelFilter::Error,
        Some(Level::Warn) => LevelFilter::Warn,
        Some(Level::Info) => LevelFilter::Info,
        Some(Level::Debug) => LevelFilter::Trace,
    });
    // Whoever was there first, in another program with this library in it, goes on listening.
    log::set_logger(&Libraries).ok();
}
