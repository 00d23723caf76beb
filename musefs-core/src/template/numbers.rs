//! How wide track and disc numbers are written, so that the files of an album sort in its order.
//!
//! The width depends on siblings, which one pass over the tracks has not seen yet. So each track is noted as it passes, and
//! keeps [`Siblings`], a few bytes; when all have passed, [`NumberWidths`] knows the width for each.

use std::collections::{HashMap, HashSet};

use super::Values;

/// Digits that a number is padded to at most: a wrong total of a million must not fill names with zeros.
const WIDTH_MAX: usize = 3;

/// How many tracks of each album and disc have numbers of how many digits. Its size depends on albums and discs, not on
/// tracks; those that no track is left of are kept until it is made anew.
#[derive(Debug, Default)]
pub struct NumberWidths {
    /// Index into `groups` of each album's disc numbers, by album artist and album.
    albums: HashMap<Box<str>, u32>,
    /// Index into `groups` of each disc's track numbers, by the album's index and the disc's number.
    discs: HashMap<(u32, Option<u32>), u32>,
    groups: Vec<Group>,
    /// The width that a group had, of those that got another one since [`NumberWidths::take_changed`].
    before: HashMap<u32, u8>,
}

/// Tracks that share the width of a number: how many there are whose own numbers need one digit, two, and so on.
#[derive(Clone, Copy, Debug, Default)]
struct Group([u32; WIDTH_MAX]);

impl Group {
    fn width(self) -> u8 {
        let needed = self.0.iter().rposition(|&count| count > 0).unwrap_or(0);
        u8::try_from(needed + 1).expect("at most WIDTH_MAX")
    }
}

/// The groups that one track shares its widths with, and the digits that its own numbers need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Siblings {
    album: u32,
    disc: u32,
    album_digits: u8,
    disc_digits: u8,
}

impl Siblings {
    /// Whether a change of one of these groups concerns the track.
    pub fn is_among(&self, groups: &HashSet<u32>) -> bool {
        groups.contains(&self.album) || groups.contains(&self.disc)
    }
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
            let groups = &mut self.groups;
            let album = *self.albums.entry(key).or_insert_with(|| group(groups));
            let disc = self.discs.entry((album, disc_number));
            (album, *disc.or_insert_with(|| group(groups)))
        } else {
            (group(&mut self.groups), group(&mut self.groups))
        };
        let digits = |numbers: [Option<u32>; 2]| {
            let largest = numbers.into_iter().flatten().max().unwrap_or(0);
            let digits = largest.checked_ilog10().map_or(1, |log| log as usize + 1);
            u8::try_from(digits.min(WIDTH_MAX)).expect("at most WIDTH_MAX")
        };
        let siblings = Siblings {
            album,
            disc,
            album_digits: digits([disc_number, number("disctotal")]),
            disc_digits: digits([number("track"), number("tracktotal")]),
        };
        self.change(album, |group| {
            group.0[usize::from(siblings.album_digits) - 1] += 1;
        });
        self.change(disc, |group| {
            group.0[usize::from(siblings.disc_digits) - 1] += 1;
        });
        siblings
    }

    /// Takes back what was noted of a track, if anything was.
    pub fn forget(&mut self, siblings: Option<Siblings>) {
        let Some(siblings) = siblings else {
            return;
        };
        self.change(siblings.album, |group| {
            group.0[usize::from(siblings.album_digits) - 1] -= 1;
        });
        self.change(siblings.disc, |group| {
            group.0[usize::from(siblings.disc_digits) - 1] -= 1;
        });
    }

    /// The groups whose width is another than at the last call.
    pub fn take_changed(&mut self) -> HashSet<u32> {
        std::mem::take(&mut self.before)
            .into_iter()
            .filter(|&(group, before)| self.groups[group as usize].width() != before)
            .map(|(group, _)| group)
            .collect()
    }

    /// Albums and discs known, those that no track is left of included.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// Digits to write a number of a track of `siblings` with, at least.
    pub(super) fn width(&self, siblings: Siblings, numbered: Numbered) -> usize {
        let group = match numbered {
            Numbered::Track => siblings.disc,
            Numbered::Disc => siblings.album,
        };
        usize::from(self.groups[group as usize].width())
    }

    fn change(&mut self, group: u32, change: impl FnOnce(&mut Group)) {
        let changed = &mut self.groups[group as usize];
        let before = changed.width();
        change(changed);
        if changed.width() != before {
            self.before.entry(group).or_insert(before);
        }
    }
}

/// A new group that nothing was noted of.
fn group(groups: &mut Vec<Group>) -> u32 {
    let group = u32::try_from(groups.len()).expect("fewer albums than 2^32");
    groups.push(Group::default());
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
