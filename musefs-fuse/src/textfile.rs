//! A file of metrics outside of the mount, for collectors that read a directory of such files.
//!
//! The file is replaced as a whole: who reads it gets one text or the next, never a part. What is written is the text of
//! `metrics.prom`, or, when the mount is gone, the one sample that says so, with the labels that the mount had. Who keeps a file
//! holds a lock on what it wrote last, so that two mounts never replace each other's.

mod keeper;
mod lock;

use std::ffi::OsStr;
use std::fs::Permissions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::unistd::{Gid, Uid, fchown};
use tempfile::NamedTempFile;

use crate::files;

pub use keeper::Keeper;
pub use lock::Held;

/// The file of a metrics directory that is copied: each of its samples names its mount.
pub const SOURCE: &str = "metrics.prom";

/// The family that says whether a mount is served.
const UP: &str = "musefs_up";

/// Longest file that is looked into for what was written last: far more than a mount writes.
const REMEMBERED_BYTES_MAX: u64 = 16 << 20;

/// How often it is looked whether somebody let go of a file.
const FREE_STEP: Duration = Duration::from_millis(100);

/// What texts of metrics begin with; the shortest has no help.
const STARTS: [&[u8]; 2] = [b"# HELP ", b"musefs_"];

/// Why a file could not be written, and what helps.
#[derive(Debug, thiserror::Error)]
pub enum TextfileError {
    /// The path has no directory, or none that is there.
    #[error("cannot write {}: {} is no directory; make it first", .path.display(), .directory.display())]
    NoDirectory {
        /// The file.
        path: PathBuf,
        /// What should be its directory.
        directory: PathBuf,
    },
    /// What is there is not ours to replace.
    #[error("{} is {what}, which is not replaced: name another file, or take it away first", .path.display())]
    NotReplaced {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// Somebody else keeps it.
    #[error("{} is kept by another musefs{}: give each its own file", .path.display(), .by.as_ref().map(|by| format!(" ({})", by.series)).unwrap_or_default())]
    Kept {
        /// The file.
        path: PathBuf,
        /// What it says of whom it tells of.
        by: Option<Identity>,
    },
    /// A new file cannot be made beside it.
    #[error("cannot write {}: no file can be made in {}; let this user write there", .path.display(), .directory.display())]
    Make {
        /// The file.
        path: PathBuf,
        /// Its directory.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The new file cannot be given away.
    #[error("cannot give {} to that owner or group: only root may give files away, and others only to a group of theirs", .path.display())]
    Give {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The text cannot be written, or the new file not take the old one's place.
    #[error("cannot write {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Which file is written, and how it looks.
#[derive(Clone, Debug)]
pub struct Textfile {
    /// The file.
    pub path: PathBuf,
    /// Its permission bits.
    pub mode: u16,
    /// Its owner, where it is not who writes it.
    pub uid: Option<u32>,
    /// Its group, where it is not that of who writes it.
    pub gid: Option<u32>,
    /// What was written last.
    pub held: Held,
}

impl Textfile {
    /// Checks that the file can be written, without touching what is there.
    ///
    /// # Errors
    /// When it lies inside a musefs mount, its directory is none, or nothing can be made there.
    pub fn check(&self) -> anyhow::Result<()> {
        files::refuse_inside_musefs(&self.path, "the file for the metrics")?;
        if self.path.is_dir() {
            anyhow::bail!(
                "{} is a directory: name a file in it, such as {}",
                self.path.display(),
                self.path.join("musefs.prom").display()
            );
        }
        self.replaceable()?;
        self.fresh()?;
        Ok(())
    }

    /// Nothing but an older text of metrics is ever replaced.
    fn replaceable(&self) -> Result<(), TextfileError> {
        let kept = |what| TextfileError::NotReplaced {
            path: self.path.clone(),
            what,
        };
        match std::fs::symlink_metadata(&self.path) {
            Ok(found) if found.is_symlink() => Err(kept("a symbolic link")),
            Ok(found) if !found.is_file() => Err(kept("no regular file")),
            Ok(found) if found.len() > 0 && !self.holds_metrics() => {
                Err(kept("a file of something else than metrics"))
            }
            _ => Ok(()),
        }
    }

    /// Whether the file begins as every text of metrics does; one that cannot be read is somebody else's.
    fn holds_metrics(&self) -> bool {
        let mut start = Vec::new();
        let read = std::fs::File::open(&self.path)
            .and_then(|file| file.take(STARTS[0].len() as u64).read_to_end(&mut start));
        read.is_ok() && STARTS.contains(&&*start)
    }

    /// Whether `node_exporter` would read it: the collector takes only names that end in `.prom`.
    pub fn is_collected(&self) -> bool {
        self.path.extension() == Some(OsStr::new("prom"))
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// When it could not; what was there before still is.
    pub fn write(&self, text: &[u8]) -> Result<(), TextfileError> {
        let write = |source| TextfileError::Write {
            path: self.path.clone(),
            source,
        };
        self.replaceable()?;
        self.is_free_for(Identity::of(text).as_ref())?;
        let mut fresh = self.fresh()?;
        fresh.write_all(text).map_err(write)?;
        let lock = lock::of(&fresh).map_err(write)?;
        fresh
            .persist(&self.path)
            .map_err(|error| write(error.error))?;
        self.held.keep(lock);
        Ok(())
    }

    /// Waits until nobody else keeps the file: a mount that is ending lets go of it.
    ///
    /// # Errors
    /// When somebody still does after `patience`.
    pub fn await_free(&self, patience: Duration) -> Result<(), TextfileError> {
        let give_up_at = Instant::now() + patience;
        loop {
            let free = self.is_free_for(None);
            if free.is_ok() || Instant::now() >= give_up_at {
                return free;
            }
            std::thread::sleep(FREE_STEP);
        }
    }

    /// That nobody keeps the file who tells of another mount than `own`.
    fn is_free_for(&self, own: Option<&Identity>) -> Result<(), TextfileError> {
        if !self.held.is_kept_by_another(&self.path) {
            return Ok(());
        }
        let by = self.remembered();
        let series = |identity: &Identity| identity.series.clone();
        if own.is_some() && own.map(series) == by.as_ref().map(series) {
            return Ok(());
        }
        Err(TextfileError::Kept {
            path: self.path.clone(),
            by,
        })
    }

    /// The labels and descriptions of the mount that the file tells of now.
    pub fn remembered(&self) -> Option<Identity> {
        let metadata = std::fs::metadata(&self.path).ok()?;
        let is_ours = metadata.is_file() && metadata.len() <= REMEMBERED_BYTES_MAX;
        Identity::of(&is_ours.then(|| std::fs::read(&self.path).ok())??)
    }

    /// A new, empty file beside it, which is gone again when it is dropped.
    fn fresh(&self) -> Result<NamedTempFile, TextfileError> {
        let directory = match self.path.parent() {
            Some(directory) if directory != Path::new("") => directory,
            _ => Path::new("."),
        };
        if !directory.is_dir() {
            return Err(TextfileError::NoDirectory {
                path: self.path.clone(),
                directory: directory.to_path_buf(),
            });
        }
        let make = |source| TextfileError::Make {
            path: self.path.clone(),
            directory: directory.to_path_buf(),
            source,
        };
        // A name that the collector does not read.
        let fresh = tempfile::Builder::new()
            .prefix(".musefs-")
            .suffix(".new")
            .tempfile_in(directory)
            .map_err(make)?;
        if self.uid.is_some() || self.gid.is_some() {
            let (uid, gid) = (self.uid.map(Uid::from_raw), self.gid.map(Gid::from_raw));
            fchown(fresh.as_file(), uid, gid).map_err(|error| TextfileError::Give {
                path: self.path.clone(),
                source: error.into(),
            })?;
        }
        fresh
            .as_file()
            .set_permissions(Permissions::from_mode(self.mode.into()))
            .map_err(make)?;
        Ok(fresh)
    }
}

/// What a text says of its mount: enough to say that it is gone, in the same words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// HELP and TYPE of `musefs_up`: collectors want those of several mounts to be equal.
    described: String,
    /// The name of its sample with all labels.
    series: String,
}

impl Identity {
    /// Out of a whole text of `metrics.prom`; `None` when it is not whole or not that.
    pub fn of(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        text.ends_with("# EOF\n").then_some(())?;
        let mut described = String::new();
        for line in text.lines() {
            if let Some(comment) = line.strip_prefix("# ") {
                let name = comment.split(' ').nth(1);
                if name == Some(UP) {
                    described.push_str(line);
                    described.push('\n');
                }
            } else if let Some(labels) = line.strip_prefix(UP)
                && labels.starts_with(['{', ' '])
            {
                let (series, _) = line.rsplit_once(' ')?;
                return Some(Self {
                    described,
                    series: series.to_owned(),
                });
            }
        }
        None
    }

    /// The text that says that the mount is gone.
    pub fn down(&self) -> String {
        format!("{}{} 0\n# EOF\n", self.described, self.series)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP musefs_uptime_seconds Seconds.
# TYPE musefs_uptime_seconds gauge
musefs_uptime_seconds{mount=\"/m } \\\" x\"} 5
# HELP musefs_up 1 while the mount is served.
# TYPE musefs_up gauge
musefs_up{mount=\"/m } \\\" x\"} 1
# EOF
";

    #[test]
    fn a_mount_that_is_gone_keeps_its_labels_and_words() {
        let identity = Identity::of(TEXT.as_bytes()).unwrap();
        let down = identity.down();
        assert_eq!(
            down,
            "# HELP musefs_up 1 while the mount is served.\n# TYPE musefs_up gauge\nmusefs_up{mount=\"/m } \\\" x\"} 0\n# EOF\n"
        );
        assert_eq!(Identity::of(down.as_bytes()), Some(identity));
    }

    #[test]
    fn a_text_that_is_not_whole_says_nothing() {
        for end in 0..TEXT.len() {
            assert_eq!(Identity::of(&TEXT.as_bytes()[..end]), None, "{end}");
        }
        assert_eq!(Identity::of(b"# EOF\n"), None);
    }

    #[test]
    fn the_file_is_replaced_and_nothing_is_left_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = Textfile {
            path: directory.path().join("musefs.prom"),
            mode: 0o640,
            uid: None,
            gid: None,
            held: Held::default(),
        };
        assert_eq!(file.remembered(), None);
        file.check().unwrap();
        assert!(!file.path.exists(), "a check makes nothing");
        for text in ["# HELP x A much longer text.\n", TEXT] {
            file.write(text.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&file.path).unwrap(), text);
        }
        let mode = file.path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o640);
        assert_eq!(file.remembered(), Identity::of(TEXT.as_bytes()));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_text_of_metrics_is_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| Textfile {
            path: directory.path().join(name),
            mode: 0o644,
            uid: None,
            gid: None,
            held: Held::default(),
        };
        let (diary, link, pipe) = (file("diary.txt"), file("link.prom"), file("pipe.prom"));
        std::fs::write(&diary.path, "dear diary").unwrap();
        std::os::unix::fs::symlink("nowhere", &link.path).unwrap();
        nix::unistd::mkfifo(&pipe.path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for (kept, what) in [
            (diary, "something else"),
            (link, "symbolic link"),
            (pipe, "no regular file"),
        ] {
            for error in [
                kept.check().unwrap_err().to_string(),
                kept.write(TEXT.as_bytes()).unwrap_err().to_string(),
            ] {
                assert!(error.contains(what), "{error}");
            }
        }
        let empty = file("empty.prom");
        std::fs::write(&empty.path, "").unwrap();
        empty.write(TEXT.as_bytes()).unwrap();
    }

    #[test]
    fn two_mounts_never_keep_one_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = || Textfile {
            path: directory.path().join("a.prom"),
            mode: 0o644,
            uid: None,
            gid: None,
            held: Held::default(),
        };
        let (first, second) = (file(), file());
        first.write(TEXT.as_bytes()).unwrap();
        first.write(TEXT.as_bytes()).unwrap();
        for error in [
            second.await_free(Duration::ZERO).unwrap_err(),
            second.write(b"# HELP x y\n").unwrap_err(),
        ] {
            let error = error.to_string();
            assert!(
                error.contains("another musefs (musefs_up{mount="),
                "{error}"
            );
        }
        assert_eq!(std::fs::read_to_string(&first.path).unwrap(), TEXT);
        // Of the same mount there may be a second copier.
        second.write(TEXT.as_bytes()).unwrap();
        first.write(TEXT.as_bytes()).unwrap();
        drop(first);
        second.await_free(Duration::ZERO).unwrap();
        second.write(b"# HELP x y\n").unwrap();
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn errors_name_the_file_and_the_way_out() {
        let directory = tempfile::tempdir().unwrap();
        let file = |path: PathBuf| Textfile {
            path,
            mode: 0o644,
            uid: None,
            gid: None,
            held: Held::default(),
        };
        let none = file(directory.path().join("none/musefs.prom"));
        let error = none.write(b"").unwrap_err();
        assert!(matches!(error, TextfileError::NoDirectory { .. }));
        assert!(error.to_string().contains("make it first"), "{error}");
        let error = file(directory.path().into()).check().unwrap_err();
        assert!(error.to_string().contains("name a file in it"), "{error}");
        assert!(!file("/x/musefs.txt".into()).is_collected());
        assert!(file("/x/musefs.prom".into()).is_collected());
    }
}
