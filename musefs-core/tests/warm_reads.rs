//! What opens and reads of what is in memory cost: no allocation for a read, one call for its bytes and one to look at the file,
//! and no statement; nothing is opened for a file that has just been closed.

use std::path::Path;

use musefs_core::serve::{Attempt, Mode, Musefs, ReadBuffer, ServeConfig};
use musefs_core::tree::Inode;
use musefs_telemetry::snapshot::Value;

#[path = "hostile/allocations.rs"]
mod allocations;
#[path = "../../tests/in_process.rs"]
mod in_process;

use allocations::peak_bytes;

/// A mount's core over a directory of music, each file at the root under its own name.
fn serve(music: &Path, db: &Path) -> Musefs {
    let config = ServeConfig {
        mode: Mode::StructureOnly,
        header_cache_bytes_max: 1 << 20,
        readahead_bytes_max: 4 << 20,
        dir_handles_max: 2,
        store_connections: 1,
    };
    in_process::serve_music(music, "$filename", config, db)
}

#[test]
fn a_warm_read_allocates_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let music = directory.path().join("music");
    std::fs::create_dir(&music).unwrap();
    let bytes: Vec<u8> = (0..3_000_000_u32)
        .map(|index| (index % 251) as u8)
        .collect();
    std::fs::write(music.join("one.flac"), &bytes).unwrap();
    let musefs = serve(&music, &directory.path().join("store.db"));
    let found = musefs.lookup(Inode::ROOT, b"one.flac").unwrap();
    let id = musefs.open(found.inode).unwrap();
    let mut buffer = ReadBuffer::default();
    for len in [1 << 20, 128 << 10, 4096, 1] {
        let mut read_all = |is_mapped: bool| {
            let mut at = 0;
            let mut mapped_reads = 0;
            while at < bytes.len() as u64 {
                let handle = musefs.handle(id).unwrap();
                let mapped = is_mapped
                    .then(|| musefs.read_mapped(&handle, at, len))
                    .flatten();
                if let Some(mapped) = mapped {
                    assert!(musefs.is_still_what_was_mapped(&handle));
                    mapped_reads += 1;
                    at += mapped.for_the_kernel().len() as u64;
                    continue;
                }
                match musefs.read_cached(&handle, at, len, &mut buffer) {
                    Attempt::Done(result) => result.unwrap(),
                    // Nothing is warm where nothing reads without waiting.
                    Attempt::WouldBlock => return None,
                }
                // Some of the shortest reads are enough.
                let step = if len == 1 {
                    10_007
                } else {
                    buffer.filled().len() as u64
                };
                at += step;
            }
            Some(mapped_reads)
        };
        // Buffers grow when they are first used.
        for is_mapped in [true, false] {
            if read_all(is_mapped).is_none() {
                eprintln!("skipped: this filesystem does not read without waiting");
                return;
            }
        }
        for is_mapped in [false, true] {
            let mut mapped_reads = None;
            let peak = peak_bytes(|| mapped_reads = read_all(is_mapped));
            assert_eq!(peak, 0, "reads of {len} bytes, mapped: {is_mapped}");
            assert!(mapped_reads.is_some());
        }
    }
}

/// What has been done so far: backing opens, looks, reads and their bytes, and statements.
fn work(musefs: &Musefs) -> [u64; 5] {
    let snapshot = musefs.engine().snapshot();
    [
        "musefs_backing_opens_total",
        "musefs_backing_stats_total",
        "musefs_backing_preads_total",
        "musefs_backing_pread_bytes_total",
        "musefs_store_queries_total",
    ]
    .map(|name| {
        let values = snapshot.find(name).unwrap().series();
        let values = values.map(|(_, value)| match value {
            Value::Counter(value) => value,
            other => panic!("{name} is no counter: {other:?}"),
        });
        values.sum()
    })
}

/// What `act` does.
fn cost(musefs: &Musefs, act: impl FnOnce()) -> [u64; 5] {
    let before = work(musefs);
    act();
    let after = work(musefs);
    std::array::from_fn(|index| after[index] - before[index])
}

#[test]
fn opens_and_reads_cost_what_they_bring() {
    const MIB: u64 = 1 << 20;
    let directory = tempfile::tempdir().unwrap();
    let music = directory.path().join("music");
    std::fs::create_dir(&music).unwrap();
    std::fs::write(music.join("one.flac"), vec![7; 3 << 20]).unwrap();
    let musefs = serve(&music, &directory.path().join("store.db"));
    let inode = musefs.lookup(Inode::ROOT, b"one.flac").unwrap().inode;
    drop(musefs.release(musefs.open(inode).unwrap()).unwrap());

    let mut opened = None;
    let reopened = cost(&musefs, || {
        if let Attempt::Done(id) = musefs.open_cached(inode) {
            opened = Some(id.unwrap());
        }
    });
    let Some(id) = opened else {
        eprintln!("skipped: this filesystem does not read without waiting");
        return;
    };
    assert_eq!(reopened, [0, 1, 0, 0, 0], "it had just been closed");

    let handle = musefs.handle(id).unwrap();
    let mut buffer = ReadBuffer::default();
    let mut read = |at, len| match musefs.read_cached(&handle, at, len, &mut buffer) {
        Attempt::Done(result) => result.unwrap(),
        Attempt::WouldBlock => panic!("it was written a moment ago"),
    };
    assert_eq!(cost(&musefs, || read(MIB, 4096)), [0, 1, 1, 4096, 0]);
    let in_requests = |len: u64| (0..MIB).step_by(usize::try_from(len).unwrap());
    let sequential = cost(&musefs, || {
        in_requests(128 << 10).for_each(|at| read(at, 128 << 10));
    });
    assert_eq!(sequential, [0, 8, 8, MIB, 0]);
    let mapped = cost(&musefs, || {
        if musefs.read_mapped(&handle, 0, MIB).is_some() {
            assert!(musefs.is_still_what_was_mapped(&handle));
        } else {
            // Not everybody is told what is in memory: copied, it is looked at once.
            read(0, MIB);
            musefs.is_still_what_was_mapped(&handle);
        }
    });
    assert_eq!(mapped, [0, 2, 1, MIB, 0]);
    drop(handle);

    let closed_and_opened = cost(&musefs, || {
        drop(musefs.release(id).unwrap());
        assert!(matches!(musefs.open_cached(inode), Attempt::Done(Ok(_))));
    });
    assert_eq!(closed_and_opened, [0, 1, 0, 0, 0]);
    // Nothing that a name leads to elsewhere is taken for what it led to before.
    drop(musefs.release(musefs.open(inode).unwrap()).unwrap());
    std::fs::remove_file(music.join("one.flac")).unwrap();
    assert!(musefs.open(inode).is_err());
}
