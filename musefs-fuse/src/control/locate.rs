//! Which mount a path leads to, told without asking any musefs: one whose process is stopped answers nobody, and who asks
//! it hangs.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result};
use musefs_core::mounts::{Mount, Mounts};

/// Symbolic links that are followed before a path is given up as going in circles.
const LINKS_MAX: usize = 40;

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Place {
    /// A musefs that this process sees mounted.
    Musefs(Mount),
    /// A file system that is none, or is not known to be one.
    Other {
        /// Its device number.
        device: u64,
    },
}

/// What `path` leads to.
///
/// # Errors
/// When there is nothing at `path`. Of a path inside a musefs nobody can say that without asking it.
pub(super) fn locate(path: &Path) -> Result<Place> {
    let mounts = Mounts::of_this_process();
    if let Some(mount) = musefs_holding(&mounts, path) {
        return Ok(Place::Musefs(mount));
    }
    let metadata =
        std::fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
    Ok(Place::Other {
        device: metadata.dev(),
    })
}

/// The musefs mount that `path` leads into, if any.
pub(crate) fn musefs_holding(mounts: &Mounts, path: &Path) -> Option<Mount> {
    let resolved = resolve(mounts, path)?;
    let point = mounts.musefs_holding(&resolved)?;
    mounts.at(point).cloned()
}

/// `path` without symbolic links, but for those inside of musefs mounts, which are not looked at. `None` when it goes in
/// circles.
fn resolve(mounts: &Mounts, path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    let mut resolved = PathBuf::from("/");
    let mut waiting = reversed(&absolute);
    let mut links = 0;
    while let Some(name) = waiting.pop() {
        if name == ".." {
            resolved.pop();
            continue;
        }
        let next = resolved.join(&name);
        let is_asked = mounts.musefs_holding(&next).is_none();
        match is_asked.then(|| std::fs::read_link(&next)) {
            Some(Ok(target)) => {
                links += 1;
                if links > LINKS_MAX {
                    return None;
                }
                if target.is_absolute() {
                    resolved = PathBuf::from("/");
                }
                waiting.append(&mut reversed(&target));
            }
            // No link, nothing at all, or not asked.
            Some(Err(_)) | None => resolved = next,
        }
    }
    Some(resolved)
}

/// The names in `path`, the last one first.
fn reversed(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    let mut names: Vec<OsString> = names.collect();
    names.reverse();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_and_circles_end() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("real/below")).unwrap();
        symlink("real", base.join("near")).unwrap();
        symlink(base.join("near/below"), base.join("far")).unwrap();
        symlink("circle", base.join("circle")).unwrap();
        let mounts = Mounts::default();
        let resolved = |path: &str| resolve(&mounts, &base.join(path));
        assert_eq!(resolved("far/x"), Some(base.join("real/below/x")));
        assert_eq!(resolved("far/../y"), Some(base.join("real/y")));
        assert_eq!(resolved("none/./z"), Some(base.join("none/z")));
        assert_eq!(resolved("circle/z"), None);
    }

    #[test]
    fn what_is_not_there_outside_of_mounts_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let error = locate(&directory.path().join("none")).unwrap_err();
        assert!(error.to_string().contains("cannot look at"), "{error}");
        assert!(matches!(locate(directory.path()), Ok(Place::Other { .. })));
    }
}
