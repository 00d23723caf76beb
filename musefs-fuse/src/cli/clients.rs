//! The flag of `musefs mount` on who asks.

use clap::Args;
use clap::builder::FalseyValueParser;

/// Whether it is noted who asks.
#[derive(Debug, Args)]
pub struct ClientArgs {
    /// Do not note which programs ask, nor tell it among the metrics
    #[arg(long, env = "MUSEFS_NO_CLIENTS", value_parser = FalseyValueParser::new(), help_heading = "Metrics")]
    pub no_clients: bool,
}
