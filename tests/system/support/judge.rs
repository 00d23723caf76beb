//! The judge: Python programs in `judge/` that read files by mutagen, ffprobe and ffmpeg.

use std::ffi::OsStr;
use std::time::Duration;

use super::process::Running;
use super::python;

/// How long the judge may take for all files of one test.
const LIMIT: Duration = Duration::from_secs(300);

/// What the judge said.
#[derive(Debug)]
pub struct Verdict {
    /// A fault each, or what was asked for.
    pub lines: Vec<String>,
    /// How many values were looked at.
    pub checked: usize,
}

impl Verdict {
    /// That it looked at `at_least` values and found no fault.
    #[track_caller]
    pub fn is_faultless(&self, at_least: usize) {
        assert!(self.lines.is_empty(), "\n{}\n", self.lines.join("\n"));
        assert!(self.checked >= at_least, "only {} checked", self.checked);
    }
}

/// Runs a command of the judge.
///
/// # Panics
/// When it cannot judge.
#[track_caller]
pub fn judge<A: AsRef<OsStr>>(command: &str, arguments: impl IntoIterator<Item = A>) -> Verdict {
    let program = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/system/judge/judge.py"
    );
    let mut running = Running::start(
        python::python()
            .args(["-B", program, command])
            .args(arguments),
    );
    let status = running.wait(LIMIT);
    let told = running.outcome(status).done().text();
    let mut lines: Vec<String> = told.lines().map(ToOwned::to_owned).collect();
    let checked = lines
        .last()
        .and_then(|line| line.strip_suffix(" checked"))
        .and_then(|count| count.parse().ok());
    if checked.is_some() {
        lines.pop();
    }
    Verdict {
        lines,
        checked: checked.unwrap_or(0),
    }
}
