//! Any text as a template, filled with any text.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| musefs_fuzz::template(bytes));
