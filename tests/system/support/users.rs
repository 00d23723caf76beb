//! Running things as a normal user when the tests run as root.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use nix::unistd::{Gid, Uid, chown, geteuid};

use super::library::Library;
use super::process::{MUSEFS, clean};
use super::{has_program, skip};

/// `nobody`, whatever the system calls it.
const NOBODY: u32 = 65_534;

/// Whether the tests run as root.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// `program`, to be run by a normal user: `nobody` when the tests run as root, else who runs them.
pub fn as_normal_user(program: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
            .arg(program);
        command
    } else {
        Command::new(program)
    };
    clean(&mut command);
    command
}

/// `musefs`, to be run by a normal user.
pub fn musefs_as_normal_user() -> Command {
    as_normal_user(&BINARY)
}

/// Whether permissions can be made to bind [`musefs_bound_by_modes`]; says why not.
pub fn can_be_bound_by_modes() -> bool {
    if is_root() && !has_program("setpriv") {
        skip("there is no setpriv to give up the rights of root with");
        return false;
    }
    true
}

/// `musefs` as who runs the tests, but without root's right to read whatever it likes.
pub fn musefs_bound_by_modes() -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args([
            "--bounding-set=-dac_override,-dac_read_search",
            "--",
            MUSEFS,
        ]);
        command
    } else {
        Command::new(MUSEFS)
    };
    clean(&mut command);
    command
}

/// The binary where a normal user can run it: a copy when it is built inside somebody's home.
static BINARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let built = PathBuf::from(MUSEFS);
    let can_be_reached = built.ancestors().skip(1).all(|directory| {
        std::fs::metadata(directory)
            .is_ok_and(|metadata| metadata.permissions().mode() & 0o005 == 0o005)
    });
    if !is_root() || can_be_reached {
        return built;
    }
    let copy = std::env::temp_dir().join(format!("musefs-under-test-{}", std::process::id()));
    std::fs::copy(&built, &copy).expect("a copy of the binary");
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    copy
});

/// Whether a normal user can be had here; says why not.
pub fn has_normal_user() -> bool {
    if is_root() && !has_program("setpriv") {
        skip("there is no setpriv to become a normal user with");
        return false;
    }
    true
}

/// Whether a normal user can mount here; says why not. Root gives the device the mode that it has on any desktop.
pub fn can_mount_as_normal_user() -> bool {
    const DEVICE: &str = "/dev/fuse";
    const MODE: u32 = 0o666;
    if !has_normal_user() {
        return false;
    }
    if !has_program("fusermount3") {
        skip("there is no fusermount3 to mount with as a normal user");
        return false;
    }
    let mode = std::fs::metadata(DEVICE).map_or(0, |metadata| metadata.permissions().mode());
    if is_root() && mode & MODE != MODE {
        let opened = std::fs::set_permissions(DEVICE, std::fs::Permissions::from_mode(MODE));
        if let Err(error) = opened {
            skip(&format!(
                "{DEVICE} cannot be opened to normal users: {error}"
            ));
            return false;
        }
    }
    true
}

/// Lets the normal user have everything of a library.
pub fn give_to_normal_user(library: &Library) {
    give(library.path());
}

fn give(path: &Path) {
    if !is_root() {
        return;
    }
    let owner = (Some(Uid::from_raw(NOBODY)), Some(Gid::from_raw(NOBODY)));
    chown(path, owner.0, owner.1).expect("root gives files away");
    if path.is_dir() {
        for entry in std::fs::read_dir(path).expect("a directory of the test's own") {
            give(&entry.expect("an entry").path());
        }
    }
}
