//! What a field says of a track: worked out from its tags, its sound and where its file lies.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::numbers;
use crate::formats::{AudioProperties, Tag};
use crate::names;

/// The values that a template is filled with.
pub trait Values {
    /// The value of `field`, by its canonical name. A value of nothing but white space counts as none.
    fn value(&self, field: &str) -> Option<Cow<'_, str>>;
}

/// The tags of one track, however they are kept.
pub trait TagSource {
    /// The value of `key` at `ordinal`, from 0; ordinals have no gaps.
    fn tag(&self, key: &str, ordinal: usize) -> Option<&str>;
}

impl TagSource for Vec<Tag> {
    fn tag(&self, key: &str, ordinal: usize) -> Option<&str> {
        self.iter()
            .filter(|tag| tag.key == key)
            .nth(ordinal)
            .map(|tag| tag.value.as_str())
    }
}

/// Tags that name people or genres: their several values are a list, and all are shown. Of any other tag, several values
/// are alternatives, and the first is shown.
const LISTS: &[&str] = &[
    "artist",
    "albumartist",
    "composer",
    "conductor",
    "lyricist",
    "performer",
    "remixer",
    "producer",
    "engineer",
    "mixer",
    "arranger",
    "genre",
    "artistsort",
    "albumartistsort",
    "composersort",
];

/// Values of one tag that are looked at, at most: with a separator each, so many fill more than the longest name.
const VALUES_MAX: usize = 128;

/// What goes between the values of a list.
const LIST_SEPARATOR: &str = ", ";

/// The values of one track.
#[derive(Clone, Copy)]
pub struct TrackValues<'a> {
    /// Its tags.
    pub tags: &'a dyn TagSource,
    /// Path of the backing file below its root.
    pub path: &'a [u8],
    /// Name of its format.
    pub format: &'a str,
    /// Its sound.
    pub properties: AudioProperties,
}

impl Values for TrackValues<'_> {
    /// The value as the user knows it:
    /// - `albumartist` is the artist where there is none, `title` the stem of the backing file's name;
    /// - `year` is the first four digits in a row of the date;
    /// - `tracktotal` and `disctotal` may also come from a track or disc like `1/12`;
    /// - `samplerate` is in Hz, `bitrate` in kbit/s, `duration` in `m:ss` or `h:mm:ss`;
    /// - `foldername` is the directory that the backing file is in, below its root.
    fn value(&self, field: &str) -> Option<Cow<'_, str>> {
        let path = Path::new(OsStr::from_bytes(self.path));
        let properties = &self.properties;
        let number = |number: Option<u32>| number.map(|number| Cow::Owned(number.to_string()));
        match field {
            "albumartist" => self.list("albumartist").or_else(|| self.list("artist")),
            "title" => self
                .first("title")
                .map(Cow::Borrowed)
                .or_else(|| path.file_stem().map(OsStr::to_string_lossy)),
            "year" => self.first("date").and_then(year).map(Cow::Borrowed),
            "tracktotal" => self.total("tracktotal", "track"),
            "disctotal" => self.total("disctotal", "disc"),
            "format" => Some(Cow::Borrowed(self.format)),
            "samplerate" => number(properties.sample_rate_hz),
            "bitspersample" => number(properties.bits_per_sample),
            "channels" => number(properties.channels),
            "bitrate" => number(properties.bitrate_bps.map(|bps| bps.div_ceil(1000))),
            "duration" => properties.duration_ms.map(|ms| Cow::Owned(clock(ms))),
            "filename" => path.file_stem().map(OsStr::to_string_lossy),
            "foldername" => path
                .parent()
                .and_then(Path::file_name)
                .map(OsStr::to_string_lossy),
            "ext" => names::extension_of(self.path),
            list if LISTS.contains(&list) => self.list(list),
            tag => self.first(tag).map(Cow::Borrowed),
        }
    }
}

impl<'a> TrackValues<'a> {
    /// The values of `key` that have something to show.
    fn shown(&self, key: &str) -> impl Iterator<Item = &'a str> {
        let tags = self.tags;
        (0..VALUES_MAX)
            .map_while(move |ordinal| tags.tag(key, ordinal))
            .map(str::trim)
            .filter(|value| !value.is_empty())
    }

    fn first(&self, key: &str) -> Option<&'a str> {
        self.shown(key).next()
    }

    fn list(&self, key: &str) -> Option<Cow<'a, str>> {
        let mut values = self.shown(key);
        let mut list = Cow::Borrowed(values.next()?);
        for value in values {
            let list = list.to_mut();
            list.push_str(LIST_SEPARATOR);
            list.push_str(value);
        }
        Some(list)
    }

    fn total(&self, total_key: &str, number_key: &str) -> Option<Cow<'a, str>> {
        self.first(total_key)
            .or_else(|| self.first(number_key).and_then(numbers::total))
            .map(Cow::Borrowed)
    }
}

/// The first four digits in a row.
fn year(date: &str) -> Option<&str> {
    let start = date
        .as_bytes()
        .windows(4)
        .position(|window| window.iter().all(u8::is_ascii_digit))?;
    Some(&date[start..start + 4])
}

/// Minutes and seconds, with hours where there are any.
fn clock(duration_ms: u64) -> String {
    let seconds = duration_ms / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}
