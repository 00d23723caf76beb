//! `ID3v2.2`, `2.3` and `2.4` tags (id3.org: "ID3 tag version 2", "ID3 tag version 2.3.0", "ID3 tag version 2.4.0 - Main
//! Structure" and "Native Frames"; "`ID3v2` Chapter Frame Addendum").
//!
//! Reading decodes text frames, records pictures as ranges, and keeps every other frame as the range of its body, with its
//! flags in their 2.4 form. The bodies of kept frames are never read, but for the sizes within 2.3 chapter frames, which
//! 2.4 writes otherwise. Nothing here knows of MPEG audio.

use serde::{Deserialize, Serialize};

use super::region::{Region, ahead};
use super::text::{TextBudget, number_and_total};
use super::vocabulary::{Claims, Family, total_of};
use super::{Art, ByteRange, Failure, Fetched, OpaqueItem, Source, Stop, Tag, Warning};

mod body;
mod chapters;
mod decode;
mod frame;
mod genre;
mod merge;
mod write;

use body::Body;
use decode::Content;
use frame::Frame;
pub(super) use merge::read_all;
pub(super) use write::{write, write_any};

/// Length of a tag's header in bytes; a footer is as long.
pub(super) const HEADER_BYTES: u64 = 10;

/// Most frames of one tag.
const FRAMES_MAX: usize = 16_384;

/// Largest tag with whole-tag unsynchronisation, which has to be read whole, in bytes.
const UNSYNCHRONISED_TAG_BYTES_MAX: u64 = 32 << 20;

/// Frames whose content depends on the place of the tag in its file: they would be wrong in any other file.
const POSITIONAL: [&[u8; 4]; 2] = [b"SEEK", b"ASPI"];

/// Where the values of a key came from, where that is not the frame that the vocabulary names for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    pub(super) key: String,
    pub(super) native: String,
    /// How many values.
    pub(super) count: u32,
}

/// A kept frame whose body is not the range of the file alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rewrite {
    range: ByteRange,
    splices: Vec<Splice>,
}

/// `removed` bytes at `at` (from the start of the range) give way to `inserted`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Splice {
    at: u64,
    removed: u64,
    inserted: Vec<u8>,
}

/// What a tag holds.
#[derive(Debug, Default)]
pub(super) struct Id3v2 {
    pub(super) tags: Vec<Tag>,
    pub(super) origins: Vec<Origin>,
    pub(super) art: Vec<Art>,
    pub(super) items: Vec<OpaqueItem>,
    pub(super) rewrites: Vec<Rewrite>,
    pub(super) warnings: Vec<Warning>,
}

/// The text of a frame under its native name (`TIT2`, `TXXX:desc`, `COMM:eng:desc`, `TIPL:role`).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Text {
    native: String,
    values: Vec<String>,
}

/// The header of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    /// 2 to 4, or a version to come.
    major: u8,
    flags: u8,
    /// Without header and footer, in bytes.
    body_len: u64,
}

const UNSYNCHRONISED: u8 = 0x80;
const EXTENDED: u8 = 0x40;
const FOOTER: u8 = 0x10;

impl Header {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let &[b'I', b'D', b'3', major, revision, flags, ref size @ ..] = bytes else {
            return None;
        };
        (major >= 2 && major != 0xff && revision != 0xff)
            .then(|| syncsafe(size))
            .flatten()
            .map(|size| Self {
                major,
                flags,
                body_len: u64::from(size),
            })
    }

    fn whole_len(self) -> u64 {
        let footer = if self.major >= 4 && self.flags & FOOTER != 0 {
            HEADER_BYTES
        } else {
            0
        };
        HEADER_BYTES + self.body_len + footer
    }
}

/// The place of a tag at `offset`, header and footer included, or `None` where there is none.
///
/// # Errors
/// `NeedMore`, or `Broken(Truncated)` when the file ends within the tag.
pub(super) fn place(fetched: &Fetched, offset: u64) -> Result<Option<ByteRange>, Stop> {
    if fetched.file_len().saturating_sub(offset) < HEADER_BYTES {
        return Ok(None);
    }
    let Some(header) = Header::parse(fetched.get(offset, 10)?) else {
        return Ok(None);
    };
    let range = ByteRange {
        offset,
        len: header.whole_len(),
    };
    Region::new(fetched, range)?;
    Ok(Some(range))
}

/// Reads the tag that [`place`] found. A frame that cannot be read costs itself; one whose size contradicts the tag's ends
/// the walk with a warning.
///
/// # Errors
/// `NeedMore`, or `Broken(OverLimit)` when the tag has too many frames or is too large for its unsynchronisation.
pub(super) fn read(fetched: &Fetched, place: ByteRange) -> Result<Id3v2, Stop> {
    let whole = Region::new(fetched, place)?;
    let header = Header::parse(whole.get(0, 10, 0)?).ok_or(Stop::Broken(Failure::Malformed))?;
    let mut tag = Id3v2::default();
    if header.major > 4 || (header.major == 2 && header.flags & EXTENDED != 0) {
        tag.warn(
            "ID3v2",
            "the tag is of an unknown version or kind and was left out",
        );
        return Ok(tag);
    }
    let body = ByteRange {
        offset: place.offset + HEADER_BYTES,
        len: header.body_len,
    };
    let region = Region::new(fetched, body)?;
    let body = if header.flags & UNSYNCHRONISED != 0 && header.major < 4 {
        if region.len() > UNSYNCHRONISED_TAG_BYTES_MAX {
            return Err(Stop::Broken(Failure::OverLimit));
        }
        Body::unsynchronised(region)?
    } else {
        Body::plain(region)
    };
    let mut offset = match extended_header_len(&body, header) {
        Ok(len) => len,
        Err(Stop::Broken(_)) => {
            tag.warn("ID3v2", "the extended header is longer than the tag");
            return Ok(tag);
        }
        Err(more) => return Err(more),
    };
    let mut texts = Vec::new();
    let mut budget = TextBudget::new();
    for index in 0.. {
        if index == FRAMES_MAX {
            return Err(Stop::Broken(Failure::OverLimit));
        }
        match Frame::read(&body, header.major, header.flags, offset, ahead(index))? {
            frame::Next::End => break,
            frame::Next::Damaged(reason) => {
                tag.warn("ID3v2", &reason);
                break;
            }
            frame::Next::Unnamed { native, end } => {
                tag.warn(&native, "a frame without a name in ID3v2.4 was left out");
                offset = end;
            }
            frame::Next::Frame(frame) => {
                offset = frame.end;
                tag.frame(&body, header.major, &frame, index, &mut budget, &mut texts)?;
            }
        }
    }
    join_dates(&mut texts);
    tag.name(texts);
    Ok(tag)
}

fn extended_header_len(body: &Body<'_>, header: Header) -> Result<u64, Stop> {
    if header.major < 3 || header.flags & EXTENDED == 0 {
        return Ok(0);
    }
    let bytes = body.get(0, 4, 0)?;
    if frame::is_id(bytes) {
        // Some taggers set the flag and write no extended header.
        return Ok(0);
    }
    let len = if header.major == 3 {
        u64::from(big_endian(bytes)) + 4
    } else {
        u64::from(syncsafe(bytes).ok_or(Stop::Broken(Failure::Malformed))?).max(6)
    };
    if len > body.len() {
        return Err(Stop::Broken(Failure::Malformed));
    }
    Ok(len)
}

impl Id3v2 {
    fn warn(&mut self, field: &str, reason: &str) {
        self.warnings.push(Warning::BadField {
            field: field.to_owned(),
            reason: reason.to_owned(),
        });
    }

    /// Sorts one frame into text, art or kept items.
    fn frame(
        &mut self,
        body: &Body<'_>,
        major: u8,
        frame: &Frame,
        index: usize,
        budget: &mut TextBudget,
        texts: &mut Vec<Text>,
    ) -> Result<(), Stop> {
        if POSITIONAL.contains(&&frame.id) {
            return Ok(());
        }
        if frame.len == 0 {
            // 2.4 has no frames without a body, and there is nothing to lose.
            self.warn(&frame.native(), "an empty frame was left out");
            return Ok(());
        }
        match decode::content(body, major, frame, budget, ahead(index))? {
            Content::Text { text, legacy } => {
                if legacy {
                    let field = text
                        .first()
                        .map_or_else(|| frame.native(), |text| text.native.clone());
                    self.warnings.push(Warning::LegacyText { field });
                }
                texts.extend(text);
            }
            Content::Art(art) => self.art.push(art),
            Content::Kept { warning } => {
                if let Some(reason) = warning {
                    self.warn(&frame.native(), &reason);
                }
                self.keep(body, major, frame)?;
            }
        }
        Ok(())
    }

    fn keep(&mut self, body: &Body<'_>, major: u8, frame: &Frame) -> Result<(), Stop> {
        let range = body.range(frame.body, frame.len);
        let mut splices = Vec::new();
        let mut flags = frame.flags;
        let mut prefix = frame.prefix.clone();
        if range.len == frame.len {
            if major == 3 && frame.flags & frame::TRANSFORMED == 0 {
                splices = chapters::to_version_4(body, frame)?;
            }
        } else {
            // The stuffed bytes of the whole tag stay in the body, which therefore is an unsynchronised frame of 2.4.
            if flags & frame::HAS_DATA_LENGTH == 0 {
                let len = u32::try_from(frame.len).expect("smaller than its tag");
                prefix.extend_from_slice(&syncsafe_bytes(len));
            }
            flags |= frame::UNSYNCHRONISED | frame::HAS_DATA_LENGTH;
        }
        if !prefix.is_empty() {
            splices.insert(
                0,
                Splice {
                    at: 0,
                    removed: 0,
                    inserted: prefix,
                },
            );
        }
        if !splices.is_empty() {
            self.rewrites.push(Rewrite { range, splices });
        }
        self.items.push(OpaqueItem {
            native: frame.native(),
            flags: u32::from(flags),
            source: Source::Backing(range),
        });
        Ok(())
    }

    /// Gives every text its key.
    fn name(&mut self, texts: Vec<Text>) {
        let totals = texts.iter().filter_map(|text| {
            let frame = match text.native.as_str() {
                "TRCK" => "TRCK/",
                "TPOS" => "TPOS/",
                _ => return None,
            };
            let has_total = |value: &String| number_and_total(value).1.is_some();
            text.values.iter().any(has_total).then_some(frame)
        });
        let natives = texts.iter().map(|text| claim_name(&text.native));
        let claims = Claims::new(Family::Id3, natives.chain(totals));
        for text in texts {
            let key = claims
                .key(claim_name(&text.native))
                .map_or_else(|| key_of_native(&text.native), str::to_owned);
            if let Some(total) = total_of(&key) {
                for value in &text.values {
                    let (number, stated) = number_and_total(value);
                    if !number.is_empty() || stated.is_none() {
                        self.push(&key, number);
                    }
                    if let Some(stated) = stated {
                        self.push(total, stated);
                    }
                }
                continue;
            }
            if write::default_native(&key) != text.native {
                self.origins.push(Origin {
                    key: key.clone(),
                    native: text.native,
                    count: u32::try_from(text.values.len()).expect("bounded by the text bounds"),
                });
            }
            for value in text.values {
                self.tags.push(Tag {
                    key: key.clone(),
                    value,
                });
            }
        }
    }

    fn push(&mut self, key: &str, value: &str) {
        self.tags.push(Tag {
            key: key.to_owned(),
            value: value.to_owned(),
        });
    }
}

/// The name that the vocabulary knows a frame by: comments and lyrics without a description go by their frame id.
fn claim_name(native: &str) -> &str {
    match split_described(native) {
        Some((id, _, "")) => id,
        _ => native,
    }
}

/// The parts of `COMM:language:description` and `USLT:language:description`. The language is three characters, or none.
fn split_described(native: &str) -> Option<(&str, &str, &str)> {
    let id = native.get(..4).filter(|id| ["COMM", "USLT"].contains(id))?;
    let rest = native[4..].strip_prefix(':')?;
    if let Some(description) = rest.strip_prefix(':') {
        return Some((id, "", description));
    }
    let (split, _) = rest.char_indices().nth(3)?;
    let description = rest[split..].strip_prefix(':')?;
    Some((id, &rest[..split], description))
}

/// The key of a frame that is not in the vocabulary: its native name, without a language that is not of letters.
fn key_of_native(native: &str) -> String {
    match split_described(native) {
        Some((id, language, description))
            if !language.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
        {
            format!("{id}::{description}")
        }
        _ => native.to_owned(),
    }
}

/// Turns the date frames of 2.3 into those of 2.4: TYER, TDAT (day and month) and TIME into TDRC, TORY into TDOR.
fn join_dates(texts: &mut Vec<Text>) {
    let value = |texts: &[Text], native: &str, len: usize| {
        texts
            .iter()
            .find(|text| text.native == native)
            .and_then(|text| text.values.first())
            .filter(|value| value.len() == len && value.bytes().all(|byte| byte.is_ascii_digit()))
            .cloned()
    };
    let has = |texts: &[Text], native: &str| texts.iter().any(|text| text.native == native);
    if !has(texts, "TDOR") {
        for text in texts.iter_mut().filter(|text| text.native == "TORY") {
            "TDOR".clone_into(&mut text.native);
        }
    }
    if has(texts, "TDRC") {
        return;
    }
    if let Some(mut date) = value(texts, "TYER", 4) {
        if let Some(day_month) = value(texts, "TDAT", 4) {
            date = format!("{date}-{}-{}", &day_month[2..], &day_month[..2]);
            texts.retain(|text| text.native != "TDAT");
            if let Some(time) = value(texts, "TIME", 4) {
                date = format!("{date}T{}:{}:00", &time[..2], &time[2..]);
                texts.retain(|text| text.native != "TIME");
            }
        }
        let text = texts.iter_mut().find(|text| text.native == "TYER");
        if let Some(first) = text.and_then(|text| text.values.first_mut()) {
            *first = date;
        }
    }
    for text in texts.iter_mut().filter(|text| text.native == "TYER") {
        "TDRC".clone_into(&mut text.native);
    }
}

fn big_endian(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |number, &byte| number << 8 | u32::from(byte))
}

/// A number of seven bits per byte (2.4 structure, section 6.2); `None` when a byte uses its eighth.
fn syncsafe(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0, |number, &byte| {
        (byte < 0x80).then(|| number << 7 | u32::from(byte))
    })
}

/// The four syncsafe bytes of a number below 2^28.
fn syncsafe_bytes(number: u32) -> [u8; 4] {
    [21, 14, 7, 0].map(|shift| u8::try_from(number >> shift & 0x7f).expect("seven bits"))
}
