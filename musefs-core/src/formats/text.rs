//! Text of every encoding that tags use, decoded without losing a field to one bad byte.

/// The longest single value that is decoded, in bytes as stored. A longer one is kept as an opaque item, unread.
pub(super) const TEXT_VALUE_BYTES_MAX: u64 = 1 << 20;

/// How many bytes of text are decoded of one file; values beyond it are kept as opaque items, unread.
pub(super) const TEXT_TOTAL_BYTES_MAX: u64 = 16 << 20;

/// Text, and whether its bytes were valid in the encoding that they claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) text: String,
    pub(super) legacy: bool,
}

/// Bytes that claim to be UTF-8; what is not is read as Windows-1252.
pub(super) fn utf8_or_legacy(bytes: &[u8]) -> Decoded {
    match std::str::from_utf8(bytes) {
        Ok(text) => Decoded {
            text: text.to_owned(),
            legacy: false,
        },
        Err(_) => Decoded {
            text: bytes.iter().map(|&byte| windows_1252(byte)).collect(),
            legacy: true,
        },
    }
}

/// Bytes of ISO-8859-1, of which every sequence is valid.
pub(super) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// UTF-16 code units in the byte order that a mark at the start tells, else in little or big endian order by default.
/// Half characters are replaced and reported as legacy.
pub(super) fn utf16(bytes: &[u8], big_endian_default: bool) -> Decoded {
    let (bytes, big_endian) = match bytes {
        [0xff, 0xfe, rest @ ..] => (rest, false),
        [0xfe, 0xff, rest @ ..] => (rest, true),
        _ => (bytes, big_endian_default),
    };
    let mut legacy = bytes.len() % 2 != 0;
    let units = bytes.chunks_exact(2).map(|pair| {
        let pair = [pair[0], pair[1]];
        if big_endian {
            u16::from_be_bytes(pair)
        } else {
            u16::from_le_bytes(pair)
        }
    });
    let text = char::decode_utf16(units)
        .map(|unit| {
            unit.unwrap_or_else(|_| {
                legacy = true;
                char::REPLACEMENT_CHARACTER
            })
        })
        .collect();
    Decoded { text, legacy }
}

/// A byte of Windows-1252; the five that it leaves undefined are C1 controls, as browsers read them (WHATWG Encoding,
/// index windows-1252).
fn windows_1252(byte: u8) -> char {
    const HIGH: [char; 32] = [
        '\u{20ac}', '\u{81}', '\u{201a}', '\u{192}', '\u{201e}', '\u{2026}', '\u{2020}',
        '\u{2021}', '\u{2c6}', '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{8d}', '\u{17d}',
        '\u{8f}', '\u{90}', '\u{2018}', '\u{2019}', '\u{201c}', '\u{201d}', '\u{2022}', '\u{2013}',
        '\u{2014}', '\u{2dc}', '\u{2122}', '\u{161}', '\u{203a}', '\u{153}', '\u{9d}', '\u{17e}',
        '\u{178}',
    ];
    match byte {
        0x80..=0x9f => HIGH[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

/// A number and a total written as one, `1/12`: the parts around the first slash, without blanks. Without a slash, or
/// with nothing after it, there is no total.
pub(super) fn number_and_total(value: &str) -> (&str, Option<&str>) {
    match value.split_once('/') {
        None => (value, None),
        Some((number, total)) => (
            number.trim(),
            Some(total.trim()).filter(|total| !total.is_empty()),
        ),
    }
}

/// A running count of text that may still be decoded.
#[derive(Debug)]
pub(super) struct TextBudget {
    left: u64,
}

impl TextBudget {
    pub(super) fn new() -> Self {
        Self {
            left: TEXT_TOTAL_BYTES_MAX,
        }
    }

    /// Whether a value of `len` bytes is to be decoded; if so, it is counted.
    pub(super) fn take(&mut self, len: u64) -> bool {
        let fits = len <= TEXT_VALUE_BYTES_MAX && len <= self.left;
        if fits {
            self.left -= len;
        }
        fits
    }
}

/// 64-bit FNV-1a over values that are told apart by their lengths (Fowler, Noll, Vo). It says whether stored text still is
/// what the file holds, and must stay the same for ever.
pub(super) fn values_hash<'a>(values: impl IntoIterator<Item = &'a str>) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let mut hash = OFFSET;
    let mut add = |bytes: &[u8]| {
        for &byte in bytes {
            hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
        }
    };
    for value in values {
        add(&(value.len() as u64).to_le_bytes());
        add(value.as_bytes());
    }
    hash
}
