//! AIFF and AIFF-C (Apple "Audio Interchange File Format: AIFF", version 1.3, and "AIFF-C", draft of 1991).
//!
//! Served as the chunks of the file in their order, the text chunks among them, and one `ID3 ` chunk at the end. Where the
//! sound has no end within the file, it stays last.

use serde::{Deserialize, Serialize};

use super::assembly::Assembly;
use super::chunk_tags::{ChunkTags, Written};
use super::chunks::{self, Chunk, HEADER_BYTES, Order, Part};
use super::id3v2::{self, Id3v2};
use super::originals::{Found, Step};
use super::sniff::Sniffed;
use super::text::{TextBudget, utf8_or_legacy};
use super::trailer::{self, Trailers};
use super::{
    AudioProperties, ByteRange, Description, Desired, Failure, Fetched, Format, Loss, Probe, Stop,
    Structure, SynthesisError, Warning,
};
use crate::layout::Layout;

/// What is said of the format.
pub(super) const DESCRIPTION: Description = Description {
    name: "aiff",
    title: "AIFF and AIFF-C",
    extensions: &["aiff", "aif", "aifc"],
    read: &[
        "ID3 chunks",
        "NAME, AUTH, (c) and ANNO chunks",
        "ID3v2 in front",
        "APEv2, Lyrics3 and ID3v1 behind the last chunk",
    ],
    kept: &[
        "pictures and frames of ID3v2 that are no text",
        "text chunks that nobody changed, byte for byte",
        "every other chunk (MARK, INST, COMT, APPL …), byte for byte",
        "what is behind the last chunk and no tag",
    ],
    written: &["text chunks", "one ID3 chunk with ID3v2.4"],
    audio: "the COMM and SSND chunks, byte for byte",
    left_alone: &["files whose chunks do not lead to the sound"],
    losses: &[Loss {
        what: "what ID3v2.4 cannot hold of an ID3 chunk, as for MP3",
        why: "the chunk is written anew as ID3v2.4",
        sample: "positional_frames.aiff",
    }],
};

const ORDER: Order = Order::BigEndian;

/// The text chunks, and the key of each.
const TEXTS: [([u8; 4], &str); 4] = [
    (*b"NAME", "title"),
    (*b"AUTH", "artist"),
    (*b"(c) ", "copyright"),
    (*b"ANNO", "comment"),
];

/// The text chunk that a file may have many of.
const MANY: [u8; 4] = *b"ANNO";

/// How an AIFF file is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AiffStructure {
    /// The file's first 12 bytes.
    head: ByteRange,
    /// How many bytes the sound lacks of what its chunk states.
    missing: u64,
    parts: Vec<Part>,
    /// Before which part the `ID3v2` tag goes.
    id3_at: u32,
    /// What is behind the last chunk, without tags of other formats.
    tail: ByteRange,
    tags: ChunkTags,
}

/// What the walk over the chunks found.
#[derive(Debug)]
struct Walk {
    parts: Vec<Part>,
    id3_at: Option<usize>,
    missing: u64,
    texts: Vec<Found>,
    budget: TextBudget,
    id3: Vec<ByteRange>,
    common: Option<ByteRange>,
    sound_len: Option<u64>,
    end: u64,
    warnings: Vec<Warning>,
}

/// Takes an AIFF file apart. Of its tags, the first `ID3 ` chunk counts, then later ones, `ID3v2` in front of the file, the
/// text chunks, and what is behind the last chunk.
///
/// # Errors
/// `NeedMore`, or `Broken` when the chunks do not lead to the sound, or are over a limit.
pub(super) fn probe(fetched: &Fetched, sniffed: &Sniffed) -> Result<Probe, Stop> {
    let start = sniffed.start;
    let header = fetched.get(start, 12)?;
    let stated = ORDER.number(&header[4..8]);
    let mut limit = fetched.file_len();
    let mut trailers = None;
    if let Some(end) = stated
        .checked_add(start + HEADER_BYTES)
        .filter(|&end| stated != 0 && end < limit)
    {
        let found = trailer::find(fetched, end)?;
        limit = found.audio_end;
        trailers = Some(found);
    }
    let mut walk = Walk {
        parts: Vec::new(),
        id3_at: None,
        missing: 0,
        texts: Vec::new(),
        budget: TextBudget::new(),
        id3: Vec::new(),
        common: None,
        sound_len: None,
        end: start + 12,
        warnings: Vec::new(),
    };
    walk.chunks(fetched, limit)?;
    let sound_len = walk.sound_len.ok_or(if walk.end < limit {
        Stop::Broken(Failure::Malformed)
    } else {
        Stop::Broken(Failure::Truncated)
    })?;
    let mut probe = Probe {
        properties: walk.properties(fetched, sound_len)?,
        warnings: std::mem::take(&mut walk.warnings),
        ..Probe::as_is(Format::Aiff)
    };
    let texts = std::mem::take(&mut walk.texts);
    let tags = walk.tags(fetched, sniffed, texts, trailers.as_ref(), &mut probe)?;
    let id3_at = walk.id3_at.unwrap_or(walk.parts.len());
    probe.structure = Structure::Aiff(AiffStructure {
        head: ByteRange {
            offset: start,
            len: 12,
        },
        missing: walk.missing,
        id3_at: u32::try_from(id3_at).expect("bounded by the chunks"),
        tail: ByteRange {
            offset: walk.end,
            len: limit - walk.end,
        },
        parts: walk.parts,
        tags,
    });
    Ok(probe)
}

fn key_of(id: &str) -> Option<&'static str> {
    TEXTS
        .iter()
        .find(|(known, _)| known == id.as_bytes())
        .map(|(_, key)| *key)
}

impl Walk {
    fn chunks(&mut self, fetched: &Fetched, limit: u64) -> Result<(), Stop> {
        for index in 0.. {
            let Some(chunk) = chunks::read(fetched, ORDER, self.end, limit, index)? else {
                return Ok(());
            };
            let whole = chunk.whole(limit);
            if &chunk.id == b"SSND" && self.sound_len.is_none() {
                let left = limit - chunk.body().offset;
                self.sound_len = Some(chunk.stated.min(left));
                if chunk.is_cut(limit) {
                    self.missing = chunk.stated - left;
                    self.id3_at = Some(self.parts.len());
                    self.parts.push(Part::OpenEnd(ByteRange {
                        offset: chunk.offset,
                        len: limit - chunk.offset,
                    }));
                    self.end = limit;
                    return Ok(());
                }
                chunks::keep(&mut self.parts, whole);
            } else if chunk.is_cut(limit) {
                return Ok(());
            } else {
                self.chunk(fetched, chunk, whole, index)?;
            }
            self.end = whole.end();
        }
        Ok(())
    }

    fn chunk(
        &mut self,
        fetched: &Fetched,
        chunk: Chunk,
        whole: ByteRange,
        index: usize,
    ) -> Result<(), Stop> {
        let body = chunk.body();
        let native = String::from_utf8_lossy(&chunk.id).into_owned();
        if key_of(&native).is_some() {
            return self.text(fetched, native, body, whole, index);
        }
        if matches!(&chunk.id, b"ID3 " | b"id3 ") {
            let place = match id3v2::place(fetched, body.offset) {
                Err(Stop::Broken(_)) => None,
                other => other?,
            };
            if let Some(place) = place.filter(|place| place.end() <= body.end()) {
                self.id3.push(place);
                return Ok(());
            }
            self.warnings.push(Warning::BadField {
                field: native,
                reason: "the chunk holds no whole ID3v2 tag and is kept as it is".to_owned(),
            });
        } else if &chunk.id == b"COMM" && self.common.is_none() && body.len >= 18 {
            self.common = Some(body);
        }
        chunks::keep(&mut self.parts, whole);
        Ok(())
    }

    fn text(
        &mut self,
        fetched: &Fetched,
        native: String,
        body: ByteRange,
        whole: ByteRange,
        index: usize,
    ) -> Result<(), Stop> {
        let mut values = Vec::new();
        if self.budget.take(body.len) {
            let region = super::region::Region::new(fetched, body)?;
            let len = usize::try_from(body.len).expect("within the text bounds");
            let bytes = region.get(0, len, super::region::ahead(index))?;
            let bytes = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
            let decoded = utf8_or_legacy(bytes);
            if decoded.legacy {
                let field = native.clone();
                self.warnings.push(Warning::LegacyText { field });
            }
            // Nothing is said by a text of no characters.
            values.extend(Some(decoded.text).filter(|text| !text.is_empty()));
        } else {
            self.warnings.push(Warning::BadField {
                field: native.clone(),
                reason: "text over the limit is kept unread".to_owned(),
            });
        }
        let place = u32::try_from(self.texts.len()).expect("bounded by the chunks");
        self.parts.push(Part::Text(place));
        self.texts.push(Found {
            raw: whole,
            native,
            flags: 0,
            values,
            is_mended: false,
        });
        Ok(())
    }

    fn tags(
        &self,
        fetched: &Fetched,
        sniffed: &Sniffed,
        texts: Vec<Found>,
        trailers: Option<&Trailers>,
        probe: &mut Probe,
    ) -> Result<ChunkTags, Stop> {
        let appended = trailers.and_then(|trailers| trailers.id3v2);
        let places = self.id3.iter().chain(&sniffed.id3v2).chain(&appended);
        let id3 = Id3v2::first_of(fetched, places)?;
        let (tags, mut all) = ChunkTags::join(id3, texts, |native| {
            key_of(native).map_or_else(|| native.to_owned(), str::to_owned)
        });
        if let Some(trailers) = trailers {
            all.add(id3v2::read_all(fetched, &[], trailers)?);
        }
        probe.tags = all.tags;
        probe.art = all.art;
        probe.items = all.items;
        probe.warnings.extend(all.warnings);
        Ok(tags)
    }

    /// The `COMM` chunk: channels, frames, bits of a sample, and the samples per second as an 80-bit float.
    fn properties(&self, fetched: &Fetched, sound_len: u64) -> Result<AudioProperties, Stop> {
        let Some(common) = self.common else {
            return Ok(AudioProperties::default());
        };
        let bytes = fetched.get(common.offset, 18)?;
        let number = |at: usize, len: usize| {
            let number = ORDER.number(&bytes[at..at + len]);
            u32::try_from(number).ok().filter(|&number| number > 0)
        };
        let sample_rate_hz = whole_part(&bytes[8..18]);
        let duration_ms = number(2, 4)
            .zip(sample_rate_hz)
            .map(|(frames, rate)| u64::from(frames) * 1000 / u64::from(rate));
        Ok(AudioProperties {
            duration_ms,
            sample_rate_hz,
            channels: number(0, 2),
            bits_per_sample: number(6, 2),
            bitrate_bps: duration_ms
                .filter(|&ms| ms > 0)
                .and_then(|ms| u32::try_from(u128::from(sound_len) * 8000 / u128::from(ms)).ok()),
        })
    }
}

/// The whole part of an 80-bit float (IEEE 754 extended, big endian), where it is a positive number of 32 bits.
fn whole_part(bytes: &[u8]) -> Option<u32> {
    const BIAS: u64 = 16_383;
    let exponent = ORDER.number(&bytes[..2]).checked_sub(BIAS)?;
    let mantissa = ORDER.number(&bytes[2..]);
    let shift = 63_u64.checked_sub(exponent)?;
    u32::try_from(mantissa >> shift)
        .ok()
        .filter(|&rate| rate > 0)
}

/// Lays out the served file.
///
/// # Errors
/// When a text or the `ID3v2` tag is too large, or a range is outside the backing file.
pub(super) fn synthesize(
    structure: &AiffStructure,
    desired: &Desired<'_>,
) -> Result<Layout, SynthesisError> {
    let Written { texts, mut id3 } = structure.tags.write(desired, |_| false)?;
    let mut body = Assembly::default();
    for index in 0..=structure.parts.len() {
        if index == structure.id3_at as usize
            && let Some(id3) = id3.take()
        {
            chunks::write(ORDER, *b"ID3 ", id3, &mut body)?;
        }
        match structure.parts.get(index) {
            Some(Part::Kept(range) | Part::Sizes(range)) => chunks::write_kept(*range, &mut body),
            Some(Part::OpenEnd(range)) => body.backing(range.offset, range.len),
            Some(Part::Text(place)) => {
                let steps = texts.places.get(*place as usize);
                for step in steps.map_or(&[][..], Vec::as_slice) {
                    write_text(step, &mut body)?;
                }
            }
            Some(Part::Texts | Part::Id3) | None => {}
        }
    }
    // The four bytes of the type count, too.
    let len = [4, body.len(), structure.missing]
        .into_iter()
        .fold(0, u64::saturating_add);
    let mut served = Assembly::default();
    served.backing(structure.head.offset, 4);
    served.bytes(&ORDER.size_of_all(len));
    served.backing(structure.head.offset.saturating_add(8), 4);
    served.append(body);
    served.backing(structure.tail.offset, structure.tail.len);
    served.finish(desired.backing_len)
}

fn write_text(step: &Step<'_>, into: &mut Assembly) -> Result<(), SynthesisError> {
    let (original, values) = match step {
        Step::Raw(original) => {
            chunks::write_kept(original.raw, into);
            return Ok(());
        }
        Step::Anew {
            original, values, ..
        } => (original, values),
    };
    let id = original.and_then(|original| original.native.as_bytes().try_into().ok());
    let Some(id) = id else {
        return Ok(());
    };
    let joined = [values.join("; ")];
    let values = if id == MANY {
        values.as_slice()
    } else {
        &joined
    };
    for value in values {
        let mut body = Assembly::default();
        body.bytes(value.as_bytes());
        chunks::write(ORDER, id, body, into)?;
    }
    Ok(())
}
