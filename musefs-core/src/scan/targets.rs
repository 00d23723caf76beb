//! From the paths somebody gave to roots and scopes, such that no file is ever known under two roots.
//!
//! The rule: a file belongs to the deepest root that contains it, and no root is ever added inside another. A target inside a
//! root is scanned as a part of that root; a target around existing roots becomes a root of its own, and the inner ones keep
//! their files.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::report::{TargetFault, TargetProblem};
use crate::formats::is_audio_extension;
use crate::mounts::Mounts;
use crate::store::{KnownTrack, Root, RootId, Store, StoreError, now_ns};

/// A part of the file system to walk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope {
    /// Absolute and without symbolic links.
    pub(super) path: PathBuf,
    /// Whether it is a single file.
    pub(super) is_file: bool,
}

/// What is known before the walk.
pub(super) struct Plan {
    pub(super) roots: Roots,
    /// The tracks that the scopes cover, by path, for each root.
    pub(super) known: HashMap<RootId, HashMap<Vec<u8>, KnownTrack>>,
}

/// The roots that matter to this scan.
pub(super) struct Roots {
    /// The longest path first, so that the first that contains a file owns it.
    deepest_first: Vec<Root>,
}

impl Roots {
    fn new(mut roots: Vec<Root>) -> Self {
        roots.sort_by_key(|root| std::cmp::Reverse(root.path.as_os_str().len()));
        Self {
            deepest_first: roots,
        }
    }

    /// The root that owns `path`, and the path from there.
    pub(super) fn owner<'a>(&self, path: &'a Path) -> Option<(RootId, &'a [u8])> {
        self.deepest_first.iter().find_map(|root| {
            let relative = below(
                root.path.as_os_str().as_bytes(),
                path.as_os_str().as_bytes(),
            )?;
            Some((root.id, relative))
        })
    }

    /// The absolute path of a track.
    pub(super) fn absolute(&self, root: RootId, relative: &[u8]) -> Option<PathBuf> {
        self.deepest_first
            .iter()
            .find(|known| known.id == root)
            .map(|known| known.path.join(std::ffi::OsStr::from_bytes(relative)))
    }
}

/// The part of `path` below `directory`; empty for the directory itself.
fn below<'a>(directory: &[u8], path: &'a [u8]) -> Option<&'a [u8]> {
    let rest = path.strip_prefix(directory)?;
    if rest.is_empty() || directory.ends_with(b"/") {
        return Some(rest);
    }
    rest.strip_prefix(b"/")
}

/// Whether `path` is `directory` or lies in it. Both are absolute, without `.` or `..`.
pub(super) fn is_within(path: &Path, directory: &Path) -> bool {
    below(
        directory.as_os_str().as_bytes(),
        path.as_os_str().as_bytes(),
    )
    .is_some()
}

/// The extension of a file's name, as bytes.
pub(super) fn has_audio_extension(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| is_audio_extension(extension.as_bytes()))
}

/// Looks at each target. Scopes that lie within another scope are left out.
pub(super) fn resolve(targets: &[PathBuf], mounts: &Mounts) -> (Vec<Scope>, Vec<TargetProblem>) {
    let mut scopes = Vec::new();
    let mut problems = Vec::new();
    for target in targets {
        match resolve_one(target, mounts) {
            Ok(scope) => scopes.push(scope),
            Err(fault) => problems.push(TargetProblem {
                path: target.clone(),
                fault,
            }),
        }
    }
    scopes.sort();
    scopes.dedup();
    let all = scopes.clone();
    scopes.retain(|scope| {
        !all.iter()
            .any(|other| other != scope && !other.is_file && is_within(&scope.path, &other.path))
    });
    (scopes, problems)
}

fn resolve_one(target: &Path, mounts: &Mounts) -> Result<Scope, TargetFault> {
    let fault = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => TargetFault::Missing,
        _ => TargetFault::Unreadable(error),
    };
    let path = fs::canonicalize(target).map_err(fault)?;
    let metadata = fs::metadata(&path).map_err(fault)?;
    if let Some(mount_point) = mounts.musefs_of(&metadata) {
        return Err(TargetFault::InsideMusefs {
            mount_point: mount_point.to_path_buf(),
        });
    }
    if metadata.is_dir() {
        fs::read_dir(&path).map_err(fault)?;
    } else if !metadata.is_file() {
        return Err(TargetFault::NotFileNorDirectory);
    } else if !has_audio_extension(&path) {
        return Err(TargetFault::NotAudio);
    }
    Ok(Scope {
        is_file: metadata.is_file(),
        path,
    })
}

/// A path without symbolic links, as roots are; what is not there any more stays as it is written.
pub fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    for above in absolute.ancestors() {
        if let Ok(existing) = above.canonicalize() {
            return match absolute.strip_prefix(above) {
                Ok(rest) if !rest.as_os_str().is_empty() => existing.join(rest),
                _ => existing,
            };
        }
    }
    absolute
}

/// Adds the roots that are new and reads what is known of the scopes' tracks.
pub(super) fn plan(store: &mut Store, scopes: &[Scope]) -> Result<Plan, StoreError> {
    let mut roots = store.roots()?;
    // Directories come first, so that a file beside them finds the root that they make.
    for scope in scopes
        .iter()
        .filter(|scope| !scope.is_file)
        .chain(scopes.iter().filter(|scope| scope.is_file))
    {
        if roots.iter().any(|root| is_within(&scope.path, &root.path)) {
            continue;
        }
        let path = if scope.is_file {
            scope.path.parent().unwrap_or(&scope.path).to_path_buf()
        } else {
            scope.path.clone()
        };
        let id = store.add_root(&path, now_ns())?;
        roots.push(Root { id, path });
    }
    known(store, roots, scopes)
}

/// Reads what is known of the scopes' tracks.
pub(super) fn known(store: &Store, roots: Vec<Root>, scopes: &[Scope]) -> Result<Plan, StoreError> {
    let mut known = HashMap::new();
    for root in &roots {
        let concerned = scopes
            .iter()
            .any(|scope| is_within(&scope.path, &root.path) || is_within(&root.path, &scope.path));
        if !concerned {
            continue;
        }
        let whole = scopes
            .iter()
            .any(|scope| is_within(&root.path, &scope.path));
        let tracks = store
            .known_tracks(root.id)?
            .into_iter()
            .filter(|track| {
                whole || {
                    let path = root.path.join(std::ffi::OsStr::from_bytes(&track.path));
                    scopes.iter().any(|scope| is_within(&path, &scope.path))
                }
            })
            .map(|track| (track.path.clone(), track))
            .collect();
        known.insert(root.id, tracks);
    }
    Ok(Plan {
        roots: Roots::new(roots),
        known,
    })
}
