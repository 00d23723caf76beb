//! The thread of a mount that keeps a file equal to its metrics, from memory: it never looks into the mount, so it can be
//! stuck on nothing but the file itself.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use musefs_core::stop::Stop;
use musefs_telemetry::{event_info, event_warn, logging};

use super::{Identity, Textfile};

/// Keeps a file, on a thread of its own.
#[derive(Debug)]
pub struct Keeper {
    stop: Arc<Stop>,
}

impl Keeper {
    /// Starts to write what `text` gives to `file`, now and at every `interval`. `text` may wait for the lane, and gives
    /// nothing when that is ending.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(
        file: Textfile,
        interval: Duration,
        text: impl Fn() -> Option<Arc<[u8]>> + Send + 'static,
    ) -> io::Result<Self> {
        let stop = Arc::new(Stop::default());
        let paced = Arc::clone(&stop);
        std::thread::Builder::new()
            .name("musefs-textfile".into())
            .spawn(move || {
                let mut keeping = Keeping {
                    file,
                    identity: None,
                    failed: None,
                };
                loop {
                    if let Some(text) = text() {
                        keeping.write(&text);
                    }
                    if !paced.goes_on_after(interval) {
                        break;
                    }
                }
                keeping.say_that_it_is_gone();
                paced.is_over();
            })?;
        Ok(Self { stop })
    }

    /// Has the file say that the mount is gone, and ends the thread; whether it ended before `deadline`: the file may lie on
    /// a disk that does not answer.
    pub fn stop(&self, deadline: Instant) -> bool {
        self.stop.ask_and_wait(deadline)
    }
}

struct Keeping {
    file: Textfile,
    /// Out of what was written last.
    identity: Option<Identity>,
    /// The last complaint, so that it is not repeated at every turn.
    failed: Option<String>,
}

impl Keeping {
    fn write(&mut self, text: &[u8]) {
        self.identity = Identity::of(text);
        let failed = self.file.write(text).err().map(|error| {
            // A cause tells what the system said.
            std::error::Error::source(&error)
                .map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
        });
        if self.failed != failed {
            if let Some(why) = &failed {
                event_warn!(
                    logging::internal(),
                    "textfile.write.failed",
                    message = %format_args!("{why}; trying again at every interval"),
                );
            } else {
                event_info!(
                    logging::internal(),
                    "textfile.write.recovered",
                    message = "the file of metrics is written again",
                    path = %self.file.path.display(),
                );
            }
        }
        self.failed = failed;
    }

    fn say_that_it_is_gone(&mut self) {
        if let Some(identity) = self.identity.take() {
            self.write(identity.down().as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Held;
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn the_file_follows_the_text_and_says_at_the_end_that_the_mount_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("musefs.prom");
        let file = Textfile {
            path: path.clone(),
            mode: 0o600,
            uid: None,
            gid: None,
            held: Held::default(),
        };
        let (turn, turns) = mpsc::channel();
        let keeper = Keeper::start(file, Duration::from_millis(1), move || {
            turn.send(()).ok();
            Some(Arc::from(&b"musefs_up{mount=\"m\"} 1\n# EOF\n"[..]))
        })
        .unwrap();
        // The first is written when the second is asked for.
        for _ in 0..2 {
            turns.recv_timeout(Duration::from_secs(60)).unwrap();
        }
        assert!(std::fs::read_to_string(&path).unwrap().contains("\"} 1\n"));
        assert!(keeper.stop(Instant::now() + Duration::from_secs(60)));
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "musefs_up{mount=\"m\"} 0\n# EOF\n"
        );
    }

    #[test]
    fn a_file_that_cannot_be_written_stops_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("gone");
        let file = Textfile {
            path: below.join("musefs.prom"),
            mode: 0o600,
            uid: None,
            gid: None,
            held: Held::default(),
        };
        let mut keeping = Keeping {
            file,
            identity: None,
            failed: None,
        };
        keeping.write(b"musefs_up 1\n# EOF\n");
        let failed = keeping.failed.clone().unwrap();
        assert!(failed.contains("make it first"), "{failed}");
        std::fs::create_dir(&below).unwrap();
        keeping.write(b"musefs_up 1\n# EOF\n");
        assert_eq!(keeping.failed, None);
        keeping.say_that_it_is_gone();
        assert_eq!(
            std::fs::read_to_string(below.join("musefs.prom")).unwrap(),
            "musefs_up 0\n# EOF\n"
        );
    }
}
