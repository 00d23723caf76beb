//! Reading tracks: one pass over all of them, or all of one.

use std::borrow::Cow;

use musefs_telemetry::{event_warn, logging};
use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::database::Database;
use super::pass::Asked;
use super::rows::{Fields, Holder, Mark, Pass, Stamp, TrackDetail, TrackFailure, TrackRow};
use super::{Store, StoreError};
use crate::formats::{
    Art, AudioProperties, ByteRange, Format, OpaqueItem, PROBE_VERSION, SYNTHESIZER_VERSION,
    Source, Structure, Tag,
};
use crate::ids::{RootId, TrackId};
use crate::layout::BlobId;
use crate::metrics::QueryKind;

/// The columns of a [`TrackRow`], in the order that `read_track` takes them.
macro_rules! track_columns {
    () => {
        "id, root_id, path, backing_size, backing_mtime_ns, backing_ctime_ns, backing_inode, format, failure, \
         duration_ms, sample_rate_hz, channels, bits_per_sample, bitrate_bps, served_size, synthesizer_version, \
         added_ns, edited_ns, change_seq, content_seq, backing_seq, probe_version"
    };
}

/// Number of columns of `track_columns`.
const TRACK_COLUMNS: usize = 22;

impl Asked {
    const ALL: Self = Self {
        kind: QueryKind::Tracks,
        tracks_sql: concat!("SELECT ", track_columns!(), " FROM tracks ORDER BY id"),
        tags_condition: "",
        condition: None,
    };
}

impl Store {
    /// Hands every track to `f`, in the order of their ids, with the values of just these `keys`. All of it is one state of
    /// the store, read in two statements however many tracks there are.
    ///
    /// What of a row cannot be read is logged and counted, and the row handed out without it.
    pub fn for_each_track(
        &self,
        keys: &[&str],
        f: impl FnMut(TrackRow, &Fields),
    ) -> Result<Pass, StoreError> {
        self.pass(&Asked::ALL, keys, f)
    }

    /// As [`Store::for_each_track`], with the tags read by `beside`, another connection to the same store, on a thread of its
    /// own. Where the two do not see the same state of the store, or `beside` cannot read, this connection reads all by itself.
    pub fn for_each_track_with(
        &self,
        beside: Store,
        keys: &[&str],
        f: impl FnMut(TrackRow, &Fields),
    ) -> Result<Pass, StoreError> {
        self.pass_with(beside, &Asked::ALL, keys, f)
    }

    /// Gives back the memory of pages that were read, where it is not needed at this moment.
    pub fn release_memory(&self) -> Result<(), StoreError> {
        let query = self.database.query(QueryKind::Other);
        query.row("PRAGMA shrink_memory", [], |_| Ok(()))?;
        Ok(())
    }

    /// Hands those of `tracks` to `f` that there are, like [`Store::for_each_track`].
    pub fn for_each_track_of(
        &self,
        tracks: &[TrackId],
        keys: &[&str],
        f: impl FnMut(TrackRow, &Fields),
    ) -> Result<Pass, StoreError> {
        let ids: Vec<String> = tracks.iter().map(|track| track.0.to_string()).collect();
        let asked = Asked {
            kind: QueryKind::Tracks,
            tracks_sql: concat!(
                "SELECT ",
                track_columns!(),
                " FROM tracks WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id"
            ),
            tags_condition: "track_id IN (SELECT value FROM json_each(?1)) AND ",
            condition: Some(format!("[{}]", ids.join(",")).into()),
        };
        self.pass(&asked, keys, f)
    }

    /// Hands those tracks to `f` that changed in any way after the number `after` was handed out, like
    /// [`Store::for_each_track`]. Tracks that are gone are told by [`Store::removed_tracks`].
    pub fn for_each_changed_track(
        &self,
        after: i64,
        keys: &[&str],
        f: impl FnMut(TrackRow, &Fields),
    ) -> Result<Pass, StoreError> {
        let asked = Asked {
            kind: QueryKind::Changes,
            tracks_sql: concat!(
                "SELECT ",
                track_columns!(),
                " FROM tracks WHERE id IN (SELECT id FROM tracks WHERE change_seq > ?1) ORDER BY id"
            ),
            tags_condition: "track_id IN (SELECT id FROM tracks WHERE change_seq > ?1) AND ",
            condition: Some(after.into()),
        };
        self.pass(&asked, keys, f)
    }

    /// The tracks that were deleted after the number `after` was handed out, in the order of their deletion.
    pub fn removed_tracks(&self, after: i64) -> Result<Vec<TrackId>, StoreError> {
        self.database.query(QueryKind::Changes).rows(
            "SELECT track_id FROM tombstones WHERE change_seq > ?1 ORDER BY change_seq",
            [after],
            |row| row.get(0).map(TrackId),
        )
    }

    /// Where somebody who has read all of the store is, to go on from there later.
    pub fn mark(&self) -> Result<Mark, StoreError> {
        let query = self.database.query(QueryKind::Version);
        let _one_state = query.begin_read()?;
        let sequence = self.highest_number(&query)?;
        let holder = query.row(
            "SELECT id, content_seq, backing_mtime_ns, edited_ns FROM tracks WHERE change_seq = ?1",
            [sequence],
            read_holder,
        )?;
        Ok(Mark { sequence, holder })
    }

    /// Whether this store is a later state of the one that `mark` was made in: an older copy that was put in its place, and
    /// edited since, is not.
    pub fn follows(&self, mark: &Mark) -> Result<bool, StoreError> {
        let query = self.database.query(QueryKind::Version);
        let _one_state = query.begin_read()?;
        let id: Option<String> =
            query.row("SELECT value FROM meta WHERE key = 'store_id'", [], |row| {
                row.get(0)
            })?;
        if id.as_deref() != Some(self.id()) || self.highest_number(&query)? < mark.sequence {
            return Ok(false);
        }
        let Some(holder) = mark.holder else {
            return Ok(true);
        };
        let found = query.row(
            "SELECT id, content_seq, backing_mtime_ns, edited_ns, change_seq FROM tracks WHERE id = ?1",
            [holder.track.0],
            |row| Ok((read_holder(row)?, row.get::<_, i64>(4)?)),
        )?;
        if let Some((found, change_seq)) = found {
            return Ok(
                change_seq > mark.sequence || (change_seq == mark.sequence && found == holder)
            );
        }
        let tombstone = query.row(
            "SELECT change_seq FROM tombstones WHERE track_id = ?1",
            [holder.track.0],
            |row| row.get::<_, i64>(0),
        )?;
        Ok(tombstone.is_some_and(|number| number > mark.sequence))
    }

    /// All that the store holds of a track, as one state; `None` when there is no such track. A structure that this
    /// program cannot read, or that another version's probe made, is [`Structure::AsIs`]: it is never guessed at.
    pub fn track(&self, id: TrackId) -> Result<Option<TrackDetail>, StoreError> {
        let _one_state = self.database.query(QueryKind::Track).begin_read()?;
        self.track_of_this_state(id)
    }

    /// Those of `tracks` that there are, as one state, in their order, each as [`Store::track`] has it.
    pub fn details(&self, tracks: &[TrackId]) -> Result<Vec<TrackDetail>, StoreError> {
        let _one_state = self.database.query(QueryKind::Track).begin_read()?;
        let found = tracks
            .iter()
            .filter_map(|&id| self.track_of_this_state(id).transpose());
        found.collect()
    }

    /// As [`Store::track`], within a transaction.
    fn track_of_this_state(&self, id: TrackId) -> Result<Option<TrackDetail>, StoreError> {
        let database = &self.database;
        let query = database.query(QueryKind::Track);
        let found = query.row(
            concat!(
                "SELECT ",
                track_columns!(),
                ", structure FROM tracks WHERE id = ?1"
            ),
            [id.0],
            |row| {
                let track = read_track(row)?;
                let structure: Vec<u8> = row.get(TRACK_COLUMNS)?;
                Ok((track, structure))
            },
        )?;
        drop(query);
        let Some(((row, complaints), structure)) = found else {
            return Ok(None);
        };
        complain(&row, &complaints);
        let structure = if row.is_current {
            Structure::from_bytes(&structure).unwrap_or_else(|error| {
                complain(&row, &[format!("the structure: {error}")]);
                Structure::AsIs
            })
        } else {
            Structure::AsIs
        };
        Ok(Some(TrackDetail {
            row,
            structure,
            tags: tags_of(database, id)?,
            art: art_of(database, id)?,
            items: items_of(database, id)?,
        }))
    }

    /// Reads bytes of a blob from `offset` into `buffer`; returns how many, fewer than asked only at the blob's end.
    pub fn blob(&self, blob: BlobId, offset: u64, buffer: &mut [u8]) -> Result<usize, StoreError> {
        let error = |source| self.database.error(source);
        let query = self.database.query(QueryKind::Blob);
        query.count();
        let open = self
            .database
            .connection()
            .blob_open("main", "blobs", "data", blob.0, true)
            .map_err(error)?;
        match usize::try_from(offset) {
            Ok(offset) if offset < open.len() => open.read_at(buffer, offset).map_err(error),
            _ => Ok(0),
        }
    }

    /// Keeps sizes that were computed for the track's content of that number. Tracks that have moved on are left alone, and
    /// nothing counts as changed by it.
    pub fn record_served_sizes(&mut self, sizes: &[(TrackId, i64, u64)]) -> Result<(), StoreError> {
        let write = self.database.begin_own()?;
        for &(track, content_seq, size) in sizes {
            self.database.execute(
                "UPDATE tracks SET served_size = ?3, synthesizer_version = ?4 WHERE id = ?1 AND content_seq = ?2",
                (track.0, content_seq, size.cast_signed(), SYNTHESIZER_VERSION),
            )?;
        }
        write.commit()
    }
}

/// Tells of what somebody wrote into a row that means nothing.
pub(super) fn complain(row: &TrackRow, complaints: &[String]) {
    if !complaints.is_empty() {
        let path = String::from_utf8_lossy(&row.path);
        let what = complaints.join(", ");
        event_warn!(
            logging::engine(),
            "store.row.broken",
            message = "a row of the store holds what cannot be read; scan again to mend it",
            track = row.id.0,
            path = &*path,
            what = &what,
        );
    }
}

/// Whether a structure of this `probe_version` is one of this program. A negative version asks for the file to be read
/// again; the structure is that of the version all the same.
pub(super) fn is_current(probe_version: i64) -> bool {
    probe_version.unsigned_abs() == u64::from(PROBE_VERSION)
}

/// What in a row's `format` and `failure` means nothing to this program.
pub(super) fn complaints(format: &str, failure: Option<&str>) -> Vec<String> {
    let mut complaints = Vec::new();
    if Format::from_name(format).is_none() {
        complaints.push(format!("the format {format:?}"));
    }
    if let Some(failure) = failure.filter(|name| TrackFailure::from_name(name).is_none()) {
        complaints.push(format!("the failure {failure:?}"));
    }
    complaints
}

/// Reads the columns of `track_columns`, and tells what of them means nothing: that is as if it were not there.
pub(super) fn read_track(row: &Row<'_>) -> rusqlite::Result<(TrackRow, Vec<String>)> {
    let format = text(row, 7)?;
    let failure = match row.get_ref(8)? {
        ValueRef::Null => None,
        name => Some(decoded(name)?),
    };
    let mut complaints = complaints(&format, failure.as_deref());
    let is_current = is_current(row.get(21)?);
    let properties = AudioProperties {
        duration_ms: number(row, 9, &mut complaints)?,
        sample_rate_hz: number(row, 10, &mut complaints)?,
        channels: number(row, 11, &mut complaints)?,
        bits_per_sample: number(row, 12, &mut complaints)?,
        bitrate_bps: number(row, 13, &mut complaints)?,
    };
    let size = row.get::<_, i64>(3)?.cast_unsigned();
    let synthesizer: Option<i64> = row.get(15)?;
    let served_size = if is_current {
        number(row, 14, &mut complaints)?
            .filter(|_| synthesizer == Some(i64::from(SYNTHESIZER_VERSION)))
    } else {
        Some(size)
    };
    let track = TrackRow {
        id: TrackId(row.get(0)?),
        root: RootId(row.get(1)?),
        path: row.get(2)?,
        stamp: Stamp {
            size,
            mtime_ns: row.get(4)?,
            ctime_ns: row.get(5)?,
            inode: row.get::<_, i64>(6)?.cast_unsigned(),
        },
        format: Format::from_name(&format).unwrap_or(Format::Unrecognised),
        failure: failure.as_deref().and_then(TrackFailure::from_name),
        properties,
        is_current,
        served_size,
        added_ns: row.get(16)?,
        edited_ns: row.get(17)?,
        change_seq: row.get(18)?,
        content_seq: row.get(19)?,
        backing_seq: row.get(20)?,
    };
    Ok((track, complaints))
}

/// Reads the first columns of a row as a [`Holder`].
fn read_holder(row: &Row<'_>) -> rusqlite::Result<Holder> {
    Ok(Holder {
        track: TrackId(row.get(0)?),
        content_seq: row.get(1)?,
        backing_mtime_ns: row.get(2)?,
        edited_ns: row.get(3)?,
    })
}

/// Text of a row. Somebody may have stored bytes that are no UTF-8: they read as U+FFFD and cost nobody else anything.
pub(super) fn text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<Cow<'a, str>> {
    decoded(row.get_ref(column)?)
}

pub(super) fn decoded(value: ValueRef<'_>) -> rusqlite::Result<Cow<'_, str>> {
    Ok(String::from_utf8_lossy(value.as_bytes()?))
}

/// A number that may be absent; one that makes no sense is as good as absent.
fn number<T: TryFrom<i64>>(
    row: &Row<'_>,
    column: usize,
    complaints: &mut Vec<String>,
) -> rusqlite::Result<Option<T>> {
    let Some(value) = row.get::<_, Option<i64>>(column)? else {
        return Ok(None);
    };
    let number = T::try_from(value).ok();
    if number.is_none() {
        let name = row.as_ref().column_name(column)?;
        complaints.push(format!("{name} of {value}"));
    }
    Ok(number)
}

pub(super) fn tags_of(database: &Database, track: TrackId) -> Result<Vec<Tag>, StoreError> {
    database.query(QueryKind::Tags).rows(
        "SELECT key, value FROM tags WHERE track_id = ?1 ORDER BY key, ordinal",
        [track.0],
        |row| {
            Ok(Tag {
                key: text(row, 0)?.into_owned(),
                value: text(row, 1)?.into_owned(),
            })
        },
    )
}

pub(super) fn art_of(database: &Database, track: TrackId) -> Result<Vec<Art>, StoreError> {
    database.query(QueryKind::Parts).rows(
        "SELECT backing_offset, backing_len, blob_id, length(blobs.data), picture_type, mime, description, width, height, \
         depth, colors FROM art LEFT JOIN blobs ON blobs.id = blob_id WHERE track_id = ?1 ORDER BY ordinal, art.id",
        [track.0],
        |row| {
            Ok(Art {
                source: read_source(row)?,
                picture_type: row.get(4)?,
                mime: text(row, 5)?.into_owned(),
                description: text(row, 6)?.into_owned(),
                width: row.get(7)?,
                height: row.get(8)?,
                depth: row.get(9)?,
                colors: row.get(10)?,
            })
        },
    )
}

pub(super) fn items_of(database: &Database, track: TrackId) -> Result<Vec<OpaqueItem>, StoreError> {
    database.query(QueryKind::Parts).rows(
        "SELECT backing_offset, backing_len, blob_id, length(blobs.data), native, flags FROM items \
         LEFT JOIN blobs ON blobs.id = blob_id WHERE track_id = ?1 ORDER BY ordinal, items.id",
        [track.0],
        |row| {
            Ok(OpaqueItem {
                source: read_source(row)?,
                native: text(row, 4)?.into_owned(),
                flags: row.get(5)?,
            })
        },
    )
}

/// Reads the columns `backing_offset`, `backing_len`, `blob_id` and the blob's length; the schema sees to it that exactly one
/// of the two sources is there.
fn read_source(row: &Row<'_>) -> rusqlite::Result<Source> {
    let unsigned = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
    Ok(match row.get::<_, Option<i64>>(2)? {
        Some(blob) => Source::Blob {
            blob: BlobId(blob),
            len: unsigned(3)?,
        },
        None => Source::Backing(ByteRange {
            offset: unsigned(0)?,
            len: unsigned(1)?,
        }),
    })
}
