//! Handlers that come and go.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use super::{Entries, Events};
use crate::event::EventHandler;

/// A handler, and whether it still listens.
pub(crate) struct Entry {
    pub(super) handler: Box<dyn EventHandler>,
    active: AtomicBool,
}

impl fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Entry")
            .field("active", &self.active)
            .finish_non_exhaustive()
    }
}

impl Entry {
    pub(crate) fn new(handler: impl EventHandler + 'static) -> Arc<Self> {
        Arc::new(Self {
            handler: Box::new(handler),
            active: AtomicBool::new(true),
        })
    }

    pub(super) fn is_active(&self) -> bool {
        self.active.load(Relaxed)
    }
}

/// A handler that listens until this is dropped. Whoever is just telling it something may finish doing so.
#[derive(Debug)]
#[must_use = "the handler listens until this is dropped"]
pub struct Subscription {
    events: Weak<Events>,
    entry: Arc<Entry>,
    queued: bool,
}

impl Subscription {
    /// The handler listens as long as there is an engine.
    pub fn forever(mut self) {
        self.events = Weak::new();
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let Some(events) = self.events.upgrade() else {
            return;
        };
        self.entry.active.store(false, Relaxed);
        let entries = if self.queued {
            events.queue.listeners().fetch_sub(1, Relaxed);
            events.queue.entries()
        } else {
            &events.inline
        };
        change(entries, |entries| {
            entries.retain(|entry| !Arc::ptr_eq(entry, &self.entry));
        });
        events.listeners.fetch_sub(1, Relaxed);
    }
}

fn change(entries: &Entries, change: impl Fn(&mut Vec<Arc<Entry>>)) {
    entries.rcu(|entries| {
        let mut entries = Vec::clone(entries);
        change(&mut entries);
        entries
    });
}

impl Events {
    /// Tells `handler` of each operation from here on, on the thread that ends it.
    pub fn subscribe(self: &Arc<Self>, handler: impl EventHandler + 'static) -> Subscription {
        self.listen(Entry::new(handler))
    }

    /// Tells `handler` later, on a thread that all queued handlers share and where they may do anything. An operation for
    /// which its thread's queue has no room is dropped and counted.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn subscribe_queued(
        self: &Arc<Self>,
        handler: impl EventHandler + 'static,
    ) -> std::io::Result<Subscription> {
        self.listen_queued(Entry::new(handler))
    }

    pub(crate) fn listen(self: &Arc<Self>, entry: Arc<Entry>) -> Subscription {
        change(&self.inline, |entries| entries.push(Arc::clone(&entry)));
        self.listeners.fetch_add(1, Relaxed);
        Subscription {
            events: Arc::downgrade(self),
            entry,
            queued: false,
        }
    }

    pub(crate) fn listen_queued(
        self: &Arc<Self>,
        entry: Arc<Entry>,
    ) -> std::io::Result<Subscription> {
        self.queue.start()?;
        change(self.queue.entries(), |entries| {
            entries.push(Arc::clone(&entry));
        });
        self.queue.listeners().fetch_add(1, Relaxed);
        self.listeners.fetch_add(1, Relaxed);
        Ok(Subscription {
            events: Arc::downgrade(self),
            entry,
            queued: true,
        })
    }
}
