//! Hostile files: cut, flipped and mutated ones of every format. No panic, no endless asking, no memory by what a file
//! claims, and every served range is a slice of the whole.

mod allocations;
mod exercise;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use exercise::{Numbers, exercise};

/// Bytes at the start and at the end of a file that are cut and flipped one by one.
const HEAD_BYTES: usize = 700;
const TAIL_BYTES: usize = 200;

/// Sound of the samples that is kept: enough frames that the file is told for what it is.
const SAMPLE_BYTES_MAX: usize = 6 << 10;

/// Random mutations of each sample.
const MUTATIONS: u64 = 120;

/// Memory that a file may cost besides a multiple of its length: buffers that have one size for all.
const PEAK_BYTES_EXTRA: usize = 2 << 20;
const PEAK_TIMES_MAX: usize = 64;

fn data(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/data")
        .join(below)
}

fn walk(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// The files with one of these extensions, the real ones cut short. A file that is not cut stays whole for what follows
/// the sound.
fn samples(extensions: &[&str]) -> Vec<(String, Vec<u8>)> {
    let mut paths = Vec::new();
    walk(&data("odd"), &mut paths);
    walk(&data("library"), &mut paths);
    paths.sort();
    let mut samples = Vec::new();
    for path in paths {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let Some(extension) = extension.filter(|extension| extensions.contains(extension)) else {
            continue;
        };
        let mut bytes = fs::read(&path).expect("a file");
        bytes.truncate(SAMPLE_BYTES_MAX);
        samples.push((extension.to_owned(), bytes));
    }
    assert!(samples.len() > 1, "samples of {extensions:?}");
    samples
}

/// Exercises one file; what fails is told with the bytes' path, so that it can be looked at.
fn check(bytes: &[u8], extension: &str, seed: u64, what: impl Fn() -> String) {
    let mut outcome = Ok(());
    let peak = allocations::peak_bytes(|| {
        outcome = catch_unwind(AssertUnwindSafe(|| exercise(bytes, extension, seed)));
    });
    let keep = || {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hostile.{extension}"));
        fs::write(&path, bytes).expect("a temporary file");
        path
    };
    assert!(
        outcome.is_ok(),
        "{}, seed {seed}: see {}",
        what(),
        keep().display()
    );
    let peak_max = PEAK_BYTES_EXTRA + PEAK_TIMES_MAX * bytes.len();
    assert!(
        peak <= peak_max,
        "{} held {peak} bytes: see {}",
        what(),
        keep().display()
    );
}

/// Positions in the head and in the tail.
fn positions(len: usize) -> impl Iterator<Item = usize> {
    (0..len.min(HEAD_BYTES)).chain(len.saturating_sub(TAIL_BYTES).max(HEAD_BYTES)..len)
}

fn mutated(bytes: &[u8], others: &[(String, Vec<u8>)], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = |numbers: &mut Numbers, len: usize| {
        let bound = if numbers.below(4) == 0 {
            len
        } else {
            len.min(HEAD_BYTES)
        };
        usize::try_from(numbers.below(bound as u64)).expect("small")
    };
    for _ in 0..=numbers.below(6) {
        if bytes.is_empty() {
            break;
        }
        let start = at(numbers, bytes.len());
        let len = usize::try_from(numbers.below(40))
            .expect("small")
            .min(bytes.len() - start);
        match numbers.below(8) {
            0 => bytes[start] = u8::try_from(numbers.below(256)).expect("a byte"),
            1 => bytes[start..start + len].fill(0xff),
            2 => bytes[start..start + len].fill(0),
            3 => drop(bytes.drain(start..start + len)),
            4 => bytes.truncate(start),
            5 => {
                let copy = bytes[start..start + len].to_vec();
                let to = at(numbers, bytes.len());
                bytes.splice(to..to, copy);
            }
            6 => {
                // A number that somebody might take for a size.
                let number = [0, 1, 0x7f, 0x80, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 24];
                let number = number[index(numbers.below(8))];
                let number = if numbers.below(2) == 0 {
                    u32::to_be_bytes(number)
                } else {
                    u32::to_le_bytes(number)
                };
                let end = (start + 4).min(bytes.len());
                bytes[start..end].copy_from_slice(&number[..end - start]);
            }
            _ => {
                let (_, other) = &others[index(numbers.below(others.len() as u64))];
                let from = at(numbers, other.len());
                let end = (from + len).min(other.len());
                bytes.splice(start..start + len, other[from..end].iter().copied());
            }
        }
    }
    bytes
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("small")
}

fn survive(extensions: &[&str]) {
    let samples = samples(extensions);
    for (number, (extension, bytes)) in (0..).zip(&samples) {
        check(bytes, extension, number, || format!("sample {number}"));
        for cut in positions(bytes.len()) {
            check(&bytes[..cut], extension, number, || {
                format!("sample {number} cut at {cut}")
            });
        }
        for at in positions(bytes.len()) {
            let mut damaged = bytes.clone();
            damaged[at] ^= [0xff, 0x80, 0x01][at % 3];
            check(&damaged, extension, number, || {
                format!("sample {number} flipped at {at}")
            });
        }
        for seed in 0..MUTATIONS {
            let mut numbers = Numbers(number << 32 | seed);
            let damaged = mutated(bytes, &samples, &mut numbers);
            check(&damaged, extension, seed, || {
                format!("sample {number} mutated by {seed}")
            });
        }
    }
}

#[test]
fn damaged_flac_is_survived() {
    survive(&["flac"]);
}

#[test]
fn damaged_mpeg_audio_is_survived() {
    survive(&["mp3"]);
}

#[test]
fn damaged_mp4_is_survived() {
    survive(&["m4a"]);
}

#[test]
fn damaged_ogg_is_survived() {
    survive(&["ogg", "opus"]);
}

#[test]
fn damaged_riff_and_iff_are_survived() {
    survive(&["wav", "aiff"]);
}

#[test]
fn damaged_files_with_tags_at_the_end_are_survived() {
    survive(&["ape", "mpc", "wv", "tta"]);
}

#[test]
fn damaged_adts_is_survived() {
    survive(&["aac"]);
}

#[test]
fn damaged_templates_are_survived() {
    let mut samples = Vec::new();
    let mut cases = Vec::new();
    walk(&data("template"), &mut cases);
    cases.sort();
    for case in cases {
        let text = fs::read_to_string(&case).expect("a case");
        for line in text.lines() {
            let template = line.split_once(' ').map_or(line, |(_, template)| template);
            samples.push((
                "case".to_owned(),
                format!("{template}\n{line}").into_bytes(),
            ));
        }
    }
    for (number, (_, bytes)) in (0..).zip(&samples) {
        for seed in 0..20 {
            let mut numbers = Numbers(number << 32 | seed);
            let damaged = mutated(bytes, &samples, &mut numbers);
            let text = String::from_utf8_lossy(&damaged);
            let (template, values) = text.split_once('\n').unwrap_or((&text, ""));
            exercise::template(template, values);
        }
    }
}
