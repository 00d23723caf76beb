//! Native FLAC (RFC 9639, section 8): `fLaC`, metadata blocks, frames.
//!
//! STREAMINFO and SEEKTABLE are served as they are; a seek table counts from the first frame, so it stays true.

use serde::{Deserialize, Serialize};

use super::assembly::Assembly;
use super::region::{Extent, InOneRun, Region, ahead};
use super::sniff::Sniffed;
use super::text::utf8_or_legacy;
use super::vorbis_comment::{self, CommentList};
use super::{
    Art, AudioProperties, ByteRange, Desired, Failure, Fetched, Format, OpaqueItem, Probe, Source,
    Stop, Structure, SynthesisError, Warning, id3v2, trailer,
};
use crate::layout::{BlobKind, Layout};

/// Most metadata blocks of one file.
const BLOCKS_MAX: usize = 1024;

/// Longest MIME type and longest description of a picture, in bytes.
const PICTURE_TEXT_BYTES_MAX: u32 = 64 << 10;

/// What 24 bits can say: the largest body of a block in bytes.
const BLOCK_BYTES_MAX: u64 = (1 << 24) - 1;

/// Zeros in the PADDING block that ends the metadata, in bytes.
const PADDING_BYTES: usize = 256;

pub(super) const STREAMINFO: u8 = 0;
pub(super) const PADDING: u8 = 1;
const APPLICATION: u8 = 2;
const SEEKTABLE: u8 = 3;
pub(super) const VORBIS_COMMENT: u8 = 4;
const CUESHEET: u8 = 5;
pub(super) const PICTURE: u8 = 6;
pub(super) const INVALID: u8 = 127;
pub(super) const LAST: u8 = 0x80;
const STREAMINFO_BYTES: u64 = 34;

/// A kept block of another type: this, then the type's number.
const OTHER_PREFIX: &str = "BLOCK:";

/// How a FLAC file is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlacStructure {
    /// Body of the STREAMINFO block.
    stream_info: ByteRange,
    /// Body of the SEEKTABLE block.
    seek_table: Option<ByteRange>,
    comments: CommentList,
    audio: ByteRange,
}

/// Takes a FLAC file apart.
///
/// # Errors
/// `NeedMore`, or `Broken` when the blocks do not follow each other to the first frame.
pub(super) fn probe(fetched: &Fetched, sniffed: &Sniffed) -> Result<Probe, Stop> {
    let mut probe = Probe::as_is(Format::Flac);
    let mut stream_info = None;
    let mut seek_table = None;
    let mut comment_lists = Vec::new();
    let mut offset = sniffed.start + 4;
    for index in 0.. {
        if index == BLOCKS_MAX {
            return Err(Stop::Broken(Failure::OverLimit));
        }
        let rest = ByteRange {
            offset,
            len: fetched.file_len().saturating_sub(offset),
        };
        if rest.len < 4 {
            return Err(Stop::Broken(Failure::Truncated));
        }
        let header = Region::new(fetched, rest)?.get(0, 4, ahead(index))?;
        let kind = header[0] & !LAST;
        let is_last = header[0] & LAST != 0;
        let body = ByteRange {
            offset: offset + 4,
            len: u64::from(u32::from_be_bytes([0, header[1], header[2], header[3]])),
        };
        let region = Region::new(fetched, body)?;
        match kind {
            STREAMINFO if stream_info.is_none() && body.len == STREAMINFO_BYTES => {
                stream_info = Some(body);
            }
            STREAMINFO | INVALID => return Err(Stop::Broken(Failure::Malformed)),
            PADDING => {}
            SEEKTABLE if seek_table.is_none() => seek_table = Some(body),
            VORBIS_COMMENT => comment_lists.push(region),
            PICTURE => {
                if let Some(art) = picture(&region)? {
                    probe.art.push(art);
                } else {
                    probe.warnings.push(contradicting_picture());
                    probe.items.push(kept(kind, body));
                }
            }
            _ => probe.items.push(kept(kind, body)),
        }
        offset = body.end();
        if is_last {
            break;
        }
    }
    let stream_info = stream_info.ok_or(Stop::Broken(Failure::Malformed))?;
    let comments = vorbis_comment::read(&comment_lists)?;
    probe.tags = comments.tags;
    probe.items.extend(comments.items);
    probe.warnings.extend(comments.warnings);
    let audio_end = trailer::find(fetched, offset)?.audio_end;
    let audio = ByteRange {
        offset,
        len: audio_end - offset,
    };
    if comments.list.is_empty() {
        borrow_from_id3v2(fetched, sniffed, &mut probe)?;
    }
    probe.properties = properties(fetched.get(stream_info.offset, 34)?, audio.len);
    probe.structure = Structure::Flac(FlacStructure {
        stream_info,
        seek_table,
        comments: comments.list,
        audio,
    });
    Ok(probe)
}

/// What is said of a PICTURE block that [`picture`] makes nothing of.
pub(super) fn contradicting_picture() -> Warning {
    Warning::BadField {
        field: "PICTURE".to_owned(),
        reason: "its lengths contradict each other; the block is kept as it is".to_owned(),
    }
}

/// The item of a block that is kept as it is.
pub(super) fn kept(kind: u8, body: ByteRange) -> OpaqueItem {
    let native = match kind {
        APPLICATION => "APPLICATION".to_owned(),
        CUESHEET => "CUESHEET".to_owned(),
        other => format!("{OTHER_PREFIX}{other}"),
    };
    OpaqueItem {
        native,
        flags: 0,
        source: Source::Backing(body),
    }
}

/// Tags of a leading `ID3v2`, for a file that has no comments of its own.
pub(super) fn borrow_from_id3v2(
    fetched: &Fetched,
    sniffed: &Sniffed,
    probe: &mut Probe,
) -> Result<(), Stop> {
    let Some(place) = sniffed.id3v2.first() else {
        return Ok(());
    };
    let tag = id3v2::read(fetched, *place)?;
    probe.tags = tag.tags;
    probe.warnings.extend(tag.warnings);
    if probe.art.is_empty() {
        probe.art = tag.art;
    }
    Ok(())
}

/// A PICTURE block (RFC 9639, section 8.8) with its data as a range; `None` when its lengths do not fit the block.
pub(super) fn picture<'a>(extent: &impl Extent<'a>) -> Result<Option<Art>, Stop> {
    // All the fields of an ordinary picture come with the first request.
    const FIELDS_BYTES: u64 = 256;
    let parse = || -> Result<Option<Art>, Stop> {
        let number = |offset: u64| -> Result<u32, Stop> {
            let bytes = extent.get(offset, 4, FIELDS_BYTES)?;
            Ok(u32::from_be_bytes(
                bytes[..].try_into().expect("four bytes"),
            ))
        };
        let text = |offset: u64, len: u32| -> Result<String, Stop> {
            let len = usize::try_from(len).expect("bounded");
            Ok(utf8_or_legacy(&extent.get(offset, len, FIELDS_BYTES)?).text)
        };
        let picture_type = number(0)?;
        let mime_len = number(4)?;
        if mime_len > PICTURE_TEXT_BYTES_MAX {
            return Ok(None);
        }
        let mime = text(8, mime_len)?;
        let offset = 8 + u64::from(mime_len);
        let description_len = number(offset)?;
        if description_len > PICTURE_TEXT_BYTES_MAX {
            return Ok(None);
        }
        let description = text(offset + 4, description_len)?;
        let offset = offset + 4 + u64::from(description_len);
        let data = offset + 20;
        let data_len = u64::from(number(offset + 16)?);
        if data_len > extent.len() - data {
            return Ok(None);
        }
        Ok(Some(Art {
            picture_type,
            mime,
            description,
            width: number(offset)?,
            height: number(offset + 4)?,
            depth: number(offset + 8)?,
            colors: number(offset + 12)?,
            source: Source::Backing(extent.range(data, data_len)),
        }))
    };
    match parse() {
        Err(Stop::Broken(_)) => Ok(None),
        other => other,
    }
}

/// Sample rate (20 bits), channels less one (3), bits less one (5) and samples (36) from byte 10 of STREAMINFO.
pub(super) fn properties(stream_info: &[u8], audio_len: u64) -> AudioProperties {
    let packed = u64::from_be_bytes(stream_info[10..18].try_into().expect("eight bytes"));
    let field = |shift: u32, bits: u32| {
        u32::try_from(packed >> shift & ((1 << bits) - 1)).expect("at most 20 bits")
    };
    let sample_rate_hz = Some(field(44, 20)).filter(|&rate| rate > 0);
    let samples = packed & ((1 << 36) - 1);
    let duration_ms = sample_rate_hz
        .filter(|_| samples > 0)
        .map(|rate| samples * 1000 / u64::from(rate));
    AudioProperties {
        duration_ms,
        sample_rate_hz,
        channels: Some(field(41, 3) + 1),
        bits_per_sample: Some(field(36, 5) + 1),
        bitrate_bps: duration_ms
            .filter(|&ms| ms > 0)
            .and_then(|ms| u32::try_from(u128::from(audio_len) * 8000 / u128::from(ms)).ok()),
    }
}

/// Lays out the served file.
///
/// # Errors
/// When a block is larger than 2^24 - 1 bytes, a kept item names no block, or a range is outside the backing file.
pub(super) fn synthesize(
    structure: &FlacStructure,
    desired: &Desired<'_>,
) -> Result<Layout, SynthesisError> {
    let raw = |range: ByteRange| {
        let mut body = Assembly::default();
        body.backing(range.offset, range.len);
        body
    };
    let mut served = Assembly::default();
    served.bytes(b"fLaC");
    block(
        STREAMINFO,
        "STREAMINFO",
        raw(structure.stream_info),
        &mut served,
    )?;
    if let Some(seek_table) = structure.seek_table {
        block(SEEKTABLE, "SEEKTABLE", raw(seek_table), &mut served)?;
    }
    let comments = structure
        .comments
        .write(desired.tags, desired.items, Vec::new(), &InOneRun)?;
    block(VORBIS_COMMENT, "VORBIS_COMMENT", comments, &mut served)?;
    for item in desired.items {
        if vorbis_comment::is_kept_comment(&item.native) {
            continue;
        }
        let mut body = Assembly::default();
        body.source(item.source, BlobKind::BinaryTag);
        block(block_type(&item.native)?, &item.native, body, &mut served)?;
    }
    for art in desired.art {
        let mut body = Assembly::default();
        body.bytes(&picture_head(art, art.source.len())?);
        body.source(art.source, BlobKind::Art);
        block(PICTURE, "PICTURE", body, &mut served)?;
    }
    let mut padding = Assembly::default();
    padding.bytes(&[0; PADDING_BYTES]);
    block(PADDING | LAST, "PADDING", padding, &mut served)?;
    served.backing(structure.audio.offset, structure.audio.len);
    served.finish(desired.backing_len)
}

/// The type of the block that a kept item is.
pub(super) fn block_type(native: &str) -> Result<u8, SynthesisError> {
    match native {
        "APPLICATION" => Ok(APPLICATION),
        "CUESHEET" => Ok(CUESHEET),
        _ => native
            .strip_prefix(OTHER_PREFIX)
            .and_then(|number| number.parse().ok())
            .filter(|&number| number != STREAMINFO && number < INVALID)
            .ok_or_else(|| SynthesisError::BadItem {
                native: native.to_owned(),
            }),
    }
}

/// What stands in a PICTURE block in front of `data_len` bytes of data (RFC 9639, section 8.8).
pub(super) fn picture_head(art: &Art, data_len: u64) -> Result<Vec<u8>, SynthesisError> {
    let number = |len: u64| {
        u32::try_from(len).map_err(|_| SynthesisError::TooLarge {
            what: "PICTURE".to_owned(),
            len,
            max: BLOCK_BYTES_MAX,
        })
    };
    let mut head = art.picture_type.to_be_bytes().to_vec();
    for text in [&art.mime, &art.description] {
        head.extend(number(text.len() as u64)?.to_be_bytes());
        head.extend_from_slice(text.as_bytes());
    }
    for field in [art.width, art.height, art.depth, art.colors] {
        head.extend(field.to_be_bytes());
    }
    head.extend(number(data_len)?.to_be_bytes());
    Ok(head)
}

/// A block with its header.
pub(super) fn block(
    kind: u8,
    what: &str,
    body: Assembly,
    into: &mut Assembly,
) -> Result<(), SynthesisError> {
    let len = body.len();
    let size = u32::try_from(len)
        .ok()
        .filter(|_| len <= BLOCK_BYTES_MAX)
        .ok_or_else(|| SynthesisError::TooLarge {
            what: what.to_owned(),
            len,
            max: BLOCK_BYTES_MAX,
        })?;
    into.bytes(&[kind]);
    into.bytes(&size.to_be_bytes()[1..]);
    into.append(body);
    Ok(())
}
