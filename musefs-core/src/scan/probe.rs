//! Reading one file for its probe: the blocks it asks for, bounded, behind a fence.
//!
//! Files are opened for reading alone, and not a byte is read that was not asked for, but for rounding to blocks.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use super::Shared;
use super::compare::FileToProbe;
use super::report::{ScanFailure, ScanWarning};
use crate::formats::{
    self, AudioProperties, Desired, Failure, Fetched, Format, Probe, Stop, Structure, Warning,
};
use crate::metrics::Metrics;
use crate::store::{Parts, Reading, Stamp, TrackFailure};

/// Reads are rounded to multiples of this.
const BLOCK_BYTES: u64 = 4096;

/// What a probe may read of one file. One that asks for more is told that the file is over the limit; each round makes it
/// start again, so the rounds bound the time of one file.
const PROBE_BOUNDS: Bounds = Bounds {
    bytes_max: 64 << 20,
    rounds_max: 10_000,
};

/// What the pass for the properties of the sound may read besides what the probe read.
const PROPERTIES_BOUNDS: Bounds = Bounds {
    bytes_max: 4 << 20,
    rounds_max: 256,
};

/// Bytes at the start of a file that its fingerprint is of.
const FINGERPRINT_BYTES: u64 = 1024;

/// How often a file is read that changes while it is read.
const ATTEMPTS_MAX: u32 = 2;

/// A file that was read, or could not be.
pub(super) struct Probed {
    pub(super) file: FileToProbe,
    pub(super) outcome: Outcome,
}

pub(super) enum Outcome {
    /// It was read, as it was at that stamp.
    Read(Stamp, Box<Reading>),
    /// It is there and cannot be read.
    Unreadable,
    /// It went away after the walk came upon it.
    Vanished,
    /// It changed each time it was read.
    Changing,
}

/// Why an attempt gave nothing.
enum Miss {
    Changed,
    Io(io::Error),
}

impl From<io::Error> for Miss {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// How much one pass over a file may ask for.
struct Bounds {
    /// Bytes read.
    bytes_max: u64,
    /// Ranges asked for.
    rounds_max: u32,
}

/// What a pass over a file said, before it is made ready for the store.
enum Answer<T> {
    Given(T),
    OverLimit,
    Panicked,
}

/// What one reading of a file gave.
struct Taken {
    stamp: Stamp,
    fingerprint: u64,
    probe: Answer<Box<Probe>>,
    /// Why the sound's properties are not known, where they were looked for.
    no_properties: Option<String>,
}

/// Reads and probes a file; tells of what is wrong with it.
pub(super) fn probe_file(file: FileToProbe, shared: &Shared<'_>) -> Probed {
    let mut outcome = Outcome::Changing;
    for _ in 0..ATTEMPTS_MAX {
        outcome = match attempt(&file.path, shared) {
            Err(Miss::Changed) => continue,
            Err(Miss::Io(error)) if error.kind() == io::ErrorKind::NotFound => Outcome::Vanished,
            Err(Miss::Io(error)) => {
                shared.failure(
                    ScanFailure::Track(TrackFailure::Unreadable),
                    &file.path,
                    &error.to_string(),
                );
                Outcome::Unreadable
            }
            Ok(taken) => {
                let stamp = taken.stamp;
                Outcome::Read(stamp, Box::new(reading(&file.path, taken, shared)))
            }
        };
        break;
    }
    if matches!(outcome, Outcome::Changing) {
        shared.changing.lock().push(file.path.clone());
        shared.failure(
            ScanFailure::Changing,
            &file.path,
            "the file changed each time it was read",
        );
    }
    Probed { file, outcome }
}

/// Reads the file once. The stamp before and after must be the same to the last digit.
fn attempt(path: &Path, shared: &Shared<'_>) -> Result<Taken, Miss> {
    let metrics = shared.metrics;
    let file = open(path)?;
    metrics.scan_opens.increment();
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Miss::Changed);
    }
    // Advice alone: without it the kernel reads ahead of the few blocks that a probe wants.
    let _ = posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_RANDOM);
    let stamp = Stamp::of(&metadata);
    let mut fetched = Fetched::new(stamp.size);
    let start = stamp.size.min(FINGERPRINT_BYTES);
    fetch(&file, &mut fetched, 0..start, metrics)?;
    let start = usize::try_from(start).expect("at most FINGERPRINT_BYTES");
    let fingerprint = fnv1a(fetched.get(0, start).expect("just fetched"));
    let extension = path.extension().and_then(|extension| extension.to_str());
    let probe = |fetched: &Fetched| formats::probe(fetched, extension).map(Box::new);
    let mut probe = ask(&file, &mut fetched, &PROBE_BOUNDS, metrics, probe)?;
    let mut no_properties = None;
    if let Answer::Given(probe) = &mut probe
        && !shared.options.skip_properties
        && probe.format != Format::Unrecognised
        && probe.properties == AudioProperties::default()
    {
        match properties(&file, &mut fetched, extension, metrics)? {
            Ok(properties) => probe.properties = properties,
            Err(reason) => no_properties = Some(reason),
        }
    }
    if Stamp::of(&file.metadata()?) != stamp {
        return Err(Miss::Changed);
    }
    Ok(Taken {
        stamp,
        fingerprint,
        probe,
        no_properties,
    })
}

/// The properties of the sound, or why they are not known: by then the probe is through, and nothing but a change of the
/// file takes away what it gave.
fn properties(
    file: &File,
    fetched: &mut Fetched,
    extension: Option<&str>,
    metrics: &Metrics,
) -> Result<Result<AudioProperties, String>, Miss> {
    let bounds = Bounds {
        bytes_max: fetched.bytes().saturating_add(PROPERTIES_BOUNDS.bytes_max),
        ..PROPERTIES_BOUNDS
    };
    let read = |fetched: &Fetched| match formats::properties(fetched, extension) {
        Ok(properties) => Ok(Ok(properties)),
        Err(Stop::NeedMore(range)) => Err(range),
        Err(Stop::Broken(failure)) => Ok(Err(failure.as_str().to_owned())),
    };
    match ask(file, fetched, &bounds, metrics, read) {
        Ok(Answer::Given(answer)) => Ok(answer),
        Ok(Answer::OverLimit) => Ok(Err(Failure::OverLimit.as_str().to_owned())),
        Ok(Answer::Panicked) => Ok(Err("the reader ran into a fault of its own".to_owned())),
        Err(Miss::Io(error)) => Ok(Err(error.to_string())),
        Err(Miss::Changed) => Err(Miss::Changed),
    }
}

/// Opens for reading, leaving the access time alone where that is permitted, and without waiting for a pipe that took the
/// file's place.
fn open(path: &Path) -> io::Result<File> {
    let flags = libc::O_CLOEXEC | libc::O_NONBLOCK | libc::O_NOCTTY;
    let open = |flags| OpenOptions::new().read(true).custom_flags(flags).open(path);
    match open(flags | libc::O_NOATIME) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => open(flags),
        done => done,
    }
}

/// Asks a pass again until it has what it needs.
fn ask<T>(
    file: &File,
    fetched: &mut Fetched,
    bounds: &Bounds,
    metrics: &Metrics,
    pass: impl Fn(&Fetched) -> Result<T, Range<u64>>,
) -> Result<Answer<T>, Miss> {
    for _ in 0..bounds.rounds_max {
        let asked = catch_unwind(AssertUnwindSafe(|| pass(fetched)));
        let range = match asked {
            Ok(Ok(given)) => return Ok(Answer::Given(given)),
            Ok(Err(range)) => range,
            Err(_) => return Ok(Answer::Panicked),
        };
        let wanted = range.end.saturating_sub(range.start);
        if fetched.bytes().saturating_add(wanted) > bounds.bytes_max {
            return Ok(Answer::OverLimit);
        }
        fetch(file, fetched, range, metrics)?;
    }
    Ok(Answer::OverLimit)
}

/// Reads `range`, rounded to blocks, as one piece.
fn fetch(
    file: &File,
    fetched: &mut Fetched,
    range: Range<u64>,
    metrics: &Metrics,
) -> Result<(), Miss> {
    let start = range.start - range.start % BLOCK_BYTES;
    let file_len = fetched.file_len();
    let end = range
        .end
        .min(file_len)
        .next_multiple_of(BLOCK_BYTES)
        .min(file_len);
    let len = usize::try_from(end.saturating_sub(start)).expect("bounded by the pass");
    let mut bytes = vec![0; len];
    let mut filled = 0;
    while filled < len {
        metrics.scan_preads.increment();
        match file.read_at(&mut bytes[filled..], start + filled as u64) {
            // The file is shorter than its stamp said.
            Ok(0) => return Err(Miss::Changed),
            Ok(read) => {
                metrics.scan_bytes.add(read as u64);
                filled += read;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Miss::Io(error)),
        }
    }
    fetched.insert(start, bytes.into());
    Ok(())
}

/// The 64-bit FNV-1a hash (Fowler, Noll, Vo): stable, and good enough to tell two files of the same size and time apart.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Makes the answer ready for the store and tells of what is odd in it.
fn reading(path: &Path, taken: Taken, shared: &Shared<'_>) -> Reading {
    let mut probe = match taken.probe {
        Answer::Given(probe) => *probe,
        Answer::OverLimit => as_it_is(Failure::OverLimit),
        Answer::Panicked => {
            shared.failure(
                ScanFailure::Panicked,
                path,
                "the probe ran into a fault of its own; the file is listed and served as it is",
            );
            as_it_is(Failure::Malformed)
        }
    };
    if let Some(failure) = probe.failure {
        shared.failure(
            ScanFailure::Track(TrackFailure::Probe(failure)),
            path,
            failure.as_str(),
        );
    }
    for warning in &probe.warnings {
        tell(path, warning, shared);
    }
    // A file that failed is named already.
    if let Some(reason) = taken.no_properties.filter(|_| probe.failure.is_none()) {
        shared.warning(
            ScanWarning::NoProperties,
            path,
            &format!("its duration and the like cannot be read: {reason}"),
        );
    }
    // The order in which the store gives them back.
    probe.tags.sort_by(|a, b| a.key.cmp(&b.key));
    let desired = Desired {
        structure: &probe.structure,
        backing_len: taken.stamp.size,
        tags: &probe.tags,
        art: &probe.art,
        items: &probe.items,
    };
    let layout = catch_unwind(AssertUnwindSafe(|| formats::synthesize(&desired)));
    let served_size = match layout {
        Ok(Ok(layout)) => Some(layout.len()),
        Ok(Err(error)) => {
            shared.warning(ScanWarning::NoLayout, path, &error.to_string());
            None
        }
        Err(_) => {
            shared.warning(
                ScanWarning::NoLayout,
                path,
                "the synthesizer ran into a fault of its own",
            );
            None
        }
    };
    Reading {
        format: probe.format,
        structure: probe.structure,
        parts: Parts {
            tags: probe.tags,
            art: probe.art,
            items: probe.items,
        },
        properties: probe.properties,
        failure: probe.failure.map(TrackFailure::Probe),
        fingerprint: taken.fingerprint,
        served_size,
    }
}

/// A file of which nothing is known but that it is there.
fn as_it_is(failure: Failure) -> Probe {
    Probe {
        format: Format::Unrecognised,
        structure: Structure::AsIs,
        tags: Vec::new(),
        art: Vec::new(),
        items: Vec::new(),
        properties: AudioProperties::default(),
        failure: Some(failure),
        warnings: Vec::new(),
    }
}

fn tell(path: &Path, warning: &Warning, shared: &Shared<'_>) {
    let (kind, reason) = match warning {
        Warning::LegacyText { field } => (
            ScanWarning::LegacyText,
            format!("{field} is not in the encoding it claims; read as a legacy code page"),
        ),
        Warning::BadField { field, reason } => (
            ScanWarning::BadField,
            format!("{field} cannot be read: {reason}"),
        ),
        Warning::ExtensionMismatch { content } => {
            let extension = path.extension().map_or_else(String::new, |extension| {
                String::from_utf8_lossy(extension.as_bytes()).into_owned()
            });
            (
                ScanWarning::ExtensionMismatch,
                format!(
                    "the content is {}, the extension {extension}",
                    content.as_str()
                ),
            )
        }
    };
    shared.warning(kind, path, &reason);
}

#[cfg(test)]
mod tests;
