-- One trade of an order of its own as the API writes it: the same statements in the same order, with the amounts computed by
-- PostgreSQL. The first statement only selects a trader.
\set n random(1, 9000000000000000000)
\set trader random(1, :traders)
SELECT user_id, trading_id, stock_id, currency_id FROM bench_traders WHERE number = :trader \gset
BEGIN;
INSERT INTO idempotency_keys AS k (user_id, method, path, key, body_hmac, status, expires_at)
    VALUES (:user_id::uuid, 'POST', '/v1/trading-logs', 'pgbench-' || :n::text, decode(repeat('ab', 32), 'hex'), 200, now() + make_interval(hours => 24))
    ON CONFLICT (user_id, method, path, key) DO UPDATE SET body_hmac = excluded.body_hmac, status = excluded.status,
    body = NULL, expires_at = excluded.expires_at, created_at = excluded.created_at WHERE k.expires_at <= now();
SELECT EXISTS (SELECT FROM tradings WHERE id = :trading_id::uuid AND user_id = :user_id::uuid AND status IN ('active', 'paused')),
    (SELECT count(*) FROM sub_accounts WHERE id = ANY(ARRAY[:stock_id::uuid, :currency_id::uuid]) AND user_id = :user_id::uuid AND deleted_at IS NULL);
SELECT o.id, o.ordinal, o.trading_id, o.symbol, o.order_id, o.side, o.type, o.amount, o.price, o.filled, o.quote_filled, o.fees, o.fills,
    o.status, o.accounts, o.last_lock, o.last_lock_account, o.first_event_time, o.last_event_time
    FROM orders o JOIN UNNEST(ARRAY[:trading_id::uuid], ARRAY[:n::text]) AS w (trading_id, order_id) USING (trading_id, order_id)
    ORDER BY o.id FOR NO KEY UPDATE OF o;
SELECT max(balance) FILTER (WHERE id = :stock_id::uuid) AS stock, max(sequence) FILTER (WHERE id = :stock_id::uuid) AS stock_sequence,
    max(balance) FILTER (WHERE id = :currency_id::uuid) AS currency, max(sequence) FILTER (WHERE id = :currency_id::uuid) AS currency_sequence
    FROM (SELECT id, user_id, trading_id, symbol, balance, locked, sequence FROM sub_accounts
    WHERE id IN (SELECT UNNEST(ARRAY[:stock_id::uuid, :currency_id::uuid]) UNION SELECT h.sub_account_id FROM holds h
        JOIN UNNEST(ARRAY[:trading_id::uuid], ARRAY[:n::text]) AS o (trading_id, order_id) USING (trading_id, order_id))
    AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE) AS locked \gset
SELECT h.sub_account_id, h.order_id, h.symbol, h.amount, h.expires_at FROM holds h
    JOIN UNNEST(ARRAY[:trading_id::uuid], ARRAY[:n::text]) AS o (trading_id, order_id) USING (trading_id, order_id)
    UNION ALL SELECT h.sub_account_id, h.order_id, h.symbol, h.amount, h.expires_at FROM holds h
    WHERE h.sub_account_id = ANY('{}'::uuid[]) AND h.order_id = '';
SELECT max(now) AS at, gen_random_uuid() AS log FROM (
    SELECT id, NULL::uuid AS owner, status, NULL::timestamptz AS now FROM users WHERE id = ANY(ARRAY[:user_id::uuid])
    UNION ALL SELECT id, user_id, status, NULL FROM tradings WHERE id = ANY(ARRAY[:trading_id::uuid])
    UNION ALL SELECT NULL, NULL, NULL, clock_timestamp()) AS parties \gset
INSERT INTO transactions (timestamp, id, user_id, trading_id, sub_account_id, event_time, direction, reason, amount,
    closing_balance, price, quote_symbol, fee, order_id, sequence, event_id, trading_log_id, info)
    SELECT :at::timestamptz, * FROM UNNEST(ARRAY[gen_random_uuid(), gen_random_uuid()], ARRAY[:user_id::uuid, :user_id::uuid],
    ARRAY[:trading_id::uuid, :trading_id::uuid], ARRAY[:stock_id::uuid, :currency_id::uuid], ARRAY[:at::timestamptz, :at::timestamptz],
    '{credit,debit}'::text[], '{long,long}'::text[], '{0.01,0.000101}'::numeric[],
    ARRAY[:stock::numeric + 0.01, :currency::numeric - 0.000101], '{0.01,0.01}'::numeric[], '{BTC,BTC}'::text[], '{NULL,0.000001}'::numeric[],
    ARRAY[:n::text, :n::text], ARRAY[:stock_sequence::bigint + 1, :currency_sequence::bigint + 1], '{NULL,NULL}'::text[],
    ARRAY[:log::uuid, :log::uuid], array_fill(jsonb_build_object('fee', '0.000001', 'price', '0.01', 'stock', 'ETH', 'volume',
    '0.01', 'currency', 'BTC', 'order_id', :n::text, 'stock_account_id', :stock_id::uuid, 'currency_account_id', :currency_id::uuid), '{2}'));
INSERT INTO trading_logs (timestamp, id, user_id, trading_id, sub_account_id, transaction_id, postings, event_time, type,
    source, order_id, event_id, message, info, drift)
    SELECT :at::timestamptz, t.id, t.user_id, t.trading_id, t.sub_account_id, t.transaction_id, t.postings, t.event_time, t.type,
    t.source, t.order_id, t.event_id, t.message, t.info, t.drift::text[]
    FROM UNNEST(ARRAY[:log::uuid], ARRAY[:user_id::uuid], ARRAY[:trading_id::uuid], '{NULL}'::uuid[],
    '{NULL}'::uuid[], '{2}'::smallint[], ARRAY[:at::timestamptz], '{pgbench}'::text[], '{bot}'::text[], ARRAY[:n::text],
    '{NULL}'::text[], '{bought}'::text[], ARRAY[jsonb_build_object('fee', '0.000001', 'price', '0.01', 'stock', 'ETH', 'volume',
    '0.01', 'currency', 'BTC', 'order_id', :n::text, 'stock_account_id', :stock_id::uuid, 'currency_account_id', :currency_id::uuid)],
    '{NULL}'::text[]) AS t (id, user_id, trading_id, sub_account_id, transaction_id, postings, event_time, type, source, order_id,
    event_id, message, info, drift);
UPDATE sub_accounts a SET balance = n.balance, locked = n.locked, sequence = n.sequence, updated_at = :at::timestamptz
    FROM UNNEST(ARRAY[:stock_id::uuid, :currency_id::uuid], ARRAY[:stock::numeric + 0.01, :currency::numeric - 0.000101], '{0,0}'::numeric[],
    ARRAY[:stock_sequence::bigint + 1, :currency_sequence::bigint + 1]) AS n (id, balance, locked, sequence) WHERE a.id = n.id;
INSERT INTO orders (created_at, updated_at, id, user_id, trading_id, symbol, order_id, side, type, amount, price, filled,
    quote_filled, fees, fills, status, accounts, last_lock, last_lock_account, first_event_time, last_event_time,
    ordinal)
    SELECT :at::timestamptz, :at::timestamptz, t.id, t.user_id, t.trading_id, t.symbol, t.order_id, t.side, t.type, t.amount,
    t.price, t.filled, t.quote_filled, t.fees, t.fills, t.status, t.accounts::uuid[], t.last_lock, t.last_lock_account,
    t.first_event_time, t.last_event_time, t.ordinal
    FROM UNNEST(ARRAY[gen_random_uuid()], ARRAY[:user_id::uuid], ARRAY[:trading_id::uuid], '{ETH/BTC}'::text[], ARRAY[:n::text],
    '{buy}'::text[], '{NULL}'::text[], '{NULL}'::numeric[], '{NULL}'::numeric[], '{0.01}'::numeric[], '{0.0001}'::numeric[],
    ARRAY['{"BTC": "0.000001"}'::jsonb], '{1}'::int[], '{partially_filled}'::text[],
    ARRAY['{' || :stock_id::text || ',' || :currency_id::text || '}'], '{NULL}'::numeric[], '{NULL}'::uuid[],
    ARRAY[:at::timestamptz], ARRAY[:at::timestamptz], '{0}'::int[]) AS t (id, user_id, trading_id, symbol, order_id, side, type, amount, price,
    filled, quote_filled, fees, fills, status, accounts, last_lock, last_lock_account, first_event_time, last_event_time,
    ordinal) ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at, symbol = excluded.symbol, side = excluded.side,
    type = excluded.type, amount = excluded.amount, price = excluded.price, filled = excluded.filled,
    quote_filled = excluded.quote_filled, fees = excluded.fees, fills = excluded.fills, status = excluded.status,
    accounts = excluded.accounts, last_lock = excluded.last_lock, last_lock_account = excluded.last_lock_account,
    first_event_time = excluded.first_event_time, last_event_time = excluded.last_event_time;
SELECT a.* FROM sub_accounts a JOIN UNNEST(ARRAY[:stock_id::uuid, :currency_id::uuid]) WITH ORDINALITY AS w (id, at) USING (id) ORDER BY at;
WITH kept AS (UPDATE idempotency_keys SET status = 201, body = repeat(:log::text, 38)
    WHERE user_id = :user_id::uuid AND method = 'POST' AND path = '/v1/trading-logs' AND key = 'pgbench-' || :n::text)
    SELECT assert_fresh(:at::timestamptz);
COMMIT;
