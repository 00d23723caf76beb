//! The flags by which a mount's owner has facts of it sent to a server.

#![expect(
    clippy::doc_markdown,
    reason = "what is said of a flag is read in a terminal, where backquotes are no markup"
)]

use clap::Args;
use clap::builder::{FalseyValueParser, PossibleValuesParser};

use crate::pushed::KEYS;

/// Whether facts of the mount are sent, where to, and which not.
#[derive(Debug, Args)]
pub struct PushArgs {
    /// Send a few numbers and versions of this mount, never a name or path, to this address, about once a day; nothing is
    /// sent without, nor where DO_NOT_TRACK is set
    #[arg(
        long,
        value_name = "URL",
        env = "MUSEFS_TELEMETRY_ENDPOINT",
        // It may hold a token.
        hide_env_values = true,
        value_parser = endpoint,
        help_heading = "Telemetry"
    )]
    pub telemetry_endpoint: Option<String>,
    /// Leave a fact out, whatever the server asks for
    #[arg(
        long,
        value_name = "KEY",
        env = "MUSEFS_TELEMETRY_DISABLE",
        value_delimiter = ',',
        value_parser = PossibleValuesParser::new(KEYS),
        help_heading = "Telemetry"
    )]
    pub telemetry_disable: Vec<String>,
    /// Print what would be sent of this mount; send nothing and do not mount it
    #[arg(long, env = "MUSEFS_TELEMETRY_PRINT", value_parser = FalseyValueParser::new(), help_heading = "Telemetry")]
    pub telemetry_print: bool,
}

fn endpoint(text: &str) -> Result<String, String> {
    musefs_telemetry::emitter::check_endpoint(text).map(|()| text.to_owned())
}
