//! Edits by musefs itself: which tracks are meant, their tags before and after, and giving edits up.
//!
//! The invariant: an edit is one transaction, and leaves in the rows and the numbers what the triggers would have left had
//! somebody else made it. What the new tags are to be is the caller's business.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::ingest::Finding;
use super::parts::TAGS_EDITED;
use super::rows::TrackFailure;
use super::tracks::decoded;
use super::{RootId, Store, StoreError, TrackId};
use crate::formats::Tag;

/// A track and its tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackTags {
    /// The row.
    pub id: TrackId,
    /// The root its file lies under.
    pub root: RootId,
    /// The file's path from the root, in bytes.
    pub relative: Vec<u8>,
    /// The file's absolute path.
    pub path: PathBuf,
    /// Whether somebody edited any part of it.
    pub is_edited: bool,
    /// Grouped by key in the order of the keys' bytes, the values of a key in their order.
    pub tags: Vec<Tag>,
}

impl Store {
    /// All tracks, in the order of their ids.
    pub fn all_tracks(&self) -> Result<Vec<TrackId>, StoreError> {
        self.database
            .rows("SELECT id FROM tracks ORDER BY id", [], |row| {
                row.get(0).map(TrackId)
            })
    }

    /// The tracks whose file is `path`, or lies below it; `path` is from the root, and empty for all of the root.
    pub fn tracks_below(&self, root: RootId, path: &[u8]) -> Result<Vec<TrackId>, StoreError> {
        if path.is_empty() {
            return self.database.rows(
                "SELECT id FROM tracks WHERE root_id = ?1 ORDER BY id",
                [root.0],
                |row| row.get(0).map(TrackId),
            );
        }
        // `0` is the byte after `/`.
        let (first, end) = ([path, b"/"].concat(), [path, b"0"].concat());
        self.database.rows(
            "SELECT id FROM tracks WHERE root_id = ?1 AND (path = ?2 OR (path >= ?3 AND path < ?4)) ORDER BY id",
            (root.0, path, first, end),
            |row| row.get(0).map(TrackId),
        )
    }

    /// The tracks of which `matches` holds for a value of the key, in the order of their ids. The case of ASCII letters in the
    /// key does not matter.
    pub fn tracks_with(
        &self,
        key: &str,
        mut matches: impl FnMut(&str) -> bool,
    ) -> Result<Vec<TrackId>, StoreError> {
        let found = self.database.rows(
            "SELECT track_id, value FROM tags WHERE key = ?1 COLLATE NOCASE ORDER BY track_id",
            [key],
            |row| {
                let is_one = matches(&decoded(row.get_ref(1)?)?);
                Ok(is_one.then_some(TrackId(row.get(0)?)))
            },
        )?;
        let mut tracks: Vec<TrackId> = found.into_iter().flatten().collect();
        tracks.dedup();
        Ok(tracks)
    }

    /// Those of `tracks` that there are, with their tags, in the order of their ids. Two statements, one state of the store.
    pub fn tags_of_tracks(&self, tracks: &[TrackId]) -> Result<Vec<TrackTags>, StoreError> {
        let _one_state = self.database.begin_read()?;
        self.read_tags(tracks)
    }

    /// Gives each of `tracks` the tags that `edit` makes of those it has, in one transaction. Returns the tracks that are
    /// different afterwards; the others are not touched.
    pub fn retag(
        &mut self,
        tracks: &[TrackId],
        now_ns: i64,
        mut edit: impl FnMut(&TrackTags) -> Vec<Tag>,
    ) -> Result<Vec<TrackId>, StoreError> {
        let mut write = self.database.begin_own()?;
        let mut changed = Vec::new();
        for track in self.read_tags(tracks)? {
            let mut tags = edit(&track);
            tags.sort_by(|a, b| a.key.cmp(&b.key));
            if tags == track.tags {
                continue;
            }
            self.replace_tags(track.id, &track.tags, &tags)?;
            self.database.execute(
                "UPDATE tracks SET served_size = NULL, edited_ns = ?2, edited_parts = edited_parts | ?3, change_seq = ?4, \
                 content_seq = ?4 WHERE id = ?1",
                (track.id.0, now_ns, TAGS_EDITED, write.next_number()),
            )?;
            changed.push(track.id);
        }
        write.commit()?;
        Ok(changed)
    }

    /// Gives up all edits of the tracks of `findings`: each holds what reading its file gave, in one transaction. A finding
    /// whose track is gone is left out. Returns how many tracks there were.
    pub fn revert(&mut self, findings: &[Finding<'_>], now_ns: i64) -> Result<u64, StoreError> {
        let mut write = self.database.begin_own()?;
        let mut reverted = 0;
        for finding in findings {
            let known = self.database.execute(
                "UPDATE tracks SET edited_ns = NULL, edited_parts = 0, change_seq = ?3 WHERE root_id = ?1 AND path = ?2",
                (finding.root.0, finding.path, write.next_number()),
            )?;
            if known == 1 {
                self.ingest_one(&mut write, finding, now_ns)?;
                reverted += 1;
            }
        }
        write.commit()?;
        Ok(reverted)
    }

    /// Forgets those of `tracks` whose file was missing at the last look, edits included, in one transaction. Returns how many
    /// there were.
    pub fn forget_missing(&mut self, tracks: &[TrackId]) -> Result<u64, StoreError> {
        // The trigger writes the tombstones, and takes the numbers for them.
        let write = self.database.begin_own()?;
        let mut forgotten = 0;
        for track in tracks {
            forgotten += self.database.execute(
                "DELETE FROM tracks WHERE id = ?1 AND failure = ?2",
                (track.0, TrackFailure::Missing.as_str()),
            )?;
        }
        write.commit()?;
        Ok(forgotten as u64)
    }

    /// Writes those keys of a track whose values differ: a value that is no UTF-8 stays what it is beside the others.
    fn replace_tags(&self, track: TrackId, old: &[Tag], new: &[Tag]) -> Result<(), StoreError> {
        let (old, new) = (by_key(old), by_key(new));
        for (key, _) in old.iter().filter(|(key, tags)| new.get(*key) != Some(tags)) {
            self.database.execute(
                "DELETE FROM tags WHERE track_id = ?1 AND key = ?2",
                (track.0, key),
            )?;
        }
        for (key, tags) in new.iter().filter(|(key, tags)| old.get(*key) != Some(tags)) {
            self.database.execute_each(
                "INSERT INTO tags (track_id, key, ordinal, value) VALUES (?1, ?2, ?3, ?4)",
                (0_i64..)
                    .zip(*tags)
                    .map(|(ordinal, tag)| (track.0, key, ordinal, &tag.value)),
            )?;
        }
        Ok(())
    }

    fn read_tags(&self, tracks: &[TrackId]) -> Result<Vec<TrackTags>, StoreError> {
        let ids: Vec<String> = tracks.iter().map(|track| track.0.to_string()).collect();
        let ids = format!("[{}]", ids.join(","));
        let mut found = self.database.rows(
            "SELECT tracks.id, root_id, roots.path, tracks.path, edited_ns IS NOT NULL FROM tracks \
             JOIN roots ON roots.id = root_id WHERE tracks.id IN (SELECT value FROM json_each(?1)) ORDER BY tracks.id",
            [&ids],
            |row| {
                let root: Vec<u8> = row.get(2)?;
                let relative: Vec<u8> = row.get(3)?;
                Ok(TrackTags {
                    id: TrackId(row.get(0)?),
                    root: RootId(row.get(1)?),
                    path: Path::new(&OsString::from_vec(root))
                        .join(std::ffi::OsStr::from_bytes(&relative)),
                    relative,
                    is_edited: row.get(4)?,
                    tags: Vec::new(),
                })
            },
        )?;
        let tags = self.database.rows(
            "SELECT track_id, key, value FROM tags WHERE track_id IN (SELECT value FROM json_each(?1)) \
             ORDER BY track_id, key, ordinal",
            [&ids],
            |row| {
                let tag = Tag {
                    key: decoded(row.get_ref(1)?)?.into_owned(),
                    value: decoded(row.get_ref(2)?)?.into_owned(),
                };
                Ok((TrackId(row.get(0)?), tag))
            },
        )?;
        let mut at = 0;
        for (track, tag) in tags {
            // Both are in the order of ids; a tag without a track belongs to nobody.
            while found.get(at).is_some_and(|held| held.id < track) {
                at += 1;
            }
            if let Some(held) = found.get_mut(at).filter(|held| held.id == track) {
                held.tags.push(tag);
            }
        }
        Ok(found)
    }
}

/// Tags that are grouped by key, as such.
fn by_key(tags: &[Tag]) -> BTreeMap<&str, &[Tag]> {
    tags.chunk_by(|a, b| a.key == b.key)
        .map(|group| (&*group[0].key, group))
        .collect()
}
