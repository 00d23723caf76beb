//! Ogg pages of sound (RFC 3533, section 6) whose numbers moved, because the headers in front of them take more or fewer
//! pages than in the backing file. Eight bytes of each page change: its sequence number and its checksum.
//!
//! A page is known by its own header (the capture pattern, the version, no unknown flag, the stream's serial number) and by
//! another page, or the end of the run, behind it. So no page before it needs to be looked at, whatever part of the run is
//! read, and what else the run holds stays as it is. A checksum that was wrong stays wrong by the same difference.

use super::Origin;
use super::ogg_checksum::{ogg_checksum, with_zeros};

/// Capture pattern and version.
const MARK: &[u8; 5] = b"OggS\0";

/// The offsets of a page header's fields.
const FLAGS: usize = 5;
const SERIAL: usize = 14;
const SEQUENCE: usize = 18;
const CHECKSUM: usize = 22;
const SEGMENTS: usize = 26;
const LACING: usize = 27;

/// A header with the longest segment table, in bytes.
const HEADER_BYTES_MAX: usize = LACING + 255;

/// A page whose header begins this far before a byte may change it: the last byte of its checksum.
const REACH_BYTES: usize = SEGMENTS - 1;

/// A run of pages of one stream, up to the end of the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OggPages {
    /// Where the run starts in the backing file.
    pub offset: u64,
    /// Length in bytes.
    pub len: u64,
    /// The serial number of the pages that are renumbered; others stay as they are.
    pub serial: u32,
    /// What is added to each sequence number, modulo 2^32.
    pub by: u32,
}

/// The changed bytes of one page: where in the backing file, and what.
struct Patch {
    start: u64,
    bytes: [u8; 8],
}

impl OggPages {
    pub(super) fn read<O: Origin>(
        &self,
        offset: u64,
        into: &mut [u8],
        origin: &mut O,
    ) -> Result<(), O::Error> {
        let start = self.offset + offset;
        origin.backing(start, into)?;
        let mut patches = Vec::new();
        // A header that begins before the range, seen whole up to its serial number.
        let before = REACH_BYTES.min(usize::try_from(offset).unwrap_or(REACH_BYTES));
        let behind = SEQUENCE.min(into.len());
        let mut seam = [0; REACH_BYTES + SEQUENCE];
        let seam = &mut seam[..before + behind];
        let seam_start = start - before as u64;
        if before > 0 {
            origin.backing(seam_start, &mut seam[..before])?;
            seam[before..].copy_from_slice(&into[..behind]);
            for at in find_pages(seam, self.serial).take_while(|&at| at < before) {
                patches.extend(self.patch(seam_start + at as u64, &seam[at..], origin)?);
            }
        }
        for at in find_pages(into, self.serial) {
            patches.extend(self.patch(start + at as u64, &into[at..], origin)?);
        }
        for patch in patches {
            for (place, byte) in (patch.start..).zip(patch.bytes) {
                let index = place
                    .checked_sub(start)
                    .and_then(|at| usize::try_from(at).ok());
                if let Some(changed) = index.and_then(|index| into.get_mut(index)) {
                    *changed = byte;
                }
            }
        }
        Ok(())
    }

    /// What changes in the page at `page`, of which the first bytes are in `seen`; `None` where it is no page after all:
    /// where the run ends within its header, or something else than a page is behind it.
    fn patch<O: Origin>(
        &self,
        page: u64,
        seen: &[u8],
        origin: &mut O,
    ) -> Result<Option<Patch>, O::Error> {
        let left = self.offset + self.len - page;
        let mut fetched = [0; HEADER_BYTES_MAX];
        let header = if let Some(header) = whole_header(seen) {
            header
        } else {
            let len =
                usize::try_from(left).map_or(HEADER_BYTES_MAX, |left| left.min(HEADER_BYTES_MAX));
            origin.backing(page, &mut fetched[..len])?;
            let Some(header) = whole_header(&fetched[..len]) else {
                return Ok(None);
            };
            header
        };
        let body: u64 = header[LACING..].iter().map(|&len| u64::from(len)).sum();
        let page_len = header.len() as u64 + body;
        if page_len < left {
            let next = usize::try_from(page_len)
                .ok()
                .and_then(|len| seen.get(len..len + MARK.len()));
            let mut mark = *MARK;
            match next {
                Some(next) => mark.copy_from_slice(next),
                None if page_len + (MARK.len() as u64) <= left => {
                    origin.backing(page + page_len, &mut mark)?;
                }
                None => return Ok(None),
            }
            if mark != *MARK {
                return Ok(None);
            }
        }
        let field =
            |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
        let old = field(SEQUENCE);
        let new = old.wrapping_add(self.by);
        let difference = ogg_checksum(0, &(old ^ new).to_le_bytes());
        let sum = field(CHECKSUM) ^ with_zeros(difference, page_len - CHECKSUM as u64);
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&new.to_le_bytes());
        bytes[4..].copy_from_slice(&sum.to_le_bytes());
        Ok(Some(Patch {
            start: page + SEQUENCE as u64,
            bytes,
        }))
    }
}

/// A page header with its segment table, from its first bytes on; `None` where it is not all there.
fn whole_header(bytes: &[u8]) -> Option<&[u8]> {
    let segments = usize::from(*bytes.get(SEGMENTS)?);
    bytes.get(..LACING + segments)
}

/// Where page headers of a stream begin, as far as they are there up to their serial number.
fn find_pages(bytes: &[u8], serial: u32) -> impl Iterator<Item = usize> {
    let mut from = 0;
    std::iter::from_fn(move || {
        while let Some(window) = bytes.get(from..from + SEQUENCE) {
            let at = from;
            // How far behind here the pattern may begin next, by the byte where its fourth letter would be.
            from += match window[3] {
                b'g' => 1,
                b'O' => 3,
                _ => 4,
            };
            if window.starts_with(MARK)
                && window[FLAGS] < 8
                && window[SERIAL..] == serial.to_le_bytes()
            {
                return Some(at);
            }
        }
        None
    })
}
