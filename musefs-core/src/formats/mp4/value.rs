//! What items of an item list are called, and what their values look like (iTunes metadata format, as Apple's `QuickTime`
//! File Format describes its well-known types; mutagen's documentation of `MP4Tags` for the types of single items).
//!
//! An item is called by its four characters, or as `----:NAME` where its name and not its atom tells it apart; a mean other
//! than iTunes' own goes in between: `----:com.example:NAME`. An item of unprintable bytes is called by `#` and its digits.

use super::super::text::{utf8_or_legacy, utf16};
use super::atom::Kind;

/// Well-known types of values.
pub(super) const IMPLICIT: u32 = 0;
pub(super) const UTF_8: u32 = 1;
pub(super) const UTF_16: u32 = 2;
pub(super) const INTEGER: u32 = 21;
pub(super) const UNSIGNED: u32 = 22;

/// Well-known types of pictures, and what else they are called.
const PICTURES: [(u32, &str); 4] = [
    (12, "image/gif"),
    (13, "image/jpeg"),
    (14, "image/png"),
    (27, "image/bmp"),
];

/// A picture of a type that its file does not state.
const SOME_PICTURE: &str = "image/";

/// Items with numbers, and how many bytes a number has that fits them.
const NUMBERS: [(&str, usize); 21] = [
    ("cpil", 1),
    ("pgap", 1),
    ("pcst", 1),
    ("hdvd", 1),
    ("shwm", 1),
    ("stik", 1),
    ("rtng", 1),
    ("akID", 1),
    ("tmpo", 2),
    ("©mvi", 2),
    ("©mvc", 2),
    ("tvsn", 4),
    ("tves", 4),
    ("cnID", 4),
    ("geID", 4),
    ("atID", 4),
    ("sfID", 4),
    ("cmID", 4),
    ("itnu", 1),
    ("soun", 1),
    ("plID", 8),
];

/// Items with text whose names do not begin with `©`.
const TEXTS: [&str; 24] = [
    "aART", "cprt", "desc", "ldes", "sdes", "purd", "purl", "egid", "catg", "keyw", "soal", "soaa",
    "soar", "sonm", "soco", "sosn", "tvsh", "tven", "tvnn", "apID", "ownr", "xid ", "rate", "prID",
];

/// Items with a number and a total: of tracks, of discs.
pub(super) const TRACK_PAIR: &str = "trkn";
pub(super) const DISC_PAIR: &str = "disk";

/// The item with an `ID3v1` genre, counted from 1.
pub(super) const GENRE_NUMBER: &str = "gnre";

/// The item with pictures.
pub(super) const COVER: &str = "covr";

/// The atom of items that have a name.
pub(super) const FREEFORM: &str = "----";

/// The mean that goes without saying.
pub(super) const ITUNES: &str = "com.apple.iTunes";

/// The name of an atom, for people and for the store.
pub(super) fn printable(kind: Kind) -> String {
    let text: String = kind.iter().copied().map(char::from).collect();
    if text.chars().any(char::is_control) {
        format!("#{:08x}", u32::from_be_bytes(kind))
    } else {
        text
    }
}

/// The inverse of [`printable`]; `None` for what names no atom.
pub(super) fn kind(printable: &str) -> Option<Kind> {
    let digits = printable
        .strip_prefix('#')
        .filter(|digits| digits.len() == 8);
    if let Some(digits) = digits {
        return u32::from_str_radix(digits, 16).ok().map(u32::to_be_bytes);
    }
    let bytes: Vec<u8> = printable
        .chars()
        .map(|character| u8::try_from(character).ok())
        .collect::<Option<_>>()?;
    bytes.try_into().ok()
}

/// What an item with this mean and this name is called; `None` where that would call another one.
pub(super) fn freeform(mean: &str, name: &str) -> Option<String> {
    if mean == ITUNES && !name.contains(':') {
        return Some(format!("{FREEFORM}:{name}"));
    }
    (!mean.contains(':')).then(|| format!("{FREEFORM}:{mean}:{name}"))
}

/// Mean and name of an item that is called `native`; `None` where it is none with a name.
pub(super) fn mean_and_name(native: &str) -> Option<(&str, &str)> {
    let rest = native.strip_prefix(FREEFORM)?.strip_prefix(':')?;
    Some(rest.split_once(':').unwrap_or((ITUNES, rest)))
}

/// Whether this is the name of an item that is known to hold text or numbers; a key that is not goes into a freeform item.
pub(super) fn is_known_atom(key: &str) -> bool {
    kind(key).is_some()
        && (key.starts_with('©') || TEXTS.contains(&key) || NUMBERS.iter().any(|(n, _)| *n == key))
}

/// How many bytes a number of the item called `native` has at least; `None` where it holds no numbers.
pub(super) fn number_width(native: &str) -> Option<usize> {
    NUMBERS
        .iter()
        .find(|(name, _)| *name == native)
        .map(|(_, width)| *width)
}

/// A value as text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) text: String,
    /// Whether it is not what its type claims.
    pub(super) is_legacy: bool,
}

/// The value of an item called `native`, as text; `None` where it is binary.
pub(super) fn decode(native: &str, data_type: u32, bytes: &[u8]) -> Option<Text> {
    let plain = |text: String| Text {
        text,
        is_legacy: false,
    };
    match data_type {
        UTF_8 => {
            let decoded = utf8_or_legacy(bytes);
            Some(Text {
                text: decoded.text,
                is_legacy: decoded.legacy,
            })
        }
        UTF_16 => {
            let decoded = utf16(bytes, true);
            Some(Text {
                text: decoded.text,
                is_legacy: decoded.legacy,
            })
        }
        INTEGER | UNSIGNED | IMPLICIT if number_width(native).is_some() => {
            number(bytes).map(|number| plain(number.to_string()))
        }
        // Old writers leave the type of a text open.
        IMPLICIT => std::str::from_utf8(bytes)
            .ok()
            .filter(|text| !text.chars().any(is_binary))
            .map(|text| plain(text.to_owned())),
        _ => None,
    }
}

fn is_binary(character: char) -> bool {
    character.is_control() && !matches!(character, '\t' | '\n' | '\r')
}

/// A big-endian signed number.
fn number(bytes: &[u8]) -> Option<i64> {
    let first = *bytes.first().filter(|_| bytes.len() <= 8)?;
    let sign = if first & 0x80 == 0 { 0 } else { 0xff };
    let mut whole = [sign; 8];
    whole[8 - bytes.len()..].copy_from_slice(bytes);
    Some(i64::from_be_bytes(whole))
}

/// A number in the bytes that an item of that width has for it, or in more where it needs them; `None` where the text is no
/// number, or not the way it would be read again.
pub(super) fn encoded_number(text: &str, width: usize) -> Option<Vec<u8>> {
    let number: i64 = text.parse().ok()?;
    if number.to_string() != text {
        return None;
    }
    let bytes = number.to_be_bytes();
    let fits = |width: &usize| self::number(&bytes[8 - width..]) == Some(number);
    let width = [1, 2, 4, 8]
        .into_iter()
        .filter(|known| *known >= width)
        .find(fits)?;
    Some(bytes[8 - width..].to_vec())
}

/// The MIME type of a picture.
pub(super) fn mime(data_type: u32) -> &'static str {
    PICTURES
        .iter()
        .find(|(known, _)| *known == data_type)
        .map_or(SOME_PICTURE, |(_, mime)| mime)
}

/// The type of a picture, open where the format has none for it.
pub(super) fn picture_type(mime: &str) -> u32 {
    let mime = mime.to_ascii_lowercase();
    let mime = match mime.as_str() {
        "image/jpg" | "image/pjpeg" => "image/jpeg",
        "image/x-png" => "image/png",
        "image/x-ms-bmp" | "image/x-bmp" => "image/bmp",
        other => other,
    };
    PICTURES
        .iter()
        .find(|(_, known)| *known == mime)
        .map_or(IMPLICIT, |(data_type, _)| *data_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_items_round_trip() {
        for name in [*b"\xa9nam", *b"----", *b"\0\0\0\x01", *b"\x7fabc", *b"#abc"] {
            assert_eq!(kind(&printable(name)), Some(name));
        }
        for (mean, name) in [
            ("com.apple.iTunes", "LABEL"),
            ("com.apple.iTunes", "a:b"),
            ("org.example", "a:b"),
            ("", ""),
        ] {
            let native = freeform(mean, name).unwrap();
            assert_eq!(mean_and_name(&native), Some((mean, name)), "{native}");
        }
        assert_eq!(freeform("a:b", "c"), None);
        for no_name in ["©na", "©name", "日本語字", "----"] {
            assert_eq!(kind(no_name).is_some(), no_name == "----", "{no_name}");
        }
    }

    #[test]
    fn numbers_have_their_width_or_what_they_need() {
        for (text, width, bytes) in [
            ("1", 1, Some(&[1_u8][..])),
            ("120", 2, Some(&[0, 120])),
            ("-1", 2, Some(&[0xff, 0xff])),
            ("200", 1, Some(&[0, 200])),
            ("70000", 2, Some(&[0, 1, 0x11, 0x70])),
            ("01", 1, None),
            ("1.5", 2, None),
            ("", 1, None),
        ] {
            let encoded = encoded_number(text, width);
            assert_eq!(encoded.as_deref(), bytes, "{text}");
            if let Some(encoded) = encoded {
                let read = decode("tmpo", INTEGER, &encoded).unwrap();
                assert_eq!(read.text, text);
            }
        }
        assert_eq!(decode("tmpo", INTEGER, &[]), None);
        assert_eq!(decode("tmpo", INTEGER, &[0; 9]), None);
    }
}
