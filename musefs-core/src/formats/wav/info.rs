//! `LIST` chunks of the type `INFO` (Microsoft "Multimedia Programming Interface and Data Specifications 1.0", chapter 2): one
//! small chunk for each text. The specification names no encoding; UTF-8 is told by its own structure.

use crate::formats::assembly::Assembly;
use crate::formats::chunks::{self, HEADER_BYTES, Order};
use crate::formats::originals::{Found, Plan, Step};
use crate::formats::region::{Region, ahead};
use crate::formats::text::{TextBudget, utf8_or_legacy};
use crate::formats::vocabulary::{Claims, Family, native_name};
use crate::formats::{ByteRange, Failure, Fetched, Stop, SynthesisError, Warning};

/// Most texts of one file.
const TEXTS_MAX: usize = 4096;

/// A list up to this size is fetched in one piece.
const WHOLE_BYTES_MAX: u64 = 64 << 10;

/// A text that no other format has a name for: this, then the id of its chunk.
const PREFIX: &str = "INFO:";

/// The id of a text whose key is the chunk's id: one that has no place in other tags.
pub(super) fn own_id(key: &str) -> Option<[u8; 4]> {
    let id = key.strip_prefix(PREFIX)?.as_bytes();
    <[u8; 4]>::try_from(id).ok().filter(|id| chunks::is_id(id))
}

/// The keys of all texts, as a function of their ids.
pub(super) fn keys(found: &[Found]) -> impl Fn(&str) -> String + use<> {
    let claims = Claims::new(
        Family::RiffInfo,
        found.iter().map(|text| text.native.as_str()),
    );
    move |native| {
        claims
            .key(native)
            .map_or_else(|| format!("{PREFIX}{native}"), str::to_owned)
    }
}

/// Reads the texts of one list; `body` starts behind the type. What comes back is the rest of the list that holds no text.
///
/// # Errors
/// `NeedMore`, or `Broken(OverLimit)` when there are too many.
pub(super) fn read(
    fetched: &Fetched,
    body: ByteRange,
    budget: &mut TextBudget,
    found: &mut Vec<Found>,
    warnings: &mut Vec<Warning>,
) -> Result<Option<ByteRange>, Stop> {
    let region = Region::new(fetched, body)?;
    if region.len() <= WHOLE_BYTES_MAX {
        let len = usize::try_from(region.len()).expect("bounded");
        region.get(0, len, 0)?;
    }
    let mut offset = 0;
    while region.len().saturating_sub(offset) >= HEADER_BYTES {
        if found.len() == TEXTS_MAX {
            return Err(Stop::Broken(Failure::OverLimit));
        }
        let further = ahead(found.len());
        let header = region.get(offset, 8, further)?;
        let native = utf8_or_legacy(&header[..4]).text;
        let mut warn = |reason: &str| {
            warnings.push(Warning::BadField {
                field: format!("{PREFIX}{native}"),
                reason: reason.to_owned(),
            });
        };
        if !chunks::is_id(&header[..4]) {
            if header.iter().any(|&byte| byte != 0) {
                warn("no text starts there; the rest of the list is kept unread");
            }
            break;
        }
        let stated = Order::LittleEndian.number(&header[4..]);
        let start = offset + HEADER_BYTES;
        let left = region.len() - start;
        let len = stated.min(left);
        if len < stated {
            warn("the text is longer than its list and was cut");
        }
        let mut values = Vec::new();
        if budget.take(len) {
            let whole = usize::try_from(len).expect("within the text bounds");
            let bytes = region.get(start, whole, further)?;
            let bytes = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
            let decoded = utf8_or_legacy(bytes);
            if decoded.legacy {
                warnings.push(Warning::LegacyText {
                    field: format!("{PREFIX}{native}"),
                });
            }
            // Nothing is said by a text of no characters.
            values.extend(Some(decoded.text).filter(|text| !text.is_empty()));
        } else {
            warn("text over the limit is kept unread");
        }
        let end = next(&region, start + len, len, further)?;
        found.push(Found {
            raw: region.range(offset, end - offset),
            native,
            flags: 0,
            values,
            is_mended: len < stated,
        });
        offset = end;
    }
    let left = region.len().saturating_sub(offset);
    Ok((left > 0).then(|| region.range(offset, left)))
}

/// Where the text after the one of `len` bytes that ends at `end` starts. Some writers leave the pad byte away.
fn next(region: &Region<'_>, end: u64, len: u64, further: u64) -> Result<u64, Stop> {
    if len.is_multiple_of(2) || end == region.len() {
        return Ok(end);
    }
    if region.len() - end < 5 {
        return Ok(end + 1);
    }
    let bytes = region.get(end, 5, further)?;
    let is_unpadded = bytes[0] != 0 && chunks::is_id(&bytes[..4]) && !chunks::is_id(&bytes[1..]);
    Ok(if is_unpadded { end } else { end + 1 })
}

/// The body of a list with the planned texts and, behind them, `tails` as they are; without new ones for keys that another tag holds alone where
/// `with_new` is false. `None` where neither text nor tail is left.
///
/// # Errors
/// When a text does not fit 32 bits.
pub(super) fn write(
    plan: &Plan<'_>,
    with_new: bool,
    tails: &[ByteRange],
) -> Result<Option<Assembly>, SynthesisError> {
    let mut texts = Assembly::default();
    for step in plan.steps() {
        match step {
            Step::Raw(original) => chunks::write_kept(original.raw, &mut texts),
            Step::Anew {
                original,
                key,
                values,
            } => {
                if let Some(id) = own_id(key) {
                    for value in values {
                        write_text(id, value, &mut texts)?;
                    }
                    continue;
                }
                let id = match original {
                    Some(original) => original.native.as_bytes().try_into().ok(),
                    None => native_name(key, Family::RiffInfo)
                        .filter(|_| with_new)
                        .and_then(|name| name.as_bytes().try_into().ok()),
                };
                // Readers take one text for each id.
                if let Some(id) = id {
                    write_text(id, &values.join("; "), &mut texts)?;
                }
            }
        }
    }
    for tail in tails {
        texts.backing(tail.offset, tail.len);
    }
    if texts.len() == 0 {
        return Ok(None);
    }
    let mut body = Assembly::default();
    body.bytes(b"INFO");
    body.append(texts);
    Ok(Some(body))
}

fn write_text(id: [u8; 4], value: &str, into: &mut Assembly) -> Result<(), SynthesisError> {
    let mut body = Assembly::default();
    body.bytes(value.as_bytes());
    body.bytes(&[0]);
    chunks::write(Order::LittleEndian, id, body, into)
}
