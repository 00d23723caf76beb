//! Any bytes as a file called `.tta`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| musefs_fuzz::file(bytes, "tta"));
