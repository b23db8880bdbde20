//! Native monthly partitions.

use crate::book::{run, value};
use tiris_testing::TestDatabase;

#[tokio::test]
async fn partitions_reach_from_this_month_three_months_ahead_and_are_made_once() {
    let database = TestDatabase::native().await.expect("a database");
    let count = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'transactions'::regclass";
    let before: i64 = value(&database, count).await;
    assert!(before >= 4, "{before}");
    let url = database.url();
    let more = "SELECT ensure_partitions(now() - interval '1 month', 6)";
    let outcomes = tokio::join!(
        run(url, more, false),
        run(url, more, false),
        run(url, more, false)
    );
    for outcome in [outcomes.0, outcomes.1, outcomes.2] {
        outcome.expect("safe at once");
    }
    assert_eq!(value::<i64>(&database, count).await, 8);
    assert_eq!(
        value::<i32>(
            &database,
            "SELECT ensure_partitions(now() - interval '1 month', 6)"
        )
        .await,
        0
    );
}

#[tokio::test]
async fn months_begin_at_midnight_utc_whatever_the_session_thinks() {
    let database = TestDatabase::native().await.expect("a database");
    let sql = "SET timezone = 'Pacific/Auckland'; SELECT ensure_partitions('2020-12-31T12:00Z', 0)";
    run(database.url(), sql, false).await.expect("made");
    let first: String = value(
        &database,
        "SELECT string_agg(c.relname, ' ' ORDER BY c.relname) FROM pg_class c
         WHERE c.relname IN ('transactions_2020_12', 'transactions_2020_11', 'transactions_2021_01')",
    )
    .await;
    assert_eq!(first, "transactions_2020_12 transactions_2021_01");
    let bound: bool = value(
        &database,
        "SELECT bounds[1]::timestamptz = '2020-12-01T00:00Z' AND bounds[2]::timestamptz = '2021-01-01T00:00Z'
         FROM pg_class, regexp_match(pg_get_expr(relpartbound, oid), '\\(''(.*)''\\) TO \\(''(.*)''\\)') bounds
         WHERE relname = 'transactions_2020_12'",
    )
    .await;
    assert!(bound);
}

#[tokio::test]
async fn making_partitions_does_not_wait_for_readers_and_writers() {
    let database = TestDatabase::native().await.expect("a database");
    let mut busy = database.pool().begin().await.expect("begin");
    sqlx::query("LOCK TABLE transactions IN ROW EXCLUSIVE MODE")
        .execute(&mut *busy)
        .await
        .expect("lock");
    let sql = "SET lock_timeout = '2s'; SELECT ensure_partitions(now(), 9)";
    run(database.url(), sql, false)
        .await
        .expect("made while a writer is at work");
}

#[tokio::test]
async fn a_ledger_transaction_older_than_ten_seconds_is_made_to_try_again() {
    let database = TestDatabase::new().await.expect("a database");
    run(
        database.url(),
        "SELECT assert_fresh(clock_timestamp() - interval '9 seconds')",
        false,
    )
    .await
    .expect("fresh");
    let error = run(
        database.url(),
        "SELECT assert_fresh(clock_timestamp() - interval '11 seconds')",
        false,
    )
    .await;
    let error = error.expect_err("stale");
    assert_eq!(
        error
            .as_database_error()
            .and_then(|error| error.code())
            .as_deref(),
        Some("40001")
    );
}
