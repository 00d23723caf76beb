//! Where a mount may go, and how it is undone. Every refusal says what is wrong and the way out.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use musefs_core::mounts::Mounts;
use musefs_telemetry::{event_warn, logging};
use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};

/// Why nothing can be mounted at a path.
#[derive(Debug, thiserror::Error)]
pub enum MountpointError {
    /// There is nothing there.
    #[error("the mountpoint {} does not exist: create it with `mkdir -p`", .0.display())]
    Missing(PathBuf),
    /// It is no directory.
    #[error("the mountpoint {} is not a directory: give an empty directory", .0.display())]
    NotADirectory(PathBuf),
    /// Files would be hidden.
    #[error("the mountpoint {} is not empty, and the mount would hide what is in it: give an empty directory", .0.display())]
    NotEmpty(PathBuf),
    /// Something is mounted there.
    #[error("something is mounted at {} already: give an empty directory where nothing is", .0.display())]
    AlreadyMounted(PathBuf),
    /// A musefs is mounted there.
    #[error(
        "a musefs is mounted at {} already: unmount it with Ctrl-C or `umount '{}'` first, or give another directory",
        .0.display(), .0.display()
    )]
    AlreadyMusefs(PathBuf),
    /// A filesystem whose process is gone.
    #[error(
        "{} is a dead mountpoint: the process that served it is gone. Add --remount to clean it up, or run `{}`",
        .0.display(), unmount_hint(.0)
    )]
    Dead(PathBuf),
    /// The same of another filesystem.
    #[error(
        "{} is a dead mountpoint, but not of a musefs, so --remount leaves it alone: unmount it with `{}`",
        .0.display(), unmount_hint(.0)
    )]
    DeadOther(PathBuf),
    /// It cannot be looked at.
    #[error("the mountpoint {} cannot be used: {source}", path.display())]
    Unusable {
        /// The mountpoint.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The library would read itself.
    #[error(
        "the mountpoint {} lies in the library {}: a scan would find the mount's own files. Mount it elsewhere",
        mountpoint.display(), root.display()
    )]
    InLibrary {
        /// The mountpoint.
        mountpoint: PathBuf,
        /// The scanned directory.
        root: PathBuf,
    },
    /// The mount would hide the files it reads.
    #[error(
        "the library {} lies in the mountpoint {}, which would hide it. Mount it elsewhere",
        root.display(), mountpoint.display()
    )]
    HidesLibrary {
        /// The mountpoint.
        mountpoint: PathBuf,
        /// The scanned directory.
        root: PathBuf,
    },
    /// The mount would hide the store it reads.
    #[error(
        "the store {} lies in the mountpoint {}, which would hide it. Move one of them",
        store.display(), mountpoint.display()
    )]
    HidesStore {
        /// The mountpoint.
        mountpoint: PathBuf,
        /// The store.
        store: PathBuf,
    },
}

fn unmount_hint(path: &Path) -> String {
    if nix::unistd::geteuid().is_root() {
        format!("umount -l '{}'", path.display())
    } else {
        format!("fusermount3 -uz '{}'", path.display())
    }
}

/// The absolute path of the mountpoint, once nothing speaks against it. A dead one is cleaned up when `remount` says so.
///
/// # Errors
/// When something speaks against it.
pub fn check(path: &Path, remount: bool) -> Result<PathBuf, MountpointError> {
    let metadata = match look(path) {
        Ok(metadata) => metadata,
        Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => {
            if !remount {
                return Err(MountpointError::Dead(path.to_path_buf()));
            }
            // Another filesystem's dead mountpoint is not ours to take away.
            if !is_musefs(path) {
                return Err(MountpointError::DeadOther(path.to_path_buf()));
            }
            unmount(path, Unmount::Detach).map_err(|source| unusable(path, source))?;
            event_warn!(
                logging::admin(),
                "mount.point.cleaned",
                message = "cleaned up a dead mountpoint",
                path = %path.display(),
            );
            std::fs::metadata(path).map_err(|source| unusable(path, source))?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(MountpointError::Missing(path.to_path_buf()));
        }
        Err(source) => return Err(unusable(path, source)),
    };
    if !metadata.is_dir() {
        return Err(MountpointError::NotADirectory(path.to_path_buf()));
    }
    let absolute = path
        .canonicalize()
        .map_err(|source| unusable(path, source))?;
    match Mounts::of_this_process().at(&absolute) {
        Some(mount) if mount.is_musefs => return Err(MountpointError::AlreadyMusefs(absolute)),
        Some(_) => return Err(MountpointError::AlreadyMounted(absolute)),
        None => {}
    }
    let mut entries = std::fs::read_dir(&absolute).map_err(|source| unusable(path, source))?;
    if entries.next().is_some() {
        return Err(MountpointError::NotEmpty(absolute));
    }
    Ok(absolute)
}

/// What is at `path`. A directory is opened, too: of a mount whose process is gone the kernel still remembers the attributes
/// for a while.
fn look(path: &Path) -> io::Result<std::fs::Metadata> {
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        std::fs::read_dir(path)?;
    }
    Ok(metadata)
}

/// Whether a musefs is mounted at `path`, which need not answer.
fn is_musefs(path: &Path) -> bool {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    // The last name itself cannot be followed: what is mounted there is dead.
    let above = absolute
        .parent()
        .and_then(|above| above.canonicalize().ok());
    let resolved = above
        .zip(absolute.file_name())
        .map_or(absolute.clone(), |(above, name)| above.join(name));
    Mounts::of_this_process()
        .at(&resolved)
        .is_some_and(|mount| mount.is_musefs)
}

fn unusable(path: &Path, source: io::Error) -> MountpointError {
    MountpointError::Unusable {
        path: path.to_path_buf(),
        source,
    }
}

/// Whether a mount at `mountpoint` leaves the store and the scanned directories as they are.
///
/// # Errors
/// When it would hide one, or lie in the library.
pub fn check_apart<'a>(
    mountpoint: &Path,
    store: &Path,
    roots: impl IntoIterator<Item = &'a Path>,
) -> Result<(), MountpointError> {
    let mountpoint = mountpoint.to_path_buf();
    let store = store.canonicalize().unwrap_or_else(|_| store.to_path_buf());
    if store.starts_with(&mountpoint) {
        return Err(MountpointError::HidesStore { mountpoint, store });
    }
    // Compared as they are stored, which is without symbolic links: looking at them could hang on a dead network mount.
    for root in roots {
        let root = root.to_path_buf();
        if mountpoint.starts_with(&root) {
            return Err(MountpointError::InLibrary { mountpoint, root });
        }
        if root.starts_with(&mountpoint) {
            return Err(MountpointError::HidesLibrary { mountpoint, root });
        }
    }
    Ok(())
}

/// The device number of what is mounted at just this path, by the kernel's table: no request is made of it.
pub fn device_of(mountpoint: &Path) -> Option<u64> {
    Mounts::of_this_process()
        .at(mountpoint)
        .map(|mount| mount.device)
}

/// Where the mount of `device`, made at `mountpoint`, is now: a directory above it may have been renamed. `None` when something
/// else is mounted over it. Without a table of mounts it is where it was made.
pub fn place_of(mountpoint: &Path, device: Option<u64>) -> Option<PathBuf> {
    let Some(device) = device else {
        return Some(mountpoint.to_path_buf());
    };
    let mounts = Mounts::of_this_process();
    match mounts.at(mountpoint) {
        Some(mount) if mount.device == device => Some(mountpoint.to_path_buf()),
        Some(_) => None,
        None => Some(
            mounts
                .of_device(device)
                .map_or_else(|| mountpoint.to_path_buf(), |mount| mount.point.clone()),
        ),
    }
}

/// How to unmount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmount {
    /// Only when nothing in it is in use.
    IfIdle,
    /// At once: nobody can go in any more, and what is open stays open.
    Detach,
}

/// Unmounts what is at `path`; as a normal user with the help of fusermount3.
///
/// # Errors
/// When it cannot be unmounted; the kind is `ResourceBusy` when it is in use.
pub fn unmount(path: &Path, how: Unmount) -> io::Result<()> {
    let flags = match how {
        Unmount::IfIdle => MntFlags::empty(),
        Unmount::Detach => MntFlags::MNT_DETACH,
    };
    match umount2(path, flags) {
        Ok(()) => Ok(()),
        Err(Errno::EPERM) => with_fusermount(path, how),
        Err(error) => Err(error.into()),
    }
}

fn with_fusermount(path: &Path, how: Unmount) -> io::Result<()> {
    let flags: &[&str] = match how {
        Unmount::IfIdle => &["-u"],
        Unmount::Detach => &["-u", "-z"],
    };
    let output = Command::new(FUSERMOUNT)
        .args(flags)
        .arg("--")
        .arg(path)
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    // The helper tells in words alone that something in it is in use.
    let kind = if how == Unmount::IfIdle && said.contains("busy") {
        io::ErrorKind::ResourceBusy
    } else {
        io::ErrorKind::Other
    };
    Err(io::Error::new(kind, said))
}

/// The helper that mounts for normal users.
pub const FUSERMOUNT: &str = "fusermount3";

/// Whether a program called `name` is on the path.
pub fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/bin", "/sbin", "/usr/bin"].map(PathBuf::from))
        .any(|directory| directory.join(OsStr::new(name)).is_file())
}
