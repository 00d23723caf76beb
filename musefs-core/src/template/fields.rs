//! The names of fields that a template can count on, and the nearest of them to a name that is none.

use crate::formats;

/// Fields that are worked out from tags, the sound or the backing file's path.
pub const DERIVED_FIELDS: &[&str] = &[
    "year",
    "format",
    "samplerate",
    "bitspersample",
    "channels",
    "bitrate",
    "duration",
    "filename",
    "foldername",
    "ext",
];

/// Every field with a meaning of its own. Any other name stands for a format's native tag.
pub fn known_fields() -> impl Iterator<Item = &'static str> {
    formats::vocabulary_keys().chain(DERIVED_FIELDS.iter().copied())
}

/// Whether `name` is one of [`known_fields`].
pub fn is_known(name: &str) -> bool {
    known_fields().any(|known| known == name)
}

/// The name that values are kept under: a known field in lower case, however it was written; a native name as it is.
pub fn canonical(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    if is_known(&lower) {
        lower
    } else {
        name.to_owned()
    }
}

/// The known field that `name` was probably meant to be: the one with the fewest letters to change, when these are at
/// most a third of it.
pub fn nearest(name: &str) -> Option<&'static str> {
    // Longer names are none of ours; the bound keeps the work small.
    const NAME_CHARS_MAX: usize = 32;
    let name: Vec<char> = name.to_lowercase().chars().collect();
    if name.len() > NAME_CHARS_MAX {
        return None;
    }
    known_fields()
        .map(|known| (edit_distance(&name, known), known))
        .filter(|&(distance, known)| distance <= known.len().max(3) / 3)
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, known)| known)
}

/// Letters to insert, delete or replace to turn `from` into `to` (Levenshtein, Wagner–Fischer with one row).
fn edit_distance(from: &[char], to: &str) -> usize {
    let mut row: Vec<usize> = (0..=from.len()).collect();
    for (row_index, to) in to.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = row_index + 1;
        for (index, from) in from.iter().enumerate() {
            let replaced = diagonal + usize::from(*from != to);
            diagonal = row[index + 1];
            row[index + 1] = replaced.min(row[index] + 1).min(diagonal + 1);
        }
    }
    row[from.len()]
}

/// The tags that must be at hand to work out `field`.
pub(super) fn tags_behind(field: &str) -> Vec<&str> {
    match field {
        "year" => vec!["date"],
        "albumartist" => vec!["albumartist", "artist"],
        "tracktotal" => vec!["tracktotal", "track"],
        "disctotal" => vec!["disctotal", "disc"],
        derived if DERIVED_FIELDS.contains(&derived) => vec![],
        tag => vec![tag],
    }
}
