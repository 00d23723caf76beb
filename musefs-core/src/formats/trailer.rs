//! What taggers append behind the audio: `ID3v1`, its `TAG+` extension, Lyrics3 and `APEv2`, in any order and number.
//!
//! Sources: id3.org "`ID3v1`" and "Lyrics3 v2.00"; Hydrogenaudio wiki "`APEv2` specification".

use lofty::id3::v1::GENRES;

use super::text::latin1;
use super::{ByteRange, Fetched, Stop, Tag, Warning, apev2};

/// Most appended tags that are looked for.
const TRAILERS_MAX: usize = 8;

const ID3V1_BYTES: u64 = 128;
const ID3V1_EXTENDED_BYTES: u64 = 227;

/// Longest Lyrics3v1 text in bytes, with its marks.
const LYRICS3V1_BYTES_MAX: u64 = 5100 + 20;

/// Longest Lyrics3v2 tag that is read for its fields; a longer one is still kept out of the audio.
const LYRICS3V2_READ_BYTES_MAX: u64 = 256 << 10;

/// Everything behind the audio.
#[derive(Debug)]
pub(super) struct Trailers {
    /// The end of the audio in bytes from the file's start.
    pub(super) audio_end: u64,
    pub(super) ape: Option<apev2::Place>,
    /// An `ID3v2` tag with a footer, with its header and footer.
    pub(super) id3v2: Option<ByteRange>,
    id3v1: Option<u64>,
    /// The fields of a Lyrics3v2 tag, or the text of a Lyrics3v1 tag.
    lyrics: Option<(ByteRange, LyricsVersion)>,
}

#[derive(Clone, Copy, Debug)]
enum LyricsVersion {
    One,
    Two,
}

/// Peels tags off the end of the file, down to `audio_start` at most.
///
/// # Errors
/// `NeedMore`.
pub(super) fn find(fetched: &Fetched, audio_start: u64) -> Result<Trailers, Stop> {
    let mut trailers = Trailers {
        audio_end: fetched.file_len(),
        ape: None,
        id3v2: None,
        id3v1: None,
        lyrics: None,
    };
    for _ in 0..TRAILERS_MAX {
        let end = trailers.audio_end;
        let Some(start) = peel(fetched, end, &mut trailers)? else {
            break;
        };
        if start < audio_start {
            break;
        }
        trailers.audio_end = start;
    }
    Ok(trailers)
}

/// The start of the tag that ends at `end`.
fn peel(fetched: &Fetched, end: u64, into: &mut Trailers) -> Result<Option<u64>, Stop> {
    // One read covers every mark that is looked for.
    let tail = fetched.get(
        end.saturating_sub(ID3V1_BYTES),
        usize::try_from(end.min(ID3V1_BYTES)).expect("bounded"),
    )?;
    if tail.len() as u64 == ID3V1_BYTES && tail.starts_with(b"TAG") {
        let start = end - ID3V1_BYTES;
        into.id3v1.get_or_insert(start);
        if let Some(extended) = start.checked_sub(ID3V1_EXTENDED_BYTES)
            && fetched.get(extended, 4)? == b"TAG+"
        {
            return Ok(Some(extended));
        }
        return Ok(Some(start));
    }
    if tail.len() >= 32 && tail[tail.len() - 32..].starts_with(b"APETAGEX") {
        let place = apev2::before(fetched, end)?;
        if let Some(place) = place {
            into.ape.get_or_insert(place);
            return Ok(Some(place.whole.offset));
        }
        return Ok(None);
    }
    if tail.ends_with(b"LYRICS200") {
        return lyrics_two(fetched, end, into);
    }
    if tail.ends_with(b"LYRICSEND") {
        return lyrics_one(fetched, end, into);
    }
    if tail.len() >= 10 && tail[tail.len() - 10..].starts_with(b"3DI") {
        let footer = &tail[tail.len() - 10..];
        let size = footer[6..]
            .iter()
            .fold(0u64, |size, &byte| size << 7 | u64::from(byte & 0x7f));
        if let Some(start) = end.checked_sub(size + 20)
            && fetched.get(start, 3)? == b"ID3"
        {
            into.id3v2.get_or_insert(ByteRange {
                offset: start,
                len: end - start,
            });
            return Ok(Some(start));
        }
    }
    Ok(None)
}

fn lyrics_two(fetched: &Fetched, end: u64, into: &mut Trailers) -> Result<Option<u64>, Stop> {
    let Some(size_at) = end.checked_sub(15) else {
        return Ok(None);
    };
    let Some(size) = decimal(fetched.get(size_at, 6)?) else {
        return Ok(None);
    };
    let Some(start) = size_at.checked_sub(size) else {
        return Ok(None);
    };
    if size < 11 || fetched.get(start, 11)? != b"LYRICSBEGIN" {
        return Ok(None);
    }
    if size <= LYRICS3V2_READ_BYTES_MAX {
        let fields = ByteRange {
            offset: start + 11,
            len: size - 11,
        };
        into.lyrics.get_or_insert((fields, LyricsVersion::Two));
    }
    Ok(Some(start))
}

fn lyrics_one(fetched: &Fetched, end: u64, into: &mut Trailers) -> Result<Option<u64>, Stop> {
    let len = end.min(LYRICS3V1_BYTES_MAX);
    let window = fetched.get(end - len, usize::try_from(len).expect("bounded"))?;
    let Some(begin) = window.windows(11).rposition(|mark| mark == b"LYRICSBEGIN") else {
        return Ok(None);
    };
    let start = end - len + begin as u64;
    let text_len = len - begin as u64 - 11;
    if let Some(text_len) = text_len.checked_sub(9) {
        let text = ByteRange {
            offset: start + 11,
            len: text_len,
        };
        into.lyrics.get_or_insert((text, LyricsVersion::One));
    }
    Ok(Some(start))
}

/// The fields of Lyrics3 and `ID3v1`, under vocabulary keys, Lyrics3 first.
///
/// # Errors
/// `NeedMore`.
pub(super) fn read_tags(
    fetched: &Fetched,
    trailers: &Trailers,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Tag>, Stop> {
    let mut tags = Vec::new();
    if let Some((range, version)) = trailers.lyrics {
        let len = usize::try_from(range.len).expect("bounded");
        let bytes = fetched.get(range.offset, len)?;
        match version {
            LyricsVersion::One => push(&mut tags, "lyrics", &latin1(bytes)),
            LyricsVersion::Two => lyrics_fields(bytes, &mut tags, warnings),
        }
    }
    if let Some(start) = trailers.id3v1 {
        let bytes = fetched.get(start, 128)?;
        id3v1(bytes, &mut tags, warnings);
    }
    Ok(tags)
}

fn push(tags: &mut Vec<Tag>, key: &str, value: &str) {
    let value = value.trim_end_matches(['\0', ' ']);
    if !value.is_empty() && !tags.iter().any(|tag| tag.key == key) {
        tags.push(Tag {
            key: key.to_owned(),
            value: value.to_owned(),
        });
    }
}

fn lyrics_fields(mut bytes: &[u8], tags: &mut Vec<Tag>, warnings: &mut Vec<Warning>) {
    let mut warn = |name: &[u8], reason: &str| {
        warnings.push(Warning::BadField {
            field: format!("Lyrics3 {}", latin1(name)),
            reason: reason.to_owned(),
        });
    };
    while bytes.len() >= 8 {
        let (head, rest) = bytes.split_at(8);
        let len = decimal(&head[3..])
            .and_then(|len| usize::try_from(len).ok())
            .filter(|&len| len <= rest.len());
        let Some(len) = len else {
            warn(&head[..3], "its length contradicts the tag's");
            return;
        };
        let value = latin1(&rest[..len]);
        let key = match &head[..3] {
            b"LYR" => Some("lyrics"),
            b"AUT" => Some("lyricist"),
            b"INF" => Some("comment"),
            b"EAL" => Some("album"),
            b"EAR" => Some("artist"),
            b"ETT" => Some("title"),
            _ => None,
        };
        match key {
            Some(key) => push(tags, key, &value),
            // Tells of the other fields alone, and stands in every tag.
            None if head.starts_with(b"IND") => {}
            None => warn(&head[..3], "it has no place elsewhere and was left out"),
        }
        bytes = &rest[len..];
    }
}

/// The fields of an `ID3v1` or `ID3v1.1` tag, which must be 128 bytes.
fn id3v1(bytes: &[u8], tags: &mut Vec<Tag>, warnings: &mut Vec<Warning>) {
    let mut field = |key: &str, bytes: &[u8]| {
        let end = bytes
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(bytes.len());
        let bytes = &bytes[..end];
        // The format names no encoding; UTF-8 is told by its own structure.
        let text = std::str::from_utf8(bytes).map_or_else(|_| latin1(bytes), str::to_owned);
        if !bytes.is_ascii() {
            warnings.push(Warning::LegacyText {
                field: format!("ID3v1 {key}"),
            });
        }
        push(tags, key, &text);
    };
    field("title", &bytes[3..33]);
    field("artist", &bytes[33..63]);
    field("album", &bytes[63..93]);
    field("date", &bytes[93..97]);
    let comment = &bytes[97..127];
    if comment[28] == 0 && comment[29] != 0 {
        field("comment", &comment[..28]);
        push(tags, "track", &comment[29].to_string());
    } else {
        field("comment", comment);
    }
    if let Some(genre) = GENRES.get(usize::from(bytes[127])) {
        push(tags, "genre", genre);
    }
}

/// A number of ASCII digits.
fn decimal(bytes: &[u8]) -> Option<u64> {
    std::str::from_utf8(bytes)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?
        .parse()
        .ok()
}
