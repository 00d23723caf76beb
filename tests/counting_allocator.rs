//! An allocator that counts what each thread asks of it. Tests that assert allocations include this file by its path.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

struct Counting;

thread_local! {
    /// Allocations of this thread so far.
    pub static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Bytes that all threads hold together.
pub static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);

/// The bytes of `layout`, as a number that may be taken away.
fn bytes(layout: Layout) -> i64 {
    layout.size().cast_signed() as i64
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator that counts is an allocator")]
// SAFETY: every call is handed to the system's allocator as it came; counting touches a thread-local number alone.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        LIVE_BYTES.fetch_add(bytes(layout), Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(bytes(layout), Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }
}
