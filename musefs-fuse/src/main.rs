//! `musefs`: parse, run, report.

use std::io::Write as _;
use std::process::ExitCode;

use musefs_fuse::cli::{Cli, EXIT_DONE, EXIT_USAGE};
use musefs_fuse::{commands, log};

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = match Cli::of_process() {
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
    let _log = log::start();
    match commands::run(cli.command) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            writeln!(std::io::stderr(), "musefs: {failure}").ok();
            ExitCode::from(failure.code)
        }
    }
}
