//! The formats without a synthesizer: their tags are read for the file's place in the tree, the file is served as it is.
//!
//! lofty reads them, over a cursor that stops when it comes to bytes which were not fetched. Whatever the library does with a
//! broken file (it may panic) costs that file its tags at most.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use lofty::config::ParseOptions;
use lofty::file::{AudioFile, FileType, TaggedFile, TaggedFileExt};
use lofty::tag::{ItemValue, TagType};

use super::sniff::Sniffed;
use super::text::{TextBudget, number_and_total};
use super::vocabulary::{Claims, Family, total_of};
use super::{AudioProperties, ByteRange, Failure, Fetched, Format, Probe, Stop, Tag, Warning};

/// How much of one file lofty may read, in bytes.
const FETCHED_BYTES_MAX: u64 = 16 << 20;

/// The least that is asked for at a time, in bytes.
const REQUEST_BYTES_MIN: u64 = 4096;

/// A single read of this many bytes or more is a picture or a body of sound, never a text that places a file in the tree:
/// it is answered with zeros instead of being fetched.
const BULK_READ_BYTES_MIN: usize = 128 << 10;

/// Reads tags and properties of a recognised file.
///
/// # Errors
/// `NeedMore`, or `Broken` when nothing could be read.
pub(super) fn probe(fetched: &Fetched, sniffed: &Sniffed) -> Result<Probe, Stop> {
    let mut probe = Probe::as_is(sniffed.format);
    let Some(kind) = file_type(sniffed) else {
        probe.warnings.push(Warning::BadField {
            field: sniffed.format.as_str().to_owned(),
            reason: "the tags of this codec are not read".to_owned(),
        });
        return Ok(probe);
    };
    let whole = ByteRange {
        offset: 0,
        len: fetched.file_len(),
    };
    let file =
        with_lofty(fetched, whole, kind, options(true))?.ok_or(Stop::Broken(Failure::Malformed))?;
    probe.tags = tags(&file);
    if let Some(file) = with_lofty(fetched, whole, kind, options(false))? {
        probe.properties = properties(&file);
    }
    Ok(probe)
}

/// The properties of a file whose own walk does not tell them, from its `audio` alone; none where lofty cannot tell them,
/// either.
///
/// # Errors
/// `NeedMore`.
pub(super) fn properties_of(
    fetched: &Fetched,
    sniffed: &Sniffed,
    audio: ByteRange,
) -> Result<AudioProperties, Stop> {
    let Some(kind) = file_type(sniffed) else {
        return Ok(AudioProperties::default());
    };
    match with_lofty(fetched, audio, kind, options(false)) {
        Err(Stop::Broken(_)) => Ok(AudioProperties::default()),
        read => Ok(read?.map_or_else(AudioProperties::default, |file| properties(&file))),
    }
}

/// Which of lofty's readers a file is for; `None` where it has none.
fn file_type(sniffed: &Sniffed) -> Option<FileType> {
    match sniffed.format {
        Format::Ape => Some(FileType::Ape),
        Format::WavPack => Some(FileType::WavPack),
        Format::Musepack => Some(FileType::Mpc),
        _ => None,
    }
}

/// Tags in one pass, properties in another: the properties fail for files whose tags can be read.
fn options(tags: bool) -> ParseOptions {
    ParseOptions::new()
        .read_tags(tags)
        .read_properties(!tags)
        .read_cover_art(false)
}

/// What lofty makes of a part of a file, `None` when it gives up or panics.
fn with_lofty(
    fetched: &Fetched,
    part: ByteRange,
    file_type: FileType,
    options: ParseOptions,
) -> Result<Option<TaggedFile>, Stop> {
    let mut cursor = Cursor {
        fetched,
        part,
        position: 0,
        missing: None,
    };
    let read = catch_unwind(AssertUnwindSafe(|| {
        lofty::probe::Probe::with_file_type(&mut cursor, file_type)
            .options(options)
            .read()
    }));
    match cursor.missing {
        Some(_) if fetched.bytes() >= FETCHED_BYTES_MAX => Err(Stop::Broken(Failure::OverLimit)),
        Some(range) => Err(Stop::NeedMore(range)),
        None => Ok(read.ok().and_then(Result::ok)),
    }
}

fn tags(file: &TaggedFile) -> Vec<Tag> {
    // The file's own kind of tag first; what the others have besides follows.
    let mut all: Vec<_> = file.tags().iter().collect();
    let primary = file.primary_tag().map(lofty::tag::Tag::tag_type);
    all.sort_by_key(|tag| Some(tag.tag_type()) != primary);
    let mut tags: Vec<Tag> = Vec::new();
    let mut budget = TextBudget::new();
    for tag in all {
        let named: Vec<(&str, &str)> = tag
            .items()
            .filter_map(|item| {
                let name = item.key().map_key(TagType::VorbisComments)?;
                match item.value() {
                    ItemValue::Text(text) | ItemValue::Locator(text) => Some((name, text.as_str())),
                    ItemValue::Binary(_) => None,
                }
            })
            .collect();
        let claims = Claims::new(Family::Vorbis, named.iter().map(|(name, _)| *name));
        let known: Vec<String> = tags.iter().map(|tag| tag.key.clone()).collect();
        let mut push = |key: &str, value: &str| {
            if !known.iter().any(|known| known == key) && budget.take(value.len() as u64) {
                tags.push(Tag {
                    key: key.to_owned(),
                    value: value.to_owned(),
                });
            }
        };
        for (name, value) in named {
            let key = claims
                .key(name)
                .map_or_else(|| name.to_ascii_uppercase(), str::to_owned);
            match total_of(&key).map(|total| (total, number_and_total(value))) {
                Some((total, (number, Some(stated)))) => {
                    push(&key, number);
                    if !claims.has(total) {
                        push(total, stated);
                    }
                }
                _ => push(&key, value),
            }
        }
    }
    tags
}

fn properties(file: &TaggedFile) -> AudioProperties {
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

/// The fetched bytes of a part as a file. A read of bytes that were not fetched fails, and what it wanted is remembered.
struct Cursor<'a> {
    fetched: &'a Fetched,
    part: ByteRange,
    /// In bytes from the part's start.
    position: u64,
    missing: Option<Range<u64>>,
}

impl Read for Cursor<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.part.len.saturating_sub(self.position);
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
            let start = self.part.offset + self.position;
            let Ok(bytes) = self.fetched.get(start, len) else {
                // Asking for more with every round keeps the rounds few.
                let want = (len as u64)
                    .max(REQUEST_BYTES_MIN)
                    .max(self.fetched.bytes() / 4);
                let end = start.saturating_add(want);
                self.missing = Some(start..end.min(self.part.end()));
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
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.part.len.checked_add_signed(by),
        };
        self.position = position.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "a seek out of the file's range",
            )
        })?;
        Ok(self.position)
    }
}
