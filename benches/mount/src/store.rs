//! Edits of a store by SQL, as anybody may make them.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use rusqlite::{Connection, params};

use crate::corpus;

const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection of its own to a store that is mounted.
pub struct Editor {
    connection: Connection,
}

impl Editor {
    pub fn open(store: &Path) -> anyhow::Result<Self> {
        let connection = Connection::open(store)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        Ok(Self { connection })
    }

    /// The row of a track that is called as [`corpus::names`] says.
    pub fn track(&self, number: usize) -> anyhow::Result<i64> {
        Ok(self.connection.query_row(
            "SELECT track_id FROM tags WHERE key = 'title' AND value = ?",
            [corpus::names(number).title],
            |row| row.get(0),
        )?)
    }

    /// Gives one track another title.
    pub fn set_title(&self, track: i64, title: &str) -> anyhow::Result<()> {
        let changed = self.connection.execute(
            "UPDATE tags SET value = ? WHERE track_id = ? AND key = 'title'",
            params![title, track],
        )?;
        ensure!(changed == 1, "{changed} titles were changed");
        Ok(())
    }

    /// Puts `tracks` tracks, those with the lowest row numbers, on an album of that name, in one transaction.
    pub fn set_albums(&self, tracks: usize, album: &str) -> anyhow::Result<()> {
        let changed = self.connection.execute(
            "UPDATE tags SET value = ?1 WHERE key = 'album'
             AND track_id IN (SELECT id FROM tracks ORDER BY id LIMIT ?2)",
            params![album, i64::try_from(tracks)?],
        )?;
        ensure!(changed == tracks, "{changed} albums were changed");
        Ok(())
    }
}
