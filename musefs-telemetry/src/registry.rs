//! One namespace of families, and the cells behind them.
//!
//! An [`Engine`] is an instance: two of them in one process share neither names nor numbers.

mod builder;
mod declare;
mod table;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use builder::{EXTREMES_WINDOW_NS, EngineBuilder};
pub use table::Part;
pub(crate) use table::{Entry, Source, Table};

use crate::clock::Clock;
use crate::describe::{DescribeError, Family, MetricsDescriptor};
use crate::dynamic::Dynamic;
use crate::events::Events;
use crate::metrics::Windows;
use crate::snapshot::Snapshot;

/// A set of declared families and their live values. Cloning gives another handle to the same set.
#[derive(Clone, Debug)]
pub struct Engine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dynamic: Mutex<Dynamic>,
    table: Mutex<Arc<Table>>,
    identity: Box<[(String, String)]>,
    clock: Arc<dyn Clock>,
    windows: Arc<Windows>,
    events: Arc<Events>,
}

/// The parts of a set, in the order of its fields.
#[derive(Debug)]
pub struct Parts(std::vec::IntoIter<Part>);

impl Parts {
    /// The part of the next field.
    ///
    /// # Panics
    /// When there are no fields left.
    pub fn take(&mut self) -> Part {
        self.0.next().expect("one part for each field")
    }
}

/// A struct of instruments whose descriptions are known to the compiler; see the attribute macro of the same name.
pub trait MetricSet: Sized {
    /// What `schema()` tells of it.
    const DESCRIPTOR: &'static MetricsDescriptor;

    /// Declares all of its metrics with `engine`, or none.
    ///
    /// # Errors
    /// When a name is taken, or there is no room.
    fn declare(engine: &Engine) -> Result<Self, DescribeError>;
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine {
    /// An engine without families, without labels of its own, on the system's clock.
    pub fn new() -> Self {
        Self::builder()
            .build()
            .expect("there is no label to be refused")
    }

    /// The labels that every sample carries.
    pub fn attributes(&self) -> &[(String, String)] {
        &self.inner.identity
    }

    /// The engine's source of time.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }

    /// Who hears of its operations, and which of them are kept.
    pub fn events(&self) -> &Arc<Events> {
        &self.inner.events
    }

    /// Milliseconds since 1970 at a moment of the engine's clock, such as the beginning of an operation.
    pub fn wall_ms(&self, moment_ns: u64) -> u64 {
        let clock = self.clock();
        let since_ns = clock.now_ns().saturating_sub(moment_ns);
        clock.wall_ms().saturating_sub(since_ns / 1_000_000)
    }

    pub(crate) fn dynamic(&self) -> MutexGuard<'_, Dynamic> {
        let dynamic = self.inner.dynamic.lock();
        dynamic.unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn table(&self) -> Arc<Table> {
        let table = self.inner.table.lock();
        Arc::clone(&table.unwrap_or_else(PoisonError::into_inner))
    }

    /// The families that were declared so far, in that order.
    pub fn families(&self) -> Vec<&'static Family> {
        let table = self.table();
        table.entries.iter().map(|entry| entry.family).collect()
    }

    /// The values of all families at one moment, in the order of their declaration.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        self.snapshot_into(&mut snapshot);
        snapshot
    }

    /// The same into a snapshot that is already there, whose memory serves again.
    pub fn snapshot_into(&self, snapshot: &mut Snapshot) {
        snapshot.read(self.table());
        self.inner.windows.advance(self.inner.clock.now_ns());
        self.inner.events.refresh();
    }
}
