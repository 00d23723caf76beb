//! Identifiers of rows, as types of their own so that they cannot be mistaken for one another.

/// Identifies a track in the store. Never reused within a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackId(pub i64);

/// Identifies a root (a scanned directory) in the store. Never reused within a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RootId(pub i64);
