//! MP4 files with sound (ISO/IEC 14496-12; ISO/IEC 14496-14; Apple, "`QuickTime` File Format"): atoms, of which `moov` says
//! what is where and `mdat` holds the sound.
//!
//! A served file has its `moov` in front, with tags written anew, and everything else behind it in the file's order, byte for
//! byte. What moves thereby is said once, and every chunk offset of every track follows. Files whose places in themselves
//! are told in other ways (fragments, items with locations) are left alone, as are encrypted ones.

use serde::{Deserialize, Serialize};

use super::assembly::Assembly;
use super::region::{Region, ahead};
use super::sniff::Sniffed;
use super::{ByteRange, Desired, Failure, Fetched, Format, Probe, Stop, Structure, SynthesisError};
use crate::layout::Layout;
use crate::layout::derived::Move;

mod atom;
mod items;
mod movie;
mod quicktime;
mod value;
mod write;

use items::ItemList;
use movie::Movie;

/// Most atoms side by side in a file.
const FILE_ATOMS_MAX: usize = 2048;

/// How an MP4 file is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mp4Structure {
    /// The `ftyp` atom; empty where there is none.
    file_type: ByteRange,
    movie: Movie,
    /// Everything but those two, in order.
    rest: Vec<ByteRange>,
    items: ItemList,
}

/// The atoms of a file.
#[derive(Debug, Default)]
struct Places {
    file_type: Option<ByteRange>,
    /// The body of the `moov` atom.
    movie: Option<ByteRange>,
    rest: Vec<ByteRange>,
    is_unsupported: bool,
    is_cut: bool,
}

/// Takes an MP4 file apart.
///
/// # Errors
/// `NeedMore`, or `Broken` when there is no `moov` whose atoms can be told apart.
pub(super) fn probe(fetched: &Fetched, sniffed: &Sniffed) -> Result<Probe, Stop> {
    let mut probe = Probe::as_is(Format::Mp4);
    let file = read(fetched, sniffed.start)?;
    let Some(body) = file.movie else {
        return Err(Stop::Broken(if file.is_cut {
            Failure::Truncated
        } else {
            Failure::Malformed
        }));
    };
    let found = movie::read(fetched, body)?;
    let mut items = items::read(fetched, &found.tagged.lists)?;
    items.borrow(found.tagged.texts);
    probe.tags = items.tags;
    probe.warnings = items.warnings;
    // Whether places are counted from behind a leading tag or from the start of the file, such files do not agree.
    let is_unsupported = file.is_unsupported || sniffed.start > 0;
    match found.movie {
        Ok(movie) if !is_unsupported => {
            probe.art = items.art;
            probe.items = items.kept;
            probe.structure = Structure::Mp4(Mp4Structure {
                file_type: file.file_type.unwrap_or(ByteRange { offset: 0, len: 0 }),
                movie,
                rest: file.rest,
                items: items.list,
            });
        }
        Ok(_) => probe.failure = Some(Failure::Unsupported),
        Err(failure) => probe.failure = Some(failure),
    }
    Ok(probe)
}

/// Walks the atoms of the file itself.
fn read(fetched: &Fetched, start: u64) -> Result<Places, Stop> {
    let whole = ByteRange {
        offset: 0,
        len: fetched.file_len(),
    };
    let region = Region::new(fetched, whole)?;
    let mut file = Places::default();
    let mut offset = start;
    for index in 0.. {
        let Some(atom) = atom::read(&region, offset, ahead(index))? else {
            break;
        };
        if index == FILE_ATOMS_MAX {
            return Err(Stop::Broken(Failure::OverLimit));
        }
        offset = atom.whole.end();
        match &atom.kind {
            b"moov" if atom.is_cut => return Err(Stop::Broken(Failure::Truncated)),
            b"moov" if file.movie.is_some() => return Err(Stop::Broken(Failure::Malformed)),
            b"moov" => {
                file.movie = Some(atom.body);
                continue;
            }
            b"ftyp" if file.file_type.is_none() && !atom.is_cut => {
                file.file_type = Some(atom.whole);
                continue;
            }
            b"moof" | b"sidx" | b"mfra" => {
                file.is_unsupported = true;
                // The rest is more of the same, and of no use without being rewritten.
                if file.movie.is_some() {
                    break;
                }
            }
            b"meta" => file.is_unsupported |= movie::tells_places(fetched, &atom)?,
            _ => {}
        }
        file.is_cut |= atom.is_cut;
        atom::push(&mut file.rest, atom.whole);
    }
    // What is no atom is kept where it is: behind everything else.
    let tail = ByteRange {
        offset,
        len: fetched.file_len() - offset,
    };
    atom::push(&mut file.rest, tail);
    Ok(file)
}

/// Lays out the served file.
///
/// # Errors
/// When an atom is larger than 32 bits can say, a kept item names no atom, or a range is outside the backing file.
pub(super) fn synthesize(
    structure: &Mp4Structure,
    desired: &Desired<'_>,
) -> Result<Layout, SynthesisError> {
    let list = structure
        .items
        .write(desired.tags, desired.art, desired.items)?;
    let movie = |moves: &[Move], all_wide| structure.movie.write(list.as_ref(), moves, all_wide);
    let rest_start = |movie: &Assembly| structure.file_type.len.saturating_add(movie.len());
    let rest_len = structure
        .rest
        .iter()
        .fold(0_u64, |len, range| len.saturating_add(range.len));
    let mut unmoved = movie(&[], false)?;
    let all_wide = rest_start(&unmoved).saturating_add(rest_len) > u64::from(u32::MAX);
    if all_wide {
        unmoved = movie(&[], true)?;
    }
    let moves = moves(rest_start(&unmoved), &structure.rest);
    let mut served = Assembly::default();
    served.backing(structure.file_type.offset, structure.file_type.len);
    served.append(movie(&moves, all_wide)?);
    for range in &structure.rest {
        served.backing(range.offset, range.len);
    }
    served.finish(desired.backing_len)
}

/// How far each of these ranges is moved when they follow each other from `start` of the served file on.
fn moves(start: u64, ranges: &[ByteRange]) -> Vec<Move> {
    let mut moves: Vec<Move> = Vec::new();
    let mut served = start;
    for range in ranges {
        let by = served.wrapping_sub(range.offset).cast_signed();
        served = served.saturating_add(range.len);
        if moves.last().is_none_or(|last| last.by != by) {
            moves.push(Move {
                start: range.offset,
                by,
            });
        }
    }
    moves
}
