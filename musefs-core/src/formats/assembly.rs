//! Collects the bytes and ranges of new metadata in the order in which they are served.

use std::sync::Arc;

use super::region::Places;
use super::{Source, SynthesisError};
use crate::layout::derived::Derived;
use crate::layout::{BlobKind, Layout, Segment};

/// Segments in the making. Neighbouring bytes become one segment.
#[derive(Clone, Debug, Default)]
pub(super) struct Assembly {
    done: Vec<Segment>,
    bytes: Vec<u8>,
    done_len: u64,
}

impl Assembly {
    /// Appends bytes made in memory.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends a range of the backing file.
    pub(super) fn backing(&mut self, offset: u64, len: u64) {
        self.segment(Segment::Backing { offset, len });
    }

    /// Appends the bytes of a picture or of a kept item, whichever `kind` says.
    pub(super) fn source(&mut self, source: Source, kind: BlobKind) {
        self.segment(match source {
            Source::Backing(range) => Segment::Backing {
                offset: range.offset,
                len: range.len,
            },
            Source::Blob { blob, len } => Segment::StoreBlob {
                blob,
                kind,
                offset: 0,
                len,
            },
        });
    }

    /// Appends bytes that are made when they are read.
    pub(super) fn derived(&mut self, derived: Derived) {
        self.segment(Segment::Derived(Arc::new(derived)));
    }

    /// Appends the bytes of a picture or of a kept item that may be in several runs of the file.
    pub(super) fn stored(&mut self, source: Source, kind: BlobKind, places: &impl Places) {
        match source {
            Source::Backing(range) => {
                for run in places.runs(range) {
                    self.backing(run.offset, run.len);
                }
            }
            blob @ Source::Blob { .. } => self.source(blob, kind),
        }
    }

    /// Appends everything that another assembly holds.
    pub(super) fn append(&mut self, other: Self) {
        let tail = other.bytes;
        for segment in other.done {
            match segment {
                Segment::Inline(bytes) => self.bytes(&bytes),
                segment => self.segment(segment),
            }
        }
        self.bytes(&tail);
    }

    /// Length so far in bytes.
    pub(super) fn len(&self) -> u64 {
        self.done_len.saturating_add(self.bytes.len() as u64)
    }

    /// The layout of all that was appended, over a backing file of `backing_len` bytes.
    pub(super) fn finish(self, backing_len: u64) -> Result<Layout, SynthesisError> {
        Ok(Layout::new(self.into_segments(), backing_len)?)
    }

    /// All that was appended.
    pub(super) fn into_segments(mut self) -> Vec<Segment> {
        self.flush();
        self.done
    }

    /// Appends a segment.
    pub(super) fn segment(&mut self, segment: Segment) {
        self.flush();
        self.done_len = self.done_len.saturating_add(segment.len());
        self.done.push(segment);
    }

    fn flush(&mut self) {
        if !self.bytes.is_empty() {
            self.done_len = self.done_len.saturating_add(self.bytes.len() as u64);
            self.done
                .push(Segment::Inline(std::mem::take(&mut self.bytes).into()));
        }
    }
}
