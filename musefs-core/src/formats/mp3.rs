//! MPEG audio files: `ID3v2` in front, frames, and whatever taggers put behind them.
//!
//! Served as one `ID3v2.4` tag and the frames from the first one (a Xing, Info or VBRI frame included) to the last.

use serde::{Deserialize, Serialize};

use super::id3v2::{self, Origin, Rewrite};
use super::mpeg::{self, Header};
use super::sniff::Sniffed;
use super::trailer::{self, Trailers};
use super::{
    AudioProperties, ByteRange, Desired, Failure, Fetched, Format, Probe, Stop, Structure,
    SynthesisError,
};
use crate::layout::Layout;

/// How far behind the tags the first frame is looked for, in bytes, one step after the other.
const JUNK_BYTES_STEPS: [u64; 3] = [8 << 10, 64 << 10, 1 << 20];

/// How many frames must follow the first one for it to count.
const FOLLOWING_FRAMES: usize = 2;

/// How an MPEG audio file is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mp3Structure {
    audio: ByteRange,
    origins: Vec<Origin>,
    rewrites: Vec<Rewrite>,
}

/// The frames of a file, and what is behind them.
#[derive(Debug)]
pub(super) struct Stream {
    first: u64,
    header: Header,
    trailers: Trailers,
}

/// Finds the MPEG stream in what follows `start`: at once, or also behind junk when `search` says so.
///
/// # Errors
/// `NeedMore`.
pub(super) fn find(fetched: &Fetched, start: u64, search: bool) -> Result<Option<Stream>, Stop> {
    let left = fetched.file_len() - start;
    if left < mpeg::HEADER_BYTES as u64 {
        return Ok(None);
    }
    let at_start = Header::parse(fetched.get(start, mpeg::HEADER_BYTES)?);
    if at_start.is_none() && !search {
        return Ok(None);
    }
    let trailers = trailer::find(fetched, start)?;
    let left = trailers.audio_end - start;
    for step in JUNK_BYTES_STEPS {
        let window = left.min(step);
        let len = usize::try_from(window).expect("at most the longest step");
        let bytes = fetched.get(start, len)?;
        let found = mpeg::find_first(bytes, window == left, FOLLOWING_FRAMES)
            .filter(|(skip, _)| search || *skip == 0);
        if let Some((skip, header)) = found {
            return Ok(Some(Stream {
                first: start + skip as u64,
                header,
                trailers,
            }));
        }
        if window == left || !search {
            break;
        }
    }
    Ok(None)
}

/// Takes an MPEG audio file apart.
///
/// # Errors
/// `NeedMore`, or `Broken` when an `ID3v2` tag is over a limit.
pub(super) fn probe(fetched: &Fetched, sniffed: &Sniffed) -> Result<Probe, Stop> {
    let stream = sniffed
        .stream
        .as_ref()
        .ok_or(Stop::Broken(Failure::Malformed))?;
    let trailers = &stream.trailers;
    let tag = id3v2::read_all(fetched, &sniffed.id3v2, trailers)?;
    let audio = ByteRange {
        offset: stream.first,
        len: trailers.audio_end - stream.first,
    };
    let properties = properties(fetched, &stream.header, audio)?;
    Ok(Probe {
        structure: Structure::Mp3(Mp3Structure {
            audio,
            origins: tag.origins,
            rewrites: tag.rewrites,
        }),
        tags: tag.tags,
        art: tag.art,
        items: tag.items,
        properties,
        warnings: tag.warnings,
        ..Probe::as_is(Format::Mp3)
    })
}

/// Lays out the served file.
///
/// # Errors
/// When a frame or the tag is too large, or a range is outside the backing file.
pub(super) fn synthesize(
    structure: &Mp3Structure,
    desired: &Desired<'_>,
) -> Result<Layout, SynthesisError> {
    let mut served = id3v2::write(desired, &structure.origins, &structure.rewrites)?;
    served.backing(structure.audio.offset, structure.audio.len);
    served.finish(desired.backing_len)
}

fn properties(
    fetched: &Fetched,
    header: &Header,
    audio: ByteRange,
) -> Result<AudioProperties, Stop> {
    let len = usize::try_from(audio.len).map_or(mpeg::FIRST_FRAME_BYTES, |len| {
        len.min(mpeg::FIRST_FRAME_BYTES)
    });
    let first = fetched.get(audio.offset, len)?;
    let bits = u128::from(audio.len) * 8;
    let rate = u128::from(header.sample_rate_hz);
    let stated_ms = mpeg::info_frame(header, first)
        .and_then(|info| info.frames)
        .map(|frames| u128::from(frames) * u128::from(header.samples) * 1000 / rate)
        .filter(|&ms| ms > 0);
    // Without a stated number of frames, every frame is taken to be like the first.
    let bitrate = match stated_ms {
        Some(ms) => Some(bits * 1000 / ms),
        None => Some(u128::from(header.bitrate_bps)).filter(|&bitrate| bitrate > 0),
    };
    let duration_ms = stated_ms.or_else(|| bitrate.map(|bitrate| bits * 1000 / bitrate));
    Ok(AudioProperties {
        duration_ms: duration_ms.and_then(|ms| u64::try_from(ms).ok()),
        sample_rate_hz: Some(header.sample_rate_hz),
        channels: Some(header.channels),
        bits_per_sample: None,
        bitrate_bps: bitrate.and_then(|bitrate| u32::try_from(bitrate).ok()),
    })
}
