//! A bounded part of a file, read by offset: what a parser is allowed to look at.
//!
//! A region never reaches past the part of the file that it was made for, and turns a request for bytes that were not
//! fetched into one for a little more, so that a walk over many small parts costs few rounds. It knows no format.

use std::borrow::Cow;

use super::{ByteRange, Failure, Fetched, Stop};

/// Bytes that belong together, in one run of the file or in several, addressed as if they were in one.
pub(super) trait Extent<'a> {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// `len` bytes from `offset`. When they have to be fetched, up to `ahead` bytes are asked for.
    ///
    /// # Errors
    /// `NeedMore`, or `Broken(Malformed)` when the extent ends before them.
    fn get(&self, offset: u64, len: usize, ahead: u64) -> Result<Cow<'a, [u8]>, Stop>;

    /// The range of the file from the first to the last of `len` bytes from `offset`, with whatever lies between.
    fn range(&self, offset: u64, len: u64) -> ByteRange;
}

impl<'a> Extent<'a> for Region<'a> {
    fn len(&self) -> u64 {
        Region::len(self)
    }

    fn get(&self, offset: u64, len: usize, ahead: u64) -> Result<Cow<'a, [u8]>, Stop> {
        Region::get(self, offset, len, ahead).map(Cow::Borrowed)
    }

    fn range(&self, offset: u64, len: u64) -> ByteRange {
        Region::range(self, offset, len)
    }
}

/// Where the bytes of an extent lie: what [`Extent::range`] gave, back to runs of the file.
pub(super) trait Places {
    /// The runs of the file that hold the bytes of `range`, in order.
    fn runs(&self, range: ByteRange) -> Vec<ByteRange>;
}

/// Bytes that lie in one run each.
pub(super) struct InOneRun;

impl Places for InOneRun {
    fn runs(&self, range: ByteRange) -> Vec<ByteRange> {
        vec![range]
    }
}

/// Bytes `start..end` of a file.
#[derive(Clone, Copy)]
pub(super) struct Region<'a> {
    fetched: &'a Fetched,
    start: u64,
    end: u64,
}

impl<'a> Region<'a> {
    /// The part of the file in `range`.
    ///
    /// # Errors
    /// `Broken(Truncated)` when the file ends before the range does.
    pub(super) fn new(fetched: &'a Fetched, range: ByteRange) -> Result<Self, Stop> {
        if range.end() > fetched.file_len() {
            return Err(Stop::Broken(Failure::Truncated));
        }
        Ok(Self {
            fetched,
            start: range.offset,
            end: range.end(),
        })
    }

    /// Length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.end - self.start
    }

    /// `len` bytes from `offset`, counted from the region's start. When they have to be fetched, up to `ahead` bytes (never
    /// past the region's end) are asked for.
    ///
    /// # Errors
    /// `NeedMore`, or `Broken(Malformed)` when the region ends before them.
    pub(super) fn get(&self, offset: u64, len: usize, ahead: u64) -> Result<&'a [u8], Stop> {
        let first = self.start.saturating_add(offset);
        let end = first.saturating_add(len as u64);
        if end > self.end {
            return Err(Stop::Broken(Failure::Malformed));
        }
        match self.fetched.get(first, len) {
            Err(Stop::NeedMore(range)) => Err(Stop::NeedMore(
                range.start..first.saturating_add(ahead).min(self.end).max(end),
            )),
            other => other,
        }
    }

    /// The place in the file of `len` bytes from `offset` of the region.
    pub(super) fn range(&self, offset: u64, len: u64) -> ByteRange {
        ByteRange {
            offset: self.start + offset,
            len,
        }
    }
}

/// How far a walk that has seen `count` parts may ask ahead: nothing extra for the few parts of an ordinary file, more as
/// the parts become many, so that the rounds stay few whatever a file holds.
pub(super) fn ahead(count: usize) -> u64 {
    const PER_PART_BYTES: u64 = 64;
    const AHEAD_BYTES_MAX: u64 = 1 << 20;
    (count as u64 * PER_PART_BYTES).min(AHEAD_BYTES_MAX)
}
