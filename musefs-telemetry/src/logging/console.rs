//! Lines for people, written at once or by a thread of their own.

use std::cell::Cell;
use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{Exporting, LINES_MAX};

thread_local! {
    /// Whether this thread writes a line, so that what a writer says itself finds the console taken.
    static WRITING: Cell<bool> = const { Cell::new(false) };
}

/// How often a flush looks again.
const FLUSH_STEP: Duration = Duration::from_millis(1);

/// Where lines go. Cloning shares it.
#[derive(Clone)]
pub(super) struct Console(Arc<Written>);

struct Written {
    to: Mutex<Box<dyn Write + Send>>,
    failed: AtomicU64,
}

impl fmt::Debug for Console {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Console")
    }
}

impl Console {
    pub(super) fn new(to: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Written {
            to: Mutex::new(Box::new(to)),
            failed: AtomicU64::new(0),
        }))
    }

    /// Writes a line. One that cannot be written is counted: there is nobody left to tell. So is one of the writer itself.
    pub(super) fn write(&self, line: &str) {
        if WRITING.replace(true) {
            self.0.failed.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let _exporting = Exporting::begin();
        let _writing = Writing;
        let mut to = self.0.to.lock().unwrap_or_else(PoisonError::into_inner);
        let written = to.write_all(format!("{line}\n").as_bytes());
        if written.and_then(|()| to.flush()).is_err() {
            self.0.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn failed(&self) -> u64 {
        self.0.failed.load(Ordering::Relaxed)
    }
}

/// A thread that writes a line.
struct Writing;

impl Drop for Writing {
    fn drop(&mut self) {
        WRITING.set(false);
    }
}

/// Lines on their way to a console. When it goes, the thread writes what is there and ends.
#[derive(Debug)]
pub(super) struct Queued {
    lines: SyncSender<String>,
    waiting: Arc<AtomicU64>,
    dropped: AtomicU64,
}

impl Queued {
    pub(super) fn start(console: Console) -> std::io::Result<Self> {
        let (lines, taken) = sync_channel(LINES_MAX);
        let waiting = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&waiting);
        thread::Builder::new()
            .name("telemetry-lines".into())
            .spawn(move || write_all(&console, &taken, &counted))?;
        Ok(Self {
            lines,
            waiting,
            dropped: AtomicU64::new(0),
        })
    }

    pub(super) fn offer(&self, line: String) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if self.lines.try_send(line).is_err() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn flush(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while self.waiting.load(Ordering::Acquire) != 0 {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(FLUSH_STEP);
        }
        true
    }
}

fn write_all(console: &Console, lines: &Receiver<String>, waiting: &AtomicU64) {
    for line in lines {
        console.write(&line);
        waiting.fetch_sub(1, Ordering::Release);
    }
}
