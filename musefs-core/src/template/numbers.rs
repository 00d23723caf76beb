//! How wide track and disc numbers are written, so that the files of an album sort in its order.
//!
//! The width depends on siblings, which one pass over the tracks has not seen yet. So each track is noted as it passes, and
//! keeps [`Siblings`], a few bytes; when all have passed, [`NumberWidths`] knows the width for each.

use std::collections::HashMap;

use super::Values;

/// Digits that a number is padded to at most: a wrong total of a million must not fill names with zeros.
const WIDTH_MAX: usize = 3;

/// The largest numbers of each album and disc seen so far. Its size depends on albums and discs, not on tracks.
#[derive(Debug, Default)]
pub struct NumberWidths {
    /// Index into `largest` of each album's disc numbers, by album artist and album.
    albums: HashMap<Box<str>, u32>,
    /// Index into `largest` of each disc's track numbers, by the album's index and the disc's number.
    discs: HashMap<(u32, Option<u32>), u32>,
    /// The largest number or total of each group.
    largest: Vec<u32>,
}

/// The groups that one track shares its widths with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Siblings {
    album: u32,
    disc: u32,
}

/// Which of its numbers a track shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbered {
    /// Its place on the disc.
    Track,
    /// The disc's place in the album.
    Disc,
}

impl Numbered {
    /// Which number the field `name` is, if it is one.
    pub(super) fn of_field(name: &str) -> Option<Self> {
        match name {
            "track" => Some(Self::Track),
            "disc" => Some(Self::Disc),
            _ => None,
        }
    }
}

/// The tags that [`NumberWidths::note`] looks at.
pub(super) const TAGS_FOR_WIDTHS: &[&str] = &[
    "albumartist",
    "artist",
    "album",
    "track",
    "tracktotal",
    "disc",
    "disctotal",
];

impl NumberWidths {
    /// Takes the numbers and totals of a track into account for its siblings: the tracks of the same album artist, album
    /// and disc. A track without an album has none.
    pub(super) fn note(&mut self, values: &dyn Values) -> Siblings {
        let number = |field| values.value(field).and_then(|text| leading_number(&text));
        let disc_number = number("disc");
        let (album, disc) = if let Some(title) = values.value("album") {
            let artist = values.value("albumartist").unwrap_or_default();
            let key = format!("{artist}\0{title}").into_boxed_str();
            let largest = &mut self.largest;
            let album = *self.albums.entry(key).or_insert_with(|| group(largest));
            let disc = self.discs.entry((album, disc_number));
            (album, *disc.or_insert_with(|| group(largest)))
        } else {
            (group(&mut self.largest), group(&mut self.largest))
        };
        for (group, numbers) in [
            (album, [disc_number, number("disctotal")]),
            (disc, [number("track"), number("tracktotal")]),
        ] {
            let largest = &mut self.largest[group as usize];
            *largest = numbers.into_iter().flatten().fold(*largest, u32::max);
        }
        Siblings { album, disc }
    }

    /// Digits to write a number of a track of `siblings` with, at least.
    pub(super) fn width(&self, siblings: Siblings, numbered: Numbered) -> usize {
        let group = match numbered {
            Numbered::Track => siblings.disc,
            Numbered::Disc => siblings.album,
        };
        let largest = self.largest[group as usize];
        let digits = largest.checked_ilog10().map_or(1, |log| log as usize + 1);
        digits.min(WIDTH_MAX)
    }
}

/// A new group that nothing was noted of.
fn group(largest: &mut Vec<u32>) -> u32 {
    let group = u32::try_from(largest.len()).expect("fewer albums than 2^32");
    largest.push(0);
    group
}

/// The number that a track's or disc's text says: `1`, `01` and `1/12` are 1. `A1` or `1b` is no number.
pub(super) fn leading_number(text: &str) -> Option<u32> {
    let (number, _) = text.split_once('/').unwrap_or((text, ""));
    digits(number)
}

/// The total that a track's or disc's text says: `1/12` has 12.
pub(super) fn total(text: &str) -> Option<&str> {
    let (_, total) = text.split_once('/')?;
    digits(total).map(|_| total.trim())
}

fn digits(text: &str) -> Option<u32> {
    let text = text.trim();
    // `parse` alone would take a sign as well.
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}
