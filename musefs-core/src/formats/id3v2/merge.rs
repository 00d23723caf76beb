//! Several tags of one file as one: the first that has a key, art or kind of frame counts.

use std::collections::HashSet;

use super::{Id3v2, read};
use crate::formats::text::TEXT_VALUE_BYTES_MAX;
use crate::formats::trailer::{self, Trailers};
use crate::formats::vocabulary::{Family, native_name};
use crate::formats::{ByteRange, Fetched, Stop, Tag, Warning, apev2};

/// Reads the tags of a file that has its `ID3v2` in front. The first one counts; later ones, `APEv2`, Lyrics3 and `ID3v1`
/// give what it does not have, in that order.
///
/// # Errors
/// `NeedMore`, or `Broken` when an `ID3v2` tag is over a limit.
pub(in crate::formats) fn read_all(
    fetched: &Fetched,
    leading: &[ByteRange],
    trailers: &Trailers,
) -> Result<Id3v2, Stop> {
    let places = leading.iter().chain(&trailers.id3v2);
    let mut tag = Id3v2::first_of(fetched, places)?.unwrap_or_default();
    if let Some(place) = trailers.ape {
        tag.add_ape(apev2::read(fetched, place)?);
    }
    let behind = trailer::read_tags(fetched, trailers, &mut tag.warnings)?;
    tag.add_tags(behind, |_| None);
    Ok(tag)
}

impl Id3v2 {
    /// The tags at `places` as one; `None` where there is none.
    ///
    /// # Errors
    /// `NeedMore`, or `Broken` when a tag is over a limit.
    pub(in crate::formats) fn first_of<'a>(
        fetched: &Fetched,
        places: impl Iterator<Item = &'a ByteRange>,
    ) -> Result<Option<Self>, Stop> {
        let mut all: Option<Self> = None;
        for place in places {
            let tag = read(fetched, *place)?;
            match &mut all {
                Some(first) => first.add(tag),
                None => all = Some(tag),
            }
        }
        Ok(all)
    }

    /// Adds what another `ID3v2` tag has and this one does not.
    pub(in crate::formats) fn add(&mut self, other: Self) {
        let known = self.keys();
        let is_new = |key: &String| !known.contains(key);
        self.tags
            .extend(other.tags.into_iter().filter(|tag| is_new(&tag.key)));
        self.origins.extend(
            other
                .origins
                .into_iter()
                .filter(|origin| is_new(&origin.key)),
        );
        if self.art.is_empty() {
            self.art = other.art;
        }
        let natives: HashSet<String> = self.items.iter().map(|item| item.native.clone()).collect();
        self.items.extend(
            other
                .items
                .into_iter()
                .filter(|item| !natives.contains(&item.native)),
        );
        self.rewrites.extend(other.rewrites);
        self.warnings.extend(other.warnings);
    }

    /// Adds what an `APEv2` tag has and this one does not. Binary items have no place in `ID3v2`.
    fn add_ape(&mut self, ape: apev2::Ape) {
        let natives: HashSet<String> = ape.tags.iter().map(|(_, native)| native.clone()).collect();
        let tags = ape.tags.into_iter().map(|(tag, _)| tag).collect();
        self.add_tags(tags, |key| {
            let is_native = natives.contains(key);
            (is_native && native_name(key, Family::Id3).is_none()).then(|| format!("TXXX:{key}"))
        });
        if self.art.is_empty() {
            self.art = ape.art;
        }
        self.warnings.extend(ape.warnings);
        for item in ape.items {
            let reason = if item.source.len() > TEXT_VALUE_BYTES_MAX {
                "an APEv2 item over the limit was left out"
            } else {
                "a binary APEv2 item has no place in ID3v2 and was left out"
            };
            self.warnings.push(Warning::BadField {
                field: item.native,
                reason: reason.to_owned(),
            });
        }
    }

    /// Adds tags under keys that this tag does not have, each under the name that `rename` gives it.
    pub(in crate::formats) fn add_tags(
        &mut self,
        tags: Vec<Tag>,
        rename: impl Fn(&str) -> Option<String>,
    ) {
        let known: HashSet<String> = self
            .tags
            .iter()
            .map(|tag| tag.key.to_ascii_lowercase())
            .collect();
        for mut tag in tags {
            if let Some(key) = rename(&tag.key) {
                tag.key = key;
            }
            if !known.contains(&tag.key.to_ascii_lowercase()) {
                self.tags.push(tag);
            }
        }
    }

    /// The keys of the tags.
    fn keys(&self) -> HashSet<String> {
        self.tags.iter().map(|tag| tag.key.clone()).collect()
    }
}
