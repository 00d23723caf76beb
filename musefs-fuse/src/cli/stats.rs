//! The flags of `musefs stats`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::seconds;

/// `musefs stats`.
#[derive(Debug, Args)]
#[command(after_help = STATS_HELP)]
pub struct StatsArgs {
    /// A mount or anything in it, or where one listens: http://…, https://… or unix:PATH [default: the only mount]
    #[arg(value_name = "MOUNT|URL")]
    pub source: Option<String>,
    /// How often to look
    #[arg(long, value_name = "SECS", default_value = "2", value_parser = seconds)]
    pub interval: Duration,
    /// Print what happened in one interval, and end
    #[arg(long)]
    pub once: bool,
    /// For programs: one JSON object a line for each interval
    #[arg(long)]
    pub json: bool,
    /// A file with the token that a URL wants
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

const STATS_HELP: &str = "\
Keys: q ends, space holds still, + and - look less and more often.

Where standard output is no terminal, one interval is printed as text, as with --once.

Examples:
  musefs stats ~/mnt
  musefs stats http://127.0.0.1:9494 --interval 5
  musefs stats ~/mnt --once --json | jq .bytes_per_second

Exit codes: 0 done, 1 could not, 64 wrong usage.";
