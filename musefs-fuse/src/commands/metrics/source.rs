//! What a path on the command line means: a mount and its metrics directory, or a file of metrics.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use musefs_core::mounts::Mounts;

use crate::metrics_files::LINK_NAME;

/// Longest text that is read, in bytes: far more than any program measures.
const TEXT_BYTES_MAX: u64 = 256 << 20;

/// Where metrics are read.
#[derive(Debug, PartialEq, Eq)]
pub enum Source {
    /// A mount, by its metrics directory.
    Mount(PathBuf),
    /// One file.
    File(PathBuf),
}

impl Source {
    /// What `path` means. A file of a metrics directory is itself; anything else in a mount is the mount.
    ///
    /// # Errors
    /// When there is nothing, or it is a directory outside of every mount.
    pub fn of(path: &Path) -> Result<Self> {
        let mounts = Mounts::of_this_process();
        let found = path
            .canonicalize()
            .with_context(|| cannot_look_at(path, &mounts))?;
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
        let directory = directory_of(mount)?;
        if found.parent() == Some(&directory) {
            return Ok(Self::File(found));
        }
        Ok(Self::Mount(directory))
    }

    /// The only mount that there is.
    ///
    /// # Errors
    /// When there is none, or there are several; it lists them.
    pub fn only_mount() -> Result<Self> {
        let mounts = Mounts::of_this_process();
        let mut points = mounts.musefs_points();
        match (points.next(), points.next()) {
            (Some(only), None) => Ok(Self::Mount(directory_of(only)?)),
            (None, _) => bail!("{}", told(&mounts)),
            _ => bail!("which mount? {}", told(&mounts)),
        }
    }
}

/// The metrics directory of the mount at `point`.
fn directory_of(point: &Path) -> Result<PathBuf> {
    let link = point.join(LINK_NAME);
    match link.canonicalize() {
        Ok(directory) => Ok(directory),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(anyhow!(
            "the musefs at {} has no metrics directory: it was mounted with --metrics-dir off, or only a part of it is mounted there",
            point.display()
        )),
        Err(error) => Err(error).with_context(|| {
            format!(
                "the musefs at {} does not answer; where it was killed, `musefs mount --remount` or `umount` cleans up",
                point.display()
            )
        }),
    }
}

fn cannot_look_at(path: &Path, mounts: &Mounts) -> String {
    format!("cannot look at {}. {}", path.display(), told(mounts))
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
