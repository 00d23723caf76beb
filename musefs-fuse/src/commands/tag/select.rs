//! From what somebody named (paths in mounts, their own files, conditions) to a store and the tracks in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use musefs_core::mounts::Mounts;
use musefs_core::scan::resolved;
use musefs_core::store::{Root, Store, TrackId};

use super::SYNC_TIMEOUT;
use super::words::Where;
use crate::control::{self, Answer, Request, StoreIdentity, locate};

/// Inodes in one request: far from the longest line that a mount reads.
const INODES_MAX: usize = 10_000;

/// The tracks that are meant.
#[derive(Debug)]
pub(super) struct Selected {
    /// In the order of their ids.
    pub(super) tracks: Vec<TrackId>,
    /// Where mounts show those that were named by such a path.
    pub(super) served: BTreeMap<TrackId, PathBuf>,
}

/// The store: as given, or that of the mounts that paths lie in. They have to be the same.
pub(super) fn store_meant(db: Option<&Path>, wheres: &[Where]) -> Result<PathBuf> {
    let mounts = Mounts::of_this_process();
    let mut meant = db.map(Path::to_path_buf);
    for found in wheres {
        let Where::Path(path) = found else { continue };
        if !is_served(path, &mounts) {
            continue;
        }
        let about = control::about_mount_of(path)?;
        match &meant {
            None => meant = Some(about.db),
            Some(meant) => {
                let same = StoreIdentity::of(meant).ok() == StoreIdentity::of(&about.db).ok();
                if !same {
                    bail!(
                        "{} lies in a mount of the store {}, not of {}",
                        path.display(),
                        about.db.display(),
                        meant.display()
                    );
                }
            }
        }
    }
    meant.context("which store? give --db FILE, or a path inside a mount of it")
}

/// Whether a path lies in a musefs mount. Does not ask the mount, which may be stopped.
fn is_served(path: &Path, mounts: &Mounts) -> bool {
    locate::musefs_holding(mounts, path).is_some()
}

/// The tracks at any of the paths for which all of the conditions hold; all tracks where there are neither.
pub(super) fn tracks(store: &Store, wheres: &[Where]) -> Result<Selected> {
    let mounts = Mounts::of_this_process();
    let mut served = BTreeMap::new();
    let mut at_paths: Option<BTreeSet<TrackId>> = None;
    let mut selected: Option<BTreeSet<TrackId>> = None;
    for found in wheres {
        match found {
            Where::Path(path) => {
                let found = if is_served(path, &mounts) {
                    let found = served_tracks(path)?;
                    let ids: Vec<TrackId> = found.iter().map(|(id, _)| *id).collect();
                    served.extend(found);
                    ids
                } else {
                    backing_tracks(store, path)?
                };
                at_paths.get_or_insert_default().extend(found);
            }
            Where::Condition {
                key,
                value,
                contains,
            } => {
                let wanted = value.to_lowercase();
                let matched = store.tracks_with(key, |value| {
                    let value = value.to_lowercase();
                    value == wanted || (*contains && value.contains(&wanted))
                })?;
                let matched = matched.into_iter().collect();
                selected = Some(both(selected, matched));
            }
        }
    }
    if let Some(at_paths) = at_paths {
        selected = Some(both(selected, at_paths));
    }
    let tracks = match selected {
        Some(selected) => selected.into_iter().collect(),
        None => store.all_tracks()?,
    };
    Ok(Selected { tracks, served })
}

/// What is in both; all of the second where there is no first yet.
fn both(first: Option<BTreeSet<TrackId>>, second: BTreeSet<TrackId>) -> BTreeSet<TrackId> {
    match first {
        Some(first) => first.intersection(&second).copied().collect(),
        None => second,
    }
}

/// The tracks that a mount shows at a path or below it, as of all commits so far.
fn served_tracks(path: &Path) -> Result<Vec<(TrackId, PathBuf)>> {
    let sync = Request::Sync {
        store: None,
        timeout_ms: u64::try_from(SYNC_TIMEOUT.as_millis()).unwrap_or(u64::MAX),
    };
    match control::ask_mount_of(path, &sync)? {
        Answer::Synced { .. } => {}
        other => return Err(control::unexpected(&other)),
    }
    let look = || format!("cannot look at {}", path.display());
    let metadata = fs::metadata(path).with_context(look)?;
    let mut files = Vec::new();
    if metadata.is_dir() {
        let mut waiting = vec![path.to_path_buf()];
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(&directory).with_context(look)? {
                let entry = entry.with_context(look)?;
                let kind = entry.file_type().with_context(look)?;
                if kind.is_dir() {
                    waiting.push(entry.path());
                } else if kind.is_file() {
                    files.push((entry.ino(), entry.path()));
                }
            }
        }
    } else {
        files.push((metadata.ino(), path.to_path_buf()));
    }
    let mut found = Vec::new();
    for batch in files.chunks(INODES_MAX) {
        let inodes = batch.iter().map(|(inode, _)| *inode).collect();
        let tracks = match control::ask_mount_of(path, &Request::Tracks { inodes })? {
            Answer::Tracks { tracks } if tracks.len() == batch.len() => tracks,
            other => return Err(control::unexpected(&other)),
        };
        // Files of the metrics directory are nobody's tracks.
        let named = tracks.into_iter().zip(batch);
        found.extend(named.filter_map(|(track, (_, path))| Some((TrackId(track?), path.clone()))));
    }
    if found.is_empty() {
        bail!("there is no track at {}", path.display());
    }
    Ok(found)
}

/// The tracks whose audio file lies at a path or below it, whether or not it is still there.
fn backing_tracks(store: &Store, path: &Path) -> Result<Vec<TrackId>> {
    let absolute = resolved(path);
    let roots = store.roots()?;
    let mut found = Vec::new();
    // A file belongs to the deepest root around it.
    let owner = roots
        .iter()
        .filter(|root| absolute.starts_with(&root.path))
        .max_by_key(|root| root.path.components().count());
    if let Some(root) = owner {
        let relative = absolute
            .strip_prefix(&root.path)
            .expect("it starts with it");
        found = store.tracks_below(root.id, relative.as_os_str().as_bytes())?;
    }
    let is_below = |root: &&Root| root.path.starts_with(&absolute) && root.path != absolute;
    for root in roots.iter().filter(is_below) {
        found.extend(store.tracks_below(root.id, b"")?);
    }
    if found.is_empty() {
        let way_out = if path.exists() {
            "run `musefs scan` on it first"
        } else {
            "there is no such file either; a condition is KEY:VALUE"
        };
        return Err(anyhow!(
            "no track of the store is at {}: {way_out}",
            path.display()
        ));
    }
    Ok(found)
}
