//! What a frame holds: text, a picture, or something to keep.

use std::borrow::Cow;

use super::body::{Body, resynchronise};
use super::frame::{self, Frame};
use super::{Text, genre};
use crate::formats::text::{Decoded, TextBudget, latin1, utf8_or_legacy, utf16};
use crate::formats::vocabulary::MUSICBRAINZ_OWNER;
use crate::formats::{Art, Source, Stop};

/// Most values of one text frame; one with more is kept as it is.
const VALUES_MAX: usize = 4096;

/// Longest MIME type and description in front of a picture, in bytes.
const PICTURE_HEAD_BYTES_MAX: usize = 64 << 10;

/// Longest `MusicBrainz` identifier in a UFID frame, in bytes (2.4 frames, section 4.1).
const IDENTIFIER_BYTES_MAX: u64 = 64;

/// Text frames whose id does not start with `T`.
const TEXT_IDS: [&[u8; 4]; 6] = [b"GRP1", b"MVNM", b"MVIN", b"XSOA", b"XSOP", b"XSOT"];

/// What became of a frame.
pub(super) enum Content {
    /// Text under one native name or, for lists of people, several.
    Text { text: Vec<Text>, legacy: bool },
    /// A picture, by its range.
    Art(Art),
    /// Nothing that is understood here; with a reason where it should have been.
    Kept { warning: Option<String> },
}

/// Whether frames with this id hold text under their own id.
pub(super) fn is_plain_text(id: &[u8]) -> bool {
    frame::is_id(id)
        && id.len() == 4
        && (TEXT_IDS.iter().any(|known| known.as_slice() == id)
            || (id[0] == b'T' && id != b"TXXX" && id != b"TIPL" && id != b"TMCL" && id != b"IPLS"))
}

/// Whether frames with this id hold a URL and nothing else. (WFED is a text frame in what iTunes writes, and is kept.)
pub(super) fn is_url(id: &[u8]) -> bool {
    frame::is_id(id) && id.len() == 4 && id[0] == b'W' && id != b"WXXX" && id != b"WFED"
}

/// Reads what a frame holds, as far as it is text or stands in front of a picture.
pub(super) fn content(
    body: &Body<'_>,
    major: u8,
    frame: &Frame,
    budget: &mut TextBudget,
    ahead: u64,
) -> Result<Content, Stop> {
    let id = frame.id.as_slice();
    if id == b"APIC" {
        let art = picture(body, major, frame)?;
        return Ok(art.map_or(Content::Kept { warning: None }, Content::Art));
    }
    let people = [b"TIPL", b"TMCL", b"IPLS"].contains(&&frame.id);
    let described = [b"TXXX", b"WXXX", b"COMM", b"USLT"].contains(&&frame.id);
    let identifier = id == b"UFID"
        && frame.len <= frame.skip + MUSICBRAINZ_OWNER.len() as u64 + 1 + IDENTIFIER_BYTES_MAX;
    if !(people || described || identifier || is_plain_text(id) || is_url(id)) {
        return Ok(Content::Kept { warning: None });
    }
    let kept = |reason: &str| {
        Ok(Content::Kept {
            warning: (!identifier).then(|| format!("{reason}; the frame is kept as it is")),
        })
    };
    if frame.flags & (frame::COMPRESSED | frame::ENCRYPTED) != 0 {
        return kept("compressed or encrypted text");
    }
    if frame.skip > frame.len {
        return kept("too short for its flags");
    }
    if !budget.take(frame.len) {
        return kept("text over the limit");
    }
    let len = usize::try_from(frame.len).expect("within the text bounds");
    let stored = body.get(frame.body, len, ahead)?;
    let stored = &stored[usize::try_from(frame.skip).expect("at most six")..];
    let bytes = if frame.flags & frame::UNSYNCHRONISED == 0 {
        Cow::Borrowed(stored)
    } else {
        resynchronise(stored)
    };
    let decoded = if identifier {
        musicbrainz_identifier(&bytes)
    } else if is_url(id) {
        let end = bytes
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(bytes.len());
        Some(single(frame.native(), latin1(&bytes[..end])))
    } else {
        encoded(frame.id, &bytes)
    };
    match decoded {
        Some((text, _)) if text.iter().any(|text| text.values.len() > VALUES_MAX) => {
            kept("too many values")
        }
        Some((text, legacy)) => Ok(Content::Text { text, legacy }),
        None => kept("not a frame of its kind"),
    }
}

type Texts = Option<(Vec<Text>, bool)>;

fn single(native: String, value: String) -> (Vec<Text>, bool) {
    let values = vec![value];
    (vec![Text { native, values }], false)
}

fn musicbrainz_identifier(bytes: &[u8]) -> Texts {
    let value = bytes
        .strip_prefix(MUSICBRAINZ_OWNER.as_bytes())?
        .strip_prefix(b"\0")?;
    value
        .iter()
        .all(u8::is_ascii_graphic)
        .then(|| String::from_utf8_lossy(value).into_owned())
        .map(|value| single(format!("UFID:{MUSICBRAINZ_OWNER}"), value))
}

/// A frame whose first byte names its encoding.
fn encoded(id: [u8; 4], bytes: &[u8]) -> Texts {
    let (&encoding, mut rest) = bytes.split_first()?;
    let mut reader = TextReader::new(encoding)?;
    let name = String::from_utf8_lossy(&id).into_owned();
    let mut native = name.clone();
    if matches!(&id, b"COMM" | b"USLT") {
        let (language, after) = rest.split_at_checked(3)?;
        rest = after;
        native = format!("{native}:{}", latin1(language));
    }
    if matches!(&id, b"TXXX" | b"WXXX" | b"COMM" | b"USLT") {
        let (description, after) = reader.split_first(rest);
        native = format!("{native}:{}", reader.decode(description));
        rest = after?;
    }
    let values = match &id {
        b"WXXX" => {
            let end = rest
                .iter()
                .position(|&byte| byte == 0)
                .unwrap_or(rest.len());
            vec![latin1(&rest[..end])]
        }
        b"USLT" => {
            let text = reader.decode(rest);
            vec![text.trim_end_matches('\0').to_owned()]
        }
        _ => reader.values(rest),
    };
    let text = match &id {
        b"TIPL" | b"IPLS" => people(&values)?
            .map(|(role, person)| Text {
                native: format!("TIPL:{role}"),
                values: vec![person.to_owned()],
            })
            .collect(),
        b"TMCL" => {
            let values = people(&values)?
                .map(|(instrument, person)| {
                    if instrument.is_empty() {
                        person.to_owned()
                    } else {
                        format!("{person} ({instrument})")
                    }
                })
                .collect();
            vec![Text { native, values }]
        }
        b"TCON" => {
            let values = values
                .iter()
                .flat_map(|value| genre::genres(value))
                .collect();
            vec![Text { native, values }]
        }
        _ => vec![Text { native, values }],
    };
    Some((text, reader.legacy))
}

/// Roles and people in turns (2.4 frames, section 4.2.2); `None` when one is left over.
fn people(values: &[String]) -> Option<impl Iterator<Item = (&str, &str)>> {
    values.len().is_multiple_of(2).then(|| {
        values
            .chunks_exact(2)
            .map(|pair| (pair[0].as_str(), pair[1].as_str()))
    })
}

/// Text of one encoding byte (2.4 structure, section 4).
struct TextReader {
    encoding: u8,
    big_endian: bool,
    legacy: bool,
}

impl TextReader {
    fn new(encoding: u8) -> Option<Self> {
        (encoding <= 3).then_some(Self {
            encoding,
            big_endian: encoding == 2,
            legacy: false,
        })
    }

    /// The bytes before the first terminator, and those after it where there is one.
    fn split_first<'b>(&self, bytes: &'b [u8]) -> (&'b [u8], Option<&'b [u8]>) {
        let found = if matches!(self.encoding, 1 | 2) {
            bytes
                .chunks_exact(2)
                .position(|pair| pair == [0, 0])
                .map(|index| (index * 2, 2))
        } else {
            bytes.iter().position(|&byte| byte == 0).map(|at| (at, 1))
        };
        match found {
            Some((at, len)) => (&bytes[..at], Some(&bytes[at + len..])),
            None => (bytes, None),
        }
    }

    fn decode(&mut self, bytes: &[u8]) -> String {
        let decoded = match self.encoding {
            0 => Decoded {
                text: latin1(bytes),
                legacy: false,
            },
            3 => utf8_or_legacy(bytes),
            _ => {
                // Later strings of a frame may leave their byte order mark away.
                match bytes {
                    [0xff, 0xfe, ..] => self.big_endian = false,
                    [0xfe, 0xff, ..] => self.big_endian = true,
                    _ => {}
                }
                utf16(bytes, self.big_endian)
            }
        };
        self.legacy |= decoded.legacy;
        decoded.text
    }

    /// All values, without the empty ones that terminators and padding leave at the end.
    fn values(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut values = Vec::new();
        let mut rest = Some(bytes);
        while let Some(bytes) = rest {
            let (value, after) = self.split_first(bytes);
            // A single byte behind the last pair is the half of a terminator that some taggers write.
            let value = match value {
                [0] if matches!(self.encoding, 1 | 2) => &[],
                value => value,
            };
            values.push(self.decode(value));
            rest = after;
        }
        while values.len() > 1 && values.last().is_some_and(String::is_empty) {
            values.pop();
        }
        values
    }
}

/// A picture as a range, or `None` when its data are stored transformed or nothing tells where they start.
fn picture(body: &Body<'_>, major: u8, frame: &Frame) -> Result<Option<Art>, Stop> {
    if frame.flags & frame::TRANSFORMED != 0 || frame.skip > frame.len {
        return Ok(None);
    }
    let (start, len) = (frame.body + frame.skip, frame.len - frame.skip);
    for window in [256, 4096, PICTURE_HEAD_BYTES_MAX] {
        let window = usize::try_from(len).map_or(window, |len| len.min(window));
        let head = body.get(start, window, 0)?;
        if let Some((mut art, skip)) = picture_head(major, head) {
            let range = body.range(start + skip, len - skip);
            if range.len != len - skip {
                return Ok(None);
            }
            art.source = Source::Backing(range);
            return Ok(Some(art));
        }
        if window as u64 == len {
            break;
        }
    }
    Ok(None)
}

/// What stands in front of a picture (2.4 frames, section 4.14; 2.2 section 4.15), and its length.
fn picture_head(major: u8, head: &[u8]) -> Option<(Art, u64)> {
    let (&encoding, rest) = head.split_first()?;
    let mut reader = TextReader::new(encoding)?;
    let (mime, rest) = if major == 2 {
        let (format, rest) = rest.split_at_checked(3)?;
        let mime = match format {
            b"JPG" => "image/jpeg".to_owned(),
            b"PNG" => "image/png".to_owned(),
            b"-->" => "-->".to_owned(),
            other => format!(
                "image/{}",
                latin1(other).trim_end_matches('\0').to_lowercase()
            ),
        };
        (mime, rest)
    } else {
        let end = rest.iter().position(|&byte| byte == 0)?;
        (latin1(&rest[..end]), &rest[end + 1..])
    };
    let (&picture_type, rest) = rest.split_first()?;
    let (description, data) = reader.split_first(rest);
    let data = data?;
    let art = Art {
        picture_type: u32::from(picture_type),
        mime,
        description: reader.decode(description),
        width: 0,
        height: 0,
        depth: 0,
        colors: 0,
        source: Source::Backing(crate::formats::ByteRange { offset: 0, len: 0 }),
    };
    Some((art, (head.len() - data.len()) as u64))
}
