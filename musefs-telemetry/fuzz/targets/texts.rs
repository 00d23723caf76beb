//! Any bytes as the description of a metric. What is checked is in the body, which a test drives, too.
#![no_main]

#[path = "../body.rs"]
mod body;
#[path = "../strict.rs"]
mod strict;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = body::check(bytes);
});
