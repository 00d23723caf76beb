//! One pass over many tracks: two statements, the tracks and their tags, both in the order of the track's id, merged as they
//! are read.
//!
//! The invariant: what is handed out is one state of the store. A second connection may read the tags at the same time, which
//! is half of the work; it takes part only where it sees the very state that the first one sees.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator;
use rusqlite::types::Value;
use rusqlite::{Rows, params_from_iter};

use super::database::Query;
use super::rows::{Fields, Pass, TrackRow};
use super::tracks::{complain, read_track, text};
use super::{Store, StoreError};
use crate::metrics::QueryKind;

/// Tags that one connection hands to the other at once.
const BATCH_TAGS_MAX: usize = 2048;

/// Batches of tags that wait for the tracks.
const BATCHES_QUEUED_MAX: usize = 8;

/// Which tracks a pass is over.
pub(super) struct Asked {
    pub(super) kind: QueryKind,
    pub(super) tracks_sql: &'static str,
    /// Empty, or a condition that ends with `AND`.
    pub(super) tags_condition: &'static str,
    /// The one parameter of both, if they have one.
    pub(super) condition: Option<Value>,
}

impl Asked {
    /// The statement for the tags of these `keys`, and its parameters.
    fn tags(&self, keys: &[&str]) -> (String, Vec<Value>) {
        let marks = vec!["?"; keys.len()].join(", ");
        let condition = self.tags_condition;
        let sql = format!(
            "SELECT track_id, key, value FROM tags WHERE {condition}key IN ({marks}) ORDER BY track_id, key, ordinal"
        );
        let keys = keys.iter().map(|key| Value::from((*key).to_owned()));
        (sql, self.condition.iter().cloned().chain(keys).collect())
    }
}

impl Store {
    /// The pass, by this connection alone.
    pub(super) fn pass(
        &self,
        asked: &Asked,
        keys: &[&str],
        f: impl FnMut(TrackRow, &Fields),
    ) -> Result<Pass, StoreError> {
        let error = |source| self.database.error(source);
        let query = self.database.query(asked.kind);
        let _one_state = query.begin_read()?;
        let (sql, values) = asked.tags(keys);
        let mut tags = query.statement(&sql)?;
        let mut tags = TagRows::start(
            tags.query(params_from_iter(values)).map_err(error)?,
            keys,
            error,
        )?;
        self.merged(&query, asked, |track, fields| tags.take(track, fields), f)
    }

    /// The pass, with the tags read by `beside`.
    pub(super) fn pass_with(
        &self,
        beside: Store,
        asked: &Asked,
        keys: &[&str],
        f: impl FnMut(TrackRow, &Fields),
    ) -> Result<Pass, StoreError> {
        let query = self.database.query(asked.kind);
        let one_state = query.begin_read()?;
        let number = self.highest_number(&query)?;
        thread::scope(|scope| {
            let (to_tracks, batches) = sync_channel(BATCHES_QUEUED_MAX);
            let (told, is_same) = sync_channel(1);
            let id = self.id();
            let reads = move || {
                let sent = beside.send_tags(asked, keys, (id, number), &told, &to_tracks);
                if let Err(error) = sent {
                    // Whoever is gone needs no reason.
                    to_tracks.send(Err(error)).ok();
                }
            };
            // Without a thread nobody tells anything, as where it could not even look.
            thread::Builder::new()
                .name("musefs-tags".into())
                .spawn_scoped(scope, reads)
                .ok();
            if is_same.recv() != Ok(true) {
                drop(one_state);
                drop(query);
                return self.pass(asked, keys, f);
            }
            let mut tags = TagBatches {
                batches,
                batch: TagBatch::default(),
                next: 0,
            };
            self.merged(&query, asked, |track, fields| tags.take(track, fields), f)
        })
    }

    /// Hands each track to `f`, with what `tags` fills in for it.
    fn merged(
        &self,
        query: &Query<'_>,
        asked: &Asked,
        mut tags: impl FnMut(i64, &mut Fields) -> Result<(), StoreError>,
        mut f: impl FnMut(TrackRow, &Fields),
    ) -> Result<Pass, StoreError> {
        let error = |source| self.database.error(source);
        let mut tracks = query.statement(asked.tracks_sql)?;
        let mut tracks = tracks
            .query(params_from_iter(&asked.condition))
            .map_err(error)?;
        let mut fields = Fields::default();
        let mut pass = Pass::default();
        while let Some(row) = tracks.next().map_err(error)? {
            let (track, complaints) = read_track(row).map_err(error)?;
            complain(&track, &complaints);
            fields.clear();
            tags(track.id.0, &mut fields)?;
            pass.rows += 1;
            pass.broken += u64::from(!complaints.is_empty());
            pass.outdated += u64::from(!track.is_current);
            f(track, &fields);
        }
        Ok(pass)
    }

    /// Reads tags for another connection, which sees the `state` of this store's own name and its highest number; `told`
    /// hears whether this one does, too.
    fn send_tags(
        &self,
        asked: &Asked,
        keys: &[&str],
        state: (&str, i64),
        told: &SyncSender<bool>,
        to_tracks: &SyncSender<Result<TagBatch, StoreError>>,
    ) -> Result<(), StoreError> {
        let error = |source| self.database.error(source);
        let query = self.database.query(asked.kind);
        let _one_state = query.begin_read()?;
        let is_same = (self.id(), self.highest_number(&query)?) == state;
        // It waits for the answer.
        told.send(is_same).ok();
        if !is_same {
            return Ok(());
        }
        let (sql, values) = asked.tags(keys);
        let mut tags = query.statement(&sql)?;
        let mut rows = tags.query(params_from_iter(values)).map_err(error)?;
        let mut batch = TagBatch::default();
        while let Some(row) = rows.next().map_err(error)? {
            let key = text(row, 1).map_err(error)?;
            let Some(index) = keys.iter().position(|&asked| asked == key) else {
                continue;
            };
            batch.text.push_str(&text(row, 2).map_err(error)?);
            batch.tags.push(TagOfBatch {
                track: row.get(0).map_err(error)?,
                key: index,
                end: batch.text.len(),
            });
            if batch.tags.len() == BATCH_TAGS_MAX && to_tracks.send(Ok(batch.take())).is_err() {
                return Ok(());
            }
        }
        // The other side has given up, or takes the last.
        to_tracks.send(Ok(batch)).ok();
        Ok(())
    }
}

/// The tags statement, one row ahead.
struct TagRows<'a, E> {
    rows: Rows<'a>,
    keys: &'a [&'a str],
    error: E,
    /// Track of the row that `rows` stands on; `None` at the end.
    track: Option<i64>,
}

impl<'a, E: Fn(rusqlite::Error) -> StoreError> TagRows<'a, E> {
    fn start(rows: Rows<'a>, keys: &'a [&'a str], error: E) -> Result<Self, StoreError> {
        let mut cursor = Self {
            rows,
            keys,
            error,
            track: None,
        };
        cursor.advance().map_err(&cursor.error)?;
        Ok(cursor)
    }

    fn advance(&mut self) -> rusqlite::Result<()> {
        self.track = self.rows.next()?.map(|row| row.get(0)).transpose()?;
        Ok(())
    }

    /// Adds the tags of `track` to `fields`, passing over those of earlier ones.
    fn take(&mut self, track: i64, fields: &mut Fields) -> Result<(), StoreError> {
        self.fill(track, fields).map_err(&self.error)
    }

    fn fill(&mut self, track: i64, fields: &mut Fields) -> rusqlite::Result<()> {
        while let Some(at) = self.track.filter(|&at| at <= track) {
            if let Some(row) = self.rows.get()
                && at == track
            {
                let key = text(row, 1)?;
                if let Some(index) = self.keys.iter().position(|&asked| asked == key) {
                    fields.push(index, &text(row, 2)?);
                }
            }
            self.advance()?;
        }
        Ok(())
    }
}

/// Tags in the order of their tracks.
#[derive(Default)]
struct TagBatch {
    /// Their values, one after the other.
    text: String,
    tags: Vec<TagOfBatch>,
}

struct TagOfBatch {
    track: i64,
    /// Which of the keys asked for.
    key: usize,
    /// Where the value ends in the text.
    end: usize,
}

impl TagBatch {
    /// What is in it; it is empty then, with as much room.
    fn take(&mut self) -> Self {
        let next = Self {
            text: String::with_capacity(self.text.len()),
            tags: Vec::with_capacity(self.tags.len()),
        };
        std::mem::replace(self, next)
    }
}

/// Tags as another connection hands them over.
struct TagBatches {
    batches: Receiver<Result<TagBatch, StoreError>>,
    batch: TagBatch,
    /// The first of the batch that was not passed.
    next: usize,
}

impl TagBatches {
    /// As [`TagRows::take`].
    fn take(&mut self, track: i64, fields: &mut Fields) -> Result<(), StoreError> {
        loop {
            while let Some(tag) = self.batch.tags.get(self.next) {
                if tag.track > track {
                    return Ok(());
                }
                if tag.track == track {
                    let before = self.next.checked_sub(1);
                    let start = before.map_or(0, |before| self.batch.tags[before].end);
                    fields.push(tag.key, &self.batch.text[start..tag.end]);
                }
                self.next += 1;
            }
            // The other end is closed after the last batch.
            let Ok(batch) = self.batches.recv() else {
                return Ok(());
            };
            (self.batch, self.next) = (batch?, 0);
        }
    }
}
