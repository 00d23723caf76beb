//! Pages of an Ogg stream (RFC 3533, section 6), and where the bytes of its packets lie between their headers.
//!
//! The bodies of a stream's header pages, one behind the other, are a run of bytes of which packets are parts. A
//! [`PageTable`] keeps where each body lies, so that any part of that run can be found in the file without another read.
//! It knows no codec.

use std::borrow::Cow;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::formats::region::{Extent, Places, Region};
use crate::formats::{ByteRange, Failure, Fetched, Stop};

/// Most pages that headers may take.
pub(super) const HEADER_PAGES_MAX: usize = 16_384;

/// A page header without its segment table, in bytes.
pub(super) const FIXED_BYTES: usize = 27;

/// A page header with the longest segment table, in bytes.
pub(super) const HEADER_BYTES_MAX: u64 = FIXED_BYTES as u64 + 255;

/// A page with the longest header and the longest body, in bytes.
pub(super) const PAGE_BYTES_MAX: u64 = HEADER_BYTES_MAX + 255 * 255;

/// How a page header begins: capture pattern and version.
pub(super) const MARK: &[u8; 5] = b"OggS\0";

/// The page goes on with a packet of the page before.
pub(super) const CONTINUED: u8 = 1;
/// The first page of its stream.
pub(super) const BEGINS: u8 = 2;
/// The last page of its stream.
pub(super) const ENDS: u8 = 4;

/// A page, as its header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    /// Bytes from the file's start.
    pub(super) offset: u64,
    pub(super) flags: u8,
    /// All ones where no packet ends in the page.
    pub(super) granule: u64,
    pub(super) serial: u32,
    pub(super) sequence: u32,
    /// The length of each segment; a packet ends with one of less than 255 bytes.
    pub(super) lacing: &'a [u8],
}

impl<'a> Page<'a> {
    /// Reads the header at `offset`. When it has to be fetched, up to `ahead` bytes are asked for.
    ///
    /// # Errors
    /// `NeedMore`, `Broken(Malformed)` when no page starts there, `Broken(Truncated)` when the file ends within the header.
    pub(super) fn read(fetched: &'a Fetched, offset: u64, ahead: u64) -> Result<Self, Stop> {
        let rest = ByteRange {
            offset,
            len: fetched.file_len().saturating_sub(offset),
        };
        let truncated = |stop| match stop {
            Stop::Broken(_) => Stop::Broken(Failure::Truncated),
            more @ Stop::NeedMore(_) => more,
        };
        let region = Region::new(fetched, rest).map_err(truncated)?;
        let ahead = ahead.max(HEADER_BYTES_MAX);
        let fixed = region.get(0, FIXED_BYTES, ahead).map_err(truncated)?;
        let whole = FIXED_BYTES + usize::from(fixed[26]);
        if !fixed.starts_with(MARK) {
            return Err(Stop::Broken(Failure::Malformed));
        }
        let header = region.get(0, whole, ahead).map_err(truncated)?;
        Ok(Self::parse(header, offset).expect("a whole header with its mark"))
    }

    /// The page whose header `bytes` begin with; `None` where none does, or not all of it is there.
    pub(super) fn parse(bytes: &'a [u8], offset: u64) -> Option<Self> {
        if !bytes.starts_with(MARK) {
            return None;
        }
        let whole = FIXED_BYTES + usize::from(*bytes.get(26)?);
        let header = bytes.get(..whole)?;
        let number =
            |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
        Some(Self {
            offset,
            flags: header[5],
            granule: u64::from(number(6)) | u64::from(number(10)) << 32,
            serial: number(14),
            sequence: number(18),
            lacing: &header[FIXED_BYTES..],
        })
    }

    pub(super) fn header_len(&self) -> u64 {
        (FIXED_BYTES + self.lacing.len()) as u64
    }

    pub(super) fn body(&self) -> ByteRange {
        ByteRange {
            offset: self.offset + self.header_len(),
            len: self.lacing.iter().map(|&len| u64::from(len)).sum(),
        }
    }

    pub(super) fn end(&self) -> u64 {
        self.body().end()
    }
}

/// Some pages in a row of one shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    header_bytes: u32,
    body_bytes: u32,
    count: u32,
}

/// Where the header pages of a stream lie, one behind the other, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PageTable {
    start: u64,
    rows: Vec<Row>,
}

impl PageTable {
    /// A table of pages that begin at `start`.
    pub(super) fn new(start: u64) -> Self {
        Self {
            start,
            rows: Vec::new(),
        }
    }

    /// Adds the page behind the others.
    pub(super) fn push(&mut self, page: &Page<'_>) {
        let narrow = |len: u64| u32::try_from(len).expect("a part of a page");
        let row = Row {
            header_bytes: narrow(page.header_len()),
            body_bytes: narrow(page.body().len),
            count: 1,
        };
        match self.rows.last_mut() {
            Some(last)
                if (last.header_bytes, last.body_bytes) == (row.header_bytes, row.body_bytes) =>
            {
                last.count += 1;
            }
            _ => self.rows.push(row),
        }
    }

    /// The bodies, one by one; at most [`HEADER_PAGES_MAX`], whatever the store says.
    pub(super) fn bodies(&self) -> Bodies {
        let pages = self.rows.iter().flat_map(|row| {
            std::iter::repeat_n((row.header_bytes, row.body_bytes), row.count as usize)
        });
        let mut bodies = Bodies::default();
        let mut offset = self.start;
        for (header_bytes, body_bytes) in pages.take(HEADER_PAGES_MAX) {
            let body = ByteRange {
                offset: offset.saturating_add(u64::from(header_bytes)),
                len: u64::from(body_bytes),
            };
            bodies.push(body);
            offset = body.end();
        }
        bodies
    }

    /// The whole first page.
    pub(super) fn first_page(&self) -> ByteRange {
        let len = self.rows.first().map_or(0, |row| {
            u64::from(row.header_bytes) + u64::from(row.body_bytes)
        });
        ByteRange {
            offset: self.start,
            len,
        }
    }
}

/// The bodies of pages, by rising place in the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Bodies {
    ranges: Vec<ByteRange>,
    /// Where each begins in the run that they make up.
    starts: Vec<u64>,
    len: u64,
}

impl Bodies {
    /// Adds the body behind the others.
    pub(super) fn push(&mut self, body: ByteRange) {
        self.starts.push(self.len);
        self.ranges.push(body);
        self.len = self.len.saturating_add(body.len);
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.ranges.len()
    }

    /// The body of the first page.
    pub(super) fn first(&self) -> Option<ByteRange> {
        self.ranges.first().copied()
    }

    /// How many bytes they have.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Where a part of the run lies in the file.
    pub(super) fn pieces(&self, part: Range<u64>) -> impl Iterator<Item = ByteRange> {
        let first = self
            .starts
            .partition_point(|&start| start <= part.start)
            .saturating_sub(1);
        self.ranges[first..]
            .iter()
            .zip(&self.starts[first..])
            .take_while({
                let end = part.end;
                move |(_, start)| **start < end
            })
            .filter_map(move |(body, &start)| {
                let skip = part.start.saturating_sub(start);
                let take = (part.end - start).min(body.len).checked_sub(skip)?;
                (take > 0).then_some(ByteRange {
                    offset: body.offset.saturating_add(skip),
                    len: take,
                })
            })
    }

    /// Where in the run a byte of the file is: the first one behind it where it is in no body.
    pub(super) fn position(&self, offset: u64) -> u64 {
        let next = self.ranges.partition_point(|body| body.end() <= offset);
        match (self.ranges.get(next), self.starts.get(next)) {
            (Some(body), Some(&start)) => start + offset.saturating_sub(body.offset),
            _ => self.len,
        }
    }
}

/// A range that lies nowhere among the pages is taken as it is.
impl Places for Bodies {
    fn runs(&self, range: ByteRange) -> Vec<ByteRange> {
        let (Some(first), Some(last)) = (self.ranges.first(), self.ranges.last()) else {
            return vec![range];
        };
        if range.end() <= first.offset || range.offset >= last.end() {
            return vec![range];
        }
        self.pieces(self.position(range.offset)..self.position(range.end()))
            .collect()
    }
}

/// A part of the run of bodies: a packet, or what is left of one behind its first bytes.
#[derive(Clone, Copy)]
pub(super) struct Packet<'a> {
    pub(super) fetched: &'a Fetched,
    pub(super) bodies: &'a Bodies,
    /// Bytes from the run's start.
    pub(super) start: u64,
    pub(super) len: u64,
}

impl Packet<'_> {
    /// What follows the first `count` bytes.
    ///
    /// # Errors
    /// `Broken(Malformed)` when there are not as many.
    pub(super) fn behind(mut self, count: u64) -> Result<Self, Stop> {
        self.len = self
            .len
            .checked_sub(count)
            .ok_or(Stop::Broken(Failure::Malformed))?;
        self.start += count;
        Ok(self)
    }

    /// All of it, as a range of the file.
    pub(super) fn whole(&self) -> ByteRange {
        self.range(0, self.len)
    }
}

impl<'a> Extent<'a> for Packet<'a> {
    fn len(&self) -> u64 {
        self.len
    }

    fn get(&self, offset: u64, len: usize, ahead: u64) -> Result<Cow<'a, [u8]>, Stop> {
        let end = offset.saturating_add(len as u64);
        if end > self.len {
            return Err(Stop::Broken(Failure::Malformed));
        }
        let range = self.range(offset, len as u64);
        // What is asked for goes on behind the first byte that is missing, over the page headers between.
        let request = |stop| match stop {
            Stop::NeedMore(missing) => {
                let wanted = offset.saturating_add(ahead).clamp(end, self.len);
                let last = self.range(offset, wanted - offset).end();
                Stop::NeedMore(missing.start..last.max(missing.end).min(self.fetched.file_len()))
            }
            broken @ Stop::Broken(_) => broken,
        };
        let get = |piece: ByteRange| {
            let len = usize::try_from(piece.len).expect("a part of what is wanted");
            self.fetched.get(piece.offset, len).map_err(request)
        };
        let mut pieces = self.bodies.pieces(self.start + offset..self.start + end);
        let first = match pieces.next() {
            None => return Ok(Cow::Borrowed(&[])),
            Some(first) if first.len == range.len => return get(first).map(Cow::Borrowed),
            Some(first) => first,
        };
        let mut bytes = get(first)?.to_vec();
        for piece in pieces {
            bytes.extend_from_slice(get(piece)?);
        }
        Ok(Cow::Owned(bytes))
    }

    fn range(&self, offset: u64, len: u64) -> ByteRange {
        let start = self.start + offset;
        let mut place: Option<ByteRange> = None;
        let last = start + len.saturating_sub(1);
        for byte in [start, last] {
            let found = self.bodies.pieces(byte..byte + 1).next();
            if let Some(found) = found {
                let first = place.get_or_insert(ByteRange {
                    offset: found.offset,
                    len: 0,
                });
                first.len = found.offset + len.min(1) - first.offset;
            }
        }
        // Nothing behind the last byte lies there.
        place.unwrap_or_else(|| {
            let end = self.bodies.ranges.last().map_or(0, |body| body.end());
            ByteRange {
                offset: end,
                len: 0,
            }
        })
    }
}
