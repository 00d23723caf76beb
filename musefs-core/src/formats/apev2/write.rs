//! Writes one `APEv2` tag with header and footer: text that nobody edited as the bytes of the file, everything in the file's
//! order, then what is new, kept items, and pictures.

use std::collections::{BTreeMap, BTreeSet};

use super::{FOOTER_BYTES, HAS_HEADER, IS_HEADER, ITEMS_MAX, KEY_BYTES_MAX, PICTURES, mime_of};
use crate::formats::assembly::Assembly;
use crate::formats::originals::{Originals, Step};
use crate::formats::vocabulary::{Family, native_name};
use crate::formats::{Art, Desired, SynthesisError};
use crate::layout::BlobKind;

/// What stands in front of every header and footer.
const MARK: &[u8; 8] = b"APETAGEX";

const VERSION: u32 = 2000;

/// The flags of a binary item.
const BINARY: u32 = 0b010;

/// Shortest key in bytes, and keys that would be taken for other tags, as the specification has them.
const KEY_BYTES_MIN: usize = 2;
const FORBIDDEN: [&str; 4] = ["ID3", "TAG", "OggS", "MP+"];

/// Items in the making.
#[derive(Default)]
struct Items {
    bytes: Assembly,
    count: u32,
    /// Keys so far, in lower case: no two items may have one key.
    keys: BTreeSet<String>,
}

/// The whole tag; nothing where it would hold no item.
///
/// # Errors
/// When an item or the tag is longer than 32 bits can say, or there are too many items to read again.
pub(in crate::formats) fn write(
    desired: &Desired<'_>,
    originals: &Originals,
) -> Result<Assembly, SynthesisError> {
    let plan = originals.plan(desired.tags);
    let mut items = Items::default();
    let mut anew: Vec<(String, u32, Vec<&str>)> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for step in plan.steps() {
        match step {
            Step::Raw(original) => {
                items.keys.insert(original.native.to_ascii_lowercase());
            }
            Step::Anew {
                original,
                key,
                values,
            } => {
                let native = match original {
                    Some(original) => original.native.clone(),
                    None => default_native(key),
                };
                let place = *places
                    .entry(native.to_ascii_lowercase())
                    .or_insert_with(|| {
                        let flags = original.map_or(0, |original| original.flags);
                        anew.push((native, flags, Vec::new()));
                        anew.len() - 1
                    });
                let values = values.iter().map(String::as_str);
                anew[place].2.extend(values);
            }
        }
    }
    let mut done = BTreeSet::new();
    for step in plan.steps() {
        match step {
            Step::Raw(original) => {
                items.count += 1;
                items.bytes.backing(original.raw.offset, original.raw.len);
            }
            Step::Anew { original, key, .. } => {
                let native = match original {
                    Some(original) => original.native.clone(),
                    None => default_native(key),
                };
                let place = places[&native.to_ascii_lowercase()];
                if done.insert(place) {
                    let (native, flags, values) = &anew[place];
                    let mut value = Assembly::default();
                    value.bytes(values.join("\0").as_bytes());
                    items.push(native, *flags, value)?;
                }
            }
        }
    }
    for item in desired.items {
        let mut value = Assembly::default();
        value.source(item.source, BlobKind::BinaryTag);
        items.push(&item.native, item.flags, value)?;
    }
    for art in desired.art {
        let (name, value) = picture(art);
        items.push(name, BINARY, value)?;
    }
    tag(items)
}

/// The item that a key is written to when the file has none for it.
fn default_native(key: &str) -> String {
    match native_name(key, Family::Ape) {
        Some(native) => native.to_owned(),
        None => item_key(key),
    }
}

/// A key with what an item's key cannot hold replaced by `_`.
fn item_key(key: &str) -> String {
    let mut key: String = key
        .chars()
        .map(|character| match character {
            ' '..='~' => character,
            _ => '_',
        })
        .take(KEY_BYTES_MAX)
        .collect();
    while key.len() < KEY_BYTES_MIN || FORBIDDEN.iter().any(|name| name.eq_ignore_ascii_case(&key))
    {
        key.push('_');
    }
    key
}

/// The name of a picture, and its item's value: the name of a file, a NUL, and the picture.
fn picture(art: &Art) -> (&'static str, Assembly) {
    let name = PICTURES
        .iter()
        .find(|(_, number)| *number == art.picture_type)
        .map_or("Cover Art (Other)", |(name, _)| *name);
    let mut file_name: String = art.description.chars().filter(|&c| c != '\0').collect();
    if mime_of(&file_name) != art.mime || !(file_name.contains('.') || art.mime == "image/jpeg") {
        let extension = match art.mime.as_str() {
            "image/jpeg" | "image/jpg" => "jpg",
            "image/png" => "png",
            "image/gif" => "gif",
            "image/webp" => "webp",
            "image/bmp" => "bmp",
            _ => "bin",
        };
        if file_name.is_empty() {
            name.clone_into(&mut file_name);
        }
        file_name = format!("{file_name}.{extension}");
    }
    let mut value = Assembly::default();
    value.bytes(file_name.as_bytes());
    value.bytes(&[0]);
    value.source(art.source, BlobKind::Art);
    (name, value)
}

impl Items {
    /// Appends an item; a key that is taken is numbered.
    fn push(&mut self, key: &str, flags: u32, value: Assembly) -> Result<(), SynthesisError> {
        let wanted = item_key(key);
        let mut key = wanted.clone();
        for number in 2..=ITEMS_MAX + 1 {
            if self.keys.insert(key.to_ascii_lowercase()) {
                break;
            }
            key = format!("{wanted} {number}");
        }
        self.bytes.bytes(&size(&key, value.len())?.to_le_bytes());
        self.bytes.bytes(&flags.to_le_bytes());
        self.bytes.bytes(key.as_bytes());
        self.bytes.bytes(&[0]);
        self.bytes.append(value);
        self.count += 1;
        Ok(())
    }
}

fn tag(items: Items) -> Result<Assembly, SynthesisError> {
    let mut tag = Assembly::default();
    if items.count == 0 {
        return Ok(tag);
    }
    if items.count > ITEMS_MAX {
        return Err(SynthesisError::TooLarge {
            what: "the number of APEv2 items".to_owned(),
            len: u64::from(items.count),
            max: u64::from(ITEMS_MAX),
        });
    }
    let len = size(
        "the APEv2 tag",
        items.bytes.len().saturating_add(FOOTER_BYTES),
    )?;
    let mark = |flags: u32, into: &mut Assembly| {
        into.bytes(MARK);
        for number in [VERSION, len, items.count, flags, 0, 0] {
            into.bytes(&number.to_le_bytes());
        }
    };
    mark(HAS_HEADER | IS_HEADER, &mut tag);
    tag.append(items.bytes);
    let mut footer = Assembly::default();
    mark(HAS_HEADER, &mut footer);
    tag.append(footer);
    Ok(tag)
}

fn size(what: &str, len: u64) -> Result<u32, SynthesisError> {
    u32::try_from(len).map_err(|_| SynthesisError::TooLarge {
        what: what.to_owned(),
        len,
        max: u64::from(u32::MAX),
    })
}
