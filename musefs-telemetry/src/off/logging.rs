//! Events that go nowhere, whose names the compiler checks none the less.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::describe::DescribeError;
use crate::registry::Engine;

#[doc(hidden)]
pub use crate::logged::assert_event_name;
pub use crate::logged::{Context, Event, Format, InternalMode, Level, LoggingError, Mode, Value};

/// How many lines would wait for a console.
pub const LINES_MAX: usize = 4_096;

empty! {
    /// Decides nothing.
    ProvidersBuilder
}
empty! {
    /// No providers.
    Providers
}
empty! {
    /// Where nothing goes.
    Provider
}

impl ProvidersBuilder {
    /// Does nothing.
    pub fn engine(self, _: Mode) -> Self {
        self
    }

    /// Does nothing.
    pub fn global(self, _: Mode) -> Self {
        self
    }

    /// Does nothing.
    pub fn admin(self, _: Mode) -> Self {
        self
    }

    /// Does nothing.
    pub fn internal(self, _: InternalMode) -> Self {
        self
    }

    /// Does nothing.
    ///
    /// # Errors
    /// Never.
    pub fn filter(self, _: &str) -> Result<Self, LoggingError> {
        Ok(self)
    }

    /// Does nothing.
    ///
    /// # Errors
    /// Never.
    pub fn filter_from_environment(self) -> Result<Self, LoggingError> {
        Ok(self)
    }

    /// Does nothing.
    pub fn format(self, _: Format) -> Self {
        self
    }

    /// Does nothing.
    pub fn limit(self, _: Duration, _: &'static [&'static str]) -> Self {
        self
    }

    /// Does nothing.
    pub fn clock(self, _: Arc<dyn Clock>) -> Self {
        self
    }

    /// Does nothing.
    pub fn console(self, _: impl std::io::Write + Send + 'static) -> Self {
        self
    }

    /// Nothing.
    ///
    /// # Errors
    /// Never.
    pub fn build(self) -> Result<Providers, LoggingError> {
        Ok(Providers)
    }
}

impl Providers {
    /// Nothing.
    pub fn builder() -> ProvidersBuilder {
        ProvidersBuilder
    }

    /// Does `work`.
    pub fn exporting<T>(work: impl FnOnce() -> T) -> T {
        work()
    }

    calls! {
        /// Nothing.
        fn engine(&self) -> Provider = Provider;
        /// Nothing.
        fn global(&self) -> Provider = Provider;
        /// Nothing.
        fn admin(&self) -> Provider = Provider;
        /// Nothing.
        fn internal(&self) -> Provider = Provider;
        /// Nothing.
        fn context(&self, context: Context) -> Provider = Provider;
        /// Nobody needs them.
        fn install(&self) -> bool = true;
        /// Nothing passes.
        fn most(&self) -> Option<Level> = None;
        /// 0.
        fn lines_dropped(&self) -> u64 = 0;
        /// 0.
        fn panics(&self) -> u64 = 0;
        /// Nothing.
        fn declare(&self, engine: &Engine, prefix: &str) -> Result<(), DescribeError> = Ok(());
        /// There is nothing to wait for.
        fn flush(&self, patience: Duration) -> bool = true;
    }
}

impl Provider {
    calls! {
        /// Nothing does.
        fn enabled(&self, level: Level, name: &str) -> bool = false;
        /// Nothing does.
        fn hears(&self, level: Level, target: &str) -> bool = false;
        /// Does nothing.
        fn emit(&self, level: Level, name: &'static str, fields: &[(&'static str, Value<'_>)]);
    }
}

/// Where nothing goes.
pub fn engine() -> &'static Provider {
    &Provider
}

/// Where nothing goes.
pub fn global() -> &'static Provider {
    &Provider
}

/// Where nothing goes.
pub fn admin() -> &'static Provider {
    &Provider
}

/// Where nothing goes.
pub fn internal() -> &'static Provider {
    &Provider
}
