//! Python: for system calls that have no safe wrapper here, for its own ways to copy files, and for mutagen as a judge of
//! tags. `MUSEFS_PYTHON` names the interpreter to use.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use super::process::{Outcome, run};

/// The interpreter.
pub fn python() -> Command {
    Command::new(std::env::var_os("MUSEFS_PYTHON").unwrap_or_else(|| "python3".into()))
}

/// Runs a script.
#[track_caller]
pub fn script<A: AsRef<OsStr>>(source: &str, arguments: impl IntoIterator<Item = A>) -> Outcome {
    run(python().arg("-c").arg(source).args(arguments))
}

/// Whether mutagen is there to read tags.
pub fn has_mutagen() -> bool {
    script("import mutagen", [""; 0]).code == Some(0)
}

/// What mutagen reads of a file: one line per tag and picture, sorted.
#[track_caller]
pub fn tags(path: &Path) -> Vec<String> {
    let told = script(include_str!("tags.py"), [path]).done().text();
    told.lines().map(ToOwned::to_owned).collect()
}
