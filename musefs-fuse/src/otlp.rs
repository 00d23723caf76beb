//! Sending a mount's metrics and operations to an OpenTelemetry collector. The metrics are those of the moment that the files
//! in the mount show, so no number is read twice, and nothing in the mount is opened.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use musefs_telemetry::encode::otlp::{HistogramForm, Origin};
use musefs_telemetry::events::OperationEvent;
use musefs_telemetry::export::otlp::{
    Endpoint, EndpointError, Exporter, Header, Moment, Notice, Settings, Sources, Spans, Stats,
};
use musefs_telemetry::scope::Failures as _;
use musefs_telemetry::{DescribeError, Engine, Temporality, event_info, event_warn, logging};

use crate::cli::{CompressionArg, HistogramArg, OtlpArgs, SpansArg, TemporalityArg};
use crate::metrics::ErrorNumber;
use crate::metrics_files::MetricsFiles;

/// How long the last request may take: the rest of a mount's end waits for it.
const LAST_REQUEST_MAX: Duration = Duration::from_secs(2);

/// What became of what was sent, whether anything is or not.
#[derive(Clone, Debug)]
pub struct Counts(Arc<Stats>);

impl Counts {
    /// Declares the families.
    ///
    /// # Errors
    /// When a name is taken already or the engine has no room.
    pub fn declare(engine: &Engine) -> Result<Self, DescribeError> {
        let stats = Arc::new(Stats::default());
        stats.declare(engine, "musefs")?;
        Ok(Self(stats))
    }
}

/// A collector that was asked for, and can be.
#[derive(Clone, Debug)]
pub struct Wanted {
    endpoint: Endpoint,
    headers: Vec<Header>,
}

/// Why a flag makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{flag}: {source}")]
pub struct WrongFlag {
    flag: &'static str,
    source: EndpointError,
}

impl Wanted {
    /// What `args` ask for; `None` when that is nothing.
    ///
    /// # Errors
    /// When the URL or a header is none.
    pub fn of(args: &OtlpArgs) -> Result<Option<Self>, WrongFlag> {
        let wrong = |flag| move |source| WrongFlag { flag, source };
        let Some(url) = &args.otlp_endpoint else {
            return Ok(None);
        };
        let endpoint = Endpoint::parse(url).map_err(wrong("--otlp-endpoint"))?;
        let headers = args.otlp_header.iter().map(|header| Header::parse(header));
        let headers: Result<_, _> = headers.collect();
        Ok(Some(Self {
            endpoint,
            headers: headers.map_err(wrong("--otlp-header"))?,
        }))
    }

    /// Sends from here on.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn start(
        self,
        args: &OtlpArgs,
        metrics: &Arc<MetricsFiles>,
        counts: Counts,
    ) -> io::Result<Outlet> {
        let origin = Origin::new(
            "musefs",
            env!("CARGO_PKG_VERSION"),
            metrics.identity(),
            metrics.started(),
        );
        let endpoint = self.endpoint.clone();
        let settings = Settings {
            headers: self.headers,
            interval: args.otlp_interval,
            temporality: match args.otlp_temporality {
                TemporalityArg::Cumulative => Temporality::Cumulative,
                TemporalityArg::Delta => Temporality::Delta,
            },
            histograms: match args.otlp_histograms {
                HistogramArg::Explicit => HistogramForm::Explicit,
                HistogramArg::Exponential => HistogramForm::Exponential,
            },
            gzip: args.otlp_compression == CompressionArg::Gzip,
            ..Settings::new(self.endpoint, origin)
        };
        let shown = Arc::clone(metrics);
        let sources = Sources {
            metrics: Box::new(move || {
                let moment = shown.moment()?;
                Some(Moment {
                    snapshot: moment.values().clone(),
                    time: moment.time,
                })
            }),
            spans: spans(args, metrics),
        };
        let notice = move |notice: Notice| {
            if matches!(notice, Notice::Recovered { .. }) {
                event_info!(
                    logging::internal(),
                    "otlp.send.recovered",
                    message = %format_args!("OTLP to {endpoint}: {notice}"),
                );
            } else {
                event_warn!(
                    logging::internal(),
                    "otlp.send.failed",
                    message = %format_args!("OTLP to {endpoint}: {notice}"),
                );
            }
        };
        let exporter = Exporter::start(metrics.engine(), settings, sources, counts.0, notice)?;
        Ok(Outlet(exporter))
    }
}

fn spans(args: &OtlpArgs, metrics: &Arc<MetricsFiles>) -> Option<Spans> {
    let all = match args.otlp_spans {
        SpansArg::Off => return None,
        SpansArg::Slow => false,
        SpansArg::All => true,
    };
    let (slow, named) = (Arc::clone(metrics), Arc::clone(metrics));
    let paths = args.otlp_paths;
    Some(Spans {
        wanted: Box::new(move |event| {
            all || event.duration_ns >= slow.slow_ns() || is_out_of_the_ordinary(event)
        }),
        attributes: Box::new(move |event| attributes(event, paths.then_some(&*named))),
    })
}

/// Whether it failed. Programs ask for names that may be there all the time, and are told that they are not.
fn is_out_of_the_ordinary(event: &OperationEvent<'_>) -> bool {
    ErrorNumber::of(event.outcome).is_some_and(|error| error != ErrorNumber::NoEntry)
}

/// What is told of an operation beside its numbers; which file it was about only where there is somebody to ask.
fn attributes(
    event: &OperationEvent<'_>,
    files: Option<&MetricsFiles>,
) -> Vec<(&'static str, String)> {
    let mut attributes = Vec::new();
    if let Some(error) = ErrorNumber::of(event.outcome) {
        attributes.push(("error.type", error.name().to_owned()));
    }
    if let Some(files) = files.filter(|_| event.subject != 0) {
        attributes.push(("inode", event.subject.to_string()));
        attributes.extend(files.path_of(event.subject).map(|path| ("path", path)));
    }
    attributes
}

/// A thread that sends.
#[derive(Debug)]
pub struct Outlet(Exporter);

impl Outlet {
    /// Sends once more and ends the thread, before `deadline` and sooner if a request takes long. A collector that does not
    /// answer holds up nobody: the thread is left to itself.
    pub fn stop(&self, deadline: Instant) {
        if !self.0.stop(deadline.min(Instant::now() + LAST_REQUEST_MAX)) {
            event_warn!(
                logging::engine(),
                "otlp.end.unanswered",
                message = "the collector does not answer; what was not sent yet is lost",
            );
        }
    }
}
