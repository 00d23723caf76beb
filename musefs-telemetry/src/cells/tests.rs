use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;

use super::slab::{CELLS_MAX, Directory, Slab, add_to_own};
use crate::{DescribeError, Engine, Family, Label};

static EVENTS: Family = Family::counter("events_total", "Events.").with_labels(&[Label {
    name: "kind",
    values: &["a", "b", "c"],
}]);

static OPEN: Family = Family::gauge("open_things", "Things that are open.");

#[test]
fn many_threads_count_exactly() {
    let engine = Engine::new();
    let events = engine.counters(&EVENTS).unwrap();
    thread::scope(|scope| {
        for thread in 0..8 {
            let events = &events;
            scope.spawn(move || {
                for _ in 0..100_000 {
                    events.increment(thread % 3);
                }
            });
        }
    });
    let counted: Vec<u64> = (0..3).map(|index| events.value(index)).collect();
    assert_eq!(counted, [300_000, 300_000, 200_000]);
}

#[test]
fn what_ended_threads_counted_stays_and_their_slabs_serve_again() {
    let engine = Engine::new();
    let events = engine.counters(&EVENTS).unwrap();
    for round in 1..=50 {
        thread::scope(|scope| {
            scope.spawn(|| events.add(1, 2));
        });
        assert_eq!(events.value(1), 2 * round);
    }
}

#[test]
fn a_reader_never_sees_a_counter_fall() {
    let engine = Engine::new();
    let events = engine.counters(&EVENTS).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..200 {
                thread::scope(|inner| {
                    inner.spawn(|| (0..500).for_each(|_| events.increment(0)));
                });
            }
        });
        let mut before = 0;
        while before < 100_000 {
            let value = events.value(0);
            assert!(value >= before, "{value} after {before}");
            before = value;
        }
        assert_eq!(before, 100_000);
    });
}

#[test]
fn one_thread_opens_and_another_closes() {
    let engine = Engine::new();
    let open = engine.up_down_counters(&OPEN).unwrap();
    open.add(0, 5);
    thread::scope(|scope| {
        scope.spawn(|| open.add(0, -3));
    });
    assert_eq!(open.value(0), 2);
    assert_eq!(engine.snapshot().value(&OPEN, 0), Some(2));
}

#[test]
fn two_engines_never_mix_and_a_reused_run_starts_at_zero() {
    let first = Engine::new();
    let second = Engine::new();
    let (ours, theirs) = (
        first.counters(&EVENTS).unwrap(),
        second.counters(&EVENTS).unwrap(),
    );
    ours.add(0, 7);
    assert_eq!((ours.value(0), theirs.value(0)), (7, 0));
    drop((first, ours));
    let third = Engine::new();
    let again = third.counters(&EVENTS).unwrap();
    assert_eq!(again.value(0), 0);
    again.increment(0);
    assert_eq!((again.value(0), theirs.value(0)), (1, 0));
}

#[test]
fn a_name_is_declared_once() {
    let engine = Engine::new();
    engine.counters(&EVENTS).unwrap();
    let again = engine.counters(&EVENTS).unwrap_err();
    assert_eq!(
        again,
        DescribeError::Duplicate {
            name: "events_total".into(),
            other: "events_total",
        }
    );
    assert!(engine.up_down_counters(&EVENTS).is_err());
}

#[test]
fn an_event_during_thread_teardown_is_counted() {
    struct CountsWhenDropped(crate::Counters);
    impl Drop for CountsWhenDropped {
        fn drop(&mut self) {
            self.0.increment(2);
        }
    }
    thread_local! {
        static LATE: std::cell::RefCell<Option<CountsWhenDropped>> = const { std::cell::RefCell::new(None) };
    }
    let engine = Engine::new();
    let events = Arc::new(engine.counters(&EVENTS).unwrap());
    for _ in 0..20 {
        let events = Arc::clone(&events);
        thread::spawn(move || {
            // Both orders of teardown: the value is stored before or after the thread's slab is taken.
            LATE.with(|late| *late.borrow_mut() = Some(CountsWhenDropped((*events).clone())));
            events.increment(2);
        })
        .join()
        .unwrap();
    }
    assert_eq!(events.value(2), 40);
}

/// The size of a page, and how many pages behind `cells` have memory; nothing where the system does not tell.
fn pages(cells: &[AtomicU64]) -> Option<(usize, usize)> {
    let maps = std::fs::read_to_string("/proc/self/smaps").ok()?;
    let line = maps
        .lines()
        .find_map(|line| line.strip_prefix("KernelPageSize:"))?;
    let kibibytes: usize = line.trim().strip_suffix(" kB")?.parse().ok()?;
    let size = kibibytes * 1_024;
    // Of each page of the address space the kernel tells eight bytes, whose highest bit is set when there is memory.
    let mut table = File::open("/proc/self/pagemap").ok()?;
    let first = cells.as_ptr().addr() / size;
    table.seek(SeekFrom::Start((first * 8) as u64)).ok()?;
    let mut entries = vec![0; size_of_val(cells) / size * 8];
    table.read_exact(&mut entries).ok()?;
    let with_memory = entries.chunks_exact(8).filter(|entry| entry[7] & 0x80 != 0);
    Some((size, with_memory.count()))
}

#[test]
fn a_slab_has_memory_for_the_pages_that_were_counted_in_and_no_more_for_counting_on() {
    let slab = Slab::new().unwrap();
    for cells in [0, 1, 512, 513, 2_000, CELLS_MAX] {
        for _ in 0..100 {
            for cell in &slab.cells()[..cells] {
                add_to_own(cell, 1);
            }
        }
        let Some((size, with_memory)) = pages(slab.cells()) else {
            assert!(
                std::env::var_os("CI").is_none(),
                "the system tells of no pages"
            );
            return eprintln!("skipped: the system tells of no pages");
        };
        assert_eq!(with_memory, (cells * 8).div_ceil(size), "{cells} cells");
    }
}

#[test]
fn there_are_as_many_slabs_as_threads_counted_at_once() {
    let mut directory = Directory::new();
    directory.fill();
    let mut slabs = Vec::new();
    for threads in [3, 1, 5, 4] {
        let live: Vec<_> = (0..threads).map(|_| directory.adopt().unwrap()).collect();
        for slab in &live {
            directory.retire(slab);
        }
        slabs.extend(live.iter().map(|slab| slab.cells().as_ptr()));
    }
    slabs.sort_unstable();
    slabs.dedup();
    assert_eq!(slabs.len(), 5);
}
