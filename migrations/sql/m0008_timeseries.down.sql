SELECT history_to_native();
DO $$
BEGIN
    IF (SELECT obj_description(oid, 'pg_extension') FROM pg_extension WHERE extname = 'timescaledb')
        = 'made for the history tables of tiris'
    THEN
        DROP EXTENSION timescaledb;
    END IF;
EXCEPTION WHEN dependent_objects_still_exist THEN
    RAISE WARNING 'the extension timescaledb stays: other tables use it';
END $$;
DROP VIEW account_hourly, account_daily;
DROP FUNCTION history_to_native, history_to_timescale, convert_history, move_history, make_history, history_attachments,
    make_account_aggregates, make_account_views, history_inherit, account_history, set_compression_age, ensure_chunks,
    timescale_schema, timescale_refusal, history_kind;
DROP TABLE history_horizons;

CREATE OR REPLACE FUNCTION ensure_partitions(since timestamptz, months_ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    parent   text;
    month    timestamp := date_trunc('month', since AT TIME ZONE 'UTC');
    last     timestamp := date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => months_ahead);
    name     text;
    made     integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('tiris ensure_partitions'));
    WHILE month <= last LOOP
        FOREACH parent IN ARRAY ARRAY['transactions', 'trading_logs', 'audit_logs'] LOOP
            name := parent || to_char(month, '_YYYY_MM');
            IF to_regclass(name) IS NULL THEN
                EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', name, parent);
                IF parent <> 'trading_logs' THEN
                    EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()',
                        name || '_no_truncate', name);
                END IF;
                EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, name,
                    month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
                made := made + 1;
            END IF;
        END LOOP;
        month := month + interval '1 month';
    END LOOP;
    RETURN made;
END $$;

CREATE OR REPLACE FUNCTION drop_partitions(parent text, before timestamptz) RETURNS integer LANGUAGE plpgsql AS $$
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
