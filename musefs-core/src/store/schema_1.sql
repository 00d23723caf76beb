-- The store of musefs, schema version 1. Times are nanoseconds since 1970-01-01 UTC, sizes and offsets are bytes.
-- Triggers keep the numbers right when somebody else edits the store; they use nothing that SQLite 3.40 has not.

CREATE TABLE meta (
    key TEXT PRIMARY KEY NOT NULL,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- One sequence for the whole store: a number is handed out once, whatever happens to the row that took it.
CREATE TABLE sequence (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    value INTEGER NOT NULL
) STRICT;

-- 1 only inside a transaction of musefs itself, never in a committed state: no other connection ever sees it.
CREATE TABLE writer (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    own INTEGER NOT NULL CHECK (own IN (0, 1))
) STRICT;

CREATE TABLE roots (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    path BLOB NOT NULL UNIQUE,
    added_ns INTEGER NOT NULL
) STRICT;

CREATE TABLE tracks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    root_id INTEGER NOT NULL REFERENCES roots (id) ON DELETE CASCADE,
    path BLOB NOT NULL,
    backing_size INTEGER NOT NULL CHECK (backing_size >= 0),
    backing_mtime_ns INTEGER NOT NULL,
    backing_ctime_ns INTEGER NOT NULL,
    backing_inode INTEGER NOT NULL,
    format TEXT NOT NULL,
    probe_version INTEGER NOT NULL,
    structure BLOB NOT NULL,
    failure TEXT,
    duration_ms INTEGER,
    sample_rate_hz INTEGER,
    channels INTEGER,
    bits_per_sample INTEGER,
    bitrate_bps INTEGER,
    fingerprint BLOB,
    served_size INTEGER CHECK (served_size >= 0),
    synthesizer_version INTEGER,
    added_ns INTEGER NOT NULL,
    edited_ns INTEGER,
    edited_parts INTEGER NOT NULL DEFAULT 0,
    change_seq INTEGER NOT NULL,
    content_seq INTEGER NOT NULL,
    backing_seq INTEGER NOT NULL,
    UNIQUE (root_id, path)
) STRICT;

CREATE UNIQUE INDEX tracks_by_change ON tracks (change_seq);

CREATE TABLE tags (
    track_id INTEGER NOT NULL REFERENCES tracks (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    ordinal INTEGER NOT NULL DEFAULT 0,
    value TEXT NOT NULL,
    PRIMARY KEY (track_id, key, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE blobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    data BLOB NOT NULL
) STRICT;

CREATE TABLE art (
    id INTEGER PRIMARY KEY,
    track_id INTEGER NOT NULL REFERENCES tracks (id) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL DEFAULT 0,
    picture_type INTEGER NOT NULL DEFAULT 3 CHECK (picture_type BETWEEN 0 AND 4294967295),
    mime TEXT NOT NULL,
    description TEXT NOT NULL DEFAULT '',
    width INTEGER NOT NULL DEFAULT 0 CHECK (width BETWEEN 0 AND 4294967295),
    height INTEGER NOT NULL DEFAULT 0 CHECK (height BETWEEN 0 AND 4294967295),
    depth INTEGER NOT NULL DEFAULT 0 CHECK (depth BETWEEN 0 AND 4294967295),
    colors INTEGER NOT NULL DEFAULT 0 CHECK (colors BETWEEN 0 AND 4294967295),
    backing_offset INTEGER CHECK (backing_offset >= 0),
    backing_len INTEGER CHECK (backing_len >= 0),
    blob_id INTEGER REFERENCES blobs (id),
    CHECK ((backing_offset IS NULL) = (backing_len IS NULL)),
    CHECK ((backing_offset IS NULL) <> (blob_id IS NULL))
) STRICT;

CREATE INDEX art_by_track ON art (track_id, ordinal);
CREATE INDEX art_by_blob ON art (blob_id) WHERE blob_id IS NOT NULL;

CREATE TABLE items (
    id INTEGER PRIMARY KEY,
    track_id INTEGER NOT NULL REFERENCES tracks (id) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL DEFAULT 0,
    native TEXT NOT NULL,
    flags INTEGER NOT NULL DEFAULT 0 CHECK (flags BETWEEN 0 AND 4294967295),
    backing_offset INTEGER CHECK (backing_offset >= 0),
    backing_len INTEGER CHECK (backing_len >= 0),
    blob_id INTEGER REFERENCES blobs (id),
    CHECK ((backing_offset IS NULL) = (backing_len IS NULL)),
    CHECK ((backing_offset IS NULL) <> (blob_id IS NULL))
) STRICT;

CREATE INDEX items_by_track ON items (track_id, ordinal);
CREATE INDEX items_by_blob ON items (blob_id) WHERE blob_id IS NOT NULL;

CREATE TABLE tombstones (
    track_id INTEGER PRIMARY KEY,
    change_seq INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX tombstones_by_change ON tombstones (change_seq);

CREATE TABLE scan_runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    started_ns INTEGER NOT NULL,
    finished_ns INTEGER,
    targets BLOB NOT NULL,
    files_seen INTEGER NOT NULL DEFAULT 0,
    added INTEGER NOT NULL DEFAULT 0,
    updated INTEGER NOT NULL DEFAULT 0,
    unchanged INTEGER NOT NULL DEFAULT 0,
    missing INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    bytes_read INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE scan_failures (
    run_id INTEGER NOT NULL REFERENCES scan_runs (id) ON DELETE CASCADE,
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (run_id, reason)
) STRICT, WITHOUT ROWID;

INSERT INTO meta (key, value) VALUES
    ('store_id', lower(hex(randomblob(16)))),
    ('created_ns', CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000000);
INSERT INTO sequence (id, value) VALUES (1, 0);
INSERT INTO writer (id, own) VALUES (1, 0);

-- An edit of a track's tags (part 1), art (part 2) or items (part 4) by somebody else: the one place that says what such
-- an edit does to its track. The other triggers insert here, and anybody may.
CREATE VIEW edits AS SELECT id AS track_id, edited_parts AS part FROM tracks WHERE edited_ns IS NOT NULL;

CREATE TRIGGER edits_insert INSTEAD OF INSERT ON edits
WHEN EXISTS (SELECT 1 FROM tracks WHERE id = NEW.track_id)
BEGIN
    UPDATE writer SET own = 1;
    UPDATE sequence SET value = value + 1;
    UPDATE tracks SET
        served_size = NULL,
        edited_ns = CAST(round((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000000,
        edited_parts = edited_parts | NEW.part,
        change_seq = (SELECT value FROM sequence),
        content_seq = (SELECT value FROM sequence)
    WHERE id = NEW.track_id;
    UPDATE writer SET own = 0;
END;

CREATE TRIGGER tags_insert AFTER INSERT ON tags
WHEN (SELECT own FROM writer) = 0
BEGIN
    SELECT RAISE(ABORT, 'tags.track_id names no track')
    WHERE NOT EXISTS (SELECT 1 FROM tracks WHERE id = NEW.track_id);
    INSERT INTO edits (track_id, part) VALUES (NEW.track_id, 1);
END;

CREATE TRIGGER tags_update AFTER UPDATE ON tags
WHEN (SELECT own FROM writer) = 0
    AND (OLD.track_id, OLD.key, OLD.ordinal, OLD.value) IS NOT (NEW.track_id, NEW.key, NEW.ordinal, NEW.value)
BEGIN
    SELECT RAISE(ABORT, 'tags.track_id names no track')
    WHERE NOT EXISTS (SELECT 1 FROM tracks WHERE id = NEW.track_id);
    INSERT INTO edits (track_id, part) VALUES (NEW.track_id, 1);
    INSERT INTO edits (track_id, part) SELECT OLD.track_id, 1 WHERE OLD.track_id <> NEW.track_id;
END;

CREATE TRIGGER tags_delete AFTER DELETE ON tags
WHEN (SELECT own FROM writer) = 0
BEGIN
    INSERT INTO edits (track_id, part) VALUES (OLD.track_id, 1);
END;

CREATE TRIGGER art_insert AFTER INSERT ON art
WHEN (SELECT own FROM writer) = 0
BEGIN
    SELECT RAISE(ABORT, 'art.track_id names no track')
    WHERE NOT EXISTS (SELECT 1 FROM tracks WHERE id = NEW.track_id);
    SELECT RAISE(ABORT, 'art.blob_id names no blob')
    WHERE NEW.blob_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM blobs WHERE id = NEW.blob_id);
    INSERT INTO edits (track_id, part) VALUES (NEW.track_id, 2);
END;

CREATE TRIGGER art_update AFTER UPDATE ON art
WHEN (SELECT own FROM writer) = 0
    AND (OLD.track_id, OLD.ordinal, OLD.picture_type, OLD.mime, OLD.description, OLD.width, OLD.height, OLD.depth,
         OLD.colors, OLD.backing_offset, OLD.backing_len, OLD.blob_id)
    IS NOT (NEW.track_id, NEW.ordinal, NEW.picture_type, NEW.mime, NEW.description, NEW.width, NEW.height, NEW.depth,
            NEW.colors, NEW.backing_offset, NEW.backing_len, NEW.blob_id)
BEGIN
    SELECT RAISE(ABORT, 'art.track_id names no track')
    WHERE NOT EXISTS (SELECT 1 FROM tracks WHERE id = NEW.track_id);
    SELECT RAISE(ABORT, 'art.blob_id names no blob')
    WHERE NEW.blob_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM blobs WHERE id = NEW.blob_id);
    INSERT INTO edits (track_id, part) VALUES (NEW.track_id, 2);
    INSERT INTO edits (track_id, part) SELECT OLD.track_id, 2 WHERE OLD.track_id <> NEW.track_id;
END;

CREATE TRIGGER art_delete AFTER DELETE ON art
WHEN (SELECT own FROM writer) = 0
BEGIN
    INSERT INTO edits (track_id, part) VALUES (OLD.track_id, 2);
END;

CREATE TRIGGER items_insert AFTER INSERT ON items
WHEN (SELECT own FROM writer) = 0
BEGIN
    SELECT RAISE(ABORT, 'items.track_id names no track')
    WHERE NOT EXISTS (SELECT 1 FROM tracks WHERE id = NEW.track_id);
    SELECT RAISE(ABORT, 'items.blob_id names no blob')
    WHERE NEW.blob_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM blobs WHERE id = NEW.blob_id);
    INSERT INTO edits (track_id, part) VALUES (NEW.track_id, 4);
END;

CREATE TRIGGER items_update AFTER UPDATE ON items
WHEN (SELECT own FROM writer) = 0
    AND (OLD.track_id, OLD.ordinal, OLD.native, OLD.flags, OLD.backing_offset, OLD.backing_len, OLD.blob_id)
    IS NOT (NEW.track_id, NEW.ordinal, NEW.native, NEW.flags, NEW.backing_offset, NEW.backing_len, NEW.blob_id)
BEGIN
    SELECT RAISE(ABORT, 'items.track_id names no track')
    WHERE NOT EXISTS (SELECT 1 FROM tracks WHERE id = NEW.track_id);
    SELECT RAISE(ABORT, 'items.blob_id names no blob')
    WHERE NEW.blob_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM blobs WHERE id = NEW.blob_id);
    INSERT INTO edits (track_id, part) VALUES (NEW.track_id, 4);
    INSERT INTO edits (track_id, part) SELECT OLD.track_id, 4 WHERE OLD.track_id <> NEW.track_id;
END;

CREATE TRIGGER items_delete AFTER DELETE ON items
WHEN (SELECT own FROM writer) = 0
BEGIN
    INSERT INTO edits (track_id, part) VALUES (OLD.track_id, 4);
END;

-- A blob is immutable and its number is never used again: who has it open may go on reading it.
CREATE TRIGGER blobs_insert BEFORE INSERT ON blobs
WHEN NEW.id >= 0 AND NEW.id <= (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'blobs')
BEGIN
    SELECT RAISE(ABORT, 'the id of a blob is never used again; leave it out');
END;

CREATE TRIGGER blobs_update BEFORE UPDATE ON blobs
BEGIN
    SELECT RAISE(ABORT, 'a blob is immutable; insert a new one and point the art or item at it');
END;

CREATE TRIGGER blobs_delete BEFORE DELETE ON blobs
WHEN EXISTS (SELECT 1 FROM art WHERE blob_id = OLD.id) OR EXISTS (SELECT 1 FROM items WHERE blob_id = OLD.id)
BEGIN
    SELECT RAISE(ABORT, 'an art or an item still uses this blob');
END;

-- Tracks and roots come from scanning alone. Their sequence numbers are handed out here, never set by hand.
CREATE TRIGGER roots_insert BEFORE INSERT ON roots
WHEN (SELECT own FROM writer) = 0
BEGIN
    SELECT RAISE(ABORT, 'roots are added by musefs scan');
END;

CREATE TRIGGER tracks_insert BEFORE INSERT ON tracks
WHEN (SELECT own FROM writer) = 0
BEGIN
    SELECT RAISE(ABORT, 'tracks are added by musefs scan');
END;

CREATE TRIGGER tracks_update_numbers BEFORE UPDATE OF id, change_seq, content_seq, backing_seq ON tracks
WHEN (SELECT own FROM writer) = 0
BEGIN
    SELECT RAISE(ABORT, 'the numbers of a track are not set by hand');
END;

CREATE TRIGGER tracks_update_bytes AFTER UPDATE OF backing_size, backing_mtime_ns, backing_inode, structure, format,
    probe_version ON tracks
WHEN (SELECT own FROM writer) = 0
    AND (OLD.backing_size, OLD.backing_mtime_ns, OLD.backing_inode, OLD.structure, OLD.format, OLD.probe_version)
    IS NOT (NEW.backing_size, NEW.backing_mtime_ns, NEW.backing_inode, NEW.structure, NEW.format, NEW.probe_version)
BEGIN
    UPDATE writer SET own = 1;
    UPDATE sequence SET value = value + 1;
    UPDATE tracks SET
        served_size = NULL,
        change_seq = (SELECT value FROM sequence),
        content_seq = (SELECT value FROM sequence),
        backing_seq = (SELECT value FROM sequence)
    WHERE id = NEW.id;
    UPDATE writer SET own = 0;
END;

CREATE TRIGGER tracks_update_row AFTER UPDATE OF root_id, path, backing_ctime_ns, failure, duration_ms, sample_rate_hz,
    channels, bits_per_sample, bitrate_bps, added_ns, edited_ns ON tracks
WHEN (SELECT own FROM writer) = 0
    AND (OLD.root_id, OLD.path, OLD.backing_ctime_ns, OLD.failure, OLD.duration_ms, OLD.sample_rate_hz, OLD.channels,
         OLD.bits_per_sample, OLD.bitrate_bps, OLD.added_ns, OLD.edited_ns)
    IS NOT (NEW.root_id, NEW.path, NEW.backing_ctime_ns, NEW.failure, NEW.duration_ms, NEW.sample_rate_hz, NEW.channels,
            NEW.bits_per_sample, NEW.bitrate_bps, NEW.added_ns, NEW.edited_ns)
BEGIN
    UPDATE writer SET own = 1;
    UPDATE sequence SET value = value + 1;
    -- Without an edit time the track counts as never edited: the next scan reads its file again, which a negative version
    -- asks for. Until then the structure is that of the version.
    UPDATE tracks SET
        change_seq = (SELECT value FROM sequence),
        edited_parts = iif(NEW.edited_ns IS NULL, 0, edited_parts),
        probe_version = iif(NEW.edited_ns IS NULL AND OLD.edited_ns IS NOT NULL, -abs(probe_version), probe_version)
    WHERE id = NEW.id;
    UPDATE writer SET own = 0;
END;

-- Without foreign keys (the default of the sqlite3 shell) the rows of a track would stay behind.
CREATE TRIGGER tracks_delete AFTER DELETE ON tracks
BEGIN
    UPDATE sequence SET value = value + 1;
    INSERT INTO tombstones (track_id, change_seq) VALUES (OLD.id, (SELECT value FROM sequence));
    DELETE FROM tags WHERE track_id = OLD.id;
    DELETE FROM art WHERE track_id = OLD.id;
    DELETE FROM items WHERE track_id = OLD.id;
END;

-- A root that is somewhere else now: its tracks are told apart by their own path, so each has changed.
CREATE TRIGGER roots_update AFTER UPDATE OF path ON roots
WHEN (SELECT own FROM writer) = 0 AND OLD.path IS NOT NEW.path
BEGIN
    UPDATE writer SET own = 1;
    UPDATE tracks SET change_seq = numbered.number
    FROM (
        SELECT id, (SELECT value FROM sequence) + row_number() OVER (ORDER BY id) AS number
        FROM tracks WHERE root_id = NEW.id
    ) AS numbered
    WHERE tracks.id = numbered.id;
    UPDATE sequence SET value = value + (SELECT count(*) FROM tracks WHERE root_id = NEW.id);
    UPDATE writer SET own = 0;
END;

CREATE TRIGGER roots_delete AFTER DELETE ON roots
BEGIN
    DELETE FROM tracks WHERE root_id = OLD.id;
END;

CREATE TRIGGER scan_runs_delete AFTER DELETE ON scan_runs
BEGIN
    DELETE FROM scan_failures WHERE run_id = OLD.id;
END;
