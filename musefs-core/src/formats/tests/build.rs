//! Small FLAC and MP3 files, byte by byte.

/// STREAMINFO of 44,100 Hz, two channels, 16 bits and 88,200 samples.
pub(super) fn stream_info() -> Vec<u8> {
    let mut body = vec![0x10, 0, 0x10, 0, 0, 0, 0, 0, 0, 0];
    let packed: u64 = (44_100 << 44) + (1 << 41) + (15 << 36) + 88_200;
    body.extend(packed.to_be_bytes());
    body.extend(0x5a_u8..0x6a);
    body
}

/// Bytes that stand for sound.
pub(super) fn sound(len: usize) -> Vec<u8> {
    (0..len)
        .map(|index| u8::try_from(index * 7 % 241).expect("below 241"))
        .collect()
}

#[derive(Default)]
pub(super) struct FlacBuilder {
    front: Vec<u8>,
    comments: Vec<Vec<u8>>,
    blocks: Vec<(u8, Vec<u8>)>,
    back: Vec<u8>,
}

impl FlacBuilder {
    pub(super) fn new() -> Self {
        Self::default()
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

    pub(super) fn block(mut self, kind: u8, body: &[u8]) -> Self {
        self.blocks.push((kind, body.to_vec()));
        self
    }

    pub(super) fn picture(self, kind: u32, mime: &str, description: &str, data: &[u8]) -> Self {
        let mut body = kind.to_be_bytes().to_vec();
        for text in [mime, description] {
            body.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
            body.extend(text.as_bytes());
        }
        for field in [600_u32, 500, 24, 0, u32::try_from(data.len()).unwrap()] {
            body.extend(field.to_be_bytes());
        }
        body.extend(data);
        self.block(6, &body)
    }

    pub(super) fn build(self) -> Vec<u8> {
        let mut list = b"\x06\0\0\0vendor".to_vec();
        list.extend(u32::try_from(self.comments.len()).unwrap().to_le_bytes());
        for comment in &self.comments {
            list.extend(u32::try_from(comment.len()).unwrap().to_le_bytes());
            list.extend(comment);
        }
        let mut file = self.front;
        file.extend(b"fLaC");
        let mut put = |kind: u8, body: &[u8]| {
            file.push(kind);
            file.extend(&u32::try_from(body.len()).unwrap().to_be_bytes()[1..]);
            file.extend(body);
        };
        put(0, &stream_info());
        put(4, &list);
        for (kind, body) in &self.blocks {
            put(*kind, body);
        }
        put(0x81, &[0; 40]);
        file.extend([0xff, 0xf8]);
        file.extend(sound(500));
        file.extend(self.back);
        file
    }
}

/// A frame of a tag of 2.3 or 2.4 with the given flags.
pub(super) fn frame(major: u8, id: &str, flags: u16, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap();
    let mut bytes = id.as_bytes().to_vec();
    if major == 2 {
        bytes.extend(&len.to_be_bytes()[1..]);
    } else {
        let size = if major == 3 {
            len.to_be_bytes()
        } else {
            syncsafe(len)
        };
        bytes.extend(size);
        bytes.extend(flags.to_be_bytes());
    }
    bytes.extend(body);
    bytes
}

pub(super) fn syncsafe(number: u32) -> [u8; 4] {
    [21, 14, 7, 0].map(|shift| u8::try_from(number >> shift & 0x7f).unwrap())
}

pub(super) fn tag(major: u8, flags: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![b'I', b'D', b'3', major, 0, flags];
    bytes.extend(syncsafe(u32::try_from(body.len()).unwrap()));
    bytes.extend(body);
    bytes
}

/// Four frames of MPEG 1 layer III, 128 kbit/s, 44,100 Hz.
pub(super) fn mpeg_frames() -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..4 {
        bytes.extend([0xff, 0xfb, 0x90, 0x64]);
        bytes.extend(sound(413));
    }
    bytes
}

/// A FF is followed by a stuffed 00, as whole tags of 2.3 and frames of 2.4 have it.
pub(super) fn unsynchronised(bytes: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::new();
    for (index, &byte) in bytes.iter().enumerate() {
        stuffed.push(byte);
        let next = bytes.get(index + 1);
        if byte == 0xff && next.is_none_or(|&next| next == 0 || next >= 0xe0) {
            stuffed.push(0);
        }
    }
    stuffed
}

pub(super) fn id3v1(title: &str) -> Vec<u8> {
    let mut bytes = vec![0; 128];
    bytes[..3].copy_from_slice(b"TAG");
    bytes[3..3 + title.len()].copy_from_slice(title.as_bytes());
    bytes[127] = 17;
    bytes
}

/// An `APEv2` tag with a footer and no header.
pub(super) fn ape(items: &[(&str, &[u8], u32)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (key, value, flags) in items {
        bytes.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        bytes.extend(key.as_bytes());
        bytes.push(0);
        bytes.extend(*value);
    }
    let size = u32::try_from(bytes.len() + 32).unwrap();
    bytes.extend(b"APETAGEX");
    for number in [2000, size, u32::try_from(items.len()).unwrap(), 0, 0, 0] {
        bytes.extend(number.to_le_bytes());
    }
    bytes
}
