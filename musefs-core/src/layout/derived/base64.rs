//! Base64 (RFC 4648, section 4) in both directions: four characters for each three bytes, `=` where the last three are not
//! full. Any part is made from the three bytes, or four characters, that it belongs to.

use super::{Layout, Origin, fill};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

const PADDING: u8 = b'=';

/// How many groups of three bytes are made in one go; bounds the memory of a read.
const GROUPS_PER_READ: u64 = 16 << 10;

/// The text of bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base64Text {
    /// The bytes.
    pub of: Layout,
}

impl Base64Text {
    pub(super) fn len(&self) -> u64 {
        self.of.len().div_ceil(3).saturating_mul(4)
    }

    pub(super) fn read<O: Origin>(
        &self,
        offset: u64,
        into: &mut [u8],
        origin: &mut O,
    ) -> Result<(), O::Error> {
        let last = (offset + into.len() as u64).div_ceil(4);
        let mut rest = into;
        let mut first = offset / 4;
        let mut skip = index(offset % 4);
        let mut bytes = Vec::new();
        let mut text = Vec::new();
        while first < last {
            let groups = (last - first).min(GROUPS_PER_READ);
            let start = first * 3;
            bytes.resize(index((groups * 3).min(self.of.len() - start)), 0);
            fill(&self.of, start, &mut bytes, origin)?;
            text.clear();
            encode(&bytes, &mut text);
            let take = rest.len().min(text.len() - skip);
            let (part, behind) = rest.split_at_mut(take);
            part.copy_from_slice(&text[skip..skip + take]);
            rest = behind;
            skip = 0;
            first += groups;
        }
        Ok(())
    }
}

/// Bytes whose text is stored. A character that is none of the alphabet counts as `A`, which is zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base64Bytes {
    /// The text.
    pub of: Layout,
    /// How many of its bytes are left out at the start.
    pub skip: u64,
    /// How many are wanted from there.
    pub len: u64,
}

impl Base64Bytes {
    pub(super) fn read<O: Origin>(
        &self,
        offset: u64,
        into: &mut [u8],
        origin: &mut O,
    ) -> Result<(), O::Error> {
        let start = self.skip + offset;
        let last = (start + into.len() as u64).div_ceil(3);
        let mut rest = into;
        let mut first = start / 3;
        let mut skip = index(start % 3);
        let mut text = Vec::new();
        while first < last {
            let groups = (last - first).min(GROUPS_PER_READ);
            // The text may end without its padding.
            text.clear();
            text.resize(index(groups * 4), PADDING);
            let there = self.of.len().saturating_sub(first * 4).min(groups * 4);
            fill(&self.of, first * 4, &mut text[..index(there)], origin)?;
            let bytes: Vec<u8> = text
                .chunks_exact(4)
                .flat_map(|four| {
                    let bits = four.iter().fold(0, |bits, &character| {
                        bits << 6 | value(character).unwrap_or(0)
                    });
                    let [_, bytes @ ..] = bits.to_be_bytes();
                    bytes
                })
                .collect();
            let take = rest.len().min(bytes.len() - skip);
            let (part, behind) = rest.split_at_mut(take);
            part.copy_from_slice(&bytes[skip..skip + take]);
            rest = behind;
            skip = 0;
            first += groups;
        }
        Ok(())
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("within a bounded number of groups")
}

fn value(character: u8) -> Option<u32> {
    Some(u32::from(match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

fn encode(bytes: &[u8], text: &mut Vec<u8>) {
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for position in 0..4 {
            text.push(if position > group.len() {
                PADDING
            } else {
                ALPHABET[(bits >> (18 - 6 * position) & 63) as usize]
            });
        }
    }
}

/// The bytes of `text`, which starts at a group of four characters; `None` where a character is neither of the alphabet nor
/// padding at the end.
pub fn base64_decode(text: &[u8]) -> Option<Vec<u8>> {
    let padding = text
        .iter()
        .rev()
        .take_while(|&&character| character == PADDING);
    let text = &text[..text.len() - padding.count().min(2)];
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for four in text.chunks(4) {
        let mut bits = 0;
        for position in 0..4 {
            let value = match four.get(position) {
                Some(&character) => value(character)?,
                None => 0,
            };
            bits = bits << 6 | value;
        }
        bytes.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    Some(bytes)
}
