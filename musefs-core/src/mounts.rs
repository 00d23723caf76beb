//! What this process sees mounted where, and which of it is musefs: a musefs mount's files are our own output and never
//! input.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use musefs_telemetry::{event_warn, logging};

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where it is mounted.
    pub point: PathBuf,
    /// The device number that its files carry.
    pub device: u64,
    /// Whether it is a musefs.
    pub is_musefs: bool,
    /// The number of the user who mounted it, where the kernel says.
    pub user: Option<u32>,
}

/// The mounts that this process sees, in the order in which they were made.
#[derive(Debug, Default)]
pub struct Mounts {
    mounts: Vec<Mount>,
}

impl Mounts {
    /// Looks now. Without `/proc` there are none to be known.
    pub fn of_this_process() -> Self {
        match fs::read("/proc/self/mountinfo") {
            Ok(mountinfo) => Self::parse(&mountinfo),
            Err(error) => {
                event_warn!(
                    logging::global(),
                    "process.mounts.unreadable",
                    message = "/proc/self/mountinfo cannot be read: musefs mounts are not told from other directories",
                    error = %error,
                );
                Self::default()
            }
        }
    }

    /// Reads the format of `/proc/PID/mountinfo` (proc(5)); a line that is not of that format is no mount.
    fn parse(mountinfo: &[u8]) -> Self {
        let lines = mountinfo.split(|&byte| byte == b'\n');
        Self {
            mounts: lines.filter_map(parse_line).collect(),
        }
    }

    /// Whether one of them is a musefs.
    pub fn any_musefs(&self) -> bool {
        self.mounts.iter().any(|mount| mount.is_musefs)
    }

    /// Where they are mounted, each place once, in the order in which they were made.
    pub fn musefs_points(&self) -> impl Iterator<Item = &Path> {
        let seen = |index: usize| {
            let mut before = self.mounts[..index].iter();
            before.any(|before| before.is_musefs && before.point == self.mounts[index].point)
        };
        self.mounts
            .iter()
            .enumerate()
            .filter(move |(index, mount)| mount.is_musefs && !seen(*index))
            .map(|(_, mount)| &*mount.point)
    }

    /// The mount point of the musefs that a file lies in, by its metadata.
    pub fn musefs_of(&self, metadata: &Metadata) -> Option<&Path> {
        let mut musefs = self.mounts.iter().filter(|mount| mount.is_musefs);
        musefs
            .find(|mount| mount.device == metadata.dev())
            .map(|mount| &*mount.point)
    }

    /// The mount point of the musefs that an absolute path without symbolic links lies in. Asks no file system.
    pub fn musefs_holding(&self, path: &Path) -> Option<&Path> {
        let above = self
            .mounts
            .iter()
            .filter(|mount| path.starts_with(&mount.point));
        // The longest mount point above a path holds it; of several at one point, the last.
        above
            .max_by_key(|mount| mount.point.components().count())
            .filter(|mount| mount.is_musefs)
            .map(|mount| &*mount.point)
    }

    /// The mount whose files carry the device number `device`.
    pub fn of_device(&self, device: u64) -> Option<&Mount> {
        self.mounts.iter().find(|mount| mount.device == device)
    }

    /// What is mounted at just this path, if anything.
    pub fn at(&self, point: &Path) -> Option<&Mount> {
        self.mounts.iter().rev().find(|mount| mount.point == point)
    }
}

/// One line: id, parent, major:minor, root, mount point, options, any number of tags, `-`, type, source.
fn parse_line(line: &[u8]) -> Option<Mount> {
    let fields: Vec<&[u8]> = line.split(|&byte| byte == b' ').collect();
    let separator = fields.iter().position(|field| *field == b"-")?;
    let file_system = *fields.get(separator + 1)?;
    let source = *fields.get(separator + 2)?;
    let options = fields.get(separator + 3).copied().unwrap_or_default();
    let user = options.split(|&byte| byte == b',').find_map(|option| {
        let number = option.strip_prefix(b"user_id=")?;
        std::str::from_utf8(number).ok()?.parse().ok()
    });
    let device = std::str::from_utf8(fields.get(2)?).ok()?;
    let (major, minor) = device.split_once(':')?;
    Some(Mount {
        point: PathBuf::from(OsString::from_vec(unescape(fields.get(4)?))),
        device: libc::makedev(major.parse().ok()?, minor.parse().ok()?),
        is_musefs: file_system == b"fuse.musefs" || (file_system == b"fuse" && source == b"musefs"),
        user,
    })
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

    fn mounts() -> Mounts {
        Mounts::parse(
            b"22 1 0:21 / /proc rw,nosuid shared:5 - proc proc rw\n\
              90 22 0:77 / /mnt/my\\040music ro,nosuid - fuse.musefs musefs ro,user_id=0\n\
              91 22 0:78 / /mnt/other rw shared:9 master:1 - fuse.sshfs host: rw\n\
              92 22 0:79 / /mnt/plain ro - fuse musefs ro\n\
              93 22 8:1 / /mnt/plain/below rw - ext4 /dev/sda1 rw\n\
              torn line\n",
        )
    }

    #[test]
    fn musefs_mounts_are_told_from_others() {
        let mounts = mounts();
        assert!(mounts.any_musefs());
        let musefs: Vec<_> = mounts.musefs_points().collect();
        assert_eq!(
            musefs,
            [Path::new("/mnt/my music"), Path::new("/mnt/plain")]
        );
        assert_eq!(
            mounts
                .at(Path::new("/mnt/my music"))
                .map(|mount| mount.device),
            Some(libc::makedev(0, 77))
        );
        assert_eq!(mounts.at(Path::new("/mnt")), None);
        let user = |point: &str| mounts.at(Path::new(point)).and_then(|mount| mount.user);
        assert_eq!(user("/mnt/my music"), Some(0));
        assert_eq!(user("/mnt/other"), None);
    }

    #[test]
    fn the_nearest_mount_above_a_path_holds_it() {
        let mounts = mounts();
        let holding = |path: &str| {
            mounts
                .musefs_holding(Path::new(path))
                .map(Path::to_path_buf)
        };
        assert_eq!(holding("/mnt/plain/a/b"), Some("/mnt/plain".into()));
        assert_eq!(holding("/mnt/plain"), Some("/mnt/plain".into()));
        assert_eq!(holding("/mnt/plain/below/c"), None);
        assert_eq!(holding("/mnt/plainly"), None);
    }

    #[test]
    fn an_escape_that_is_none_stays() {
        assert_eq!(unescape(b"a\\134b\\9"), b"a\\b\\9");
    }
}
