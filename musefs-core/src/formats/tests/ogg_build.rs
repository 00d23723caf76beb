//! Small Ogg files, byte by byte, and what a reader that follows the rules makes of one.

use crate::layout::derived::ogg_checksum;

use super::build::{sound, stream_info};

pub(super) const SERIAL: u32 = 0x1234_5678;

/// A page with its checksum.
pub(super) fn page(
    serial: u32,
    sequence: u32,
    flags: u8,
    granule: u64,
    lacing: &[u8],
    body: &[u8],
) -> Vec<u8> {
    let mut bytes = b"OggS\0".to_vec();
    bytes.push(flags);
    bytes.extend(granule.to_le_bytes());
    bytes.extend(serial.to_le_bytes());
    bytes.extend(sequence.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.push(u8::try_from(lacing.len()).unwrap());
    bytes.extend(lacing);
    bytes.extend(body);
    let sum = ogg_checksum(0, &bytes);
    bytes[22..26].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// Pages of packets, at most `segments` segments each.
pub(super) fn pages(
    first: u32,
    packets: &[Vec<u8>],
    segments: usize,
    granule: u64,
) -> (Vec<u8>, u32) {
    let mut lacing = Vec::new();
    for packet in packets {
        lacing.resize(lacing.len() + packet.len() / 255, 255);
        lacing.push(u8::try_from(packet.len() % 255).unwrap());
    }
    let mut body = &packets.concat()[..];
    let mut bytes = Vec::new();
    let mut sequence = first;
    let mut continued = false;
    for lacing in lacing.chunks(segments) {
        let (part, rest) = body.split_at(lacing.iter().map(|&len| usize::from(len)).sum());
        body = rest;
        let granule = if lacing.iter().all(|&len| len == 255) {
            u64::MAX
        } else {
            granule
        };
        bytes.extend(page(
            SERIAL,
            sequence,
            u8::from(continued),
            granule,
            lacing,
            part,
        ));
        continued = lacing.last() == Some(&255);
        sequence += 1;
    }
    (bytes, sequence)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Vorbis,
    Opus,
    Speex,
    Flac,
}

pub(super) const KINDS: [Kind; 4] = [Kind::Vorbis, Kind::Opus, Kind::Speex, Kind::Flac];

/// An Ogg file to be.
pub(super) struct OggBuilder {
    kind: Kind,
    front: Vec<u8>,
    comments: Vec<Vec<u8>>,
    blocks: Vec<(u8, Vec<u8>)>,
    tail: Vec<u8>,
    /// Most segments of a header page.
    pub(super) segments: usize,
    /// Packets of sound, each on a page of its own.
    pub(super) sounds: Vec<Vec<u8>>,
    back: Vec<u8>,
}

impl OggBuilder {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            front: Vec::new(),
            comments: Vec::new(),
            blocks: Vec::new(),
            tail: if kind == Kind::Vorbis {
                vec![1]
            } else {
                Vec::new()
            },
            segments: 255,
            sounds: vec![sound(300), sound(1000), sound(255), sound(40)],
            back: Vec::new(),
        }
    }

    pub(super) fn front(mut self, bytes: &[u8]) -> Self {
        self.front.extend(bytes);
        self
    }

    pub(super) fn back(mut self, bytes: &[u8]) -> Self {
        self.back.extend(bytes);
        self
    }

    pub(super) fn comment(mut self, comment: impl AsRef<[u8]>) -> Self {
        self.comments.push(comment.as_ref().to_vec());
        self
    }

    /// A picture, in the way of the codec.
    pub(super) fn picture(mut self, kind: u32, mime: &str, description: &str, data: &[u8]) -> Self {
        let block = picture_block(kind, mime, description, data);
        if self.kind == Kind::Flac {
            self.blocks.push((6, block));
            self
        } else {
            self.comment([b"METADATA_BLOCK_PICTURE=".to_vec(), base64(&block)].concat())
        }
    }

    pub(super) fn block(mut self, kind: u8, body: &[u8]) -> Self {
        self.blocks.push((kind, body.to_vec()));
        self
    }

    pub(super) fn tail(mut self, bytes: &[u8]) -> Self {
        self.tail.extend(bytes);
        self
    }

    pub(super) fn segments(mut self, segments: usize) -> Self {
        self.segments = segments;
        self
    }

    fn header_packets(&self) -> Vec<Vec<u8>> {
        let mut list = b"\x06\0\0\0vendor".to_vec();
        list.extend(u32::try_from(self.comments.len()).unwrap().to_le_bytes());
        for comment in &self.comments {
            list.extend(u32::try_from(comment.len()).unwrap().to_le_bytes());
            list.extend(comment);
        }
        list.extend(&self.tail);
        match self.kind {
            Kind::Vorbis => {
                let mut first = b"\x01vorbis\0\0\0\0\x02".to_vec();
                first.extend(44_100_u32.to_le_bytes());
                first.extend([0, 0, 0, 0, 0, 0x77, 1, 0, 0, 0, 0, 0, 0xb8, 1]);
                let setup = [b"\x05vorbis".to_vec(), sound(600)].concat();
                vec![first, [b"\x03vorbis".to_vec(), list].concat(), setup]
            }
            Kind::Opus => {
                let first = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0".to_vec();
                vec![first, [b"OpusTags".to_vec(), list].concat()]
            }
            Kind::Speex => {
                let mut first = b"Speex   1.2.0".to_vec();
                first.resize(80, 0);
                first[36..40].copy_from_slice(&16_000_u32.to_le_bytes());
                first[48] = 1;
                first[68] = 1;
                vec![first, list, sound(33)]
            }
            Kind::Flac => {
                let mut blocks = vec![(4, list)];
                blocks.extend(self.blocks.iter().cloned());
                let mut first = b"\x7fFLAC\x01\0".to_vec();
                first.extend(u16::try_from(blocks.len()).unwrap().to_be_bytes());
                first.extend(b"fLaC\0\0\0\x22");
                first.extend(stream_info());
                let end = blocks.len() - 1;
                let packets = blocks.into_iter().enumerate().map(|(index, (kind, body))| {
                    let mut packet = vec![if index == end { kind | 0x80 } else { kind }];
                    packet.extend(&u32::try_from(body.len()).unwrap().to_be_bytes()[1..]);
                    packet.extend(body);
                    packet
                });
                std::iter::once(first).chain(packets).collect()
            }
        }
    }

    pub(super) fn build(&self) -> Vec<u8> {
        let packets = self.header_packets();
        let first = &packets[0];
        let mut file = self.front.clone();
        file.extend(page(
            SERIAL,
            0,
            2,
            0,
            &[u8::try_from(first.len()).unwrap()],
            first,
        ));
        let (headers, mut sequence) = pages(1, &packets[1..], self.segments, 0);
        file.extend(headers);
        let mut granule = 0;
        for packet in &self.sounds {
            granule += 22_050;
            let (bytes, next) = pages(sequence, std::slice::from_ref(packet), 255, granule);
            file.extend(bytes);
            sequence = next;
        }
        file.extend(&self.back);
        file
    }
}

/// The body of a FLAC PICTURE block.
pub(super) fn picture_block(kind: u32, mime: &str, description: &str, data: &[u8]) -> Vec<u8> {
    let mut body = kind.to_be_bytes().to_vec();
    for text in [mime, description] {
        body.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        body.extend(text.as_bytes());
    }
    for field in [600_u32, 500, 24, 0, u32::try_from(data.len()).unwrap()] {
        body.extend(field.to_be_bytes());
    }
    body.extend(data);
    body
}

/// Base64, from the bits of three bytes at a time.
pub(super) fn base64(bytes: &[u8]) -> Vec<u8> {
    let alphabet: Vec<u8> = (b'A'..=b'Z')
        .chain(b'a'..=b'z')
        .chain(b'0'..=b'9')
        .chain(*b"+/")
        .collect();
    let mut text = Vec::with_capacity(bytes.len() / 3 * 4 + 4);
    for three in bytes.chunks(3) {
        let bits = three
            .iter()
            .fold(0_usize, |bits, &byte| bits << 8 | usize::from(byte));
        let bits = bits << (8 * (3 - three.len()));
        for place in 0..=three.len() {
            text.push(alphabet[bits >> (18 - 6 * place) & 63]);
        }
        text.resize(text.len() + 3 - three.len(), b'=');
    }
    text
}

/// What a strict reader makes of a file of one stream: its packets, and the granule position of each page.
pub(super) struct Read {
    pub(super) packets: Vec<Vec<u8>>,
    /// How many pages there are, and how many packets are complete at the end of each.
    pub(super) complete: Vec<usize>,
    pub(super) granules: Vec<u64>,
}

/// Reads a whole file; what breaks a rule of RFC 3533 fails the test.
pub(super) fn read(bytes: &[u8]) -> Read {
    let mut read = Read {
        packets: Vec::new(),
        complete: Vec::new(),
        granules: Vec::new(),
    };
    let mut rest = bytes;
    let mut packet: Vec<u8> = Vec::new();
    let mut open = false;
    let mut sequence = 0_u32;
    while !rest.is_empty() {
        assert_eq!(&rest[..5], b"OggS\0");
        let segments = usize::from(rest[26]);
        let lacing = &rest[27..27 + segments];
        let body: usize = lacing.iter().map(|&len| usize::from(len)).sum();
        let (this, behind) = rest.split_at(27 + segments + body);
        let mut unsummed = this.to_vec();
        unsummed[22..26].fill(0);
        assert_eq!(
            ogg_checksum(0, &unsummed).to_le_bytes(),
            this[22..26],
            "page {sequence}"
        );
        assert_eq!(this[5] & 1 == 1, open, "page {sequence} is continued");
        assert_eq!(this[5] & 2 == 2, sequence == 0, "page {sequence} begins");
        assert_eq!(this[14..18], SERIAL.to_le_bytes());
        assert_eq!(this[18..22], sequence.to_le_bytes());
        let mut at = 27 + segments;
        for &len in lacing {
            packet.extend(&this[at..at + usize::from(len)]);
            at += usize::from(len);
            open = len == 255;
            if !open {
                read.packets.push(std::mem::take(&mut packet));
            }
        }
        let granule = u64::from_le_bytes(this[6..14].try_into().unwrap());
        assert_eq!(
            granule == u64::MAX,
            lacing.iter().all(|&len| len == 255),
            "page {sequence}"
        );
        read.granules.push(granule);
        read.complete.push(read.packets.len());
        sequence += 1;
        rest = behind;
    }
    assert!(!open, "the last packet ends");
    read
}
