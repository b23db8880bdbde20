-- What bots add to their events is stored once and not indexed; users who publish too much have their events processed
-- beside those of others.

-- Bots decide on the size of the info of the history, so an index of its content would cost the other users of a lane.
-- The info that only requests write, of users, tradings, accounts and bindings, keeps its indexes.
SELECT pg_advisory_xact_lock(hashtext('tiris ensure_partitions'));
DROP INDEX transactions_info, trading_logs_info;

-- Users whose messages a lane has passed over without processing them: those of the user after `cursor`, up to the cursor
-- of the lane. `behind` counts them. Both cursors move in transactions that lock the lane, so each message is processed
-- by one of the two.
CREATE TABLE lane_detours (
    stream            text NOT NULL,
    lane              integer NOT NULL,
    user_id           uuid NOT NULL,
    stream_created_at bigint NOT NULL,
    cursor            bigint NOT NULL CHECK (cursor >= 0),
    behind            bigint NOT NULL CHECK (behind > 0),
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (stream, lane, user_id),
    FOREIGN KEY (stream, lane) REFERENCES ingest_lanes (stream, lane) ON DELETE CASCADE
);
CREATE INDEX lane_detours_user ON lane_detours (user_id);

-- Workers of before do not set it. While one of them lives, no detour begins: it would process the user's later messages first.
ALTER TABLE ingest_workers ADD COLUMN keeps_detours boolean NOT NULL DEFAULT false;
