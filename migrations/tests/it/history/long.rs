//! A long history, and queries that return all of it.

use crate::book::{fill, run};
use tiris_testing::TestDatabase;

/// 4000 postings on two accounts over 60 days. Sequences increase with time, except within a timestamp.
pub(super) const POSTINGS: &str = "
    INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, reason, amount,
        closing_balance, sequence, trading_log_id)
    SELECT ('20000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid,
           date_trunc('hour', now(), 'UTC') - interval '60 days' + (n / 2) * interval '43 minutes', id(1), id(11),
           CASE n % 3 WHEN 0 THEN id(111)::uuid ELSE id(112)::uuid END, now(),
           CASE n % 5 WHEN 0 THEN 'debit' ELSE 'credit' END, 'x', n / 7.0 + 1, n * 1.5, 10000 + n, gen_random_uuid()
    FROM generate_series(1, 4000) n;";

/// The history of both accounts in hours and days, over a range that starts and ends within a unit.
pub(super) const ANSWERS: &str = "
    SELECT string_agg(format('%s %s %s', account, unit, h), E'\\n' ORDER BY account, unit, h.bucket)
    FROM (VALUES ('00000000-0000-7000-8000-000000000111'::uuid), ('00000000-0000-7000-8000-000000000112'::uuid)) a (account),
        (VALUES ('hour'), ('day')) u (unit),
        account_history(account, now() - interval '50 days 7 minutes', now() - interval '2 hours', unit) h";

pub(super) const VIEWS: &str = "
    SELECT string_agg(row::text, E'\\n' ORDER BY row::text)
    FROM (SELECT 'h', h.* FROM account_hourly h UNION ALL SELECT 'd', d.* FROM account_daily d) row";

pub(super) const ROWS: &str = "
    SELECT md5(string_agg(row, E'\\n' ORDER BY row)) FROM (
        SELECT t::text FROM transactions t UNION ALL SELECT l::text FROM trading_logs l
        UNION ALL SELECT a::text FROM audit_logs a) rows (row)";

pub(super) async fn fill_long(database: &TestDatabase) {
    let partitions =
        "SET ROLE tiris_owner; SELECT ensure_partitions(now() - interval '3 months', 3)";
    run(database, partitions).await;
    fill(database, "now()").await;
    run(database, POSTINGS).await;
}

pub(super) async fn long_history() -> TestDatabase {
    let database = TestDatabase::native().await.expect("a database");
    fill_long(&database).await;
    database
}
