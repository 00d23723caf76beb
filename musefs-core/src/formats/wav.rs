//! WAVE files: RIFF, and RF64 or BW64 with 64-bit sizes (Microsoft "Multimedia Programming Interface and Data Specifications
//! 1.0", chapter 2; EBU Tech 3306; ITU-R BS.2088).
//!
//! Served as the chunks of the file in their order, with the `INFO` list and the `id3 ` chunk written anew where they stood.
//! Where the sound has no stated end, or none within the file, it stays last, and everything else goes in front of it. Where
//! more than a few bytes behind the last chunk are none, they may be sound, and new tags go in front of the sound, too.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::assembly::Assembly;
use super::chunk_tags::{ChunkTags, Written};
use super::chunks::{self, HEADER_BYTES, Order, Part};
use super::id3v2::{self, Id3v2};
use super::originals::Found;
use super::sniff::Sniffed;
use super::text::TextBudget;
use super::trailer::{self, Trailers};
use super::{
    ByteRange, Description, Desired, Failure, Fetched, Format, Loss, Probe, Stop, Structure,
    SynthesisError,
};
use crate::layout::Layout;

mod info;
mod walk;

use walk::{UNKNOWN, Walk};

/// What is said of the format.
pub(super) const DESCRIPTION: Description = Description {
    name: "wav",
    title: "WAV (RIFF, RF64, BW64)",
    extensions: &["wav", "wave", "bwf"],
    read: &[
        "id3 chunks",
        "LIST/INFO chunks",
        "ID3v2 in front",
        "APEv2, Lyrics3 and ID3v1 behind the last chunk",
    ],
    kept: &[
        "pictures and frames of ID3v2 that are no text",
        "texts of the INFO list that nobody changed, byte for byte",
        "what is no text in an INFO list, behind its texts",
        "every other chunk (bext, cue, smpl, iXML, fact …), byte for byte",
        "what is behind the last chunk and no tag",
    ],
    written: &["the INFO list", "one id3 chunk with ID3v2.4"],
    audio: "the data chunk, byte for byte; where its size is a lie nothing new goes behind it",
    left_alone: &["files whose chunks do not lead to the sound"],
    losses: &[
        Loss {
            what: "what ID3v2.4 cannot hold of an id3 chunk, as for MP3",
            why: "the chunk is written anew as ID3v2.4",
            sample: "positional_frames.wav",
        },
        Loss {
            what: "values that two kinds of tags have differently: the id3 chunk has its say before the INFO list",
            why: "a field has one list of values",
            sample: "tags_behind_data.wav",
        },
    ],
};

const ORDER: Order = Order::LittleEndian;

/// How a WAVE file is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WavStructure {
    /// The file's first 12 bytes.
    head: ByteRange,
    has_wide_sizes: bool,
    /// How many bytes the size of the whole file counts beside the chunks: what the sound lacks of what its chunk states, and
    /// what is behind the last chunk, as far as the file's own size counts it. `None` where the size of the whole file is not stated, and
    /// is to stay so.
    missing: Option<u64>,
    parts: Vec<Part>,
    /// Before which part new tags go.
    new_tags_at: u32,
    /// What is behind the last chunk, without tags of other formats.
    tail: ByteRange,
    /// The rest of each `INFO` list that holds no text, the longest first: that one ends the reading of a list, so that
    /// what follows it is not taken for texts.
    list_tails: Vec<ByteRange>,
    tags: ChunkTags,
}

/// Takes a WAVE file apart. Of its tags, the first `id3 ` chunk counts, then later ones, `ID3v2` in front of the file, the
/// `INFO` lists, and what is behind the last chunk.
///
/// # Errors
/// `NeedMore`, or `Broken` when the chunks do not lead to the sound, or are over a limit.
pub(super) fn probe(fetched: &Fetched, sniffed: &Sniffed) -> Result<Probe, Stop> {
    let start = sniffed.start;
    let header = fetched.get(start, 12)?;
    let has_wide_sizes = !header.starts_with(b"RIFF");
    let first = start + 12;
    let wide = if has_wide_sizes {
        walk::wide_sizes(fetched, first)?
    } else {
        None
    };
    let stated = match &wide {
        Some(sizes) => sizes.riff,
        None => ORDER.number(&header[4..8]),
    };
    let is_stated = stated != 0 && stated != UNKNOWN && stated != u64::MAX;
    let stated_end = stated.checked_add(start + HEADER_BYTES);
    let stated_end = stated_end.filter(|_| is_stated);
    let mut limit = fetched.file_len();
    let mut trailers = None;
    if let Some(end) = stated_end.filter(|&end| end < limit) {
        let found = trailer::find(fetched, end)?;
        limit = found.audio_end;
        trailers = Some(found);
    }
    let mut walk = Walk::over(fetched, first, limit, wide)?;
    let data_len = walk.data_len.ok_or(if walk.end < limit {
        Stop::Broken(Failure::Malformed)
    } else {
        Stop::Broken(Failure::Truncated)
    })?;
    let properties = walk.properties(fetched, data_len)?;
    let mut probe = Probe {
        properties,
        warnings: std::mem::take(&mut walk.warnings),
        ..Probe::as_is(Format::Wav)
    };
    let (tags, list_tails) = walk.tags(fetched, sniffed, trailers.as_ref(), &mut probe)?;
    let counted_end = stated_end.map_or(walk.end, |end| end.min(limit));
    let counted_tail = counted_end.saturating_sub(walk.end);
    let is_sized = is_stated || !(walk.is_open || walk.has_remnant);
    let new_tags_at = walk.new_tags_at.unwrap_or(walk.parts.len());
    probe.structure = Structure::Wav(WavStructure {
        head: ByteRange {
            offset: start,
            len: 12,
        },
        has_wide_sizes,
        missing: is_sized.then_some(walk.missing.saturating_add(counted_tail)),
        new_tags_at: u32::try_from(new_tags_at).expect("bounded by the chunks"),
        tail: ByteRange {
            offset: walk.end,
            len: limit - walk.end,
        },
        parts: walk.parts,
        list_tails,
        tags,
    });
    Ok(probe)
}

impl Walk {
    fn tags(
        &self,
        fetched: &Fetched,
        sniffed: &Sniffed,
        trailers: Option<&Trailers>,
        probe: &mut Probe,
    ) -> Result<(ChunkTags, Vec<ByteRange>), Stop> {
        let appended = trailers.and_then(|trailers| trailers.id3v2);
        let places = self.id3.iter().chain(&sniffed.id3v2).chain(&appended);
        let id3 = Id3v2::first_of(fetched, places)?;
        let mut budget = TextBudget::new();
        let mut found: Vec<Found> = Vec::new();
        let mut tails = Vec::new();
        for list in &self.lists {
            let warnings = &mut probe.warnings;
            tails.extend(info::read(
                fetched,
                *list,
                &mut budget,
                &mut found,
                warnings,
            )?);
        }
        tails.sort_by_key(|tail| Reverse(tail.len));
        let key_of = info::keys(&found);
        let (tags, mut all) = ChunkTags::join(id3, found, key_of);
        if let Some(trailers) = trailers {
            all.add(id3v2::read_all(fetched, &[], trailers)?);
        }
        probe.tags = all.tags;
        probe.art = all.art;
        probe.items = all.items;
        probe.warnings.extend(all.warnings);
        Ok((tags, tails))
    }
}

/// Lays out the served file.
///
/// # Errors
/// When a text or the `ID3v2` tag is too large, or a range is outside the backing file.
pub(super) fn synthesize(
    structure: &WavStructure,
    desired: &Desired<'_>,
) -> Result<Layout, SynthesisError> {
    let is_text_only = |key: &str| info::own_id(key).is_some();
    let Written { texts, mut id3 } = structure.tags.write(desired, is_text_only)?;
    let has_list = structure.parts.contains(&Part::Texts);
    let with_new = has_list || !structure.tags.has_id3();
    let mut list = info::write(&texts, with_new, &structure.list_tails)?;
    let new_tags_at = structure.new_tags_at as usize;
    let (mut body, mut after_size) = (Assembly::default(), Assembly::default());
    let mut has_wide_sizes = false;
    let put_list = |list: &mut Option<Assembly>, into: &mut Assembly| match list.take() {
        Some(list) => chunks::write(ORDER, *b"LIST", list, into),
        None => Ok(()),
    };
    let put_id3 = |id3: &mut Option<Assembly>, into: &mut Assembly| match id3.take() {
        Some(id3) => chunks::write(ORDER, *b"id3 ", id3, into),
        None => Ok(()),
    };
    for index in 0..=structure.parts.len() {
        let into = if has_wide_sizes {
            &mut after_size
        } else {
            &mut body
        };
        if index == new_tags_at {
            if !has_list {
                put_list(&mut list, into)?;
            }
            if !structure.parts.contains(&Part::Id3) {
                put_id3(&mut id3, into)?;
            }
        }
        match structure.parts.get(index) {
            Some(Part::OpenEnd(range)) => into.backing(range.offset, range.len),
            Some(Part::Texts) => put_list(&mut list, into)?,
            Some(Part::Id3) => put_id3(&mut id3, into)?,
            Some(Part::Sizes(range)) if structure.missing.is_some() && !has_wide_sizes => {
                let rest = range.offset.saturating_add(HEADER_BYTES + 8);
                into.backing(range.offset, HEADER_BYTES);
                has_wide_sizes = true;
                after_size.backing(rest, range.end().saturating_sub(rest));
                if !range.len.is_multiple_of(2) {
                    after_size.bytes(&[0]);
                }
            }
            Some(Part::Kept(range) | Part::Sizes(range)) => chunks::write_kept(*range, into),
            Some(Part::Text(_)) | None => {}
        }
    }
    let size_bytes = if has_wide_sizes { 8 } else { 0 };
    // The four bytes `WAVE` count, too.
    let len = [4, body.len(), size_bytes, after_size.len()]
        .into_iter()
        .chain(structure.missing)
        .fold(0, u64::saturating_add);
    let head = structure.head.offset;
    let mut served = Assembly::default();
    if structure.has_wide_sizes || structure.missing.is_none() {
        served.backing(head, 12);
    } else {
        served.backing(head, 4);
        served.bytes(&ORDER.size_of_all(len));
        served.backing(head.saturating_add(8), 4);
    }
    served.append(body);
    if has_wide_sizes {
        served.bytes(&len.to_le_bytes());
        served.append(after_size);
    }
    served.backing(structure.tail.offset, structure.tail.len);
    served.finish(desired.backing_len)
}
