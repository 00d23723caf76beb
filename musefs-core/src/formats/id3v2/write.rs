//! Writes one `ID3v2.4` tag: UTF-8 text, several values of a frame separated by NUL, pictures and kept frames as ranges.

use std::collections::{BTreeMap, VecDeque};

use super::decode::{is_plain_text, is_url};
use super::frame::is_id;
use super::{Origin, Rewrite, split_described, syncsafe_bytes};
use crate::formats::assembly::Assembly;
use crate::formats::vocabulary::{Family, MUSICBRAINZ_OWNER, native_name};
use crate::formats::{Art, ByteRange, Desired, OpaqueItem, Source, SynthesisError, Tag};
use crate::layout::BlobKind;

/// What four syncsafe bytes can say, for a frame and for a tag, in bytes.
const SYNCSAFE_MAX: u64 = (1 << 28) - 1;

/// Zeros behind the frames, in bytes.
const PADDING_BYTES: usize = 256;

/// The encoding byte of UTF-8.
const UTF8: u8 = 3;

/// The language of a comment that nobody gave one (2.4 frames, section 4.10).
const LANGUAGE_UNKNOWN: &str = "XXX";

/// The frame that a key is written to when the file has none for it.
pub(super) fn default_native(key: &str) -> String {
    match native_name(key, Family::Id3) {
        Some(id @ ("COMM" | "USLT")) => return format!("{id}:{LANGUAGE_UNKNOWN}:"),
        Some(native) => return native.to_owned(),
        None => {}
    }
    let prefixed = ["TXXX:", "WXXX:", "TIPL:"]
        .iter()
        .any(|prefix| key.starts_with(prefix));
    let id = key.as_bytes();
    if prefixed
        || split_described(key).is_some()
        || is_plain_text(id)
        || is_url(id)
        || key == "TMCL"
    {
        key.to_owned()
    } else {
        format!("TXXX:{key}")
    }
}

/// The whole tag, header and padding included.
///
/// # Errors
/// When a frame or the tag is larger than 2^28 - 1 bytes, or a kept item's name is no frame id.
pub(in crate::formats) fn write(
    desired: &Desired<'_>,
    origins: &[Origin],
    rewrites: &[Rewrite],
) -> Result<Assembly, SynthesisError> {
    let mut frames = Assembly::default();
    text_frames(&natives(desired.tags, origins), &mut frames)?;
    // A file may have thousands of either, so each is looked up.
    let rewrites: BTreeMap<(u64, u64), &Rewrite> = rewrites
        .iter()
        .map(|rewrite| ((rewrite.range.offset, rewrite.range.len), rewrite))
        .collect();
    for item in desired.items {
        kept_frame(item, &rewrites, &mut frames)?;
    }
    for art in desired.art {
        picture_frame(art, &mut frames)?;
    }
    let len = frames.len() + PADDING_BYTES as u64;
    let mut tag = Assembly::default();
    tag.bytes(b"ID3\x04\x00\x00");
    tag.bytes(&size("the ID3v2 tag", len)?);
    tag.append(frames);
    tag.bytes(&[0; PADDING_BYTES]);
    Ok(tag)
}

/// The whole tag, or nothing where it would hold no frame.
///
/// # Errors
/// Those of [`write`].
pub(in crate::formats) fn write_any(
    desired: &Desired<'_>,
    origins: &[Origin],
    rewrites: &[Rewrite],
) -> Result<Assembly, SynthesisError> {
    if desired.tags.is_empty() && desired.art.is_empty() && desired.items.is_empty() {
        return Ok(Assembly::default());
    }
    write(desired, origins, rewrites)
}

/// The values of each frame by its native name, in the order in which their keys first appear.
fn natives<'a>(tags: &'a [Tag], origins: &[Origin]) -> Vec<(String, Vec<&'a str>)> {
    let mut keys: Vec<(&str, VecDeque<&str>)> = Vec::new();
    let mut indexes: BTreeMap<&str, usize> = BTreeMap::new();
    for tag in tags {
        let index = *indexes.entry(&tag.key).or_insert_with(|| {
            keys.push((&tag.key, VecDeque::new()));
            keys.len() - 1
        });
        keys[index].1.push_back(&tag.value);
    }
    let mut by_key: BTreeMap<&str, Vec<&Origin>> = BTreeMap::new();
    for origin in origins {
        by_key.entry(&origin.key).or_default().push(origin);
    }
    let mut frames: Vec<(String, Vec<&str>)> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut push = |native: &str, values: &mut dyn Iterator<Item = &'a str>| {
        let place = *places.entry(native.to_owned()).or_insert_with(|| {
            frames.push((native.to_owned(), Vec::new()));
            frames.len() - 1
        });
        frames[place].1.extend(values);
    };
    for (key, mut values) in keys {
        let origins = by_key.get(key).map_or(&[][..], Vec::as_slice);
        let stored: u64 = origins.iter().map(|origin| u64::from(origin.count)).sum();
        if stored == values.len() as u64 {
            // As many values as the file has: each goes where the one in its place came from.
            for origin in origins {
                let count = usize::try_from(origin.count).expect("at most all values");
                push(&origin.native, &mut values.drain(..count));
            }
        } else {
            let native = origins
                .first()
                .map_or_else(|| default_native(key), |origin| origin.native.clone());
            push(&native, &mut values.drain(..));
        }
    }
    frames
}

fn text_frames(natives: &[(String, Vec<&str>)], into: &mut Assembly) -> Result<(), SynthesisError> {
    let values_of = |native: &str| {
        let found = natives.iter().find(|(known, _)| known == native);
        found.map_or(&[][..], |(_, values)| values.as_slice())
    };
    let mut people = Vec::new();
    for (id, totals) in [("TRCK", "TRCK/"), ("TPOS", "TPOS/")] {
        let (numbers, totals) = (values_of(id), values_of(totals));
        let joined: Vec<String> = (0..numbers.len().max(totals.len()))
            .map(|index| {
                let number = numbers.get(index).copied().unwrap_or_default();
                let total = totals.get(index);
                total.map_or_else(|| number.to_owned(), |total| format!("{number}/{total}"))
            })
            .collect();
        if !joined.is_empty() {
            text_frame(id, &[], joined.iter().map(String::as_str), into)?;
        }
    }
    for (native, values) in natives {
        let values = values.iter().copied();
        if let Some(role) = native.strip_prefix("TIPL:") {
            people.extend(values.flat_map(|person| [role, person]));
        } else if let Some((id, language, description)) = split_described(native) {
            let mut head: Vec<u8> = language
                .chars()
                .map(|character| u8::try_from(character).unwrap_or(b'X'))
                .collect();
            if head.len() != 3 {
                head = LANGUAGE_UNKNOWN.into();
            }
            head.extend_from_slice(description.as_bytes());
            head.push(0);
            if id == "USLT" {
                for value in values {
                    text_frame(id, &head, [value], into)?;
                }
            } else {
                text_frame(id, &head, values, into)?;
            }
        } else if let Some(description) = native.strip_prefix("TXXX:") {
            let head = [description.as_bytes(), &[0]].concat();
            text_frame("TXXX", &head, values, into)?;
        } else if let Some(description) = native.strip_prefix("WXXX:") {
            for value in values {
                let body = [&[UTF8], description.as_bytes(), &[0], &url(value)].concat();
                plain_frame("WXXX", &body, into)?;
            }
        } else if native.strip_prefix("UFID:") == Some(MUSICBRAINZ_OWNER) {
            for value in values {
                let body = [MUSICBRAINZ_OWNER.as_bytes(), &[0], value.as_bytes()].concat();
                plain_frame("UFID", &body, into)?;
            }
        } else if native == "TMCL" {
            let pairs: Vec<(&str, &str)> = values.map(instrument_and_person).collect();
            let turns = pairs.iter().flat_map(|&(role, person)| [role, person]);
            text_frame("TMCL", &[], turns, into)?;
        } else if is_url(native.as_bytes()) {
            for value in values {
                plain_frame(native, &url(value), into)?;
            }
        } else if !matches!(native.as_str(), "TRCK" | "TPOS" | "TRCK/" | "TPOS/") {
            text_frame(native, &[], values, into)?;
        }
    }
    if !people.is_empty() {
        text_frame("TIPL", &[], people, into)?;
    }
    Ok(())
}

/// `Name (instrument)`, the form of a performer in the shared vocabulary.
fn instrument_and_person(performer: &str) -> (&str, &str) {
    performer
        .strip_suffix(')')
        .and_then(|text| text.rsplit_once(" ("))
        .map_or(("", performer), |(person, instrument)| (instrument, person))
}

/// URLs are ISO-8859-1; what that cannot say is percent-encoded.
fn url(value: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len());
    for character in value.chars() {
        if let Ok(byte) = u8::try_from(character) {
            bytes.push(byte);
        } else {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                bytes.extend_from_slice(format!("%{byte:02X}").as_bytes());
            }
        }
    }
    bytes
}

fn text_frame<'a>(
    id: &str,
    head: &[u8],
    values: impl IntoIterator<Item = &'a str>,
    into: &mut Assembly,
) -> Result<(), SynthesisError> {
    let mut body = vec![UTF8];
    body.extend_from_slice(head);
    let mut ends_empty = false;
    for (index, value) in values.into_iter().enumerate() {
        if index > 0 {
            body.push(0);
        }
        body.extend_from_slice(value.as_bytes());
        ends_empty = value.is_empty();
    }
    if ends_empty {
        // Readers take a frame that ends before its text for damaged.
        body.push(0);
    }
    plain_frame(id, &body, into)
}

fn plain_frame(id: &str, body: &[u8], into: &mut Assembly) -> Result<(), SynthesisError> {
    frame_header(id, body.len() as u64, 0, into)?;
    into.bytes(body);
    Ok(())
}

fn picture_frame(art: &Art, into: &mut Assembly) -> Result<(), SynthesisError> {
    let mut head = vec![UTF8];
    head.extend(
        art.mime
            .chars()
            .filter_map(|character| u8::try_from(character).ok())
            .filter(|&byte| byte != 0),
    );
    head.push(0);
    head.push(u8::try_from(art.picture_type).unwrap_or(0));
    head.extend(art.description.bytes().filter(|&byte| byte != 0));
    head.push(0);
    let len = art.source.len().saturating_add(head.len() as u64);
    frame_header("APIC", len, 0, into)?;
    into.bytes(&head);
    into.source(art.source, BlobKind::Art);
    Ok(())
}

fn kept_frame(
    item: &OpaqueItem,
    rewrites: &BTreeMap<(u64, u64), &Rewrite>,
    into: &mut Assembly,
) -> Result<(), SynthesisError> {
    let bad = || SynthesisError::BadItem {
        native: item.native.clone(),
    };
    if item.native.len() != 4 || !is_id(item.native.as_bytes()) {
        return Err(bad());
    }
    let flags = u16::try_from(item.flags).map_err(|_| bad())?;
    let mut body = Assembly::default();
    match item.source {
        Source::Backing(range) => {
            let rewrite = rewrites.get(&(range.offset, range.len));
            spliced(range, rewrite.copied(), &mut body);
        }
        blob @ Source::Blob { .. } => body.source(blob, BlobKind::BinaryTag),
    }
    frame_header(&item.native, body.len(), flags, into)?;
    into.append(body);
    Ok(())
}

fn spliced(range: ByteRange, rewrite: Option<&Rewrite>, into: &mut Assembly) {
    let mut done = 0;
    for splice in rewrite.map_or(&[][..], |rewrite| &rewrite.splices) {
        let at = splice.at.clamp(done, range.len);
        into.backing(range.offset + done, at - done);
        into.bytes(&splice.inserted);
        done = at.saturating_add(splice.removed).min(range.len);
    }
    into.backing(range.offset + done, range.len - done);
}

fn frame_header(id: &str, len: u64, flags: u16, into: &mut Assembly) -> Result<(), SynthesisError> {
    into.bytes(id.as_bytes());
    into.bytes(&size(id, len)?);
    into.bytes(&flags.to_be_bytes());
    Ok(())
}

fn size(what: &str, len: u64) -> Result<[u8; 4], SynthesisError> {
    u32::try_from(len)
        .ok()
        .filter(|_| len <= SYNCSAFE_MAX)
        .map(syncsafe_bytes)
        .ok_or_else(|| SynthesisError::TooLarge {
            what: what.to_owned(),
            len,
            max: SYNCSAFE_MAX,
        })
}
