//! Text items of a file, told by what the store says: which are served as the bytes that they are, and which anew.
//!
//! An item stays as it is when the values of all keys that it gave values to are still those of the file. So nothing that
//! this code does not understand about an item is lost before somebody edits it. Nothing here knows how an item is stored.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::text::{number_and_total, values_hash};
use super::vocabulary::{BASES_OF_TOTALS, total_of};
use super::{ByteRange, Tag};

/// An item whose text was read.
#[derive(Debug)]
pub(super) struct Found {
    /// All of it in the file, its header included.
    pub(super) raw: ByteRange,
    /// The format's own name for it.
    pub(super) native: String,
    /// As the format defines them; 0 where it has none.
    pub(super) flags: u32,
    pub(super) values: Vec<String>,
    /// Whether its bytes must not be served again as they are.
    pub(super) is_mended: bool,
}

/// An item as the file holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Original {
    pub(super) raw: ByteRange,
    pub(super) native: String,
    pub(super) flags: u32,
    /// Indexes of the keys that it gave values to; the first is the one that it is written for.
    keys: Vec<u32>,
}

/// A key that the items have values for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Key {
    key: String,
    /// [`values_hash`] of the values that the file has for it; `None` where they are to be written anew in any case.
    hash: Option<u64>,
}

/// The text items of a file, for the synthesizer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Originals {
    items: Vec<Original>,
    keys: Vec<Key>,
}

/// What to serve in the place of an item, or behind all of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// The bytes of the file.
    Raw(&'a Original),
    /// A new item.
    Anew {
        /// The item that it takes the place of, if its name is to be taken over.
        original: Option<&'a Original>,
        key: &'a str,
        values: Vec<String>,
    },
}

/// What to serve of the text items.
#[derive(Debug, Default)]
pub(super) struct Plan<'a> {
    /// For every item of the file, in its order, what stands in its place.
    pub(super) places: Vec<Vec<Step<'a>>>,
    /// Items for keys that the file has none for.
    pub(super) new: Vec<Step<'a>>,
    /// Keys whose values are those of the file.
    pub(super) unchanged: BTreeSet<&'a str>,
}

impl<'a> Plan<'a> {
    /// All steps in the order of the file, the new ones last.
    pub(super) fn steps(&self) -> impl Iterator<Item = &Step<'a>> {
        self.places.iter().flatten().chain(&self.new)
    }
}

impl Originals {
    /// The items, and a tag for each value, with the native name that it came under. `key_of` gives the key of a native
    /// name.
    pub(super) fn read(
        found: Vec<Found>,
        key_of: impl Fn(&str) -> String,
    ) -> (Self, Vec<(Tag, String)>) {
        let named: Vec<(Found, String)> = found
            .into_iter()
            .map(|item| {
                let key = key_of(&item.native);
                (item, key)
            })
            .collect();
        let own: BTreeSet<String> = named.iter().map(|(_, key)| key.clone()).collect();
        let mut originals = Self::default();
        let mut tags = Vec::new();
        for (item, key) in named {
            let mut keys = vec![originals.key_index(&key)];
            for value in item.values {
                let mut push = |key: &str, value: &str| {
                    let tag = Tag {
                        key: key.to_owned(),
                        value: value.to_owned(),
                    };
                    tags.push((tag, item.native.clone()));
                };
                let Some(total) = total_of(&key) else {
                    push(&key, &value);
                    continue;
                };
                let (number, stated) = number_and_total(&value);
                if !number.is_empty() || stated.is_none() {
                    push(&key, number);
                }
                // A total of its own wins over one that rides on the number.
                if let Some(stated) = stated.filter(|_| !own.contains(total)) {
                    push(total, stated);
                    keys.push(originals.key_index(total));
                }
            }
            keys.dedup();
            if item.is_mended {
                for &key in &keys {
                    originals.keys[key as usize].hash = None;
                }
            }
            originals.items.push(Original {
                raw: item.raw,
                native: item.native,
                flags: item.flags,
                keys,
            });
        }
        (originals, tags)
    }

    fn key_index(&mut self, key: &str) -> u32 {
        let index = self.keys.iter().position(|known| known.key == key);
        let index = index.unwrap_or_else(|| {
            self.keys.push(Key {
                key: key.to_owned(),
                hash: Some(0),
            });
            self.keys.len() - 1
        });
        u32::try_from(index).expect("bounded by the items")
    }

    /// Remembers what the file says of the items' keys, whichever of its tags said it.
    pub(super) fn settle(&mut self, tags: &[Tag]) {
        let values = group(tags);
        let none = Vec::new();
        for key in self.keys.iter_mut().filter(|key| key.hash.is_some()) {
            let values = values.get(key.key.as_str()).unwrap_or(&none);
            key.hash = Some(values_hash(values.iter().copied()));
        }
    }

    /// Remembers what the file says of every key: a key that no item stands for is not written as long as that holds, since
    /// another tag of the file says it.
    pub(super) fn settle_all(&mut self, tags: &[Tag]) {
        for key in group(tags).into_keys() {
            self.key_index(key);
        }
        self.settle(tags);
    }

    fn keys_of<'a>(&'a self, item: &'a Original) -> impl Iterator<Item = &'a str> {
        item.keys
            .iter()
            .filter_map(|&index| self.keys.get(index as usize))
            .map(|key| key.key.as_str())
    }

    /// Whether a total has no item of its own, and so is written beside its number.
    fn rides(&self, total: &str) -> bool {
        let own = |item: &Original| self.keys_of(item).next() == Some(total);
        !self.items.iter().any(own)
    }

    /// What to serve so that the items say `tags`. A total without an item of its own rides on its number.
    pub(super) fn plan<'a>(&'a self, tags: &'a [Tag]) -> Plan<'a> {
        let wanted = group(tags);
        let unchanged = self.unchanged(&wanted);
        let rides = |total: &str| self.rides(total);
        let values = |key: &str| -> Vec<String> {
            let of = |key: &str| wanted.get(key).map_or(&[][..], Vec::as_slice);
            let numbers = of(key);
            let totals = match total_of(key) {
                Some(total) if rides(total) => of(total),
                _ => &[],
            };
            (0..numbers.len().max(totals.len()))
                .map(|index| {
                    let number = numbers.get(index).copied().unwrap_or_default();
                    let total = totals.get(index);
                    total.map_or_else(|| number.to_owned(), |total| format!("{number}/{total}"))
                })
                .collect()
        };
        let mut done: BTreeSet<&str> = BTreeSet::new();
        let mut plan = Plan::default();
        for item in &self.items {
            let mut steps = Vec::new();
            if self.keys_of(item).all(|key| unchanged.contains(key)) {
                steps.push(Step::Raw(item));
                done.extend(self.keys_of(item));
            } else if let Some(key) = self.keys_of(item).next()
                && done.insert(key)
            {
                done.extend(total_of(key).filter(|total| rides(total)));
                let values = values(key);
                if !values.is_empty() {
                    steps.push(Step::Anew {
                        original: Some(item),
                        key,
                        values,
                    });
                }
            }
            plan.places.push(steps);
        }
        for tag in tags {
            let base = BASES_OF_TOTALS
                .into_iter()
                .find(|base| total_of(base) == Some(&tag.key) && rides(&tag.key));
            let key = base.unwrap_or(&tag.key);
            let is_new = !unchanged.contains(key) && !done.contains(tag.key.as_str());
            if is_new && done.insert(key) {
                done.extend(total_of(key).filter(|total| rides(total)));
                plan.new.push(Step::Anew {
                    original: None,
                    key,
                    values: values(key),
                });
            }
        }
        plan.unchanged = unchanged;
        plan
    }

    /// The keys whose values are what the file holds. Keys that share an item (`Track` of `1/12`) are so together or not
    /// at all.
    fn unchanged(&self, wanted: &BTreeMap<&str, Vec<&str>>) -> BTreeSet<&str> {
        let none = Vec::new();
        let hash_of = |key: &str| {
            let values = wanted.get(key).unwrap_or(&none);
            values_hash(values.iter().copied())
        };
        let mut unchanged: BTreeSet<&str> = self
            .keys
            .iter()
            .filter(|key| key.hash == Some(hash_of(&key.key)))
            .map(|key| key.key.as_str())
            .collect();
        for base in BASES_OF_TOTALS {
            let total = total_of(base).expect("it has one");
            if wanted.contains_key(total) && !unchanged.contains(total) && self.rides(total) {
                unchanged.remove(base);
            }
        }
        loop {
            let before = unchanged.len();
            for item in &self.items {
                if !self.keys_of(item).all(|key| unchanged.contains(key)) {
                    for key in self.keys_of(item) {
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

/// Values by key, each key's in their order.
fn group(tags: &[Tag]) -> BTreeMap<&str, Vec<&str>> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for tag in tags {
        groups.entry(&tag.key).or_default().push(&tag.value);
    }
    groups
}
