-- What the services may do beyond the grants of their roles. These functions run as the owner of the tables and check their
-- arguments, so that the services themselves need no right to change history, to remove accounts, or to create and drop tables.
-- `tiris-migrate up` creates the roles and makes the grants: migrations/src/roles.rs.

-- Records an action in the audit trail, at the time of the database.
CREATE FUNCTION record_audit(id uuid, user_id uuid, session_id uuid, ip text, agent text, trace_id text, action text,
    resource_type text, resource_id text, before jsonb, after jsonb, info jsonb DEFAULT '{}') RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO audit_logs (id, timestamp, user_id, session_id, ip, agent, trace_id, action, resource_type, resource_id,
        before, after, info)
    VALUES ($1, clock_timestamp(), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
$$;

-- Deletes a trading log that moved no money, and returns whether it was there.
CREATE FUNCTION delete_trading_log(log_id uuid, booked_at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM trading_logs WHERE id = log_id AND timestamp = booked_at AND postings = 0;
    RETURN FOUND;
END $$;

-- Removes rows of a paper or backtest trading that is being deleted, and returns how many: of the history all until
-- `until`, of the other tables at most `rows_max`. Orders and accounts go by id, as the ledger locks them.
CREATE FUNCTION purge_trading(purged uuid, part text, until timestamptz, rows_max bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    removed bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM tradings WHERE id = purged AND status = 'deleting' AND type IN ('paper', 'backtest')) THEN
        RAISE EXCEPTION 'trading % is not a paper or backtest trading that is being deleted', purged
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    CASE part
        WHEN 'transactions', 'trading_logs' THEN
            -- Permits this transaction to delete from the append-only books of this trading.
            PERFORM set_config('tiris.purge_trading_id', purged::text, true);
            -- Not prepared, so that the planner knows the end.
            EXECUTE format('DELETE FROM %I WHERE trading_id = %L AND timestamp <= %L', part, purged,
                coalesce(until, 'infinity'));
            GET DIAGNOSTICS removed = ROW_COUNT;
            RETURN removed;
        WHEN 'holds' THEN
            DELETE FROM holds WHERE (sub_account_id, order_id, symbol) IN (
                SELECT h.sub_account_id, h.order_id, h.symbol FROM holds h WHERE h.trading_id = purged LIMIT rows_max);
        WHEN 'orders' THEN
            DELETE FROM orders WHERE id IN (
                SELECT o.id FROM orders o WHERE o.trading_id = purged ORDER BY o.id LIMIT rows_max FOR UPDATE);
        WHEN 'sub_accounts' THEN
            DELETE FROM sub_accounts WHERE id IN (
                SELECT a.id FROM sub_accounts a WHERE a.trading_id = purged ORDER BY a.id LIMIT rows_max FOR UPDATE);
        WHEN 'tradings' THEN
            DELETE FROM tradings WHERE id = purged;
        ELSE
            RAISE EXCEPTION '% is no part of a trading', part USING ERRCODE = 'invalid_parameter_value';
    END CASE;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END $$;

-- Creates the partitions of this month and the following, or the next chunks, and returns how many.
CREATE FUNCTION upkeep_partitions(months_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    IF months_ahead IS NULL OR months_ahead NOT BETWEEN 0 AND 24 THEN
        RAISE EXCEPTION 'months_ahead must be between 0 and 24 (given: %)', months_ahead
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN ensure_partitions(now(), months_ahead);
END $$;

-- Creates the planner's statistics of partitions that lack them, and returns how many.
CREATE FUNCTION upkeep_statistics() RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT keep_owner_statistics()
$$;

-- Sets the age at which TimescaleDB compresses history, null for never; returns whether that is a change. The moments are
-- compared, because an interval such as '-1200 months 36365 days' compares as a year and reaches into the future.
CREATE FUNCTION upkeep_compression(age interval) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    present CONSTANT timestamptz := clock_timestamp();
BEGIN
    IF present - age > present - interval '168 hours' THEN
        RAISE EXCEPTION 'history younger than 7 days is not compressed (given: %)', age
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN set_compression_age(age);
END $$;

-- Drops the partitions or chunks of a history table that ended longer than `age` ago, and returns how many. Refuses to drop
-- what is younger than a year, so that a service that is taken over cannot remove its traces; `tiris-ingest` refuses such
-- settings at start. The moments are compared, as above.
CREATE FUNCTION upkeep_retention(history text, age interval) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    present  CONSTANT timestamptz := clock_timestamp();
    days_min CONSTANT integer := CASE history
        WHEN 'transactions' THEN 365
        WHEN 'trading_logs' THEN 365
        WHEN 'audit_logs' THEN 365
    END;
BEGIN
    IF days_min IS NULL THEN
        RAISE EXCEPTION '% is no history with a retention', history USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- In hours, because a day of a time zone may have 23 or 25.
    IF age IS NULL OR present - age > present - make_interval(hours => 24 * days_min) THEN
        RAISE EXCEPTION 'rows of % are kept for at least % days (given: %)', history, days_min, age
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    RETURN drop_partitions(history, present - age);
END $$;

-- Until the roles have their grants, only the owner may call them.
REVOKE ALL ON FUNCTION
    record_audit(uuid, uuid, uuid, text, text, text, text, text, text, jsonb, jsonb, jsonb),
    delete_trading_log(uuid, timestamptz),
    purge_trading(uuid, text, timestamptz, bigint),
    upkeep_partitions(integer),
    upkeep_statistics(),
    upkeep_compression(interval),
    upkeep_retention(text, interval)
FROM PUBLIC;
