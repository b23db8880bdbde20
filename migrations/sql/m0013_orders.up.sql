-- Orders as rows, holds by pair and with an expiry, and the kinds of drift of a trading log.

-- The key of the holds changes, which breaks the prepared statements of running services.
DO $$
DECLARE
    services text := (SELECT string_agg(DISTINCT application_name, ', ') FROM pg_stat_activity
                      WHERE datname = current_database() AND application_name ~ '^tiris-(api|ingest)');
BEGIN
    IF services IS NOT NULL AND EXISTS (SELECT FROM sub_accounts) THEN
        RAISE EXCEPTION 'the key of the holds changes: stop the services first (connected: %)', services
            USING ERRCODE = 'object_in_use';
    END IF;
END $$;

-- Only the ledger writes orders. The symbol is the pair, BASE/QUOTE; '' while only a lock without a pair has named the
-- order. `ordinal` counts the orders of an id from 0: of two transactions that each make one, without seeing the other's,
-- only one can commit. `quote_filled` is the amount of the quote asset that was paid or received, without fees. `fees`
-- maps an asset to a decimal string, negative for a rebate. `last_lock` is the last lock for it, until its hold is used
-- up. `created_at` and `updated_at` are the timestamps of the batches, so that no posting of the order is older than
-- `created_at`.
CREATE TABLE orders (
    id               uuid PRIMARY KEY,
    user_id          uuid NOT NULL REFERENCES users (id),
    trading_id       uuid NOT NULL REFERENCES tradings (id),
    symbol           text NOT NULL DEFAULT '' CHECK (length(symbol) <= 129),
    order_id         text NOT NULL CHECK (length(order_id) BETWEEN 1 AND 128),
    ordinal          integer NOT NULL CHECK (ordinal >= 0),
    side             text CHECK (side IN ('buy', 'sell')),
    type             text CHECK (length(type) BETWEEN 1 AND 128),
    amount           numeric(38, 18) CHECK (amount >= 0 AND amount <> 'NaN'),
    price            numeric CHECK (price >= 0 AND price < 'Infinity'),
    filled           numeric(38, 18) NOT NULL DEFAULT 0 CHECK (filled >= 0 AND filled <> 'NaN'),
    quote_filled     numeric(38, 18) NOT NULL DEFAULT 0 CHECK (quote_filled >= 0 AND quote_filled <> 'NaN'),
    fees             jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(fees) = 'object'),
    fills            integer NOT NULL DEFAULT 0 CHECK (fills >= 0),
    status           text NOT NULL
                     CHECK (status IN ('open', 'partially_filled', 'filled', 'cancelled', 'failed', 'unknown')),
    accounts         uuid[] NOT NULL DEFAULT '{}',
    last_lock        numeric(38, 18),
    last_lock_account uuid,
    first_event_time timestamptz NOT NULL,
    last_event_time  timestamptz NOT NULL,
    info             jsonb NOT NULL DEFAULT '{}',
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    CONSTRAINT orders_key UNIQUE (trading_id, order_id, symbol),
    CONSTRAINT orders_ordinal UNIQUE (trading_id, order_id, ordinal),
    CONSTRAINT orders_event_times CHECK (first_event_time <= last_event_time)
) WITH (fillfactor = 70);
CREATE INDEX orders_user ON orders (user_id, created_at DESC, id DESC);
CREATE INDEX orders_trading ON orders (trading_id, created_at DESC, id DESC);
CREATE INDEX orders_unended ON orders (user_id, created_at DESC, id DESC)
    WHERE status IN ('open', 'partially_filled', 'unknown');
-- The live stream reads the latest changes of a user.
CREATE INDEX orders_changed ON orders (user_id, updated_at, id);

-- symbol '' is the hold of locks that named no pair. `trading_id` is the sub-account's.
ALTER TABLE holds
    ADD COLUMN trading_id uuid,
    ADD COLUMN symbol text NOT NULL DEFAULT '' CHECK (length(symbol) <= 129),
    ADD COLUMN expires_at timestamptz,
    DROP CONSTRAINT holds_pkey,
    ADD PRIMARY KEY (sub_account_id, order_id, symbol);
UPDATE holds h SET trading_id = s.trading_id FROM sub_accounts s WHERE s.id = h.sub_account_id;
ALTER TABLE holds ALTER COLUMN trading_id SET NOT NULL;
CREATE INDEX holds_order ON holds (trading_id, order_id);
CREATE INDEX holds_expires ON holds (expires_at) WHERE expires_at IS NOT NULL;

-- Orders of the existing holds, so that they can be found and ended; those of the history before are not made. The id is
-- a UUIDv7 of this moment.
INSERT INTO orders (id, user_id, trading_id, order_id, ordinal, status, accounts, first_event_time, last_event_time, created_at,
    updated_at)
SELECT overlay(overlay(gen_random_uuid()::text PLACING '7' FROM 15)
           PLACING left(lpad(to_hex(floor(extract(epoch FROM now()) * 1000)::bigint), 12, '0'), 8) || '-'
           || right(lpad(to_hex(floor(extract(epoch FROM now()) * 1000)::bigint), 12, '0'), 4) FROM 1)::uuid,
       s.user_id, s.trading_id, h.order_id, 0, 'unknown', array_agg(h.sub_account_id ORDER BY h.sub_account_id),
       min(h.created_at), greatest(min(h.created_at), max(h.updated_at)), now(), now()
FROM holds h JOIN sub_accounts s ON s.id = h.sub_account_id
WHERE h.order_id <> ''
GROUP BY s.user_id, s.trading_id, h.order_id;

-- The kinds of the differences in `info.drift`; null when there are none. A column without a default leaves compressed
-- chunks unchanged.
SELECT pg_advisory_xact_lock(hashtext('tiris ensure_partitions'));
ALTER TABLE trading_logs ADD COLUMN drift text[];
-- Few logs have drift, so one index serves every kind.
CREATE INDEX trading_logs_drift ON trading_logs (user_id, timestamp DESC) WHERE drift IS NOT NULL;

-- Old partitions do not change any more, so autovacuum would never find out that the column is empty. It warns of the
-- statistics of other columns, which it does not compute here.
SET LOCAL client_min_messages = error;
DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'trading_logs'::regclass LOOP
        EXECUTE format('ANALYZE %s (drift)', part);
    END LOOP;
END $$;
RESET client_min_messages;
