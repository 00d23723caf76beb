//! A served file as a list of byte ranges, valid by construction.
//!
//! A [`Layout`] says, for every byte of a served file, where it comes from: bytes made in memory, a range of the backing
//! file, a range of a blob in the store, or bytes made from those when they are read. It knows no file and no database;
//! making one does no I/O.

use std::ops::Range;
use std::sync::Arc;

pub mod derived;

use derived::Derived;

/// Identifies a blob (replaced art, a replaced opaque value) in the store. Never reused within a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobId(pub i64);

/// What a blob of the store holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobKind {
    /// A picture.
    Art,
    /// A binary value of a tag.
    BinaryTag,
}

/// Where one run of bytes of a served file comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Bytes that were made in memory: new metadata.
    Inline(Arc<[u8]>),
    /// `len` bytes of the backing file from `offset`.
    Backing {
        /// Bytes from the backing file's start.
        offset: u64,
        /// Length in bytes.
        len: u64,
    },
    /// `len` bytes of a blob of the store from `offset`.
    StoreBlob {
        /// The blob.
        blob: BlobId,
        /// What it holds.
        kind: BlobKind,
        /// Bytes from the blob's start.
        offset: u64,
        /// Length in bytes.
        len: u64,
    },
    /// Bytes that are made when they are read.
    Derived(Arc<Derived>),
}

impl Segment {
    /// Length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Backing { len, .. } | Self::StoreBlob { len, .. } => *len,
            Self::Derived(derived) => derived.len(),
        }
    }

    /// `len` bytes of it from `offset`; both must lie within its length.
    pub fn part(&self, offset: u64, len: u64) -> Self {
        if offset == 0 && len == self.len() {
            return self.clone();
        }
        match self {
            Self::Inline(bytes) => {
                let start = usize::try_from(offset).expect("within a slice");
                let len = usize::try_from(len).expect("within a slice");
                Self::Inline(bytes[start..start + len].into())
            }
            Self::Backing { offset: start, .. } => Self::Backing {
                offset: start + offset,
                len,
            },
            Self::StoreBlob {
                blob,
                kind,
                offset: start,
                ..
            } => Self::StoreBlob {
                blob: *blob,
                kind: *kind,
                offset: start + offset,
                len,
            },
            Self::Derived(of) => Self::Derived(Arc::new(Derived::Part {
                of: Arc::clone(of),
                offset,
                len,
            })),
        }
    }

    /// The range of the backing file that it reads, as its start and its end; `None` where it reads none.
    fn backing_range(&self) -> Option<(u64, Option<u64>)> {
        match self {
            Self::Backing { offset, len } => Some((*offset, offset.checked_add(*len))),
            Self::Derived(derived) => Some((0, Some(derived.backing_end()))),
            Self::Inline(_) | Self::StoreBlob { .. } => None,
        }
    }

    /// Whether the segment holds no byte at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why a list of segments is not a layout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// The lengths add up to more than a file can have, or a range ends past the largest offset.
    #[error("the segments add up to more than 2^63 - 1 bytes")]
    TooLong,
    /// A backing range reaches past the end of the backing file.
    #[error("bytes {offset}..{end} of a backing file of {backing_len} bytes")]
    PastBackingEnd {
        /// Start of the range in the backing file.
        offset: u64,
        /// End of the range in the backing file.
        end: u64,
        /// Length of the backing file in bytes.
        backing_len: u64,
    },
}

/// The bytes of a served file, as ranges of their sources. Segments are never empty, neighbours in the backing file are
/// merged, and the total fits a file offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    segments: Box<[Segment]>,
    /// Where each segment starts in the served file, in the order of `segments`.
    starts: Box<[u64]>,
    len: u64,
}

/// One piece of a read: a part of one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// These bytes.
    Inline(&'a [u8]),
    /// `len` bytes of the backing file from `offset`.
    Backing {
        /// Bytes from the backing file's start.
        offset: u64,
        /// Length in bytes.
        len: u64,
    },
    /// `len` bytes of a blob from `offset`.
    StoreBlob {
        /// The blob.
        blob: BlobId,
        /// What it holds.
        kind: BlobKind,
        /// Bytes from the blob's start.
        offset: u64,
        /// Length in bytes.
        len: u64,
    },
    /// `len` bytes, from `offset`, of what is to be made.
    Derived {
        /// How to make them.
        derived: &'a Derived,
        /// Bytes from the start of what is made.
        offset: u64,
        /// Length in bytes.
        len: u64,
    },
}

impl Layout {
    /// Makes a layout of `segments` in front of a backing file of `backing_len` bytes.
    ///
    /// # Errors
    /// When a backing range ends past `backing_len`, or the total is no valid file length.
    pub fn new(
        segments: impl IntoIterator<Item = Segment>,
        backing_len: u64,
    ) -> Result<Self, LayoutError> {
        let mut kept: Vec<Segment> = Vec::new();
        let mut starts = Vec::new();
        let mut len: u64 = 0;
        for segment in segments {
            if segment.is_empty() {
                continue;
            }
            if let Some((offset, end)) = segment.backing_range() {
                let end = end.ok_or(LayoutError::TooLong)?;
                if end > backing_len {
                    return Err(LayoutError::PastBackingEnd {
                        offset,
                        end,
                        backing_len,
                    });
                }
            }
            let start = len;
            len = len
                .checked_add(segment.len())
                .filter(|&total| i64::try_from(total).is_ok())
                .ok_or(LayoutError::TooLong)?;
            if let (
                Some(Segment::Backing {
                    offset: before,
                    len: run,
                }),
                Segment::Backing { offset, len: more },
            ) = (kept.last_mut(), &segment)
                && *before + *run == *offset
            {
                *run += more;
                continue;
            }
            starts.push(start);
            kept.push(segment);
        }
        Ok(Self {
            segments: kept.into(),
            starts: starts.into(),
            len,
        })
    }

    /// The backing file as it is: one range of `backing_len` bytes.
    pub fn whole_file(backing_len: u64) -> Self {
        let whole = Segment::Backing {
            offset: 0,
            len: backing_len,
        };
        Self::new([whole], backing_len).expect("a file's own length is a valid layout length")
    }

    /// Length of the served file in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the served file is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The segments, in the order of the served file.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The end of the last byte of the backing file that is looked at; 0 where none is.
    pub fn backing_end(&self) -> u64 {
        let ends = self.segments.iter().filter_map(Segment::backing_range);
        ends.filter_map(|(_, end)| end).max().unwrap_or(0)
    }

    /// Bytes held in memory by this layout's inline segments.
    pub fn inline_bytes(&self) -> u64 {
        self.segments
            .iter()
            .filter(|segment| matches!(segment, Segment::Inline(_)))
            .map(Segment::len)
            .sum()
    }

    /// The part of `[offset, offset + len)` that lies within the file.
    pub fn clamp(&self, offset: u64, len: u64) -> Range<u64> {
        let start = offset.min(self.len);
        start..offset.saturating_add(len).min(self.len)
    }

    /// The pieces that make up `range`, in order; their lengths add up to the part of `range` that lies within the file.
    pub fn pieces(&self, range: Range<u64>) -> impl Iterator<Item = Piece<'_>> {
        let range = self.clamp(range.start, range.end.saturating_sub(range.start));
        // The first segment that ends after the range starts.
        let first = self
            .starts
            .partition_point(|&start| start <= range.start)
            .saturating_sub(1);
        self.segments[first..]
            .iter()
            .zip(&self.starts[first..])
            .take_while({
                let range = range.clone();
                move |(_, start)| !range.is_empty() && **start < range.end
            })
            .map(move |(segment, &start)| {
                let skip = range.start.saturating_sub(start);
                let take = (range.end - start).min(segment.len()) - skip;
                match segment {
                    Segment::Inline(bytes) => {
                        let skip = usize::try_from(skip).expect("within a slice");
                        let take = usize::try_from(take).expect("within a slice");
                        Piece::Inline(&bytes[skip..skip + take])
                    }
                    Segment::Backing { offset, .. } => Piece::Backing {
                        offset: offset + skip,
                        len: take,
                    },
                    Segment::StoreBlob {
                        blob, kind, offset, ..
                    } => Piece::StoreBlob {
                        blob: *blob,
                        kind: *kind,
                        offset: offset + skip,
                        len: take,
                    },
                    Segment::Derived(derived) => Piece::Derived {
                        derived,
                        offset: skip,
                        len: take,
                    },
                }
            })
    }
}

#[cfg(test)]
mod tests;
