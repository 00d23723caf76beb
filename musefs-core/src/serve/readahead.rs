//! Read-ahead in the daemon: one window per open file, for streams that prove sequential on devices that must be waited
//! for. Nothing is read ahead of random reads, nor where the page cache answers at once.
//!
//! All windows together stay within a budget; a stream that finds none left reads just what it was asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes of one window.
pub(super) const WINDOW_BYTES: usize = 1 << 20;
/// Reads that must follow one another before a window is filled.
const SEQUENTIAL_READS_MIN: u32 = 2;

/// The bytes that all windows may hold, and do hold.
#[derive(Debug, Default)]
pub(super) struct Budget {
    bytes_max: u64,
    charged: AtomicU64,
}

impl Budget {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self {
            bytes_max,
            charged: AtomicU64::new(0),
        }
    }

    pub(super) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    pub(super) fn charged(&self) -> u64 {
        self.charged.load(Relaxed)
    }

    /// Room for one window, if the budget has it.
    pub(super) fn charge(self: &Arc<Self>) -> Option<Charge> {
        let window = WINDOW_BYTES as u64;
        self.charged
            .fetch_update(Relaxed, Relaxed, |charged| {
                (charged + window <= self.bytes_max).then_some(charged + window)
            })
            .ok()
            .map(|_| Charge(Arc::clone(self)))
    }
}

/// A window's share of the budget, given back when dropped.
#[derive(Debug)]
pub(super) struct Charge(Arc<Budget>);

impl Drop for Charge {
    fn drop(&mut self) {
        self.0.charged.fetch_sub(WINDOW_BYTES as u64, Relaxed);
    }
}

/// Backing bytes that were read before they were asked for.
#[derive(Debug)]
pub(super) struct Window {
    /// Where the bytes start in the backing file.
    pub offset: u64,
    pub bytes: Vec<u8>,
    pub _charge: Charge,
}

/// How a handle has been read so far.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Where in the backing file a sequential reader comes next.
    next_offset: u64,
    sequential_reads: u32,
    window: Option<Window>,
}

impl Stream {
    /// Copies `into.len()` backing bytes from `offset` out of the window; whether it held them all.
    pub(super) fn take(&mut self, offset: u64, into: &mut [u8]) -> bool {
        let Some(window) = &self.window else {
            return false;
        };
        let Some(skip) = offset
            .checked_sub(window.offset)
            .and_then(|skip| usize::try_from(skip).ok())
        else {
            return false;
        };
        let Some(held) = window
            .bytes
            .get(skip..)
            .and_then(|rest| rest.get(..into.len()))
        else {
            return false;
        };
        into.copy_from_slice(held);
        self.next_offset = offset + into.len() as u64;
        true
    }

    /// Notes a read of `len` backing bytes from `offset` that no window held; whether the stream has proved sequential. A
    /// window that a stream has left is given back.
    pub(super) fn note(&mut self, offset: u64, len: usize) -> bool {
        self.window = None;
        if offset == self.next_offset {
            self.sequential_reads = self.sequential_reads.saturating_add(1);
        } else {
            self.sequential_reads = 1;
        }
        self.next_offset = offset + len as u64;
        self.sequential_reads > SEQUENTIAL_READS_MIN
    }

    pub(super) fn keep(&mut self, window: Window) {
        self.window = Some(window);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(budget: &Arc<Budget>, offset: u64) -> Window {
        Window {
            offset,
            bytes: (0..100).collect(),
            _charge: budget.charge().unwrap(),
        }
    }

    #[test]
    fn only_what_follows_counts_as_sequential() {
        let mut stream = Stream::default();
        assert!(!stream.note(0, 10));
        assert!(!stream.note(10, 10));
        assert!(stream.note(20, 10));
        assert!(!stream.note(500, 10));
        assert!(!stream.note(100, 10));
    }

    #[test]
    fn a_window_answers_what_it_holds_and_is_given_back() {
        let budget = Arc::new(Budget::new(WINDOW_BYTES as u64));
        let mut stream = Stream::default();
        stream.keep(window(&budget, 1000));
        assert_eq!(budget.charged(), WINDOW_BYTES as u64);
        assert!(budget.charge().is_none());
        let mut two = [0; 2];
        assert!(stream.take(1098, &mut two));
        assert_eq!(two, [98, 99]);
        assert!(!stream.take(1099, &mut two));
        assert!(!stream.take(999, &mut two));
        stream.note(5000, 2);
        assert_eq!(budget.charged(), 0);
    }
}
