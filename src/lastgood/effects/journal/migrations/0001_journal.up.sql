-- The journal. Append-only: what is written stays as it is; the chain of hashes shows it.
CREATE TABLE event (
    seq           INTEGER PRIMARY KEY,
    epoch         INTEGER NOT NULL,
    deployment    INTEGER,
    wall_s        REAL    NOT NULL,
    boot_id       TEXT    NOT NULL,
    boot_s        REAL    NOT NULL,
    body          TEXT    NOT NULL,
    previous_hash TEXT    NOT NULL,
    hash          TEXT    NOT NULL
) STRICT;
CREATE INDEX event_of_deployment ON event (deployment) WHERE deployment IS NOT NULL;
CREATE TABLE release (
    number  INTEGER PRIMARY KEY,
    record  BLOB NOT NULL,
    digest  TEXT NOT NULL
) STRICT;
CREATE TABLE manifest (
    release INTEGER PRIMARY KEY,
    base    INTEGER,
    body    BLOB NOT NULL
) STRICT;
CREATE TABLE content (
    digest  TEXT PRIMARY KEY,
    body    BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE lease (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    epoch    INTEGER NOT NULL,
    holder   TEXT NOT NULL,
    boot_id  TEXT NOT NULL,
    seen_s   REAL NOT NULL
) STRICT;
CREATE TRIGGER event_stays  BEFORE UPDATE ON event   BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER event_kept   BEFORE DELETE ON event   BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER release_stays BEFORE UPDATE ON release BEGIN SELECT RAISE(ABORT, 'releases are immutable'); END;
PRAGMA user_version = 1;
