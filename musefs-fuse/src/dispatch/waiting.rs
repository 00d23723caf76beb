//! The requests that another thread is to answer, oldest first.
//!
//! How long the oldest of each operation has waited can be asked without the lock, and so can which requests wait: both is
//! written beside each change.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::inflight::{Asked, Inflight, Place};
use crate::metrics::{Operation, OperationPhase};

/// Where a request is in the list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    operation: Operation,
    number: u64,
    /// Where it can be seen without the lock, if there was room.
    place: Option<Place>,
}

/// A list of requests `R`.
#[derive(Debug)]
pub(super) struct Waiting<R> {
    lists: Mutex<Lists<R>>,
    /// When the oldest request of each operation came, in nanoseconds after `origin`; 0 when there is none.
    oldest: [AtomicU64; Operation::COUNT],
    seen: Inflight,
    /// Before any request.
    origin: Instant,
}

#[derive(Debug)]
struct Lists<R> {
    by_operation: [BTreeMap<u64, Entry<R>>; Operation::COUNT],
    next: u64,
    /// Places that no request has.
    free: Vec<Place>,
}

#[derive(Debug)]
struct Entry<R> {
    came: Instant,
    place: Option<Place>,
    request: R,
}

impl<R> Waiting<R> {
    pub(super) fn new() -> Self {
        let (seen, free) = Inflight::new();
        Self {
            lists: Mutex::new(Lists {
                by_operation: std::array::from_fn(|_| BTreeMap::new()),
                next: 1,
                free,
            }),
            seen,
            oldest: std::array::from_fn(|_| AtomicU64::new(0)),
            origin: Instant::now(),
        }
    }

    /// Adds a request that came at `now`.
    pub(super) fn add(
        &self,
        operation: Operation,
        now: Instant,
        asked: Asked,
        request: R,
    ) -> Ticket {
        let came_ns = self.after_origin(now);
        let mut lists = self.lists.lock();
        let number = lists.next;
        lists.next += 1;
        let place = lists.free.pop();
        match place {
            Some(place) => self.seen.put(place, number, operation, came_ns, asked),
            None => self.seen.hide(),
        }
        let list = &mut lists.by_operation[operation as usize];
        let entry = Entry {
            came: now,
            place,
            request,
        };
        list.insert(number, entry);
        if list.len() == 1 {
            self.note_oldest(operation, list);
        }
        Ticket {
            operation,
            number,
            place,
        }
    }

    /// A request is in another phase from here on.
    pub(super) fn enter(&self, ticket: Ticket, phase: OperationPhase) {
        if let Some(place) = ticket.place {
            self.seen.enter(place, ticket.number, phase);
        }
    }

    /// The requests that wait at `now`, the oldest first: at most as many as there is room for, and how many more there are.
    /// Takes no lock.
    pub(super) fn seen(&self, now: Instant) -> (Vec<super::inflight::Waits>, u64) {
        self.seen.list(self.after_origin(now))
    }

    fn after_origin(&self, moment: Instant) -> u64 {
        let after = moment.saturating_duration_since(self.origin).as_nanos();
        u64::try_from(after).unwrap_or(u64::MAX)
    }

    fn unsee(&self, free: &mut Vec<Place>, place: Option<Place>) {
        match place {
            Some(place) => {
                self.seen.clear(place);
                free.push(place);
            }
            None => self.seen.unhide(),
        }
    }

    /// Takes a request out, unless it was taken before.
    pub(super) fn remove(&self, ticket: Ticket) {
        let mut lists = self.lists.lock();
        let Lists {
            by_operation, free, ..
        } = &mut *lists;
        let list = &mut by_operation[ticket.operation as usize];
        let removed = list.remove(&ticket.number);
        if let Some(entry) = &removed {
            self.unsee(free, entry.place);
        }
        self.note_oldest(ticket.operation, list);
        drop(lists);
        drop(removed);
    }

    /// Takes out all requests that came `patience` or longer before `now`, oldest first.
    pub(super) fn take_overdue(&self, now: Instant, patience: Duration) -> Vec<R> {
        let mut overdue = Vec::new();
        let mut lists = self.lists.lock();
        let Lists {
            by_operation, free, ..
        } = &mut *lists;
        for operation in Operation::ALL {
            let list = &mut by_operation[operation as usize];
            while let Some(oldest) = list.first_entry()
                && oldest.get().came + patience <= now
            {
                let (number, entry) = oldest.remove_entry();
                self.unsee(free, entry.place);
                overdue.push((number, entry.request));
            }
            self.note_oldest(operation, list);
        }
        drop(lists);
        overdue.sort_unstable_by_key(|(number, _)| *number);
        overdue.into_iter().map(|(_, request)| request).collect()
    }

    fn note_oldest(&self, operation: Operation, list: &BTreeMap<u64, Entry<R>>) {
        let came = list
            .first_key_value()
            .map_or(0, |(_, entry)| self.after_origin(entry.came).max(1));
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
    use crate::dispatch::inflight::PLACES;

    #[test]
    fn who_waits_is_seen_until_it_is_answered_and_the_rest_is_counted() {
        let waiting = Waiting::new();
        let start = Instant::now();
        let asked = |inode| Asked {
            inode,
            process: 7,
            ..Asked::default()
        };
        let add = |inode| waiting.add(Operation::Read, start, asked(inode), ());
        let tickets: Vec<Ticket> = (0..PLACES as u64 + 3).map(add).collect();
        let seen = || waiting.seen(start + Duration::from_secs(2));
        let (waits, more) = seen();
        assert_eq!((waits.len(), more), (PLACES, 3));
        assert!(waits.iter().zip(0..).all(|(waits, inode)| {
            waits.inode == inode && waits.age >= Duration::from_secs(2) && waits.process == 7
        }));
        waiting.enter(tickets[1], OperationPhase::Backing);
        assert_eq!(seen().0[1].phase, OperationPhase::Backing);
        waiting.remove(tickets[1]);
        let next = add(9_999);
        // Who had the place before has no say in it.
        waiting.enter(tickets[1], OperationPhase::Store);
        let (waits, _) = seen();
        let last = waits.last().expect("all places are taken");
        assert_eq!((last.inode, last.phase), (9_999, OperationPhase::Queue));
        waiting.remove(next);
        assert_eq!(
            waiting.take_overdue(start, Duration::ZERO).len(),
            PLACES + 2
        );
        assert!(matches!(&seen(), (waits, 0) if waits.is_empty()));
    }

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
        let first = waiting.add(Operation::Read, at(1), Asked::default(), "first");
        waiting.add(Operation::Read, at(3), Asked::default(), "second");
        waiting.add(Operation::Open, at(4), Asked::default(), "other");
        assert_eq!(ages(at(9)), [5, 8]);
        waiting.remove(first);
        assert_eq!(ages(at(9)), [5, 6]);
        let patience = Duration::from_secs(6);
        assert!(waiting.take_overdue(at(8), patience).is_empty());
        assert_eq!(waiting.take_overdue(at(9), patience), ["second"]);
        assert_eq!(ages(at(9)), [5, 0]);
        waiting.add(Operation::Read, at(9), Asked::default(), "third");
        assert_eq!(waiting.take_overdue(at(15), patience), ["other", "third"]);
        waiting.remove(first);
        assert!(waiting.is_empty());
        assert_eq!(ages(at(20)), [0, 0]);
    }
}
