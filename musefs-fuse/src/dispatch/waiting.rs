//! The requests that another thread is to answer, oldest first.
//!
//! How long the oldest of each operation has waited can be asked without the lock: it is written beside each change.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::metrics::Operation;

/// Where a request is in the list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    operation: Operation,
    number: u64,
}

/// A list of requests `R`.
#[derive(Debug)]
pub(super) struct Waiting<R> {
    lists: Mutex<Lists<R>>,
    /// When the oldest request of each operation came, in nanoseconds after `origin`; 0 when there is none.
    oldest: [AtomicU64; Operation::COUNT],
    /// Before any request.
    origin: Instant,
}

#[derive(Debug)]
struct Lists<R> {
    by_operation: [BTreeMap<u64, (Instant, R)>; Operation::COUNT],
    next: u64,
}

impl<R> Waiting<R> {
    pub(super) fn new() -> Self {
        Self {
            lists: Mutex::new(Lists {
                by_operation: std::array::from_fn(|_| BTreeMap::new()),
                next: 0,
            }),
            oldest: std::array::from_fn(|_| AtomicU64::new(0)),
            origin: Instant::now(),
        }
    }

    /// Adds a request that came at `now`.
    pub(super) fn add(&self, operation: Operation, now: Instant, request: R) -> Ticket {
        let mut lists = self.lists.lock();
        let number = lists.next;
        lists.next += 1;
        let list = &mut lists.by_operation[operation as usize];
        list.insert(number, (now, request));
        if list.len() == 1 {
            self.note_oldest(operation, list);
        }
        Ticket { operation, number }
    }

    /// Takes a request out, unless it was taken before.
    pub(super) fn remove(&self, ticket: Ticket) {
        let mut lists = self.lists.lock();
        let list = &mut lists.by_operation[ticket.operation as usize];
        let removed = list.remove(&ticket.number);
        self.note_oldest(ticket.operation, list);
        drop(lists);
        drop(removed);
    }

    /// Takes out all requests that came `patience` or longer before `now`, oldest first.
    pub(super) fn take_overdue(&self, now: Instant, patience: Duration) -> Vec<R> {
        let mut overdue = Vec::new();
        let mut lists = self.lists.lock();
        for operation in Operation::ALL {
            let list = &mut lists.by_operation[operation as usize];
            while let Some(oldest) = list.first_entry()
                && oldest.get().0 + patience <= now
            {
                let (number, (_, request)) = oldest.remove_entry();
                overdue.push((number, request));
            }
            self.note_oldest(operation, list);
        }
        drop(lists);
        overdue.sort_unstable_by_key(|(number, _)| *number);
        overdue.into_iter().map(|(_, request)| request).collect()
    }

    fn note_oldest(&self, operation: Operation, list: &BTreeMap<u64, (Instant, R)>) {
        let came = list.first_key_value().map_or(0, |(_, (came, _))| {
            let after = came.saturating_duration_since(self.origin).as_nanos();
            u64::try_from(after).unwrap_or(u64::MAX).max(1)
        });
        self.oldest[operation as usize].store(came, Relaxed);
    }

    /// How long the oldest waiting request has waited at `now`; nothing when none waits. Takes no lock.
    pub(super) fn oldest(&self, operation: Operation, now: Instant) -> Duration {
        match self.oldest[operation as usize].load(Relaxed) {
            0 => Duration::ZERO,
            came => now.saturating_duration_since(self.origin + Duration::from_nanos(came)),
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        let lists = self.lists.lock();
        lists.by_operation.iter().all(BTreeMap::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_each_operation_is_known_and_goes_first() {
        let waiting = Waiting::new();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let ages = |now| {
            [Operation::Open, Operation::Read]
                .map(|operation| waiting.oldest(operation, now).as_secs())
        };
        assert_eq!(ages(at(9)), [0, 0]);
        let first = waiting.add(Operation::Read, at(1), "first");
        waiting.add(Operation::Read, at(3), "second");
        waiting.add(Operation::Open, at(4), "other");
        assert_eq!(ages(at(9)), [5, 8]);
        waiting.remove(first);
        assert_eq!(ages(at(9)), [5, 6]);
        let patience = Duration::from_secs(6);
        assert!(waiting.take_overdue(at(8), patience).is_empty());
        assert_eq!(waiting.take_overdue(at(9), patience), ["second"]);
        assert_eq!(ages(at(9)), [5, 0]);
        waiting.add(Operation::Read, at(9), "third");
        assert_eq!(waiting.take_overdue(at(15), patience), ["other", "third"]);
        waiting.remove(first);
        assert!(waiting.is_empty());
        assert_eq!(ages(at(20)), [0, 0]);
    }
}
