//! What an open metrics text promises: no reader waits for it, and it stays what it is while it is open.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;

use crate::support::library::Library;
use crate::support::metrics::Metrics;
use crate::support::mount::Mount;
use crate::support::process::read_again;
use crate::support::python;

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
    let library = Library::of_one();
    let mount = Mount::new(&library);
    let path = mount.join(".musefs-metrics/metrics");
    let text = python::script(READ, [&path]).done().stdout;
    assert_eq!(text.len() as u64, path.metadata().unwrap().len());
    assert_eq!(Metrics::parse(&text).names(), mount.metrics().names());
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
