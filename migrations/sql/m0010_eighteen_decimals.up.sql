-- Money with eighteen decimal places, and prices as given. Rewrites every posting, so the services must be stopped.

-- Changes the type of all columns of money, in both forms of the history. Fails while a service uses them: it would wait
-- for the locks, and its prepared statements would fail afterwards. Without accounts, services only wait for the schema.
CREATE FUNCTION set_money_types(money text, price text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    services text := (SELECT string_agg(DISTINCT application_name, ', ') FROM pg_stat_activity
                      WHERE datname = current_database() AND application_name ~ '^tiris-(api|ingest)');
BEGIN
    IF services IS NOT NULL AND EXISTS (SELECT FROM sub_accounts) THEN
        RAISE EXCEPTION 'every posting is rewritten: stop the services first (connected: %)', services
            USING ERRCODE = 'object_in_use';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('tiris ensure_partitions'));
    LOCK TABLE transactions, sub_accounts, holds IN ACCESS EXCLUSIVE MODE;

    EXECUTE format('ALTER TABLE sub_accounts ALTER balance TYPE %s, ALTER locked TYPE %1$s', money);
    EXECUTE format('ALTER TABLE holds ALTER amount TYPE %s', money);
    IF history_kind() = 'native' THEN
        PERFORM set_money_types_of_partitions(money, price);
    ELSE
        PERFORM set_money_types_of_chunks(money, price);
    END IF;
END $$;

-- Changes one table or partition of postings.
CREATE FUNCTION set_money_types_of(postings regclass, money text, price text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'ALTER TABLE %s ALTER amount TYPE %s, ALTER closing_balance TYPE %2$s, ALTER fee TYPE %2$s, ALTER price TYPE %s,
             DROP CONSTRAINT transactions_price_check,
             ADD CONSTRAINT transactions_price_check CHECK (price > ''-Infinity'' AND price < ''Infinity'')',
        postings, money, price);
END $$;

-- Native: changes the partitions one after the other, to report the progress.
CREATE FUNCTION set_money_types_of_partitions(money text, price text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    names  text[];
    bounds text[];
BEGIN
    SELECT array_agg(c.relname ORDER BY c.relname), array_agg(pg_get_expr(c.relpartbound, c.oid) ORDER BY c.relname)
    INTO names, bounds
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'transactions'::regclass;

    DROP VIEW account_hourly, account_daily;
    FOR index IN 1 .. coalesce(array_length(names, 1), 0) LOOP
        EXECUTE format('ALTER TABLE transactions DETACH PARTITION %I', names[index]);
    END LOOP;
    PERFORM set_money_types_of('transactions', money, price);
    FOR index IN 1 .. coalesce(array_length(names, 1), 0) LOOP
        PERFORM set_money_types_of(names[index]::regclass, money, price);
        EXECUTE format('ALTER TABLE transactions ATTACH PARTITION %I %s', names[index], bounds[index]);
        EXECUTE format('ANALYZE %I', names[index]);
        RAISE NOTICE 'rewrote % (% of %)', names[index], index, array_length(names, 1);
    END LOOP;
    PERFORM make_account_views();
END $$;

-- TimescaleDB: a table with compressed chunks cannot change, so they are decompressed and compressed again.
CREATE FUNCTION set_money_types_of_chunks(money text, price text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    age        interval := (SELECT (config ->> 'compress_after')::interval FROM timescaledb_information.jobs
                            WHERE proc_name = 'policy_compression' AND hypertable_schema = current_schema
                              AND hypertable_name = 'transactions');
    compressed regclass[] := ARRAY(SELECT format('%I.%I', chunk_schema, chunk_name)::regclass
                                   FROM timescaledb_information.chunks
                                   WHERE hypertable_schema = current_schema AND hypertable_name = 'transactions'
                                     AND is_compressed ORDER BY range_start);
    total      integer := coalesce(array_length(compressed, 1), 0);
BEGIN
    DROP MATERIALIZED VIEW account_hourly;
    DROP MATERIALIZED VIEW account_daily;
    PERFORM set_compression_age(NULL);
    FOR index IN 1 .. total LOOP
        EXECUTE format('SELECT %s.decompress_chunk($1)', timescale_schema()) USING compressed[index];
        RAISE NOTICE 'decompressed % (% of %)', compressed[index], index, total;
    END LOOP;

    ALTER TABLE transactions SET (timescaledb.enable_columnstore = false);
    RAISE NOTICE 'rewriting all chunks';
    PERFORM set_money_types_of('transactions', money, price);
    ALTER TABLE transactions SET (timescaledb.enable_columnstore = true,
        timescaledb.segmentby = 'user_id, trading_id, sub_account_id', timescaledb.orderby = 'timestamp DESC, id DESC');

    FOR index IN 1 .. total LOOP
        EXECUTE format('SELECT %s.compress_chunk($1)', timescale_schema()) USING compressed[index];
        RAISE NOTICE 'compressed % (% of %)', compressed[index], index, total;
    END LOOP;
    PERFORM set_compression_age(age);
    PERFORM make_account_aggregates();
END $$;

SELECT set_money_types('numeric(38, 18)', 'numeric');
