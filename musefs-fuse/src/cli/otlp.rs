//! The flags of `musefs mount` for sending metrics and operations by OTLP.

#![expect(
    clippy::doc_markdown,
    reason = "what is said of a flag is read in a terminal, where backquotes are no markup"
)]

use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};

use super::seconds;

/// What totals are counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TemporalityArg {
    /// From the mount's start
    Cumulative,
    /// From the last time that they were sent
    Delta,
}

/// Which kind of histogram is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HistogramArg {
    /// With bounds in seconds, under the name that it has everywhere
    Explicit,
    /// Base-2 exponential, in nanoseconds, and called so
    Exponential,
}

/// Which operations are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SpansArg {
    /// Those that took long, and those that failed in another way than that there is no such name
    Slow,
    /// Every one
    All,
    /// None
    Off,
}

/// How requests are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CompressionArg {
    /// Not at all
    None,
    /// By gzip
    Gzip,
}

/// The flags.
#[derive(Debug, Args)]
#[command(next_help_heading = "OTLP")]
pub struct OtlpArgs {
    /// Send metrics and operations to the OpenTelemetry collector at this URL, such as http://localhost:4318, by OTLP over HTTP
    ///
    /// Nothing is sent without it: OTEL_EXPORTER_OTLP_ENDPOINT, which a whole session may have for other programs, is not looked at.
    #[arg(long, value_name = "URL", env = "MUSEFS_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
    /// How often metrics are sent
    #[arg(long, value_name = "SECS", env = "MUSEFS_OTLP_INTERVAL", default_value = "15", value_parser = seconds)]
    pub otlp_interval: Duration,
    /// What totals are counted from
    #[arg(
        long,
        value_enum,
        env = "MUSEFS_OTLP_TEMPORALITY",
        default_value = "cumulative"
    )]
    pub otlp_temporality: TemporalityArg,
    /// Which kind of histogram is sent
    #[arg(
        long,
        value_enum,
        env = "MUSEFS_OTLP_HISTOGRAMS",
        default_value = "explicit"
    )]
    pub otlp_histograms: HistogramArg,
    /// A header of each request, such as Authorization=Bearer TOKEN; may be given several times
    #[arg(
        long,
        value_name = "NAME=VALUE",
        env = "MUSEFS_OTLP_HEADER",
        hide_env_values = true
    )]
    pub otlp_header: Vec<String>,
    /// How requests are packed
    #[arg(
        long,
        value_enum,
        env = "MUSEFS_OTLP_COMPRESSION",
        default_value = "none"
    )]
    pub otlp_compression: CompressionArg,
    /// Which operations are sent, as spans; what is slow, --slow-ms says
    #[arg(long, value_enum, env = "MUSEFS_OTLP_SPANS", default_value = "slow")]
    pub otlp_spans: SpansArg,
    /// Tell of each operation which file it was about: the collector then gets to know names in your library
    #[arg(long, env = "MUSEFS_OTLP_PATHS", value_parser = FalseyValueParser::new())]
    pub otlp_paths: bool,
}
