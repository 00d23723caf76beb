//! The slab of this thread, and the handles that count in it.

use std::cell::Cell;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::slab::{CELLS_MAX, Directory, Slab, Span, add_to_own};

/// Counts for threads that have no slab: during their teardown, or when no memory was left for one.
static FALLBACK: [AtomicU64; CELLS_MAX] = [const { AtomicU64::new(0) }; CELLS_MAX];

static DIRECTORY: Mutex<Directory> = Mutex::new(Directory::new());

fn directory() -> MutexGuard<'static, Directory> {
    let mut directory = DIRECTORY.lock().unwrap_or_else(PoisonError::into_inner);
    directory.fill();
    directory
}

thread_local! {
    /// The cells of this thread's slab; null before the first event and after the owner is gone.
    static CELLS: Cell<*const AtomicU64> = const { Cell::new(ptr::null()) };
    /// Gives the slab back when the thread ends.
    static OWNER: Cell<Option<Owner>> = const { Cell::new(None) };
}

struct Owner(Arc<Slab>);

impl Drop for Owner {
    fn drop(&mut self) {
        CELLS.set(ptr::null());
        directory().retire(&self.0);
    }
}

/// Adds `amount`, wrapping, to this thread's cell `index`, and returns what the cell held before.
#[inline]
fn add(index: usize, amount: u64) -> u64 {
    let cells = CELLS.get();
    if cells.is_null() {
        return add_without_slab(index, amount);
    }
    // SAFETY: a non-null pointer is this thread's slab, which its OWNER keeps alive; `index` was bounded by CELLS_MAX when its
    // run was taken.
    #[expect(unsafe_code, reason = "the one indexed access of an increment")]
    let cell = unsafe { &*cells.add(index) };
    add_to_own(cell, amount)
}

/// The first event of a thread, or an event during its teardown.
#[cold]
#[inline(never)]
fn add_without_slab(index: usize, amount: u64) -> u64 {
    // The second of several amounts finds the slab that the first one took.
    if !CELLS.get().is_null() {
        return add(index, amount);
    }
    let adopted = OWNER.try_with(|owner| {
        let slab = directory().adopt()?;
        CELLS.set(slab.cells().as_ptr());
        owner.set(Some(Owner(slab)));
        Some(())
    });
    if let Ok(Some(())) = adopted {
        add(index, amount)
    } else {
        FALLBACK[index].fetch_add(amount, Relaxed)
    }
}

/// A run of cells that one engine owns until the last user lets go of it.
#[derive(Debug)]
struct Run {
    cells: Range<usize>,
}

impl Drop for Run {
    fn drop(&mut self) {
        directory().give_back(self.cells.clone(), &FALLBACK);
    }
}

/// Some cells of a run, and a share in keeping it. Cloning shares them.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    start: usize,
    len: usize,
    /// Keeps the cells; the two numbers beside it are what an increment reads.
    run: Arc<Run>,
}

impl Slot {
    /// Takes `len` cells.
    ///
    /// # Errors
    /// The length of the longest free run, when none is long enough.
    pub(crate) fn take(len: usize) -> Result<Self, usize> {
        let cells = directory().take(len)?;
        Ok(Self {
            start: cells.start,
            len,
            run: Arc::new(Run { cells }),
        })
    }

    /// The `len` cells from `offset`, as a slot that keeps the same run.
    pub(crate) fn part(&self, offset: usize, len: usize) -> Self {
        assert!(offset + len <= self.len, "a part lies within its slot");
        Self {
            start: self.start + offset,
            len,
            run: Arc::clone(&self.run),
        }
    }

    /// Adds `amount`, wrapping, to cell `offset`, and returns what this thread had counted there before.
    ///
    /// # Panics
    /// When the slot has no such cell.
    #[inline]
    pub(crate) fn add(&self, offset: usize, amount: u64) -> u64 {
        if offset >= self.len {
            no_such_series(offset, self.len);
        }
        add(self.start + offset, amount)
    }

    /// Adds to several cells at the price of finding this thread's slab once.
    ///
    /// # Panics
    /// When the slot lacks one of the cells.
    #[inline]
    pub(crate) fn add_each<const N: usize>(&self, amounts: [(usize, u64); N]) {
        for (offset, _) in amounts {
            if offset >= self.len {
                no_such_series(offset, self.len);
            }
        }
        let cells = CELLS.get();
        if cells.is_null() {
            for (offset, amount) in amounts {
                add_without_slab(self.start + offset, amount);
            }
            return;
        }
        for (offset, amount) in amounts {
            // SAFETY: as in `add`.
            #[expect(unsafe_code, reason = "the indexed accesses of a record")]
            let cell = unsafe { &*cells.add(self.start + offset) };
            add_to_own(cell, amount);
        }
    }

    /// The cells from the first of this slot to the last of `other`, which were taken together.
    pub(crate) fn joined(&self, other: &Self) -> Self {
        assert!(
            Arc::ptr_eq(&self.run, &other.run) && self.start <= other.start,
            "slots of one run, in order"
        );
        Self {
            start: self.start,
            len: other.start + other.len - self.start,
            run: Arc::clone(&self.run),
        }
    }

    /// The value of cell `offset` over all threads.
    pub(crate) fn value(&self, offset: usize) -> u64 {
        let mut value = [0];
        read_spans(&[self.part(offset, 1).span(0)], &mut value);
        value[0]
    }

    /// The values of the `len` cells from `offset` at one moment.
    pub(crate) fn values(&self, offset: usize, len: usize) -> Vec<u64> {
        let mut values = vec![0; len];
        read_spans(&[self.part(offset, len).span(0)], &mut values);
        values
    }

    /// The value of cell `offset` in each shard.
    pub(crate) fn shards(&self, offset: usize) -> Vec<u64> {
        directory().shards(self.part(offset, 1).start, &FALLBACK)
    }

    /// The slot's cells, going to `target`.
    pub(crate) fn span(&self, target: usize) -> Span {
        Span {
            start: self.start,
            target,
            len: self.len,
        }
    }
}

/// A slot that is known to have a cell, so that adding to the first one checks nothing.
#[derive(Clone, Debug)]
pub(crate) struct Single(Slot);

impl Single {
    /// The first cell of `slot`.
    pub(crate) fn of(slot: Slot) -> Self {
        assert!(slot.len > 0, "a family has at least one series");
        Self(slot)
    }

    /// Adds `amount`, wrapping, and returns what this thread had counted before.
    #[inline]
    pub(crate) fn add(&self, amount: u64) -> u64 {
        add(self.0.start, amount)
    }

    /// The value over all threads.
    pub(crate) fn value(&self) -> u64 {
        self.0.value(0)
    }

    /// The slot that it is the first cell of.
    pub(crate) fn slot(&self) -> &Slot {
        &self.0
    }
}

#[cold]
#[inline(never)]
fn no_such_series(offset: usize, len: usize) -> ! {
    panic!("cell {offset} of a metric of {len}")
}

/// Puts the value of each cell of `spans` into `into`, from one pass under the directory's lock: a thread that ends
/// meanwhile is counted exactly once.
pub(crate) fn read_spans(spans: &[Span], into: &mut [u64]) {
    directory().sum(spans, &FALLBACK, into);
}

#[cfg(test)]
mod tests;
