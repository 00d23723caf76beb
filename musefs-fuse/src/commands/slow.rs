//! `musefs slow`: which operations of a mount took long, and from how long on that is.

use std::io::{self, Write as _};

use super::Failure;
use crate::cli::{EXIT_DONE, SlowArgs, SlowFrom};
use crate::control::{self, Answer, Request};

/// The text that is printed, by its name in the metrics directory.
const TEXT: &str = "slow";

/// Prints, or sets the threshold; the exit code.
///
/// # Errors
/// When the mount does not answer, or standard output takes no more. A reader that has seen enough is no error.
pub(super) fn run(args: &SlowArgs) -> Result<u8, Failure> {
    if let Some(from) = args.threshold_ms {
        let request = Request::SlowFrom {
            threshold_ms: from.milliseconds(),
        };
        return match control::ask_mount_of(&args.mount, &request)? {
            Answer::SlowSet => Ok(EXIT_DONE),
            other => Err(control::unexpected(&other).into()),
        };
    }
    let text = control::metrics_of(&args.mount, TEXT)?;
    // The last line only fills the file up.
    let text = text.trim_end();
    let text = text.strip_suffix('#').unwrap_or(text);
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(EXIT_DONE),
    }
}

impl SlowFrom {
    /// In milliseconds, if it is a number.
    pub(super) fn milliseconds(self) -> Option<u64> {
        match self {
            Self::Auto => None,
            Self::Milliseconds(milliseconds) => Some(milliseconds),
        }
    }
}
