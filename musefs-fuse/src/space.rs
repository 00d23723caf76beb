//! What is free on the backing filesystems, as a background probe last saw it: asking may hang on a dead network mount, so
//! no request does.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use musefs_core::stop::Stop;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(30);

/// Free bytes, and the thread that looks.
#[derive(Debug, Default)]
pub struct FreeSpace {
    bytes: AtomicU64,
    roots: Vec<PathBuf>,
    stop: Stop,
}

impl FreeSpace {
    /// Starts to look after the filesystems that `roots` lie on.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn watch(roots: Vec<PathBuf>) -> std::io::Result<Arc<Self>> {
        let space = Arc::new(Self {
            roots,
            ..Self::default()
        });
        let probe = Arc::clone(&space);
        std::thread::Builder::new()
            .name("musefs-space".into())
            .spawn(move || {
                probe.look();
                while probe.stop.goes_on_after(INTERVAL) {
                    probe.look();
                }
                probe.stop.is_over();
            })?;
        Ok(space)
    }

    /// Free bytes of all backing filesystems together, each counted once.
    pub fn free_bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Ends the thread; whether it ended before `deadline`: it may be stuck on a filesystem that does not answer.
    pub fn stop(&self, deadline: Instant) -> bool {
        self.stop.ask_and_wait(deadline)
    }

    fn look(&self) {
        let mut seen = Vec::new();
        let mut free = 0;
        for root in &self.roots {
            let Ok(device) = nix::sys::stat::stat(root).map(|stat| stat.st_dev) else {
                continue;
            };
            if seen.contains(&device) {
                continue;
            }
            seen.push(device);
            if let Ok(space) = nix::sys::statvfs::statvfs(root) {
                free += space.blocks_available() * space.fragment_size();
            }
        }
        self.bytes.store(free, Relaxed);
    }
}
