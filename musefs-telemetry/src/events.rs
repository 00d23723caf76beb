//! Who hears of operations that ended, and which of them are kept.
//!
//! An operation asks by one relaxed load whether anybody listens, and builds nothing when nobody does. Handlers come and go
//! at run time, also while they are told something. In line they are told by the thread that ended the operation; queued
//! handlers are told later, by one thread for all of them, and whatever they do delays nobody. Independent of that, a few
//! operations are kept in rings of fixed records: the last ones without their tiers, and with them the last that failed and
//! the last that took long.
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
//! use musefs_telemetry::events::{EventHandler, OperationEvent};
//! use musefs_telemetry::{AttributeEnum, Buckets, Completion, Engine, Ops};
//!
//! #[derive(Clone, Copy, AttributeEnum)]
//! enum Op { Read, Open }
//!
//! struct Failures(AtomicU64);
//! impl EventHandler for Failures {
//!     fn on_operation_complete(&self, event: &OperationEvent<'_>) {
//!         self.0.fetch_add(u64::from(event.failed), Relaxed);
//!     }
//! }
//!
//! let engine = Engine::new();
//! let ops: Ops<Op> = Ops::declare(&engine, "shop", Buckets::powers_of_two(1 << 10, 1 << 30))?;
//! let failures = Arc::new(Failures(AtomicU64::new(0)));
//! let listening = engine.events().subscribe(Arc::clone(&failures));
//! ops.scope(Op::Read).finish(Completion::Errno(5));
//! drop(ops.scope(Op::Open));
//! drop(listening);
//! ops.scope(Op::Read).finish(Completion::Errno(5));
//! # #[cfg(feature = "stats")]
//! assert_eq!(failures.0.load(Relaxed), 2);
//! # Ok::<(), musefs_telemetry::DescribeError>(())
//! ```

mod deliver;
#[cfg(feature = "logs")]
mod lines;
mod queue;
mod ring;
mod subscribe;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

pub use crate::event::{
    EventHandler, OperationEvent, OperationRecord, TierEvent, TierRecord, fields,
};
pub use crate::outcome::{Completion, Outcome, TIERS_MAX};
#[cfg(feature = "logs")]
pub use lines::LogHandler;
pub use subscribe::Subscription;

use crate::describe::{AttributeEnum, DescribeError, Label};
use crate::registry::Engine;
pub(crate) use deliver::Quiet;
use queue::Queue;
use ring::{Ring, Shards};
pub(crate) use subscribe::Entry;

/// How many operations each shard of the log keeps unless the builder says otherwise.
pub const RECENT_MAX: usize = 128;
/// How many operations that failed, and how many that took long, are kept unless the builder says otherwise.
pub const TAIL_MAX: usize = 64;
/// How many operations of one thread wait for the queued handlers at most.
pub const QUEUED_MAX: usize = 256;

/// The handlers that are told of something, in the order in which they came.
type Entries = ArcSwap<Vec<Arc<Entry>>>;

/// What became of events that reached nobody, or somebody who panicked.
#[derive(Debug, Default)]
struct Faults {
    panics: AtomicU64,
    queue_full: AtomicU64,
    own: AtomicU64,
}

/// Why an event reached nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, crate::AttributeEnum)]
#[attribute(name = "reason")]
pub enum Dropped {
    /// The thread's queue had no room.
    QueueFull,
    /// It came of what a handler did itself.
    Own,
}

/// Where kept operations are put.
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

/// The operations that are kept. There from the first declared operations on.
#[derive(Debug)]
struct Rings {
    recent: Shards<OperationEvent<'static>>,
    failed: Ring<OperationRecord>,
    slow: Ring<OperationRecord>,
}

/// Told at each snapshot; one that says `false` is never told again.
type Refresh = Box<dyn Fn() -> bool + Send + Sync>;

/// The handlers of an engine, and the operations that it keeps.
pub struct Events {
    /// How many handlers there are, queued ones included.
    listeners: AtomicUsize,
    inline: Entries,
    queue: Arc<Queue>,
    faults: Arc<Faults>,
    rings: OnceLock<Rings>,
    recent_max: usize,
    tail_max: usize,
    refreshes: Mutex<Vec<Refresh>>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Events")
            .field("listeners", &self.listeners)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.queue.stop();
    }
}

impl Events {
    pub(crate) fn new(recent_max: usize, tail_max: usize) -> Arc<Self> {
        let faults = Arc::new(Faults::default());
        Arc::new(Self {
            listeners: AtomicUsize::new(0),
            inline: Entries::default(),
            queue: Arc::new(Queue::new(Arc::clone(&faults))),
            faults,
            rings: OnceLock::new(),
            recent_max,
            tail_max,
            refreshes: Mutex::default(),
        })
    }

    /// Whether anybody listens: what an operation asks before it builds an event.
    #[inline]
    pub fn interested(&self) -> bool {
        self.listeners.load(Relaxed) != 0
    }

    /// The last operations that ended, the oldest one first, without their tiers. The last [`RECENT_MAX`] are all there;
    /// further ones where several threads ended some.
    pub fn recent(&self) -> Vec<OperationEvent<'static>> {
        let rings = self.rings.get();
        let mut recent = rings.map(|rings| rings.recent.copies()).unwrap_or_default();
        recent.sort_by_key(|event| event.started_ns.saturating_add(event.duration_ns));
        recent
    }

    /// The last operations that failed, the oldest one first.
    pub fn failed(&self) -> Vec<OperationRecord> {
        let rings = self.rings.get();
        rings.map(|rings| rings.failed.copies()).unwrap_or_default()
    }

    /// The last operations that took longer than their threshold, the oldest one first.
    pub fn slow(&self) -> Vec<OperationRecord> {
        let rings = self.rings.get();
        rings.map(|rings| rings.slow.copies()).unwrap_or_default()
    }

    /// How many operations were kept and are so no more, or could not be because somebody just read.
    pub fn evicted(&self, kept: Kept) -> u64 {
        self.rings.get().map_or(0, |rings| match kept {
            Kept::Recent => rings.recent.evicted(),
            Kept::Failed => rings.failed.evicted(),
            Kept::Slow => rings.slow.evicted(),
        })
    }

    /// How many operations did not reach a handler, by reason.
    pub fn dropped(&self, reason: Dropped) -> u64 {
        match reason {
            Dropped::QueueFull => self.faults.queue_full.load(Relaxed),
            Dropped::Own => self.faults.own.load(Relaxed),
        }
    }

    /// How often a handler panicked.
    pub fn panics(&self) -> u64 {
        self.faults.panics.load(Relaxed)
    }

    /// Declares `PREFIX_events_dropped_total`, `PREFIX_event_handler_panics_total` and `PREFIX_operations_evicted_total`.
    ///
    /// # Errors
    /// When a name is no name or taken, or there is no room.
    pub fn declare(self: &Arc<Self>, engine: &Engine, prefix: &str) -> Result<(), DescribeError> {
        fn label<A: AttributeEnum>() -> Label {
            Label {
                name: A::NAME,
                values: A::VALUES,
            }
        }
        let observe = |ending, help, labels: &[Label], read: fn(&Self, usize) -> u64| {
            let events = Arc::downgrade(self);
            let value = move |index| events.upgrade().map_or(0, |events| read(&events, index));
            engine.observe_total(format!("{prefix}_{ending}"), help, labels, value)
        };
        observe(
            "events_dropped_total",
            "Operations that handlers were not told of.",
            &[label::<Dropped>()],
            |events, index| events.dropped([Dropped::QueueFull, Dropped::Own][index]),
        )?;
        observe(
            "event_handler_panics_total",
            "Panics of event handlers.",
            &[],
            |events, _| events.panics(),
        )?;
        observe(
            "operations_evicted_total",
            "Operations that were kept for a log and gave way to later ones.",
            &[label::<Kept>()],
            |events, index| events.evicted([Kept::Recent, Kept::Failed, Kept::Slow][index]),
        )
    }

    /// Waits until the queued handlers were told of whatever ended before; `false` when that took longer than `patience`.
    pub fn flush(&self, patience: Duration) -> bool {
        self.queue.flush(patience)
    }

    /// Makes room for what is kept, so that no operation has to.
    pub(crate) fn prepare(&self) {
        self.rings.get_or_init(|| Rings {
            recent: Shards::new(self.recent_max),
            failed: Ring::new(self.tail_max),
            slow: Ring::new(self.tail_max),
        });
    }

    pub(crate) fn refresh_with(&self, refresh: Refresh) {
        let refreshes = self.refreshes.lock();
        refreshes
            .unwrap_or_else(PoisonError::into_inner)
            .push(refresh);
    }

    /// A reader takes a snapshot, so thresholds may follow what is in it.
    pub(crate) fn refresh(&self) {
        let refreshes = self.refreshes.lock();
        refreshes
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|refresh| refresh());
    }

    /// An operation ended.
    #[inline]
    pub(crate) fn tell(&self, event: &OperationEvent<'_>, slow: bool) {
        if let Some(rings) = self.rings.get() {
            rings.recent.push(event.without_tiers());
            if event.failed || slow {
                keep(rings, event, slow);
            }
        }
        if self.interested() {
            self.deliver(event);
        }
    }

    #[inline(never)]
    fn deliver(&self, event: &OperationEvent<'_>) {
        let quiet = Quiet::begin();
        let own = event.process != 0 && event.process == self.queue.own_thread();
        if own || quiet.is_none() {
            self.faults.own.fetch_add(1, Relaxed);
            return;
        }
        for entry in self.inline.load().iter() {
            entry.tell(event, &self.faults);
        }
        if self.queue.is_wanted() {
            self.queue.push(event);
        }
    }
}

#[cold]
fn keep(rings: &Rings, event: &OperationEvent<'_>, slow: bool) {
    let record = OperationRecord::from(event);
    if event.failed {
        rings.failed.push(record);
    }
    if slow {
        rings.slow.push(record);
    }
}

#[cfg(test)]
mod tests;
