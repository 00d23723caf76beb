//! The sound of formats whose own probe does not tell it: how long, at which rate, on how many channels.
//!
//! A pass of its own, after the probe and without it: whatever goes wrong here costs a file these numbers and nothing else.
//! lofty reads them, over a cursor that stops when it comes to bytes which were not fetched; it is told the format by
//! our own look at the content, and neither its panics nor its allocations go past this module.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use lofty::config::{GlobalOptions, ParseOptions, apply_global_options};
use lofty::file::{AudioFile, FileType, TaggedFile};

use super::sniff;
use super::{AudioProperties, ByteRange, Failure, Fetched, Format, Stop, trailer};

/// The most that lofty may allocate for one item, in bytes.
const ALLOCATION_BYTES_MAX: usize = 1 << 20;

/// Reads and seeks of one attempt. Some of lofty's readers go round in circles in a file that is made for it.
const STEPS_MAX: u32 = 1 << 20;

/// The least that is asked for at a time, in bytes.
const REQUEST_BYTES_MIN: u64 = 4096;

/// The most that is asked for ahead of what is needed, in bytes.
const AHEAD_BYTES_MAX: u64 = 256 << 10;

/// A single read of this many bytes or more is a picture or a body of sound, never a field of a header: it is answered
/// with zeros instead of being fetched.
const BULK_READ_BYTES_MIN: usize = 128 << 10;

/// Reads what a file says of its sound. `extension` is a hint without its dot, in any case.
///
/// # Errors
/// `NeedMore` under the rules of [`super::probe`]; `Broken` when the file does not tell in a way that is understood.
pub fn properties(fetched: &Fetched, extension: Option<&str>) -> Result<AudioProperties, Stop> {
    let sniffed = sniff::sniff(fetched, extension)?;
    let file_type = file_type(sniffed.format).ok_or(Stop::Broken(Failure::Unsupported))?;
    let options = ParseOptions::new()
        .read_tags(false)
        .read_cover_art(false)
        .read_properties(true);
    // Tags around the sound are none of its business, and some of its readers stumble over them.
    let end = trailer::find(fetched, sniffed.start)?.audio_end;
    let sound = ByteRange {
        offset: sniffed.start,
        len: end - sniffed.start,
    };
    let file =
        with_lofty(fetched, sound, file_type, options)?.ok_or(Stop::Broken(Failure::Malformed))?;
    let properties = of_lofty(&file);
    // Where it finds no sound at all it has defaults for some of the fields.
    if properties.duration_ms.is_none() && properties.channels.is_none() {
        return Err(Stop::Broken(Failure::Malformed));
    }
    Ok(properties)
}

/// Which of lofty's readers a file is for; `None` where our own walk tells all that there is.
fn file_type(format: Format) -> Option<FileType> {
    match format {
        Format::Mp4 => Some(FileType::Mp4),
        Format::Ape => Some(FileType::Ape),
        Format::WavPack => Some(FileType::WavPack),
        Format::Musepack => Some(FileType::Mpc),
        Format::Flac
        | Format::Mp3
        | Format::Ogg
        | Format::Wav
        | Format::Aiff
        | Format::TrueAudio
        | Format::Adts
        | Format::Unrecognised => None,
    }
}

/// What lofty makes of a part of a file, `None` when it gives up or panics.
///
/// # Errors
/// `NeedMore`, or `Broken(OverLimit)` when it does not come to an end.
fn with_lofty(
    fetched: &Fetched,
    part: ByteRange,
    file_type: FileType,
    options: ParseOptions,
) -> Result<Option<TaggedFile>, Stop> {
    // Kept by lofty per thread, so it is said wherever lofty is used and no caller can have forgotten it.
    apply_global_options(GlobalOptions::new().allocation_limit(ALLOCATION_BYTES_MAX));
    let mut cursor = Cursor {
        fetched,
        part,
        position: part.offset,
        missing: None,
        steps_left: STEPS_MAX,
    };
    let read = catch_unwind(AssertUnwindSafe(|| {
        lofty::probe::Probe::with_file_type(&mut cursor, file_type)
            .options(options)
            .read()
    }));
    match cursor.missing {
        Some(range) => Err(Stop::NeedMore(range)),
        None if cursor.steps_left == 0 => Err(Stop::Broken(Failure::OverLimit)),
        None => Ok(read.ok().and_then(Result::ok)),
    }
}

fn of_lofty(file: &TaggedFile) -> AudioProperties {
    let known = file.properties();
    let duration_ms = u64::try_from(known.duration().as_millis()).ok();
    AudioProperties {
        duration_ms: duration_ms.filter(|&ms| ms > 0),
        sample_rate_hz: known.sample_rate().filter(|&rate| rate > 0),
        channels: known
            .channels()
            .map(u32::from)
            .filter(|&channels| channels > 0),
        bits_per_sample: known.bit_depth().map(u32::from).filter(|&bits| bits > 0),
        bitrate_bps: known
            .audio_bitrate()
            .and_then(|kbps| kbps.checked_mul(1000))
            .filter(|&bitrate| bitrate > 0),
    }
}

/// The fetched bytes of a part as a file of their own. A read of bytes that were not fetched fails, and what it wanted
/// is remembered.
struct Cursor<'a> {
    fetched: &'a Fetched,
    part: ByteRange,
    /// In bytes from the start of the real file, like `missing`.
    position: u64,
    missing: Option<Range<u64>>,
    steps_left: u32,
}

impl Cursor<'_> {
    fn step(&mut self) -> io::Result<()> {
        self.steps_left = self.steps_left.saturating_sub(1);
        if self.steps_left == 0 {
            return Err(io::Error::other("too many reads"));
        }
        Ok(())
    }
}

impl Read for Cursor<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.step()?;
        let left = self.part.end().saturating_sub(self.position);
        let len = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if self.missing.is_some() {
            return Err(io::Error::other("stopped at bytes that were not fetched"));
        }
        if len == 0 {
            return Ok(0);
        }
        if len >= BULK_READ_BYTES_MIN {
            buffer[..len].fill(0);
        } else {
            let Ok(bytes) = self.fetched.get(self.position, len) else {
                // Asking for more with every round keeps the rounds few.
                let ahead = (self.fetched.bytes() / 4).min(AHEAD_BYTES_MAX);
                let want = (len as u64).max(REQUEST_BYTES_MIN).max(ahead);
                let end = self.position.saturating_add(want);
                self.missing = Some(self.position..end.min(self.part.end()));
                return Err(io::Error::other("bytes that were not fetched"));
            };
            buffer[..len].copy_from_slice(bytes);
        }
        self.position += len as u64;
        Ok(len)
    }
}

impl Seek for Cursor<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.step()?;
        let position = match to {
            SeekFrom::Start(position) => self.part.offset.checked_add(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.part.end().checked_add_signed(by),
        };
        self.position = position
            .filter(|&position| position >= self.part.offset)
            .ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "a seek out of the file's range",
                )
            })?;
        Ok(self.position - self.part.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes in which lofty looks for a frame of AAC for ever.
    #[test]
    fn a_reader_that_goes_round_in_circles_is_stopped() {
        let bytes = b"\xff\xf8\x01\0\0\xff\xf8\xff\xf8\x3d\xf1\xea\xe3\0U\xff\xff\0\0\0\xf8\xdf\xff\xff\0\0\0\0\
            \0\0\0\0\0D\0\0\x29\x10\0\0\xff\xff\0\0\0\0\x02\xff\xff\0\0\0\0\0\xba\0\0\0\x000y0000\0\0\
            \x3a\0\0\0\0\0\0\0\xff\xff\xffD\0\0\0\0\xffD\xff\0\0\0A\x16\x3a\0\0\0\0\0\0\0\xff\0\0\0\
            \x2e\0\xff";
        let mut fetched = Fetched::new(106);
        fetched.insert(0, bytes[..].into());
        let whole = ByteRange {
            offset: 0,
            len: 106,
        };
        let options = ParseOptions::new().read_tags(false);
        let read = with_lofty(&fetched, whole, FileType::Aac, options);
        assert!(matches!(read, Err(Stop::Broken(Failure::OverLimit))));
    }
}
