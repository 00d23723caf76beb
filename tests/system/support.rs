//! What the tests share: libraries, mounts that end with their test, commands with deadlines.

use std::path::Path;
use std::time::{Duration, Instant};

pub mod audio;
pub mod catalogue;
pub mod control;
pub mod hanging;
pub mod judge;
pub mod kinds;
pub mod library;
pub mod metrics;
pub mod mount;
pub mod process;
pub mod promql;
pub mod python;
pub mod servers;
pub mod terminal;
pub mod users;
pub mod watching;

/// How long anything may take that is expected to happen at once: long, for machines that do much else.
pub const SOON: Duration = Duration::from_secs(60);

/// Ends the test early where there is no FUSE or nothing to make audio with.
macro_rules! require_fuse {
    () => {
        if !crate::support::is_ready() {
            return;
        }
    };
}

/// Ends the test early, saying why, unless the condition holds.
macro_rules! require {
    ($condition:expr, $($why:tt)*) => {
        if !$condition {
            return crate::support::skip(&format!($($why)*));
        }
    };
}

/// Whether mounts can be made and audio can be encoded here; says what is missing.
pub fn is_ready() -> bool {
    let device = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/fuse");
    let missing = match device {
        Err(error) => format!("/dev/fuse cannot be opened ({error})"),
        Ok(_) if !has_program("ffmpeg") => "there is no ffmpeg".into(),
        Ok(_) => return true,
    };
    skip(&missing);
    false
}

/// Whether everything is to be judged, however long it takes: where `MUSEFS_FULL` is set.
pub fn is_full() -> bool {
    std::env::var_os("MUSEFS_FULL").is_some()
}

/// Says that a test shows nothing here. Where `CI` is set that is a fault.
pub fn skip(why: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "a test would be skipped, and CI is set: {why}"
    );
    eprintln!("skipped: {why}");
}

/// As [`skip`], for what depends on who runs the tests: no fault anywhere.
pub fn not_for_this_user(why: &str) {
    eprintln!("skipped: {why}");
}

/// Whether a program called `name` is on the path.
pub fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
}

/// Looks again and again until there is something.
///
/// # Panics
/// When there is nothing within [`SOON`].
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "never came: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs `work` on a thread of its own and gives what it returns.
///
/// # Panics
/// When it takes longer than `limit`: the thread is left behind.
pub fn within<T: Send + 'static>(
    limit: Duration,
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (done, result) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    result
        .recv_timeout(limit)
        .unwrap_or_else(|error| panic!("{what}: nothing within {limit:?} ({error})"))
}

/// The error number of a failed call; 0 when it did not fail.
pub fn errno<T>(result: &std::io::Result<T>) -> i32 {
    result
        .as_ref()
        .err()
        .map_or(0, |error| error.raw_os_error().unwrap_or(-1))
}

/// Paths of all files below `directory`, relative to it, sorted.
pub fn files_below(directory: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut waiting = vec![directory.to_path_buf()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(&next).expect("a directory of the mount lists") {
            let entry = entry.expect("an entry of the mount reads");
            if entry.file_type().expect("an entry has a type").is_dir() {
                waiting.push(entry.path());
            } else {
                let path = entry.path();
                let relative = path.strip_prefix(directory).expect("below the directory");
                files.push(relative.to_string_lossy().into_owned());
            }
        }
    }
    files.sort();
    files
}
