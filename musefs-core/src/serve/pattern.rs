//! How an open file is read: whether one read goes on where the last one ended.
//!
//! Event loops and workers read one file at the same time, and none waits for another to tell: where two meet, one of them
//! may be told wrongly, and nothing else comes of it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::layout::{Layout, Segment};
use crate::metrics::ReadPattern;

/// The first bytes of a file count as its header, whatever they are.
const FIRST_BLOCK_BYTES: u64 = 4096;

/// Where the last read of a handle ended.
#[derive(Debug)]
pub(super) struct ReadPosition(AtomicU64);

impl Default for ReadPosition {
    fn default() -> Self {
        // Where no read begins: the first one follows none.
        Self(AtomicU64::new(u64::MAX))
    }
}

impl ReadPosition {
    /// Notes a read of `len` bytes from `offset` of a file whose header has `header_len` bytes; how it was.
    pub(super) fn note(&self, offset: u64, len: u64, header_len: u64) -> ReadPattern {
        let end_of_last = self.0.load(Relaxed);
        self.0.store(offset.saturating_add(len), Relaxed);
        if offset == end_of_last {
            ReadPattern::Sequential
        } else if offset < header_len {
            ReadPattern::Header
        } else {
            ReadPattern::Seek
        }
    }
}

/// Bytes in front of the first that are the backing file's own, at least the first block.
pub(super) fn header_len(layout: &Layout) -> u64 {
    let is_metadata = |segment: &&Segment| match segment {
        Segment::Inline(_) | Segment::StoreBlob { .. } => true,
        Segment::Backing { .. } => false,
        Segment::Derived(derived) => derived.is_metadata(),
    };
    let front = layout.segments().iter().take_while(is_metadata);
    front.map(Segment::len).sum::<u64>().max(FIRST_BLOCK_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ReadPattern::{Header, Seek, Sequential};

    #[test]
    fn a_read_follows_the_last_one_or_is_of_the_header_or_somewhere_else() {
        let position = ReadPosition::default();
        let patterns = [
            (0, 100),
            (100, 50),
            (150, 0),
            (150, 10_000),
            (10_150, 10),
            (20_000, 10),
            (4095, 1),
            (4096, 1),
            (4096, 1),
        ]
        .map(|(offset, len)| position.note(offset, len, 4096));
        let expected = [
            Header, Sequential, Sequential, Sequential, Sequential, Seek, Header, Sequential, Seek,
        ];
        assert_eq!(patterns, expected);
    }

    #[test]
    fn the_header_ends_where_the_sound_begins() {
        let backing = |len| Segment::Backing { offset: 0, len };
        let layout = |front: usize| {
            let inline = Segment::Inline(vec![0; front].into());
            Layout::new([inline, backing(100_000), backing(10)], 100_000).unwrap()
        };
        assert_eq!(header_len(&layout(10_000)), 10_000);
        assert_eq!(header_len(&layout(10)), FIRST_BLOCK_BYTES);
    }
}
