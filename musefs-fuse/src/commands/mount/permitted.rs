//! What the system must have for a mount, asked before anything is started. Each refusal says the way out.

use anyhow::{Result, bail};

use crate::cli::MountArgs;
use crate::mountpoint::{self, FUSERMOUNT};

const FUSE_DEVICE: &str = "/dev/fuse";

/// Asks for the device, for the helper of normal users, and for what the flags want of it.
pub(super) fn check(args: &MountArgs) -> Result<()> {
    match std::fs::File::options()
        .read(true)
        .write(true)
        .open(FUSE_DEVICE)
    {
        Ok(_) => {}
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::ENOENT | libc::ENODEV | libc::ENXIO)
            ) =>
        {
            bail!(
                "{FUSE_DEVICE} is not there: load the kernel's FUSE module with `modprobe fuse`; in a container, pass the device in"
            )
        }
        Err(error) => {
            bail!(
                "{FUSE_DEVICE} cannot be opened ({error}): ask for read and write permission on it, or run as root"
            )
        }
    }
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    if !mountpoint::on_path(FUSERMOUNT) {
        bail!(
            "{FUSERMOUNT} is not installed, and normal users mount with its help: install the package fuse3, or run as root"
        );
    }
    if args.allow_other && !user_allow_other() {
        bail!(
            "--allow-other is not permitted to normal users here: add the line `user_allow_other` to /etc/fuse.conf, or run as root"
        );
    }
    Ok(())
}

fn user_allow_other() -> bool {
    let config = std::fs::read_to_string("/etc/fuse.conf").unwrap_or_default();
    config.lines().any(|line| line.trim() == "user_allow_other")
}
