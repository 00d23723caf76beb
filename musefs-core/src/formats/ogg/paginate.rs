//! Puts header packets into pages (RFC 3533, sections 5 and 6). It knows no codec.

use std::sync::Arc;

use super::headers::HEADER_BYTES_MAX;
use super::pages::{BEGINS, CONTINUED, ENDS, FIXED_BYTES};
use crate::formats::SynthesisError;
use crate::formats::assembly::Assembly;
use crate::layout::derived::{Derived, OggChecksum, ogg_checksum};
use crate::layout::{Layout, Segment};

/// Most segments of one page.
const SEGMENTS_MAX: usize = 255;

/// Where the checksum stands in a page header.
const CHECKSUM: usize = 22;

/// What the pages of a stream have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    pub(super) serial: u32,
    /// The number of the first page that is made.
    pub(super) sequence: u32,
    /// Whether that page begins the stream.
    pub(super) begins: bool,
    /// Whether the last page that is made ends the stream.
    pub(super) ends: bool,
    /// Length of the backing file in bytes.
    pub(super) backing_len: u64,
}

/// Makes pages of `packets`: `count` of them, or, where they do not fit so many or are too few for them, as few as can be.
/// Appends them to `into`; how many there are.
///
/// # Errors
/// When the packets are over the limit of headers, or a range lies outside the backing file.
pub(super) fn paginate(
    packets: Vec<Assembly>,
    count: u32,
    stream: &Stream,
    into: &mut Assembly,
) -> Result<u32, SynthesisError> {
    let len = packets
        .iter()
        .fold(0_u64, |len, packet| len.saturating_add(packet.len()));
    if len > HEADER_BYTES_MAX {
        return Err(SynthesisError::TooLarge {
            what: "the headers".to_owned(),
            len,
            max: HEADER_BYTES_MAX,
        });
    }
    let mut lacing = Vec::new();
    let mut segments = Vec::new();
    for packet in packets {
        let len = usize::try_from(packet.len()).expect("within the limit");
        lacing.resize(lacing.len() + len / 255, 255);
        lacing.push(u8::try_from(len % 255).expect("below 255"));
        segments.extend(packet.into_segments());
    }
    let least = lacing.len().div_ceil(SEGMENTS_MAX);
    let count = Some(count as usize)
        .filter(|count| (least..=lacing.len()).contains(count))
        .unwrap_or(least);
    let mut payload = Cursor {
        segments,
        index: 0,
        skip: 0,
    };
    let mut first = 0;
    for page in 0..count {
        // As even as can be, the longer ones first.
        let taken = lacing.len() / count + usize::from(page < lacing.len() % count);
        let continued = first > 0 && lacing[first - 1] == 255;
        let lacing = &lacing[first..first + taken];
        first += taken;
        let number = u32::try_from(page).expect("bounded by the limit of headers");
        let mut flags = 0;
        for (flag, holds) in [
            (CONTINUED, continued),
            (BEGINS, stream.begins && page == 0),
            (ENDS, stream.ends && page + 1 == count),
        ] {
            if holds {
                flags |= flag;
            }
        }
        // No packet ends in a page that says so by a granule position of all ones.
        let granule = if lacing.iter().all(|&len| len == 255) {
            u64::MAX
        } else {
            0
        };
        let mut header = Vec::with_capacity(FIXED_BYTES + lacing.len());
        header.extend_from_slice(b"OggS\0");
        header.push(flags);
        header.extend(granule.to_le_bytes());
        header.extend(stream.serial.to_le_bytes());
        header.extend(stream.sequence.wrapping_add(number).to_le_bytes());
        header.extend([0; 4]);
        header.push(u8::try_from(lacing.len()).expect("at most 255"));
        header.extend_from_slice(lacing);
        let len = lacing.iter().map(|&len| u64::from(len)).sum();
        finish_page(&header, payload.take(len), stream.backing_len, into)?;
    }
    Ok(u32::try_from(count).expect("bounded by the limit of headers"))
}

/// Appends a page with its checksum: computed at once where all of the page is in memory.
fn finish_page(
    header: &[u8],
    payload: Vec<Segment>,
    backing_len: u64,
    into: &mut Assembly,
) -> Result<(), SynthesisError> {
    let in_memory =
        payload
            .iter()
            .try_fold(ogg_checksum(0, header), |sum, segment| match segment {
                Segment::Inline(bytes) => Some(ogg_checksum(sum, bytes)),
                _ => None,
            });
    into.bytes(&header[..CHECKSUM]);
    if let Some(sum) = in_memory {
        into.bytes(&sum.to_le_bytes());
    } else {
        let checksum = OggChecksum::new(header, Layout::new(payload.clone(), backing_len)?);
        into.segment(Segment::Derived(Arc::new(Derived::OggChecksum(checksum))));
    }
    into.bytes(&header[CHECKSUM + 4..]);
    for segment in payload {
        match segment {
            Segment::Inline(bytes) => into.bytes(&bytes),
            other => into.segment(other),
        }
    }
    Ok(())
}

/// Takes segments apart from the front.
struct Cursor {
    segments: Vec<Segment>,
    index: usize,
    skip: u64,
}

impl Cursor {
    /// The next `len` bytes; fewer where there are no more.
    fn take(&mut self, mut len: u64) -> Vec<Segment> {
        let mut taken = Vec::new();
        while len > 0 {
            let Some(segment) = self.segments.get(self.index) else {
                break;
            };
            let part = len.min(segment.len() - self.skip);
            taken.push(segment.part(self.skip, part));
            len -= part;
            self.skip += part;
            if self.skip == segment.len() {
                self.index += 1;
                self.skip = 0;
            }
        }
        taken
    }
}
