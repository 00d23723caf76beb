//! The item list of the tags (`ilst`), read: an atom per item, and in it a `data` atom per value.
//!
//! Each item is kept as the range of its bytes, so that what nobody changed is served as it was. Pictures and values that
//! are not text are told by their headers and never read. A broken item costs itself.

use std::collections::BTreeMap;

use lofty::id3::v1::GENRES;
use serde::{Deserialize, Serialize};

use super::super::region::{Region, ahead};
use super::super::text::{TextBudget, utf8_or_legacy, values_hash};
use super::super::vocabulary::{Claims, Family};
use super::super::{Art, ByteRange, Failure, Fetched, OpaqueItem, Source, Stop, Tag, Warning};
use super::atom::{self, Atom};
use super::quicktime::Text;
use super::value::{self, COVER, DISC_PAIR, FREEFORM, GENRE_NUMBER, TRACK_PAIR};

/// Most items of one file.
const ITEMS_MAX: usize = 16_384;

/// Longest mean and longest name of a freeform item in bytes.
const NAME_BYTES_MAX: u64 = 1024;

/// Longest value in bytes that is looked at to see whether it is text, where neither its type nor its item says so.
const UNTYPED_BYTES_MAX: u64 = 4096;

/// Version and flags, which each atom within an item starts with; in `data`, the flags are the value's type.
const HEAD_BYTES: u64 = 4;

/// What `data` has before its value: version, type, locale.
const DATA_HEAD_BYTES: u64 = 8;

/// The front cover, by the `ID3v2` APIC table: the only kind of picture that players show of an MP4 file.
const FRONT_COVER: u32 = 3;

/// An item as the file holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Item {
    /// With its header.
    pub(super) raw: ByteRange,
    /// What it is called.
    pub(super) native: String,
    pub(super) content: Content,
}

/// What an item holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Content {
    /// Values of one key.
    Values { key: u32 },
    /// Numbers and totals; keys that another item gives its values to are left out.
    Pairs {
        number: Option<u32>,
        total: Option<u32>,
    },
    /// Pictures.
    Covers,
    /// Something else, in that range.
    Kept(ByteRange),
}

/// A key that the file has values for, or could have in an item that it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Key {
    pub(super) key: String,
    /// [`values_hash`] of its values; `None` where they are to be written anew in any case.
    pub(super) hash: Option<u64>,
}

/// A picture as the file holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cover {
    pub(super) data_type: u32,
    pub(super) range: ByteRange,
}

/// The items of a file, for the synthesizer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ItemList {
    /// Whether the file has a list at all.
    pub(super) is_present: bool,
    pub(super) items: Vec<Item>,
    pub(super) keys: Vec<Key>,
    pub(super) covers: Vec<Cover>,
    /// Bytes behind the last item that are no item.
    pub(super) tails: Vec<ByteRange>,
}

/// What reading the items gave.
#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) list: ItemList,
    pub(super) tags: Vec<Tag>,
    pub(super) art: Vec<Art>,
    pub(super) kept: Vec<OpaqueItem>,
    pub(super) warnings: Vec<Warning>,
}

/// An item that was read.
struct Read {
    atom: Atom,
    native: String,
    content: ReadContent,
}

enum ReadContent {
    Values {
        values: Vec<String>,
        is_legacy: bool,
    },
    Pairs(Vec<(u16, u16)>),
    Covers(Vec<Cover>),
    Kept,
}

/// Reads item lists (by their bodies) one after the other as if they were one.
///
/// # Errors
/// `NeedMore`, or `Broken` when there are too many items.
pub(super) fn read(fetched: &Fetched, lists: &[ByteRange]) -> Result<Items, Stop> {
    let mut items = Items::default();
    let mut budget = TextBudget::new();
    let mut read = Vec::new();
    items.list.is_present = !lists.is_empty();
    for &list in lists {
        let region = Region::new(fetched, list)?;
        let mut offset = 0;
        while let Some(atom) = atom::read(&region, offset, ahead(read.len()))? {
            if atom.is_cut || atom.is_open {
                break;
            }
            if read.len() == ITEMS_MAX {
                return Err(Stop::Broken(Failure::OverLimit));
            }
            offset += atom.whole.len;
            let further = ahead(read.len());
            read.push(item(fetched, atom, further, &mut budget, &mut items)?);
        }
        if offset < region.len() {
            items.warn(
                "ilst",
                "it ends in bytes that are no item, which are kept as they are",
            );
            items
                .list
                .tails
                .push(region.range(offset, region.len() - offset));
        }
    }
    items.name(read);
    Ok(items)
}

/// Reads one item; what is wrong with it makes it one that is kept.
fn item(
    fetched: &Fetched,
    atom: Atom,
    further: u64,
    budget: &mut TextBudget,
    items: &mut Items,
) -> Result<Read, Stop> {
    let mut native = value::printable(atom.kind);
    let content = match content(fetched, &atom, &mut native, further, budget) {
        Ok(Ok(content)) => content,
        Ok(Err(reason)) => {
            items.warn(&native, &reason);
            ReadContent::Kept
        }
        Err(Stop::Broken(_)) => {
            items.warn(
                &native,
                "its atoms contradict each other; it is kept as it is",
            );
            ReadContent::Kept
        }
        Err(more) => return Err(more),
    };
    Ok(Read {
        atom,
        native,
        content,
    })
}

/// What an item holds, or why it is kept unread. `native` becomes what it is called, where that takes its name.
fn content(
    fetched: &Fetched,
    atom: &Atom,
    native: &mut String,
    further: u64,
    budget: &mut TextBudget,
) -> Result<Result<ReadContent, String>, Stop> {
    let region = Region::new(fetched, atom.body)?;
    if native == COVER {
        return covers(fetched, &region).map(Ok);
    }
    // The header of an ordinary item's only value comes with its own.
    region.get(
        0,
        usize::try_from(region.len().min(16)).expect("16"),
        further,
    )?;
    let level = atom::level_of(&region, 0, atom::ITEMS_MAX)?;
    let mut values = &level.atoms[..];
    let mut is_known = level.tail.len == 0;
    if native == FREEFORM {
        let [mean, name, rest @ ..] = values else {
            return Ok(Ok(ReadContent::Kept));
        };
        if (mean.kind, name.kind) != (*b"mean", *b"name") {
            return Ok(Ok(ReadContent::Kept));
        }
        let (Some(mean), Some(name)) = (name_of(fetched, mean)?, name_of(fetched, name)?) else {
            return Ok(Err("its name cannot be read".to_owned()));
        };
        let Some(called) = value::freeform(&mean, &name) else {
            return Ok(Ok(ReadContent::Kept));
        };
        *native = called;
        values = rest;
    } else {
        is_known &= !native.starts_with('#');
    }
    if !is_known || values.is_empty() || values.iter().any(|value| value.kind != *b"data") {
        return Ok(Ok(ReadContent::Kept));
    }
    let mut read = Vec::new();
    for data in values {
        let Some((data_type, value)) = header(fetched, data)? else {
            return Ok(Ok(ReadContent::Kept));
        };
        read.push((data_type, value));
    }
    let total = read.iter().map(|(_, value)| value.len).sum();
    let may_be_text = |(data_type, value): &(u32, ByteRange)| match *data_type {
        value::IMPLICIT => value::is_known_atom(native) || value.len <= UNTYPED_BYTES_MAX,
        value::UTF_8 | value::UTF_16 | value::INTEGER | value::UNSIGNED => true,
        _ => false,
    };
    if !read.iter().all(may_be_text) {
        return Ok(Ok(ReadContent::Kept));
    }
    if !budget.take(total) {
        return Ok(Err(format!("a value of {total} bytes is kept unread")));
    }
    let bytes = |value: ByteRange| {
        let len = usize::try_from(value.len).expect("within the text bounds");
        Region::new(fetched, value)?.get(0, len, 0)
    };
    if native == TRACK_PAIR || native == DISC_PAIR {
        let mut pairs = Vec::new();
        for (_, value) in read {
            let &[_, _, a, b, ref rest @ ..] = bytes(value)? else {
                return Ok(Ok(ReadContent::Kept));
            };
            let total = match *rest {
                [c, d, ..] => u16::from_be_bytes([c, d]),
                _ => 0,
            };
            pairs.push((u16::from_be_bytes([a, b]), total));
        }
        return Ok(Ok(ReadContent::Pairs(pairs)));
    }
    let mut texts = Vec::new();
    let mut is_legacy = false;
    for (data_type, value) in read {
        let bytes = bytes(value)?;
        let text = if native == GENRE_NUMBER && data_type != value::UTF_8 {
            genre(bytes)
        } else {
            value::decode(native, data_type, bytes).map(|text| {
                is_legacy |= text.is_legacy;
                text.text
            })
        };
        let Some(text) = text else {
            return Ok(Ok(ReadContent::Kept));
        };
        texts.push(text);
    }
    Ok(Ok(ReadContent::Values {
        values: texts,
        is_legacy,
    }))
}

/// The text of a `mean` or `name`; `None` where it is too long, or not even has a head.
fn name_of(fetched: &Fetched, atom: &Atom) -> Result<Option<String>, Stop> {
    let Some(len) = atom.body.len.checked_sub(HEAD_BYTES) else {
        return Ok(None);
    };
    if len > NAME_BYTES_MAX {
        return Ok(None);
    }
    let len = usize::try_from(len).expect("bounded");
    let bytes = Region::new(fetched, atom.body)?.get(HEAD_BYTES, len, 0)?;
    let decoded = utf8_or_legacy(bytes);
    // Bytes of another encoding could not be written again as they are.
    Ok((!decoded.legacy).then_some(decoded.text))
}

/// Type and place of the value of a `data` atom; `None` where it is of an unknown version.
fn header(fetched: &Fetched, data: &Atom) -> Result<Option<(u32, ByteRange)>, Stop> {
    let region = Region::new(fetched, data.body)?;
    let head = region.get(0, 8, 0)?;
    let data_type = u32::from_be_bytes([0, head[1], head[2], head[3]]);
    let value = region.range(DATA_HEAD_BYTES, region.len() - DATA_HEAD_BYTES);
    Ok((head[0] == 0).then_some((data_type, value)))
}

/// The pictures of a `covr`. What stands between them (a `name`) is only kept as long as nobody changes a picture.
fn covers(fetched: &Fetched, region: &Region<'_>) -> Result<ReadContent, Stop> {
    let level = atom::level_of(region, 0, atom::ITEMS_MAX)?;
    let mut covers = Vec::new();
    for data in level.named(b"data") {
        match header(fetched, data)? {
            Some((data_type, range)) if range.len > 0 => covers.push(Cover { data_type, range }),
            Some(_) => {}
            None => return Ok(ReadContent::Kept),
        }
    }
    Ok(if covers.is_empty() {
        ReadContent::Kept
    } else {
        ReadContent::Covers(covers)
    })
}

fn genre(bytes: &[u8]) -> Option<String> {
    let number = u16::from_be_bytes(bytes.try_into().ok()?);
    let index = usize::from(number).checked_sub(1)?;
    GENRES.get(index).map(|&genre| genre.to_owned())
}

/// Values by key, and the number that each key has for the synthesizer.
#[derive(Default)]
struct Keys {
    keys: BTreeMap<String, (u32, Vec<String>, bool)>,
}

impl Keys {
    fn index(&mut self, key: &str) -> u32 {
        let next = u32::try_from(self.keys.len()).expect("bounded by the items");
        self.keys
            .entry(key.to_owned())
            .or_insert_with(|| (next, Vec::new(), false))
            .0
    }

    fn add(&mut self, key: &str, value: &str, is_legacy: bool) -> u32 {
        let index = self.index(key);
        if let Some((_, values, legacy)) = self.keys.get_mut(key) {
            values.push(value.to_owned());
            *legacy |= is_legacy;
        }
        index
    }

    fn done(self) -> Vec<Key> {
        let mut keys: Vec<(u32, Key)> = self
            .keys
            .into_iter()
            .map(|(key, (index, values, is_legacy))| {
                let hash = (!is_legacy).then(|| values_hash(values.iter().map(String::as_str)));
                (index, Key { key, hash })
            })
            .collect();
        keys.sort_by_key(|(index, _)| *index);
        keys.into_iter().map(|(_, key)| key).collect()
    }
}

impl Items {
    pub(super) fn warn(&mut self, field: &str, reason: &str) {
        self.warnings.push(Warning::BadField {
            field: field.to_owned(),
            reason: reason.to_owned(),
        });
    }

    /// Gives the keys of the vocabulary to what was read.
    fn name(&mut self, read: Vec<Read>) {
        let claims = Claims::new(Family::Mp4, read.iter().flat_map(natives));
        let mut keys = Keys::default();
        for Read {
            atom,
            native,
            content,
        } in read
        {
            let content = match content {
                ReadContent::Values { .. }
                    if native == GENRE_NUMBER && claims.key(&native).is_none() =>
                {
                    self.keep(&native, &atom)
                }
                ReadContent::Values { values, is_legacy } => {
                    if is_legacy {
                        self.warnings.push(Warning::LegacyText {
                            field: native.clone(),
                        });
                    }
                    let key = claims.key(&native).unwrap_or(&native);
                    let index = keys.index(key);
                    for value in values {
                        keys.add(key, &value, is_legacy);
                        self.tag(key, value);
                    }
                    Content::Values { key: index }
                }
                ReadContent::Pairs(pairs) => self.pairs(&native, &pairs, &claims, &mut keys),
                ReadContent::Covers(covers) => {
                    self.art.extend(covers.iter().map(art));
                    self.list.covers.extend(covers);
                    Content::Covers
                }
                ReadContent::Kept => self.keep(&native, &atom),
            };
            self.list.items.push(Item {
                raw: atom.whole,
                native,
                content,
            });
        }
        self.list.keys = keys.done();
    }

    fn pairs(
        &mut self,
        native: &str,
        pairs: &[(u16, u16)],
        claims: &Claims,
        keys: &mut Keys,
    ) -> Content {
        let names = pair_keys(native).expect("only items of pairs have them");
        let mut own = |key: &'static str, claimed: String, of: fn(&(u16, u16)) -> u16| {
            // A key whose values are in another item is none of this one.
            if claims.has(key) && claims.key(&claimed) != Some(key) {
                return None;
            }
            let index = keys.index(key);
            for number in pairs.iter().map(of).filter(|&number| number > 0) {
                keys.add(key, &number.to_string(), false);
                self.tag(key, number.to_string());
            }
            Some(index)
        };
        Content::Pairs {
            number: own(names.0, native.to_owned(), |pair| pair.0),
            total: own(names.1, format!("{native}/"), |pair| pair.1),
        }
    }

    /// Takes over text that stands outside of an item list; it is to be written into one.
    pub(super) fn borrow(&mut self, texts: Vec<Text>) {
        let claims = Claims::new(Family::Mp4, texts.iter().map(|text| text.native.as_str()));
        for text in texts {
            if text.is_legacy {
                self.warnings.push(Warning::LegacyText {
                    field: text.native.clone(),
                });
            }
            let key = claims.key(&text.native).unwrap_or(&text.native);
            for value in text.values {
                self.tag(key, value);
            }
        }
    }

    fn tag(&mut self, key: &str, value: String) {
        self.tags.push(Tag {
            key: key.to_owned(),
            value,
        });
    }

    fn keep(&mut self, native: &str, atom: &Atom) -> Content {
        self.kept.push(OpaqueItem {
            native: native.to_owned(),
            flags: 0,
            source: Source::Backing(atom.body),
        });
        Content::Kept(atom.body)
    }
}

/// The names by which an item stands for keys of the vocabulary.
fn natives(read: &Read) -> Vec<&str> {
    match &read.content {
        ReadContent::Values { .. } => vec![&read.native],
        ReadContent::Pairs(pairs) => {
            let (number, total): (&str, &str) = if read.native == TRACK_PAIR {
                (TRACK_PAIR, "trkn/")
            } else {
                (DISC_PAIR, "disk/")
            };
            let mut names = Vec::new();
            if pairs.iter().any(|pair| pair.0 > 0) {
                names.push(number);
            }
            if pairs.iter().any(|pair| pair.1 > 0) {
                names.push(total);
            }
            names
        }
        ReadContent::Covers(_) | ReadContent::Kept => Vec::new(),
    }
}

/// The keys of number and total of an item of pairs.
pub(super) fn pair_keys(native: &str) -> Option<(&'static str, &'static str)> {
    match native {
        TRACK_PAIR => Some(("track", "tracktotal")),
        DISC_PAIR => Some(("disc", "disctotal")),
        _ => None,
    }
}

fn art(cover: &Cover) -> Art {
    Art {
        picture_type: FRONT_COVER,
        mime: value::mime(cover.data_type).to_owned(),
        description: String::new(),
        width: 0,
        height: 0,
        depth: 0,
        colors: 0,
        source: Source::Backing(cover.range),
    }
}
