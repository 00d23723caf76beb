//! One connection whose statements are counted, and the transactions that musefs itself writes in.
//!
//! The other files of the store speak SQL through this one only, so the count misses nothing. Where somebody counts by what
//! is asked for ([`Database::metrics`]), each question reads the clock twice; else nobody reads it.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rusqlite::{CachedStatement, Connection, Params, Row, Transaction, TransactionBehavior};

use super::StoreError;
use crate::metrics::{QueryKind, StoreMetrics, nanoseconds};

/// Prepared statements kept per connection; more than there are different statements.
const STATEMENTS_CACHED_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
    path: PathBuf,
    statements: Cell<u64>,
    /// Who else counts the statements.
    pub(super) metrics: Option<StoreMetrics>,
}

/// Something that the store is asked for, with one statement or several. The time until it is dropped is what it took.
pub(super) struct Query<'a> {
    database: &'a Database,
    kind: QueryKind,
    started: Option<Instant>,
}

impl Drop for Query<'_> {
    fn drop(&mut self) {
        if let (Some(metrics), Some(started)) = (&self.database.metrics, self.started) {
            let took = nanoseconds(started.elapsed());
            metrics.store_query.add(self.kind, took);
        }
    }
}

impl Database {
    pub(super) fn new(connection: Connection, path: PathBuf) -> Self {
        connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED_MAX);
        Self {
            connection,
            path,
            statements: Cell::new(0),
            metrics: None,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Statements executed so far.
    pub(super) fn statements(&self) -> u64 {
        self.statements.get()
    }

    /// One more statement is about to run.
    pub(super) fn count(&self) {
        self.statements.set(self.statements.get() + 1);
    }

    pub(super) fn error(&self, source: rusqlite::Error) -> StoreError {
        StoreError::new(&self.path, source)
    }

    pub(super) fn corrupt(&self, what: impl Into<String>) -> StoreError {
        StoreError::Corrupt {
            path: self.path.clone(),
            what: what.into(),
        }
    }

    /// Begins to ask for something.
    pub(super) fn query(&self, kind: QueryKind) -> Query<'_> {
        Query {
            database: self,
            kind,
            started: self.metrics.as_ref().map(|_| Instant::now()),
        }
    }

    /// Runs a statement that changes rows; returns how many.
    pub(super) fn execute(&self, sql: &str, params: impl Params) -> Result<usize, StoreError> {
        self.query(QueryKind::Write)
            .statement(sql)?
            .execute(params)
            .map_err(|source| self.error(source))
    }

    /// Runs one statement for each of `rows`, looked up once.
    pub(super) fn execute_each<P: Params>(
        &self,
        sql: &str,
        rows: impl IntoIterator<Item = P>,
    ) -> Result<(), StoreError> {
        let query = self.query(QueryKind::Write);
        let mut statement = self
            .connection
            .prepare_cached(sql)
            .map_err(|source| self.error(source))?;
        for row in rows {
            query.count();
            statement
                .execute(row)
                .map_err(|source| self.error(source))?;
        }
        Ok(())
    }

    /// The first row of a query, if there is one.
    pub(super) fn row<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        self.query(QueryKind::Other).row(sql, params, read)
    }

    /// All rows of a query.
    pub(super) fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        self.query(QueryKind::Other).rows(sql, params, read)
    }

    /// Begins a read of several statements that all see the same state.
    pub(super) fn begin_read(&self) -> Result<Transaction<'_>, StoreError> {
        self.query(QueryKind::Other).begin_read()
    }

    /// Begins a write of our own: the triggers stand aside until [`OwnWrite::commit`].
    ///
    /// The caller holds the store exclusively, so there is no transaction open on this connection.
    pub(super) fn begin_own(&self) -> Result<OwnWrite<'_>, StoreError> {
        let query = self.query(QueryKind::Write);
        query.count();
        let transaction =
            Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)
                .map_err(|source| self.error(source))?;
        drop(query);
        self.execute("UPDATE writer SET own = 1", [])?;
        let sequence = self
            .query(QueryKind::Write)
            .row("SELECT value FROM sequence", [], |row| row.get(0))?
            .ok_or_else(|| self.corrupt("the table `sequence` has no row"))?;
        Ok(OwnWrite {
            database: self,
            transaction,
            taken: sequence,
            sequence,
        })
    }
}

impl<'a> Query<'a> {
    /// One more statement of it is about to run.
    pub(super) fn count(&self) {
        self.database.count();
        if let Some(metrics) = &self.database.metrics {
            metrics.store_queries.increment(self.kind);
        }
    }

    /// A statement about to be run once, from the cache where it was run before.
    pub(super) fn statement(&self, sql: &str) -> Result<CachedStatement<'a>, StoreError> {
        self.count();
        self.database
            .connection
            .prepare_cached(sql)
            .map_err(|source| self.database.error(source))
    }

    /// As [`Database::row`].
    pub(super) fn row<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        let error = |source| self.database.error(source);
        let mut statement = self.statement(sql)?;
        let mut rows = statement.query(params).map_err(error)?;
        let row = rows.next().map_err(error)?;
        row.map(read).transpose().map_err(error)
    }

    /// As [`Database::rows`].
    pub(super) fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        self.statement(sql)?
            .query_map(params, read)
            .and_then(Iterator::collect)
            .map_err(|source| self.database.error(source))
    }

    /// As [`Database::begin_read`].
    pub(super) fn begin_read(&self) -> Result<Transaction<'a>, StoreError> {
        self.count();
        Transaction::new_unchecked(&self.database.connection, TransactionBehavior::Deferred)
            .map_err(|source| self.database.error(source))
    }
}

/// A transaction of our own. It keeps the sequence numbers itself; dropped without `commit` it leaves nothing behind.
pub(super) struct OwnWrite<'a> {
    database: &'a Database,
    transaction: Transaction<'a>,
    sequence: i64,
    taken: i64,
}

impl OwnWrite<'_> {
    /// The next sequence number, never handed out before.
    pub(super) fn next_number(&mut self) -> i64 {
        self.taken += 1;
        self.taken
    }

    pub(super) fn commit(self) -> Result<(), StoreError> {
        if self.taken != self.sequence {
            self.database
                .execute("UPDATE sequence SET value = ?1", [self.taken])?;
        }
        self.database.execute("UPDATE writer SET own = 0", [])?;
        let query = self.database.query(QueryKind::Write);
        query.count();
        self.transaction
            .commit()
            .map_err(|source| self.database.error(source))
    }
}
