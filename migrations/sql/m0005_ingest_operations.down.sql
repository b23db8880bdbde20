DROP FUNCTION drop_partitions(text, timestamptz);
DROP INDEX processed_events_age;
DROP TABLE bare_publishers;
ALTER TABLE replay_jobs DROP COLUMN reason;
DROP INDEX dead_letters_queue, dead_letters_behind, dead_letters_disabled, dead_letters_open, dead_letters_newest,
    dead_letters_event;
ALTER TABLE dead_letters DROP COLUMN blocks;
ALTER TABLE ingest_lanes
    DROP COLUMN status,
    DROP COLUMN status_reason,
    DROP COLUMN lag_exact,
    DROP COLUMN lag_at,
    DROP COLUMN events_today,
    DROP COLUMN events_day;
