//! Cells that only one thread writes.
//!
//! Every thread that counts owns a slab: a page-aligned array of `u64`. An increment is a relaxed load and a relaxed store
//! into the own slab: no read-modify-write, no line shared with another writer. A collector sums the slabs; what a thread
//! had counted when it ended is folded into the retired slab, so nothing is ever lost. Slabs belong to the process, the
//! cells within them to one engine each.
//!
//! The list of slabs is locked when a thread counts for the first time, when it ends, and by collectors: never by an
//! increment.

mod slab;
mod sync;

pub use slab::CELLS_MAX;
pub(crate) use slab::Span;

#[cfg(not(loom))]
mod own;
#[cfg(not(loom))]
pub(crate) use own::{Single, Slot, read_spans};

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;
