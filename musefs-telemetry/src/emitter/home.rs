//! What an installation keeps: its random id, and which servers are gone for good. Both are for its owner's eyes alone.

use std::fs::Permissions;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use thiserror::Error;

use crate::facts::fast_hash;

/// The file of the id, and of the servers that are gone.
const ID: &str = "telemetry-id";
const GONE: &str = "telemetry-gone";
/// Servers that are remembered; the oldest is forgotten.
const GONE_MAX: usize = 32;
/// Bytes that are read of either file.
const FILE_BYTES_MAX: u64 = 1 << 12;

/// The directory of an installation's state.
#[derive(Clone, Debug)]
pub struct Home {
    directory: PathBuf,
}

/// Why there is no id.
#[derive(Debug, Error)]
#[error("cannot keep an id for telemetry in {}", .directory.display())]
pub struct HomeError {
    /// Where it was to be kept.
    pub directory: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

impl Home {
    /// The state in `directory`, which is made when something is kept there.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The id that is kept, if it is one.
    pub fn known_id(&self) -> Option<String> {
        let text = self.read(ID).ok()?;
        let id = text.trim_end_matches('\n');
        is_id(id).then(|| id.to_owned())
    }

    /// The id; made and kept when there is none, or what is kept is none.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn id(&self) -> Result<String, HomeError> {
        self.known_or_new().map_err(|source| HomeError {
            directory: self.directory.clone(),
            source,
        })
    }

    fn known_or_new(&self) -> io::Result<String> {
        if let Some(id) = self.known_id() {
            let path = self.directory.join(ID);
            if path.metadata()?.permissions().mode() & 0o077 != 0 {
                std::fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            }
            return Ok(id);
        }
        let file = self.fresh(&format!("{}\n", new_id()?))?;
        let path = self.directory.join(ID);
        if path.symlink_metadata().is_ok() {
            file.persist(path)?;
        } else if let Err(error) = file.persist_noclobber(path)
            && error.error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(error.error);
        }
        // Somebody else may have made one at the same time: what is kept counts.
        self.known_id()
            .ok_or_else(|| io::Error::other("what was written is not what is read"))
    }

    /// With which status the server at `endpoint` said that it is gone; `None` when it did not.
    pub fn gone(&self, endpoint: &str) -> Option<u16> {
        let server = fast_hash(endpoint.as_bytes());
        let text = self.read(GONE).ok()?;
        text.lines().find_map(|line| {
            let (name, status) = line.split_once(' ')?;
            (name == server).then_some(())?;
            status.parse().ok()
        })
    }

    /// Remembers that it did. Where that fails, the server is asked again by the next start.
    pub(super) fn remember_gone(&self, endpoint: &str, status: u16) {
        let before = self.read(GONE).unwrap_or_default();
        let skipped = before.lines().count().saturating_sub(GONE_MAX - 1);
        let mut text: String = before
            .lines()
            .skip(skipped)
            .flat_map(|line| [line, "\n"])
            .collect();
        let server = fast_hash(endpoint.as_bytes());
        text.extend([&server, " ", &status.to_string(), "\n"]);
        if let Ok(file) = self.fresh(&text) {
            file.persist(self.directory.join(GONE)).ok();
        }
    }

    fn read(&self, name: &str) -> io::Result<String> {
        let mut text = String::new();
        std::fs::File::open(self.directory.join(name))?
            .take(FILE_BYTES_MAX)
            .read_to_string(&mut text)?;
        Ok(text)
    }

    /// A new file that nobody but its owner may read, and that has no name to stay under yet.
    fn fresh(&self, text: &str) -> io::Result<NamedTempFile> {
        std::fs::create_dir_all(&self.directory)?;
        // Made with the permissions 0600.
        let mut file = NamedTempFile::new_in(&self.directory)?;
        file.write_all(text.as_bytes())?;
        Ok(file)
    }
}

/// 64 random bits; 0 where the system has none, which only costs that clients spread.
pub(super) fn random() -> u64 {
    getrandom::u64().unwrap_or(0)
}

/// A random id in the form of a UUID of version 4 (RFC 9562).
///
/// # Errors
/// When the system has no random numbers.
pub fn new_id() -> io::Result<String> {
    let random = || getrandom::u64().map_err(|error| io::Error::other(error.to_string()));
    let high = random()? & !0xf000 | 0x4000;
    let low = random()? & !(0xc << 60) | (0x8 << 60);
    Ok(format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    ))
}

fn is_id(text: &str) -> bool {
    let dashes = [8, 13, 18, 23];
    text.len() == 36
        && text.bytes().enumerate().all(|(place, byte)| {
            if dashes.contains(&place) {
                byte == b'-'
            } else {
                matches!(byte, b'0'..=b'9' | b'a'..=b'f')
            }
        })
}
