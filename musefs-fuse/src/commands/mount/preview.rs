//! `musefs mount --telemetry-print`: what the mount would send, of the same numbers, without a mount.

use std::io::{self, Write as _};

use musefs_core::refresh::{Refresher, TreeConfig, open_connections};
use musefs_core::serve::Musefs;

use super::{Declared, options, say};
use crate::cli::{EXIT_DONE, MountArgs};
use crate::commands::Failure;
use crate::pushed;

/// Prints it; the exit code.
pub(super) fn run(args: &MountArgs, tree_config: TreeConfig) -> Result<u8, Failure> {
    let Declared {
        engine, metrics, ..
    } = Declared::new()?;
    let (published, _) = Refresher::open(&args.db, tree_config, &metrics)?.build(None)?;
    let connections = open_connections(&args.db, 1, &metrics)?;
    // It serves nobody: what is there to serve is what it counts.
    let _musefs = Musefs::new(
        options::serve_config(args, 1),
        engine.clone(),
        metrics,
        connections,
        published,
    );
    let (payload, told) = pushed::preview(&args.push, &args.given, &engine.snapshot())?;
    match writeln!(io::stdout(), "{payload}") {
        // Whoever read it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        written => written?,
    }
    say(io::stderr(), format_args!("{told}"));
    Ok(EXIT_DONE)
}
