//! `APEv2` tags (Hydrogenaudio wiki: "`APEv2` specification", "APE Tags Header", "APE Tag Item").
//!
//! Text items are decoded; binary items are recorded as ranges and never read. A tag of version 1 is read like one of version
//! 2; what is written is version 2.

use super::originals::{Found, Originals};
use super::region::{Region, ahead};
use super::text::{TextBudget, utf8_or_legacy};
use super::vocabulary::{Claims, Family};
use super::{Art, ByteRange, Failure, Fetched, OpaqueItem, Source, Stop, Tag, Warning};

mod write;

pub(super) use write::write;

/// Length of a header or footer in bytes.
pub(super) const FOOTER_BYTES: u64 = 32;

/// Largest tag in bytes.
const TAG_BYTES_MAX: u64 = 256 << 20;

/// Most items of one tag.
const ITEMS_MAX: u32 = 4096;

/// Longest key in bytes, as the specification has it.
const KEY_BYTES_MAX: usize = 255;

/// Longest file name that stands in front of an embedded picture.
const PICTURE_NAME_BYTES_MAX: usize = 1024;

const HAS_HEADER: u32 = 1 << 31;
const IS_HEADER: u32 = 1 << 29;
const TYPE_MASK: u32 = 0b110;
const TYPE_TEXT: u32 = 0b000;
const TYPE_LOCATOR: u32 = 0b100;

/// Where a tag lies, from its footer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// With header and footer.
    pub(super) whole: ByteRange,
    items: ByteRange,
    count: u32,
}

/// What a tag holds.
#[derive(Debug, Default)]
pub(super) struct Ape {
    /// Key by the vocabulary, or the item's own; with the item's own key beside it.
    pub(super) tags: Vec<(Tag, String)>,
    pub(super) art: Vec<Art>,
    /// Binary and oversized items, by their own keys.
    pub(super) items: Vec<OpaqueItem>,
    /// The text items, for the synthesizer.
    pub(super) originals: Originals,
    pub(super) warnings: Vec<Warning>,
}

/// The names of pictures, with the number of each in `ID3v2`'s APIC table, as taggers have them.
const PICTURES: [(&str, u32); 21] = [
    ("Cover Art (Front)", 3),
    ("Cover Art (Back)", 4),
    ("Cover Art (Other)", 0),
    ("Cover Art (Png Icon)", 1),
    ("Cover Art (Icon)", 2),
    ("Cover Art (Leaflet)", 5),
    ("Cover Art (Media)", 6),
    ("Cover Art (Lead Artist)", 7),
    ("Cover Art (Artist)", 8),
    ("Cover Art (Conductor)", 9),
    ("Cover Art (Band)", 10),
    ("Cover Art (Composer)", 11),
    ("Cover Art (Lyricist)", 12),
    ("Cover Art (Recording Location)", 13),
    ("Cover Art (During Recording)", 14),
    ("Cover Art (During Performance)", 15),
    ("Cover Art (Video Capture)", 16),
    ("Cover Art (Fish)", 17),
    ("Cover Art (Illustration)", 18),
    ("Cover Art (Band Logotype)", 19),
    ("Cover Art (Publisher Logotype)", 20),
];

/// The MIME type that the name of a picture's file tells.
fn mime_of(name: &str) -> &'static str {
    let extension = name.rsplit('.').next().unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "bmp" => "image/bmp",
        _ => "image/jpeg",
    }
}

/// The tag whose footer ends at `end`, or `None`.
///
/// # Errors
/// `NeedMore`.
pub(super) fn before(fetched: &Fetched, end: u64) -> Result<Option<Place>, Stop> {
    let Some(start) = end.checked_sub(FOOTER_BYTES) else {
        return Ok(None);
    };
    let footer = fetched.get(start, 32)?;
    if &footer[..8] != b"APETAGEX" {
        return Ok(None);
    }
    let size = u64::from(little_endian(&footer[12..16]));
    let count = little_endian(&footer[16..20]);
    let flags = little_endian(&footer[20..24]);
    let header = if flags & HAS_HEADER == 0 {
        0
    } else {
        FOOTER_BYTES
    };
    if flags & IS_HEADER != 0 || size < FOOTER_BYTES {
        return Ok(None);
    }
    let Some(first) = end.checked_sub(size) else {
        return Ok(None);
    };
    let items = ByteRange {
        offset: first,
        len: size - FOOTER_BYTES,
    };
    if !leads_to_item(fetched, items, count)? {
        return Ok(None);
    }
    // A header that the footer promises and that is not there was never written: those bytes are sound.
    let whole = match first.checked_sub(header) {
        Some(whole) if header > 0 && fetched.get(whole, 8)? == b"APETAGEX" => whole,
        _ => first,
    };
    Ok(Some(Place {
        whole: ByteRange {
            offset: whole,
            len: end - whole,
        },
        items,
        count,
    }))
}

/// Whether the first item stands where the tag's size says. A size that is a lie would cover sound.
fn leads_to_item(fetched: &Fetched, items: ByteRange, count: u32) -> Result<bool, Stop> {
    if items.len == 0 || items.len > TAG_BYTES_MAX {
        return Ok(items.len == 0);
    }
    if count == 0 {
        return Ok(false);
    }
    match Region::new(fetched, items).and_then(|region| read_head(&region, 0, 0)) {
        Ok(head) => Ok(head.key.bytes().all(|byte| (b' '..=b'~').contains(&byte))),
        Err(Stop::Broken(_)) => Ok(false),
        Err(more) => Err(more),
    }
}

/// Reads the items of a tag. An item that contradicts the tag's size ends the walk with a warning.
///
/// # Errors
/// `NeedMore`.
pub(super) fn read(fetched: &Fetched, place: Place) -> Result<Ape, Stop> {
    let mut ape = Ape::default();
    let warn = |ape: &mut Ape, field: &str, reason: &str| {
        ape.warnings.push(Warning::BadField {
            field: field.to_owned(),
            reason: reason.to_owned(),
        });
    };
    if place.items.len > TAG_BYTES_MAX {
        warn(
            &mut ape,
            "APEv2",
            "the tag is over the limit and was left out",
        );
        return Ok(ape);
    }
    let region = Region::new(fetched, place.items)?;
    let mut budget = TextBudget::new();
    let mut texts: Vec<Found> = Vec::new();
    let mut offset = 0;
    for index in 0..place.count as usize {
        if offset == region.len() {
            warn(&mut ape, "APEv2", "the tag states more items than it has");
            break;
        }
        if index == ITEMS_MAX as usize {
            warn(&mut ape, "APEv2", "the items over the limit were left out");
            break;
        }
        let start = offset;
        let head = match read_head(&region, offset, index) {
            Ok(head) => head,
            Err(Stop::Broken(_)) => {
                warn(&mut ape, "APEv2", "the tag ends within an item");
                break;
            }
            Err(more) => return Err(more),
        };
        offset = head.value + head.len;
        let key = head.key;
        let is_text = matches!(head.flags & TYPE_MASK, TYPE_TEXT | TYPE_LOCATOR);
        if is_text && budget.take(head.len) {
            let len = usize::try_from(head.len).expect("within the text bounds");
            let decoded = utf8_or_legacy(region.get(head.value, len, ahead(index))?);
            if decoded.legacy {
                ape.warnings
                    .push(Warning::LegacyText { field: key.clone() });
            }
            texts.push(Found {
                raw: region.range(start, offset - start),
                // A key that cannot be written stays as it is, and its value with it.
                is_mended: decoded.legacy && write::item_key(&key) == key,
                native: key,
                flags: head.flags,
                values: decoded.text.split('\0').map(str::to_owned).collect(),
            });
        } else if let Some(art) = read_art(&region, &key, head.value, head.len)? {
            ape.art.push(art);
        } else {
            ape.items.push(OpaqueItem {
                native: key,
                flags: head.flags,
                source: Source::Backing(region.range(head.value, head.len)),
            });
        }
    }
    let natives = texts.iter().map(|text| text.native.as_str());
    let claims = Claims::new(Family::Ape, natives);
    (ape.originals, ape.tags) = Originals::read(texts, |native| {
        claims
            .key(native)
            .map_or_else(|| native.to_owned(), str::to_owned)
    });
    Ok(ape)
}

struct Head {
    key: String,
    flags: u32,
    value: u64,
    len: u64,
}

fn read_head(region: &Region<'_>, offset: u64, index: usize) -> Result<Head, Stop> {
    let malformed = Stop::Broken(Failure::Malformed);
    let fixed = region.get(offset, 8, ahead(index))?;
    let len = u64::from(little_endian(&fixed[..4]));
    let flags = little_endian(&fixed[4..]);
    let left = region.len() - (offset + 8);
    let window = usize::try_from(left).map_or(KEY_BYTES_MAX, |left| left.min(KEY_BYTES_MAX)) + 1;
    let window = window.min(usize::try_from(left).unwrap_or(usize::MAX));
    let bytes = region.get(offset + 8, window, ahead(index))?;
    let key_len = bytes
        .iter()
        .position(|&byte| byte == 0)
        .filter(|&len| len > 0)
        .ok_or(malformed.clone())?;
    let value = offset + 8 + key_len as u64 + 1;
    if len > region.len() - value {
        return Err(malformed);
    }
    Ok(Head {
        key: utf8_or_legacy(&bytes[..key_len]).text,
        flags,
        value,
        len,
    })
}

/// A cover is a file name, a NUL, and the picture.
fn read_art(region: &Region<'_>, key: &str, value: u64, len: u64) -> Result<Option<Art>, Stop> {
    let picture = PICTURES.iter().find(|(name, _)| {
        // Further pictures of a kind are numbered.
        key.get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name))
            && key[name.len()..]
                .bytes()
                .all(|byte| byte == b' ' || byte.is_ascii_digit())
    });
    let Some(&(_, picture_type)) = picture else {
        return Ok(None);
    };
    let window = usize::try_from(len).map_or(PICTURE_NAME_BYTES_MAX, |len| {
        len.min(PICTURE_NAME_BYTES_MAX)
    });
    let head = region.get(value, window, 0)?;
    let Some(end) = head.iter().position(|&byte| byte == 0) else {
        return Ok(None);
    };
    let name = utf8_or_legacy(&head[..end]).text;
    let skip = end as u64 + 1;
    Ok(Some(Art {
        picture_type,
        mime: mime_of(&name).to_owned(),
        description: name,
        width: 0,
        height: 0,
        depth: 0,
        colors: 0,
        source: Source::Backing(region.range(value + skip, len - skip)),
    }))
}

fn little_endian(bytes: &[u8]) -> u32 {
    u32::from_le_bytes(bytes.try_into().expect("four bytes"))
}
