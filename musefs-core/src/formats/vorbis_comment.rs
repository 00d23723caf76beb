//! Vorbis comments: a vendor text and a list of `NAME=value` (Vorbis I specification, section 5; RFC 9639, section 8.6).
//!
//! Comments that nobody changed are served as the raw bytes of the file, so that what this code does not understand about
//! them survives all the same. A key is unchanged when its list of values is what the file holds.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::assembly::Assembly;
use super::region::{Extent, Places, ahead};
use super::text::{TextBudget, number_and_total, utf8_or_legacy, values_hash};
use super::vocabulary::{Claims, Family, native_name, total_of};
use super::{ByteRange, Failure, OpaqueItem, Source, Stop, SynthesisError, Tag, Warning};
use crate::layout::BlobKind;

/// Most comments of one file.
const COMMENTS_MAX: u32 = 16_384;

/// Longest name of a comment in bytes; a comment without `=` this early is kept unread.
const NAME_BYTES_MAX: usize = 256;

/// A comment list up to this size is fetched in one piece.
const WHOLE_BYTES_MAX: u64 = 16 << 10;

/// A kept comment: this, then its name; the item's bytes are its value.
pub(super) const KEPT_PREFIX: &str = "COMMENT:";

/// A kept comment without a name; the item's bytes are all of it.
const KEPT_NAMELESS: &str = "COMMENT";

/// Comments that hold whole pictures in base64: never read, kept as they are.
const PICTURE_NAMES: [&str; 2] = ["METADATA_BLOCK_PICTURE", "COVERART"];

/// A comment as the file holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Comment {
    /// With its length field.
    raw: ByteRange,
    /// The name in the file's spelling.
    name: String,
    /// Indexes of the keys that it gave values to: the first is the one that it is written for.
    keys: Vec<u32>,
}

/// A key that the file has values for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Key {
    key: String,
    /// [`values_hash`] of its values; `None` where they are to be written anew in any case.
    hash: Option<u64>,
}

/// The comments of a file, for the synthesizer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CommentList {
    /// The vendor text, without its length field.
    vendor: Option<ByteRange>,
    comments: Vec<Comment>,
    keys: Vec<Key>,
}

/// What reading the comments gave.
#[derive(Debug, Default)]
pub(super) struct Comments {
    pub(super) list: CommentList,
    pub(super) tags: Vec<Tag>,
    pub(super) items: Vec<OpaqueItem>,
    pub(super) warnings: Vec<Warning>,
    /// Where the last list ended, in bytes from its extent's start.
    pub(super) end: u64,
}

/// A comment whose text was read.
struct ReadComment {
    raw: ByteRange,
    name: String,
    value: String,
    legacy: bool,
}

/// Reads comment lists one after the other as if they were one: the extents hold a list each, from its vendor length on.
///
/// # Errors
/// `NeedMore`, or `Broken` when a list contradicts its own lengths or has too many comments.
pub(super) fn read<'a>(extents: &[impl Extent<'a>]) -> Result<Comments, Stop> {
    let mut comments = Comments::default();
    let mut budget = TextBudget::new();
    let mut read = Vec::new();
    for extent in extents {
        read_list(extent, &mut budget, &mut comments, &mut read)?;
    }
    let upper: Vec<String> = read
        .iter()
        .map(|comment| comment.name.to_ascii_uppercase())
        .collect();
    let claims = Claims::new(Family::Vorbis, upper.iter().map(String::as_str));
    let mut values: BTreeMap<String, (u32, Vec<String>, bool)> = BTreeMap::new();
    for (comment, upper) in read.into_iter().zip(upper) {
        if comment.legacy {
            comments.warnings.push(Warning::LegacyText {
                field: comment.name.clone(),
            });
        }
        let key = claims.key(&upper).map_or(upper, str::to_owned);
        let mut pairs = Vec::new();
        match total_of(&key) {
            Some(total) => {
                let (number, stated) = number_and_total(&comment.value);
                if !number.is_empty() || stated.is_none() {
                    pairs.push((key.clone(), number.to_owned()));
                }
                // A total of its own wins over one that rides on the number.
                if let Some(stated) = stated.filter(|_| !claims.has(total)) {
                    pairs.push((total.to_owned(), stated.to_owned()));
                }
            }
            None => pairs.push((key, comment.value)),
        }
        let mut keys = Vec::new();
        for (key, value) in pairs {
            let next = u32::try_from(values.len()).expect("bounded by the comments");
            let entry = values
                .entry(key.clone())
                .or_insert_with(|| (next, Vec::new(), false));
            entry.1.push(value.clone());
            // A name that cannot be written stays as it is, and its value with it.
            entry.2 |= comment.legacy && field_name(&comment.name) == comment.name;
            keys.push(entry.0);
            comments.tags.push(Tag { key, value });
        }
        comments.list.comments.push(Comment {
            raw: comment.raw,
            name: comment.name,
            keys,
        });
    }
    let mut keys: Vec<(u32, Key)> = values
        .into_iter()
        .map(|(key, (index, values, legacy))| {
            let hash = (!legacy).then(|| values_hash(values.iter().map(String::as_str)));
            (index, Key { key, hash })
        })
        .collect();
    keys.sort_by_key(|(index, _)| *index);
    comments.list.keys = keys.into_iter().map(|(_, key)| key).collect();
    Ok(comments)
}

fn read_list<'a>(
    extent: &impl Extent<'a>,
    budget: &mut TextBudget,
    into: &mut Comments,
    read: &mut Vec<ReadComment>,
) -> Result<(), Stop> {
    if extent.len() <= WHOLE_BYTES_MAX {
        let len = usize::try_from(extent.len()).expect("bounded");
        extent.get(0, len, 0)?;
    }
    let malformed = Stop::Broken(Failure::Malformed);
    let vendor_len = u64::from(length(extent, 0, 0)?);
    if vendor_len > extent.len() - 4 {
        return Err(malformed);
    }
    if into.list.vendor.is_none() {
        into.list.vendor = Some(extent.range(4, vendor_len));
    }
    let mut offset = 4 + vendor_len;
    let count = length(extent, offset, 0)?;
    if u64::from(count) + (read.len() as u64) > u64::from(COMMENTS_MAX) {
        return Err(Stop::Broken(Failure::OverLimit));
    }
    offset += 4;
    for index in 0..count as usize {
        let further = ahead(index);
        let len = u64::from(length(extent, offset, further)?);
        let start = offset + 4;
        if len > extent.len() - start {
            return Err(malformed);
        }
        let head_len = usize::try_from(len).map_or(NAME_BYTES_MAX, |len| len.min(NAME_BYTES_MAX));
        let head = extent.get(start, head_len, further)?;
        let equals = head.iter().position(|&byte| byte == b'=');
        let raw = extent.range(offset, len + 4);
        offset = start + len;
        match equals {
            Some(equals) if equals > 0 => {
                let name = utf8_or_legacy(&head[..equals]);
                let skip = equals as u64 + 1;
                let is_picture = PICTURE_NAMES
                    .iter()
                    .any(|picture| picture.eq_ignore_ascii_case(&name.text));
                if is_picture || !budget.take(len) {
                    if !is_picture {
                        into.warnings.push(Warning::BadField {
                            field: name.text.clone(),
                            reason: format!("a value of {len} bytes is kept unread"),
                        });
                    }
                    into.items.push(OpaqueItem {
                        native: format!("{KEPT_PREFIX}{}", name.text),
                        flags: 0,
                        source: Source::Backing(extent.range(start + skip, len - skip)),
                    });
                    continue;
                }
                let whole = usize::try_from(len).expect("within the text bounds");
                let value = utf8_or_legacy(&extent.get(start, whole, further)?[equals + 1..]);
                read.push(ReadComment {
                    raw,
                    legacy: name.legacy || value.legacy,
                    name: name.text,
                    value: value.text,
                });
            }
            _ => {
                into.warnings.push(Warning::BadField {
                    field: KEPT_NAMELESS.to_owned(),
                    reason: "a comment without a name is kept unread".to_owned(),
                });
                into.items.push(OpaqueItem {
                    native: KEPT_NAMELESS.to_owned(),
                    flags: 0,
                    source: Source::Backing(extent.range(start, len)),
                });
            }
        }
    }
    into.end = offset;
    Ok(())
}

/// Where the first comment ends that the extent does not hold all of, or else the last one: in bytes from the start of the
/// list, which the extent begins with.
///
/// # Errors
/// `NeedMore`, or `Broken` when not even the number of comments is there.
pub(super) fn reach<'a>(extent: &impl Extent<'a>) -> Result<u64, Stop> {
    let mut offset = 4 + u64::from(length(extent, 0, 0)?);
    let count = length(extent, offset, 0)?.min(COMMENTS_MAX);
    offset += 4;
    for index in 0..count as usize {
        if offset + 4 > extent.len() {
            break;
        }
        offset += 4 + u64::from(length(extent, offset, ahead(index))?);
    }
    Ok(offset)
}

fn length<'a>(extent: &impl Extent<'a>, offset: u64, ahead: u64) -> Result<u32, Stop> {
    let bytes = extent.get(offset, 4, ahead)?;
    Ok(u32::from_le_bytes(
        bytes[..].try_into().expect("four bytes"),
    ))
}

/// Whether a kept item is a comment.
pub(super) fn is_kept_comment(native: &str) -> bool {
    native == KEPT_NAMELESS || native.starts_with(KEPT_PREFIX)
}

impl CommentList {
    /// Whether the file has no comment at all.
    pub(super) fn is_empty(&self) -> bool {
        self.comments.is_empty()
    }

    /// The comment list that holds `tags`, those of `items` that are comments, and `further` comments, each without
    /// its length field: what is unchanged as ranges of the backing file, in the file's order; a changed
    /// key's values where its first comment stood; new keys at the end.
    ///
    /// # Errors
    /// When a value or the number of comments does not fit 32 bits.
    pub(super) fn write(
        &self,
        tags: &[Tag],
        items: &[OpaqueItem],
        further: Vec<Assembly>,
        places: &impl Places,
    ) -> Result<Assembly, SynthesisError> {
        let wanted = group(tags);
        let unchanged = self.unchanged(&wanted);
        let mut body = Assembly::default();
        let mut count: u64 = 0;
        let mut done: BTreeSet<&str> = BTreeSet::new();
        let by_key: BTreeMap<&str, &[&str]> = wanted
            .iter()
            .map(|(key, values)| (*key, values.as_slice()))
            .collect();
        let write_key = |key: &str, name: &str, body: &mut Assembly| {
            let values = by_key.get(key).copied().unwrap_or_default();
            for value in values {
                let len = name.len() + 1 + value.len();
                body.bytes(&length_field(len as u64, name)?.to_le_bytes());
                body.bytes(name.as_bytes());
                body.bytes(b"=");
                body.bytes(value.as_bytes());
            }
            Ok::<u64, SynthesisError>(values.len() as u64)
        };
        for comment in &self.comments {
            let keys = || {
                comment
                    .keys
                    .iter()
                    .filter_map(|&index| self.keys.get(index as usize))
                    .map(|key| key.key.as_str())
            };
            if keys().all(|key| unchanged.contains(key)) {
                body.stored(Source::Backing(comment.raw), BlobKind::BinaryTag, places);
                count += 1;
                done.extend(keys());
                continue;
            }
            for (position, key) in keys().enumerate() {
                if done.insert(key) {
                    let name = if position == 0 {
                        field_name(&comment.name)
                    } else {
                        default_name(key)
                    };
                    count += write_key(key, &name, &mut body)?;
                }
            }
        }
        for (key, _) in &wanted {
            if done.insert(key) {
                count += write_key(key, &default_name(key), &mut body)?;
            }
        }
        for item in items.iter().filter(|item| is_kept_comment(&item.native)) {
            let mut comment = Assembly::default();
            if let Some(name) = item.native.strip_prefix(KEPT_PREFIX) {
                comment.bytes(field_name(name).as_bytes());
                comment.bytes(b"=");
            }
            comment.stored(item.source, BlobKind::BinaryTag, places);
            body.bytes(&length_field(comment.len(), &item.native)?.to_le_bytes());
            body.append(comment);
            count += 1;
        }
        for comment in further {
            body.bytes(&length_field(comment.len(), "a comment")?.to_le_bytes());
            body.append(comment);
            count += 1;
        }
        let mut vendor = Assembly::default();
        if let Some(range) = self.vendor {
            vendor.stored(Source::Backing(range), BlobKind::BinaryTag, places);
        }
        let mut list = Assembly::default();
        list.bytes(&length_field(vendor.len(), "vendor")?.to_le_bytes());
        list.append(vendor);
        list.bytes(&length_field(count, "comments")?.to_le_bytes());
        list.append(body);
        Ok(list)
    }

    /// The keys whose values are what the file holds. Keys that share a comment (`TRACKNUMBER=1/12`) are so together or
    /// not at all.
    fn unchanged(&self, wanted: &[(&str, Vec<&str>)]) -> BTreeSet<&str> {
        let wanted: BTreeMap<&str, u64> = wanted
            .iter()
            .map(|(key, values)| (*key, values_hash(values.iter().copied())))
            .collect();
        let mut unchanged: BTreeSet<&str> = self
            .keys
            .iter()
            .filter(|key| key.hash.is_some() && wanted.get(key.key.as_str()) == key.hash.as_ref())
            .map(|key| key.key.as_str())
            .collect();
        loop {
            let before = unchanged.len();
            for comment in &self.comments {
                let keys = || {
                    comment
                        .keys
                        .iter()
                        .filter_map(|&index| self.keys.get(index as usize))
                        .map(|key| key.key.as_str())
                };
                if !keys().all(|key| unchanged.contains(key)) {
                    for key in keys() {
                        unchanged.remove(key);
                    }
                }
            }
            if unchanged.len() == before {
                return unchanged;
            }
        }
    }
}

/// Values by key, in the order in which the keys first appear.
fn group(tags: &[Tag]) -> Vec<(&str, Vec<&str>)> {
    let mut indexes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for tag in tags {
        let index = *indexes.entry(&tag.key).or_insert_with(|| {
            groups.push((&tag.key, Vec::new()));
            groups.len() - 1
        });
        groups[index].1.push(&tag.value);
    }
    groups
}

fn default_name(key: &str) -> String {
    native_name(key, Family::Vorbis).map_or_else(|| field_name(&key.to_uppercase()), str::to_owned)
}

/// A name with the characters that a comment's name cannot hold (RFC 9639, section 8.6: 0x20 to 0x7E without `=`)
/// replaced by `_`.
pub(super) fn field_name(name: &str) -> String {
    name.chars()
        .map(|character| match character {
            ' '..='~' if character != '=' => character,
            _ => '_',
        })
        .collect()
}

fn length_field(len: u64, what: &str) -> Result<u32, SynthesisError> {
    u32::try_from(len).map_err(|_| SynthesisError::TooLarge {
        what: what.to_owned(),
        len,
        max: u64::from(u32::MAX),
    })
}
