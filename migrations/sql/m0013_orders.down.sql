SELECT pg_advisory_xact_lock(hashtext('tiris ensure_partitions'));
DROP INDEX trading_logs_drift;
ALTER TABLE trading_logs DROP COLUMN drift;

-- The holds of an order id on several pairs become one.
WITH named AS (DELETE FROM holds WHERE symbol <> '' RETURNING *)
INSERT INTO holds (sub_account_id, trading_id, order_id, amount, event_id, created_at, updated_at)
SELECT sub_account_id, trading_id, order_id, sum(amount), min(event_id), min(created_at), max(updated_at)
FROM named GROUP BY sub_account_id, trading_id, order_id
ON CONFLICT (sub_account_id, order_id, symbol)
    DO UPDATE SET amount = holds.amount + excluded.amount, updated_at = excluded.updated_at;
DROP INDEX holds_order;
ALTER TABLE holds
    DROP CONSTRAINT holds_pkey,
    DROP COLUMN trading_id,
    DROP COLUMN symbol,
    DROP COLUMN expires_at,
    ADD PRIMARY KEY (sub_account_id, order_id);

DROP TABLE orders;
