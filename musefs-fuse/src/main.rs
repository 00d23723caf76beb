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
    use tikv_jemalloc_ctl::{epoch, stats};

    /// Bytes of this process that are in memory, as the allocator knows.
    fn resident_bytes() -> usize {
        epoch::advance().unwrap();
        stats::resident::read().unwrap()
    }

    #[test]
    fn what_was_freed_is_given_back_at_once() {
        const BYTES: usize = 64 << 20;
        const PIECE_BYTES: usize = 4096;
        let before = resident_bytes();
        let pieces: Vec<Vec<u8>> = (0..BYTES / PIECE_BYTES)
            .map(|_| vec![1; PIECE_BYTES])
            .collect();
        let full = resident_bytes();
        assert!(full >= before + BYTES / 2, "{before} and then {full}");
        drop(pieces);
        musefs_fuse::allocator::give_back();
        let after = resident_bytes();
        assert!(after < full - BYTES / 2, "{full} and then {after}");
        // The next that is freed waits for its time again.
        let decay_ms = tikv_jemalloc_ctl::Access::<isize>::read(tikv_jemalloc_ctl::AsName::name(
            &b"arena.0.dirty_decay_ms\0"[..],
        ));
        assert_eq!(decay_ms.unwrap(), 500);
    }

    #[test]
    fn the_allocator_takes_its_settings() {
        assert_eq!(tikv_jemalloc_ctl::opt::narenas::read().unwrap(), 4);
        assert!(tikv_jemalloc_ctl::opt::background_thread::read().unwrap());
    }
}
