//! The metrics text through every kind of reader: all get it whole.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::library::Library;
use crate::support::metrics::Metrics;
use crate::support::mount::Mount;
use crate::support::process::{Outcome, read_again, run};
use crate::support::{has_program, python};

/// Has `read` bring the text out of a mount, and checks that it is whole.
#[track_caller]
fn is_whole(read: impl Fn(&Path, &Path) -> Vec<u8>) {
    let library = Library::of_one();
    let mount = Mount::new(&library);
    let path = mount.join(".musefs-metrics/metrics");
    let out = library.path().join("out");
    std::fs::create_dir(&out).unwrap();
    // Several times, so that some fall on a new snapshot.
    for _ in 0..3 {
        let text = read(&path, &out);
        assert_eq!(text.len() as u64, path.metadata().unwrap().len());
        let names = Metrics::parse(&text);
        assert_eq!(names.names(), mount.metrics().names());
    }
}

#[track_caller]
fn copied(command: &mut Command, out: &Path) -> Vec<u8> {
    let Outcome { stderr, .. } = run(command).done();
    assert_eq!(stderr, "");
    let copy = out.join("metrics");
    let text = std::fs::read(&copy).unwrap();
    // It is read-only like what it was copied from, and the next copy is to be made anew.
    std::fs::remove_file(copy).unwrap();
    text
}

#[test]
fn cat_reads_the_whole_text() {
    require_fuse!();
    is_whole(|path, _| run(Command::new("cat").arg(path)).done().stdout);
}

#[test]
fn cp_copies_the_whole_text() {
    require_fuse!();
    is_whole(|path, out| copied(Command::new("cp").arg("-a").arg(path).arg(out), out));
}

#[test]
fn rsync_copies_the_whole_text() {
    require_fuse!();
    require!(has_program("rsync"), "there is no rsync");
    is_whole(|path, out| {
        copied(
            Command::new("rsync")
                .args(["-rt", "--checksum"])
                .arg(path)
                .arg(out),
            out,
        )
    });
}

#[test]
fn tar_packs_the_whole_text() {
    require_fuse!();
    require!(has_program("tar"), "there is no tar");
    is_whole(|path, out| {
        let archive = out.join("archive.tar");
        let mut pack = Command::new("tar");
        pack.arg("-C")
            .arg(path.parent().unwrap())
            .arg("-cf")
            .arg(&archive)
            .arg("metrics");
        assert_eq!(run(&mut pack).done().stderr, "");
        copied(
            Command::new("tar")
                .arg("-C")
                .arg(out)
                .arg("-xf")
                .arg(&archive),
            out,
        )
    });
}

#[test]
fn busybox_copies_the_whole_text() {
    require_fuse!();
    require!(has_program("busybox"), "there is no busybox");
    is_whole(|path, out| copied(Command::new("busybox").arg("cp").arg(path).arg(out), out));
}

#[test]
fn dd_reads_the_whole_text_seven_bytes_at_a_time() {
    require_fuse!();
    is_whole(|path, _| {
        let input = format!("if={}", path.display());
        run(Command::new("dd").args([input.as_str(), "bs=7", "status=none"]))
            .done()
            .stdout
    });
}

#[test]
fn python_copies_the_whole_text() {
    require_fuse!();
    is_whole(|path, out| {
        let target = out.join("metrics");
        let copy = "import shutil, sys; shutil.copyfile(sys.argv[1], sys.argv[2])";
        python::script(copy, [path, &target]).done();
        std::fs::read(target).unwrap()
    });
}

/// Copies with the system call that web servers use, by the size of the open file.
const SEND: &str = r"
import os, sys
source = os.open(sys.argv[1], os.O_RDONLY)
target = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
size = os.fstat(source).st_size
while os.sendfile(target, source, None, size):
    pass
";

#[test]
fn sendfile_sends_the_whole_text() {
    require_fuse!();
    is_whole(|path, out| {
        let target = out.join("metrics");
        python::script(SEND, [path, &target]).done();
        std::fs::read(target).unwrap()
    });
}

/// Reads as an event-driven runtime would, and asks for what backup tools ask for.
const READ: &str = r#"
import os, select, sys
file = os.open(sys.argv[1], os.O_RDONLY | os.O_NONBLOCK)
poll = select.poll()
poll.register(file, select.POLLIN)
assert poll.poll(5000), "never ready"
text = b""
while True:
    part = os.read(file, 4096)
    if not part:
        break
    text += part
assert os.fstat(file).st_size == len(text)
os.lseek(file, 0, os.SEEK_SET)
assert os.read(file, 10) == text[:10]
for call in (lambda: os.getxattr(sys.argv[1], "user.name"), lambda: os.listxattr(sys.argv[1])):
    try:
        call()
    except OSError as error:
        assert error.errno in (95, 61), error
assert os.access(sys.argv[1], os.R_OK)
sys.stdout.buffer.write(text)
"#;

#[test]
fn a_reader_that_does_not_block_is_never_told_to_come_again() {
    require_fuse!();
    is_whole(|path, _| python::script(READ, [path]).done().stdout);
}

#[test]
fn readers_of_one_moment_read_one_text() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    let path = mount.join(".musefs-metrics/metrics");
    // What is open keeps its text, so one that was opened within the same snapshot must be the same.
    let mut compared = 0;
    for _ in 0..20 {
        let mut first = File::open(&path).unwrap();
        let rendered = first.metadata().unwrap().mtime_nsec();
        let mut second = File::open(&path).unwrap();
        if path.metadata().unwrap().mtime_nsec() == rendered {
            assert!(read_again(&mut first) == read_again(&mut second));
            compared += 1;
        }
    }
    assert!(compared > 0, "no two opens fell on one snapshot");
}

#[test]
fn an_open_text_stays_and_its_size_does_while_time_goes_on() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    let path = mount.join(".musefs-metrics/metrics");
    let mut file = File::open(&path).unwrap();
    let mut before = Vec::new();
    file.read_to_end(&mut before).unwrap();
    let then = Metrics::parse(&before);
    for _ in 0..50 {
        // Events that change values.
        assert!(!mount.join("no such name").exists());
    }
    let now = mount.metrics();
    assert!(
        now.value("musefs_ops_total{op=\"lookup\"}")
            > then.value("musefs_ops_total{op=\"lookup\"}")
    );
    assert_eq!(now.names(), then.names());
    assert_eq!(read_again(&mut file), before);
    assert_eq!(file.metadata().unwrap().len(), before.len() as u64);
    assert_eq!(path.metadata().unwrap().len(), before.len() as u64);
    assert_eq!(before.len() % 4096, 0);
}

#[test]
fn many_readers_at_once_all_read_whole_texts() {
    require_fuse!();
    let library = Library::of_one();
    let mount = Mount::new(&library);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..25 {
                    Metrics::parse(&std::fs::read(mount.join(".musefs-metrics/metrics")).unwrap());
                }
            });
        }
    });
}
