//! The flags of `musefs trace` and `musefs profile`. None comes from the environment: each call says what it wants to see.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;
use musefs_telemetry::AttributeEnum as _;

use super::seconds;
use crate::metrics::Operation;

/// `musefs trace`.
#[derive(Debug, Args)]
#[command(after_help = TRACE_HELP)]
pub struct TraceArgs {
    /// The mount, or anything in it
    #[arg(value_name = "MOUNT")]
    pub mount: PathBuf,
    /// Only operations of this name; may be given again
    #[arg(long, value_name = "OP", value_parser = PossibleValuesParser::new(Operation::VALUES))]
    pub op: Vec<String>,
    /// Only operations that took at least so long
    #[arg(long, value_name = "MS", value_parser = milliseconds)]
    pub slower_than: Option<Duration>,
    /// Tell of operations as they complete, until Ctrl-C or the end of the mount
    #[arg(short, long)]
    pub follow: bool,
    /// For programs: one JSON object in each line
    #[arg(long)]
    pub json: bool,
}

const TRACE_HELP: &str = "\
Without --follow it tells of the operations that the mount kept, the oldest first, and ends: the last ones, and with their parts \
the last that took long or failed. What follows too slowly misses some, and is told how many; the mount never waits for it.

Examples:
  musefs trace ~/mnt
  musefs trace ~/mnt --follow --op read --slower-than 20
  musefs trace ~/mnt --follow --json | jq -c 'select(.outcome != \"ok\")'

Exit codes: 0 told, or ended by Ctrl-C or with the mount, 1 could not, 64 wrong usage.";

/// `musefs profile`.
#[derive(Debug, Args)]
#[command(after_help = PROFILE_HELP)]
pub struct ProfileArgs {
    /// The mount, or anything in it
    #[arg(value_name = "MOUNT")]
    pub mount: PathBuf,
    /// How long to watch; Ctrl-C ends it earlier, and prints
    #[arg(long, value_name = "N", default_value = "10", value_parser = seconds)]
    pub seconds: Duration,
    /// For programs: one JSON object
    #[arg(long)]
    pub json: bool,
}

const PROFILE_HELP: &str = "\
Sums up the operations of a while, by name, directory and process and by what their time was spent on, and says in words where it \
went. Work that several threads do at once counts for each, so the sum may be more than the time that passed.

Examples:
  musefs profile ~/mnt
  musefs profile ~/mnt --seconds 60 --json | jq .words

Exit codes: 0 told, 1 could not, or the mount ended without a word, 64 wrong usage.";

fn milliseconds(text: &str) -> Result<Duration, String> {
    text.parse::<f64>()
        .ok()
        .filter(|milliseconds| (0.0..=86_400_000.0).contains(milliseconds))
        .map(|milliseconds| Duration::from_secs_f64(milliseconds / 1_000.0))
        .ok_or_else(|| "expected milliseconds, from 0 to 86400000, such as 20 or 0.5".into())
}
