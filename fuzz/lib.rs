//! What the targets do with the bytes that a fuzzer makes up.
//!
//! Run one with `cargo +nightly fuzz run flac`; `scripts/fuzz.sh` gives it the files of the test data to start from. The
//! bodies are those of a bounded run in `cargo test`: a target adds nothing but the bytes.

#[path = "../musefs-core/tests/hostile/exercise.rs"]
mod exercise;

/// Takes bytes through all that musefs does with a file of that extension.
pub fn file(bytes: &[u8], extension: &str) {
    exercise::exercise(bytes, extension, bytes.len() as u64);
}

/// Takes a text through all that musefs does with a template. What follows the first NUL are the values of tags.
pub fn template(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let (template, values) = text.split_once('\0').unwrap_or((text, ""));
        exercise::template(template, values);
    }
}
