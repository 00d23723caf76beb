//! Any bytes as a file called `.m4a`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| musefs_fuzz::file(bytes, "m4a"));
