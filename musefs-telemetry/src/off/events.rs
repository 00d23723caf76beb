//! Handlers that hear nothing, and operations that nobody keeps.

use std::sync::Arc;
use std::time::Duration;

use crate::describe::DescribeError;
use crate::registry::Engine;

pub use crate::event::{
    EventHandler, OperationEvent, OperationRecord, TierEvent, TierRecord, fields,
};
pub use crate::outcome::{Completion, Outcome, TIERS_MAX};

/// How many operations each shard of the log would keep.
pub const RECENT_MAX: usize = 128;
/// How many operations that failed, and how many that took long, would be kept.
pub const TAIL_MAX: usize = 64;
/// How many operations of one thread would wait for the queued handlers.
pub const QUEUED_MAX: usize = 256;

empty! {
    /// No handlers.
    Events
}
empty! {
    /// A handler that hears nothing.
    Subscription
}

/// Why an event would reach nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, crate::AttributeEnum)]
#[attribute(name = "reason")]
pub enum Dropped {
    /// The thread's queue had no room.
    QueueFull,
    /// It came of what a handler did itself.
    Own,
}

/// Where kept operations would be put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, crate::AttributeEnum)]
#[attribute(name = "kept")]
pub enum Kept {
    /// The log of all operations.
    Recent,
    /// Operations that failed.
    Failed,
    /// Operations that took long.
    Slow,
}

impl Subscription {
    /// Does nothing.
    pub fn forever(self) {}
}

/// The only handlers that there are.
static EVENTS: std::sync::LazyLock<Arc<Events>> = std::sync::LazyLock::new(|| Arc::new(Events));

impl Events {
    pub(super) fn nobody() -> &'static Arc<Self> {
        &EVENTS
    }

    calls! {
        /// Nobody.
        fn interested(&self) -> bool = false;
        /// None.
        fn recent(&self) -> Vec<OperationEvent<'static>> = Vec::new();
        /// None.
        fn failed(&self) -> Vec<OperationRecord> = Vec::new();
        /// None.
        fn slow(&self) -> Vec<OperationRecord> = Vec::new();
        /// 0.
        fn evicted(&self, kept: Kept) -> u64 = 0;
        /// 0.
        fn dropped(&self, reason: Dropped) -> u64 = 0;
        /// 0.
        fn panics(&self) -> u64 = 0;
        /// There is nothing to wait for.
        fn flush(&self, patience: Duration) -> bool = true;
        /// Nothing.
        fn declare(&self, engine: &Engine, prefix: &str) -> Result<(), DescribeError> = Ok(());
        /// Drops the handler.
        fn subscribe(&self, handler: impl EventHandler + 'static) -> Subscription = Subscription;
        /// Drops the handler.
        fn subscribe_queued(&self, handler: impl EventHandler + 'static) -> std::io::Result<Subscription> = Ok(Subscription);
    }
}
