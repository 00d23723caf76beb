//! What the tracks in the tree are, counted as they come and go: nobody has to look at all of them to tell.

use std::collections::{BTreeMap, HashMap};

use super::Listed;
use crate::formats::Format;
use crate::ids::TrackId;
use crate::tree::{Inode, Tree};

/// How many tracks of each format a tree has, and which of them a scan could not take apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    by_format: [u64; Format::ALL.len()],
    unparsable: imbl::HashSet<TrackId>,
}

impl Holdings {
    pub(super) fn of(listed: &BTreeMap<TrackId, Listed>) -> Self {
        let mut holdings = Self::default();
        for (&track, listed) in listed {
            holdings.add(track, listed);
        }
        holdings
    }

    pub(super) fn add(&mut self, track: TrackId, listed: &Listed) {
        self.by_format[listed.format as usize] += 1;
        if listed.is_unparsable {
            self.unparsable.insert(track);
        }
    }

    pub(super) fn remove(&mut self, track: TrackId, listed: &Listed) {
        self.by_format[listed.format as usize] -= 1;
        if listed.is_unparsable {
            self.unparsable.remove(&track);
        }
    }

    /// Every format, with how many tracks have it.
    pub fn by_format(&self) -> impl Iterator<Item = (Format, u64)> {
        Format::ALL.into_iter().zip(self.by_format)
    }

    /// Tracks that are listed and served as they are because a scan could not take their file apart.
    pub fn unparsable(&self) -> &imbl::HashSet<TrackId> {
        &self.unparsable
    }
}

/// What became of the tracks from one tree to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrackChanges {
    /// Tracks that the next tree has alone.
    pub added: u64,
    /// Tracks of both that are shown under another name, or with other bytes or attributes.
    pub changed: u64,
    /// Tracks that the tree before has alone.
    pub removed: u64,
}

impl TrackChanges {
    /// Compares `before` in the tree `previous` with `after` in the tree `now`: what is in neither list is the same in both.
    pub(super) fn between(
        previous: &Tree,
        before: impl IntoIterator<Item = (TrackId, Inode)>,
        now: &Tree,
        after: impl IntoIterator<Item = (TrackId, Inode)>,
    ) -> Self {
        let mut after: HashMap<TrackId, Inode> = after.into_iter().collect();
        let mut changes = Self::default();
        for (track, old) in before {
            match after.remove(&track) {
                None => changes.removed += 1,
                Some(new) if !shows_the_same(previous, old, now, new) => changes.changed += 1,
                Some(_) => {}
            }
        }
        changes.added = after.len() as u64;
        changes
    }
}

fn shows_the_same(previous: &Tree, old: Inode, now: &Tree, new: Inode) -> bool {
    let (Some(before), Some(after)) = (previous.find(old), now.find(new)) else {
        return false;
    };
    let (one, two) = (previous.node(before), now.node(after));
    (one.inode, one.kind, one.mtime_ns) == (two.inode, two.kind, two.mtime_ns)
        && previous.path_of(before) == now.path_of(after)
}
