//! Small WAVE and AIFF files, chunk by chunk.

use super::build::sound;

/// A file of chunks in the making; `BIG` says which way round its sizes are.
pub(super) struct Chunks<const BIG: bool> {
    front: Vec<u8>,
    mark: [u8; 4],
    kind: [u8; 4],
    bytes: Vec<u8>,
    back: Vec<u8>,
    size: Option<u32>,
}

pub(super) type Wav = Chunks<false>;
pub(super) type Aiff = Chunks<true>;

impl<const BIG: bool> Chunks<BIG> {
    fn of(mark: [u8; 4], kind: [u8; 4]) -> Self {
        Self {
            front: Vec::new(),
            mark,
            kind,
            bytes: Vec::new(),
            back: Vec::new(),
            size: None,
        }
    }

    /// Bytes in front of the file.
    pub(super) fn front(mut self, bytes: &[u8]) -> Self {
        self.front.extend(bytes);
        self
    }

    /// Bytes behind the last chunk that the file's size does not count.
    pub(super) fn back(mut self, bytes: &[u8]) -> Self {
        self.back.extend(bytes);
        self
    }

    /// What the file says of its own size.
    pub(super) fn size(mut self, size: u32) -> Self {
        self.size = Some(size);
        self
    }

    pub(super) fn chunk(self, id: &str, body: &[u8]) -> Self {
        let len = u32::try_from(body.len()).unwrap();
        self.chunk_stating(id, len, body)
    }

    /// A chunk that states another length than it has.
    pub(super) fn chunk_stating(mut self, id: &str, len: u32, body: &[u8]) -> Self {
        self.bytes.extend(chunk::<BIG>(id, len, body));
        self
    }

    /// Bytes where a chunk should start.
    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    pub(super) fn build(self) -> Vec<u8> {
        let len = u32::try_from(self.bytes.len() + 4).unwrap();
        let size = number::<BIG>(self.size.unwrap_or(len));
        [
            &self.front[..],
            &self.mark,
            &size,
            &self.kind,
            &self.bytes,
            &self.back,
        ]
        .concat()
    }
}

impl Wav {
    /// One channel of 8,000 Hz and 16 bits.
    pub(super) fn new() -> Self {
        Self::of(*b"RIFF", *b"WAVE")
            .chunk("fmt ", b"\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0")
    }

    /// RF64 with the 64-bit sizes of the whole and of the sound, and no further ones.
    pub(super) fn wide(riff: u64, data: u64) -> Self {
        let sizes = [riff, data, 4000].map(u64::to_le_bytes).concat();
        let mut file = Self::of(*b"RF64", *b"WAVE").chunk("ds64", &[&sizes[..], &[0; 4]].concat());
        file.bytes.extend(Self::new().bytes);
        file.size(u32::MAX)
    }

    pub(super) fn data(self) -> Self {
        self.chunk("data", &sound(8000))
    }

    pub(super) fn info(self, texts: &[(&str, &[u8])]) -> Self {
        self.chunk("LIST", &info(texts))
    }
}

impl Aiff {
    /// Two channels, 44,100 frames of 16 bits at 44,100 Hz.
    pub(super) fn new() -> Self {
        Self::of(*b"FORM", *b"AIFF").chunk(
            "COMM",
            b"\0\x02\0\0\xac\x44\0\x10\x40\x0e\xac\x44\0\0\0\0\0\0",
        )
    }

    pub(super) fn sound(self) -> Self {
        self.chunk("SSND", &[vec![0; 8], sound(8000)].concat())
    }
}

/// The body of an INFO list.
pub(super) fn info(texts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = b"INFO".to_vec();
    for (id, text) in texts {
        body.extend(chunk::<false>(id, u32::try_from(text.len()).unwrap(), text));
    }
    body
}

fn chunk<const BIG: bool>(id: &str, len: u32, body: &[u8]) -> Vec<u8> {
    let pad = vec![0; body.len() % 2];
    [id.as_bytes(), &number::<BIG>(len), body, &pad].concat()
}

fn number<const BIG: bool>(number: u32) -> [u8; 4] {
    if BIG {
        number.to_be_bytes()
    } else {
        number.to_le_bytes()
    }
}

/// The bodies of all chunks with an id, in order.
pub(super) fn bodies<'a>(file: &'a [u8], is_big: bool, id: &str) -> Vec<&'a [u8]> {
    chunks(file, is_big)
        .into_iter()
        .filter(|(found, _)| *found == id.as_bytes())
        .map(|(_, body)| body)
        .collect()
}

/// The ids of all chunks, in order.
pub(super) fn ids(file: &[u8], is_big: bool) -> Vec<String> {
    chunks(file, is_big)
        .into_iter()
        .map(|(id, _)| String::from_utf8_lossy(id).into_owned())
        .collect()
}

/// Id and body of every chunk of a file whose size is right: it panics where the chunks do not fill the file.
fn chunks(file: &[u8], is_big: bool) -> Vec<(&[u8], &[u8])> {
    let read = |at: usize| {
        let bytes: [u8; 4] = file[at..at + 4].try_into().unwrap();
        let number = if is_big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        };
        usize::try_from(number).unwrap()
    };
    let end = if file.starts_with(b"RF64") {
        8 + read(20)
    } else {
        8 + read(4)
    };
    let mut found = Vec::new();
    let mut at = 12;
    while at < end {
        let body = at + 8..at + 8 + read(at + 4);
        found.push((&file[at..at + 4], &file[body.clone()]));
        at = body.end + body.len() % 2;
    }
    assert_eq!(at, end, "the chunks fill the file");
    found
}
