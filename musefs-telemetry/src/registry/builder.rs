//! What is decided about an engine before it is there.

use std::sync::{Arc, Mutex};

use super::{Engine, Inner};
use crate::clock::{Clock, SystemClock};
use crate::describe::{DescribeError, Fault};
use crate::encode::prometheus;
use crate::metrics::Windows;

/// How long a window of extremes lasts unless the builder says otherwise.
pub const EXTREMES_WINDOW_NS: u64 = 10_000_000_000;

/// Decides what cannot be changed later: the instance's labels, the clock, the windows of extremes.
#[derive(Debug)]
pub struct EngineBuilder {
    identity: Vec<(String, String)>,
    clock: Arc<dyn Clock>,
    window_ns: u64,
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

    /// The engine.
    ///
    /// # Errors
    /// When an attribute's name cannot be that of a label, or occurs twice.
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
        Ok(Engine {
            inner: Arc::new(Inner {
                dynamic: Mutex::default(),
                table: Mutex::default(),
                identity: self.identity.into(),
                clock: self.clock,
                windows,
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
        }
    }
}
