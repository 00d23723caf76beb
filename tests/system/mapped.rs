//! Backing files that change while the kernel copies out of their pages: nobody crashes or hangs, and what is read is what the
//! file was, or an error.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crate::support::audio::Sound;
use crate::support::library::{Library, ONE, ONE_SERVED};
use crate::support::mount::Mount;
use crate::support::{SOON, errno, within};

const READERS: usize = 4;
/// Large enough for a reply from a mapping.
const READ_BYTES: usize = 1 << 20;

/// Has readers read a file again and again while `change` is done to it; what was wrong with what they got, if anything.
fn read_while(what: &'static str, change: fn(&Path)) {
    let library = Library::new();
    let path = library.add("one.flac", Sound::LongFlac, ONE, false);
    library.scan();
    let flags = ["--mode", "structure-only", "--no-passthrough"];
    let mount = Mount::with(&library, &flags);
    let served = mount.join(ONE_SERVED);
    let original = std::fs::read(&path).unwrap();
    assert!(std::fs::read(&served).unwrap() == original);
    let counted = mount.metrics();
    assert_eq!(counted.sum("musefs_tracks_dark"), 0);

    let (changed, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    let (served, original) = (&served, &original);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                let (changed, rounds) = (&changed, &rounds);
                let file = File::open(served).unwrap();
                scope.spawn(move || {
                    let mut bytes = vec![0; READ_BYTES];
                    loop {
                        let is_last = changed.load(Relaxed);
                        // Past what the kernel remembers, so that each read arrives.
                        forget(&file);
                        for offset in (0..original.len()).step_by(READ_BYTES) {
                            match file.read_at(&mut bytes, offset as u64) {
                                Ok(count) => assert!(
                                    bytes[..count] == original[offset..][..count],
                                    "{what}: other bytes at {offset}"
                                ),
                                Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EIO)),
                            }
                        }
                        rounds.fetch_add(1, Relaxed);
                        if is_last {
                            return;
                        }
                    }
                })
            })
            .collect();
        while rounds.load(Relaxed) < READERS as u64 {
            std::thread::yield_now();
        }
        change(&path);
        changed.store(true, Relaxed);
        for reader in readers {
            reader.join().unwrap();
        }
    });
    assert_eq!(errno(&File::open(served)), libc::EIO, "{what}");
    let metrics = mount.metrics();
    assert_eq!(metrics.value("musefs_tracks_dark{reason=\"changed\"}"), 1);
    assert!(metrics.value("musefs_backing_failures_total{reason=\"changed\"}") > 0);
    assert_eq!(metrics.value("musefs_requests_total{way=\"panicked\"}"), 0);
    mount.stop().is_calm();
}

/// Has the kernel drop what it remembers of a file.
fn forget(file: &File) {
    nix::fcntl::posix_fadvise(
        file,
        0,
        0,
        nix::fcntl::PosixFadviseAdvice::POSIX_FADV_DONTNEED,
    )
    .unwrap();
}

#[test]
fn a_file_that_is_cut_under_its_readers() {
    require_fuse!();
    within(SOON, "reading", || {
        read_while("cut", |path| {
            let file = File::options().write(true).open(path).unwrap();
            file.set_len(3 << 20).unwrap();
        });
    });
}

#[test]
fn a_file_that_is_emptied_under_its_readers() {
    require_fuse!();
    within(SOON, "reading", || {
        read_while("emptied", |path| {
            File::create(path).unwrap();
        });
    });
}

#[test]
fn a_file_that_is_replaced_under_its_readers() {
    require_fuse!();
    within(SOON, "reading", || {
        read_while("replaced", |path| {
            let other = path.with_file_name("other");
            std::fs::write(&other, vec![1; 5 << 20]).unwrap();
            std::fs::rename(other, path).unwrap();
        });
    });
}

#[test]
fn a_file_that_grows_under_its_readers() {
    require_fuse!();
    within(SOON, "reading", || {
        read_while("grown", |path| {
            let mut file = File::options().append(true).open(path).unwrap();
            file.write_all(&[1; 10_000]).unwrap();
        });
    });
}
