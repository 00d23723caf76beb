//! A read of what is in memory makes no allocation: not for finding the file, nor for its bytes, nor for what is counted.

use std::path::Path;

use musefs_core::serve::{Attempt, Mode, Musefs, ReadBuffer, ServeConfig};
use musefs_core::tree::Inode;

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
