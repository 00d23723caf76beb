//! The next tree from the one before: only rows that changed are read, and what they have an effect on.

use std::collections::{HashMap, HashSet};

use super::draft::{Drafts, Left, Waiting};
use super::{BuildReport, Listed, ROWS_FOR_RELEASE, Refresher, TrackChanges, listed};
use crate::ids::TrackId;
use crate::serve::Published;
use crate::store::{StoreError, now_ns};
use crate::tree::{Changes, Inode, Tree};

/// Groups of siblings that may be known without a track left in them, for each track that is listed, before a tree is made
/// from nothing to be rid of them.
const GROUPS_PER_TRACK_MAX: usize = 4;

/// Groups of siblings below which nobody minds.
const GROUPS_MIN: usize = 65_536;

/// A tree that was made from the one before.
pub(super) struct Advanced {
    pub(super) published: Published,
    pub(super) report: BuildReport,
    pub(super) changes: Changes,
    /// Tracks that were listed and are not what they were, with the inode that they had.
    pub(super) renewed: HashMap<TrackId, Inode>,
}

/// What changed since the last pass.
struct Changed {
    /// Tracks that are to be taken out of the published tree, all that it has of `waiting` included.
    taken_out: HashMap<TrackId, Listed>,
    /// What is to be put in.
    waiting: Vec<Waiting>,
    left: Left,
    rows_read: u64,
}

impl Refresher {
    /// The next tree from what changed in the store since the last one; `None` when it has to be made from nothing.
    ///
    /// # Errors
    /// When the store cannot be read; the next tree is made from nothing then.
    pub(super) fn advance(&mut self, previous: &Tree) -> Result<Option<Advanced>, StoreError> {
        let groups_max = GROUPS_MIN.max(GROUPS_PER_TRACK_MAX * self.listed.len());
        if !self.is_in_step || self.widths.group_count() > groups_max {
            return Ok(None);
        }
        // Taken before the rows are read: what is committed meanwhile is seen by the next poll.
        let data_version = self.store.data_version()?;
        if !self.store.follows(&self.mark)? {
            return Ok(None);
        }
        let mark = self.store.mark()?;
        self.is_in_step = false;
        let Changed {
            taken_out,
            waiting,
            left,
            rows_read,
        } = self.changed()?;
        let removed: HashSet<Inode> = taken_out.values().map(|before| before.inode).collect();
        let is_taken = |inode: Inode| previous.find(inode).is_some() && !removed.contains(&inode);
        if waiting.iter().any(|waiting| is_taken(waiting.inode)) {
            // Somebody wrote numbers by hand; looking at everything tells whose they are.
            return Ok(None);
        }
        let numbers = waiting.iter().map(|waiting| waiting.sequence);
        let highest = numbers.chain([mark.sequence]).max().unwrap_or_default();
        let mut now_listed = listed(&waiting);
        let drafted = waiting.len();
        let (entries, sizes_computed) = self.finish(waiting)?;
        let broken = left.broken + (drafted - entries.len()) as u64;
        let shown: HashSet<TrackId> = entries.iter().map(|entry| entry.track).collect();
        now_listed.retain(|track, _| shown.contains(track));
        let renewed = taken_out
            .iter()
            .map(|(&track, before)| (track, before.inode))
            .filter(|(track, before)| now_listed.get(track).is_none_or(|now| now.inode != *before))
            .collect();
        let removed: Vec<Inode> = removed.into_iter().collect();
        let reserved = self.config.reserved();
        let update = previous.update(&removed, entries, &mut self.inodes, &reserved, now_ns());
        let Some(update) = update else {
            return Ok(None);
        };
        for (&track, before) in &taken_out {
            self.holdings.remove(track, before);
        }
        for (&track, now) in &now_listed {
            self.holdings.add(track, now);
        }
        let inode = |(&track, listed): (&TrackId, &Listed)| (track, listed.inode);
        let (before, after) = (taken_out.iter().map(inode), now_listed.iter().map(inode));
        let tracks = TrackChanges::between(previous, before, &update.tree, after);
        self.listed.extend(now_listed);
        let changes = update.changes(previous);
        let report = BuildReport {
            listed: update.tree.file_count() as u64,
            missing: left.missing,
            skipped: left.skipped,
            broken,
            unread: left.unread,
            outdated: left.outdated,
            sizes_computed,
            rows_read,
            nodes_built: update.nodes_built,
            restored: false,
            tracks,
        };
        let published = self.published(update.tree)?;
        self.data_version = data_version;
        self.mark = mark;
        self.highest = self.highest.max(highest);
        self.is_in_step = true;
        if rows_read >= ROWS_FOR_RELEASE {
            self.release_memory();
        }
        Ok(Some(Advanced {
            published,
            report,
            changes,
            renewed,
        }))
    }

    /// Reads the rows that changed, and those whose names change with them.
    fn changed(&mut self) -> Result<Changed, StoreError> {
        let after = self.mark.sequence;
        let mut tracks: HashSet<TrackId> = self.store.removed_tracks(after)?.into_iter().collect();
        let keys = self.config.template.tag_keys();
        let mut drafts = Drafts::new(&self.config, &keys, self.inode_base, &mut self.widths);
        let pass = self
            .store
            .for_each_changed_track(after, &keys, |row, fields| {
                tracks.insert(row.id);
                drafts.take(&row, fields);
            })?;
        let mut rows_read = pass.rows;
        let (mut unread, mut outdated) = (pass.broken, pass.outdated);
        let mut taken_out: HashMap<TrackId, Listed> = HashMap::new();
        for &track in &tracks {
            if let Some(before) = self.listed.remove(&track) {
                drafts.widths().forget(before.siblings);
                taken_out.insert(track, before);
            }
        }
        let groups = drafts.widths().take_changed();
        if !groups.is_empty() {
            // Their own rows are the same, and their numbers are written in another width.
            let is_concerned = |listed: &Listed| {
                listed
                    .siblings
                    .is_some_and(|siblings| siblings.is_among(&groups))
            };
            let concerned: Vec<TrackId> = self
                .listed
                .iter()
                .filter(|(_, listed)| is_concerned(listed))
                .map(|(&track, _)| track)
                .collect();
            for &track in &concerned {
                if let Some(before) = self.listed.remove(&track) {
                    drafts.widths().forget(before.siblings);
                    taken_out.insert(track, before);
                }
            }
            let pass = self
                .store
                .for_each_track_of(&concerned, &keys, |row, fields| drafts.take(&row, fields))?;
            rows_read += pass.rows;
            unread += pass.broken;
            outdated += pass.outdated;
            // They were taken back and noted again.
            drafts.widths().take_changed();
        }
        let (waiting, mut left) = (drafts.waiting, drafts.left);
        (left.unread, left.outdated) = (unread, outdated);
        Ok(Changed {
            taken_out,
            waiting,
            left,
            rows_read,
        })
    }
}
