//! What inodes stood for that are not in the tree any more: whoever looked a name up just before an edit may open the inode
//! that it had, and is not to be told that a file is gone which is there.

use std::collections::{HashMap, VecDeque};

use crate::ids::TrackId;
use crate::tree::Inode;

/// Inodes that are remembered; the oldest are forgotten first. The kernel asks for a name again that it cannot open, so
/// only who is late twice sees a difference.
const REMEMBERED_MAX: usize = 8192;

#[derive(Debug, Default)]
pub(super) struct Superseded {
    tracks: HashMap<Inode, TrackId>,
    /// The keys of `tracks`, the oldest first.
    order: VecDeque<Inode>,
}

impl Superseded {
    /// Remembers inodes that go, with the track of each.
    pub(super) fn extend(&mut self, gone: impl IntoIterator<Item = (Inode, TrackId)>) {
        for (inode, track) in gone {
            if self.tracks.insert(inode, track).is_some() {
                continue;
            }
            self.order.push_back(inode);
            if self.order.len() > REMEMBERED_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.tracks.remove(&oldest);
            }
        }
    }

    pub(super) fn track_of(&self, inode: Inode) -> Option<TrackId> {
        self.tracks.get(&inode).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_remembered_up_to_a_bound() {
        let mut superseded = Superseded::default();
        let count = REMEMBERED_MAX as u64 + 10;
        superseded.extend((0..count).map(|number| (Inode(number), TrackId(7))));
        assert_eq!(superseded.track_of(Inode(9)), None);
        assert_eq!(superseded.track_of(Inode(10)), Some(TrackId(7)));
        assert_eq!(superseded.tracks.len(), REMEMBERED_MAX);
    }
}
