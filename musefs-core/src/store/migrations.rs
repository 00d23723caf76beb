//! The schema and the steps that lead to it. A step is never changed once it was released; the next version is one more.

use rusqlite::{Transaction, TransactionBehavior};

use super::StoreError;
use super::database::Database;

/// `application_id` of a store: the letters "muse".
pub(super) const APPLICATION_ID: i64 = 0x6D75_7365;

/// The steps in order: after the first `n` of them the schema version (`user_version`) is `n`.
const MIGRATIONS: &[&str] = &[include_str!("schema_1.sql")];

/// The schema version this program reads and writes.
pub const SCHEMA_VERSION: i64 = 1;

/// What a database file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// No table, no application: a fresh or empty file.
    Blank,
    /// A store of this schema version.
    Store(i64),
    /// Somebody else's.
    Foreign,
}

/// Reads what the database says of itself, changing nothing.
pub(super) fn identity(database: &Database) -> Result<Identity, StoreError> {
    let pragma = |sql| {
        database
            .row(sql, [], |row| row.get::<_, i64>(0))
            .map(Option::unwrap_or_default)
    };
    let application = pragma("PRAGMA application_id")?;
    let version = pragma("PRAGMA user_version")?;
    let tables = pragma("SELECT count(*) FROM sqlite_schema")?;
    Ok(match (application, version, tables) {
        (APPLICATION_ID, version @ 1.., _) => Identity::Store(version),
        (0, 0, 0) => Identity::Blank,
        _ => Identity::Foreign,
    })
}

/// Refuses what is no store, or one that is newer than this program; returns the version found, 0 for a blank file.
pub(super) fn version_of(database: &Database) -> Result<i64, StoreError> {
    match identity(database)? {
        Identity::Blank => Ok(0),
        Identity::Store(version) if version <= SCHEMA_VERSION => Ok(version),
        Identity::Store(version) => Err(StoreError::Newer {
            path: database.path().to_path_buf(),
            found: version,
            supported: SCHEMA_VERSION,
        }),
        Identity::Foreign => Err(StoreError::NotAStore {
            path: database.path().to_path_buf(),
        }),
    }
}

/// Brings the schema up to date in one transaction; whatever happens, the file is of the old version or of the new one.
pub(super) fn migrate(database: &Database) -> Result<(), StoreError> {
    let error = |source| database.error(source);
    database.count();
    let transaction =
        Transaction::new_unchecked(database.connection(), TransactionBehavior::Immediate)
            .map_err(error)?;
    // Another process may have done it while this one waited for the lock.
    let from = version_of(database)?;
    let first = usize::try_from(from).expect("a version is not negative");
    for step in &MIGRATIONS[first..] {
        database.count();
        database.connection().execute_batch(step).map_err(error)?;
    }
    for (pragma, value) in [
        ("application_id", APPLICATION_ID),
        ("user_version", SCHEMA_VERSION),
    ] {
        database.count();
        database
            .connection()
            .pragma_update(None, pragma, value)
            .map_err(error)?;
    }
    transaction.commit().map_err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_has_its_step() {
        assert_eq!(i64::try_from(MIGRATIONS.len()), Ok(SCHEMA_VERSION));
    }
}
