-- Without the table, the messages that were passed over would never be processed.
DO $$
BEGIN
    IF EXISTS (SELECT FROM lane_detours) THEN
        RAISE EXCEPTION 'messages of users in lane_detours are not processed: let tiris-ingest run until it is empty'
            USING ERRCODE = 'object_in_use';
    END IF;
END $$;
DROP TABLE lane_detours;
ALTER TABLE ingest_workers DROP COLUMN keeps_detours;

SELECT pg_advisory_xact_lock(hashtext('tiris ensure_partitions'));
CREATE INDEX transactions_info ON transactions USING gin (info jsonb_path_ops);
CREATE INDEX trading_logs_info ON trading_logs USING gin (info jsonb_path_ops);
