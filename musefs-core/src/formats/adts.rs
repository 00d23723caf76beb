//! AAC in ADTS frames (ISO/IEC 13818-7, section 6.2): `ID3v2` in front, frames, and whatever taggers put behind them.
//!
//! Served as one `ID3v2.4` tag, where there is anything to say, and the frames as they are.

use serde::{Deserialize, Serialize};

use super::id3v2::{self, Origin, Rewrite};
use super::sniff::Sniffed;
use super::{
    AudioProperties, ByteRange, Desired, Fetched, Format, Probe, Stop, Structure, SynthesisError,
    trailer,
};
use crate::layout::Layout;

/// How much of the sound is looked at for the mean length of a frame, in bytes.
const LOOKED_AT_BYTES: u64 = 16 << 10;

/// Samples per second by their index (ISO/IEC 14496-3, table 1.18).
const SAMPLE_RATES_HZ: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000,
    7350,
];

/// Samples of a block; a frame has one to four.
const SAMPLES_PER_BLOCK: u64 = 1024;

/// How an ADTS file is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdtsStructure {
    audio: ByteRange,
    origins: Vec<Origin>,
    rewrites: Vec<Rewrite>,
}

/// Takes an ADTS file apart.
///
/// # Errors
/// `NeedMore`, or `Broken` when an `ID3v2` tag is over a limit.
pub(super) fn probe(fetched: &Fetched, sniffed: &Sniffed) -> Result<Probe, Stop> {
    let trailers = trailer::find(fetched, sniffed.start)?;
    let tag = id3v2::read_all(fetched, &sniffed.id3v2, &trailers)?;
    let audio = ByteRange {
        offset: sniffed.start,
        len: trailers.audio_end - sniffed.start,
    };
    Ok(Probe {
        structure: Structure::Adts(AdtsStructure {
            audio,
            origins: tag.origins,
            rewrites: tag.rewrites,
        }),
        tags: tag.tags,
        art: tag.art,
        items: tag.items,
        properties: properties(fetched, audio)?,
        warnings: tag.warnings,
        ..Probe::as_is(Format::Adts)
    })
}

/// The first frame's header tells rate and channels; the frames at the start stand for the length of all.
fn properties(fetched: &Fetched, audio: ByteRange) -> Result<AudioProperties, Stop> {
    const HEADER_BYTES: usize = 7;
    let len = usize::try_from(audio.len.min(LOOKED_AT_BYTES)).expect("bounded");
    let bytes = fetched.get(audio.offset, len)?;
    let (mut looked_at, mut samples) = (0, 0);
    while let Some(header) = bytes.get(looked_at..looked_at + HEADER_BYTES) {
        let frame_len = usize::from(header[3] & 0b11) << 11
            | usize::from(header[4]) << 3
            | usize::from(header[5] >> 5);
        let is_frame = header[0] == 0xff && header[1] & 0xf6 == 0xf0 && frame_len >= HEADER_BYTES;
        if !is_frame || frame_len > bytes.len() - looked_at {
            break;
        }
        looked_at += frame_len;
        samples += SAMPLES_PER_BLOCK * u64::from((header[6] & 0b11) + 1);
    }
    if samples == 0 {
        return Ok(AudioProperties::default());
    }
    let rate = SAMPLE_RATES_HZ.get(usize::from(bytes[2] >> 2 & 0b1111));
    let channels = u32::from(bytes[2] & 1) << 2 | u32::from(bytes[3] >> 6);
    let duration_ms = rate.and_then(|&rate| {
        let all = u128::from(samples) * u128::from(audio.len) / looked_at as u128;
        u64::try_from(all * 1000 / u128::from(rate)).ok()
    });
    Ok(AudioProperties {
        duration_ms,
        sample_rate_hz: rate.copied(),
        // Seven stands for eight channels, and none for what the sound itself tells.
        channels: Some(if channels == 7 { 8 } else { channels }).filter(|&channels| channels > 0),
        bits_per_sample: None,
        bitrate_bps: duration_ms
            .filter(|&ms| ms > 0)
            .and_then(|ms| u32::try_from(u128::from(audio.len) * 8000 / u128::from(ms)).ok()),
    })
}

/// Lays out the served file.
///
/// # Errors
/// When a frame or the tag is too large, or a range is outside the backing file.
pub(super) fn synthesize(
    structure: &AdtsStructure,
    desired: &Desired<'_>,
) -> Result<Layout, SynthesisError> {
    let mut served = id3v2::write_any(desired, &structure.origins, &structure.rewrites)?;
    served.backing(structure.audio.offset, structure.audio.len);
    served.finish(desired.backing_len)
}
