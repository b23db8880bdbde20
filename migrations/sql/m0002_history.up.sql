-- The history: postings, trading logs and the audit trail, partitioned by the month of `timestamp` (UTC).

CREATE TABLE transactions (
    id              uuid NOT NULL,
    timestamp       timestamptz NOT NULL,
    user_id         uuid NOT NULL,
    trading_id      uuid NOT NULL,
    sub_account_id  uuid NOT NULL,
    event_time      timestamptz NOT NULL,
    direction       text NOT NULL CHECK (direction IN ('credit', 'debit')),
    reason          text NOT NULL CHECK (length(reason) BETWEEN 1 AND 50),
    amount          numeric(28, 12) NOT NULL CHECK (amount > 0 AND amount <> 'NaN'),
    closing_balance numeric(28, 12) NOT NULL CHECK (closing_balance >= 0 AND closing_balance <> 'NaN'),
    price           numeric(28, 12) CHECK (price <> 'NaN'),
    quote_symbol    text,
    order_id        text,
    sequence        bigint NOT NULL CHECK (sequence > 0),
    event_id        text,
    trading_log_id  uuid NOT NULL,
    info            jsonb NOT NULL DEFAULT '{}',
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, timestamp)
) PARTITION BY RANGE (timestamp);
CREATE INDEX transactions_user ON transactions (user_id, timestamp DESC);
CREATE INDEX transactions_sub_account ON transactions (sub_account_id, timestamp DESC);
CREATE INDEX transactions_trading ON transactions (trading_id, timestamp DESC);
CREATE INDEX transactions_event_time ON transactions (sub_account_id, event_time);
CREATE INDEX transactions_order ON transactions (user_id, order_id) WHERE order_id IS NOT NULL;
CREATE INDEX transactions_info ON transactions USING gin (info jsonb_path_ops);

CREATE TABLE trading_logs (
    id             uuid NOT NULL,
    timestamp      timestamptz NOT NULL,
    user_id        uuid NOT NULL,
    trading_id     uuid NOT NULL,
    sub_account_id uuid,
    transaction_id uuid,
    postings       smallint NOT NULL DEFAULT 0 CHECK (postings >= 0),
    event_time     timestamptz NOT NULL,
    type           text NOT NULL CHECK (length(type) BETWEEN 1 AND 50),
    source         text NOT NULL CHECK (source IN ('manual', 'bot')),
    order_id       text,
    event_id       text,
    message        text NOT NULL DEFAULT '',
    info           jsonb NOT NULL DEFAULT '{}',
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, timestamp),
    CONSTRAINT trading_logs_transaction_of_single_posting CHECK ((transaction_id IS NOT NULL) = (postings = 1))
) PARTITION BY RANGE (timestamp);
CREATE INDEX trading_logs_user ON trading_logs (user_id, timestamp DESC);
CREATE INDEX trading_logs_sub_account ON trading_logs (sub_account_id, timestamp DESC);
CREATE INDEX trading_logs_trading ON trading_logs (trading_id, timestamp DESC);
CREATE INDEX trading_logs_event_time ON trading_logs (sub_account_id, event_time);
CREATE INDEX trading_logs_order ON trading_logs (user_id, order_id) WHERE order_id IS NOT NULL;
CREATE INDEX trading_logs_info ON trading_logs USING gin (info jsonb_path_ops);

CREATE TABLE audit_logs (
    id            uuid NOT NULL,
    timestamp     timestamptz NOT NULL DEFAULT now(),
    user_id       uuid,
    session_id    uuid,
    ip            text CHECK (length(ip) <= 45),
    agent         text,
    trace_id      text,
    action        text NOT NULL,
    resource_type text NOT NULL,
    resource_id   text,
    before        jsonb,
    after         jsonb,
    info          jsonb NOT NULL DEFAULT '{}',
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, timestamp)
) PARTITION BY RANGE (timestamp);
CREATE INDEX audit_logs_user ON audit_logs (user_id, timestamp DESC);
CREATE INDEX audit_logs_info ON audit_logs USING gin (info jsonb_path_ops);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;

-- The books are append-only. The only exception is the purge of a paper or backtest trading that is being
-- deleted: its transaction names the trading in the setting tiris.purge_trading_id.
CREATE FUNCTION refuse_change_unless_purged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND OLD.trading_id::text = current_setting('tiris.purge_trading_id', true) AND EXISTS (
        SELECT FROM public.tradings
        WHERE id = OLD.trading_id AND status = 'deleting' AND type IN ('paper', 'backtest')
    ) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER transactions_append_only BEFORE UPDATE OR DELETE ON transactions
    FOR EACH ROW EXECUTE FUNCTION refuse_change_unless_purged();
CREATE TRIGGER transactions_no_truncate BEFORE TRUNCATE ON transactions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_logs_append_only BEFORE UPDATE OR DELETE ON audit_logs
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_logs_no_truncate BEFORE TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Creates the missing monthly partitions of all three tables from the month of `since` to `months_ahead` months from
-- now, and returns how many it created. Safe to run concurrently. A partition is created as a separate table and then
-- attached, because CREATE TABLE ... PARTITION OF would block all reads and writes of the parent in the meantime.
-- Each partition needs its own TRUNCATE trigger, because the parent's does not apply to it.
CREATE FUNCTION ensure_partitions(since timestamptz, months_ahead integer) RETURNS integer LANGUAGE plpgsql AS $$
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

SELECT ensure_partitions(now(), 3);

-- Every ledger transaction ends with a call of this function, so that readers of the live stream can rely on rows being
-- visible at most ten seconds after their timestamp. The error class makes the writer retry with a new timestamp.
CREATE FUNCTION assert_fresh(batch_timestamp timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF clock_timestamp() > batch_timestamp + interval '10 seconds' THEN
        RAISE EXCEPTION 'ledger transaction took longer than 10 seconds' USING ERRCODE = 'serialization_failure';
    END IF;
END $$;
