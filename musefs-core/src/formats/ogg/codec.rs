//! What is in an Ogg stream, as the first packet says, and which header packets follow (Vorbis I specification, section 4.2
//! and appendix A.2; RFC 7845, section 5; RFC 9639, section 10.1; the Speex manual, "Ogg file format").

use serde::{Deserialize, Serialize};

use crate::formats::{AudioProperties, flac};

/// As much of the first packet as any codec needs, in bytes.
pub(super) const IDENTIFICATION_BYTES_MAX: u64 = 80;

/// A block header of FLAC in bytes.
pub(super) const BLOCK_HEADER_BYTES: u64 = 4;

/// Granule positions of Opus count samples of this rate, whatever was encoded (RFC 7845, section 4).
const OPUS_RATE_HZ: u32 = 48_000;

/// A codec whose headers hold a list of comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Codec {
    /// Identification, comments, setup.
    Vorbis,
    /// Identification, comments.
    Opus,
    /// Identification, comments, and as many more as the first packet says.
    Speex,
    /// STREAMINFO, then each metadata block as a packet, comments first.
    Flac,
}

impl Codec {
    /// The codec of a stream whose first packet begins with `packet`.
    pub(super) fn of(packet: &[u8]) -> Option<Self> {
        if packet.starts_with(b"\x01vorbis") && packet.len() >= 30 {
            Some(Self::Vorbis)
        } else if packet.starts_with(b"OpusHead") && packet.len() >= 19 {
            Some(Self::Opus)
        } else if packet.starts_with(b"Speex   ") && packet.len() >= 80 {
            Some(Self::Speex)
        } else if packet.starts_with(b"\x7fFLAC\x01")
            && packet.get(9..13) == Some(b"fLaC")
            && packet.len() >= 51
        {
            Some(Self::Flac)
        } else {
            None
        }
    }

    /// What the packet of comments begins with.
    pub(super) fn comment_mark(self) -> &'static [u8] {
        match self {
            Self::Vorbis => b"\x03vorbis",
            Self::Opus => b"OpusTags",
            // The header of a block of FLAC is written with its length.
            Self::Speex | Self::Flac => b"",
        }
    }

    /// Where the list begins in the packet of comments.
    pub(super) fn comment_offset(self) -> u64 {
        match self {
            Self::Flac => BLOCK_HEADER_BYTES,
            other => other.comment_mark().len() as u64,
        }
    }

    /// How many header packets follow the first; for FLAC only where the file knows, and the last one says so as well.
    pub(super) fn further_packets(self, packet: &[u8]) -> Option<u32> {
        match self {
            Self::Vorbis => Some(2),
            Self::Opus => Some(1),
            Self::Speex => Some(number(packet, 68).saturating_add(1)),
            Self::Flac => {
                let count = u32::from(u16::from_be_bytes([packet[7], packet[8]]));
                Some(count).filter(|&count| count > 0)
            }
        }
    }

    /// What the first packet and the granule position of the last page say of the sound; `audio_len` is in bytes.
    pub(super) fn properties(
        self,
        packet: &[u8],
        granule: Option<u64>,
        audio_len: u64,
    ) -> AudioProperties {
        let (rate, channels, bits, skipped) = match self {
            Self::Vorbis => (number(packet, 12), u32::from(packet[11]), None, 0),
            Self::Opus => (
                OPUS_RATE_HZ,
                u32::from(packet[9]),
                None,
                u64::from(u16::from_le_bytes([packet[10], packet[11]])),
            ),
            Self::Speex => (number(packet, 36), number(packet, 48), None, 0),
            Self::Flac => {
                let told = flac::properties(&packet[17..51], audio_len);
                if told.duration_ms.is_some() {
                    return told;
                }
                (
                    told.sample_rate_hz.unwrap_or(0),
                    told.channels.unwrap_or(0),
                    told.bits_per_sample,
                    0,
                )
            }
        };
        let duration_ms = granule
            .and_then(|granule| granule.checked_sub(skipped))
            .filter(|&samples| samples > 0 && rate > 0)
            .map(|samples| u128::from(samples) * 1000 / u128::from(rate));
        let bitrate = duration_ms
            .filter(|&ms| ms > 0)
            .map(|ms| u128::from(audio_len) * 8000 / ms);
        AudioProperties {
            duration_ms: duration_ms.and_then(|ms| u64::try_from(ms).ok()),
            sample_rate_hz: Some(rate).filter(|&rate| rate > 0),
            channels: Some(channels).filter(|&channels| channels > 0),
            bits_per_sample: bits,
            bitrate_bps: bitrate.and_then(|bitrate| u32::try_from(bitrate).ok()),
        }
    }
}

fn number(packet: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(packet[at..at + 4].try_into().expect("four bytes"))
}
