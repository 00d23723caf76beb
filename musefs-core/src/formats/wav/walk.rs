//! The walk over the chunks of a WAVE file: which are kept, where the tags stand, and where the sound ends.
//!
//! Sizes are believed as far as the file goes. No chunk's body is read here but those of the few that describe the sound.

use crate::formats::chunks::{self, Chunk, Part};
use crate::formats::region::Region;
use crate::formats::{AudioProperties, ByteRange, Failure, Fetched, Stop, Warning, id3v2};

use super::ORDER;

/// What a 32-bit size says where the truth is in the 64-bit sizes, or nowhere.
pub(super) const UNKNOWN: u64 = u32::MAX as u64;

/// Most entries in the table of 64-bit sizes.
const SIZES_MAX: u64 = 4096;

/// The 64-bit sizes of RF64 and BW64.
#[derive(Debug, Default)]
pub(super) struct WideSizes {
    pub(super) riff: u64,
    data: u64,
    others: Vec<([u8; 4], u64)>,
}

/// What is behind the last chunk and longer than this may be sound that the `data` chunk does not count, as recorders leave
/// it whose sizes wrap at 4 GiB.
const REMNANT_BYTES_MAX: u64 = chunks::HEADER_BYTES;

/// What the walk over the chunks found.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) parts: Vec<Part>,
    pub(super) new_tags_at: Option<usize>,
    /// Which part begins with the sound.
    sound_at: Option<usize>,
    pub(super) missing: u64,
    wide: Option<WideSizes>,
    pub(super) lists: Vec<ByteRange>,
    pub(super) id3: Vec<ByteRange>,
    format: Option<ByteRange>,
    samples: Option<u32>,
    pub(super) data_len: Option<u64>,
    /// Whether the sound reaches to the end of the file for want of a size.
    pub(super) is_open: bool,
    pub(super) end: u64,
    /// Whether more than a few bytes behind the last chunk are none.
    pub(super) has_remnant: bool,
    pub(super) warnings: Vec<Warning>,
}

/// The `ds64` chunk (EBU Tech 3306, section 3), where it is the first one.
pub(super) fn wide_sizes(fetched: &Fetched, first: u64) -> Result<Option<WideSizes>, Stop> {
    let Some(chunk) = chunks::read(fetched, ORDER, first, fetched.file_len(), 0)? else {
        return Ok(None);
    };
    if &chunk.id != b"ds64" || chunk.is_cut(fetched.file_len()) || chunk.stated < 28 {
        return Ok(None);
    }
    let body = Region::new(fetched, chunk.body())?;
    let fixed = body.get(0, 28, 0)?;
    let count = ORDER.number(&fixed[24..]);
    if count > SIZES_MAX {
        return Err(Stop::Broken(Failure::OverLimit));
    }
    let len = (count * 12).min(body.len() - 28);
    let table = body.get(28, usize::try_from(len).expect("bounded"), 0)?;
    Ok(Some(WideSizes {
        riff: ORDER.number(&fixed[..8]),
        data: ORDER.number(&fixed[8..16]),
        others: table
            .chunks_exact(12)
            .map(|entry| {
                let id = entry[..4].try_into().expect("four bytes");
                (id, ORDER.number(&entry[4..]))
            })
            .collect(),
    }))
}

impl WideSizes {
    fn of(&self, id: [u8; 4]) -> u64 {
        if &id == b"data" {
            return self.data;
        }
        let other = self.others.iter().find(|(known, _)| *known == id);
        other.map_or(UNKNOWN, |(_, size)| *size)
    }
}

impl Walk {
    /// Walks over the chunks from `first` to `limit`.
    ///
    /// # Errors
    /// `NeedMore`, or `Broken` when there are too many chunks.
    pub(super) fn over(
        fetched: &Fetched,
        first: u64,
        limit: u64,
        wide: Option<WideSizes>,
    ) -> Result<Self, Stop> {
        let mut walk = Self {
            wide,
            end: first,
            ..Self::default()
        };
        walk.chunks(fetched, limit)?;
        if limit.saturating_sub(walk.end) > REMNANT_BYTES_MAX {
            // It may be sound, so that nothing new may part it from the rest.
            walk.new_tags_at = walk.sound_at;
            walk.has_remnant = true;
        }
        Ok(walk)
    }

    fn chunks(&mut self, fetched: &Fetched, limit: u64) -> Result<(), Stop> {
        for index in 0.. {
            let Some(mut chunk) = chunks::read(fetched, ORDER, self.end, limit, index)? else {
                return Ok(());
            };
            if let Some(wide) = &self.wide
                && chunk.stated == UNKNOWN
            {
                chunk.stated = wide.of(chunk.id);
            }
            let whole = chunk.whole(limit);
            if &chunk.id == b"data" && self.data_len.is_none() {
                if self.sound(fetched, chunk, limit, index)? {
                    return Ok(());
                }
            } else if chunk.is_cut(limit) {
                return Ok(());
            } else {
                self.chunk(fetched, chunk, whole)?;
            }
            self.end = whole.end();
        }
        Ok(())
    }

    /// Takes the chunk with the sound; whether it reaches to the end of the file.
    fn sound(
        &mut self,
        fetched: &Fetched,
        chunk: Chunk,
        limit: u64,
        index: usize,
    ) -> Result<bool, Stop> {
        let body = chunk.body();
        let left = limit.saturating_sub(body.offset);
        self.sound_at = Some(self.parts.len());
        let is_open = if chunk.stated == 0 {
            // No size, or no sound: what follows tells.
            let next = chunks::read(fetched, ORDER, body.offset, limit, index)?;
            left > 0 && next.is_none_or(|next| next.is_cut(limit))
        } else {
            chunk.stated > left || chunk.stated == UNKNOWN
        };
        let is_unknown = [0, UNKNOWN, u64::MAX].contains(&chunk.stated);
        if is_open {
            self.is_open = true;
            self.data_len = Some(left);
            self.new_tags_at = self.sound_at;
            self.missing = if is_unknown { 0 } else { chunk.stated - left };
            self.parts.push(Part::OpenEnd(ByteRange {
                offset: chunk.offset,
                len: limit - chunk.offset,
            }));
            self.end = limit;
            return Ok(true);
        }
        self.data_len = Some(chunk.stated);
        let whole = chunk.whole(limit);
        if chunk.stated == 0 {
            // Some readers play whatever follows, so that nothing more may.
            self.new_tags_at = self.sound_at;
        }
        // A part of its own, for new tags may have to go in front of it.
        self.parts.push(Part::Kept(whole));
        Ok(false)
    }

    fn chunk(&mut self, fetched: &Fetched, chunk: Chunk, whole: ByteRange) -> Result<(), Stop> {
        let body = chunk.body();
        match &chunk.id {
            b"LIST" if body.len >= 4 && fetched.get(body.offset, 4)? == b"INFO" => {
                if self.lists.is_empty() {
                    self.parts.push(Part::Texts);
                }
                self.lists.push(ByteRange {
                    offset: body.offset + 4,
                    len: body.len - 4,
                });
                return Ok(());
            }
            b"id3 " | b"ID3 " => {
                let place = match id3v2::place(fetched, body.offset) {
                    Err(Stop::Broken(_)) => None,
                    other => other?,
                };
                if let Some(place) = place.filter(|place| place.end() <= body.end()) {
                    if self.id3.is_empty() {
                        self.parts.push(Part::Id3);
                    }
                    self.id3.push(place);
                    return Ok(());
                }
                self.warnings.push(Warning::BadField {
                    field: "id3".to_owned(),
                    reason: "the chunk holds no whole ID3v2 tag and is kept as it is".to_owned(),
                });
            }
            b"ds64" if self.wide.is_some() && self.parts.is_empty() => {
                self.parts.push(Part::Sizes(whole));
                return Ok(());
            }
            b"fmt " if self.format.is_none() && body.len >= 16 => self.format = Some(body),
            b"fact" if self.samples.is_none() && body.len >= 4 => {
                let samples = ORDER.number(fetched.get(body.offset, 4)?);
                self.samples = u32::try_from(samples).ok();
            }
            _ => {}
        }
        chunks::keep(&mut self.parts, whole);
        Ok(())
    }

    /// The `fmt ` chunk: kind, channels, samples and bytes per second, bytes of a frame, bits of a sample.
    pub(super) fn properties(
        &self,
        fetched: &Fetched,
        data_len: u64,
    ) -> Result<AudioProperties, Stop> {
        const PLAIN_KINDS: [u64; 3] = [1, 3, 0xfffe];
        let Some(format) = self.format else {
            return Ok(AudioProperties::default());
        };
        let bytes = fetched.get(format.offset, 16)?;
        let number = |at: usize, len: usize| {
            let number = ORDER.number(&bytes[at..at + len]);
            u32::try_from(number).ok().filter(|&number| number > 0)
        };
        let is_plain = PLAIN_KINDS.contains(&ORDER.number(&bytes[..2]));
        let sample_rate_hz = number(4, 4);
        let bytes_per_second = number(8, 4).map(u64::from);
        let by_samples = self
            .samples
            .filter(|&samples| !is_plain && samples > 0)
            .zip(sample_rate_hz)
            .map(|(samples, rate)| u64::from(samples) * 1000 / u64::from(rate));
        let by_bytes = bytes_per_second.and_then(|per_second| {
            u64::try_from(u128::from(data_len) * 1000 / u128::from(per_second)).ok()
        });
        Ok(AudioProperties {
            duration_ms: by_samples.or(by_bytes),
            sample_rate_hz,
            channels: number(2, 2),
            bits_per_sample: number(14, 2).filter(|_| is_plain),
            bitrate_bps: bytes_per_second
                .and_then(|bytes| bytes.checked_mul(8))
                .and_then(|bits| u32::try_from(bits).ok()),
        })
    }
}
