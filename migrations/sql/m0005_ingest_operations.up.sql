-- Support for several workers: order behind waiting dead letters, the status of each lane, and retention.

-- status, status_reason and the lag are reported by the owner whenever it renews its lease. lag_exact: the lag in
-- messages is counted; otherwise it is an upper bound. events_today counts the messages processed on events_day (UTC).
ALTER TABLE ingest_lanes
    ADD COLUMN status        text NOT NULL DEFAULT 'starting'
        CHECK (status IN ('starting', 'running', 'waiting', 'halted')),
    ADD COLUMN status_reason text,
    ADD COLUMN lag_exact     boolean,
    ADD COLUMN lag_at        timestamptz,
    ADD COLUMN events_today  bigint NOT NULL DEFAULT 0,
    ADD COLUMN events_day    date;

-- blocks: later events of the same user and trading wait behind this dead letter, because it is still being retried.
ALTER TABLE dead_letters ADD COLUMN blocks boolean NOT NULL GENERATED ALWAYS AS (
    status = 'open' AND class = 'unresolved'
    AND (next_attempt_at IS NOT NULL OR code IN ('USER_DISABLED', 'BEHIND_UNRESOLVED'))
) STORED;
CREATE INDEX dead_letters_queue ON dead_letters (stream, lane, user_id, trading_id, stream_created_at, stream_seq)
    WHERE blocks;
CREATE INDEX dead_letters_behind ON dead_letters (stream, lane, user_id, trading_id, stream_created_at, stream_seq)
    WHERE blocks AND code = 'BEHIND_UNRESOLVED';
CREATE INDEX dead_letters_disabled ON dead_letters (stream, lane, user_id, trading_id)
    WHERE blocks AND code = 'USER_DISABLED';
CREATE INDEX dead_letters_open ON dead_letters (stream, lane, class) WHERE status = 'open';
CREATE INDEX dead_letters_newest ON dead_letters (created_at DESC, id DESC);
CREATE INDEX dead_letters_event ON dead_letters (user_id, event_id) WHERE status = 'open';

-- Users with events on subjects that name no user; order between the two forms of subjects is not guaranteed.
CREATE TABLE bare_publishers (
    user_id      uuid PRIMARY KEY,
    last_seen_at timestamptz NOT NULL
);

ALTER TABLE replay_jobs ADD COLUMN reason text;

-- For the purge of old event ids, which is off by default: unlike a B-tree it is cheap to maintain.
CREATE INDEX processed_events_age ON processed_events USING brin (created_at);

-- Drops the monthly partitions of `parent` that end before `before`, and returns how many.
CREATE FUNCTION drop_partitions(parent text, before timestamptz) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    name    text;
    month   timestamp;
    dropped integer := 0;
BEGIN
    IF parent NOT IN ('transactions', 'trading_logs', 'audit_logs') THEN
        RAISE EXCEPTION '% is not partitioned', parent USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('tiris ensure_partitions'));
    FOR name IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = to_regclass(parent) ORDER BY c.relname
    LOOP
        CONTINUE WHEN name !~ ('^' || parent || '_\d{4}_\d{2}$');
        month := (replace(right(name, 7), '_', '-') || '-01')::timestamp;
        IF (month + interval '1 month') AT TIME ZONE 'UTC' <= before THEN
            EXECUTE format('DROP TABLE %I', name);
            dropped := dropped + 1;
        END IF;
    END LOOP;
    RETURN dropped;
END $$;
