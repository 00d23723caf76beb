//! The slabs of all threads, and which cells are taken: everything that happens under the directory's lock.
//!
//! The rules that a model checker explores live here, free of thread-locals and statics: a slab is published by pushing it to
//! `live`, taken back by folding it into `retired`, and summed by a collector, each while the directory is locked. Only the
//! owner of a slab stores to its cells, and it does so without the lock.

use std::ops::Range;

use super::sync::{Arc, AtomicU64, Ordering::Relaxed};

/// Cells in a slab. A slab takes address space for all of them and memory only for the pages that were counted in.
#[cfg(not(loom))]
pub const CELLS_MAX: usize = 32_768;
/// A model has few cells.
#[cfg(loom)]
pub const CELLS_MAX: usize = 4;

/// One thread's cells, on pages of their own.
#[cfg(not(loom))]
pub(super) struct Slab {
    cells: *const AtomicU64,
    /// Keeps the pages; never touched through this handle.
    _pages: memmap2::MmapMut,
}

// SAFETY: the pages are only ever accessed as atomics, through `cells`.
#[cfg(not(loom))]
#[expect(
    unsafe_code,
    reason = "a pointer into an anonymous mapping that is only read and written as atomics"
)]
unsafe impl Send for Slab {}
// SAFETY: as above.
#[cfg(not(loom))]
#[expect(
    unsafe_code,
    reason = "a pointer into an anonymous mapping that is only read and written as atomics"
)]
unsafe impl Sync for Slab {}

#[cfg(not(loom))]
impl Slab {
    /// A slab of zeros, or `None` when the system has no memory for one.
    pub(super) fn new() -> Option<Self> {
        let mut pages = memmap2::MmapMut::map_anon(CELLS_MAX * size_of::<AtomicU64>()).ok()?;
        // Where huge pages are given without asking, one count could cost the memory of several slabs. A system that has none
        // refuses, and then there is nothing to ask for.
        #[cfg(target_os = "linux")]
        let _ = pages.advise(memmap2::Advice::NoHugePage);
        #[expect(clippy::cast_ptr_alignment, reason = "a mapping starts at a page")]
        let cells = pages.as_mut_ptr().cast::<AtomicU64>().cast_const();
        Some(Self {
            cells,
            _pages: pages,
        })
    }

    pub(super) fn cells(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is page-aligned, CELLS_MAX cells long, zeroed (a valid AtomicU64), and lives as long as self.
        #[expect(unsafe_code, reason = "views the mapping as the cells it was made for")]
        unsafe {
            std::slice::from_raw_parts(self.cells, CELLS_MAX)
        }
    }
}

#[cfg(loom)]
pub(super) struct Slab {
    cells: Vec<AtomicU64>,
}

#[cfg(loom)]
impl Slab {
    pub(super) fn new() -> Option<Self> {
        let cells = (0..CELLS_MAX).map(|_| AtomicU64::new(0)).collect();
        Some(Self { cells })
    }

    pub(super) fn cells(&self) -> &[AtomicU64] {
        &self.cells
    }
}

/// Adds `amount`, wrapping, to a cell that only this thread stores to.
#[inline]
pub(super) fn add_to_own(cell: &AtomicU64, amount: u64) -> u64 {
    let before = cell.load(Relaxed);
    cell.store(before.wrapping_add(amount), Relaxed);
    before
}

/// All slabs of the process, and which cells are taken.
pub(super) struct Directory {
    /// Slabs of living threads.
    live: Vec<Arc<Slab>>,
    /// Zeroed slabs of threads that ended, for the next ones.
    spare: Vec<Arc<Slab>>,
    /// What ended threads had counted.
    retired: Vec<u64>,
    /// Free runs of cells, in order, never adjacent.
    free: Vec<Range<usize>>,
    /// No cell at or above this one was ever taken.
    taken_max: usize,
}

impl Directory {
    #[cfg(not(loom))]
    pub(super) const fn new() -> Self {
        Self {
            live: Vec::new(),
            spare: Vec::new(),
            retired: Vec::new(),
            free: Vec::new(),
            taken_max: 0,
        }
    }

    #[cfg(loom)]
    pub(super) fn new() -> Self {
        let mut directory = Self {
            live: Vec::new(),
            spare: Vec::new(),
            retired: Vec::new(),
            free: Vec::new(),
            taken_max: 0,
        };
        directory.fill();
        directory
    }

    /// A directory that was made in a constant gets its tables.
    pub(super) fn fill(&mut self) {
        if self.retired.is_empty() {
            self.retired = vec![0; CELLS_MAX];
            self.free = std::iter::once(0..CELLS_MAX).collect();
        }
    }

    /// A slab for a thread that has none; `None` when the system has no memory for one.
    pub(super) fn adopt(&mut self) -> Option<Arc<Slab>> {
        let slab = self.spare.pop().or_else(|| Slab::new().map(Arc::new))?;
        self.live.push(Arc::clone(&slab));
        Some(slab)
    }

    /// Takes `slab` back from its thread, which stores to it no more.
    pub(super) fn retire(&mut self, slab: &Arc<Slab>) {
        let cells = self.retired.iter_mut().zip(slab.cells());
        for (total, cell) in cells.take(self.taken_max) {
            let counted = cell.load(Relaxed);
            // Pages that were never counted in stay unbacked.
            if counted != 0 {
                *total = total.wrapping_add(counted);
                cell.store(0, Relaxed);
            }
        }
        self.live.retain(|known| !Arc::ptr_eq(known, slab));
        self.spare.push(Arc::clone(slab));
    }

    /// Takes `len` cells, all of them zero.
    ///
    /// # Errors
    /// The length of the longest free run, when none is long enough.
    pub(super) fn take(&mut self, len: usize) -> Result<Range<usize>, usize> {
        if len == 0 {
            return Ok(0..0);
        }
        let longest = self.free.iter().map(Range::len).max().unwrap_or(0);
        let fits = self
            .free
            .iter_mut()
            .find(|run| run.len() >= len)
            .ok_or(longest)?;
        let cells = fits.start..fits.start + len;
        fits.start = cells.end;
        self.free.retain(|run| !run.is_empty());
        self.taken_max = self.taken_max.max(cells.end);
        Ok(cells)
    }

    /// Gives `cells` back and zeroes them everywhere. Nobody can store to them any more, so this is the baseline from which
    /// the next owner counts, for each shard as for the sum.
    pub(super) fn give_back(&mut self, cells: Range<usize>, fallback: &[AtomicU64]) {
        if cells.is_empty() {
            return;
        }
        self.retired[cells.clone()].fill(0);
        let slabs = self.live.iter().map(|slab| slab.cells());
        for slab in slabs.chain([fallback]) {
            for cell in &slab[cells.clone()] {
                if cell.load(Relaxed) != 0 {
                    cell.store(0, Relaxed);
                }
            }
        }
        let at = self.free.partition_point(|run| run.start < cells.start);
        self.free.insert(at, cells);
        self.free.dedup_by(|next, run| {
            let adjacent = run.end == next.start;
            if adjacent {
                run.end = next.end;
            }
            adjacent
        });
    }

    /// Adds the value of each cell of `spans` (first cell, place in `into`, length), over all slabs, to `into`.
    pub(super) fn sum(&self, spans: &[Span], fallback: &[AtomicU64], into: &mut [u64]) {
        for span in spans {
            let target = &mut into[span.target..span.target + span.len];
            target.copy_from_slice(&self.retired[span.cells()]);
        }
        let slabs = self.live.iter().map(|slab| slab.cells());
        for slab in slabs.chain([fallback]) {
            for span in spans {
                let target = &mut into[span.target..span.target + span.len];
                for (sum, cell) in target.iter_mut().zip(&slab[span.cells()]) {
                    *sum = sum.wrapping_add(cell.load(Relaxed));
                }
            }
        }
    }

    /// The value of cell `index` in each shard: threads that ended, threads without a slab, then the living.
    pub(super) fn shards(&self, index: usize, fallback: &[AtomicU64]) -> Vec<u64> {
        let slabs = self.live.iter().map(|slab| slab.cells());
        std::iter::once(self.retired[index])
            .chain(
                std::iter::once(fallback)
                    .chain(slabs)
                    .map(|slab| slab[index].load(Relaxed)),
            )
            .collect()
    }
}

/// Where the values of some cells go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// The first cell.
    pub(crate) start: usize,
    /// Where the value of the first cell goes.
    pub(crate) target: usize,
    /// How many cells there are.
    pub(crate) len: usize,
}

impl Span {
    fn cells(self) -> Range<usize> {
        self.start..self.start + self.len
    }
}
