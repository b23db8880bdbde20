DROP TABLE audit_logs, trading_logs, transactions;
DROP FUNCTION assert_fresh, ensure_partitions, refuse_change_unless_purged, refuse_change;
