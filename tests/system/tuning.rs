//! What the kernel is told of a mount, and what the mount tells of that.

use std::os::unix::fs::MetadataExt as _;

use crate::support::library::Library;
use crate::support::mount::Mount;
use crate::support::users::is_root;

/// Lines of a mount's `config` that begin with `name = `, without that.
fn told(mount: &Mount, name: &str) -> String {
    let config = std::fs::read_to_string(mount.join(".musefs-metrics/config")).unwrap();
    let start = format!("{name} = ");
    let line = config.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("no {name} in: {config}"))
        .to_owned()
}

/// How far the kernel reads ahead in a mount, in KiB.
fn readahead_kib(mount: &Mount) -> Option<String> {
    let device = std::fs::metadata(mount.path()).unwrap().dev();
    let (major, minor) = (libc::major(device), libc::minor(device));
    let path = format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb");
    std::fs::read_to_string(path)
        .ok()
        .map(|text| text.trim().to_owned())
}

#[test]
fn the_kernel_reads_as_far_ahead_as_it_is_told_and_the_mount_tells_so() {
    require_fuse!();
    let library = Library::of_one();
    for (flag, kib) in [("4096", "4096"), ("256", "256"), ("0", "128")] {
        let mount = Mount::with(&library, &["--kernel-readahead-kib", flag]);
        let Some(is) = readahead_kib(&mount) else {
            return crate::support::not_for_this_user("the system does not tell of read-ahead");
        };
        let told = told(&mount, "kernel.readahead-kib");
        assert_eq!(told.split(' ').next(), Some(&*is), "{told}");
        if is_root() && !told.contains("not set: /sys") {
            assert_eq!(is, kib, "{told}");
        }
    }
}

#[test]
fn a_mount_tells_of_each_number_that_it_has_for_the_kernel() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    for name in ["max-background", "congestion-threshold", "passthrough"] {
        assert!(!told(&mount, &format!("kernel.{name}")).is_empty());
    }
    assert!(told(&mount, "kernel.passthrough").starts_with("off  # only in structure-only mode"));
    let outcome = mount.stop();
    assert_eq!(outcome.stderr, "", "nothing to worry anybody with");
}
