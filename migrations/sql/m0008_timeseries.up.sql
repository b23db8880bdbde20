-- The history tables in two forms: TimescaleDB hypertables where the server supports them, native monthly partitions
-- elsewhere. The functions and views have the same interface in both.

-- Returns the form of the history: 'native' or 'timescale'.
CREATE FUNCTION history_kind() RETURNS text STABLE LANGUAGE sql AS $$
    SELECT CASE relkind WHEN 'p' THEN 'native' ELSE 'timescale' END FROM pg_class WHERE oid = to_regclass('transactions')
$$;

-- Returns why TimescaleDB cannot be used here; null when it can. Detects by its settings whether it is preloaded, because
-- few roles may read shared_preload_libraries.
CREATE FUNCTION timescale_refusal() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    version text := (SELECT coalesce(installed_version, default_version) FROM pg_available_extensions
                     WHERE name = 'timescaledb');
BEGIN
    IF version IS NULL THEN
        RETURN 'this server does not offer it';
    ELSIF string_to_array(substring(version FROM '^[0-9.]+'), '.')::int[] < ARRAY[2, 28, 3] THEN
        RETURN format('version %s is older than 2.28.3', version);
    ELSIF NOT EXISTS (SELECT FROM pg_settings WHERE name = 'timescaledb.max_background_workers') THEN
        RETURN 'it is not in shared_preload_libraries';
    ELSIF current_setting('max_locks_per_transaction')::int < 256 THEN
        RETURN 'a statement over years of its chunks needs more locks: set max_locks_per_transaction to 256 or more';
    ELSIF coalesce(current_setting('timescaledb.license', true), 'timescale') <> 'timescale' THEN
        RETURN 'its Apache edition has neither compression nor continuous aggregates (timescaledb.license)';
    END IF;
    RETURN NULL;
END $$;

-- Returns the schema of TimescaleDB's functions.
CREATE FUNCTION timescale_schema() RETURNS regnamespace STABLE LANGUAGE sql AS $$
    SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'timescaledb'
$$;

-- The time from which a table is complete; older rows may have been dropped.
CREATE TABLE history_horizons (
    history text PRIMARY KEY,
    since   timestamptz NOT NULL
);
INSERT INTO history_horizons
SELECT parent,
       coalesce(min(substring(pg_get_expr(c.relpartbound, c.oid) FROM 'FROM \(''([^'']+)''\)')::timestamptz), now())
FROM unnest(ARRAY['transactions', 'trading_logs', 'audit_logs']) parent
    LEFT JOIN pg_inherits i ON i.inhparent = parent::regclass LEFT JOIN pg_class c ON c.oid = i.inhrelid
GROUP BY parent;

-- Creates the chunks of this week and the next, and returns how many. TimescaleDB creates missing chunks on insert, but
-- then all other sessions wait until the transaction with the first row of a week has ended. That is also the behaviour
-- with a version of TimescaleDB that lacks the function used here.
CREATE FUNCTION ensure_chunks() RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    week    CONSTANT integer := 7 * 24 * 60 * 60;
    history text;
    begins  bigint;
    made    integer := 0;
BEGIN
    FOREACH history IN ARRAY ARRAY['transactions', 'trading_logs', 'audit_logs'] LOOP
        FOR ahead IN 0 .. 1 LOOP
            begins := (floor(extract(epoch FROM now()) / week) + ahead) * week;
            CONTINUE WHEN EXISTS (
                SELECT FROM timescaledb_information.chunks
                WHERE hypertable_schema = current_schema AND hypertable_name = history
                  AND range_start < to_timestamp(begins + week) AND to_timestamp(begins) < range_end);
            PERFORM _timescaledb_functions.create_chunk(history::regclass,
                jsonb_build_object('timestamp', jsonb_build_array(begins * 1000000, (begins + week) * 1000000)));
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
EXCEPTION WHEN undefined_function THEN
    RETURN 0;
END $$;

-- Native: creates the missing monthly partitions of all three tables from the month of `since` to `months_ahead` months
-- from now, and returns how many it created. Safe to run concurrently. A partition is created as a separate table and
-- then attached, because CREATE TABLE ... PARTITION OF would block all reads and writes of the parent in the meantime.
-- Each partition needs its own TRUNCATE trigger, because the parent's does not apply to it. TimescaleDB: creates the next
-- chunks. In both forms the tables are complete from `since` on.
CREATE OR REPLACE FUNCTION ensure_partitions(since timestamptz, months_ahead integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    parent   text;
    month    timestamp := date_trunc('month', since AT TIME ZONE 'UTC');
    last     timestamp := date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => months_ahead);
    name     text;
    made     integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('tiris ensure_partitions'));
    UPDATE history_horizons h SET since = ensure_partitions.since WHERE h.since > ensure_partitions.since;
    IF history_kind() = 'timescale' THEN
        RETURN ensure_chunks();
    END IF;
    WHILE month <= last LOOP
        FOREACH parent IN ARRAY ARRAY['transactions', 'trading_logs', 'audit_logs'] LOOP
            name := parent || to_char(month, '_YYYY_MM');
            IF to_regclass(name) IS NULL THEN
                EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', name, parent);
                IF parent <> 'trading_logs' THEN
                    EXECUTE format('CREATE TRIGGER %I BEFORE TRUNCATE ON %I FOR EACH STATEMENT
                        EXECUTE FUNCTION refuse_change()', name || '_no_truncate', name);
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

-- Drops the partitions or chunks of `parent` that end before `before`, and returns how many. Continuous
-- aggregates drop their rows at the next refresh.
CREATE OR REPLACE FUNCTION drop_partitions(parent text, before timestamptz) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    name    text;
    month   timestamp;
    until   timestamptz;
    dropped integer := 0;
BEGIN
    IF parent NOT IN ('transactions', 'trading_logs', 'audit_logs') THEN
        RAISE EXCEPTION '% is not partitioned', parent USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('tiris ensure_partitions'));
    IF history_kind() = 'timescale' THEN
        SELECT max(range_end) INTO until FROM timescaledb_information.chunks
        WHERE hypertable_schema = current_schema AND hypertable_name = parent AND range_end <= before;
        IF until IS NOT NULL THEN
            EXECUTE format('SELECT count(*) FROM %s.drop_chunks($1::regclass, older_than => $2)', timescale_schema())
                INTO dropped USING parent, until;
        END IF;
    ELSE
        FOR name IN
            SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = to_regclass(parent) ORDER BY c.relname
        LOOP
            CONTINUE WHEN name !~ ('^' || parent || '_\d{4}_\d{2}$');
            month := (replace(right(name, 7), '_', '-') || '-01')::timestamp;
            IF (month + interval '1 month') AT TIME ZONE 'UTC' <= before THEN
                EXECUTE format('DROP TABLE %I', name);
                dropped := dropped + 1;
                until := (month + interval '1 month') AT TIME ZONE 'UTC';
            END IF;
        END LOOP;
    END IF;
    UPDATE history_horizons SET since = until WHERE history = parent AND since < until;
    RETURN dropped;
END $$;

-- Makes TimescaleDB compress chunks whose rows are all older than `age`, or none when it is null; returns whether that is
-- a change. Native partitions are not compressed.
CREATE FUNCTION set_compression_age(age interval) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    history text;
    present interval;
    changed boolean := false;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('tiris ensure_partitions'));
    IF history_kind() = 'native' THEN
        RETURN false;
    END IF;
    FOREACH history IN ARRAY ARRAY['transactions', 'trading_logs', 'audit_logs'] LOOP
        SELECT (config ->> 'compress_after')::interval INTO present FROM timescaledb_information.jobs
        WHERE proc_name = 'policy_compression' AND hypertable_schema = current_schema AND hypertable_name = history;
        CONTINUE WHEN present IS NOT DISTINCT FROM age;
        EXECUTE format('CALL %s.remove_columnstore_policy($1::regclass, if_exists => true)', timescale_schema())
            USING history;
        IF age IS NOT NULL THEN
            EXECUTE format('CALL %s.add_columnstore_policy($1::regclass, after => $2)', timescale_schema())
                USING history, age;
        END IF;
        changed := true;
    END LOOP;
    RETURN changed;
END $$;

-- Returns the totals of an account for each hour or day (`unit`, UTC) that overlaps [since, until): both ends are widened
-- to whole units. A unit without postings has no row. Without aggregates, `bucket` is compared with the exact ends, so
-- that partitions are pruned and the index is used.
CREATE FUNCTION account_history(account uuid, since timestamptz, until timestamptz, unit text)
RETURNS TABLE (bucket timestamptz, credits numeric, debits numeric, postings bigint, last_balance numeric,
    last_sequence bigint)
STABLE LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    begins timestamptz := date_trunc(unit, since, 'UTC');
    ends   timestamptz := date_trunc(unit, until, 'UTC');
BEGIN
    IF unit IS NULL OR unit NOT IN ('hour', 'day') THEN
        RAISE EXCEPTION 'unit must be hour or day (given: %)', unit USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF ends < until THEN
        ends := ends + CASE unit WHEN 'hour' THEN interval '1 hour' ELSE interval '24 hours' END;
    END IF;
    IF history_kind() = 'native' THEN
        RETURN QUERY
            SELECT date_trunc(unit, t.timestamp, 'UTC'), sum(CASE t.direction WHEN 'credit' THEN t.amount ELSE 0 END),
                   sum(CASE t.direction WHEN 'debit' THEN t.amount ELSE 0 END), count(*),
                   (array_agg(t.closing_balance ORDER BY t.sequence DESC))[1], max(t.sequence)
            FROM transactions t
            WHERE t.sub_account_id = account AND t.timestamp >= begins AND t.timestamp < ends
            GROUP BY 1 ORDER BY 1;
    ELSIF unit = 'hour' THEN
        RETURN QUERY
            SELECT h.bucket, h.credits, h.debits, h.postings, h.last_balance, h.last_sequence FROM account_hourly h
            WHERE h.sub_account_id = account AND h.bucket >= begins AND h.bucket < ends ORDER BY 1;
    ELSE
        RETURN QUERY
            SELECT d.bucket, d.credits, d.debits, d.postings, d.last_balance, d.last_sequence FROM account_daily d
            WHERE d.sub_account_id = account AND d.bucket >= begins AND d.bucket < ends ORDER BY 1;
    END IF;
END $$;

-- Gives `heir` the owner and the privileges of `table_before`.
CREATE FUNCTION history_inherit(table_before regclass, heir regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee,
               a.privilege_type, CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS further
        FROM pg_class c, aclexplode(c.relacl) a
        WHERE c.oid = table_before AND a.grantee <> c.relowner
          AND (a.privilege_type = 'SELECT' OR (SELECT relkind IN ('r', 'p') FROM pg_class WHERE oid = heir))
    LOOP
        EXECUTE format('GRANT %s ON %s TO %s%s', granted.privilege_type, heir, granted.grantee, granted.further);
    END LOOP;
END $$;

-- Creates views with the totals of each account by hour and by day (UTC).
CREATE FUNCTION make_account_views() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    unit text;
    name text;
BEGIN
    FOR unit, name IN VALUES ('hour', 'account_hourly'), ('day', 'account_daily') LOOP
        EXECUTE format($view$
            CREATE VIEW %I AS
            SELECT sub_account_id, date_trunc(%L, timestamp, 'UTC') AS bucket,
                   sum(CASE direction WHEN 'credit' THEN amount ELSE 0 END) AS credits,
                   sum(CASE direction WHEN 'debit' THEN amount ELSE 0 END) AS debits, count(*) AS postings,
                   (array_agg(closing_balance ORDER BY sequence DESC))[1] AS last_balance, max(sequence) AS last_sequence
            FROM transactions GROUP BY 1, 2
            $view$, name, unit);
        PERFORM history_inherit('transactions', name::regclass);
    END LOOP;
END $$;

-- Creates the same as continuous aggregates. A row is visible at most ten seconds after its timestamp (assert_fresh), so
-- an hour that ended an hour ago is complete when it is aggregated; newer totals are computed by the query. Refreshes
-- begin with the oldest row, so that purged rows disappear from the totals, however old they are.
CREATE FUNCTION make_account_aggregates() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    unit text;
    name text;
BEGIN
    FOR unit, name IN VALUES ('1 hour', 'account_hourly'), ('1 day', 'account_daily') LOOP
        EXECUTE format($view$
            CREATE MATERIALIZED VIEW %I WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
            SELECT sub_account_id, %s.time_bucket(interval %L, timestamp) AS bucket,
                   sum(CASE direction WHEN 'credit' THEN amount ELSE 0 END) AS credits,
                   sum(CASE direction WHEN 'debit' THEN amount ELSE 0 END) AS debits, count(*) AS postings,
                   %2$s.last(closing_balance, sequence) AS last_balance, max(sequence) AS last_sequence
            FROM transactions GROUP BY 1, 2 WITH NO DATA
            $view$, name, timescale_schema(), unit);
        EXECUTE format(
            'SELECT %s.add_continuous_aggregate_policy($1::regclass, start_offset => NULL,
                 end_offset => interval ''1 hour'', schedule_interval => interval ''1 hour'')', timescale_schema())
            USING name;
        PERFORM history_inherit('transactions', name::regclass);
    END LOOP;
END $$;

-- Returns the statements that recreate the keys, indexes and triggers of a table in its other form.
CREATE FUNCTION history_attachments(history text) RETURNS text[] STABLE LANGUAGE sql AS $$
    SELECT ARRAY(SELECT replace(pg_get_indexdef(i.indexrelid), ' ON ONLY ', ' ON ')
                 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                 WHERE i.indrelid = history::regclass AND NOT i.indisprimary ORDER BY c.relname)
        || ARRAY(SELECT format('ALTER TABLE %I ADD CONSTRAINT %I %s', history, conname, pg_get_constraintdef(oid))
                 FROM pg_constraint WHERE conrelid = history::regclass AND contype = 'p')
        || ARRAY(SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t
                 WHERE t.tgrelid = history::regclass AND NOT t.tgisinternal AND NOT EXISTS (
                     SELECT FROM pg_depend d
                     WHERE d.classid = 'pg_proc'::regclass AND d.objid = t.tgfoid AND d.deptype = 'e')
                 ORDER BY t.tgname)
$$;

-- Creates an empty table that will replace `<history>_before`.
CREATE FUNCTION make_history(history text, as_hypertable boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL EXCLUDING INDEXES)%s', history, history || '_before',
        CASE WHEN as_hypertable THEN '' ELSE ' PARTITION BY RANGE (timestamp)' END);
    IF as_hypertable THEN
        EXECUTE format(
            'SELECT %s.create_hypertable($1::regclass, %1$s.by_range(''timestamp'', interval ''7 days''),
                 create_default_indexes => false)', timescale_schema()) USING history;
    END IF;
END $$;

-- Moves all rows from `<history>_before` to the table that replaces it.
CREATE FUNCTION move_history(history text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    old regclass := (history || '_before')::regclass;
BEGIN
    EXECUTE format('INSERT INTO %I SELECT * FROM %s ORDER BY timestamp', history, old);
    PERFORM history_inherit(old, history::regclass);
    EXECUTE (SELECT format('ALTER TABLE %I OWNER TO %s', history, relowner::regrole) FROM pg_class WHERE oid = old);
    -- DROP TABLE alone leaves compressed chunks behind (TimescaleDB 2.28.3).
    IF EXISTS (SELECT FROM pg_class WHERE oid = old AND relkind <> 'p') THEN
        EXECUTE format('SELECT %s.drop_chunks($1, older_than => timestamptz ''infinity'')', timescale_schema())
            USING old;
    END IF;
    EXECUTE format('DROP TABLE %s', old);
END $$;

-- Converts the history with all its rows into the other form, in the caller's transaction. No other session can read or
-- write it in the meantime. A table keeps its columns, checks, keys, indexes, triggers, owner and privileges.
CREATE FUNCTION convert_history(to_timescale boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    histories CONSTANT text[] := ARRAY['transactions', 'trading_logs', 'audit_logs'];
    -- What is asked for together is compressed together. An account has one trading and one user.
    segments  CONSTANT text[] := ARRAY['user_id, trading_id, sub_account_id', 'user_id, trading_id', 'user_id'];
    history   text;
    horizons  jsonb := (SELECT jsonb_object_agg(h.history, h.since) FROM history_horizons h);
    oldest    timestamptz := (SELECT min(since) FROM history_horizons);
    statement text;
    attached  text[] := '{}';
BEGIN
    -- Before the tables, as all others take it.
    PERFORM pg_advisory_xact_lock(hashtext('tiris ensure_partitions'));
    IF to_timescale THEN
        DROP VIEW account_hourly, account_daily;
    ELSE
        DROP MATERIALIZED VIEW account_hourly;
        DROP MATERIALIZED VIEW account_daily;
    END IF;
    LOCK TABLE transactions, trading_logs, audit_logs IN ACCESS EXCLUSIVE MODE;
    FOREACH history IN ARRAY histories LOOP
        EXECUTE format('SELECT least($1, min(timestamp)) FROM %I', history) INTO oldest USING oldest;
        attached := attached || history_attachments(history);
        EXECUTE format('ALTER TABLE %I RENAME TO %I', history, history || '_before');
        PERFORM make_history(history, to_timescale);
    END LOOP;
    PERFORM ensure_partitions(oldest, 3);
    UPDATE history_horizons h SET since = (horizons ->> h.history)::timestamptz;
    FOREACH history IN ARRAY histories LOOP
        PERFORM move_history(history);
    END LOOP;
    FOREACH statement IN ARRAY attached LOOP
        EXECUTE statement;
    END LOOP;
    IF NOT to_timescale THEN
        PERFORM make_account_views();
        RETURN;
    END IF;
    FOR index IN 1 .. 3 LOOP
        EXECUTE format(
            'ALTER TABLE %I SET (timescaledb.enable_columnstore = true, timescaledb.segmentby = %L,
                 timescaledb.orderby = ''timestamp DESC, id DESC'')', histories[index], segments[index]);
    END LOOP;
    PERFORM set_compression_age(interval '30 days');
    PERFORM make_account_aggregates();
END $$;

-- Converts the history tables to hypertables. Fails with the code TI001 and the reason when TimescaleDB cannot be used.
CREATE FUNCTION history_to_timescale() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    refusal text := timescale_refusal();
BEGIN
    IF history_kind() = 'timescale' THEN
        RETURN;
    ELSIF refusal IS NOT NULL THEN
        RAISE EXCEPTION 'TimescaleDB cannot be used: %', refusal USING ERRCODE = 'TI001';
    END IF;
    IF timescale_schema() IS NULL THEN
        PERFORM set_config('client_min_messages', 'warning', true);
        BEGIN
            CREATE EXTENSION timescaledb;
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE EXCEPTION 'TimescaleDB cannot be used: % may not make the extension', current_user
                USING ERRCODE = 'TI001';
        END;
        COMMENT ON EXTENSION timescaledb IS 'made for the history tables of tiris';
    END IF;
    -- Before the extension is there its own default is not known.
    IF current_setting('timescaledb.license') <> 'timescale' THEN
        RAISE EXCEPTION 'TimescaleDB cannot be used: %', timescale_refusal() USING ERRCODE = 'TI001';
    END IF;
    PERFORM convert_history(true);
END $$;

-- Converts the history tables to native partitions. The extension stays, because dropping it breaks every session that
-- has used it until that session reconnects.
CREATE FUNCTION history_to_native() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF history_kind() = 'timescale' THEN
        PERFORM convert_history(false);
    END IF;
END $$;

SELECT make_account_views();
DO $$
DECLARE
    refusal  text := timescale_refusal();
    -- More rows are not moved while services wait.
    rows_max CONSTANT integer := 100000;
    is_small CONSTANT boolean := (SELECT count(*) FROM (SELECT FROM transactions LIMIT rows_max) t) < rows_max
        AND (SELECT count(*) FROM (SELECT FROM trading_logs LIMIT rows_max) l) < rows_max
        AND (SELECT count(*) FROM (SELECT FROM audit_logs LIMIT rows_max) a) < rows_max;
BEGIN
    IF refusal IS NULL AND is_small THEN
        PERFORM history_to_timescale();
    ELSIF refusal IS NULL THEN
        RAISE WARNING 'native partitions stay, because moving so many rows takes long: stop the services, then run tiris-migrate history --to timescale';
    ELSIF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'timescaledb') THEN
        RAISE WARNING 'native partitions are used: TimescaleDB cannot be used: %', refusal;
    END IF;
EXCEPTION WHEN SQLSTATE 'TI001' THEN
    RAISE WARNING 'native partitions are used: %', SQLERRM;
END $$;
