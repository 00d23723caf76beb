//! How much memory a piece of work holds at its peak, counted by the allocator, per thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static HELD_BYTES: Cell<isize> = const { Cell::new(0) };
    static PEAK_BYTES: Cell<isize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Below zero where a thread frees what others made.
fn hold(bytes: isize) {
    let held = HELD_BYTES.get() + bytes;
    HELD_BYTES.set(held);
    PEAK_BYTES.set(PEAK_BYTES.get().max(held));
}

#[expect(unsafe_code, reason = "an allocator that counts is an allocator")]
// SAFETY: every call is handed to the system's allocator as it came; counting touches thread-local numbers alone.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        hold(layout.size().cast_signed());
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        hold(layout.size().cast_signed());
        // SAFETY: as the caller promised.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        hold(-layout.size().cast_signed());
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The most bytes that `work` held at once beyond what was held before it.
pub fn peak_bytes(work: impl FnOnce()) -> usize {
    let before = HELD_BYTES.get();
    PEAK_BYTES.set(before);
    work();
    usize::try_from(PEAK_BYTES.get() - before).expect("no peak is lower than where it started")
}

#[test]
fn the_peak_is_what_was_held_at_once() {
    let peak = peak_bytes(|| {
        for _ in 0..10 {
            drop(std::hint::black_box(vec![0_u8; 100_000]));
        }
    });
    assert!((100_000..150_000).contains(&peak), "{peak}");
}
