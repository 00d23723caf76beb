//! Flags for the log.

use clap::{Args, ValueEnum};

use super::Command;

/// How lines of the log are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people
    #[default]
    Text,
    /// A JSON object in each line, for programs
    Json,
}

/// What `musefs mount` takes for its log.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// How the log on standard error is written. `MUSEFS_LOG`, or else `RUST_LOG`, says what is in it: `info`,
    /// `warn,store=debug`; docs/monitoring.md has the names
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        env = "MUSEFS_LOG_FORMAT",
        default_value = "text",
        help_heading = "Log"
    )]
    pub log_format: LogFormat,
}

impl Command {
    /// How the log of this command is written.
    pub fn log_format(&self) -> LogFormat {
        match self {
            Self::Mount(args) => args.log.log_format,
            _ => LogFormat::default(),
        }
    }
}
