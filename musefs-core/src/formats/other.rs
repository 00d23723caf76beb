//! The formats without a synthesizer: their tags are read for the file's place in the tree, the file is served as it is.
//!
//! `APEv2` files are read by our own walk, the rest by lofty, over a cursor that stops when it comes to bytes which were not
//! fetched. Whatever the library does with a broken file (it may panic) costs that file its tags at most.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use lofty::config::ParseOptions;
use lofty::file::{AudioFile, FileType, TaggedFile, TaggedFileExt};
use lofty::tag::{ItemValue, TagType};

use super::sniff::Sniffed;
use super::text::{TextBudget, number_and_total};
use super::vocabulary::{Claims, Family, total_of};
use super::{
    AudioProperties, Failure, Fetched, Format, Probe, Stop, Tag, Warning, apev2, id3v2, trailer,
};

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
    match sniffed.format {
        Format::Ape | Format::WavPack | Format::Musepack | Format::TrueAudio => {
            ape_tagged(fetched, sniffed, &mut probe)?;
        }
        _ => {
            let Some(file_type) = file_type(sniffed) else {
                probe.warnings.push(Warning::BadField {
                    field: sniffed.format.as_str().to_owned(),
                    reason: "the tags of this codec are not read".to_owned(),
                });
                return Ok(probe);
            };
            let file = with_lofty(fetched, file_type, options(true))?
                .ok_or(Stop::Broken(Failure::Malformed))?;
            probe.tags = tags(&file);
        }
    }
    if sniffed.format == Format::TrueAudio {
        probe.properties = true_audio(fetched, sniffed)?;
    } else if let Some(file_type) = file_type(sniffed)
        && let Some(file) = with_lofty(fetched, file_type, options(false))?
    {
        probe.properties = properties(&file);
    }
    Ok(probe)
}

/// `APEv2` at the end, else `ID3v1` there, else `ID3v2` in front.
fn ape_tagged(fetched: &Fetched, sniffed: &Sniffed, probe: &mut Probe) -> Result<(), Stop> {
    let trailers = trailer::find(fetched, sniffed.start)?;
    if let Some(place) = trailers.ape {
        let ape = apev2::read(fetched, place)?;
        probe.tags = ape.tags.into_iter().map(|(tag, _)| tag).collect();
        probe.warnings = ape.warnings;
    }
    if probe.tags.is_empty()
        && let Some(place) = sniffed.id3v2.first()
    {
        let tag = id3v2::read(fetched, *place)?;
        probe.tags = tag.tags;
        probe.warnings.extend(tag.warnings);
    }
    if probe.tags.is_empty() {
        probe.tags = trailer::read_tags(fetched, &trailers, &mut probe.warnings)?;
    }
    Ok(())
}

/// The TTA1 header: format, channels, bits (16 bits each), sample rate and samples (32 bits each), little endian.
fn true_audio(fetched: &Fetched, sniffed: &Sniffed) -> Result<AudioProperties, Stop> {
    let bytes = fetched.get(sniffed.start, 22)?;
    if !bytes.starts_with(b"TTA1") {
        return Ok(AudioProperties::default());
    }
    let short = |at: usize| u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let long = |at: usize| short(at) | short(at + 2) << 16;
    let rate = Some(long(10)).filter(|&rate| rate > 0);
    let duration_ms = rate.map(|rate| u64::from(long(14)) * 1000 / u64::from(rate));
    Ok(AudioProperties {
        duration_ms,
        sample_rate_hz: rate,
        channels: Some(short(6)),
        bits_per_sample: Some(short(8)),
        bitrate_bps: None,
    })
}

/// Which of lofty's readers a file is for; `None` where it has none.
fn file_type(sniffed: &Sniffed) -> Option<FileType> {
    match sniffed.format {
        Format::Mp4 => Some(FileType::Mp4),
        Format::Wav => Some(FileType::Wav),
        Format::Aiff => Some(FileType::Aiff),
        Format::Adts => Some(FileType::Aac),
        Format::Ape => Some(FileType::Ape),
        Format::WavPack => Some(FileType::WavPack),
        Format::Musepack => Some(FileType::Mpc),
        Format::Flac | Format::Mp3 | Format::Ogg | Format::TrueAudio | Format::Unrecognised => None,
    }
}

/// Tags in one pass, properties in another: the properties fail for files whose tags can be read.
fn options(tags: bool) -> ParseOptions {
    ParseOptions::new()
        .read_tags(tags)
        .read_properties(!tags)
        .read_cover_art(false)
}

/// What lofty makes of a file, `None` when it gives up or panics.
fn with_lofty(
    fetched: &Fetched,
    file_type: FileType,
    options: ParseOptions,
) -> Result<Option<TaggedFile>, Stop> {
    let mut cursor = Cursor {
        fetched,
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

/// The fetched bytes as a file. A read of bytes that were not fetched fails, and what it wanted is remembered.
struct Cursor<'a> {
    fetched: &'a Fetched,
    position: u64,
    missing: Option<Range<u64>>,
}

impl Read for Cursor<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.fetched.file_len().saturating_sub(self.position);
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
                let want = (len as u64)
                    .max(REQUEST_BYTES_MIN)
                    .max(self.fetched.bytes() / 4);
                let end = self.position.saturating_add(want);
                self.missing = Some(self.position..end.min(self.fetched.file_len()));
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
            SeekFrom::End(by) => self.fetched.file_len().checked_add_signed(by),
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
