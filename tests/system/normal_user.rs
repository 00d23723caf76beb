//! Mounting without being root: with the help of fusermount3, for oneself.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::support::library::{Library, ONE_SERVED};
use crate::support::mount::Mount;
use crate::support::process::run;
use crate::support::users::{
    as_normal_user, can_mount_as_normal_user, give_to_normal_user, is_root, musefs_as_normal_user,
};

/// A library that the normal user owns, and a mount of it by that user.
fn mounted(name: &[u8]) -> (Library, Mount) {
    let library = Library::of_one();
    let path = library.path().join(OsStr::from_bytes(name));
    std::fs::create_dir_all(&path).unwrap();
    std::fs::set_permissions(library.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    give_to_normal_user(&library);
    let mut command = musefs_as_normal_user();
    command
        .args(["mount", "--poll-interval-ms", "100", "--db"])
        .arg(library.db())
        .arg(&path);
    let mount = Mount::start(&mut command, &path).unwrap_or_else(|outcome| panic!("{outcome:?}"));
    (library, mount)
}

/// What the normal user reads of a file.
fn read(path: &Path) -> Vec<u8> {
    run(as_normal_user(Path::new("cat")).arg(path))
        .done()
        .stdout
}

#[test]
fn a_normal_user_mounts_reads_and_unmounts() {
    require_fuse!();
    if !can_mount_as_normal_user() {
        return;
    }
    let (_library, mount) = mounted(b"mnt");
    assert!(!read(&mount.join(ONE_SERVED)).is_empty());
    let metrics = read(&mount.join(".musefs-metrics/metrics"));
    crate::support::metrics::Metrics::parse(&metrics);
    let told = run(as_normal_user(Path::new("stat"))
        .args(["-c", "%u %a"])
        .arg(mount.join(ONE_SERVED)));
    let owner = if is_root() {
        65_534
    } else {
        nix::unistd::geteuid().as_raw()
    };
    assert_eq!(told.done().text(), format!("{owner} 444\n"));
    if is_root() {
        // It is the user's own: without allow_other even root stays out.
        assert!(std::fs::read_dir(mount.path()).is_err());
    }
    let outcome = mount.stop();
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_normal_user_mounts_where_the_name_is_not_unicode() {
    require_fuse!();
    if !can_mount_as_normal_user() {
        return;
    }
    let (_library, mount) = mounted(b"m\xfcsic");
    assert!(!read(&mount.join(ONE_SERVED)).is_empty());
    assert_eq!(mount.stop().code, Some(0));
}

#[test]
fn a_dead_mountpoint_of_a_normal_user_is_cleaned_up_when_asked() {
    require_fuse!();
    if !can_mount_as_normal_user() {
        return;
    }
    let (library, mut dead) = mounted(b"mnt");
    dead.signal(nix::sys::signal::Signal::SIGKILL);
    dead.ended(crate::support::SOON)
        .expect("a killed process ends");
    let command = || {
        let mut command = musefs_as_normal_user();
        command
            .args(["mount", "--db"])
            .arg(library.db())
            .arg(library.mountpoint());
        command
    };
    run(&mut command()).refused(1, &["dead mountpoint", "--remount", "fusermount3 -u"]);
    let mount = Mount::start(command().arg("--remount"), &library.mountpoint()).unwrap();
    assert!(!read(&mount.join(ONE_SERVED)).is_empty());
}

#[test]
fn a_normal_user_who_may_not_mount_there_is_told_why() {
    require_fuse!();
    if !can_mount_as_normal_user() {
        return;
    }
    let library = Library::of_one();
    give_to_normal_user(&library);
    std::fs::set_permissions(library.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let somebody_elses = PathBuf::from("/opt");
    if !is_root()
        || std::fs::read_dir(&somebody_elses).is_ok_and(|mut entries| entries.next().is_some())
    {
        return crate::support::not_for_this_user("there is no empty directory of somebody else's");
    }
    let mut command = musefs_as_normal_user();
    command
        .args(["mount", "--db"])
        .arg(library.db())
        .arg(&somebody_elses);
    let outcome = run(&mut command);
    outcome.refused(1, &["/opt", "own the mountpoint"]);
}

#[test]
fn letting_others_in_where_that_is_not_permitted_is_refused() {
    require_fuse!();
    if !can_mount_as_normal_user() {
        return;
    }
    let config = std::fs::read_to_string("/etc/fuse.conf").unwrap_or_default();
    if config.lines().any(|line| line.trim() == "user_allow_other") {
        return crate::support::not_for_this_user("it is permitted on this machine");
    }
    let library = Library::of_one();
    give_to_normal_user(&library);
    std::fs::set_permissions(library.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = musefs_as_normal_user();
    command
        .args(["mount", "--allow-other", "--db"])
        .arg(library.db())
        .arg(library.mountpoint());
    run(&mut command).refused(1, &["--allow-other", "user_allow_other", "/etc/fuse.conf"]);
}
