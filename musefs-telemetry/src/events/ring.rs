//! The last few of something, in memory that never grows.
//!
//! A writer never waits: when a reader just copies the place that is next, the record is lost and counted.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError, TryLockError};

/// What is in a place: how many came before it, and itself.
type Place<T> = Mutex<Option<(u64, T)>>;

/// The last records. On lines of its own, so that rings side by side share none.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Ring<T> {
    places: Box<[Place<T>]>,
    pushed: AtomicU64,
    missed: AtomicU64,
}

impl<T: Copy> Ring<T> {
    pub(super) fn new(len: usize) -> Self {
        Self {
            places: (0..len).map(|_| Mutex::new(None)).collect(),
            pushed: AtomicU64::new(0),
            missed: AtomicU64::new(0),
        }
    }

    pub(super) fn push(&self, record: T) {
        let position = self.pushed.fetch_add(1, Relaxed);
        let Some(index) = position.checked_rem(self.places.len() as u64) else {
            return;
        };
        let index = usize::try_from(index).expect("an index below a length");
        let mut place = match self.places[index].try_lock() {
            Ok(place) => place,
            Err(TryLockError::Poisoned(place)) => place.into_inner(),
            Err(TryLockError::WouldBlock) => {
                self.missed.fetch_add(1, Relaxed);
                return;
            }
        };
        // Who was overtaken by a whole round comes too late.
        if place.is_none_or(|(there, _)| there < position) {
            *place = Some((position, record));
        }
    }

    /// Copies of what is there, the oldest first.
    pub(super) fn copies(&self) -> Vec<T> {
        let places = self.places.iter();
        let mut records: Vec<_> = places
            .filter_map(|place| *place.lock().unwrap_or_else(PoisonError::into_inner))
            .collect();
        records.sort_by_key(|(position, _)| *position);
        records.into_iter().map(|(_, record)| record).collect()
    }

    /// What a reader holds while it copies the place at `index`.
    #[cfg(test)]
    pub(super) fn lock_for_test(
        &self,
        index: usize,
    ) -> std::sync::MutexGuard<'_, Option<(u64, T)>> {
        self.places[index].lock().expect("no test panics with it")
    }

    /// How many were pushed that are not there, at least.
    pub(super) fn evicted(&self) -> u64 {
        let pushed = self.pushed.load(Relaxed);
        pushed.saturating_sub(self.places.len() as u64) + self.missed.load(Relaxed)
    }
}

/// How many rings the threads of a process share.
const SHARDS: usize = 8;

/// Rings of which each thread writes one, so that threads do not hit the same lines.
#[derive(Debug)]
pub(super) struct Shards<T>([Ring<T>; SHARDS]);

static NEXT_SHARD: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SHARD: Cell<Option<usize>> = const { Cell::new(None) };
}

impl<T: Copy> Shards<T> {
    pub(super) fn new(len: usize) -> Self {
        Self(std::array::from_fn(|_| Ring::new(len)))
    }

    #[inline]
    pub(super) fn push(&self, record: T) {
        let shard = SHARD.get().unwrap_or_else(|| {
            let shard = NEXT_SHARD.fetch_add(1, Relaxed) % SHARDS;
            SHARD.set(Some(shard));
            shard
        });
        self.0[shard].push(record);
    }

    /// Copies of what is there, in no order.
    pub(super) fn copies(&self) -> Vec<T> {
        self.0.iter().flat_map(Ring::copies).collect()
    }

    pub(super) fn evicted(&self) -> u64 {
        self.0.iter().map(Ring::evicted).sum()
    }
}
