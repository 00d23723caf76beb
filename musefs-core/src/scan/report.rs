//! What a scan says when it is through.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::store::{ScanCounts, ScanRunId, TrackFailure};

/// Places named per reason in a report; all are counted.
const PLACES_KEPT_MAX: usize = 20;

/// Why a file or a directory counts as failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ScanFailure {
    /// The track's row says so too.
    Track(TrackFailure),
    /// A directory could not be read: what lies beneath it is left as it was.
    UnreadableDirectory,
    /// The file changed each time it was read. The next scan tries again.
    Changing,
    /// The probe ran into a fault of its own. The file is listed and served as it is.
    Panicked,
}

impl ScanFailure {
    /// The name in the store and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Track(failure) => failure.as_str(),
            Self::UnreadableDirectory => "unreadable_directory",
            Self::Changing => "changing",
            Self::Panicked => "panicked",
        }
    }
}

/// Something odd that kept no file from being listed, or that was left out on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ScanWarning {
    /// A field was decoded as a legacy code page.
    LegacyText,
    /// One field could not be read.
    BadField,
    /// The content is another format than the extension says.
    ExtensionMismatch,
    /// The properties of the sound could not be read.
    NoProperties,
    /// No fresh metadata can be put in front of the file with what the store holds of it.
    NoLayout,
    /// Somebody wrote into the file's row what cannot be read; the file is read again.
    BrokenRow,
    /// A symbolic link that was not followed.
    SymlinkSkipped,
    /// A symbolic link to a directory above it.
    SymlinkLoop,
    /// A symbolic link to nothing.
    SymlinkDangling,
    /// A pipe, socket or device with the name of an audio file.
    NotRegular,
    /// A mounted musefs inside a target.
    MusefsMount,
}

impl ScanWarning {
    /// The name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LegacyText => "legacy_text",
            Self::BadField => "bad_field",
            Self::ExtensionMismatch => "extension_mismatch",
            Self::NoProperties => "no_properties",
            Self::NoLayout => "no_layout",
            Self::BrokenRow => "broken_row",
            Self::SymlinkSkipped => "symlink_skipped",
            Self::SymlinkLoop => "symlink_loop",
            Self::SymlinkDangling => "symlink_dangling",
            Self::NotRegular => "not_regular",
            Self::MusefsMount => "musefs_mount",
        }
    }
}

/// Where something was found, and what exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file or directory.
    pub path: PathBuf,
    /// What was found there.
    pub detail: String,
}

/// How often something was found, and where first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Occurrences {
    /// All of them.
    pub count: u64,
    /// The first few.
    pub places: Vec<Place>,
}

impl Occurrences {
    fn add(&mut self, path: &Path, detail: &str) {
        self.count += 1;
        if self.places.len() < PLACES_KEPT_MAX {
            self.places.push(Place {
                path: path.to_path_buf(),
                detail: detail.to_owned(),
            });
        }
    }
}

/// Why a target is not scanned.
#[derive(Debug, thiserror::Error)]
pub enum TargetFault {
    /// There is nothing at the path.
    #[error("does not exist")]
    Missing,
    /// The path cannot be reached or read.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// Neither a directory nor a regular file.
    #[error("is neither a directory nor a regular file")]
    NotFileNorDirectory,
    /// A single file that is not listed as audio.
    #[error("has no extension of an audio file")]
    NotAudio,
    /// Nothing below the path was ever scanned.
    #[error("holds no track of the store")]
    NotInStore,
    /// Scanning our own output would go round in circles.
    #[error("lies inside the musefs mount at {}; scan the music itself instead", mount_point.display())]
    InsideMusefs {
        /// Where that musefs is mounted.
        mount_point: PathBuf,
    },
}

/// A target that is not scanned.
#[derive(Debug, thiserror::Error)]
#[error("{} {fault}", path.display())]
pub struct TargetProblem {
    /// The target as it was given.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub fault: TargetFault,
}

/// All problems in one line.
pub(super) fn sentences(problems: &[TargetProblem]) -> String {
    if problems.is_empty() {
        return "no directory or file was given".to_owned();
    }
    let sentences: Vec<String> = problems.iter().map(ToString::to_string).collect();
    sentences.join("; ")
}

/// Failures and warnings as they come up, from several threads.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) failures: BTreeMap<ScanFailure, Occurrences>,
    pub(super) warnings: BTreeMap<ScanWarning, Occurrences>,
}

impl Tally {
    pub(super) fn failure(&mut self, failure: ScanFailure, path: &Path, detail: &str) {
        self.failures.entry(failure).or_default().add(path, detail);
    }

    pub(super) fn warning(&mut self, warning: ScanWarning, path: &Path, detail: &str) {
        self.warnings.entry(warning).or_default().add(path, detail);
    }
}

/// What a scan did and found.
#[derive(Debug)]
pub struct ScanReport {
    /// Its record in the store.
    pub run: ScanRunId,
    /// Audio files come upon.
    pub files_seen: u64,
    /// New tracks.
    pub added: u64,
    /// Tracks whose file changed, or can be read again, or no longer.
    pub updated: u64,
    /// Tracks whose file was renamed: they keep their edits.
    pub moved: u64,
    /// Files that are as their rows say.
    pub unchanged: u64,
    /// Files that are as they were and were read again all the same: another version of musefs had read them, or somebody
    /// gave up their edits.
    pub outdated: u64,
    /// Tracks whose file was found gone by this scan.
    pub missing: u64,
    /// Files and directories that failed, this time or the last time they were read, by reason.
    pub failures: BTreeMap<ScanFailure, Occurrences>,
    /// Oddities by kind. Those of files that were not read again are not repeated.
    pub warnings: BTreeMap<ScanWarning, Occurrences>,
    /// Targets that were not scanned.
    pub target_problems: Vec<TargetProblem>,
    /// Whether the scan was told to stop before its end.
    pub cancelled: bool,
    /// How long it took.
    pub elapsed: Duration,
    /// Audio files opened.
    pub scan_opens: u64,
    /// Reads at a position.
    pub scan_preads: u64,
    /// Bytes those reads gave.
    pub scan_bytes_read: u64,
}

impl ScanReport {
    /// All failures.
    pub fn failed(&self) -> u64 {
        self.failures.values().map(|found| found.count).sum()
    }

    pub(super) fn counts(&self) -> ScanCounts {
        ScanCounts {
            files_seen: self.files_seen,
            added: self.added,
            updated: self.updated + self.moved,
            unchanged: self.unchanged,
            missing: self.missing,
            failed: self.failed(),
            bytes_read: self.scan_bytes_read,
        }
    }

    pub(super) fn failure_counts(&self) -> Vec<(&'static str, u64)> {
        self.failures
            .iter()
            .map(|(failure, found)| (failure.as_str(), found.count))
            .collect()
    }
}
