//! The flags of a mount's HTTP endpoint.

use std::path::PathBuf;

use clap::Args;

use crate::http::Listen;

/// Whether the metrics are served over HTTP, where, and to whom.
#[derive(Debug, Args)]
pub struct HttpArgs {
    /// Serve the metrics, and a page that shows them, over HTTP: at a port that only this machine reaches, at an address, or
    /// at a socket that only its owner opens
    #[arg(
        long,
        value_name = "PORT|ADDR:PORT|unix:PATH",
        env = "MUSEFS_METRICS_LISTEN",
        help_heading = "Metrics"
    )]
    pub metrics_listen: Option<Listen>,
    /// A file with a token that everybody has to give who asks there
    #[arg(
        long,
        value_name = "FILE",
        env = "MUSEFS_METRICS_TOKEN_FILE",
        requires = "metrics_listen",
        help_heading = "Metrics"
    )]
    pub metrics_token_file: Option<PathBuf>,
}
