//! Any bytes as a file called `.aac`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| musefs_fuzz::file(bytes, "aac"));
