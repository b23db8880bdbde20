//! Tests of TimescaleDB chunks: creation, retention and compression.

use super::convert;
use super::long::fill_long;
use crate::book::{count, run, text, timescale, value};
use futures_util::future::join_all;
use sqlx::AssertSqlSafe;
use tiris_migrations::HistoryKind;
use tiris_testing::{TestDatabase, partitions};

/// Counts the postings in a transaction of its own.
async fn read(database: &TestDatabase) -> i64 {
    let mut transaction = database.pool().begin().await.expect("begin");
    sqlx::query_scalar("SELECT count(*) FROM transactions WHERE amount = 1")
        .fetch_one(&mut *transaction)
        .await
        .expect("a count")
}

#[tokio::test]
async fn converts_and_reads_years_of_history_concurrently() {
    let Some(database) = timescale().await else {
        return;
    };
    let six_years = "SELECT ensure_partitions(now() - interval '6 years', 3)";
    run(&database, six_years).await;
    let weekly = "INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, reason,
            amount, closing_balance, sequence, trading_log_id)
        SELECT gen_random_uuid(), now() - n * interval '1 week', id(1), id(11), id(111), now(), 'credit', 'x', 1, 1, n, id(9)
        FROM generate_series(1, 310) n";
    run(&database, weekly).await;
    let chunks = count(&database, "show_chunks('transactions')").await;
    assert!(chunks > 300, "{chunks}");

    let counts = join_all((0..8).map(|_| read(&database))).await;
    assert_eq!(counts, [310; 8]);

    convert(&database, HistoryKind::Native).await;
    convert(&database, HistoryKind::Timescale).await;
    assert_eq!(read(&database).await, 310);
}

const ENSURE: &str = "SELECT ensure_partitions(now(), 3)";

/// The first row of a week would otherwise create its chunk, and block other sessions until the commit.
#[tokio::test]
async fn the_first_row_of_a_week_blocks_no_other_session() {
    let Some(database) = timescale().await else {
        return;
    };
    let insert = "INSERT INTO trading_logs (id, timestamp, user_id, trading_id, event_time, type, source)
        SELECT gen_random_uuid(), now() + week * interval '7 days', gen_random_uuid(), gen_random_uuid(), now(), 'x', 'bot'
        FROM generate_series(0, 1) week";
    let mut slow = database.pool().begin().await.expect("begin");
    sqlx::query(AssertSqlSafe(insert))
        .execute(&mut *slow)
        .await
        .expect("the first rows");

    run(&database, &format!("SET lock_timeout = '1s'; {insert}")).await;

    slow.commit().await.expect("committed");
}

#[tokio::test]
async fn creates_missing_chunks() {
    let Some(database) = timescale().await else {
        return;
    };
    assert_eq!(value::<i32>(&database, ENSURE).await, 0);

    let drop = "SELECT drop_chunks('audit_logs', newer_than => now())";
    run(&database, drop).await;

    assert_eq!(value::<i32>(&database, ENSURE).await, 1);
}

#[tokio::test]
async fn retention_drops_chunks_with_their_compressed_data() {
    let Some(database) = timescale().await else {
        return;
    };
    fill_long(&database).await;
    let compress = "SELECT compress_chunk(c) FROM show_chunks('transactions', older_than => now() - interval '7 days') c";
    run(&database, compress).await;
    let before = partitions(database.pool()).await.expect("chunks").len();
    let drop = "SELECT drop_partitions('transactions', now() - interval '30 days')";

    let dropped: i32 = value(&database, drop).await;

    assert!((4..=5).contains(&dropped), "{dropped}");
    // Each compressed chunk has two relations.
    let after = partitions(database.pool()).await.expect("chunks");
    let gone = 2 * usize::try_from(dropped).expect("few");
    assert_eq!(after.len() + gone, before);
    let oldest = after
        .values()
        .filter(|one| one.history == "transactions")
        .map(|one| one.from)
        .min();
    let since = "SELECT since FROM history_horizons WHERE history = 'transactions'";
    assert_eq!(oldest, Some(value(&database, since).await));
    assert_eq!(value::<i32>(&database, drop).await, 0);
}

#[tokio::test]
async fn compression_follows_the_configured_age() {
    let Some(database) = timescale().await else {
        return;
    };
    let ages = "SELECT coalesce(string_agg(DISTINCT config ->> 'compress_after', ' '), 'none') || ' ' || count(*)
        FROM timescaledb_information.jobs WHERE proc_name = 'policy_compression'";
    let set = async |age: &str| -> bool {
        value(&database, &format!("SELECT set_compression_age({age})")).await
    };
    assert_eq!(text(&database, ages).await, "30 days 3");

    assert!(set("'45 days'").await);
    assert!(!set("'45 days'").await);
    assert_eq!(text(&database, ages).await, "45 days 3");

    assert!(set("NULL").await);
    assert_eq!(text(&database, ages).await, "none 0");
}
