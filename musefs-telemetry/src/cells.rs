//! Cells that only one thread writes.
//!
//! Every thread that counts owns a slab: a page-aligned array of `u64`. An increment is a relaxed load and a relaxed store
//! into the own slab: no read-modify-write, no line shared with another writer. A collector sums the slabs; what a thread
//! had counted when it ended is folded into the retired slab, so nothing is ever lost. Slabs belong to the process, the
//! cells within them to one engine each.
//!
//! The list of slabs is locked when a thread counts for the first time, when it ends, and by collectors: never by an
//! increment.

use std::cell::Cell;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memmap2::MmapMut;

/// Cells in a slab. A slab takes address space for all of them and memory only for the pages that were counted in.
pub const CELLS_MAX: usize = 8192;

/// One thread's cells, on pages of their own.
struct Slab {
    cells: *const AtomicU64,
    /// Keeps the pages; never touched through this handle.
    _pages: MmapMut,
}

// SAFETY: the pages are only ever accessed as atomics, through `cells`.
#[expect(
    unsafe_code,
    reason = "a pointer into an anonymous mapping that is only read and written as atomics"
)]
unsafe impl Send for Slab {}
// SAFETY: as above.
#[expect(
    unsafe_code,
    reason = "a pointer into an anonymous mapping that is only read and written as atomics"
)]
unsafe impl Sync for Slab {}

impl Slab {
    /// A slab of zeros, or `None` when the system has no memory for one.
    fn new() -> Option<Self> {
        let mut pages = MmapMut::map_anon(CELLS_MAX * size_of::<AtomicU64>()).ok()?;
        #[expect(clippy::cast_ptr_alignment, reason = "a mapping starts at a page")]
        let cells = pages.as_mut_ptr().cast::<AtomicU64>().cast_const();
        Some(Self {
            cells,
            _pages: pages,
        })
    }

    fn cells(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, CELLS_MAX cells long, zeroed (a valid AtomicU64), and lives as long as self.
        #[expect(unsafe_code, reason = "views the mapping as the cells it was made for")]
        unsafe {
            std::slice::from_raw_parts(self.cells, CELLS_MAX)
        }
    }
}

/// All slabs of the process, and which cells are taken.
struct Directory {
    /// Slabs of living threads.
    live: Vec<Arc<Slab>>,
    /// Zeroed slabs of threads that ended, for the next ones.
    spare: Vec<Arc<Slab>>,
    /// What ended threads had counted.
    retired: Vec<u64>,
    /// Free runs of cells, in order, never adjacent.
    free: Vec<Range<usize>>,
}

/// Counts for threads that have no slab: during their teardown, or when no memory was left for one.
static FALLBACK: [AtomicU64; CELLS_MAX] = [const { AtomicU64::new(0) }; CELLS_MAX];

static DIRECTORY: Mutex<Directory> = Mutex::new(Directory {
    live: Vec::new(),
    spare: Vec::new(),
    retired: Vec::new(),
    free: Vec::new(),
});

fn directory() -> MutexGuard<'static, Directory> {
    let mut directory = DIRECTORY.lock().unwrap_or_else(PoisonError::into_inner);
    if directory.retired.is_empty() {
        directory.retired = vec![0; CELLS_MAX];
        directory.free = std::iter::once(0..CELLS_MAX).collect();
    }
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
        let mut directory = directory();
        for (total, cell) in directory.retired.iter_mut().zip(self.0.cells()) {
            *total = total.wrapping_add(cell.load(Relaxed));
            // Pages that were never counted in stay unbacked.
            if cell.load(Relaxed) != 0 {
                cell.store(0, Relaxed);
            }
        }
        directory.live.retain(|slab| !Arc::ptr_eq(slab, &self.0));
        directory.spare.push(Arc::clone(&self.0));
    }
}

/// Adds `amount`, wrapping, to this thread's cell `index`.
#[inline]
fn add(index: usize, amount: u64) {
    let cells = CELLS.get();
    if cells.is_null() {
        return add_without_slab(index, amount);
    }
    // SAFETY: a non-null pointer is this thread's slab, which its OWNER keeps alive; `index` was bounded by CELLS_MAX when its
    // run was taken.
    #[expect(unsafe_code, reason = "the one indexed access of an increment")]
    let cell = unsafe { &*cells.add(index) };
    cell.store(cell.load(Relaxed).wrapping_add(amount), Relaxed);
}

/// The first event of a thread, or an event during its teardown.
#[cold]
fn add_without_slab(index: usize, amount: u64) {
    let adopted = OWNER.try_with(|owner| {
        let mut directory = directory();
        let slab = directory
            .spare
            .pop()
            .or_else(|| Slab::new().map(Arc::new))?;
        directory.live.push(Arc::clone(&slab));
        drop(directory);
        CELLS.set(slab.cells);
        owner.set(Some(Owner(slab)));
        Some(())
    });
    if let Ok(Some(())) = adopted {
        add(index, amount);
    } else {
        FALLBACK[index].fetch_add(amount, Relaxed);
    }
}

/// A run of cells that one engine owns until the last user lets go of it.
#[derive(Debug)]
pub(crate) struct Run {
    cells: Range<usize>,
    /// What the cells summed up to when the run was taken: a run that served another engine before does not start at zero.
    baseline: Vec<u64>,
}

impl Run {
    /// Takes `len` cells.
    ///
    /// # Errors
    /// The length of the longest free run, when none is long enough.
    pub(crate) fn take(len: usize) -> Result<Self, usize> {
        let mut directory = directory();
        let longest = directory.free.iter().map(Range::len).max().unwrap_or(0);
        let fits = directory
            .free
            .iter_mut()
            .find(|run| run.len() >= len)
            .ok_or(longest)?;
        let cells = fits.start..fits.start + len;
        fits.start = cells.end;
        directory.free.retain(|run| !run.is_empty());
        let baseline = directory.sum(&cells);
        Ok(Self { cells, baseline })
    }

    /// Adds the value of each cell since the run was taken into `into`.
    fn read(&self, directory: &Directory, into: &mut Vec<u64>) {
        let sums = directory.sum(&self.cells);
        into.extend(
            sums.iter()
                .zip(&self.baseline)
                .map(|(sum, base)| sum.wrapping_sub(*base)),
        );
    }

    fn index(&self, offset: usize) -> usize {
        assert!(
            offset < self.cells.len(),
            "series {offset} of a family of {}",
            self.cells.len()
        );
        self.cells.start + offset
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let mut directory = directory();
        let at = directory
            .free
            .partition_point(|run| run.start < self.cells.start);
        directory.free.insert(at, self.cells.clone());
        directory.free.dedup_by(|next, run| {
            let adjacent = run.end == next.start;
            if adjacent {
                run.end = next.end;
            }
            adjacent
        });
    }
}

impl Directory {
    /// The sum of each cell of `cells` over the retired, the fallback and all live slabs.
    fn sum(&self, cells: &Range<usize>) -> Vec<u64> {
        let mut sums = self.retired[cells.clone()].to_vec();
        let slabs = self.live.iter().map(|slab| slab.cells());
        for slab in slabs.chain([&FALLBACK[..]]) {
            for (sum, cell) in sums.iter_mut().zip(&slab[cells.clone()]) {
                *sum = sum.wrapping_add(cell.load(Relaxed));
            }
        }
        sums
    }
}

/// Values of all `runs`, one after the other, from one pass under the directory's lock: a thread that ends meanwhile is
/// counted exactly once.
pub(crate) fn read_runs<'a>(runs: impl IntoIterator<Item = &'a Run>) -> Vec<u64> {
    let directory = directory();
    let mut values = Vec::new();
    for run in runs {
        run.read(&directory, &mut values);
    }
    values
}

/// The counters of one family, addressed by series index. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Counters {
    run: Arc<Run>,
}

impl Counters {
    pub(crate) fn new(run: Arc<Run>) -> Self {
        Self { run }
    }

    /// Counts one event in series `index`.
    ///
    /// # Panics
    /// When the family has no series `index`.
    #[inline]
    pub fn increment(&self, index: usize) {
        self.add(index, 1);
    }

    /// Counts `amount` events in series `index`.
    ///
    /// # Panics
    /// When the family has no series `index`.
    #[inline]
    pub fn add(&self, index: usize, amount: u64) {
        add(self.run.index(index), amount);
    }

    /// What series `index` has counted so far, over all threads.
    pub fn value(&self, index: usize) -> u64 {
        read_runs([&*self.run])[index]
    }
}

/// The counter of a family without labels. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Counter(Counters);

impl Counter {
    pub(crate) fn new(run: Arc<Run>) -> Self {
        Self(Counters::new(run))
    }

    /// Counts one event.
    #[inline]
    pub fn increment(&self) {
        self.0.add(0, 1);
    }

    /// Counts `amount` events.
    #[inline]
    pub fn add(&self, amount: u64) {
        self.0.add(0, amount);
    }

    /// What was counted so far, over all threads.
    pub fn value(&self) -> u64 {
        self.0.value(0)
    }
}

/// Up-down counters of one family: a thread may take away what another added. Cloning shares them.
#[derive(Clone, Debug)]
pub struct UpDownCounters {
    run: Arc<Run>,
}

impl UpDownCounters {
    pub(crate) fn new(run: Arc<Run>) -> Self {
        Self { run }
    }

    /// Adds `amount`, which may be negative, to series `index`.
    ///
    /// # Panics
    /// When the family has no series `index`.
    #[inline]
    pub fn add(&self, index: usize, amount: i64) {
        add(self.run.index(index), amount.cast_unsigned());
    }

    /// The sum over all threads. While threads are between taking and giving back, a momentary sum below zero reads as 0.
    pub fn value(&self, index: usize) -> u64 {
        clamp(read_runs([&*self.run])[index])
    }
}

/// A wrapped sum as a gauge: below zero is 0.
pub(crate) fn clamp(sum: u64) -> u64 {
    u64::try_from(sum.cast_signed()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
