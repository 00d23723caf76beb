//! The parts of a track that somebody may edit: its tags, its art, its kept items.

use super::database::Database;
use super::tracks::{art_of, items_of, tags_of};
use super::{StoreError, TrackId};
use crate::formats::{Art, OpaqueItem, Source, Tag};

/// The bits of `edited_parts`.
pub(super) const TAGS_EDITED: i64 = 1;
const ART_EDITED: i64 = 2;
const ITEMS_EDITED: i64 = 4;

/// The editable parts of one track.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Grouped by key in the order of the keys' bytes, the values of a key in their order.
    pub tags: Vec<Tag>,
    /// In order.
    pub art: Vec<Art>,
    /// In order.
    pub items: Vec<OpaqueItem>,
}

impl Parts {
    /// What the store holds of a track.
    pub(super) fn read(database: &Database, track: TrackId) -> Result<Self, StoreError> {
        Ok(Self {
            tags: tags_of(database, track)?,
            art: art_of(database, track)?,
            items: items_of(database, track)?,
        })
    }

    /// These parts after the track's file was read again: an edited part stays as far as it can, the others are the file's.
    pub(super) fn reread(&self, edited_parts: i64, file: &Self) -> Self {
        let edited = |part| edited_parts & part != 0;
        Self {
            tags: if edited(TAGS_EDITED) {
                self.tags.clone()
            } else {
                file.tags.clone()
            },
            art: if edited(ART_EDITED) {
                keep_edited(&self.art, &file.art, art_source, |art| {
                    (art.picture_type, &art.description)
                })
            } else {
                file.art.clone()
            },
            items: if edited(ITEMS_EDITED) {
                keep_edited(&self.items, &file.items, item_source, |item| {
                    (&item.native, item.flags)
                })
            } else {
                file.items.clone()
            },
        }
    }

    /// Writes those parts of a track that differ from what it holds.
    pub(super) fn replace(
        &self,
        database: &Database,
        track: TrackId,
        held: &Self,
    ) -> Result<(), StoreError> {
        if self.tags != held.tags {
            database.execute("DELETE FROM tags WHERE track_id = ?1", [track.0])?;
            self.insert_tags(database, track)?;
        }
        if self.art != held.art {
            database.execute("DELETE FROM art WHERE track_id = ?1", [track.0])?;
            self.insert_art(database, track)?;
        }
        if self.items != held.items {
            database.execute("DELETE FROM items WHERE track_id = ?1", [track.0])?;
            self.insert_items(database, track)?;
        }
        Ok(())
    }

    /// Writes all parts of a track that has none yet.
    pub(super) fn insert(&self, database: &Database, track: TrackId) -> Result<(), StoreError> {
        self.insert_tags(database, track)?;
        self.insert_art(database, track)?;
        self.insert_items(database, track)
    }

    fn insert_tags(&self, database: &Database, track: TrackId) -> Result<(), StoreError> {
        let mut ordinal = 0_i64;
        let mut before: Option<&str> = None;
        let rows = self.tags.iter().map(|tag| {
            ordinal = match before {
                Some(key) if key == tag.key => ordinal + 1,
                _ => 0,
            };
            before = Some(&tag.key);
            (track.0, &tag.key, ordinal, &tag.value)
        });
        database.execute_each(
            "INSERT INTO tags (track_id, key, ordinal, value) VALUES (?1, ?2, ?3, ?4)",
            rows,
        )
    }

    fn insert_art(&self, database: &Database, track: TrackId) -> Result<(), StoreError> {
        for (ordinal, art) in (0_i64..).zip(&self.art) {
            let (offset, len, blob) = source_columns(&art.source);
            database.execute(
                "INSERT INTO art (track_id, ordinal, picture_type, mime, description, width, height, depth, colors, \
                 backing_offset, backing_len, blob_id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
                (
                    track.0,
                    ordinal,
                    art.picture_type,
                    &art.mime,
                    &art.description,
                    art.width,
                    art.height,
                    art.depth,
                    art.colors,
                    offset,
                    len,
                    blob,
                ),
            )?;
        }
        Ok(())
    }

    fn insert_items(&self, database: &Database, track: TrackId) -> Result<(), StoreError> {
        for (ordinal, item) in (0_i64..).zip(&self.items) {
            let (offset, len, blob) = source_columns(&item.source);
            database.execute(
                "INSERT INTO items (track_id, ordinal, native, flags, backing_offset, backing_len, blob_id) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                (
                    track.0,
                    ordinal,
                    &item.native,
                    item.flags,
                    offset,
                    len,
                    blob,
                ),
            )?;
        }
        Ok(())
    }
}

/// The columns `backing_offset`, `backing_len` and `blob_id`.
fn source_columns(source: &Source) -> (Option<i64>, Option<i64>, Option<i64>) {
    match source {
        Source::Backing(range) => (
            Some(range.offset.cast_signed()),
            Some(range.len.cast_signed()),
            None,
        ),
        Source::Blob { blob, .. } => (None, None, Some(blob.0)),
    }
}

fn art_source(art: &mut Art) -> &mut Source {
    &mut art.source
}

fn item_source(item: &mut OpaqueItem) -> &mut Source {
    &mut item.source
}

/// An edited list after its file was read again. What lies in blobs stays; what lies in the file stays where the file still
/// has the like of it, at its new place (the first of that kind for the first, the second for the second); what the user
/// took out stays out.
fn keep_edited<'a, T: Clone, K: PartialEq>(
    edited: &'a [T],
    read: &'a [T],
    source: impl Fn(&mut T) -> &mut Source,
    kind: impl Fn(&'a T) -> K,
) -> Vec<T> {
    let mut unused: Vec<&T> = read.iter().collect();
    edited
        .iter()
        .filter_map(|old| {
            let mut kept = old.clone();
            if matches!(source(&mut kept), Source::Blob { .. }) {
                return Some(kept);
            }
            let found = unused.iter().position(|new| kind(new) == kind(old))?;
            let mut new = unused.remove(found).clone();
            *source(&mut kept) = *source(&mut new);
            Some(kept)
        })
        .collect()
}
