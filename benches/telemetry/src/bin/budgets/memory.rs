//! How much memory counting takes: what is allocated, and how many bytes the system gave.

#![expect(unsafe_code, reason = "an allocator that counts is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs::File;
use std::hint::black_box;
use std::io::{Read as _, Seek as _};
use std::sync::Barrier;
use std::thread;

use crate::measure::Row;
use crate::wide::{CELLS, THREADS, engine};

/// How often each thread counts in each cell while nobody reads.
const AGAIN: usize = 500;
/// What a thread may take beside its cells: the rest of the pages in which they begin and end.
const FIXED_BYTES: usize = 2 * 4_096;

thread_local! {
    static ALLOCATIONS: Cell<u32> = const { Cell::new(0) };
}

/// The system's allocator, which counts what each thread asks it for.
pub struct Counting;

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, len) }
    }
}

/// How many allocations `work` makes on this thread.
pub fn allocations(work: impl FnOnce()) -> u32 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

/// The process's memory that is no file's, in bytes, as the system walks it.
struct Anonymous {
    rollup: File,
    text: String,
}

impl Anonymous {
    fn new() -> Self {
        let rollup = File::open("/proc/self/smaps_rollup").expect("Linux has it since 4.14");
        let mut anonymous = Self {
            rollup,
            text: String::with_capacity(1 << 14),
        };
        // What reading needs is there before it is asked how much there is.
        anonymous.bytes();
        anonymous
    }

    fn bytes(&mut self) -> u32 {
        self.text.clear();
        self.rollup.rewind().expect("the file can be read again");
        self.rollup
            .read_to_string(&mut self.text)
            .expect("the file is text");
        let line = self
            .text
            .lines()
            .find(|line| line.starts_with("Anonymous:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        let kibibytes: u32 = number
            .and_then(|number| number.parse().ok())
            .expect("a number of kibibytes");
        kibibytes * 1_024
    }
}

/// What threads that count take, and what they take more when they count on. For the beginning of a process: a thread that
/// ended leaves its memory to the next one.
pub fn rows() -> Vec<Row> {
    let (_engine, wide) = engine();
    let barrier = Barrier::new(THREADS + 1);
    let mut anonymous = Anonymous::new();
    let (before, counted, later) = thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                // The allocator's own memory for a thread is none of the engine's.
                drop(black_box(Box::new(0_u64)));
                barrier.wait();
                barrier.wait();
                (0..CELLS).for_each(|cell| wide.increment(cell));
                barrier.wait();
                barrier.wait();
                for _ in 0..AGAIN {
                    (0..CELLS).for_each(|cell| wide.increment(cell));
                }
                barrier.wait();
                barrier.wait();
            });
        }
        let mut between = || {
            barrier.wait();
            let bytes = anonymous.bytes();
            barrier.wait();
            f64::from(bytes)
        };
        (between(), between(), between())
    });
    let promised = u32::try_from(THREADS * (CELLS * size_of::<u64>() + FIXED_BYTES));
    let promised = f64::from(promised.expect("less than a mebibyte"));
    vec![
        Row::of(
            "memory of 32 threads with 2,000 cells / 8 B a cell",
            "B",
            (counted - before, promised),
            1.0,
        ),
        Row::of(
            "growth after 32 million more counts, nobody reading",
            "B",
            (later - counted, promised),
            0.0,
        ),
    ]
}
