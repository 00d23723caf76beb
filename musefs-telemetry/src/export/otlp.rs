//! Metrics and operations to a collector, by OTLP over HTTP in its binary encoding.
//!
//! One thread sends the metrics at intervals, and operations soon after they ended. An attempt that may succeed later is made
//! again after a while that doubles, or when the collector says; what was told as a difference is taken as delivered only when it
//! was, so the next attempt tells it, too. What a collector refuses is dropped and counted. An answer that gets lost on its way
//! can be told from a request that was lost by nobody: then a difference arrives twice.
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::{Duration, Instant, SystemTime};
//! use musefs_telemetry::Engine;
//! use musefs_telemetry::encode::otlp::Origin;
//! use musefs_telemetry::export::otlp::{Endpoint, Exporter, Settings, Sources, Stats};
//!
//! let engine = Engine::new();
//! let stats = Arc::new(Stats::default());
//! stats.declare(&engine, "shop")?;
//! let origin = Origin::new("shop", "1.0", engine.attributes(), SystemTime::now());
//! let settings = Settings::new(Endpoint::parse("http://localhost:4318")?, origin);
//! let exporter = Exporter::start(&engine, settings, Sources::of(&engine), stats, |notice| eprintln!("{notice}"))?;
//! // …
//! exporter.stop(Instant::now() + Duration::from_secs(2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod endpoint;
mod post;
mod queue;
mod retry;
mod sender;
mod stats;

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant, SystemTime};

pub use endpoint::{Endpoint, EndpointError, Header};
pub use queue::{BATCH_MAX, QUEUE_MAX};
pub use retry::Backoff;
pub use stats::{ExportOutcome, Signal, Stats};

use crate::cursor::Temporality;
use crate::encode::otlp::{HistogramForm, Origin};
use crate::event::OperationEvent;
use crate::events::Subscription;
use crate::registry::Engine;
use crate::snapshot::Snapshot;

/// What is sent where, and how often.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The collector.
    pub endpoint: Endpoint,
    /// Headers of each request beside those of the protocol.
    pub headers: Vec<Header>,
    /// Whose numbers they are.
    pub origin: Origin,
    /// From one time that metrics are sent to the next. Operations wait for that, too, but never longer than five seconds.
    pub interval: Duration,
    /// What totals are counted from.
    pub temporality: Temporality,
    /// Which kind of histogram is sent.
    pub histograms: HistogramForm,
    /// Whether requests are compressed.
    pub gzip: bool,
    /// How long a collector may take for one request.
    pub timeout: Duration,
    /// When an attempt is made again.
    pub backoff: Backoff,
}

impl Settings {
    /// Every 15 seconds, totals since the start, not compressed, ten seconds for a request.
    pub fn new(endpoint: Endpoint, origin: Origin) -> Self {
        Self {
            endpoint,
            headers: Vec::new(),
            origin,
            interval: Duration::from_secs(15),
            temporality: Temporality::Cumulative,
            histograms: HistogramForm::default(),
            gzip: false,
            timeout: Duration::from_secs(10),
            backoff: Backoff::default(),
        }
    }
}

/// The values of all families at a moment.
#[derive(Clone, Debug)]
pub struct Moment {
    /// The values: all of them, of the engine that is exported.
    pub snapshot: Snapshot,
    /// When that was.
    pub time: SystemTime,
}

type Wanted = Box<dyn Fn(&OperationEvent<'_>) -> bool + Send + Sync>;
type Told = Box<dyn Fn(&OperationEvent<'_>) -> Vec<(&'static str, String)> + Send>;

/// Which operations are sent, and what is told of each.
pub struct Spans {
    /// Asked by the thread that ends an operation, so it must not wait.
    pub wanted: Wanted,
    /// More to tell of an operation, by name and value; asked by the thread that sends.
    pub attributes: Told,
}

/// Where the exporter gets what it sends.
pub struct Sources {
    /// The metrics of now; `None` when there are none any more. It may wait.
    pub metrics: Box<dyn FnMut() -> Option<Moment> + Send>,
    /// `None` sends no operations.
    pub spans: Option<Spans>,
}

impl Sources {
    /// The metrics of `engine`, and no operations.
    pub fn of(engine: &Engine) -> Self {
        let engine = engine.clone();
        Self {
            metrics: Box::new(move || {
                let time = SystemTime::now();
                Some(Moment {
                    snapshot: engine.snapshot(),
                    time,
                })
            }),
            spans: None,
        }
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sources")
            .field("spans", &self.spans.is_some())
            .finish_non_exhaustive()
    }
}

/// Something that whoever runs the program should know. Said once, not at each attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The collector does not answer, or not now.
    Failing {
        /// What could not be sent.
        signal: Signal,
        /// Why not.
        why: String,
    },
    /// The collector takes it again.
    Recovered {
        /// What it takes.
        signal: Signal,
    },
    /// The collector refuses what it gets, or a part of it.
    Refused {
        /// What it refuses.
        signal: Signal,
        /// What it says.
        why: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failing { signal, why } => {
                let signal = signal.name();
                write!(formatter, "cannot send {signal}: {why}; trying again")
            }
            Self::Recovered { signal } => write!(formatter, "{} are sent again", signal.name()),
            Self::Refused { signal, why } => {
                write!(formatter, "{} are refused: {why}", signal.name())
            }
        }
    }
}

/// Tells the sending thread to end, and whoever waits that it did.
#[derive(Debug, Default)]
struct Ending {
    state: Mutex<(Option<Instant>, bool)>,
    over: Condvar,
}

impl Ending {
    fn state(&self) -> MutexGuard<'_, (Option<Instant>, bool)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By when the thread is to end, once it is to.
    fn deadline(&self) -> Option<Instant> {
        self.state().0
    }

    fn is_over(&self) {
        self.state().1 = true;
        self.over.notify_all();
    }

    fn wait(&self, deadline: Instant) -> bool {
        let mut state = self.state();
        while !state.1 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.over.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.1
    }
}

/// A thread that sends.
#[derive(Debug)]
pub struct Exporter {
    ending: Arc<Ending>,
    thread: Thread,
    /// Until it is asked to end.
    listening: Mutex<Option<Subscription>>,
}

impl Exporter {
    /// Sends what `sources` give from here on. What becomes of it is counted in `stats`, and told to `notice`, both by the thread
    /// that sends, whose own operations raise no events.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn start(
        engine: &Engine,
        settings: Settings,
        sources: Sources,
        stats: Arc<Stats>,
        notice: impl Fn(Notice) + Send + 'static,
    ) -> std::io::Result<Self> {
        let ending = Arc::new(Ending::default());
        let Sources { metrics, spans } = sources;
        let (spans, waiting) = spans.map(|spans| queue::channel(spans, &stats)).unzip();
        let sender = sender::Sender::new(
            engine,
            settings,
            sender::Parts {
                metrics,
                waiting,
                stats,
                notice: Box::new(notice),
                ending: Arc::clone(&ending),
            },
        );
        let thread = std::thread::Builder::new()
            .name("telemetry-otlp".into())
            .spawn(move || sender.run())?;
        let thread = thread.thread().clone();
        let listening = spans.map(|spans: queue::Listener| {
            spans.wakes(thread.clone());
            engine.events().subscribe(spans)
        });
        Ok(Self {
            ending,
            thread,
            listening: Mutex::new(listening),
        })
    }

    /// Sends what there is once more and ends the thread; whether that was done before `deadline`. A thread that a collector
    /// holds up is left behind: it ends when its request does.
    pub fn stop(&self, deadline: Instant) -> bool {
        self.end(deadline);
        self.ending.wait(deadline)
    }
}

impl Exporter {
    /// From here on no operation is picked, and what was picked has to be sent before `deadline`.
    fn end(&self, deadline: Instant) {
        let listening = self.listening.lock();
        listening.unwrap_or_else(PoisonError::into_inner).take();
        self.ending.state().0.get_or_insert(deadline);
        self.thread.unpark();
    }
}

impl Drop for Exporter {
    /// Ends the thread without waiting for it, and without sending more.
    fn drop(&mut self) {
        self.end(Instant::now());
    }
}
