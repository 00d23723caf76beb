//! The formats without a synthesizer: their tags are read for the file's place in the tree, the file is served as it is.
//!
//! lofty reads them. Whatever the library does with a broken file (it may panic) costs that file its tags at most.

use lofty::config::ParseOptions;
use lofty::file::{TaggedFile, TaggedFileExt};
use lofty::tag::{ItemValue, TagType};

use super::sniff::Sniffed;
use super::text::{TextBudget, number_and_total};
use super::vocabulary::{Claims, Family, total_of};
use super::{ByteRange, Failure, Fetched, Probe, Stop, Tag, Warning, properties};

/// Reads the tags of a recognised file.
///
/// # Errors
/// `NeedMore`, or `Broken` when nothing could be read.
pub(super) fn probe(fetched: &Fetched, sniffed: &Sniffed) -> Result<Probe, Stop> {
    let mut probe = Probe::as_is(sniffed.format);
    let Some(file_type) = properties::file_type(fetched, sniffed)? else {
        probe.warnings.push(Warning::BadField {
            field: sniffed.format.as_str().to_owned(),
            reason: "the tags of this codec are not read".to_owned(),
        });
        return Ok(probe);
    };
    let options = ParseOptions::new()
        .read_tags(true)
        .read_properties(false)
        .read_cover_art(false);
    let whole = ByteRange {
        offset: 0,
        len: fetched.file_len(),
    };
    let file = properties::with_lofty(fetched, whole, file_type, options)?
        .ok_or(Stop::Broken(Failure::Malformed))?;
    probe.tags = tags(&file);
    Ok(probe)
}

fn tags(file: &TaggedFile) -> Vec<Tag> {
    // The file's own kind of tag first; what the others have besides follows.
    let mut all: Vec<_> = file.tags().iter().collect();
    let primary = file.primary_tag().map(lofty::tag::Tag::tag_type);
    all.sort_by_key(|tag| Some(tag.tag_type()) != primary);
    let mut tags: Vec<Tag> = Vec::new();
    let mut budget = TextBudget::new();
    for tag in all {
        let named: Vec<(&str, &str)> = tag
            .items()
            .filter_map(|item| {
                let name = item.key().map_key(TagType::VorbisComments)?;
                match item.value() {
                    ItemValue::Text(text) | ItemValue::Locator(text) => Some((name, text.as_str())),
                    ItemValue::Binary(_) => None,
                }
            })
            .collect();
        let claims = Claims::new(Family::Vorbis, named.iter().map(|(name, _)| *name));
        let known: Vec<String> = tags.iter().map(|tag| tag.key.clone()).collect();
        let mut push = |key: &str, value: &str| {
            if !known.iter().any(|known| known == key) && budget.take(value.len() as u64) {
                tags.push(Tag {
                    key: key.to_owned(),
                    value: value.to_owned(),
                });
            }
        };
        for (name, value) in named {
            let key = claims
                .key(name)
                .map_or_else(|| name.to_ascii_uppercase(), str::to_owned);
            match total_of(&key).map(|total| (total, number_and_total(value))) {
                Some((total, (number, Some(stated)))) => {
                    push(&key, number);
                    if !claims.has(total) {
                        push(total, stated);
                    }
                }
                _ => push(&key, value),
            }
        }
    }
    tags
}
