use std::collections::HashMap;
use std::sync::Barrier;
use std::thread;

use super::*;

/// Bytes that processors move between cores at once: a line and the neighbour that is fetched along with it.
const LINE: usize = 128;

#[test]
fn no_two_shards_share_a_cache_line() {
    const THREADS: usize = 8;
    let slot = Slot::take(3).unwrap();
    let barrier = Barrier::new(THREADS);
    let firsts: Vec<usize> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    slot.add(0, 1);
                    // While all of them live, no slab serves twice.
                    barrier.wait();
                    CELLS.get().addr()
                })
            })
            .collect();
        let firsts = threads.into_iter().map(|thread| thread.join().unwrap());
        firsts.collect()
    });
    let mut owners = HashMap::new();
    let fallback = FALLBACK.as_ptr().addr();
    for (owner, first) in firsts.into_iter().chain([fallback]).enumerate() {
        assert_ne!(first, 0);
        let end = first + CELLS_MAX * size_of::<AtomicU64>();
        assert!(
            owner == THREADS || first % LINE == 0,
            "a thread's slab begins with a line"
        );
        for line in first / LINE..end.div_ceil(LINE) {
            assert_eq!(owners.insert(line, owner), None, "line {line:#x}");
        }
    }
    assert_eq!(slot.value(0), THREADS as u64);
}
