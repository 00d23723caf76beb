//! Text as `QuickTime` has it, in atoms of `udta` itself: a name that begins with `©`, and a list of texts in languages
//! (Apple, `QuickTime` File Format, "User Data Text Strings and Language Codes").

use super::super::region::Region;
use super::super::text::{TextBudget, utf8_or_legacy};
use super::super::{Fetched, Stop};
use super::atom::Atom;
use super::value;

/// `©`, as the first byte of an atom's name.
const TEXT_MARK: u8 = 0xa9;

/// Length and language of a text.
const HEAD_BYTES: u64 = 4;

/// The texts of one atom.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) native: String,
    pub(super) values: Vec<String>,
    pub(super) is_legacy: bool,
}

/// The texts of an atom, whatever their languages; `None` where it is no list of texts, or too long.
///
/// # Errors
/// `NeedMore`.
pub(super) fn text(
    fetched: &Fetched,
    atom: &Atom,
    budget: &mut TextBudget,
) -> Result<Option<Text>, Stop> {
    let native = value::printable(atom.kind);
    if atom.kind[0] != TEXT_MARK || native.starts_with('#') || !budget.take(atom.body.len) {
        return Ok(None);
    }
    let region = Region::new(fetched, atom.body)?;
    let len = usize::try_from(region.len()).expect("within the text bounds");
    let mut rest = region.get(0, len, 0)?;
    let mut text = Text {
        native,
        values: Vec::new(),
        is_legacy: false,
    };
    while rest.len() as u64 >= HEAD_BYTES {
        let len = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        let Some(value) = rest.get(4..4 + len) else {
            return Ok(None);
        };
        let decoded = utf8_or_legacy(value);
        text.is_legacy |= decoded.legacy;
        text.values.push(decoded.text);
        rest = &rest[4 + len..];
    }
    let is_list = !text.values.is_empty() && rest.iter().all(|&byte| byte == 0);
    Ok(is_list.then_some(text))
}
