//! The flags of `musefs metrics`. None comes from the environment: each call says what it wants to see.

#![expect(
    clippy::doc_markdown,
    reason = "what is said of a flag is read in a terminal, where backquotes are no markup"
)]

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::{octal, seconds};

/// `musefs metrics`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = METRICS_HELP)]
pub struct MetricsArgs {
    /// What else to do than to print.
    #[command(subcommand)]
    pub command: Option<MetricsCommand>,
    /// What to print.
    #[command(flatten)]
    pub print: PrintArgs,
}

const METRICS_HELP: &str = "\
Examples:
  musefs metrics                                  the only mount there is
  musefs metrics ~/mnt --name 'musefs_cache_*'
  musefs metrics ~/mnt --name musefs_reads_inflight --watch 2
  musefs metrics ~/mnt --format json | jq .families[0]
  musefs metrics check ~/mnt
  musefs metrics textfile ~/mnt /var/lib/prometheus/node-exporter/musefs.prom --interval 15
  musefs metrics list

A mount or file called `check`, `textfile` or `list` is given as ./check.

Exit codes: 0 done, 1 could not, or a fault was found, 64 wrong usage.";

/// What `musefs metrics` does beside printing.
#[derive(Debug, Subcommand)]
pub enum MetricsCommand {
    /// Look for faults in a text of metrics: is it whole, and would every collector take it?
    Check(CheckArgs),
    /// Copy the metrics of a mount to a file for node_exporter's textfile collector
    Textfile(TextfileArgs),
    /// Tell which metrics there are, and what they tell
    List(ListArgs),
}

/// A text that a mount has of its metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// Prometheus text
    Text,
    /// OpenMetrics text
    Om,
    /// One JSON object
    Json,
    /// Lines of NAME=value, for a shell
    Env,
}

/// `musefs metrics` without a subcommand.
#[derive(Clone, Debug, Args)]
pub struct PrintArgs {
    /// A mount or anything in it, or a file of Prometheus or OpenMetrics text [default: the only mount]
    #[arg(value_name = "MOUNT|FILE")]
    pub source: Option<PathBuf>,
    /// In which format [default: text, and for a file its own]
    #[arg(long, value_enum)]
    pub format: Option<FormatArg>,
    /// Only the families whose name matches: * is any text, ? one character
    #[arg(long, value_name = "GLOB", value_parser = glob::Pattern::new)]
    pub name: Option<glob::Pattern>,
    /// Print again and again, until Ctrl-C; goes on when the mount was away and came back
    #[arg(long, value_name = "SECS", value_parser = seconds)]
    pub watch: Option<Duration>,
}

/// Which rules a text has to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TextFormatArg {
    /// Prometheus text, version 0.0.4
    Text,
    /// OpenMetrics 1.0
    Om,
}

/// `musefs metrics check`.
#[derive(Debug, Args)]
#[command(after_help = CHECK_HELP)]
pub struct CheckArgs {
    /// A file, `-` for standard input, or a mount, whose file `metrics` is meant
    #[arg(value_name = "FILE|MOUNT")]
    pub source: PathBuf,
    /// By which rules [default: what the text looks like]
    #[arg(long, value_enum)]
    pub format: Option<TextFormatArg>,
}

const CHECK_HELP: &str = "\
Prints each fault as FILE:LINE: what is wrong, or one line that says how much was found to be right.

Examples:
  musefs metrics check ~/mnt
  musefs metrics check /var/lib/prometheus/node-exporter/musefs.prom
  musefs metrics check - <saved.prom

A text that is not musefs' own may lack the last line `# EOF`, without which nobody can tell whether it is whole.

Exit codes: 0 no fault, 1 faults or no such file, 64 wrong usage.";

/// `musefs metrics textfile`.
#[derive(Debug, Args)]
#[command(after_help = TEXTFILE_HELP)]
pub struct TextfileArgs {
    /// The mount, or anything in it
    #[arg(value_name = "MOUNT")]
    pub mount: PathBuf,
    /// The file to write; node_exporter reads those that end in .prom
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Write again and again, until Ctrl-C
    #[arg(long, value_name = "SECS", value_parser = seconds)]
    pub interval: Option<Duration>,
    /// Write once; so it is without --interval
    #[arg(long, conflicts_with = "interval")]
    pub once: bool,
    /// Permission bits of the file
    #[arg(long, value_name = "OCTAL", default_value = "644", value_parser = octal)]
    pub mode: u16,
    /// Owner of the file: a name or a number [default: who runs this]
    #[arg(long, value_name = "USER")]
    pub owner: Option<String>,
    /// Group of the file: a name or a number [default: that of who runs this]
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
}

const TEXTFILE_HELP: &str = "\
The file is replaced as a whole, so that nobody ever reads a part of it. When the mount is away it says `musefs_up 0` for that \
mount, and with --interval it goes on when the mount is back.

Examples:
  musefs metrics textfile ~/mnt /var/lib/prometheus/node-exporter/musefs.prom
  musefs metrics textfile ~/mnt /var/lib/prometheus/node-exporter/musefs.prom --interval 15 --group prometheus --mode 640

A mount does the same by itself with `musefs mount --metrics-textfile PATH`.

Exit codes: 0 written, or ended by Ctrl-C, 1 could not, or the mount is away, 64 wrong usage.";

/// `musefs metrics list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// For programs: one JSON object
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// As a page of documentation, with what to do when a number is bad
    #[arg(long)]
    pub markdown: bool,
}
