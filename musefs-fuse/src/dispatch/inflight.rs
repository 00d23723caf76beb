//! Which requests wait, for whoever looks without a lock: a fixed number of places that are written beside each change.
//!
//! A place is written by one thread at a time, the one that holds the lock of the list; only its phase is written without. A
//! reader takes a place for what it is only when it did not change meanwhile.

use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::time::Duration;

use musefs_telemetry::RequestId;

use crate::metrics::{Operation, OperationPhase};

use Ordering::{Acquire, Relaxed, Release};

/// How many waiting requests can be seen; further ones are only counted.
pub(super) const PLACES: usize = 256;

/// Who asks for what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// What the kernel calls the request.
    pub unique: u64,
    /// The inode that it is about.
    pub inode: u64,
    /// The process; 0 when the kernel asks of its own accord.
    pub process: u32,
}

/// A request that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// What it is.
    pub operation: Operation,
    /// What is done with it: it waits for a thread, or a thread is at work on it and may wait for the store or for backing
    /// files.
    pub phase: OperationPhase,
    /// How long ago it came to the pool.
    pub age: Duration,
    /// What it is called.
    pub id: RequestId,
    /// The inode that it is about.
    pub inode: u64,
    /// Who asked; 0 when the kernel did of its own accord.
    pub process: u32,
}

/// Which of the places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(usize);

/// A place. `version` is odd while there is a request in it.
#[derive(Debug, Default)]
struct Cells {
    version: AtomicU64,
    number: AtomicU64,
    operation: AtomicU64,
    came_ns: AtomicU64,
    unique: AtomicU64,
    inode: AtomicU64,
    process: AtomicU64,
    /// The request's number with the phase in the lowest bits.
    phase: AtomicU64,
}

const PHASE_BITS: u32 = 3;
const _: () = assert!(OperationPhase::COUNT <= 1 << PHASE_BITS);

fn tagged(number: u64, phase: OperationPhase) -> u64 {
    (number << PHASE_BITS) | phase as u64
}

/// All places.
#[derive(Debug)]
pub(super) struct Inflight {
    places: Box<[Cells]>,
    /// Requests that found no place.
    hidden: AtomicU64,
}

impl Inflight {
    /// All places, and that they are free.
    pub(super) fn new() -> (Self, Vec<Place>) {
        let places = std::iter::repeat_with(Cells::default).take(PLACES);
        let places = Self {
            places: places.collect(),
            hidden: AtomicU64::new(0),
        };
        (places, (0..PLACES).rev().map(Place).collect())
    }

    /// A request that came at `came_ns` is in `place`, which was free, and waits for a thread.
    pub(super) fn put(
        &self,
        place: Place,
        number: u64,
        operation: Operation,
        came_ns: u64,
        asked: Asked,
    ) {
        let cells = &self.places[place.0];
        // Whoever reads what comes now sees as well that the place was cleared.
        fence(Release);
        cells.number.store(number, Relaxed);
        cells.operation.store(operation as u64, Relaxed);
        cells.came_ns.store(came_ns, Relaxed);
        cells.unique.store(asked.unique, Relaxed);
        cells.inode.store(asked.inode, Relaxed);
        cells.process.store(asked.process.into(), Relaxed);
        let phase = tagged(number, OperationPhase::Queue);
        cells.phase.store(phase, Relaxed);
        let version = cells.version.load(Relaxed);
        cells.version.store(version + 1, Release);
    }

    /// The request `number` is in another phase, if it is in `place` still.
    pub(super) fn enter(&self, place: Place, number: u64, phase: OperationPhase) {
        let cell = &self.places[place.0].phase;
        let enter = |now: u64| (now >> PHASE_BITS == number).then_some(tagged(number, phase));
        // Whoever is not there any more has nothing to say.
        cell.fetch_update(Relaxed, Relaxed, enter).ok();
    }

    /// `place` is free.
    pub(super) fn clear(&self, place: Place) {
        self.places[place.0].version.fetch_add(1, Relaxed);
    }

    /// A request found no place.
    pub(super) fn hide(&self) {
        self.hidden.fetch_add(1, Relaxed);
    }

    /// One that had found none was answered.
    pub(super) fn unhide(&self) {
        self.hidden.fetch_sub(1, Relaxed);
    }

    /// What is there at `now_ns`, in the order in which it came, and how many found no place.
    pub(super) fn list(&self, now_ns: u64) -> (Vec<Waits>, u64) {
        let mut waits: Vec<(u64, Waits)> = self
            .places
            .iter()
            .filter_map(|cells| cells.read(now_ns))
            .collect();
        waits.sort_unstable_by_key(|(number, _)| *number);
        let waits = waits.into_iter().map(|(_, waits)| waits).collect();
        (waits, self.hidden.load(Relaxed))
    }
}

impl Cells {
    /// The number of the request and what is known of it; `None` when there is none, or it comes or goes just now.
    fn read(&self, now_ns: u64) -> Option<(u64, Waits)> {
        let version = self.version.load(Acquire);
        if version.is_multiple_of(2) {
            return None;
        }
        let number = self.number.load(Relaxed);
        let operation = self.operation.load(Relaxed);
        let phase = self.phase.load(Relaxed) & ((1 << PHASE_BITS) - 1);
        let came_ns = self.came_ns.load(Relaxed);
        let unique = self.unique.load(Relaxed);
        let inode = self.inode.load(Relaxed);
        let process = self.process.load(Relaxed);
        fence(Acquire);
        if self.version.load(Relaxed) != version {
            return None;
        }
        let waits = Waits {
            operation: *Operation::ALL.get(usize::try_from(operation).ok()?)?,
            phase: *OperationPhase::ALL.get(usize::try_from(phase).ok()?)?,
            age: Duration::from_nanos(now_ns.saturating_sub(came_ns)),
            id: RequestId {
                instance: 0,
                number: unique,
            },
            inode,
            process: u32::try_from(process).ok()?,
        };
        Some((number, waits))
    }
}
