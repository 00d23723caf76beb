//! Reading tracks: one pass over all of them, or all of one.

use std::borrow::Cow;

use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Row, Rows, params_from_iter};

use super::database::Database;
use super::rows::{Fields, Holder, Mark, Pass, Stamp, TrackDetail, TrackFailure, TrackRow};
use super::{Store, StoreError};
use crate::formats::{
    Art, AudioProperties, ByteRange, Format, OpaqueItem, SYNTHESIZER_VERSION, Source, Structure,
    Tag,
};
use crate::ids::{RootId, TrackId};
use crate::layout::BlobId;

/// The columns of a [`TrackRow`], in the order that `read_track` takes them.
macro_rules! track_columns {
    () => {
        "id, root_id, path, backing_size, backing_mtime_ns, backing_ctime_ns, backing_inode, format, failure, \
         duration_ms, sample_rate_hz, channels, bits_per_sample, bitrate_bps, served_size, synthesizer_version, \
         added_ns, edited_ns, change_seq, content_seq, backing_seq"
    };
}

/// Number of columns of `track_columns`.
const TRACK_COLUMNS: usize = 21;

/// Why one row cannot be read.
pub(super) struct Broken {
    pub(super) track: i64,
    pub(super) what: String,
}

impl Store {
    /// Hands every track to `f`, in the order of their ids, with the values of just these `keys`. All of it is one state of
    /// the store, read in two statements however many tracks there are.
    ///
    /// A row that cannot be read is logged, counted and left out.
    pub fn for_each_track(
        &self,
        keys: &[&str],
        f: impl FnMut(TrackRow, &Fields),
    ) -> Result<Pass, StoreError> {
        self.pass(
            concat!("SELECT ", track_columns!(), " FROM tracks ORDER BY id"),
            "",
            None,
            keys,
            f,
        )
    }

    /// Hands those of `tracks` to `f` that there are, like [`Store::for_each_track`].
    pub fn for_each_track_of(
        &self,
        tracks: &[TrackId],
        keys: &[&str],
        f: impl FnMut(TrackRow, &Fields),
    ) -> Result<Pass, StoreError> {
        let ids: Vec<String> = tracks.iter().map(|track| track.0.to_string()).collect();
        self.pass(
            concat!(
                "SELECT ",
                track_columns!(),
                " FROM tracks WHERE id IN (SELECT value FROM json_each(?1)) ORDER BY id"
            ),
            "track_id IN (SELECT value FROM json_each(?1)) AND ",
            Some(format!("[{}]", ids.join(",")).into()),
            keys,
            f,
        )
    }

    /// Hands those tracks to `f` that changed in any way after the number `after` was handed out, like
    /// [`Store::for_each_track`]. Tracks that are gone are told by [`Store::removed_tracks`].
    pub fn for_each_changed_track(
        &self,
        after: i64,
        keys: &[&str],
        f: impl FnMut(TrackRow, &Fields),
    ) -> Result<Pass, StoreError> {
        self.pass(
            concat!(
                "SELECT ",
                track_columns!(),
                " FROM tracks WHERE id IN (SELECT id FROM tracks WHERE change_seq > ?1) ORDER BY id"
            ),
            "track_id IN (SELECT id FROM tracks WHERE change_seq > ?1) AND ",
            Some(after.into()),
            keys,
            f,
        )
    }

    /// The tracks that were deleted after the number `after` was handed out, in the order of their deletion.
    pub fn removed_tracks(&self, after: i64) -> Result<Vec<TrackId>, StoreError> {
        self.database.rows(
            "SELECT track_id FROM tombstones WHERE change_seq > ?1 ORDER BY change_seq",
            [after],
            |row| row.get(0).map(TrackId),
        )
    }

    /// Where somebody who has read all of the store is, to go on from there later.
    pub fn mark(&self) -> Result<Mark, StoreError> {
        let _one_state = self.database.begin_read()?;
        let sequence = self.sequence()?;
        let holder = self.database.row(
            "SELECT id, content_seq, backing_mtime_ns, edited_ns FROM tracks WHERE change_seq = ?1",
            [sequence],
            read_holder,
        )?;
        Ok(Mark { sequence, holder })
    }

    /// Whether this store is a later state of the one that `mark` was made in: an older copy that was put in its place, and
    /// edited since, is not.
    pub fn follows(&self, mark: &Mark) -> Result<bool, StoreError> {
        let _one_state = self.database.begin_read()?;
        let id: Option<String> =
            self.database
                .row("SELECT value FROM meta WHERE key = 'store_id'", [], |row| {
                    row.get(0)
                })?;
        if id.as_deref() != Some(self.id()) || self.sequence()? < mark.sequence {
            return Ok(false);
        }
        let Some(holder) = mark.holder else {
            return Ok(true);
        };
        let found = self.database.row(
            "SELECT id, content_seq, backing_mtime_ns, edited_ns, change_seq FROM tracks WHERE id = ?1",
            [holder.track.0],
            |row| Ok((read_holder(row)?, row.get::<_, i64>(4)?)),
        )?;
        if let Some((found, change_seq)) = found {
            return Ok(
                change_seq > mark.sequence || (change_seq == mark.sequence && found == holder)
            );
        }
        let tombstone = self.database.row(
            "SELECT change_seq FROM tombstones WHERE track_id = ?1",
            [holder.track.0],
            |row| row.get::<_, i64>(0),
        )?;
        Ok(tombstone.is_some_and(|number| number > mark.sequence))
    }

    /// All that the store holds of a track, as one state; `None` when there is no such track.
    ///
    /// # Errors
    /// `BrokenRow` when the row holds what this program cannot read.
    pub fn track(&self, id: TrackId) -> Result<Option<TrackDetail>, StoreError> {
        let database = &self.database;
        let _one_state = database.begin_read()?;
        let found = database.row(
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
        let Some((track, structure)) = found else {
            return Ok(None);
        };
        let broken = |broken: Broken| StoreError::BrokenRow {
            path: database.path().to_path_buf(),
            track: broken.track,
            what: broken.what,
        };
        let row = track.map_err(broken)?;
        let structure = Structure::from_bytes(&structure).map_err(|error| {
            broken(Broken {
                track: id.0,
                what: format!("its structure is not one of this version ({error})"),
            })
        })?;
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
        self.database.count();
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

    /// One pass over two statements, the tracks and their tags, both in the order of the track's id.
    fn pass(
        &self,
        tracks_sql: &str,
        tags_condition: &str,
        condition: Option<Value>,
        keys: &[&str],
        mut f: impl FnMut(TrackRow, &Fields),
    ) -> Result<Pass, StoreError> {
        let database = &self.database;
        let error = |source| database.error(source);
        let _one_state = database.begin_read()?;
        let mut tracks = database.statement(tracks_sql)?;
        let mut tracks = tracks.query(params_from_iter(&condition)).map_err(error)?;

        let marks = vec!["?"; keys.len()].join(", ");
        let mut tags = database.statement(&format!(
            "SELECT track_id, key, value FROM tags WHERE {tags_condition}key IN ({marks}) ORDER BY track_id, key, ordinal"
        ))?;
        let values = condition
            .into_iter()
            .chain(keys.iter().map(|key| Value::from((*key).to_owned())));
        let mut tags = TagCursor::start(tags.query(params_from_iter(values)).map_err(error)?)
            .map_err(error)?;

        let mut fields = Fields::default();
        let mut pass = Pass::default();
        while let Some(row) = tracks.next().map_err(error)? {
            match read_track(row).map_err(error)? {
                Ok(track) => {
                    tags.take(track.id.0, keys, &mut fields).map_err(error)?;
                    pass.rows += 1;
                    f(track, &fields);
                }
                Err(Broken { track, what }) => {
                    pass.broken.push(TrackId(track));
                    tracing::warn!(track, what, "a track of the store cannot be read");
                }
            }
        }
        Ok(pass)
    }
}

/// The tags statement, one row ahead.
struct TagCursor<'a> {
    rows: Rows<'a>,
    /// Track of the row that `rows` stands on; `None` at the end.
    track: Option<i64>,
}

impl<'a> TagCursor<'a> {
    fn start(rows: Rows<'a>) -> rusqlite::Result<Self> {
        let mut cursor = Self { rows, track: None };
        cursor.advance()?;
        Ok(cursor)
    }

    fn advance(&mut self) -> rusqlite::Result<()> {
        self.track = self.rows.next()?.map(|row| row.get(0)).transpose()?;
        Ok(())
    }

    /// Fills `fields` with the tags of `track`, passing over those of earlier ones.
    fn take(&mut self, track: i64, keys: &[&str], fields: &mut Fields) -> rusqlite::Result<()> {
        fields.clear();
        while let Some(at) = self.track.filter(|&at| at <= track) {
            if let Some(row) = self.rows.get()
                && at == track
            {
                let key = text(row, 1)?;
                if let Some(index) = keys.iter().position(|&asked| asked == key) {
                    fields.push(index, &text(row, 2)?);
                }
            }
            self.advance()?;
        }
        Ok(())
    }
}

/// Reads the columns of `track_columns`.
fn read_track(row: &Row<'_>) -> rusqlite::Result<Result<TrackRow, Broken>> {
    let track: i64 = row.get(0)?;
    let broken = |what: String| Ok(Err(Broken { track, what }));
    let format = text(row, 7)?;
    let Some(format) = Format::from_name(&format) else {
        return broken(format!("the format `{format}` is not known"));
    };
    let failure = match row.get_ref(8)? {
        ValueRef::Null => None,
        name => match TrackFailure::from_name(&decoded(name)?) {
            Some(failure) => Some(failure),
            None => return broken(format!("the failure {name:?} is not known")),
        },
    };
    let mut properties = AudioProperties::default();
    let numbers = (|| {
        properties.duration_ms = number(row, 9)?;
        properties.sample_rate_hz = number(row, 10)?;
        properties.channels = number(row, 11)?;
        properties.bits_per_sample = number(row, 12)?;
        properties.bitrate_bps = number(row, 13)?;
        let served_size: Option<u64> = number(row, 14)?;
        let synthesizer: Option<u32> = number(row, 15)?;
        Ok(served_size.filter(|_| synthesizer == Some(SYNTHESIZER_VERSION)))
    })();
    let served_size = match numbers {
        Ok(served_size) => served_size,
        Err(rusqlite::Error::IntegralValueOutOfRange(column, value)) => {
            let name = row.as_ref().column_name(column)?;
            return broken(format!("{name} is {value}"));
        }
        Err(error) => return Err(error),
    };
    Ok(Ok(TrackRow {
        id: TrackId(track),
        root: RootId(row.get(1)?),
        path: row.get(2)?,
        stamp: Stamp {
            size: row.get::<_, i64>(3)?.cast_unsigned(),
            mtime_ns: row.get(4)?,
            ctime_ns: row.get(5)?,
            inode: row.get::<_, i64>(6)?.cast_unsigned(),
        },
        format,
        failure,
        properties,
        served_size,
        added_ns: row.get(16)?,
        edited_ns: row.get(17)?,
        change_seq: row.get(18)?,
        content_seq: row.get(19)?,
        backing_seq: row.get(20)?,
    }))
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
fn text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<Cow<'a, str>> {
    decoded(row.get_ref(column)?)
}

pub(super) fn decoded(value: ValueRef<'_>) -> rusqlite::Result<Cow<'_, str>> {
    Ok(String::from_utf8_lossy(value.as_bytes()?))
}

/// A number that may be absent.
fn number<T: TryFrom<i64>>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    row.get::<_, Option<i64>>(column)?
        .map(|value| {
            T::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
        })
        .transpose()
}

pub(super) fn tags_of(database: &Database, track: TrackId) -> Result<Vec<Tag>, StoreError> {
    database.rows(
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
    database.rows(
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
    database.rows(
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
