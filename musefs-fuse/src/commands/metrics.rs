//! `musefs metrics`: prints what a mount measures, checks such texts, copies them for a collector, and tells what there is.
//!
//! Everything is read through the files that any program could read; only a mount without a metrics directory is asked at its
//! control socket. A mount that does not answer is waited for a few seconds.

use super::Failure;
use crate::cli::{MetricsArgs, MetricsCommand};

mod advice;
mod check;
mod exposition;
mod filter;
mod list;
mod patience;
pub mod print;
pub mod source;
mod textfile;

/// Does what was asked; the exit code.
///
/// # Errors
/// When there is no such mount or file, or it cannot be read or written.
pub(super) fn run(args: &MetricsArgs) -> Result<u8, Failure> {
    match &args.command {
        None => print::run(&args.print),
        Some(MetricsCommand::Check(args)) => check::run(args),
        Some(MetricsCommand::Textfile(args)) => textfile::run(args),
        Some(MetricsCommand::List(args)) => list::run(args),
    }
}
