//! What event loops note of who asks: amounts by process number, in memory of a fixed size, without a lock.
//!
//! A cell holds a process number and an amount in one word, so that both change together: no amount is ever taken for another
//! process's, also while cells are emptied and given to others. What finds no cell is counted as nobody's.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Bits of a word for the amount; the kernel has no process number that needs more than the rest.
const AMOUNT_BITS: u32 = 42;
const AMOUNT_MAX: u64 = (1 << AMOUNT_BITS) - 1;
const PROCESS_END: u32 = 1 << (u64::BITS - AMOUNT_BITS);
/// Cells of a shard, and how many of them are tried for one process.
const CELLS: usize = 128;
const TRIES: usize = 8;
/// Threads share so many shards.
const SHARDS: usize = 8;
/// What is noted of a process: requests, and bytes.
pub(super) const MEASURES: usize = 2;

/// How a note went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// Beside what was noted of the process before.
    There,
    /// As the first of its process, at least in this shard.
    First,
    /// As nobody's.
    Nobody,
}

/// All notes.
#[derive(Debug)]
pub(super) struct Notes(Box<[Shard]>);

#[derive(Debug)]
#[repr(align(128))]
struct Shard {
    cells: [[AtomicU64; CELLS]; MEASURES],
    nobody: [AtomicU64; MEASURES],
}

static NEXT_SHARD: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SHARD: Cell<Option<usize>> = const { Cell::new(None) };
}

fn word(process: u32, amount: u64) -> u64 {
    (u64::from(process) << AMOUNT_BITS) | amount
}

fn process_of(word: u64) -> u32 {
    u32::try_from(word >> AMOUNT_BITS).expect("22 bits")
}

impl Notes {
    pub(super) fn new() -> Self {
        let shard = || Shard {
            cells: std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))),
            nobody: Default::default(),
        };
        Self(std::iter::repeat_with(shard).take(SHARDS).collect())
    }

    /// Notes an amount of `process`, whose number is 0 when it is nobody's.
    pub(super) fn add(&self, measure: usize, process: u32, amount: u64) -> Noted {
        let shard = SHARD.get().unwrap_or_else(|| {
            let shard = NEXT_SHARD.fetch_add(1, Relaxed) % SHARDS;
            SHARD.set(Some(shard));
            shard
        });
        self.0[shard].add(measure, process, amount)
    }

    /// The process of each cell, and whether the cell holds an amount of it. One process may have several.
    pub(super) fn processes(&self) -> impl Iterator<Item = (u32, bool)> {
        let cells = self.0.iter().flat_map(|shard| shard.cells.as_flattened());
        cells.filter_map(|cell| {
            let word = cell.load(Relaxed);
            (word != 0).then(|| (process_of(word), word & AMOUNT_MAX > 0))
        })
    }

    /// Takes the amounts of those processes that `wanted` says, and gives them to `give`.
    pub(super) fn take(&self, wanted: impl Fn(u32) -> bool, mut give: impl FnMut(u32, usize, u64)) {
        for shard in &self.0 {
            for (measure, cells) in shard.cells.iter().enumerate() {
                for cell in cells {
                    let process = process_of(cell.load(Relaxed));
                    if process == 0 || !wanted(process) {
                        continue;
                    }
                    let emptied = |now: u64| (process_of(now) == process).then(|| word(process, 0));
                    let taken = cell.fetch_update(Relaxed, Relaxed, emptied);
                    let amount = taken.map_or(0, |before| before & AMOUNT_MAX);
                    if amount > 0 {
                        give(process, measure, amount);
                    }
                }
            }
        }
    }

    /// Takes what is nobody's.
    pub(super) fn take_nobodys(&self) -> [u64; MEASURES] {
        let mut sum = [0; MEASURES];
        for shard in &self.0 {
            for (sum, nobody) in sum.iter_mut().zip(&shard.nobody) {
                *sum += nobody.swap(0, Relaxed);
            }
        }
        sum
    }

    /// Gives up the cells of the processes that `gone` says, unless something was noted there just now.
    pub(super) fn forget(&self, gone: impl Fn(u32) -> bool) {
        for shard in &self.0 {
            for cell in shard.cells.as_flattened() {
                let process = process_of(cell.load(Relaxed));
                if process != 0 && gone(process) {
                    // Who was faster keeps the cell.
                    let _ = cell.compare_exchange(word(process, 0), 0, Relaxed, Relaxed);
                }
            }
        }
    }
}

impl Shard {
    fn add(&self, measure: usize, process: u32, amount: u64) -> Noted {
        let cells = &self.cells[measure];
        if process != 0 && process < PROCESS_END {
            let start = process as usize;
            for place in start..start + TRIES {
                if let Some(noted) = add_to(&cells[place % CELLS], process, amount) {
                    return noted;
                }
            }
        }
        self.nobody[measure].fetch_add(amount, Relaxed);
        Noted::Nobody
    }
}

/// `None` when another process has the cell, or the amount has no room in it.
fn add_to(cell: &AtomicU64, process: u32, amount: u64) -> Option<Noted> {
    let mut before = cell.load(Relaxed);
    loop {
        let held = if before == 0 {
            0
        } else if process_of(before) == process {
            before & AMOUNT_MAX
        } else {
            return None;
        };
        let sum = held.checked_add(amount).filter(|sum| *sum <= AMOUNT_MAX)?;
        match cell.compare_exchange_weak(before, word(process, sum), Relaxed, Relaxed) {
            Ok(_) if before == 0 => return Some(Noted::First),
            Ok(_) => return Some(Noted::There),
            Err(now) => before = now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn nothing_is_lost_or_mixed_up_while_cells_are_taken_and_given_up() {
        const THREADS: u64 = 4;
        const NOTES: u64 = 20_000;
        let notes = Notes::new();
        let mut sums: HashMap<u32, [u64; MEASURES]> = HashMap::new();
        let mut collect = |notes: &Notes| {
            notes.take(
                |_| true,
                |process, measure, amount| sums.entry(process).or_default()[measure] += amount,
            );
            notes.forget(|process| process % 3 == 0);
        };
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        for note in 0..NOTES {
                            let process = 1 + u32::try_from(note % 40).unwrap();
                            notes.add(0, process, 1);
                            notes.add(1, process, u64::from(process));
                        }
                    })
                })
                .collect();
            while !writers
                .iter()
                .all(std::thread::ScopedJoinHandle::is_finished)
            {
                collect(&notes);
            }
        });
        collect(&notes);
        assert_eq!(notes.take_nobodys(), [0, 0]);
        assert_eq!(sums.len(), 40);
        for (process, [requests, bytes]) in sums {
            assert_eq!(requests, THREADS * NOTES / 40);
            assert_eq!(bytes, requests * u64::from(process));
        }
    }

    #[test]
    fn what_has_no_room_is_nobodys() {
        let notes = Notes::new();
        let shard = &notes.0[0];
        for process in [0, PROCESS_END, u32::MAX] {
            assert_eq!(shard.add(0, process, 2), Noted::Nobody);
        }
        let apart = u32::try_from(CELLS).unwrap();
        for index in 1..=u32::try_from(TRIES).unwrap() {
            assert_eq!(shard.add(0, index * apart, 1), Noted::First);
        }
        assert_eq!(shard.add(0, apart, 1), Noted::There);
        assert_eq!(shard.add(0, 99 * apart, 5), Noted::Nobody);
        assert_eq!(shard.add(1, 7, AMOUNT_MAX), Noted::First);
        assert_eq!(shard.add(1, 7, 3), Noted::First, "in another cell");
        assert_eq!(notes.take_nobodys(), [11, 0]);
    }
}
