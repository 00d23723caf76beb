//! The `moov` atom: what in it must be written anew, and everything around that as ranges of the file.
//!
//! Two things are written anew: the item list of the tags, and the tables of each track that say where in the file its
//! sound lies. The atoms around those only change their sizes. Depth is bounded by the few nested atoms that are looked
//! into; nothing here knows what an item of the list means.

use serde::{Deserialize, Serialize};

use super::super::assembly::Assembly;
use super::super::region::Region;
use super::super::text::TextBudget;
use super::super::{ByteRange, Failure, Fetched, Stop, SynthesisError};
use super::atom::{self, Atom, Kind};
use super::quicktime::{self, Text};
use crate::layout::derived::{ChunkOffsets, Derived, Move};

/// Most tracks of one file.
const TRACKS_MAX: usize = 128;

/// Most entries of one table of chunk offsets.
const CHUNKS_MAX: u32 = 1 << 24;

/// Most sample entries of one track that are looked at for encryption.
const SAMPLE_ENTRIES_MAX: usize = 64;

/// Largest `moov` in bytes, the item list with its pictures left out.
const MOVIE_BYTES_MAX: u64 = 512 << 20;

/// A `moov` up to this size is fetched in one piece.
const WHOLE_BYTES_MAX: u64 = 4096;

/// Zeros in the `free` atom that follows the item list, in bytes.
const PADDING_BYTES: usize = 256;

/// Most `udta` atoms of one movie that are looked into for an item list.
const USER_DATA_MAX: usize = 8;

/// From a track to its table of chunk offsets.
const TRACK_PATH: [Kind; 4] = [*b"trak", *b"mdia", *b"minf", *b"stbl"];

/// Sample entries whose sound is encrypted (ISO/IEC 14496-12, section 8.12; `drms` and its like are `FairPlay`'s).
const ENCRYPTED: [&Kind; 8] = [
    b"drms", b"drmi", b"drmt", b"drmv", b"enca", b"encv", b"enct", b"encs",
];

/// The body of the `hdlr` atom that marks an item list as one of iTunes.
const ITUNES_HANDLER: &[u8; 25] = b"\0\0\0\0\0\0\0\0mdirappl\0\0\0\0\0\0\0\0\0";

/// An atom around one that is written anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Around {
    kind: Kind,
    before: Vec<ByteRange>,
    after: Vec<ByteRange>,
}

/// A table of chunk offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Table {
    /// Version and flags.
    head: [u8; 4],
    /// Where the entries start.
    offset: u64,
    count: u32,
    /// Whether the entries have 8 bytes instead of 4.
    is_wide: bool,
}

/// One piece of the `moov` atom's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Part {
    /// Served as it is.
    Kept(ByteRange),
    /// A track: the atoms around its table, from the outside.
    Track { around: Vec<Around>, table: Table },
    /// Where the item list is to be: the atoms around it (`udta`, `meta`) that the file has, from the outside.
    Tags { around: Vec<Around> },
}

/// The `moov` atom, for the synthesizer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Movie {
    parts: Vec<Part>,
}

/// Where the tags of a file are.
#[derive(Debug, Default)]
pub(super) struct Tagged {
    /// Bodies of the item lists that are read as one.
    pub(super) lists: Vec<ByteRange>,
    /// Text that stands in `udta` itself, where there is no item list.
    pub(super) texts: Vec<Text>,
}

/// What a `moov` holds.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) tagged: Tagged,
    /// Its structure, or why it is not to be written anew.
    pub(super) movie: Result<Movie, Failure>,
}

/// Takes a `moov` atom apart. Tags are found also where the rest is damaged or unsupported.
///
/// # Errors
/// `NeedMore`, or `Broken` when not even its atoms can be told apart.
pub(super) fn read(fetched: &Fetched, body: ByteRange) -> Result<Found, Stop> {
    let region = Region::new(fetched, body)?;
    if region.len() <= WHOLE_BYTES_MAX {
        region.get(0, usize::try_from(region.len()).expect("bounded"), 0)?;
    }
    let level = atom::level(&region, 0)?;
    let mut failure = None;
    let mut tagged = Tagged::default();
    let mut parts = Vec::new();
    let tags_at = tags_atom(fetched, &level.atoms)?;
    let mut tracks = 0;
    for (place, atom) in level.atoms.iter().enumerate() {
        let part = match &atom.kind {
            _ if tags_at == Some(place) => user_data(fetched, atom, &mut tagged),
            b"trak" if tracks == TRACKS_MAX => Err(Stop::Broken(Failure::OverLimit)),
            b"trak" => {
                tracks += 1;
                track(fetched, atom)
            }
            b"mvex" | b"cmov" => Err(Stop::Broken(Failure::Unsupported)),
            b"meta" => metadata(fetched, atom),
            _ => Ok(Part::Kept(atom.whole)),
        };
        match part {
            Ok(Part::Kept(range)) => keep(&mut parts, range),
            Ok(part) => parts.push(part),
            Err(Stop::Broken(reason)) => failure = failure.or(Some(reason)),
            Err(more) => return Err(more),
        }
    }
    if tags_at.is_none() {
        parts.push(Part::Tags { around: Vec::new() });
    }
    // Nobody reads on behind what is no atom.
    keep(&mut parts, level.tail);
    let lists: u64 = tagged.lists.iter().map(|list| list.len).sum();
    if body.len - lists > MOVIE_BYTES_MAX {
        failure = failure.or(Some(Failure::OverLimit));
    }
    Ok(Found {
        tagged,
        movie: failure.map_or(Ok(Movie { parts }), Err),
    })
}

fn keep(parts: &mut Vec<Part>, range: ByteRange) {
    match parts.last_mut() {
        _ if range.len == 0 => {}
        Some(Part::Kept(last)) if last.end() == range.offset => last.len += range.len,
        _ => parts.push(Part::Kept(range)),
    }
}

/// The `udta` that holds an item list, else the first.
fn tags_atom(fetched: &Fetched, atoms: &[Atom]) -> Result<Option<usize>, Stop> {
    let mut first = None;
    let mut seen = 0;
    for (place, atom) in atoms.iter().enumerate() {
        if atom.kind != *b"udta" {
            continue;
        }
        seen += 1;
        if seen > USER_DATA_MAX {
            return Err(Stop::Broken(Failure::OverLimit));
        }
        first = first.or(Some(place));
        match list_atom(fetched, &Region::new(fetched, atom.body)?) {
            Ok(Some(_)) => return Ok(Some(place)),
            Ok(None) | Err(Stop::Broken(_)) => {}
            Err(more) => return Err(more),
        }
    }
    Ok(first)
}

/// The place among the atoms of a `udta` of the `meta` that holds an item list, or could.
fn list_atom(fetched: &Fetched, user_data: &Region<'_>) -> Result<Option<usize>, Stop> {
    let level = atom::level(user_data, 0)?;
    for (place, atom) in level.atoms.iter().enumerate() {
        if atom.kind == *b"meta" && holds_items(fetched, atom)? {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// Whether a `meta` is one of iTunes: by its handler, or where it has none by the list in it.
fn holds_items(fetched: &Fetched, meta: &Atom) -> Result<bool, Stop> {
    let region = Region::new(fetched, meta.body)?;
    let level = match atom::level(&region, version_len(&region)?) {
        Err(Stop::Broken(_)) => return Ok(false),
        level => level?,
    };
    match level.named(b"hdlr").next() {
        // Version and flags, a reserved field, then the handler's name.
        Some(handler) if handler.body.len >= 12 => {
            let body = Region::new(fetched, handler.body)?;
            Ok(body.get(8, 4, 0)? == b"mdir")
        }
        _ => Ok(level.named(b"ilst").next().is_some()),
    }
}

/// How many bytes of version and flags a `meta` starts with: ISO's has 4, `QuickTime`'s none.
fn version_len(meta: &Region<'_>) -> Result<u64, Stop> {
    if meta.len() < 8 {
        return Ok(meta.len().min(4));
    }
    let head = meta.get(0, 8, 0)?;
    let is_name = head[4..].iter().all(u8::is_ascii_lowercase);
    Ok(if is_name { 0 } else { 4 })
}

/// A `udta`, opened down to its item list.
fn user_data(fetched: &Fetched, udta: &Atom, tagged: &mut Tagged) -> Result<Part, Stop> {
    let region = Region::new(fetched, udta.body)?;
    let level = atom::level(&region, 0)?;
    let Some(place) = list_atom(fetched, &region)? else {
        // The item list is to come first: some readers look into the first `meta` alone.
        let mut after = Vec::new();
        let mut budget = TextBudget::new();
        for atom in &level.atoms {
            match quicktime::text(fetched, atom, &mut budget)? {
                Some(text) => tagged.texts.push(text),
                None => atom::push(&mut after, atom.whole),
            }
        }
        atom::push(&mut after, level.tail);
        let around = vec![Around {
            kind: udta.kind,
            before: Vec::new(),
            after,
        }];
        return Ok(Part::Tags { around });
    };
    let outer = around(udta, 0, &level, place, |_| true);
    let meta = &level.atoms[place];
    let region = Region::new(fetched, meta.body)?;
    let version_len = version_len(&region)?;
    let level = atom::level(&region, version_len)?;
    tagged
        .lists
        .extend(level.named(b"ilst").map(|list| list.body));
    refuse_places(&level)?;
    let place = level
        .atoms
        .iter()
        .position(|atom| atom.kind == *b"ilst")
        .unwrap_or(level.atoms.len());
    let inner = around(meta, version_len, &level, place, |kind| {
        !matches!(kind, b"free" | b"ilst")
    });
    Ok(Part::Tags {
        around: vec![outer, inner],
    })
}

/// What stands around the atom at `place`: `skipped` bytes first, then the other atoms that are to be kept.
fn around(
    parent: &Atom,
    skipped: u64,
    level: &atom::Level,
    place: usize,
    is_kept: impl Fn(&Kind) -> bool,
) -> Around {
    let mut before = Vec::new();
    let mut after = Vec::new();
    let head = ByteRange {
        offset: parent.body.offset,
        len: skipped,
    };
    atom::push(&mut before, head);
    for (index, atom) in level.atoms.iter().enumerate() {
        if index != place && is_kept(&atom.kind) {
            let side = if index < place {
                &mut before
            } else {
                &mut after
            };
            atom::push(side, atom.whole);
        }
    }
    atom::push(&mut after, level.tail);
    Around {
        kind: parent.kind,
        before,
        after,
    }
}

/// A `meta` outside of the tags: kept, unless it tells places in the file.
fn metadata(fetched: &Fetched, meta: &Atom) -> Result<Part, Stop> {
    if tells_places(fetched, meta)? {
        return Err(Stop::Broken(Failure::Unsupported));
    }
    Ok(Part::Kept(meta.whole))
}

/// Whether a `meta` tells places in the file.
///
/// # Errors
/// `NeedMore`.
pub(super) fn tells_places(fetched: &Fetched, meta: &Atom) -> Result<bool, Stop> {
    let region = Region::new(fetched, meta.body)?;
    match version_len(&region).and_then(|version_len| atom::level(&region, version_len)) {
        Ok(level) => Ok(refuse_places(&level).is_err()),
        // Nobody finds places in what cannot be taken apart.
        Err(Stop::Broken(_)) => Ok(false),
        Err(more) => Err(more),
    }
}

/// Refuses what tells places in the file in ways that are not followed here: `iloc` (section 8.11.3 of ISO/IEC 14496-12)
/// and `saio` (8.7.9).
fn refuse_places(level: &atom::Level) -> Result<(), Stop> {
    let tells = |atom: &Atom| matches!(&atom.kind, b"iloc" | b"saio");
    if level.atoms.iter().any(tells) {
        return Err(Stop::Broken(Failure::Unsupported));
    }
    Ok(())
}

/// A track, opened down to its table of chunk offsets; one without such a table is kept as it is.
fn track(fetched: &Fetched, track: &Atom) -> Result<Part, Stop> {
    let mut opened = Vec::new();
    let mut parent = *track;
    for next in 1..=TRACK_PATH.len() {
        let level = atom::level(&Region::new(fetched, parent.body)?, 0)?;
        for meta in level.named(b"meta") {
            metadata(fetched, meta)?;
        }
        refuse_places(&level)?;
        if parent.kind == *b"minf" {
            refuse_other_files(fetched, &level)?;
        }
        if let Some(kind) = TRACK_PATH.get(next) {
            let Some(place) = level.only(*kind)? else {
                return Ok(Part::Kept(track.whole));
            };
            opened.push(around(&parent, 0, &level, place, |_| true));
            parent = level.atoms[place];
            continue;
        }
        refuse_encrypted(fetched, &level)?;
        let (narrow, wide) = (level.only(*b"stco")?, level.only(*b"co64")?);
        let place = match (narrow, wide) {
            (None, None) => return Ok(Part::Kept(track.whole)),
            (Some(_), Some(_)) => return Err(Stop::Broken(Failure::Malformed)),
            (Some(place), None) | (None, Some(place)) => place,
        };
        opened.push(around(&parent, 0, &level, place, |_| true));
        let table = table(fetched, &level.atoms[place])?;
        return Ok(Part::Track {
            around: opened,
            table,
        });
    }
    unreachable!("the path ends in a return")
}

fn table(fetched: &Fetched, atom: &Atom) -> Result<Table, Stop> {
    let region = Region::new(fetched, atom.body)?;
    let bytes = region.get(0, 8, 0)?;
    let count = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
    let is_wide = atom.kind == *b"co64";
    if count > CHUNKS_MAX {
        return Err(Stop::Broken(Failure::OverLimit));
    }
    let width = if is_wide { 8 } else { 4 };
    if u64::from(count) * width > region.len() - 8 {
        return Err(Stop::Broken(Failure::Malformed));
    }
    Ok(Table {
        head: [bytes[0], bytes[1], bytes[2], bytes[3]],
        offset: atom.body.offset + 8,
        count,
        is_wide,
    })
}

/// Refuses a track whose samples are encrypted (`stsd`, section 8.5.2 of ISO/IEC 14496-12).
fn refuse_encrypted(fetched: &Fetched, sample_table: &atom::Level) -> Result<(), Stop> {
    for descriptions in sample_table.named(b"stsd") {
        let region = Region::new(fetched, descriptions.body)?;
        // Version and flags, and a count that the walk has no need of.
        let mut offset = 8;
        for index in 0.. {
            let Some(entry) = atom::read(&region, offset, 0)? else {
                break;
            };
            if index == SAMPLE_ENTRIES_MAX {
                return Err(Stop::Broken(Failure::OverLimit));
            }
            if ENCRYPTED.contains(&&entry.kind) {
                return Err(Stop::Broken(Failure::Unsupported));
            }
            offset += entry.whole.len;
        }
    }
    Ok(())
}

/// Refuses a track whose samples are in another file (`dref`, section 8.7.2 of ISO/IEC 14496-12): its offsets count there.
fn refuse_other_files(fetched: &Fetched, media: &atom::Level) -> Result<(), Stop> {
    const IS_HERE: u8 = 1;
    for information in media.named(b"dinf") {
        let level = atom::level(&Region::new(fetched, information.body)?, 0)?;
        for references in level.named(b"dref") {
            let level = atom::level(&Region::new(fetched, references.body)?, 8)?;
            for reference in &level.atoms {
                // Without a location there is no other file, whatever the flag says.
                if reference.body.len <= 4 {
                    continue;
                }
                let flags = Region::new(fetched, reference.body)?.get(0, 4, 0)?;
                if flags[3] & IS_HERE == 0 {
                    return Err(Stop::Broken(Failure::Unsupported));
                }
            }
        }
    }
    Ok(())
}

impl Movie {
    /// The whole atom, with `list` (the body of an item list) where there is one to be. The chunk offsets follow `moves`,
    /// which do not change their length, and all have 8 bytes where `all_wide` says so.
    ///
    /// # Errors
    /// When an atom is larger than 32 bits can say.
    pub(super) fn write(
        &self,
        list: Option<&Assembly>,
        moves: &[Move],
        all_wide: bool,
    ) -> Result<Assembly, SynthesisError> {
        let mut body = Assembly::default();
        for part in &self.parts {
            match part {
                Part::Kept(range) => body.backing(range.offset, range.len),
                Part::Track { around, table } => {
                    body.append(within(around, table.write(moves, all_wide)?)?);
                }
                Part::Tags { around } => body.append(within(around, new_tags(around, list)?)?),
            }
        }
        atom(*b"moov", body)
    }
}

/// The item list, in those of its outer atoms that the file does not have.
fn new_tags(around: &[Around], list: Option<&Assembly>) -> Result<Assembly, SynthesisError> {
    let Some(list) = list else {
        return Ok(Assembly::default());
    };
    let mut padding = Assembly::default();
    padding.bytes(&[0; PADDING_BYTES]);
    let mut tags = atom(*b"ilst", list.clone())?;
    tags.append(atom(*b"free", padding)?);
    if around.len() >= 2 {
        return Ok(tags);
    }
    let mut handler = Assembly::default();
    handler.bytes(ITUNES_HANDLER);
    let mut meta = Assembly::default();
    meta.bytes(&[0; 4]);
    meta.append(atom(*b"hdlr", handler)?);
    meta.append(tags);
    let meta = atom(*b"meta", meta)?;
    if around.is_empty() {
        atom(*b"udta", meta)
    } else {
        Ok(meta)
    }
}

fn within(around: &[Around], innermost: Assembly) -> Result<Assembly, SynthesisError> {
    around.iter().rev().try_fold(innermost, |inner, outer| {
        let mut body = Assembly::default();
        for range in &outer.before {
            body.backing(range.offset, range.len);
        }
        body.append(inner);
        for range in &outer.after {
            body.backing(range.offset, range.len);
        }
        atom(outer.kind, body)
    })
}

impl Table {
    fn write(&self, moves: &[Move], all_wide: bool) -> Result<Assembly, SynthesisError> {
        let writes_wide = self.is_wide || all_wide;
        let mut body = Assembly::default();
        body.bytes(&self.head);
        body.bytes(&self.count.to_be_bytes());
        body.derived(Derived::ChunkOffsets(ChunkOffsets {
            offset: self.offset,
            count: u64::from(self.count),
            reads_wide: self.is_wide,
            writes_wide,
            moves: moves.into(),
        }));
        atom(if writes_wide { *b"co64" } else { *b"stco" }, body)
    }
}

/// An atom with a size of 32 bits.
///
/// # Errors
/// When it is larger than that.
pub(super) fn atom(kind: Kind, body: Assembly) -> Result<Assembly, SynthesisError> {
    const HEADER_BYTES: u64 = 8;
    let len = body.len().saturating_add(HEADER_BYTES);
    let size = u32::try_from(len).map_err(|_| SynthesisError::TooLarge {
        what: super::value::printable(kind),
        len,
        max: u64::from(u32::MAX),
    })?;
    let mut whole = Assembly::default();
    whole.bytes(&size.to_be_bytes());
    whole.bytes(&kind);
    whole.append(body);
    Ok(whole)
}
