DROP TRIGGER release_stays;
DROP TRIGGER event_kept;
DROP TRIGGER event_stays;
DROP TABLE lease;
DROP TABLE content;
DROP TABLE manifest;
DROP TABLE release;
DROP TABLE event;
PRAGMA user_version = 0;
