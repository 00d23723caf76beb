//! `musefs`: parse, run, report.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;
use musefs_fuse::cli::{Cli, EXIT_DONE, EXIT_USAGE};
use musefs_fuse::commands;
use tracing_subscriber::EnvFilter;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What is logged unless the environment says otherwise. The FUSE library warns of an unmount that was done already.
const LOG_FILTER: &str = "warn,fuser=error";

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() {
                EXIT_USAGE
            } else {
                EXIT_DONE
            };
            // Nowhere is left to say that printing failed.
            error.print().ok();
            return ExitCode::from(code);
        }
    };
    let filter =
        EnvFilter::try_from_env("MUSEFS_LOG").unwrap_or_else(|_| EnvFilter::new(LOG_FILTER));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .without_time()
        .init();
    match commands::run(cli.command) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("musefs: {:#}", failure.error);
            ExitCode::from(failure.code)
        }
    }
}
