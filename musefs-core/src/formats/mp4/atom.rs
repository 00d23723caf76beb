//! Atoms: a size, a name of four bytes, a body (ISO/IEC 14496-12, section 4.2, which calls them boxes).
//!
//! One level at a time is walked, and only headers are read. Which atoms hold others is not known here.

use super::super::region::{Region, ahead};
use super::super::{ByteRange, Failure, Stop};

/// Most atoms side by side within one other, of those that say how the file is built. Every round of a probe walks them again.
const ATOMS_MAX: usize = 256;

/// Most atoms side by side in a list of items, or in one item.
pub(super) const ITEMS_MAX: usize = 4096;

/// Length in bytes of a header with a size of 32 bits.
const HEADER_BYTES: u64 = 8;

/// Length in bytes of a header whose size of 32 bits is 1, and whose real size of 64 bits follows the name.
const LARGE_HEADER_BYTES: u64 = 16;

/// The name of an atom.
pub(super) type Kind = [u8; 4];

/// An atom, by its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Atom {
    pub(super) kind: Kind,
    pub(super) whole: ByteRange,
    pub(super) body: ByteRange,
    /// Whether it claims to end behind the end of what it is in; the ranges are cut there.
    pub(super) is_cut: bool,
    /// Whether its size of 0 says that it ends with what it is in.
    pub(super) is_open: bool,
}

/// The atom at `offset` of the region; `None` where there is no header, or one of a size that contradicts itself.
///
/// # Errors
/// `NeedMore`.
pub(super) fn read(region: &Region<'_>, offset: u64, ahead: u64) -> Result<Option<Atom>, Stop> {
    let left = region.len().saturating_sub(offset);
    if left < HEADER_BYTES {
        return Ok(None);
    }
    let header = region.get(offset, 8, ahead)?;
    let kind = [header[4], header[5], header[6], header[7]];
    let size = u32::from_be_bytes([header[0], header[1], header[2], header[3]]);
    let (header_len, len) = match size {
        0 => (HEADER_BYTES, left),
        1 if left < LARGE_HEADER_BYTES => return Ok(None),
        1 => {
            let large = region.get(offset + 8, 8, ahead)?;
            let len = u64::from_be_bytes(large.try_into().expect("eight bytes"));
            (LARGE_HEADER_BYTES, len)
        }
        size => (HEADER_BYTES, u64::from(size)),
    };
    if len < header_len {
        return Ok(None);
    }
    let cut = len.min(left);
    Ok(Some(Atom {
        kind,
        whole: region.range(offset, cut),
        body: region.range(offset + header_len, cut - header_len),
        is_cut: len > left,
        is_open: size == 0,
    }))
}

/// What an atom holds.
#[derive(Debug)]
pub(super) struct Level {
    /// The atoms, in order.
    pub(super) atoms: Vec<Atom>,
    /// What follows the last atom and is none: the zeros that end a `QuickTime` list.
    pub(super) tail: ByteRange,
}

impl Level {
    /// The atoms of that name.
    pub(super) fn named<'a>(&'a self, kind: &'a Kind) -> impl Iterator<Item = &'a Atom> {
        self.atoms.iter().filter(move |atom| atom.kind == *kind)
    }

    /// The place of the only atom of that name; `None` where there is none.
    ///
    /// # Errors
    /// `Broken(Malformed)` when there are several.
    pub(super) fn only(&self, kind: Kind) -> Result<Option<usize>, Stop> {
        let mut places = (0..self.atoms.len()).filter(|&place| self.atoms[place].kind == kind);
        match (places.next(), places.next()) {
            (_, Some(_)) => Err(Stop::Broken(Failure::Malformed)),
            (place, None) => Ok(place),
        }
    }
}

/// The atoms in a region, from `offset` of it on.
///
/// # Errors
/// `NeedMore`, or `Broken`: `Malformed` when an atom is longer than what holds it, `OverLimit` when there are too many.
pub(super) fn level(region: &Region<'_>, offset: u64) -> Result<Level, Stop> {
    level_of(region, offset, ATOMS_MAX)
}

/// The same, of at most `count_max` atoms.
///
/// # Errors
/// As [`level`].
pub(super) fn level_of(region: &Region<'_>, offset: u64, count_max: usize) -> Result<Level, Stop> {
    let mut atoms = Vec::new();
    let mut next = offset.min(region.len());
    while let Some(atom) = read(region, next, ahead(atoms.len()))? {
        if atom.is_open {
            break;
        }
        if atom.is_cut {
            return Err(Stop::Broken(Failure::Malformed));
        }
        if atoms.len() == count_max {
            return Err(Stop::Broken(Failure::OverLimit));
        }
        next += atom.whole.len;
        atoms.push(atom);
    }
    Ok(Level {
        atoms,
        tail: region.range(next, region.len() - next),
    })
}

/// Adds a range behind others, as one with the last where it continues it.
pub(super) fn push(ranges: &mut Vec<ByteRange>, range: ByteRange) {
    match ranges.last_mut() {
        _ if range.len == 0 => {}
        Some(last) if last.end() == range.offset => last.len += range.len,
        _ => ranges.push(range),
    }
}
