//! What an edit makes of a track's tags, and how a difference is shown. Pure: no store, no files.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};
use musefs_core::formats::{Tag, vocabulary_keys};
use musefs_core::store::TrackTags;
use musefs_core::template::nearest;

/// Bytes of a key: longer than any format's names are.
const KEY_BYTES_MAX: usize = 255;
/// Bytes of a value: more than any tag needs, less than what a header may hold.
const VALUE_BYTES_MAX: usize = 1 << 20;

/// One edit, the same for each track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// These values and no others, for each key.
    Set(Vec<(String, Vec<String>)>),
    /// One more value each.
    Add(Vec<(String, String)>),
    /// A whole key, or one value of it.
    Remove(Vec<(String, Option<String>)>),
}

/// `KEY=VALUE`, taken apart and checked.
pub(super) fn pair(text: &str) -> Result<(String, String)> {
    let Some((key, value)) = text.split_once('=') else {
        bail!("`{text}` is not KEY=VALUE");
    };
    check(key, value)?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Whether a format can hold such a key and value.
pub(super) fn check(key: &str, value: &str) -> Result<()> {
    if key.is_empty() || key.contains('=') || key.chars().any(char::is_control) {
        bail!("{key:?} is no key: it may be neither empty nor hold `=` or control characters");
    }
    if key.len() > KEY_BYTES_MAX {
        bail!("a key has more than {KEY_BYTES_MAX} bytes: {key}");
    }
    if value.len() > VALUE_BYTES_MAX {
        bail!("a value of `{key}` has more than {VALUE_BYTES_MAX} bytes");
    }
    if value.contains('\0') {
        bail!("a value of `{key}` holds a NUL, which ends a text in most formats");
    }
    Ok(())
}

impl Change {
    /// The pairs by key: several of one key are several values, in order.
    pub(super) fn set(pairs: Vec<(String, String)>) -> Self {
        let mut set: Vec<(String, Vec<String>)> = Vec::new();
        for (key, value) in pairs {
            match set.iter_mut().find(|(known, _)| *known == key) {
                Some((_, values)) => values.push(value),
                None => set.push((key, vec![value])),
            }
        }
        Self::Set(set)
    }

    /// Calls the keys what the store calls them, and tells of those that nobody has heard of.
    pub(super) fn name_keys(&mut self, keys: &Keys) {
        match self {
            Self::Set(set) => {
                let pairs = set.drain(..).flat_map(|(key, values)| {
                    let key = keys.name(&key);
                    values.into_iter().map(move |value| (key.clone(), value))
                });
                // Two spellings of one key have become one.
                *self = Self::set(pairs.collect());
            }
            Self::Add(add) => add.iter_mut().for_each(|(key, _)| *key = keys.name(key)),
            Self::Remove(remove) => remove.iter_mut().for_each(|(key, _)| *key = keys.name(key)),
        }
    }

    /// The tags of a track after this change, grouped by key.
    pub(super) fn apply(&self, tags: &[Tag]) -> Vec<Tag> {
        let tag = |key: &String, value: &String| Tag {
            key: key.clone(),
            value: value.clone(),
        };
        let mut tags = tags.to_vec();
        match self {
            Self::Set(set) => {
                for (key, values) in set {
                    tags.retain(|tag| tag.key != *key);
                    tags.extend(values.iter().map(|value| tag(key, value)));
                }
            }
            Self::Add(add) => tags.extend(add.iter().map(|(key, value)| tag(key, value))),
            Self::Remove(remove) => tags.retain(|tag| {
                !remove.iter().any(|(key, value)| {
                    *key == tag.key && value.as_ref().is_none_or(|value| *value == tag.value)
                })
            }),
        }
        tags.sort_by(|a, b| a.key.cmp(&b.key));
        tags
    }
}

/// The names that keys can have: the common vocabulary, and what the tracks in question have.
pub(super) struct Keys {
    held: BTreeSet<String>,
    /// What was asked for already: a warning is told once.
    named: RefCell<BTreeMap<String, String>>,
}

impl Keys {
    pub(super) fn of(tracks: &[TrackTags]) -> Self {
        let tags = tracks.iter().flat_map(|track| &track.tags);
        Self {
            held: tags.map(|tag| tag.key.clone()).collect(),
            named: RefCell::default(),
        }
    }

    /// What a key is called that somebody wrote: as the tracks have it, or the vocabulary, whatever the case. A name that
    /// neither knows stays as it is, with a word of warning.
    pub(super) fn name(&self, written: &str) -> String {
        if let Some(named) = self.named.borrow().get(written) {
            return named.clone();
        }
        let named = self.look_up(written);
        self.named
            .borrow_mut()
            .insert(written.to_owned(), named.clone());
        named
    }

    fn look_up(&self, written: &str) -> String {
        let lower = written.to_ascii_lowercase();
        if self.held.contains(written) {
            return written.to_owned();
        }
        if vocabulary_keys().any(|key| key == lower) {
            return lower;
        }
        if let Some(held) = self
            .held
            .iter()
            .find(|held| held.eq_ignore_ascii_case(written))
        {
            return held.clone();
        }
        let nearest = nearest(written)
            .filter(|near| vocabulary_keys().any(|key| key == *near))
            .map(|near| format!(" Did you mean `{near}`?"))
            .unwrap_or_default();
        writeln!(
            std::io::stderr(),
            "musefs: `{written}` is no common key, and none of these tracks has it: it stands for a format's own name.{nearest}"
        )
        .ok();
        written.to_owned()
    }
}

/// A value as one line of a terminal: control characters are escaped.
pub(super) fn on_one_line(value: &str) -> String {
    let mut line = String::with_capacity(value.len());
    for letter in value.chars() {
        if letter.is_control() {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
    }
    line
}

/// Prints what is different, key by key; whether anything is.
pub(super) fn print_difference(
    out: &mut impl Write,
    path: &Path,
    old: &[Tag],
    new: &[Tag],
) -> bool {
    let grouped = |tags: &[Tag]| {
        let mut grouped: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for tag in tags {
            grouped
                .entry(tag.key.clone())
                .or_default()
                .push(tag.value.clone());
        }
        grouped
    };
    let (old, new) = (grouped(old), grouped(new));
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut differs = false;
    for key in keys
        .into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
    {
        if !differs {
            // A reader that has seen enough takes nothing from what was told; so below.
            writeln!(out, "{}", path.display()).ok();
            differs = true;
        }
        for (sign, side) in [('-', &old), ('+', &new)] {
            for value in side.get(key).into_iter().flatten() {
                writeln!(out, "{sign}{key}={}", on_one_line(value)).ok();
            }
        }
    }
    differs
}
