//! MPEG audio frame headers and the Xing, Info and VBRI frames (ISO/IEC 11172-3 section 2.4.1.3; Gabriel Bouvigne's "Xing
//! VBR header" and the Fraunhofer VBRI layout as documented by the MPEG audio frame header pages).

/// What a frame header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    version: Version,
    /// 1 to 3.
    layer: u8,
    pub(super) bitrate_bps: u32,
    pub(super) sample_rate_hz: u32,
    pub(super) channels: u32,
    /// With the header; 0 for free format, whose frames tell no length.
    pub(super) frame_bytes: u64,
    pub(super) samples: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
    TwoAndAHalf,
}

/// Length of a header in bytes.
pub(super) const HEADER_BYTES: usize = 4;

/// How much of the first frame the Xing and VBRI headers need, in bytes.
pub(super) const FIRST_FRAME_BYTES: usize = 64;

impl Header {
    /// Reads a header; `None` when the bytes cannot be one.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        const KBPS: [[u32; 15]; 5] = [
            [
                0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448,
            ],
            [
                0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384,
            ],
            [
                0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
            ],
            [
                0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256,
            ],
            [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
        ];
        let &[sync, second, third, fourth, ..] = bytes else {
            return None;
        };
        if sync != 0xff || second & 0xe0 != 0xe0 || fourth & 0b11 == 0b10 {
            return None;
        }
        let version = match second >> 3 & 0b11 {
            0b00 => Version::TwoAndAHalf,
            0b10 => Version::Two,
            0b11 => Version::One,
            _ => return None,
        };
        let layer = match second >> 1 & 0b11 {
            0b11 => 1,
            0b10 => 2,
            0b01 => 3,
            _ => return None,
        };
        let table = match (version, layer) {
            (Version::One, 1) => 0,
            (Version::One, 2) => 1,
            (Version::One, _) => 2,
            (_, 1) => 3,
            _ => 4,
        };
        let bitrate_bps = KBPS[table].get(usize::from(third >> 4))? * 1000;
        let base_hz = *[44_100, 48_000, 32_000].get(usize::from(third >> 2 & 0b11))?;
        let sample_rate_hz = match version {
            Version::One => base_hz,
            Version::Two => base_hz / 2,
            Version::TwoAndAHalf => base_hz / 4,
        };
        let padding = u32::from(third >> 1 & 1);
        let samples = match (version, layer) {
            (_, 1) => 384,
            (Version::One, _) | (_, 2) => 1152,
            _ => 576,
        };
        let frame_bytes = match (bitrate_bps, layer) {
            (0, _) => 0,
            (_, 1) => (12 * bitrate_bps / sample_rate_hz + padding) * 4,
            _ => samples / 8 * bitrate_bps / sample_rate_hz + padding,
        };
        Some(Self {
            version,
            layer,
            bitrate_bps,
            sample_rate_hz,
            channels: if fourth >> 6 == 0b11 { 1 } else { 2 },
            frame_bytes: u64::from(frame_bytes),
            samples,
        })
    }

    /// Whether two frames can be of one stream.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        self.version == other.version
            && self.layer == other.layer
            && self.sample_rate_hz == other.sample_rate_hz
    }
}

/// A frame that tells of the stream instead of holding sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InfoFrame {
    /// Number of frames of the stream, where it is stated.
    pub(super) frames: Option<u32>,
}

/// The first frame as a Xing, Info or VBRI frame, when it is one. `frame` starts with the header; [`FIRST_FRAME_BYTES`] of
/// it are enough.
pub(super) fn info_frame(header: &Header, frame: &[u8]) -> Option<InfoFrame> {
    let side_info = match (header.version, header.channels) {
        (Version::One, 1) => 17,
        (Version::One, _) => 32,
        (_, 1) => 9,
        _ => 17,
    };
    let number = |offset: usize| -> Option<u32> {
        let bytes = frame.get(offset..offset + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().expect("four bytes")))
    };
    let xing = HEADER_BYTES + side_info;
    let mark = frame.get(xing..xing + 4)?;
    if mark == b"Xing" || mark == b"Info" {
        let has_frames = number(xing + 4).is_some_and(|flags| flags & 1 != 0);
        let frames = number(xing + 8).filter(|_| has_frames);
        return Some(InfoFrame { frames });
    }
    let vbri = HEADER_BYTES + 32;
    (frame.get(vbri..vbri + 4)? == b"VBRI").then(|| InfoFrame {
        frames: number(vbri + 14),
    })
}

/// Where the first frame of a stream starts in `bytes`, with its header. A candidate counts when `followers` frames of the
/// same kind follow it one after the other, or when what follows lies past the end of the audio (`at_end`: the bytes reach
/// the audio's end) and it stands at the very start or a frame followed it already, or when it is an info frame, whatever
/// follows.
pub(super) fn find_first(bytes: &[u8], at_end: bool, followers: usize) -> Option<(usize, Header)> {
    (0..bytes.len().saturating_sub(HEADER_BYTES - 1))
        .filter(|&start| bytes[start] == 0xff)
        .find_map(|start| {
            let header = Header::parse(&bytes[start..])?;
            let counts = info_frame(&header, &bytes[start..]).is_some()
                || is_stream(bytes, start, &header, at_end, followers);
            counts.then_some((start, header))
        })
}

fn is_stream(bytes: &[u8], start: usize, first: &Header, at_end: bool, followers: usize) -> bool {
    let mut position = start;
    let mut header = *first;
    for followed in 0..followers {
        let Some(next) = usize::try_from(header.frame_bytes)
            .ok()
            .filter(|&len| len > 0)
            .map(|len| position + len)
        else {
            // Free format: only the place speaks for it.
            return start == 0 && followed == 0;
        };
        if next + HEADER_BYTES > bytes.len() {
            return at_end && (start == 0 || followed > 0);
        }
        match Header::parse(&bytes[next..]) {
            Some(following) if following.agrees(first) => {
                position = next;
                header = following;
            }
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_common_header_tells_its_frame() {
        let header = Header::parse(&[0xff, 0xfb, 0x90, 0x64]).unwrap();
        assert_eq!(
            (header.bitrate_bps, header.sample_rate_hz, header.channels),
            (128_000, 44_100, 2)
        );
        assert_eq!((header.frame_bytes, header.samples), (417, 1152));
    }

    #[test]
    fn reserved_values_are_no_header() {
        for bytes in [
            [0xff, 0xeb, 0x90, 0x64],
            [0xff, 0xf9, 0x90, 0x64],
            [0xff, 0xfb, 0xf0, 0x64],
            [0xff, 0xfb, 0x9c, 0x64],
            [0xff, 0xfb, 0x90, 0x66],
        ] {
            assert_eq!(Header::parse(&bytes), None, "{bytes:x?}");
        }
    }
}
