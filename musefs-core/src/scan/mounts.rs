//! Which file systems of this machine are musefs mounts: their files are our own output and never input.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The musefs mounts, by the device number that their files carry.
#[derive(Debug, Default)]
pub(super) struct MusefsMounts {
    by_device: BTreeMap<u64, PathBuf>,
}

impl MusefsMounts {
    /// The mounts that this process sees. Without `/proc` there are none to be known.
    pub(super) fn of_this_process() -> Self {
        match fs::read("/proc/self/mountinfo") {
            Ok(mountinfo) => Self::parse(&mountinfo),
            Err(error) => {
                tracing::warn!(%error, "/proc/self/mountinfo cannot be read: musefs mounts are not told from other directories");
                Self::default()
            }
        }
    }

    /// Reads the format of `/proc/PID/mountinfo` (proc(5)); a line that is not of that format is no musefs mount.
    fn parse(mountinfo: &[u8]) -> Self {
        let by_device = mountinfo
            .split(|&byte| byte == b'\n')
            .filter_map(parse_line)
            .collect();
        Self { by_device }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_device.is_empty()
    }

    /// The mount point of the musefs that a file lies in.
    pub(super) fn holding(&self, metadata: &Metadata) -> Option<&Path> {
        self.by_device.get(&metadata.dev()).map(PathBuf::as_path)
    }
}

/// Device number and mount point, if the line is a musefs mount. Fields: id, parent, major:minor, root, mount point, options,
/// any number of tags, `-`, type, source.
fn parse_line(line: &[u8]) -> Option<(u64, PathBuf)> {
    let fields: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let separator = fields.iter().position(|field| *field == b"-")?;
    let file_system = *fields.get(separator + 1)?;
    let source = *fields.get(separator + 2)?;
    if file_system != b"fuse.musefs" && !(file_system == b"fuse" && source == b"musefs") {
        return None;
    }
    let device = std::str::from_utf8(fields.get(2)?).ok()?;
    let (major, minor) = device.split_once(':')?;
    let device = libc::makedev(major.parse().ok()?, minor.parse().ok()?);
    let mount_point = PathBuf::from(OsString::from_vec(unescape(fields.get(4)?)));
    Some((device, mount_point))
}

/// Undoes the octal escapes of blanks and backslashes.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'\\')
            .then(|| std::str::from_utf8(after.get(..3)?).ok())
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(byte) = escaped {
            bytes.push(byte);
            rest = &after[3..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_musefs_mounts_are_taken_from_mountinfo() {
        let mounts = MusefsMounts::parse(
            b"22 1 0:21 / /proc rw,nosuid shared:5 - proc proc rw\n\
              90 22 0:77 / /mnt/my\\040music ro,nosuid - fuse.musefs musefs ro,user_id=0\n\
              91 22 0:78 / /mnt/other rw shared:9 master:1 - fuse.sshfs host: rw\n\
              92 22 0:79 / /mnt/plain ro - fuse musefs ro\n\
              torn line\n",
        );
        let points: Vec<_> = mounts.by_device.values().collect();
        assert_eq!(
            points,
            [Path::new("/mnt/my music"), Path::new("/mnt/plain")]
        );
        assert!(mounts.by_device.contains_key(&libc::makedev(0, 77)));
    }

    #[test]
    fn an_escape_that_is_none_stays() {
        assert_eq!(unescape(b"a\\134b\\9"), b"a\\b\\9");
    }
}
