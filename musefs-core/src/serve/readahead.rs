//! Read-ahead in the daemon: one window per open file, for streams that prove sequential on devices whose reads take long.
//! Nothing is read ahead of random reads, nor where a read is answered at once.
//!
//! All windows together stay within a budget. A stream that finds none left takes from the one that was read the longest ago,
//! once nobody has read that for a while; were it taken earlier, what it holds would be read twice. Else it reads just what
//! it was asked for.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Bytes of one window.
pub(super) const WINDOW_BYTES: usize = 1 << 20;
/// Reads that must follow one another before a window is filled.
const SEQUENTIAL_READS_MIN: u32 = 2;
/// How long nobody has read a window that is taken for another stream.
const IDLE: Duration = Duration::from_secs(1);

/// The bytes that all windows may hold, and do hold.
#[derive(Debug)]
pub(super) struct Budget {
    bytes_max: u64,
    charged: AtomicU64,
    /// The streams that may have windows.
    streams: Mutex<Vec<Weak<Stream>>>,
    began: Instant,
}

/// Time since a budget was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(Duration);

impl Budget {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self {
            bytes_max,
            charged: AtomicU64::new(0),
            streams: Mutex::default(),
            began: Instant::now(),
        }
    }

    pub(super) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    pub(super) fn charged(&self) -> u64 {
        self.charged.load(Relaxed)
    }

    /// `now` as streams remember it.
    pub(super) fn moment(&self, now: Instant) -> Moment {
        Moment(now.saturating_duration_since(self.began))
    }

    /// Room for `bytes`, if the budget has it.
    fn charge(self: &Arc<Self>, bytes: u64) -> Option<Charge> {
        self.charged
            .fetch_update(Relaxed, Relaxed, |charged| {
                let after = charged.checked_add(bytes)?;
                (after <= self.bytes_max).then_some(after)
            })
            .ok()
            .map(|_| Charge {
                budget: Arc::clone(self),
                bytes,
            })
    }

    /// Room for `bytes` of a window of `stream`: its own windows are given up for it, and those of streams that nobody reads.
    fn charge_for(
        self: &Arc<Self>,
        stream: &Arc<Stream>,
        bytes: u64,
        now: Moment,
    ) -> Option<Charge> {
        let mut charge = self.charge(bytes);
        if charge.is_none() {
            stream.state.lock().give_back();
            charge = self.charge(bytes);
        }
        while charge.is_none() && self.evict_idle(stream, now) {
            charge = self.charge(bytes);
        }
        if charge.is_some() && !stream.is_listed.swap(true, Relaxed) {
            let mut streams = self.streams.lock();
            if streams.len() == streams.capacity() {
                streams.retain(|stream| stream.strong_count() > 0);
            }
            streams.push(Arc::downgrade(stream));
        }
        charge
    }

    /// Takes the windows of the stream that was read the longest ago, not counting `needy`; whether there is one that has been
    /// idle at `now`.
    fn evict_idle(&self, needy: &Arc<Stream>, now: Moment) -> bool {
        let Some(idle_since) = now.0.checked_sub(IDLE) else {
            return false;
        };
        let victim = {
            let mut streams = self.streams.lock();
            streams.retain(|stream| stream.strong_count() > 0);
            let oldest = streams
                .iter()
                .enumerate()
                .filter_map(|(index, stream)| Some((index, stream.upgrade()?)))
                .filter(|(_, stream)| !Arc::ptr_eq(stream, needy))
                .map(|(index, stream)| (stream.last_read(), index, stream))
                .filter(|(last_read, ..)| *last_read <= idle_since)
                .min_by_key(|(last_read, ..)| *last_read);
            let Some((_, index, stream)) = oldest else {
                return false;
            };
            streams.swap_remove(index);
            stream.is_listed.store(false, Relaxed);
            stream
        };
        victim.state.lock().give_back();
        true
    }
}

/// A window's share of the budget, given back when dropped.
#[derive(Debug)]
struct Charge {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.charged.fetch_sub(self.bytes, Relaxed);
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
    /// When it was last read, in ns since its budget was made.
    last_read_ns: AtomicU64,
    /// Whether its budget knows that it may have windows.
    is_listed: AtomicBool,
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
    fn last_read(&self) -> Duration {
        Duration::from_nanos(self.last_read_ns.load(Relaxed))
    }

    /// Copies the first of `into.len()` backing bytes from `offset` out of the windows; how many they hold. Waits for a
    /// window that is being filled with them.
    pub(super) fn take(&self, offset: u64, into: &mut [u8], now: Moment) -> usize {
        let nanoseconds = u64::try_from(now.0.as_nanos()).unwrap_or(u64::MAX);
        self.last_read_ns.store(nanoseconds, Relaxed);
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

    /// Notes a read of `len` backing bytes from `offset` that no window holds. With a budget, and where the stream has proved
    /// sequential and there is room, the caller is to fill a window with them and what follows in the file of `file_len` bytes.
    pub(super) fn begin(
        self: &Arc<Self>,
        offset: u64,
        len: usize,
        file_len: u64,
        budget: Option<&Arc<Budget>>,
        now: Moment,
    ) -> Option<Filling<'_>> {
        let range = offset..file_len.min(offset + WINDOW_BYTES as u64);
        {
            let mut state = self.state.lock();
            let sequential = state.note(offset, len);
            if !sequential || budget.is_none() || len >= WINDOW_BYTES || state.filling.is_some() {
                return None;
            }
            state.filling = Some(range.clone());
        }
        // From here on the stream's lock is free: making room may take that of another stream.
        let mut filling = Filling {
            stream: self,
            range,
            charge: None,
        };
        let bytes = filling.range.end.saturating_sub(offset);
        filling.charge = Some(budget?.charge_for(self, bytes, now)?);
        Some(filling)
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
mod tests;
