//! The two kinds of tags in files of chunks: an `ID3v2` tag in a chunk of its own, and short texts in chunks that the format
//! itself defines. The `ID3v2` tag counts; the texts give what it does not have.
//!
//! A file keeps the kinds of tags that it has. Texts that nobody edited stay the bytes that they are. A file with texts alone
//! gets an `ID3v2` tag when the texts cannot say everything, and then one that says everything, because readers of `ID3v2`
//! look no further.

use serde::{Deserialize, Serialize};

use super::assembly::Assembly;
use super::id3v2::{self, Id3v2, Origin, Rewrite};
use super::originals::{Found, Originals, Plan};
use super::{Desired, SynthesisError, Tag};

/// The tags of a file, for the synthesizer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChunkTags {
    texts: Originals,
    /// Keys that only the texts have.
    texts_only: Vec<String>,
    has_id3: bool,
    origins: Vec<Origin>,
    rewrites: Vec<Rewrite>,
}

/// What to serve.
pub(super) struct Written<'a> {
    /// Of the texts.
    pub(super) texts: Plan<'a>,
    /// The `ID3v2` tag, where there is to be one.
    pub(super) id3: Option<Assembly>,
}

impl ChunkTags {
    /// Joins what was read; `key_of` gives the key of a text. What comes back beside the tags for the synthesizer is all
    /// that the file says.
    pub(super) fn join(
        id3: Option<Id3v2>,
        found: Vec<Found>,
        key_of: impl Fn(&str) -> String,
    ) -> (Self, Id3v2) {
        let has_id3 = id3.is_some();
        let mut all = id3.unwrap_or_default();
        let (mut texts, told) = Originals::read(found, key_of);
        let known: Vec<String> = all.tags.iter().map(|tag| tag.key.clone()).collect();
        let is_new = |tag: &Tag| !known.contains(&tag.key);
        let new: Vec<Tag> = told
            .into_iter()
            .map(|(tag, _)| tag)
            .filter(is_new)
            .collect();
        let mut texts_only: Vec<String> = new.iter().map(|tag| tag.key.clone()).collect();
        texts_only.sort();
        texts_only.dedup();
        all.tags.extend(new);
        texts.settle_all(&all.tags);
        let tags = Self {
            texts,
            texts_only,
            has_id3,
            origins: std::mem::take(&mut all.origins),
            rewrites: std::mem::take(&mut all.rewrites),
        };
        (tags, all)
    }

    /// Whether the file has an `ID3v2` tag.
    pub(super) fn has_id3(&self) -> bool {
        self.has_id3
    }

    /// What to serve so that the file says what is desired. `is_text_only` tells the keys that are never a frame.
    ///
    /// # Errors
    /// When a frame or the `ID3v2` tag is too large, or a kept item is no frame.
    pub(super) fn write<'a>(
        &'a self,
        desired: &Desired<'a>,
        is_text_only: impl Fn(&str) -> bool,
    ) -> Result<Written<'a>, SynthesisError> {
        let texts = self.texts.plan(desired.tags);
        let texts_say = |tag: &&Tag| {
            is_text_only(&tag.key)
                || (texts.unchanged.contains(tag.key.as_str())
                    && self.texts_only.contains(&tag.key))
        };
        let has_more = !desired.art.is_empty() || !desired.items.is_empty();
        let tags: Vec<Tag> = if self.has_id3 {
            let left = desired.tags.iter().filter(|tag| !texts_say(tag));
            left.cloned().collect()
        } else if has_more || !desired.tags.iter().all(|tag| texts_say(&tag)) {
            let all = desired.tags.iter().filter(|tag| !is_text_only(&tag.key));
            all.cloned().collect()
        } else {
            return Ok(Written { texts, id3: None });
        };
        let desired = Desired {
            tags: &tags,
            ..*desired
        };
        let id3 = id3v2::write(&desired, &self.origins, &self.rewrites)?;
        Ok(Written {
            texts,
            id3: Some(id3),
        })
    }
}
