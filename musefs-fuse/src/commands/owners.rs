//! Users and groups on the command line: by name or by number.

use anyhow::anyhow;
use nix::unistd::{Group, User};

use super::Failure;

/// The number of the user `text`, which was given to `flag`.
///
/// # Errors
/// When there is no such user, or the system cannot tell.
pub(super) fn user(text: &str, flag: &str) -> Result<u32, Failure> {
    id_of(text, flag, "user", |name| {
        Ok(User::from_name(name)?.map(|user| user.uid.as_raw()))
    })
}

/// The number of the group `text`, which was given to `flag`.
///
/// # Errors
/// When there is no such group, or the system cannot tell.
pub(super) fn group(text: &str, flag: &str) -> Result<u32, Failure> {
    id_of(text, flag, "group", |name| {
        Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()))
    })
}

fn id_of(
    text: &str,
    flag: &str,
    what: &str,
    by_name: impl FnOnce(&str) -> nix::Result<Option<u32>>,
) -> Result<u32, Failure> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    by_name(text)?.ok_or_else(|| {
        Failure::usage(anyhow!(
            "{flag} {text}: there is no such {what}; give its name or number"
        ))
    })
}
