//! One example for each series of a histogram: which request it was that took so long.

use std::sync::atomic::{AtomicU64, Ordering};

/// A value and the request it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exemplar {
    /// The request.
    pub request_id: u64,
    /// The value that was recorded.
    pub value: u64,
    /// When, in milliseconds since 1970.
    pub wall_ms: u64,
}

/// The slots of a family: a sequence number that is odd while somebody writes, then the three numbers.
#[derive(Debug)]
pub(crate) struct Exemplars(Box<[[AtomicU64; 4]]>);

impl Exemplars {
    pub(crate) fn new(series: usize) -> Self {
        Self((0..series).map(|_| Default::default()).collect())
    }

    pub(crate) fn keep(&self, series: usize, exemplar: Exemplar) {
        let [sequence, id, value, wall] = &self.0[series];
        let before = sequence.load(Ordering::Relaxed);
        let claimed = before % 2 == 0
            && sequence
                .compare_exchange(before, before + 1, Ordering::Acquire, Ordering::Relaxed)
                .is_ok();
        if !claimed {
            return;
        }
        // A reader that sees one of these stores sees the odd number too, or a later one.
        id.store(exemplar.request_id, Ordering::Release);
        value.store(exemplar.value, Ordering::Release);
        wall.store(exemplar.wall_ms, Ordering::Release);
        sequence.store(before + 2, Ordering::Release);
    }

    /// The example of `series`; `None` when there is none yet, or one is just being written.
    pub(crate) fn read(&self, series: usize) -> Option<Exemplar> {
        let [sequence, id, value, wall] = &self.0[series];
        let before = sequence.load(Ordering::Acquire);
        let exemplar = Exemplar {
            request_id: id.load(Ordering::Acquire),
            value: value.load(Ordering::Acquire),
            wall_ms: wall.load(Ordering::Acquire),
        };
        let whole = before % 2 == 0 && sequence.load(Ordering::Relaxed) == before;
        (whole && before > 0).then_some(exemplar)
    }
}
