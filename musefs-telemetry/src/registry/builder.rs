//! What is decided about an engine before it is there.

use std::sync::{Arc, Mutex};

use super::{Engine, Inner};
use crate::clock::{Clock, SystemClock};
use crate::describe::{DescribeError, Fault};
use crate::encode::prometheus;
use crate::events::{Entry, EventHandler, Events, RECENT_MAX, TAIL_MAX};
use crate::metrics::Windows;

/// How long a window of extremes lasts unless the builder says otherwise.
pub const EXTREMES_WINDOW_NS: u64 = 10_000_000_000;

/// Decides what cannot be changed later: the instance's labels, the clock, the windows of extremes, what is kept of operations
/// and who hears of them from the first one on.
#[derive(Debug)]
pub struct EngineBuilder {
    identity: Vec<(String, String)>,
    clock: Arc<dyn Clock>,
    window_ns: u64,
    recent_max: usize,
    tail_max: usize,
    handlers: Vec<Arc<Entry>>,
    queued_handlers: Vec<Arc<Entry>>,
}

impl EngineBuilder {
    /// A label that every sample of this engine carries, such as the name of the mount.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.identity.push((name.into(), value.into()));
        self
    }

    /// Another source of time.
    pub fn clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// How long a window of extremes lasts, in nanoseconds.
    pub fn extremes_window_ns(self, window_ns: u64) -> Self {
        Self { window_ns, ..self }
    }

    /// Who is told of operations as long as the engine is there, on the threads that end them.
    pub fn event_handler(mut self, handler: impl EventHandler + 'static) -> Self {
        self.handlers.push(Entry::new(handler));
        self
    }

    /// Who is told of operations as long as the engine is there, later and on a thread where it may do anything.
    pub fn queued_event_handler(mut self, handler: impl EventHandler + 'static) -> Self {
        self.queued_handlers.push(Entry::new(handler));
        self
    }

    /// How many operations are kept at least for a log of all, and how many that failed or took long; [`RECENT_MAX`] and
    /// [`TAIL_MAX`] unless this says otherwise.
    pub fn operations_kept(self, recent_max: usize, tail_max: usize) -> Self {
        Self {
            recent_max,
            tail_max,
            ..self
        }
    }

    /// The engine.
    ///
    /// # Errors
    /// When an attribute's name cannot be that of a label, or occurs twice, or the system has no thread for queued handlers.
    pub fn build(self) -> Result<Engine, DescribeError> {
        for (index, (name, _)) in self.identity.iter().enumerate() {
            let twice = self.identity[..index]
                .iter()
                .any(|(other, _)| other == name);
            let bad =
                !prometheus::is_label_name(name) || ["le", "quantile"].contains(&name.as_str());
            let fault = match (bad, twice) {
                (true, _) => Fault::LabelName,
                (_, true) => Fault::LabelTwice,
                _ => continue,
            };
            return Err(DescribeError::Refused {
                name: name.clone(),
                fault,
            });
        }
        let windows = Arc::new(Windows::new(self.window_ns, self.clock.now_ns()));
        let events = Events::new(self.recent_max, self.tail_max);
        for entry in self.handlers {
            events.listen(entry).forever();
        }
        for entry in self.queued_handlers {
            let listening = events.listen_queued(entry);
            let listening = listening.map_err(|_| DescribeError::Thread)?;
            listening.forever();
        }
        Ok(Engine {
            inner: Arc::new(Inner {
                dynamic: Mutex::default(),
                table: Mutex::default(),
                identity: self.identity.into(),
                clock: self.clock,
                windows,
                events,
            }),
        })
    }
}

impl Engine {
    /// An engine with labels of its own, or another clock.
    pub fn builder() -> EngineBuilder {
        EngineBuilder {
            identity: Vec::new(),
            clock: Arc::new(SystemClock::default()),
            window_ns: EXTREMES_WINDOW_NS,
            recent_max: RECENT_MAX,
            tail_max: TAIL_MAX,
            handlers: Vec::new(),
            queued_handlers: Vec::new(),
        }
    }
}
