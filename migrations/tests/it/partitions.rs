//! Tests of native monthly partitions.

use crate::book::{count, run, text, try_run, value};
use tiris_testing::TestDatabase;

async fn native() -> TestDatabase {
    TestDatabase::native().await.expect("a database")
}

#[tokio::test]
async fn partitions_reach_three_months_ahead() {
    let database = native().await;

    let partitions = "pg_inherits WHERE inhparent = 'transactions'::regclass";
    let count = count(&database, partitions).await;

    assert!(count >= 4, "{count}");
}

#[tokio::test]
async fn partitions_are_created_once() {
    let database = native().await;
    let make = "SELECT ensure_partitions(now() - interval '1 month', 6)";

    tokio::join!(
        run(&database, make),
        run(&database, make),
        run(&database, make)
    );

    let partitions = "pg_inherits WHERE inhparent = 'transactions'::regclass";
    assert_eq!(count(&database, partitions).await, 8);
    assert_eq!(value::<i32>(&database, make).await, 0);
}

#[tokio::test]
async fn months_begin_at_midnight_utc_in_any_session() {
    let database = native().await;

    let make =
        "SET timezone = 'Pacific/Auckland'; SELECT ensure_partitions('2020-12-31T12:00Z', 0)";
    run(&database, make).await;

    let made = "SELECT string_agg(c.relname, ' ' ORDER BY c.relname) FROM pg_class c
        WHERE c.relname IN ('transactions_2020_12', 'transactions_2020_11', 'transactions_2021_01')";
    assert_eq!(
        text(&database, made).await,
        "transactions_2020_12 transactions_2021_01"
    );
    let bounds = "SELECT bounds[1]::timestamptz = '2020-12-01T00:00Z' AND bounds[2]::timestamptz = '2021-01-01T00:00Z'
        FROM pg_class, regexp_match(pg_get_expr(relpartbound, oid), '\\(''(.*)''\\) TO \\(''(.*)''\\)') bounds
        WHERE relname = 'transactions_2020_12'";
    assert!(value::<bool>(&database, bounds).await);
}

#[tokio::test]
async fn creating_partitions_does_not_wait_for_writers() {
    let database = native().await;
    let mut busy = database.pool().begin().await.expect("begin");
    sqlx::query("LOCK TABLE transactions IN ROW EXCLUSIVE MODE")
        .execute(&mut *busy)
        .await
        .expect("lock");

    let made = try_run(
        &database,
        "SET lock_timeout = '2s'; SELECT ensure_partitions(now(), 9)",
    )
    .await;

    made.expect("created during a write");
}

#[tokio::test]
async fn a_ledger_transaction_older_than_ten_seconds_must_retry() {
    let database = TestDatabase::new().await.expect("a database");
    let fresh = "SELECT assert_fresh(clock_timestamp() - interval '9 seconds')";
    let stale = "SELECT assert_fresh(clock_timestamp() - interval '11 seconds')";

    run(&database, fresh).await;
    let error = try_run(&database, stale).await.expect_err("stale");

    let error = error.as_database_error().expect("of the database");
    assert_eq!(error.code().as_deref(), Some("40001"));
}
