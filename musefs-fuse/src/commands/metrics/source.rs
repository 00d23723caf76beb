//! What a path on the command line means: a mount, or a file of metrics.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use musefs_core::mounts::Mounts;

use crate::control;
use crate::metrics_files::LINK_NAME;

/// Longest text that is read, in bytes: far more than any program measures.
const TEXT_BYTES_MAX: u64 = 256 << 20;

/// Where metrics are read.
#[derive(Debug, PartialEq, Eq)]
pub enum Source {
    /// A mount.
    Mount(Mounted),
    /// One file.
    File(PathBuf),
}

/// A mount, and how its metrics are read.
#[derive(Debug, PartialEq, Eq)]
pub struct Mounted {
    point: PathBuf,
    /// The metrics directory; a mount without one is asked at its control socket.
    directory: Option<PathBuf>,
}

impl Mounted {
    /// What is mounted at `point`.
    ///
    /// # Errors
    /// When it does not answer.
    fn at(point: &Path) -> Result<Self> {
        let directory = match point.join(LINK_NAME).canonicalize() {
            Ok(directory) => Some(directory),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Err(error).with_context(|| {
                    format!(
                        "the musefs at {} is another user's: others see it when it is mounted with --allow-other",
                        point.display()
                    )
                });
            }
            Err(error) => return Err(error).with_context(|| no_answer(point)),
        };
        Ok(Self {
            point: point.to_path_buf(),
            directory,
        })
    }

    /// The text called `name`.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub fn text(&self, name: &str) -> Result<Vec<u8>> {
        if let Some(directory) = &self.directory {
            return read(&directory.join(name));
        }
        let asked = control::metrics_of(&self.point, name);
        asked.map(String::into_bytes).with_context(|| {
            format!(
                "the musefs at {} has no metrics directory, and does not tell otherwise",
                self.point.display()
            )
        })
    }

    /// Where it is mounted.
    pub fn point(&self) -> &Path {
        &self.point
    }

    /// What people call the text `name` of this mount.
    pub fn called(&self, name: &str) -> String {
        let directory = self.directory.as_ref().unwrap_or(&self.point);
        directory.join(name).display().to_string()
    }
}

impl Source {
    /// What `path` means. A file of a metrics directory is itself; anything else in a mount is the mount.
    ///
    /// # Errors
    /// When there is nothing, or it is a directory outside of every mount.
    pub fn of(path: &Path) -> Result<Self> {
        refuse_silent(path)?;
        let mounts = Mounts::of_this_process();
        let found = path.canonicalize().map_err(|error| {
            let said = if error.kind() == io::ErrorKind::NotConnected {
                no_answer(path)
            } else {
                format!("cannot look at {}", path.display())
            };
            anyhow::Error::new(error).context(said)
        })?;
        let Some(mount) = mounts.musefs_holding(&found) else {
            if found.is_dir() {
                bail!(
                    "{} lies in no musefs mount. {}",
                    path.display(),
                    told(&mounts)
                );
            }
            return Ok(Self::File(found));
        };
        let mounted = Mounted::at(mount)?;
        if found.parent() == mounted.directory.as_deref() && found.is_file() {
            return Ok(Self::File(found));
        }
        Ok(Self::Mount(mounted))
    }

    /// The only mount that there is.
    ///
    /// # Errors
    /// When there is none, or there are several; it lists them.
    pub fn only_mount() -> Result<Self> {
        let mounts = Mounts::of_this_process();
        let mut points = mounts.musefs_points();
        match (points.next(), points.next()) {
            (Some(only), None) => {
                refuse_silent(only)?;
                Ok(Self::Mount(Mounted::at(only)?))
            }
            (None, _) => bail!("{}", told(&mounts)),
            _ => bail!("which mount? {}", told(&mounts)),
        }
    }
}

/// That the mount which `path` leads into answers. Asked by the socket, because that can be given up: the kernel lets nobody go
/// who looks up a name that somebody else looks up, too.
///
/// # Errors
/// When it does not, with what is known of it.
pub fn refuse_silent(path: &Path) -> Result<()> {
    match control::silent_mount_of(path) {
        Some(silent) => bail!("{silent}"),
        None => Ok(()),
    }
}

fn no_answer(point: &Path) -> String {
    format!(
        "the musefs at {} does not answer; where it was killed, `musefs mount --remount` or `umount` cleans up",
        point.display()
    )
}

/// Which mounts there are, as a sentence.
fn told(mounts: &Mounts) -> String {
    let points: Vec<String> = mounts
        .musefs_points()
        .map(|point| point.display().to_string())
        .collect();
    if points.is_empty() {
        "No musefs is mounted".into()
    } else {
        format!("Mounted: {}", points.join(", "))
    }
}

/// The whole file at `path`.
///
/// # Errors
/// When it cannot be read or is longer than any text of metrics.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    File::open(path)
        .map_err(anyhow::Error::from)
        .and_then(whole)
        .with_context(|| format!("cannot read {}", path.display()))
}

/// All that `reader` has.
///
/// # Errors
/// As [`read`].
pub fn whole(reader: impl Read) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    reader.take(TEXT_BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > TEXT_BYTES_MAX {
        bail!("longer than {TEXT_BYTES_MAX} bytes, so it is no text of metrics");
    }
    Ok(text)
}
