//! Nothing can be written through a mount, and nothing that a mount does writes to the backing files.

use std::path::Path;
use std::time::SystemTime;

use crate::support::files_below;
use crate::support::library::{Library, ONE_SERVED, TWO_SERVED};
use crate::support::mount::Mount;
use crate::support::{audio, python};

/// Tries all ways to change something, and prints the error of each.
const WRITES: &str = r#"
import errno, os, sys
file, directory = sys.argv[1], sys.argv[2]
new = os.path.join(directory, "new")
def opened(flags, path=file):
    os.close(os.open(path, flags, 0o644))
attempts = {
    "open_write": lambda: opened(os.O_WRONLY),
    "open_read_write": lambda: opened(os.O_RDWR),
    "open_append": lambda: opened(os.O_WRONLY | os.O_APPEND),
    "open_truncate": lambda: opened(os.O_WRONLY | os.O_TRUNC),
    "create": lambda: opened(os.O_WRONLY | os.O_CREAT, new),
    "truncate": lambda: os.truncate(file, 0),
    "mkdir": lambda: os.mkdir(new),
    "unlink": lambda: os.unlink(file),
    "rmdir": lambda: os.rmdir(directory),
    "rename": lambda: os.rename(file, new),
    "link": lambda: os.link(file, new),
    "symlink": lambda: os.symlink("target", new),
    "chmod": lambda: os.chmod(file, 0o777),
    "chown": lambda: os.chown(file, os.getuid(), os.getgid()),
    "utimens": lambda: os.utime(file, (1, 1)),
    "setxattr": lambda: os.setxattr(file, "user.name", b"value"),
    "removexattr": lambda: os.removexattr(file, "user.name"),
    "mknod": lambda: os.mknod(new, 0o100644),
    "mkfifo": lambda: os.mkfifo(new),
}
for name, attempt in attempts.items():
    try:
        attempt()
        print(name, "done")
    except OSError as error:
        print(name, errno.errorcode[error.errno])
"#;

#[track_caller]
fn refuses_every_write(file: &Path, directory: &Path) {
    let told = python::script(WRITES, [file, directory]).done().text();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 19, "{told}");
    for line in lines {
        assert!(line.ends_with(" EROFS"), "{line}");
    }
}

#[test]
fn every_write_to_the_library_is_refused_as_on_a_read_only_filesystem() {
    require_fuse!();
    let library = Library::of_two();
    let mount = Mount::new(&library);
    let file = mount.join(ONE_SERVED);
    refuses_every_write(&file, file.parent().unwrap());
    assert_eq!(mount.log(), "");
}

#[test]
fn every_write_to_the_metrics_is_refused_as_on_a_read_only_filesystem() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    let directory = mount.join(".musefs-metrics");
    refuses_every_write(&directory.join("metrics"), &directory);
    assert_eq!(mount.log(), "");
}

/// Content and modification time of each file of a library.
fn state_of(library: &Library) -> Vec<(String, Vec<u8>, SystemTime)> {
    files_below(&library.music())
        .into_iter()
        .map(|name| {
            let path = library.music().join(&name);
            let modified = path.metadata().unwrap().modified().unwrap();
            (name, std::fs::read(path).unwrap(), modified)
        })
        .collect()
}

#[test]
fn scanning_editing_and_reading_leave_the_backing_files_as_they_were() {
    require_fuse!();
    let library = Library::new();
    for (name, sound) in [
        ("one.flac", audio::Sound::Flac),
        ("two.mp3", audio::Sound::Mp3),
    ] {
        let tags = if name == "one.flac" {
            crate::support::library::ONE
        } else {
            crate::support::library::TWO
        };
        library.add(name, sound, tags, true);
    }
    let before = state_of(&library);
    library.scan();
    library.set_tag("one.flac", "comment", "edited");
    library.set_tag("two.mp3", "comment", "edited");
    let mount = Mount::new(&library);
    for served in [ONE_SERVED, TWO_SERVED] {
        std::fs::read(mount.join(served)).unwrap();
    }
    refuses_every_write(
        &mount.join(TWO_SERVED),
        mount.join(TWO_SERVED).parent().unwrap(),
    );
    mount.stop().done();
    assert!(state_of(&library) == before, "a backing file has changed");
}
