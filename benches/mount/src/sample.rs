//! The measuring itself: each function does one thing to files or directories, and returns how long that took or how much of
//! it went through in a second. Nothing here knows what is mounted where.

use std::alloc::Layout;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, anyhow, ensure};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

const SEQUENTIAL_BYTES: usize = 1 << 20;
/// Of each random read.
pub const RANDOM_BYTES: usize = 4096;

/// Makes the kernel drop what it has cached of a file, of this filesystem alone.
pub fn forget(path: &Path) -> anyhow::Result<()> {
    let file = File::open(path)?;
    // A page that read-ahead is still filling is not dropped the first time.
    for _ in 0..2 {
        posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
    }
    Ok(())
}

/// Reads a file from its beginning to its end: gigabytes (10⁹) in a second.
pub fn sequential(path: &Path) -> anyhow::Result<f64> {
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    let mut buffer = vec![0; SEQUENTIAL_BYTES];
    let start = Instant::now();
    let mut bytes = 0_u64;
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => bytes += count as u64,
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    ensure!(
        bytes == file.metadata()?.len(),
        "a short read of {bytes} bytes"
    );
    Ok(as_float(bytes) / 1e9 / seconds)
}

/// Reads `count` blocks of 4 KiB at random places in each of `jobs` threads, past the page cache: reads in a second, of all
/// threads together.
pub fn random(path: &Path, jobs: usize, count: u64) -> anyhow::Result<f64> {
    let blocks = path.metadata()?.len() / RANDOM_BYTES as u64;
    ensure!(blocks > 0, "the file is too small");
    let start = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs)
            .map(|job| scope.spawn(move || random_job(path, job as u64, count, blocks)))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| anyhow!("a job panicked"))?)
    })?;
    Ok(as_float(count * jobs as u64) / start.elapsed().as_secs_f64())
}

fn random_job(path: &Path, job: u64, count: u64, blocks: u64) -> anyhow::Result<()> {
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_DIRECT)
        .open(path)?;
    // Direct reads want memory that begins where a page does.
    let layout = Layout::from_size_align(RANDOM_BYTES, RANDOM_BYTES)?;
    let mut memory = vec![0; layout.size() + layout.align()];
    let skipped = memory.as_ptr().align_offset(layout.align());
    let buffer = &mut memory[skipped..skipped + layout.size()];
    let mut state = 0x9E37_79B9_7F4A_7C15 ^ job;
    for _ in 0..count {
        // xorshift64: any order that no read-ahead can guess will do, but each run must have the same.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let offset = state % blocks * RANDOM_BYTES as u64;
        let read = file.read_at(buffer, offset)?;
        ensure!(read == RANDOM_BYTES, "a short read of {read} bytes");
    }
    Ok(())
}

/// Opens and closes a file `count` times: microseconds for each.
pub fn open_close(path: &Path, count: u32) -> anyhow::Result<f64> {
    let start = Instant::now();
    for _ in 0..count {
        drop(File::open(path)?);
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / f64::from(count))
}

/// Opens, reads whole and closes a file `count` times: milliseconds for each.
pub fn open_read_close(path: &Path, count: u32) -> anyhow::Result<f64> {
    let mut buffer = Vec::new();
    let start = Instant::now();
    for _ in 0..count {
        buffer.clear();
        File::open(path)?.read_to_end(&mut buffer)?;
        ensure!(!buffer.is_empty(), "{} is empty", path.display());
    }
    Ok(start.elapsed().as_secs_f64() * 1e3 / f64::from(count))
}

/// Reads each file whole, once: seconds for all.
pub fn whole_files(paths: &[PathBuf]) -> anyhow::Result<f64> {
    let mut buffer = Vec::new();
    let start = Instant::now();
    for path in paths {
        buffer.clear();
        let read = File::open(path).and_then(|mut file| file.read_to_end(&mut buffer));
        let count = read.with_context(|| path.display().to_string())?;
        ensure!(count > 0, "{} is empty", path.display());
    }
    Ok(start.elapsed().as_secs_f64())
}

/// Walks a directory as `find -type f -printf %s` does: seconds. `files` must be found; what begins with a dot is no music.
pub fn walk(dir: &Path, files: usize) -> anyhow::Result<f64> {
    let start = Instant::now();
    let found = Command::new("find")
        .current_dir(dir)
        .args([".", "-path", "./.*", "-prune"])
        .args(["-o", "-type", "f", "-printf", "%s\n"])
        .stderr(Stdio::inherit())
        .output()
        .context("find")?;
    let seconds = start.elapsed().as_secs_f64();
    let lines = String::from_utf8_lossy(&found.stdout).lines().count();
    ensure!(
        found.status.success() && lines == files,
        "{lines} files in {}, not {files}",
        dir.display()
    );
    Ok(seconds)
}

/// Lists a directory: milliseconds.
pub fn list(dir: &Path) -> anyhow::Result<f64> {
    let start = Instant::now();
    let entries = dir.read_dir()?.count();
    let milliseconds = start.elapsed().as_secs_f64() * 1e3;
    ensure!(entries > 0, "{} is empty", dir.display());
    Ok(milliseconds)
}

/// Drops what the kernel can of names and inodes, and with `pages` also of the page cache, of all filesystems.
pub fn drop_caches(pages: bool) -> anyhow::Result<()> {
    nix::unistd::sync();
    let what = if pages { "3" } else { "2" };
    std::fs::write("/proc/sys/vm/drop_caches", what).context("dropping caches needs root")
}

/// The nearest float; what is counted here is far below 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "counts of bytes and reads")]
pub fn as_float(count: u64) -> f64 {
    count as f64
}
