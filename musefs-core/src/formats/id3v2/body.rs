//! The bytes between a tag's header and its end, with or without whole-tag unsynchronisation.

use std::borrow::Cow;

use crate::formats::region::Region;
use crate::formats::{ByteRange, Failure, Stop};

/// The body of a tag, addressed as its frames see it.
pub(super) struct Body<'a> {
    raw: Region<'a>,
    decoded: Option<Decoded>,
}

struct Decoded {
    bytes: Vec<u8>,
    /// For each byte that was stuffed into the file, the index of the decoded byte before which it stood, ascending.
    stuffed: Vec<usize>,
}

impl<'a> Body<'a> {
    /// A body whose frames are the bytes of the file.
    pub(super) fn plain(raw: Region<'a>) -> Self {
        Self { raw, decoded: None }
    }

    /// A body in which every FF is followed by a stuffed 00 (2.3 section 5), which makes reading all of it needful.
    pub(super) fn unsynchronised(raw: Region<'a>) -> Result<Self, Stop> {
        let len = usize::try_from(raw.len()).expect("bounded by the caller");
        let stored = raw.get(0, len, 0)?;
        let mut bytes = Vec::with_capacity(stored.len());
        let mut stuffed = Vec::new();
        let mut after_ff = false;
        for &byte in stored {
            if after_ff && byte == 0 {
                stuffed.push(bytes.len());
                after_ff = false;
                continue;
            }
            bytes.push(byte);
            after_ff = byte == 0xff;
        }
        Ok(Self {
            raw,
            decoded: Some(Decoded { bytes, stuffed }),
        })
    }

    /// Length in bytes, as the frames see it.
    pub(super) fn len(&self) -> u64 {
        match &self.decoded {
            None => self.raw.len(),
            Some(decoded) => decoded.bytes.len() as u64,
        }
    }

    /// `len` bytes from `offset`, as the frames see them.
    pub(super) fn get(&self, offset: u64, len: usize, ahead: u64) -> Result<&[u8], Stop> {
        match &self.decoded {
            None => self.raw.get(offset, len, ahead),
            Some(decoded) => usize::try_from(offset)
                .ok()
                .and_then(|start| decoded.bytes.get(start..start.checked_add(len)?))
                .ok_or(Stop::Broken(Failure::Malformed)),
        }
    }

    /// Where in the file `len` bytes from `offset` are stored, stuffed bytes included.
    pub(super) fn range(&self, offset: u64, len: u64) -> ByteRange {
        match &self.decoded {
            None => self.raw.range(offset, len),
            Some(decoded) => {
                let stored = |index: u64| {
                    let stuffed = decoded
                        .stuffed
                        .partition_point(|&before| before as u64 <= index);
                    index + stuffed as u64
                };
                let start = stored(offset);
                self.raw.range(start, stored(offset + len) - start)
            }
        }
    }
}

/// The bytes of one unsynchronised frame of 2.4 as they were before (2.4 structure, section 6.1).
pub(super) fn resynchronise(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !bytes.windows(2).any(|pair| pair == [0xff, 0]) {
        return Cow::Borrowed(bytes);
    }
    let mut plain = Vec::with_capacity(bytes.len());
    let mut after_ff = false;
    for &byte in bytes {
        if !(after_ff && byte == 0) {
            plain.push(byte);
        }
        after_ff = byte == 0xff;
    }
    Cow::Owned(plain)
}
