//! The checksum of an Ogg page (RFC 3533, section 6): CRC-32 with the polynomial 0x04c11db7, the highest bit first, begun
//! with 0 and not inverted, over the whole page with its checksum field as zeros.
//!
//! Begun with 0 and not inverted, the sum is linear: the sum of a changed page is the old one XOR that of the difference.

use std::sync::OnceLock;

use super::{Layout, Origin, Piece, fill};

const POLYNOMIAL: u32 = 0x04c1_1db7;

/// Ranges of the backing file that lie no further apart than this are read at once: a page header fits between.
const GAP_BYTES_MAX: u64 = 512;

/// The sum of each byte.
const BYTES: [u32; 256] = {
    let mut table = [0; 256];
    let (mut index, mut byte) = (0, 0_u32);
    while index < 256 {
        table[index] = multiply(byte, POLYNOMIAL);
        index += 1;
        byte += 1;
    }
    table
};

/// x^(8 * 2^index) modulo the polynomial: what 2^index bytes of zeros multiply a sum by.
const ZEROS: [u32; 64] = {
    let mut powers = [0x100; 64];
    let mut index = 1;
    while index < 64 {
        powers[index] = multiply(powers[index - 1], powers[index - 1]);
        index += 1;
    }
    powers
};

const fn times_x(sum: u32) -> u32 {
    (sum << 1) ^ if sum >> 31 == 1 { POLYNOMIAL } else { 0 }
}

const fn multiply(left: u32, right: u32) -> u32 {
    let (mut product, mut shifted, mut bit) = (0, right, 0);
    while bit < 32 {
        if left >> bit & 1 == 1 {
            product ^= shifted;
        }
        shifted = times_x(shifted);
        bit += 1;
    }
    product
}

/// The sum of bytes whose sum so far is `sum` (0 for none), followed by `bytes`.
pub fn ogg_checksum(sum: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(sum, |sum, &byte| {
        sum << 8 ^ BYTES[usize::from((sum >> 24) as u8 ^ byte)]
    })
}

/// The sum of bytes whose sum so far is `sum`, followed by `count` zeros; in as many steps as `count` has digits.
pub(super) fn with_zeros(sum: u32, count: u64) -> u32 {
    (0..64)
        .filter(|bit| count >> bit & 1 == 1)
        .fold(sum, |sum, bit| multiply(sum, ZEROS[bit]))
}

/// The four bytes of a page's checksum, for a page that is not all in memory. It is computed when it is first read, and kept.
#[derive(Clone, Debug)]
pub struct OggChecksum {
    header: u32,
    payload: Layout,
    known: OnceLock<u32>,
}

/// What was computed already makes no difference.
impl PartialEq for OggChecksum {
    fn eq(&self, other: &Self) -> bool {
        self.header == other.header && self.payload == other.payload
    }
}

impl Eq for OggChecksum {}

impl OggChecksum {
    /// Length in bytes.
    pub(super) const LEN: u64 = 4;

    /// The checksum of a page with these bytes for a header (its checksum as zeros, its segment table included) and this
    /// payload.
    pub fn new(header: &[u8], payload: Layout) -> Self {
        Self {
            header: ogg_checksum(0, header),
            payload,
            known: OnceLock::new(),
        }
    }

    pub(super) fn backing_end(&self) -> u64 {
        self.payload.backing_end()
    }

    pub(super) fn read<O: Origin>(
        &self,
        offset: u64,
        into: &mut [u8],
        origin: &mut O,
    ) -> Result<(), O::Error> {
        let sum = if let Some(&sum) = self.known.get() {
            sum
        } else {
            let sum = self.compute(origin)?;
            *self.known.get_or_init(|| sum)
        };
        let start = usize::try_from(offset).expect("within four bytes");
        into.copy_from_slice(&sum.to_le_bytes()[start..start + into.len()]);
        Ok(())
    }

    fn compute<O: Origin>(&self, origin: &mut O) -> Result<u32, O::Error> {
        let runs = self.read_backing(origin)?;
        let mut sum = self.header;
        let mut made = Vec::new();
        let mut at = 0;
        for piece in self.payload.pieces(0..self.payload.len()) {
            let len = match piece {
                Piece::Inline(bytes) => {
                    sum = ogg_checksum(sum, bytes);
                    bytes.len() as u64
                }
                Piece::Backing { offset, len } => {
                    let run = runs.partition_point(|(start, _)| *start <= offset) - 1;
                    let (start, bytes) = &runs[run];
                    let skip = length(offset - start);
                    sum = ogg_checksum(sum, &bytes[skip..skip + length(len)]);
                    len
                }
                Piece::StoreBlob { len, .. } | Piece::Derived { len, .. } => {
                    made.resize(length(len), 0);
                    fill(&self.payload, at, &mut made, origin)?;
                    sum = ogg_checksum(sum, &made);
                    len
                }
            };
            at += len;
        }
        Ok(sum)
    }

    /// The bytes of the backing file that the page has, neighbours read at once, each with the place that it starts at.
    fn read_backing<O: Origin>(&self, origin: &mut O) -> Result<Vec<(u64, Vec<u8>)>, O::Error> {
        let mut wanted: Vec<(u64, u64)> = self
            .payload
            .pieces(0..self.payload.len())
            .filter_map(|piece| match piece {
                Piece::Backing { offset, len } => Some((offset, offset + len)),
                _ => None,
            })
            .collect();
        wanted.sort_unstable();
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for (start, end) in wanted {
            match runs.last_mut() {
                Some(run) if start <= run.1.saturating_add(GAP_BYTES_MAX) => {
                    run.1 = run.1.max(end);
                }
                _ => runs.push((start, end)),
            }
        }
        runs.into_iter()
            .map(|(start, end)| {
                let mut bytes = vec![0; length(end - start)];
                origin.backing(start, &mut bytes)?;
                Ok((start, bytes))
            })
            .collect()
    }
}

fn length(len: u64) -> usize {
    usize::try_from(len).expect("a part of one page")
}
