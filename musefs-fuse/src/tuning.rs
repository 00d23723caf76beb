//! What the kernel is told of a mount that is there: how far it reads ahead, and how many requests it may have under way.
//! Only who is permitted may; nothing depends on it but speed.
//!
//! A FUSE mount reads 128 KiB ahead whatever is agreed on when it is made, so that each request is small. The mount's own
//! entry among the system's devices is the only place where that can be changed.

use std::fmt;
use std::io;
use std::path::Path;

/// Requests that the kernel may have under way for read-ahead and the like. Those of files that hang count, too: far more than
/// their readers have, so that the rest goes on. The pool has bounds of its own.
pub const BACKGROUND_REQUESTS_MAX: u16 = 4096;
/// Of these, how many make it hold back further read-ahead.
pub const CONGESTION_THRESHOLD: u16 = BACKGROUND_REQUESTS_MAX / 4 * 3;

/// Where the kernel shows what can be set.
const SYSTEM: &str = "/sys";

/// What was set, or why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// How far the kernel reads ahead of sequential readers, in KiB.
    pub readahead_kib: Outcome,
    /// Requests that it may have under way in the background.
    pub max_background: Outcome,
    /// Such requests from which on it holds back.
    pub congestion_threshold: Outcome,
}

/// What became of one number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Changed.
    Set {
        /// What it was.
        from: u64,
        /// What it is.
        to: u64,
    },
    /// Left as it is, which is what was wanted, or more.
    Kept(u64),
    /// Left as it is, which may be less than what was wanted.
    Skipped {
        /// What it is; `None` where that cannot be told.
        is: Option<u64>,
        /// Why.
        reason: String,
    },
}

impl Tuning {
    /// Sets what there is to set of the mount on `device`. 0 for `readahead_kib` leaves that as it is.
    pub fn apply(device: Option<u64>, readahead_kib: u32) -> Self {
        Self::apply_below(Path::new(SYSTEM), device, readahead_kib)
    }

    fn apply_below(system: &Path, device: Option<u64>, readahead_kib: u32) -> Self {
        let Some(device) = device else {
            let unknown = || Outcome::Skipped {
                is: None,
                reason: "the mount's device is not known".into(),
            };
            return Self {
                readahead_kib: unknown(),
                max_background: unknown(),
                congestion_threshold: unknown(),
            };
        };
        let (major, minor) = (libc::major(device), libc::minor(device));
        let readahead = system.join(format!("class/bdi/{major}:{minor}/read_ahead_kb"));
        // Named by the device as the kernel has it inside, which for a filesystem without a disk is its minor number.
        let connection = system.join(format!("fs/fuse/connections/{minor}"));
        Self {
            readahead_kib: match readahead_kib {
                0 => Outcome::Skipped {
                    is: read(&readahead).ok(),
                    reason: "--kernel-readahead-kib is 0".into(),
                },
                wanted => set(&readahead, wanted.into(), |is| is == u64::from(wanted)),
            },
            max_background: at_least(&connection.join("max_background"), BACKGROUND_REQUESTS_MAX),
            congestion_threshold: at_least(
                &connection.join("congestion_threshold"),
                CONGESTION_THRESHOLD,
            ),
        }
    }

    /// Each number by its name.
    pub fn outcomes(&self) -> [(&'static str, &Outcome); 3] {
        [
            ("readahead-kib", &self.readahead_kib),
            ("max-background", &self.max_background),
            ("congestion-threshold", &self.congestion_threshold),
        ]
    }
}

impl fmt::Display for Outcome {
    /// The number, and after it what was done.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set { from, to } => write!(formatter, "{to}  # set, was {from}"),
            Self::Kept(is) => write!(formatter, "{is}  # as it was"),
            Self::Skipped { is: None, reason } => write!(formatter, "unknown  # {reason}"),
            Self::Skipped {
                is: Some(is),
                reason,
            } => write!(formatter, "{is}  # not set: {reason}"),
        }
    }
}

fn at_least(path: &Path, wanted: u16) -> Outcome {
    set(path, wanted.into(), |is| is >= u64::from(wanted))
}

fn set(path: &Path, wanted: u64, is_enough: impl Fn(u64) -> bool) -> Outcome {
    let skipped = |is, error: io::Error| Outcome::Skipped {
        is,
        reason: format!("{}: {error}", path.display()),
    };
    let from = match read(path) {
        Ok(is) if is_enough(is) => return Outcome::Kept(is),
        Ok(is) => is,
        Err(error) => return skipped(None, error),
    };
    // The kernel may take less than what was written.
    match write(path, wanted).and_then(|()| read(path)) {
        Ok(to) => Outcome::Set { from, to },
        Err(error) => skipped(Some(from), error),
    }
}

fn read(path: &Path) -> io::Result<u64> {
    let text = std::fs::read_to_string(path)?;
    text.trim().parse().map_err(io::Error::other)
}

/// Writes to what is there, and never makes a file.
fn write(path: &Path, value: u64) -> io::Result<()> {
    use std::io::Write as _;
    let mut file = std::fs::File::options().write(true).open(path)?;
    file.write_all(value.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(readahead: &str, background: &str) -> tempfile::TempDir {
        let system = tempfile::tempdir().unwrap();
        let bdi = system.path().join("class/bdi/0:77");
        let connection = system.path().join("fs/fuse/connections/77");
        for directory in [&bdi, &connection] {
            std::fs::create_dir_all(directory).unwrap();
        }
        std::fs::write(bdi.join("read_ahead_kb"), readahead).unwrap();
        std::fs::write(connection.join("max_background"), background).unwrap();
        std::fs::write(connection.join("congestion_threshold"), "9\n").unwrap();
        system
    }

    #[test]
    fn what_is_less_than_wanted_is_set_and_told() {
        let system = system("128\n", "12\n");
        let tuning = Tuning::apply_below(system.path(), Some(libc::makedev(0, 77)), 4096);
        assert_eq!(
            tuning.outcomes().map(|(_, outcome)| outcome.to_string()),
            [
                "4096  # set, was 128",
                "4096  # set, was 12",
                "3072  # set, was 9"
            ]
        );
        let again = Tuning::apply_below(system.path(), Some(libc::makedev(0, 77)), 4096);
        assert_eq!(again.readahead_kib, Outcome::Kept(4096));
        assert_eq!(again.max_background, Outcome::Kept(4096));
    }

    #[test]
    fn more_requests_than_wanted_stay_and_0_leaves_read_ahead_alone() {
        let system = system("128\n", "5000\n");
        let tuning = Tuning::apply_below(system.path(), Some(libc::makedev(0, 77)), 0);
        assert_eq!(tuning.max_background, Outcome::Kept(5000));
        let Outcome::Skipped { is, reason } = tuning.readahead_kib else {
            panic!("it was set");
        };
        assert_eq!((is, &*reason), (Some(128), "--kernel-readahead-kib is 0"));
    }

    #[test]
    fn what_is_not_there_or_not_known_is_told_with_its_reason() {
        let system = system("x", "12\n");
        let other = Tuning::apply_below(system.path(), Some(libc::makedev(0, 78)), 4096);
        for (name, outcome) in other.outcomes() {
            let Outcome::Skipped { is: None, reason } = outcome else {
                panic!("{name}: {outcome:?}");
            };
            assert!(
                reason.contains(":78/") || reason.contains("/78/"),
                "{reason}"
            );
        }
        let unreadable = Tuning::apply_below(system.path(), Some(libc::makedev(0, 77)), 4096);
        assert!(matches!(
            unreadable.readahead_kib,
            Outcome::Skipped { is: None, .. }
        ));
        let unknown = Tuning::apply_below(system.path(), None, 4096);
        assert_eq!(
            unknown.max_background.to_string(),
            "unknown  # the mount's device is not known"
        );
    }
}
