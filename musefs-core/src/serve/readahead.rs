//! Read-ahead in the daemon: one window per open file, for streams that prove sequential on devices that must be waited
//! for. Nothing is read ahead of random reads, nor where the page cache answers at once.
//!
//! All windows together stay within a budget; a stream that finds none left reads just what it was asked for.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::{Condvar, Mutex};

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
struct Window {
    /// Where the bytes start in the backing file.
    offset: u64,
    bytes: Vec<u8>,
    _charge: Charge,
}

impl Window {
    fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }

    /// Copies what it has of `into.len()` backing bytes from `offset`; how many that is.
    fn copy(&self, offset: u64, into: &mut [u8]) -> usize {
        let held = offset
            .checked_sub(self.offset)
            .and_then(|skip| self.bytes.get(usize::try_from(skip).ok()?..))
            .unwrap_or_default();
        let count = held.len().min(into.len());
        into[..count].copy_from_slice(&held[..count]);
        count
    }
}

/// How a handle has been read so far. The kernel asks for several parts of a file at once, and threads take them in any
/// order: who needs bytes that another thread is reading waits for them, so that none is read twice.
#[derive(Debug, Default)]
pub(super) struct Stream {
    state: Mutex<State>,
    /// A window was filled, or could not be.
    filled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Where in the backing file a sequential reader comes next.
    next_offset: u64,
    sequential_reads: u32,
    window: Option<Window>,
    /// The one before, for those who were overtaken.
    previous: Option<Window>,
    /// What a thread is reading for the next window.
    filling: Option<Range<u64>>,
}

impl State {
    /// Notes a read of `len` backing bytes from `offset` that no window held; whether the stream has proved sequential.
    /// Windows that a stream has left are given back.
    fn note(&mut self, offset: u64, len: usize) -> bool {
        let follows = offset == self.next_offset
            || self
                .window
                .as_ref()
                .is_some_and(|window| window.end() == offset);
        if follows {
            self.sequential_reads = self.sequential_reads.saturating_add(1);
        } else {
            self.sequential_reads = 1;
            self.give_back();
        }
        self.next_offset = offset + len as u64;
        self.sequential_reads > SEQUENTIAL_READS_MIN
    }

    fn give_back(&mut self) {
        self.window = None;
        self.previous = None;
    }
}

impl Stream {
    /// Copies the first of `into.len()` backing bytes from `offset` out of the windows; how many they hold. Waits for a
    /// window that is being filled with them.
    pub(super) fn take(&self, offset: u64, into: &mut [u8]) -> usize {
        let mut state = self.state.lock();
        let mut count = 0;
        loop {
            let (offset, rest) = (offset + count as u64, &mut into[count..]);
            let held = |window: &Option<Window>, into: &mut [u8]| {
                window
                    .as_ref()
                    .map_or(0, |window| window.copy(offset, into))
            };
            let from_previous = held(&state.previous, rest);
            let copied = if from_previous > 0 {
                from_previous
            } else {
                let from_window = held(&state.window, rest);
                if from_window > 0 {
                    state.next_offset = offset + from_window as u64;
                }
                from_window
            };
            count += copied;
            let is_coming = state
                .filling
                .as_ref()
                .is_some_and(|range| range.contains(&offset));
            if count == into.len() || (copied == 0 && !is_coming) {
                return count;
            }
            if copied == 0 {
                self.filled.wait(&mut state);
            }
        }
    }

    /// Notes a read of `len` backing bytes from `offset` that no window holds. Where the stream has proved sequential, and
    /// the budget has room, the caller is to fill a window with them and what follows in the file of `file_len` bytes.
    pub(super) fn begin(
        &self,
        offset: u64,
        len: usize,
        file_len: u64,
        budget: &Arc<Budget>,
    ) -> Option<Filling<'_>> {
        let mut state = self.state.lock();
        let sequential = state.note(offset, len);
        if !sequential || len >= WINDOW_BYTES || state.filling.is_some() {
            return None;
        }
        let charge = budget.charge().or_else(|| {
            state.give_back();
            budget.charge()
        })?;
        let range = offset..file_len.min(offset + WINDOW_BYTES as u64);
        state.filling = Some(range.clone());
        Some(Filling {
            stream: self,
            range,
            charge: Some(charge),
        })
    }
}

/// A window that is being filled. Dropped without being kept, it sets those free who wait for it.
#[derive(Debug)]
pub(super) struct Filling<'a> {
    stream: &'a Stream,
    /// What is to be read of the backing file.
    pub(super) range: Range<u64>,
    charge: Option<Charge>,
}

impl Filling<'_> {
    /// Keeps what was read.
    pub(super) fn keep(mut self, bytes: Vec<u8>) {
        let window = self.charge.take().map(|charge| Window {
            offset: self.range.start,
            bytes,
            _charge: charge,
        });
        let mut state = self.stream.state.lock();
        state.previous = state.window.take();
        state.window = window;
    }
}

impl Drop for Filling<'_> {
    fn drop(&mut self) {
        self.stream.state.lock().filling = None;
        self.stream.filled.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(stream: &Stream, offset: u64, budget: &Arc<Budget>) {
        let filling = stream.begin(offset, 10, u64::MAX, budget).unwrap();
        let bytes = vec![7; WINDOW_BYTES];
        filling.keep(bytes);
    }

    #[test]
    fn only_what_follows_counts_as_sequential() {
        let mut state = State::default();
        assert!(!state.note(0, 10));
        assert!(!state.note(10, 10));
        assert!(state.note(20, 10));
        assert!(!state.note(500, 10));
        assert!(!state.note(100, 10));
    }

    #[test]
    fn windows_answer_what_they_hold_and_are_given_back() {
        const WINDOW: u64 = WINDOW_BYTES as u64;
        let budget = Arc::new(Budget::new(2 * WINDOW));
        let stream = Stream::default();
        for offset in [0, 10] {
            assert!(stream.begin(offset, 10, u64::MAX, &budget).is_none());
        }
        fill(&stream, 20, &budget);
        assert_eq!(budget.charged(), WINDOW);
        let mut ten = [0; 10];
        assert_eq!(stream.take(1000, &mut ten), 10);
        assert_eq!(stream.take(19, &mut ten), 0);
        // The end of one window, and the next that begins there.
        assert_eq!(stream.take(20 + WINDOW - 4, &mut ten), 4);
        fill(&stream, 20 + WINDOW, &budget);
        assert_eq!(stream.take(20 + WINDOW - 4, &mut ten), 10);
        assert_eq!(budget.charged(), 2 * WINDOW);
        // The budget has room for no third: older ones go.
        fill(&stream, 20 + 2 * WINDOW, &budget);
        assert_eq!(budget.charged(), WINDOW);
        assert!(stream.begin(5, 10, u64::MAX, &budget).is_none());
        assert_eq!(budget.charged(), 0);
    }

    #[test]
    fn who_needs_what_is_being_read_waits_for_it() {
        let budget = Arc::new(Budget::new(2 * WINDOW_BYTES as u64));
        let stream = Stream::default();
        for offset in [0, 10] {
            assert!(stream.begin(offset, 10, u64::MAX, &budget).is_none());
        }
        let filling = stream.begin(20, 10, u64::MAX, &budget).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| stream.take(500, &mut [0; 10]));
            filling.keep(vec![7; WINDOW_BYTES]);
            assert_eq!(waiting.join().unwrap(), 10);
        });
        let filling = stream.begin(20 + WINDOW_BYTES as u64, 10, u64::MAX, &budget);
        let beyond = 100 + WINDOW_BYTES as u64;
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| stream.take(beyond, &mut [0; 10]));
            drop(filling);
            assert_eq!(waiting.join().unwrap(), 0, "it could not be read");
        });
    }
}
