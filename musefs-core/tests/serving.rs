//! Reading a served file and listing what there is allocate nothing and ask the store nothing, however much is counted.

use musefs_core::serve::{Attempt, Handle, Musefs, ReadBuffer};
use musefs_core::tree::Inode;
use musefs_telemetry::snapshot::Value;

#[path = "../../tests/counting_allocator.rs"]
mod counting_allocator;
#[path = "../../tests/in_process.rs"]
mod in_process;

use counting_allocator::ALLOCATIONS;

/// The sum of a family of counters.
fn sum(musefs: &Musefs, name: &str) -> u64 {
    let snapshot = musefs.engine().snapshot();
    let metric = snapshot.find(name).unwrap();
    let values = metric.series().map(|(_, value)| match value {
        Value::Counter(value) => value,
        other => panic!("{name} is no counter: {other:?}"),
    });
    values.sum()
}

/// Reads a whole file in pieces; how many reads that took, the empty one at the end included.
fn read_all(musefs: &Musefs, handle: &Handle, buffer: &mut ReadBuffer) -> u64 {
    let (mut offset, mut reads) = (0, 0);
    loop {
        match musefs.read_cached(handle, offset, 4096, buffer) {
            Attempt::Done(result) => result.unwrap(),
            Attempt::WouldBlock => musefs.read(handle, offset, 4096, buffer).unwrap(),
        }
        reads += 1;
        if buffer.filled().is_empty() {
            return reads;
        }
        offset += buffer.filled().len() as u64;
    }
}

#[test]
fn counting_costs_a_read_neither_memory_nor_a_question_to_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let musefs = in_process::serve(&directory.path().join("store.db"), 0);
    let mut buffer = ReadBuffer::default();
    let tree = musefs.tree();
    assert!(tree.file_count() > 2);
    for (_, inode) in tree.tracks() {
        let node = tree.find(inode).unwrap();
        let path = tree.path_of(node);
        let id = musefs.open(inode).unwrap();
        let handle = musefs.handle(id).unwrap();
        // The thread's cells and the buffer are made by the first pass.
        let first = read_all(&musefs, &handle, &mut buffer);
        let names = ["musefs_reads_total", "musefs_store_queries_total"];
        let before = names.map(|name| sum(&musefs, name));
        let allocations = ALLOCATIONS.get();
        let reads = read_all(&musefs, &handle, &mut buffer);
        // What is made when it is read (pages of Ogg, offsets in MP4) is made in memory of its own.
        let is_made = [".ogg", ".opus", ".m4a"].map(|end| path.ends_with(end));
        if !is_made.contains(&true) {
            assert_eq!(ALLOCATIONS.get(), allocations, "{reads} reads of {path}");
        }
        let after = names.map(|name| sum(&musefs, name));
        assert_eq!([after[0] - before[0], after[1] - before[1]], [first, 0]);
        musefs.release(id).unwrap();
    }
}

/// Lists all that is in `inode` and below it, as a walk does, and looks each name up; how many names there were.
fn walk(musefs: &Musefs, inode: Inode, below: &mut Vec<Inode>) -> u64 {
    let handle = musefs.opendir(inode).unwrap();
    let (mut names, mut from) = (0, 0);
    loop {
        let before = from;
        let emitted = musefs.list(inode, handle, from, &mut |entry| {
            let found = musefs.lookup(inode, entry.name).unwrap();
            assert_eq!(found.inode, entry.attributes.inode);
            if entry.attributes.is_directory {
                below.push(entry.attributes.inode);
            }
            (names, from) = (names + 1, entry.next);
            // A reply has room for a few.
            entry.next % 4 != 0
        });
        emitted.unwrap();
        if from == before {
            break;
        }
    }
    musefs.releasedir(handle.unwrap());
    names
}

#[test]
fn a_walk_costs_neither_memory_for_a_name_nor_a_question_to_the_store_or_the_files() {
    let directory = tempfile::tempdir().unwrap();
    let musefs = in_process::serve(&directory.path().join("store.db"), 0);
    let mut waiting = Vec::with_capacity(1024);
    let mut walk_all = || {
        let (mut names, mut directories, mut allocations) = (0, 0, 0);
        waiting.push(Inode::ROOT);
        while let Some(inode) = waiting.pop() {
            let before = ALLOCATIONS.get();
            names += walk(&musefs, inode, &mut waiting);
            allocations += ALLOCATIONS.get() - before;
            directories += 1;
        }
        (names, directories, allocations)
    };
    // The thread's cells are made by the first.
    let first = walk_all();
    let counters = [
        "musefs_store_queries_total",
        "musefs_backing_opens_total",
        "musefs_backing_stats_total",
        "musefs_backing_preads_total",
    ];
    let before = counters.map(|name| sum(&musefs, name));
    let (names, directories, allocations) = walk_all();
    assert_eq!(counters.map(|name| sum(&musefs, name)), before);
    assert_eq!((names, directories), (first.0, first.1));
    assert_eq!(names + 1, musefs.tree().node_count() as u64);
    // What is open is remembered by its handle.
    assert!(
        allocations <= 2 * directories,
        "{allocations} for {directories} directories and {names} names"
    );
}
