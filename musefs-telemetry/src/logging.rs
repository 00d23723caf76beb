//! Events with a name, for people and pipelines: what happened, said once and said the same everywhere.
//!
//! An event has a dotted name that is a constant, such as `store.refresh.failed`, fields, and the request that its thread
//! works for. Each context of a program has a provider of its own, which writes to a console at once, or behind a bounded
//! queue, or hands events to a pipeline of the caller's, or is silent. What an exporter says of itself goes to the internal
//! context, which knows no queue and no pipeline, so that nothing feeds itself.
//!
//! ```
//! use musefs_telemetry::logging::{Mode, Providers};
//! use musefs_telemetry::{event_debug, event_error};
//!
//! let providers = Providers::builder()
//!     .engine(Mode::ConsoleDirect)
//!     .filter("info,store.refresh=debug")?
//!     .build()?;
//! let log = providers.engine();
//! let error = std::io::Error::other("no disk");
//! event_error!(log, "store.refresh.failed", rows = 7_u64, error = %error);
//! event_debug!(log, "store.scan.began"); // Below the level of its name: not even the fields are looked at.
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A library that is handed no provider asks for those that its program [installed](Providers::install): [`engine`],
//! [`global`], [`admin`] and [`internal`] are silent until then.

mod console;
mod filter;
mod installed;
mod limit;
mod line;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

#[doc(hidden)]
pub use crate::logged::assert_event_name;
pub use crate::logged::{Context, Event, Format, InternalMode, Level, LoggingError, Mode, Value};
pub use installed::{admin, engine, global, internal};

use crate::clock::{Clock, SystemClock};
use crate::describe::DescribeError;
use crate::registry::Engine;
use crate::scope::Ctx;
use console::{Console, Queued};
use filter::Filter;
use limit::Limit;

/// How many lines wait for a console that is written behind a queue.
pub const LINES_MAX: usize = 4_096;

thread_local! {
    /// Whether this thread exports, so that what it says is internal.
    static EXPORTING: Cell<bool> = const { Cell::new(false) };
}

/// Decides where the events of each context go. Every context is silent unless told otherwise.
#[derive(Debug)]
pub struct ProvidersBuilder {
    modes: [Mode; 3],
    internal: InternalMode,
    filter: Filter,
    limit: Option<Limit>,
    format: Format,
    clock: Arc<dyn Clock>,
    console: Console,
}

impl ProvidersBuilder {
    /// Where events of an engine go.
    pub fn engine(mut self, mode: Mode) -> Self {
        self.modes[0] = mode;
        self
    }

    /// Where events of the process as a whole go.
    pub fn global(mut self, mode: Mode) -> Self {
        self.modes[1] = mode;
        self
    }

    /// Where events of administration go.
    pub fn admin(mut self, mode: Mode) -> Self {
        self.modes[2] = mode;
        self
    }

    /// Where events of the telemetry itself go, at once or nowhere.
    pub fn internal(self, internal: InternalMode) -> Self {
        Self { internal, ..self }
    }

    /// Which events there are: directives separated by commas, each a level, `name=level`, or a name alone, which lets all of
    /// its events pass. A name is that of a context or of events, or the beginning of their names up to a dot. The longest one
    /// that fits decides; a level alone is for the rest, which has none otherwise. Levels are `off`, `error`, `warn`, `info`,
    /// `debug` and `trace`. The parts of a name may be separated by `::`, as in `RUST_LOG`.
    ///
    /// # Errors
    /// When a directive is none of these.
    pub fn filter(self, directives: &str) -> Result<Self, LoggingError> {
        Ok(Self {
            filter: Filter::parse(directives)?,
            ..self
        })
    }

    /// The same, with the directives of the environment variable `RUST_LOG`, when it is there.
    ///
    /// # Errors
    /// When a directive is none, or the variable is no text.
    pub fn filter_from_environment(self) -> Result<Self, LoggingError> {
        match std::env::var("RUST_LOG") {
            Ok(directives) => self.filter(&directives),
            Err(std::env::VarError::NotPresent) => Ok(self),
            Err(std::env::VarError::NotUnicode(text)) => {
                Err(LoggingError::Directive(text.to_string_lossy().into_owned()))
            }
        }
    }

    /// How the lines of the console are written.
    pub fn format(self, format: Format) -> Self {
        Self { format, ..self }
    }

    /// Events of one name, those of [`Level::Debug`] aside, are told at most once in `interval`, and the next one says how many
    /// were left out before it. Where they have some of the fields `subjects`, they are told apart by the values of these, up to
    /// a few thousand at once.
    pub fn limit(self, interval: Duration, subjects: &'static [&'static str]) -> Self {
        Self {
            limit: Some(Limit::new(interval, subjects)),
            ..self
        }
    }

    /// Another source of time.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// Another console than standard error.
    pub fn console(self, console: impl std::io::Write + Send + 'static) -> Self {
        Self {
            console: Console::new(console),
            ..self
        }
    }

    /// The providers.
    ///
    /// # Errors
    /// When a console is to be written behind a queue and the system has no thread for it.
    pub fn build(self) -> Result<Providers, LoggingError> {
        let queued = self
            .modes
            .iter()
            .any(|mode| matches!(mode, Mode::ConsoleAsync));
        let queue = queued.then(|| Queued::start(self.console.clone()));
        Ok(Providers(Arc::new(Inner {
            queue: queue.transpose().map_err(LoggingError::Thread)?,
            modes: self.modes,
            internal: self.internal,
            filter: self.filter,
            limit: self.limit,
            format: self.format,
            clock: self.clock,
            console: self.console,
            panics: AtomicU64::new(0),
        })))
    }
}

#[derive(Debug)]
struct Inner {
    modes: [Mode; 3],
    internal: InternalMode,
    filter: Filter,
    limit: Option<Limit>,
    format: Format,
    clock: Arc<dyn Clock>,
    console: Console,
    queue: Option<Queued>,
    panics: AtomicU64,
}

/// The providers of all contexts. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Providers(Arc<Inner>);

impl Providers {
    /// Providers that are silent until told otherwise, and pass on events from [`Level::Info`] up.
    pub fn builder() -> ProvidersBuilder {
        ProvidersBuilder {
            modes: [const { Mode::Noop }; 3],
            internal: InternalMode::Noop,
            filter: Filter::default(),
            limit: None,
            format: Format::default(),
            clock: Arc::new(SystemClock::default()),
            console: Console::new(std::io::stderr()),
        }
    }

    /// That of an engine.
    pub fn engine(&self) -> Provider {
        self.context(Context::Engine)
    }

    /// That of the process as a whole.
    pub fn global(&self) -> Provider {
        self.context(Context::Global)
    }

    /// That of administration.
    pub fn admin(&self) -> Provider {
        self.context(Context::Admin)
    }

    /// That of the telemetry itself.
    pub fn internal(&self) -> Provider {
        self.context(Context::Internal)
    }

    /// That of `context`.
    pub fn context(&self, context: Context) -> Provider {
        Provider {
            inner: Arc::clone(&self.0),
            context,
        }
    }

    /// Does `work`, which exports: whatever this thread says meanwhile is internal.
    pub fn exporting<T>(work: impl FnOnce() -> T) -> T {
        let _exporting = Exporting::begin();
        work()
    }

    /// The least that matters of what may pass; `None` when nothing may.
    pub fn most(&self) -> Option<Level> {
        self.0.filter.most()
    }

    /// How many lines the queue of the console had no room for, or nobody could write.
    pub fn lines_dropped(&self) -> u64 {
        let queued = self.0.queue.as_ref().map_or(0, Queued::dropped);
        queued + self.0.console.failed()
    }

    /// Declares `PREFIX_log_lines_dropped_total` and `PREFIX_log_pipeline_panics_total`.
    ///
    /// # Errors
    /// When a name is no name or taken, or there is no room.
    pub fn declare(&self, engine: &Engine, prefix: &str) -> Result<(), DescribeError> {
        let name = format!("{prefix}_log_lines_dropped_total");
        let help = "Lines of the log that nobody wrote.";
        let providers = self.clone();
        engine.observe_total(name, help, &[], move |_| providers.lines_dropped())?;
        let name = format!("{prefix}_log_pipeline_panics_total");
        let help = "Panics of pipelines that events are handed to.";
        let providers = self.clone();
        engine.observe_total(name, help, &[], move |_| providers.panics())
    }

    /// How often a pipeline panicked.
    pub fn panics(&self) -> u64 {
        self.0.panics.load(Relaxed)
    }

    /// Waits until the lines that are in the queue were written; `false` when that took longer than `patience`.
    pub fn flush(&self, patience: Duration) -> bool {
        let queue = self.0.queue.as_ref();
        queue.is_none_or(|queue| queue.flush(patience))
    }
}

/// A thread that exports.
struct Exporting(bool);

impl Exporting {
    fn begin() -> Self {
        Self(EXPORTING.replace(true))
    }
}

impl Drop for Exporting {
    fn drop(&mut self) {
        EXPORTING.set(self.0);
    }
}

/// Where the events of one context go. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Provider {
    inner: Arc<Inner>,
    context: Context,
}

impl Provider {
    /// Whether an event of that level and name goes anywhere.
    #[inline]
    pub fn enabled(&self, level: Level, name: &str) -> bool {
        self.inner.filter.may_pass(level) && self.passes(level, name)
    }

    fn passes(&self, level: Level, name: &str) -> bool {
        let (context, silent) = self.place();
        !silent && self.inner.filter.passes(level, context.name(), name)
    }

    /// Whether what the part `target` of another library says goes anywhere: `a::b` as the name `a.b`.
    pub fn hears(&self, level: Level, target: &str) -> bool {
        self.inner.filter.may_pass(level) && self.passes(level, &target.replace("::", "."))
    }

    /// The context that an event of this thread is in, and whether that is silent.
    fn place(&self) -> (Context, bool) {
        let context = if EXPORTING.get() {
            Context::Internal
        } else {
            self.context
        };
        let silent = match self.mode(context) {
            Some(mode) => matches!(mode, Mode::Noop),
            None => matches!(self.inner.internal, InternalMode::Noop),
        };
        (context, silent)
    }

    /// `None` for the internal context.
    fn mode(&self, context: Context) -> Option<&Mode> {
        self.inner.modes.get(context as usize)
    }

    /// Passes on an event that is [`enabled`](Self::enabled).
    pub fn emit(&self, level: Level, name: &'static str, fields: &[(&'static str, Value<'_>)]) {
        let (context, silent) = self.place();
        if silent {
            return;
        }
        let inner = &self.inner;
        let limit = inner.limit.as_ref().filter(|_| level < Level::Debug);
        let admitted = limit.map_or(Some(0), |limit| {
            limit.admit(inner.clock.now_ns(), name, fields)
        });
        let Some(suppressed) = admitted else {
            return;
        };
        let event = Event {
            wall_ms: inner.clock.wall_ms(),
            level,
            context,
            name,
            ctx: Ctx::current(),
            suppressed,
            fields,
        };
        match self.mode(context) {
            Some(Mode::Noop) => {}
            Some(Mode::ConsoleDirect) | None => inner.console.write(&event.line(inner.format)),
            Some(Mode::ConsoleAsync) => {
                if let Some(queue) = &inner.queue {
                    queue.offer(event.line(inner.format));
                }
            }
            Some(Mode::Pipeline(pipeline)) => {
                let _exporting = Exporting::begin();
                if catch_unwind(AssertUnwindSafe(|| pipeline(&event))).is_err() {
                    inner.panics.fetch_add(1, Relaxed);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
