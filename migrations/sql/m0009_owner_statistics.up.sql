-- An account belongs to one trading and one user. A planner that treats the three columns as independent expects a few
-- rows where an account has thousands, and reads and sorts all of them for a page of fifty.
--
-- Creates these statistics for every partition or chunk of the history that lacks them, and returns how many it created.
-- Native partitions inherit them from their parent when they are created. Safe to run concurrently.
CREATE FUNCTION keep_owner_statistics() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    part record;
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('tiris ensure_partitions'));
    FOR part IN
        SELECT c.oid::regclass AS id, c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent IN ('transactions'::regclass, 'trading_logs'::regclass)
          AND NOT EXISTS (SELECT FROM pg_statistic_ext s WHERE s.stxrelid = c.oid)
    LOOP
        EXECUTE format('CREATE STATISTICS %I (dependencies) ON user_id, trading_id, sub_account_id FROM %s',
            part.name || '_owner', part.id);
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

CREATE STATISTICS transactions_owner (dependencies) ON user_id, trading_id, sub_account_id FROM transactions;
CREATE STATISTICS trading_logs_owner (dependencies) ON user_id, trading_id, sub_account_id FROM trading_logs;
SELECT keep_owner_statistics();

-- Old partitions do not change any more, so autovacuum would never analyze them.
DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN
        SELECT inhrelid FROM pg_inherits WHERE inhparent IN ('transactions'::regclass, 'trading_logs'::regclass)
    LOOP
        EXECUTE format('ANALYZE %s', part);
    END LOOP;
END $$;
