//! `musefs`: parse, run, report.

use std::io::Write as _;
use std::process::ExitCode;

use musefs_fuse::cli::{Cli, EXIT_DONE, EXIT_FAILED, EXIT_USAGE};
use musefs_fuse::{commands, log};

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How memory goes back to the system: soon, and by a thread of the allocator's, since nobody allocates on a mount that is
/// idle after a large refresh. Few arenas, because what each of them keeps adds up.
#[cfg(feature = "jemalloc")]
#[expect(unsafe_code, reason = "the allocator finds its settings by a symbol")]
// SAFETY: the symbol is the allocator's own name for a pointer to text with a zero at its end, which this is; nothing else has it.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static MALLOC_CONF: &[u8; 69] =
    b"narenas:4,background_thread:true,dirty_decay_ms:500,muzzy_decay_ms:0\0";

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
    let _log = match log::start(cli.command.log_format()) {
        Ok(log) => log,
        Err(error) => {
            writeln!(std::io::stderr(), "musefs: {error}").ok();
            return ExitCode::from(EXIT_FAILED);
        }
    };
    match commands::run(cli.command) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            log::failed(&failure);
            ExitCode::from(failure.code)
        }
    }
}

#[cfg(all(test, feature = "jemalloc"))]
mod tests {
    #[test]
    fn the_allocator_takes_its_settings() {
        assert_eq!(tikv_jemalloc_ctl::opt::narenas::read().unwrap(), 4);
        assert!(tikv_jemalloc_ctl::opt::background_thread::read().unwrap());
    }
}
