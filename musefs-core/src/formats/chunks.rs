//! Files made of chunks (EA IFF 85; Microsoft "Multimedia Programming Interface and Data Specifications 1.0"): an id of four
//! characters, a size, a body, and a pad byte behind a body of odd length.
//!
//! A walk never leaves the file, and takes what no chunk can start with for the end of the chunks. Which chunk means what is
//! not known here.

use serde::{Deserialize, Serialize};

use super::assembly::Assembly;
use super::region::{Region, ahead};
use super::{ByteRange, Failure, Fetched, Stop, SynthesisError};

/// Most chunks of one file. Each may cost a read, after which the walk begins anew.
const CHUNKS_MAX: usize = 4096;

/// Length of a chunk's id and size in bytes.
pub(super) const HEADER_BYTES: u64 = 8;

/// Which way round the sizes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// RIFF.
    LittleEndian,
    /// IFF.
    BigEndian,
}

impl Order {
    /// A number of up to 8 bytes.
    pub(super) fn number(self, bytes: &[u8]) -> u64 {
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        match self {
            Self::LittleEndian => bytes.iter().rev().fold(0, add),
            Self::BigEndian => bytes.iter().fold(0, add),
        }
    }

    fn size(self, size: u32) -> [u8; 4] {
        match self {
            Self::LittleEndian => size.to_le_bytes(),
            Self::BigEndian => size.to_be_bytes(),
        }
    }

    /// The size of the whole file as its header says it: what is too long for the field is said as the largest number, which
    /// readers take for "to the end of the file".
    pub(super) fn size_of_all(self, len: u64) -> [u8; 4] {
        self.size(u32::try_from(len).unwrap_or(u32::MAX))
    }
}

/// A chunk as its header tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) id: [u8; 4],
    /// Start of the header in bytes from the file's start.
    pub(super) offset: u64,
    /// The stated length of the body, which may be longer than the file.
    pub(super) stated: u64,
}

impl Chunk {
    /// The body.
    pub(super) fn body(&self) -> ByteRange {
        ByteRange {
            offset: self.offset + HEADER_BYTES,
            len: self.stated,
        }
    }

    /// Header, body and pad byte, as far as the pad byte is there.
    pub(super) fn whole(&self, file_len: u64) -> ByteRange {
        let body = self.body();
        let end = body.end().saturating_add(body.len % 2);
        ByteRange {
            offset: self.offset,
            len: end.min(file_len.max(body.end())) - self.offset,
        }
    }

    /// Whether the body reaches past the end of the file.
    pub(super) fn is_cut(&self, file_len: u64) -> bool {
        self.body().end() > file_len
    }
}

/// The chunk at `offset`, or `None` where there is none before `end`. `index` is how many were seen before it.
///
/// # Errors
/// `NeedMore`, or `Broken(OverLimit)` when there are too many.
pub(super) fn read(
    fetched: &Fetched,
    order: Order,
    offset: u64,
    end: u64,
    index: usize,
) -> Result<Option<Chunk>, Stop> {
    let left = end.saturating_sub(offset);
    if left < HEADER_BYTES {
        return Ok(None);
    }
    let rest = ByteRange { offset, len: left };
    let header = Region::new(fetched, rest)?.get(0, 8, ahead(index))?;
    let id: [u8; 4] = header[..4].try_into().expect("four bytes");
    if !is_id(&id) {
        return Ok(None);
    }
    if index >= CHUNKS_MAX {
        return Err(Stop::Broken(Failure::OverLimit));
    }
    Ok(Some(Chunk {
        id,
        offset,
        stated: order.number(&header[4..]),
    }))
}

/// Whether a chunk can be called that: printable ASCII, with spaces at the end alone.
pub(super) fn is_id(bytes: &[u8]) -> bool {
    let name = bytes.trim_ascii_end();
    !name.is_empty() && bytes.iter().all(|byte| (b' '..=b'~').contains(byte)) && name[0] != b' '
}

/// One part of a file of chunks, in the order in which it is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Part {
    /// Whole chunks as they are. A range of odd length lacks its last pad byte.
    Kept(ByteRange),
    /// The place of a text item, by its index in the file.
    Text(u32),
    /// The place of the list of text items.
    Texts,
    /// The place of the `ID3v2` tag.
    Id3,
    /// The header of the 64-bit sizes of RF64, with its body.
    Sizes(ByteRange),
    /// Sound whose chunk has no end of its own: it reaches to the end of the file.
    OpenEnd(ByteRange),
}

/// Appends a chunk as it is to `parts`, to the last one where that ends before it.
pub(super) fn keep(parts: &mut Vec<Part>, whole: ByteRange) {
    match parts.last_mut() {
        Some(Part::Kept(last)) if last.end() == whole.offset && last.len.is_multiple_of(2) => {
            last.len += whole.len;
        }
        _ => parts.push(Part::Kept(whole)),
    }
}

/// Appends a kept range, with the pad byte that it may lack.
pub(super) fn write_kept(range: ByteRange, into: &mut Assembly) {
    into.backing(range.offset, range.len);
    if !range.len.is_multiple_of(2) {
        into.bytes(&[0]);
    }
}

/// Appends a chunk with a new body.
///
/// # Errors
/// When the body is longer than 32 bits can say.
pub(super) fn write(
    order: Order,
    id: [u8; 4],
    body: Assembly,
    into: &mut Assembly,
) -> Result<(), SynthesisError> {
    let len = body.len();
    let size = u32::try_from(len).map_err(|_| SynthesisError::TooLarge {
        what: String::from_utf8_lossy(&id).into_owned(),
        len,
        max: u64::from(u32::MAX),
    })?;
    into.bytes(&id);
    into.bytes(&order.size(size));
    into.append(body);
    if !len.is_multiple_of(2) {
        into.bytes(&[0]);
    }
    Ok(())
}
