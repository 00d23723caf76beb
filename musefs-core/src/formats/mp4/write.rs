//! The item list, written: what is unchanged as ranges of the file, in the file's order; a changed key's values where its
//! first item stood; new keys, pictures and kept items at the end.
//!
//! A value that the key's own item cannot hold (a track called `A1`) goes into a freeform item.

use std::collections::{BTreeMap, BTreeSet};

use super::super::assembly::Assembly;
use super::super::text::{number_and_total, values_hash};
use super::super::vocabulary::{Family, native_name, native_names};
use super::super::{Art, OpaqueItem, Source, SynthesisError, Tag};
use super::atom::Kind;
use super::items::{Content, Item, ItemList, Key, pair_keys};
use super::movie::atom;
use super::value::{self, COVER, DISC_PAIR, FREEFORM, GENRE_NUMBER, TRACK_PAIR};
use crate::layout::BlobKind;

impl ItemList {
    /// The body of the list that holds `tags`, `art` and `kept`; `None` when the file has no list and needs none.
    ///
    /// # Errors
    /// When an item is larger than 32 bits can say, or a kept item names no atom.
    pub(super) fn write(
        &self,
        tags: &[Tag],
        art: &[Art],
        kept: &[OpaqueItem],
    ) -> Result<Option<Assembly>, SynthesisError> {
        if !self.is_present && tags.is_empty() && art.is_empty() && kept.is_empty() {
            return Ok(None);
        }
        let mut wanted: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for tag in tags {
            wanted.entry(&tag.key).or_default().push(&tag.value);
        }
        let unchanged = self.unchanged(&wanted);
        let is_unchanged = |key: u32| unchanged.get(key as usize) == Some(&true);
        let mut writer = Writer {
            wanted,
            done: BTreeSet::new(),
            body: Assembly::default(),
        };
        let covers_unchanged = self.covers_are(art);
        let mut covers_done = false;
        let mut kept_done = vec![false; kept.len()];
        for item in &self.items {
            match &item.content {
                Content::Values { key } if is_unchanged(*key) => {
                    writer.raw(item, [self.key(*key), None]);
                }
                Content::Values { key } => {
                    if let Some(key) = self.key(*key) {
                        writer.changed(&item.native, key)?;
                    }
                }
                Content::Pairs { number, total } => {
                    let keys = [number, total].map(|key| key.and_then(|key| self.key(key)));
                    if [number, total]
                        .into_iter()
                        .flatten()
                        .all(|key| is_unchanged(*key))
                    {
                        writer.raw(item, keys);
                    } else {
                        writer.pairs(&item.native, keys)?;
                    }
                }
                Content::Covers if covers_unchanged => {
                    writer.raw(item, [None, None]);
                    covers_done = true;
                }
                Content::Covers => {
                    if !std::mem::replace(&mut covers_done, true) {
                        writer.covers(art)?;
                    }
                }
                Content::Kept(range) => {
                    let place = kept.iter().zip(&kept_done).position(|(known, done)| {
                        !done
                            && known.native == item.native
                            && known.source == Source::Backing(*range)
                    });
                    if let Some(place) = place {
                        kept_done[place] = true;
                        writer.raw(item, [None, None]);
                    }
                }
            }
        }
        for key in writer.wanted.keys().copied().collect::<Vec<_>>() {
            writer.new_key(key)?;
        }
        if !covers_done {
            writer.covers(art)?;
        }
        for (item, done) in kept.iter().zip(kept_done) {
            if !done {
                writer.kept(item)?;
            }
        }
        for tail in &self.tails {
            writer.body.backing(tail.offset, tail.len);
        }
        Ok(Some(writer.body))
    }

    fn key(&self, index: u32) -> Option<&str> {
        self.keys.get(index as usize).map(|key| key.key.as_str())
    }

    /// Which keys have the values that the file holds. A number and a total in one item do so together or not at all.
    fn unchanged(&self, wanted: &BTreeMap<&str, Vec<&str>>) -> Vec<bool> {
        let is_same = |key: &Key| {
            let values = wanted.get(key.key.as_str()).map_or(&[][..], Vec::as_slice);
            key.hash == Some(values_hash(values.iter().copied()))
        };
        let mut unchanged: Vec<bool> = self.keys.iter().map(is_same).collect();
        for item in &self.items {
            let Content::Pairs {
                number: Some(number),
                total: Some(total),
            } = item.content
            else {
                continue;
            };
            let both = [number as usize, total as usize];
            if both.iter().any(|key| unchanged.get(*key) != Some(&true)) {
                for key in both {
                    if let Some(unchanged) = unchanged.get_mut(key) {
                        *unchanged = false;
                    }
                }
            }
        }
        unchanged
    }

    /// Whether these are the pictures of the file, in its order.
    fn covers_are(&self, art: &[Art]) -> bool {
        self.covers.len() == art.len()
            && self.covers.iter().zip(art).all(|(cover, art)| {
                art.source == Source::Backing(cover.range)
                    && art.mime == value::mime(cover.data_type)
            })
    }
}

struct Writer<'a> {
    wanted: BTreeMap<&'a str, Vec<&'a str>>,
    /// Keys whose values were written.
    done: BTreeSet<String>,
    body: Assembly,
}

impl Writer<'_> {
    /// Takes over an item that holds all the values of these keys that stand in one item.
    fn raw(&mut self, item: &Item, keys: [Option<&str>; 2]) {
        self.body.backing(item.raw.offset, item.raw.len);
        self.done
            .extend(keys.into_iter().flatten().map(str::to_owned));
    }

    /// Writes the values of a key that the file has in an item of that name.
    fn changed(&mut self, native: &str, key: &str) -> Result<(), SynthesisError> {
        if native == GENRE_NUMBER {
            return self.new_key(key);
        }
        if self.done.insert(key.to_owned()) {
            self.values(native, key)?;
        }
        Ok(())
    }

    /// Writes the values of a key where the name for it is free.
    fn new_key(&mut self, key: &str) -> Result<(), SynthesisError> {
        for pair in [TRACK_PAIR, DISC_PAIR] {
            let (number, total) = pair_keys(pair).expect("both are pairs");
            if key == number || key == total {
                return self.pairs(pair, [Some(number), Some(total)]);
            }
        }
        if self.done.insert(key.to_owned()) {
            self.values(&default_name(key), key)?;
        }
        Ok(())
    }

    fn values(&mut self, native: &str, key: &str) -> Result<(), SynthesisError> {
        let values = self.wanted.get(key).cloned().unwrap_or_default();
        if values.is_empty() {
            return Ok(());
        }
        let item = match encoded(native, &values)? {
            Some(item) => item,
            None => encoded(&freeform_name(key), &values)?.expect("a freeform item holds any text"),
        };
        self.body.append(item);
        Ok(())
    }

    /// Writes numbers and totals of those keys that were not written before.
    fn pairs(&mut self, native: &str, keys: [Option<&str>; 2]) -> Result<(), SynthesisError> {
        let [numbers, totals] = keys.map(|key| {
            let key = key.filter(|key| self.done.insert((*key).to_owned()))?;
            Some((key, self.wanted.get(key).cloned().unwrap_or_default()))
        });
        let mut stated: Vec<&str> = Vec::new();
        if let Some((_, totals)) = &totals {
            stated.clone_from(totals);
        }
        let mut counted: Vec<&str> = Vec::new();
        for value in numbers.iter().flat_map(|(_, numbers)| numbers) {
            let (number, total) = number_and_total(value);
            match total {
                // A total of its own wins over one that rides on the number.
                Some(total) if totals.as_ref().is_some_and(|(_, own)| own.is_empty()) => {
                    counted.push(number);
                    stated.push(total);
                }
                _ => counted.push(number),
            }
        }
        let mut sides = Vec::new();
        for (key, values) in [
            (numbers.map(|n| n.0), counted),
            (totals.map(|t| t.0), stated),
        ] {
            let side: Option<Vec<u16>> = values.iter().map(|value| counting(value)).collect();
            match (side, key) {
                (Some(side), _) => sides.push(side),
                (None, Some(key)) => {
                    let item = encoded(&freeform_name(key), &values)?;
                    self.body
                        .append(item.expect("a freeform item holds any text"));
                    sides.push(Vec::new());
                }
                (None, None) => sides.push(Vec::new()),
            }
        }
        let [numbers, totals] = <[Vec<u16>; 2]>::try_from(sides).expect("one for each side");
        let mut item = Assembly::default();
        for index in 0..numbers.len().max(totals.len()) {
            let at = |side: &[u16]| side.get(index).copied().unwrap_or_default().to_be_bytes();
            let mut value = vec![0, 0];
            value.extend(at(&numbers));
            value.extend(at(&totals));
            if native == TRACK_PAIR {
                value.extend([0, 0]);
            }
            item.append(data(value::IMPLICIT, &value)?);
        }
        if item.len() > 0 {
            self.body.append(atom(kind_of(native)?, item)?);
        }
        Ok(())
    }

    fn covers(&mut self, art: &[Art]) -> Result<(), SynthesisError> {
        if art.is_empty() {
            return Ok(());
        }
        let mut item = Assembly::default();
        for art in art {
            let mut picture = data_head(value::picture_type(&art.mime));
            picture.source(art.source, BlobKind::Art);
            item.append(atom(*b"data", picture)?);
        }
        self.body.append(atom(kind_of(COVER)?, item)?);
        Ok(())
    }

    fn kept(&mut self, item: &OpaqueItem) -> Result<(), SynthesisError> {
        let name = if value::mean_and_name(&item.native).is_some() {
            FREEFORM
        } else {
            &item.native
        };
        let mut body = Assembly::default();
        body.source(item.source, BlobKind::BinaryTag);
        self.body.append(atom(kind_of(name)?, body)?);
        Ok(())
    }
}

/// What the item for a key of the store is called that the file has no item for.
fn default_name(key: &str) -> String {
    if let Some(native) = native_name(key, Family::Mp4) {
        native.to_owned()
    } else if value::is_known_atom(key) || value::mean_and_name(key).is_some() {
        key.to_owned()
    } else {
        freeform_name(key)
    }
}

/// What a freeform item for a key is called.
fn freeform_name(key: &str) -> String {
    native_names(key, Family::Mp4)
        .iter()
        .find(|native| value::mean_and_name(native).is_some())
        .map_or_else(
            || {
                let name = key.strip_prefix("----:").unwrap_or(key);
                value::freeform(value::ITUNES, name).expect("the mean has no colon")
            },
            |native| (*native).to_owned(),
        )
}

/// A number of a pair: from 1 to what 16 bits can say.
fn counting(value: &str) -> Option<u16> {
    value.parse().ok().filter(|&number| number > 0)
}

/// An item with these values; `None` where it cannot hold one of them.
fn encoded(native: &str, values: &[&str]) -> Result<Option<Assembly>, SynthesisError> {
    let mut item = Assembly::default();
    let kind = if let Some((mean, name)) = value::mean_and_name(native) {
        for (kind, text) in [(*b"mean", mean), (*b"name", name)] {
            let mut body = Assembly::default();
            body.bytes(&[0; 4]);
            body.bytes(text.as_bytes());
            item.append(atom(kind, body)?);
        }
        kind_of(FREEFORM)?
    } else {
        kind_of(native)?
    };
    for text in values {
        item.append(match value::number_width(native) {
            Some(width) => match value::encoded_number(text, width) {
                Some(number) => data(value::INTEGER, &number)?,
                None => return Ok(None),
            },
            None => data(value::UTF_8, text.as_bytes())?,
        });
    }
    atom(kind, item).map(Some)
}

fn data(data_type: u32, bytes: &[u8]) -> Result<Assembly, SynthesisError> {
    let mut body = data_head(data_type);
    body.bytes(bytes);
    atom(*b"data", body)
}

/// Version and type, and a locale of none.
fn data_head(data_type: u32) -> Assembly {
    let mut head = Assembly::default();
    head.bytes(&data_type.to_be_bytes());
    head.bytes(&[0; 4]);
    head
}

fn kind_of(native: &str) -> Result<Kind, SynthesisError> {
    value::kind(native).ok_or_else(|| SynthesisError::BadItem {
        native: native.to_owned(),
    })
}
