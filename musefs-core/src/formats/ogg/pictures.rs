//! Pictures in comments: `METADATA_BLOCK_PICTURE`, the base64 text of a FLAC PICTURE block (RFC 9639, section 8.8).
//!
//! Only as much of the text is read as says what the picture is. One that nobody changed is served as the text that the
//! file has; any other gets its text when it is read.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::headers::Headers;
use super::pages::{Bodies, Packet};
use crate::formats::assembly::Assembly;
use crate::formats::region::Extent;
use crate::formats::text::values_hash;
use crate::formats::vorbis_comment::{Comments, KEPT_PREFIX, field_name};
use crate::formats::{
    Art, ByteRange, Failure, Fetched, Source, Stop, SynthesisError, Warning, flac,
};
use crate::layout::derived::{Base64Bytes, Base64Text, Derived, base64_decode};
use crate::layout::{BlobKind, Segment};

/// The comment that holds a picture.
const NAME: &str = "METADATA_BLOCK_PICTURE";

/// A picture that the file has as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Picture {
    /// The text, with the page headers in it: what [`Art::source`] says.
    text: ByteRange,
    /// The comment's name in the file's spelling.
    name: String,
    /// [`fields_hash`] of what the text says.
    fields: u64,
    /// Where the picture begins in the bytes that the text stands for.
    skip: u64,
    /// Length of the picture in bytes.
    len: u64,
}

/// The bytes that a text stands for. Its ranges count from the first of them.
struct Decoded<'a>(Packet<'a>);

impl<'a> Extent<'a> for Decoded<'a> {
    /// Up to two more than there are: the padding at the end is not looked at.
    fn len(&self) -> u64 {
        self.0.len / 4 * 3 + (self.0.len % 4).saturating_sub(1)
    }

    fn get(&self, offset: u64, len: usize, ahead: u64) -> Result<Cow<'a, [u8]>, Stop> {
        let malformed = Stop::Broken(Failure::Malformed);
        let end = offset.saturating_add(len as u64);
        if end > self.len() {
            return Err(malformed);
        }
        let first = offset / 3 * 4;
        let last = (end.div_ceil(3) * 4).min(self.0.len);
        let wanted = usize::try_from(last - first).expect("a little more than is wanted");
        let text = self.0.get(first, wanted, ahead)?;
        let bytes = base64_decode(&text).ok_or(malformed.clone())?;
        let skip = usize::try_from(offset % 3).expect("below three");
        let part = bytes.get(skip..skip + len).ok_or(malformed)?;
        Ok(Cow::Owned(part.to_vec()))
    }

    fn range(&self, offset: u64, len: u64) -> ByteRange {
        ByteRange { offset, len }
    }
}

/// Makes pictures of the kept comments that hold some.
///
/// # Errors
/// `NeedMore`.
pub(super) fn take(
    fetched: &Fetched,
    headers: &Headers,
    comments: &mut Comments,
) -> Result<Vec<(Art, Picture)>, Stop> {
    let mut pictures = Vec::new();
    let mut items = Vec::new();
    for item in std::mem::take(&mut comments.items) {
        let name = item.native.strip_prefix(KEPT_PREFIX);
        let (Some(name), Source::Backing(text)) = (name, item.source) else {
            items.push(item);
            continue;
        };
        if !name.eq_ignore_ascii_case(NAME) {
            items.push(item);
            continue;
        }
        let start = headers.bodies.position(text.offset);
        let packet = Packet {
            fetched,
            bodies: &headers.bodies,
            start,
            len: headers.bodies.position(text.end()) - start,
        };
        let Some(mut art) = flac::picture(&Decoded(packet))? else {
            comments.warnings.push(Warning::BadField {
                field: name.to_owned(),
                reason: "it holds no picture; the comment is kept as it is".to_owned(),
            });
            items.push(item);
            continue;
        };
        let Source::Backing(data) = art.source else {
            unreachable!("a picture of a file is a range");
        };
        art.source = Source::Backing(text);
        let picture = Picture {
            text,
            name: name.to_owned(),
            fields: fields_hash(&art),
            skip: data.offset,
            len: data.len,
        };
        pictures.push((art, picture));
    }
    comments.items = items;
    Ok(pictures)
}

/// Tells whether what is said of a picture still is what its text says.
fn fields_hash(art: &Art) -> u64 {
    let numbers = [
        art.picture_type,
        art.width,
        art.height,
        art.depth,
        art.colors,
    ];
    let numbers = numbers.map(|number| number.to_string());
    values_hash(
        [&art.mime, &art.description]
            .into_iter()
            .chain(&numbers)
            .map(String::as_str),
    )
}

/// The comment that holds `art`, without its length field.
///
/// # Errors
/// When the picture is larger than 32 bits can say.
pub(super) fn comment(
    art: &Art,
    pictures: &[Picture],
    bodies: &Bodies,
    backing_len: u64,
) -> Result<Assembly, SynthesisError> {
    let stored = pictures
        .iter()
        .find(|picture| art.source == Source::Backing(picture.text));
    let mut comment = Assembly::default();
    if let Some(picture) = stored.filter(|picture| picture.fields == fields_hash(art)) {
        comment.bytes(field_name(&picture.name).as_bytes());
        comment.bytes(b"=");
        comment.stored(art.source, BlobKind::Art, bodies);
        return Ok(comment);
    }
    let mut data = Assembly::default();
    match stored {
        Some(picture) => {
            let mut text = Assembly::default();
            text.stored(art.source, BlobKind::Art, bodies);
            data.segment(Segment::Derived(Arc::new(Derived::Base64Bytes(
                Base64Bytes {
                    of: text.finish(backing_len)?,
                    skip: picture.skip,
                    len: picture.len,
                },
            ))));
        }
        None => data.stored(art.source, BlobKind::Art, bodies),
    }
    let mut block = Assembly::default();
    block.bytes(&flac::picture_head(art, data.len())?);
    block.append(data);
    comment.bytes(NAME.as_bytes());
    comment.bytes(b"=");
    comment.segment(Segment::Derived(Arc::new(Derived::Base64Text(
        Base64Text {
            of: block.finish(backing_len)?,
        },
    ))));
    Ok(comment)
}
