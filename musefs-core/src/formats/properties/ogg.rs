//! The sound of an Ogg stream, from its first page, its last page, and the pages of its headers.
//!
//! Sources: RFC 3533 (pages), the Vorbis I specification section 4.2.2, RFC 7845 (Opus), the Speex manual section 7.3, and
//! the mapping of FLAC to Ogg. Time is counted from position 0, so a stream that was cut out of a longer one counts with
//! what was in front of it.

use crate::formats::{AudioProperties, ByteRange, Failure, Fetched, Stop, flac};

/// What precedes the lacing values of a page, in bytes.
const HEADER_BYTES: usize = 27;

/// The longest page: a header, 255 lacing values, 255 bytes each.
const PAGE_BYTES_MAX: u64 = 27 + 255 + 255 * 255;

/// How far before the end of the file the last page is looked for, in bytes, one step after the other.
const TAIL_BYTES_STEPS: [u64; 2] = [4096, 2 * PAGE_BYTES_MAX];

/// Pages of headers that are walked over to learn where the sound starts; with more (pictures), the bitrate stays unknown.
const HEADER_PAGES_MAX: usize = 16;

/// The position of a page on which no packet ends.
const NO_POSITION: u64 = u64::MAX;

/// The rate at which positions in Opus count, whatever was encoded.
const OPUS_RATE_HZ: u32 = 48_000;

/// What the first packet tells.
struct Identity {
    properties: AudioProperties,
    /// Positions per second.
    rate_hz: u32,
    /// Positions before the sound.
    skipped: u64,
    /// Packets before the sound; `None` where it does not tell.
    headers: Option<usize>,
}

/// A page as its header describes it.
struct Page {
    position: u64,
    serial: [u8; 4],
    /// Packets that end on it.
    packets: usize,
    /// Header included.
    len: u64,
}

/// Reads the properties of the stream whose first page is at `start`.
///
/// # Errors
/// `NeedMore`, or `Broken`: `Malformed` without a first page and packet, `Unsupported` for another codec.
pub(super) fn properties(fetched: &Fetched, start: u64) -> Result<AudioProperties, Stop> {
    let malformed = Stop::Broken(Failure::Malformed);
    let first = page(fetched, start)?.ok_or(malformed.clone())?;
    let left = fetched.file_len() - start;
    let len = usize::try_from(first.len.min(left)).expect("at most a page");
    let bytes = fetched.get(start, len)?;
    let body = HEADER_BYTES + usize::from(bytes[26]);
    let packet = bytes.get(body..).ok_or(malformed)?;
    let identity = identify(packet)?;
    let mut properties = identity.properties;
    if let Some(position) = last_position(fetched, start, first.serial)?
        && identity.rate_hz > 0
        && properties.duration_ms.is_none()
    {
        let samples = u128::from(position.saturating_sub(identity.skipped));
        let ms = samples * 1000 / u128::from(identity.rate_hz);
        properties.duration_ms = u64::try_from(ms).ok().filter(|&ms| ms > 0);
    }
    if let Some(ms) = properties.duration_ms
        && let Some(sound) = sound_start(fetched, start, &first, identity.headers)?
    {
        let bits = u128::from(fetched.file_len().saturating_sub(sound)) * 8;
        properties.bitrate_bps = u32::try_from(bits * 1000 / u128::from(ms)).ok();
    }
    Ok(properties)
}

fn page(fetched: &Fetched, offset: u64) -> Result<Option<Page>, Stop> {
    let left = fetched.file_len().saturating_sub(offset);
    if left < HEADER_BYTES as u64 {
        return Ok(None);
    }
    let header = fetched.get(offset, HEADER_BYTES)?;
    if &header[..5] != b"OggS\0" {
        return Ok(None);
    }
    let position = u64::from_le_bytes(header[6..14].try_into().expect("eight bytes"));
    let serial = header[14..18].try_into().expect("four bytes");
    let count = usize::from(header[26]);
    if left < (HEADER_BYTES + count) as u64 {
        return Ok(None);
    }
    let lacing = &fetched.get(offset, HEADER_BYTES + count)?[HEADER_BYTES..];
    let body: u64 = lacing.iter().copied().map(u64::from).sum();
    Ok(Some(Page {
        position,
        serial,
        packets: lacing.iter().filter(|&&value| value < 255).count(),
        len: (HEADER_BYTES + count) as u64 + body,
    }))
}

fn identify(packet: &[u8]) -> Result<Identity, Stop> {
    let malformed = || Stop::Broken(Failure::Malformed);
    let long = |at: usize| -> Result<u32, Stop> {
        let bytes = packet.get(at..at + 4).ok_or_else(malformed)?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("four bytes")))
    };
    let byte = |at: usize| packet.get(at).copied().ok_or_else(malformed);
    let known = |rate: u32, channels: u32| AudioProperties {
        sample_rate_hz: Some(rate).filter(|&rate| rate > 0),
        channels: Some(channels).filter(|&channels| channels > 0),
        ..AudioProperties::default()
    };
    if packet.starts_with(b"\x01vorbis") {
        let rate_hz = long(12)?;
        Ok(Identity {
            properties: known(rate_hz, byte(11)?.into()),
            rate_hz,
            skipped: 0,
            headers: Some(3),
        })
    } else if packet.starts_with(b"OpusHead") {
        Ok(Identity {
            properties: known(OPUS_RATE_HZ, byte(9)?.into()),
            rate_hz: OPUS_RATE_HZ,
            skipped: u64::from(u16::from_le_bytes([byte(10)?, byte(11)?])),
            headers: Some(2),
        })
    } else if packet.starts_with(b"Speex   ") {
        let rate_hz = long(36)?;
        Ok(Identity {
            properties: known(rate_hz, long(48)?),
            rate_hz,
            skipped: 0,
            headers: usize::try_from(long(68)?)
                .ok()
                .and_then(|extra| extra.checked_add(2)),
        })
    } else if packet.starts_with(b"\x7fFLAC") {
        let stream_info = packet.get(17..17 + 34).ok_or_else(malformed)?;
        let properties = AudioProperties {
            bitrate_bps: None,
            ..flac::properties(stream_info, 0)
        };
        // The number of header packets behind the first one, big endian; 0 is unknown.
        let headers = usize::from(u16::from_be_bytes([byte(7)?, byte(8)?]));
        Ok(Identity {
            rate_hz: properties.sample_rate_hz.unwrap_or_default(),
            properties,
            skipped: 0,
            headers: (headers > 0).then_some(headers + 1),
        })
    } else {
        Err(Stop::Broken(Failure::Unsupported))
    }
}

/// The position on the last page of the stream on which a packet ends.
fn last_position(fetched: &Fetched, start: u64, serial: [u8; 4]) -> Result<Option<u64>, Stop> {
    let len = fetched.file_len() - start;
    for step in TAIL_BYTES_STEPS {
        let window = ByteRange {
            offset: start + len.saturating_sub(step),
            len: len.min(step),
        };
        let bytes = fetched.get(
            window.offset,
            usize::try_from(window.len).expect("at most the longest step"),
        )?;
        for at in (0..bytes.len().saturating_sub(HEADER_BYTES)).rev() {
            if !bytes[at..].starts_with(b"OggS\0") {
                continue;
            }
            let found = page(fetched, window.offset + at as u64)?;
            if let Some(found) =
                found.filter(|page| page.serial == serial && page.position != NO_POSITION)
            {
                return Ok(Some(found.position));
            }
        }
        if step >= len {
            break;
        }
    }
    Ok(None)
}

/// Where the first page of sound starts; `None` where that is not known, or behind too many pages.
fn sound_start(
    fetched: &Fetched,
    start: u64,
    first: &Page,
    headers: Option<usize>,
) -> Result<Option<u64>, Stop> {
    let Some(headers) = headers else {
        return Ok(None);
    };
    let mut offset = start;
    let mut packets = 0;
    for _ in 0..HEADER_PAGES_MAX {
        let Some(page) = page(fetched, offset)? else {
            return Ok(None);
        };
        if page.serial == first.serial {
            packets += page.packets;
        }
        offset += page.len;
        if packets >= headers {
            return Ok(Some(offset));
        }
    }
    Ok(None)
}
