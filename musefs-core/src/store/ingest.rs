//! What a scan found, written into rows: new files, files read again, files that are gone.
//!
//! A part of a track (tags, art, items) that somebody edited stays theirs when the file is read again. The numbers move only
//! with what they stand for: `content_seq` when the served bytes may differ, `backing_seq` when the backing file does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use musefs_telemetry::{event_warn, logging};

use super::database::OwnWrite;
use super::parts::Parts;
use super::rows::{Stamp, TrackFailure};
use super::tracks::is_current;
use super::{RootId, Store, StoreError, TrackId};
use crate::formats::{
    AudioProperties, Desired, Format, PROBE_VERSION, SYNTHESIZER_VERSION, Structure, synthesize,
};

/// What reading a file gave, as the row is to hold it.
#[derive(Clone, Debug)]
pub struct Reading {
    /// By content.
    pub format: Format,
    /// How the file is built.
    pub structure: Structure,
    /// Its tags, art and items; the tags sorted by key, the values of a key in the file's order.
    pub parts: Parts,
    /// The sound.
    pub properties: AudioProperties,
    /// Why the metadata could not be taken apart, where it could not.
    pub failure: Option<TrackFailure>,
    /// A short digest of the file's first bytes, to know the file again under another name.
    pub fingerprint: u64,
    /// Length of the served file in bytes, with all of the above served; `None` where no layout could be made of it.
    pub served_size: Option<u64>,
}

/// One file that a scan came upon.
#[derive(Clone, Debug)]
pub struct Finding<'a> {
    /// The root its path is relative to.
    pub root: RootId,
    /// Its path from the root, in bytes.
    pub path: &'a [u8],
    /// The file as it was.
    pub stamp: Stamp,
    /// The row that this file may have had under another path, by its stamp; taken over if the fingerprints agree too.
    pub moved_from: Option<TrackId>,
    /// What reading it gave; `None` when it could not be read: a row that is there keeps its data then.
    pub reading: Option<&'a Reading>,
}

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingested {
    /// A new row.
    Added(TrackId),
    /// A row changed.
    Updated(TrackId),
    /// A row took over a new path, and possibly more.
    Moved(TrackId),
    /// The row held all of it already.
    Unchanged(TrackId),
}

/// What a row holds before its file is written into it again.
struct Existing {
    id: TrackId,
    stamp: Stamp,
    /// The texts as they are, whatever somebody made of them.
    format: Vec<u8>,
    structure: Vec<u8>,
    failure: Option<Vec<u8>>,
    sound: Sound,
    probe_version: i64,
    edited_parts: i64,
    change_seq: i64,
    content_seq: i64,
    backing_seq: i64,
}

/// The columns `duration_ms`, `sample_rate_hz`, `channels`, `bits_per_sample` and `bitrate_bps`.
type Sound = [Option<i64>; 5];

fn sound_columns(properties: &AudioProperties) -> Sound {
    [
        properties.duration_ms.map(u64::cast_signed),
        properties.sample_rate_hz.map(i64::from),
        properties.channels.map(i64::from),
        properties.bits_per_sample.map(i64::from),
        properties.bitrate_bps.map(i64::from),
    ]
}

impl Store {
    /// Writes findings in one transaction; the answers are in their order. `now_ns` is the time that new rows get.
    pub fn ingest(
        &mut self,
        findings: &[Finding<'_>],
        now_ns: i64,
    ) -> Result<Vec<Ingested>, StoreError> {
        let mut write = self.database.begin_own()?;
        let ingested = findings
            .iter()
            .map(|finding| self.ingest_one(&mut write, finding, now_ns))
            .collect::<Result<_, _>>()?;
        write.commit()?;
        Ok(ingested)
    }

    /// Marks tracks as missing, in one transaction. Their rows and edits stay.
    pub fn mark_missing(&mut self, tracks: &[TrackId]) -> Result<(), StoreError> {
        let mut write = self.database.begin_own()?;
        for track in tracks {
            self.database.execute(
                "UPDATE tracks SET failure = ?2, change_seq = ?3 WHERE id = ?1",
                (track.0, TrackFailure::Missing.as_str(), write.next_number()),
            )?;
        }
        write.commit()
    }

    /// Writes one finding.
    pub(super) fn ingest_one(
        &self,
        write: &mut OwnWrite<'_>,
        finding: &Finding<'_>,
        now_ns: i64,
    ) -> Result<Ingested, StoreError> {
        if let Some(moved) = self.take_over(write, finding)? {
            return Ok(moved);
        }
        let Some(existing) = self.existing(finding.root, finding.path)? else {
            let added = self.insert(write, finding, now_ns)?;
            return Ok(Ingested::Added(added));
        };
        let changed = match finding.reading {
            Some(reading) => self.update(write, &existing, finding, reading)?,
            None => self.fail(write, &existing, TrackFailure::Unreadable)?,
        };
        Ok(if changed {
            Ingested::Updated(existing.id)
        } else {
            Ingested::Unchanged(existing.id)
        })
    }

    /// Gives the row of a file that was renamed its new path, and what else is new.
    fn take_over(
        &self,
        write: &mut OwnWrite<'_>,
        finding: &Finding<'_>,
    ) -> Result<Option<Ingested>, StoreError> {
        let (Some(from), Some(reading)) = (finding.moved_from, finding.reading) else {
            return Ok(None);
        };
        let taken = self.database.execute(
            "UPDATE OR IGNORE tracks SET root_id = ?3, path = ?4, change_seq = ?5 WHERE id = ?1 AND fingerprint IS ?2",
            (
                from.0,
                reading.fingerprint.to_be_bytes(),
                finding.root.0,
                finding.path,
                write.next_number(),
            ),
        )?;
        if taken == 0 {
            return Ok(None);
        }
        if let Some(existing) = self.existing(finding.root, finding.path)? {
            self.update(write, &existing, finding, reading)?;
        }
        Ok(Some(Ingested::Moved(from)))
    }

    /// Adds a row for a path that has none.
    fn insert(
        &self,
        write: &mut OwnWrite<'_>,
        finding: &Finding<'_>,
        now_ns: i64,
    ) -> Result<TrackId, StoreError> {
        let unread = Reading {
            format: Format::Unrecognised,
            structure: Structure::AsIs,
            parts: Parts::default(),
            properties: AudioProperties::default(),
            failure: Some(TrackFailure::Unreadable),
            fingerprint: 0,
            served_size: None,
        };
        let reading = finding.reading.unwrap_or(&unread);
        let stamp = &finding.stamp;
        let sound = sound_columns(&reading.properties);
        let number = write.next_number();
        self.database.execute(
            "INSERT INTO tracks (root_id, path, backing_size, backing_mtime_ns, backing_ctime_ns, backing_inode, format, \
             probe_version, structure, failure, duration_ms, sample_rate_hz, channels, bits_per_sample, bitrate_bps, \
             fingerprint, served_size, synthesizer_version, added_ns, change_seq, content_seq, backing_seq) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?20, ?20)",
            rusqlite::params![
                finding.root.0,
                finding.path,
                stamp.size.cast_signed(),
                stamp.mtime_ns,
                stamp.ctime_ns,
                stamp.inode.cast_signed(),
                reading.format.as_str(),
                PROBE_VERSION,
                reading.structure.to_bytes(),
                reading.failure.map(TrackFailure::as_str),
                sound[0],
                sound[1],
                sound[2],
                sound[3],
                sound[4],
                reading.fingerprint.to_be_bytes(),
                reading.served_size.map(u64::cast_signed),
                SYNTHESIZER_VERSION,
                now_ns,
                number,
            ],
        )?;
        let track = TrackId(self.database.connection().last_insert_rowid());
        reading.parts.insert(&self.database, track)?;
        Ok(track)
    }

    fn existing(&self, root: RootId, path: &[u8]) -> Result<Option<Existing>, StoreError> {
        self.database.row(
            "SELECT id, backing_size, backing_mtime_ns, backing_ctime_ns, backing_inode, format, structure, failure, \
             probe_version, edited_parts, change_seq, content_seq, backing_seq, duration_ms, sample_rate_hz, channels, \
             bits_per_sample, bitrate_bps FROM tracks WHERE root_id = ?1 AND path = ?2",
            (root.0, path),
            |row| {
                Ok(Existing {
                    id: TrackId(row.get(0)?),
                    stamp: Stamp {
                        size: row.get::<_, i64>(1)?.cast_unsigned(),
                        mtime_ns: row.get(2)?,
                        ctime_ns: row.get(3)?,
                        inode: row.get::<_, i64>(4)?.cast_unsigned(),
                    },
                    format: row.get_ref(5)?.as_bytes()?.to_vec(),
                    structure: row.get(6)?,
                    failure: row.get_ref(7)?.as_bytes_or_null()?.map(<[u8]>::to_vec),
                    probe_version: row.get(8)?,
                    edited_parts: row.get(9)?,
                    change_seq: row.get(10)?,
                    content_seq: row.get(11)?,
                    backing_seq: row.get(12)?,
                    sound: [
                        row.get(13)?,
                        row.get(14)?,
                        row.get(15)?,
                        row.get(16)?,
                        row.get(17)?,
                    ],
                })
            },
        )
    }

    /// The file could not be read: the row keeps its data and says so. Returns whether that is news.
    fn fail(
        &self,
        write: &mut OwnWrite<'_>,
        existing: &Existing,
        failure: TrackFailure,
    ) -> Result<bool, StoreError> {
        if existing.failure.as_deref() == Some(failure.as_str().as_bytes()) {
            return Ok(false);
        }
        self.database.execute(
            "UPDATE tracks SET failure = ?2, change_seq = ?3 WHERE id = ?1",
            (existing.id.0, failure.as_str(), write.next_number()),
        )?;
        Ok(true)
    }

    /// Writes what reading the file gave into a row that is there. Returns whether anything but the probe's version is new.
    fn update(
        &self,
        write: &mut OwnWrite<'_>,
        existing: &Existing,
        finding: &Finding<'_>,
        reading: &Reading,
    ) -> Result<bool, StoreError> {
        let track = existing.id;
        let held = Parts::read(&self.database, track)?;
        // A file that cannot be taken apart now may be whole again later: until then nothing of an edited track is given up.
        let parts = if existing.edited_parts != 0 && reading.failure.is_some() {
            held.clone()
        } else {
            held.reread(existing.edited_parts, &reading.parts)
        };

        let structure = reading.structure.to_bytes();
        let backing_changed = !existing.stamp.matches(&finding.stamp);
        // What another version's probe read was served as it is.
        let content_changed = backing_changed
            || !is_current(existing.probe_version)
            || existing.structure != structure
            || existing.format != reading.format.as_str().as_bytes()
            || held != parts;
        let failure = reading.failure.map(TrackFailure::as_str);
        let sound = sound_columns(&reading.properties);
        let row_changed = content_changed
            || existing.failure.as_deref() != failure.map(str::as_bytes)
            || existing.sound != sound;
        if !row_changed
            && existing.probe_version == i64::from(PROBE_VERSION)
            && existing.stamp.ctime_ns == finding.stamp.ctime_ns
        {
            return Ok(false);
        }
        parts.replace(&self.database, track, &held)?;
        let served_size = if existing.edited_parts == 0 {
            reading.served_size
        } else {
            served_size(
                self.path(),
                track,
                Desired {
                    structure: &reading.structure,
                    backing_len: finding.stamp.size,
                    tags: &parts.tags,
                    art: &parts.art,
                    items: &parts.items,
                },
            )
        };
        let number = if row_changed {
            write.next_number()
        } else {
            existing.change_seq
        };
        let stamp = &finding.stamp;
        self.database.execute(
            "UPDATE tracks SET backing_size = ?2, backing_mtime_ns = ?3, backing_ctime_ns = ?4, backing_inode = ?5, \
             format = ?6, probe_version = ?7, structure = ?8, failure = ?9, duration_ms = ?10, sample_rate_hz = ?11, \
             channels = ?12, bits_per_sample = ?13, bitrate_bps = ?14, fingerprint = ?15, served_size = ?16, \
             synthesizer_version = ?17, change_seq = ?18, content_seq = ?19, backing_seq = ?20 WHERE id = ?1",
            rusqlite::params![
                track.0,
                stamp.size.cast_signed(),
                stamp.mtime_ns,
                stamp.ctime_ns,
                stamp.inode.cast_signed(),
                reading.format.as_str(),
                PROBE_VERSION,
                structure,
                failure,
                sound[0],
                sound[1],
                sound[2],
                sound[3],
                sound[4],
                reading.fingerprint.to_be_bytes(),
                served_size.map(u64::cast_signed),
                SYNTHESIZER_VERSION,
                number,
                if content_changed {
                    number
                } else {
                    existing.content_seq
                },
                if backing_changed {
                    number
                } else {
                    existing.backing_seq
                },
            ],
        )?;
        Ok(row_changed)
    }
}

/// Length of what is to be served; `None`, and a line in the log, where no layout can be made of it.
fn served_size(store: &Path, track: TrackId, desired: Desired<'_>) -> Option<u64> {
    let why = match catch_unwind(AssertUnwindSafe(|| synthesize(&desired))) {
        Ok(Ok(layout)) => return Some(layout.len()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the synthesizer ran into a fault of its own".to_owned(),
    };
    event_warn!(
        logging::engine(),
        "store.edit.refused",
        message = "an edited track cannot be put together",
        track = track.0,
        store = %store.display(),
        why = &why,
    );
    None
}
