//! Systems that lack something: no device, no helper, no descriptors left.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::support::library::Library;
use crate::support::mount::Mount;
use crate::support::process::{MUSEFS, clean, run};
use crate::support::users::{can_mount_as_normal_user, give_to_normal_user, is_root};
use crate::support::{errno, eventually, has_program, not_for_this_user};

/// Whether parts of the system can be hidden from a command; says why not.
pub fn can_hide() -> bool {
    if !is_root() || !has_program("unshare") {
        not_for_this_user("only root can hide parts of the system from a command");
        return false;
    }
    // Nor may every container.
    let tried = run(Command::new("unshare").args(["-m", "true"]));
    if tried.code != Some(0) {
        not_for_this_user("no mount namespaces here");
    }
    tried.code == Some(0)
}

/// `musefs mount`, started by `prepare`, a line of shell in a mount namespace of its own, which gets it as `"$@"`.
pub fn hidden(library: &Library, prepare: &str) -> Command {
    let mut command = Command::new("unshare");
    clean(&mut command).args(["-m", "sh", "-c", prepare, "sh", MUSEFS, "mount", "--db"]);
    command.arg(library.db()).arg(library.mountpoint());
    command
}

#[test]
fn without_the_device_the_way_to_get_it_is_told() {
    require_fuse!();
    if !can_hide() {
        return;
    }
    let library = Library::of_one();
    let outcome = run(&mut hidden(
        &library,
        "mount -t tmpfs none /dev && exec \"$@\"",
    ));
    outcome.refused(1, &["/dev/fuse is not there", "modprobe fuse"]);
}

#[test]
fn a_device_that_may_not_be_opened_is_told() {
    require_fuse!();
    if !can_hide() {
        return;
    }
    let library = Library::of_one();
    give_to_normal_user(&library);
    std::fs::set_permissions(library.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let prepare = "mount -t tmpfs none /dev && mknod -m 600 /dev/fuse c 10 229 && \
                   exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"";
    let outcome = run(&mut hidden(&library, prepare));
    outcome.refused(
        1,
        &["/dev/fuse cannot be opened", "Permission denied", "as root"],
    );
}

#[test]
fn without_the_helper_a_normal_user_is_told_what_to_install() {
    require_fuse!();
    if !can_hide() || !can_mount_as_normal_user() {
        return;
    }
    let library = Library::of_one();
    give_to_normal_user(&library);
    std::fs::set_permissions(library.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let prepare = "for name in fusermount3 fusermount; do \
                     path=$(command -v $name) && mount --bind /dev/null \"$(readlink -f \"$path\")\"; \
                   done; \
                   exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"";
    let outcome = run(&mut hidden(&library, prepare));
    outcome.refused(1, &["fusermount3 is not installed", "fuse3"]);
}

/// Descriptors that the mount may have.
const DESCRIPTORS: usize = 80;

#[test]
fn without_descriptors_further_files_do_not_open_and_the_rest_goes_on() {
    require_fuse!();
    let library = Library::of_many(DESCRIPTORS + 20);
    let mut command = Command::new("sh");
    let limited = format!("ulimit -Sn {DESCRIPTORS}; ulimit -Hn {DESCRIPTORS}; exec \"$@\"");
    clean(&mut command).args([
        "-c",
        &limited,
        "sh",
        MUSEFS,
        "mount",
        "--template",
        "$filename",
        "--db",
    ]);
    command.arg(library.db()).arg(library.mountpoint());
    let mount = Mount::start(&mut command, &library.mountpoint()).unwrap();
    let expected = std::fs::read(library.music().join("0000.flac"))
        .unwrap()
        .len();
    let mut open = Vec::new();
    let refused = (0..DESCRIPTORS + 20)
        .map(|index| mount.join(format!("{index:04}.flac")))
        .find_map(|path| match File::open(&path) {
            Ok(file) => {
                open.push((path, file));
                None
            }
            Err(error) => Some((path, error)),
        });
    let (path, error) = refused.expect("descriptors run out");
    assert_eq!(error.raw_os_error(), Some(libc::ENFILE));
    assert!(open.len() > 10, "only {} files were open", open.len());

    // What is open is read, the library is listed, the metrics tell.
    for (_, file) in &mut open {
        let bytes = crate::support::process::read_again(file);
        assert!(bytes.len() >= expected / 2);
    }
    assert_eq!(
        std::fs::read_dir(mount.path()).unwrap().count(),
        DESCRIPTORS + 21
    );
    let metrics = mount.metrics();
    assert_eq!(metrics.value("musefs_handles_open"), open.len() as u64);
    assert!(metrics.value("musefs_op_errors_total{op=\"open\",errno=\"ENFILE\"}") >= 1);
    // The file is not at fault.
    assert_eq!(metrics.sum("musefs_tracks_dark"), 0);
    // Told once, however many are refused.
    for _ in 0..3 {
        assert_eq!(errno(&File::open(&path)), libc::ENFILE);
    }
    eventually("it is told", || {
        mount.log().contains("ulimit -n").then_some(())
    });
    assert_eq!(mount.log().matches("ulimit -n").count(), 1);
    open.clear();
    eventually("descriptors are free again", || {
        (errno(&std::fs::read(&path)) == 0).then_some(())
    });
    mount.stop().done().is_calm();
}
