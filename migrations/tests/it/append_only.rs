//! Tests that the books are append-only, except for a purge.

use crate::book::{count, fill, filled, run, text, timescale, try_run, value};
use tiris_testing::TestDatabase;

const APPEND_ONLY: &str = "23001";
const CHECK: &str = "23514";
const PURGE: &str = "UPDATE tradings SET status = 'deleting' WHERE id = id(11);
    SELECT set_config('tiris.purge_trading_id', id(11), false);";

/// Asserts that the database rejects a statement with a code.
async fn rejects(database: &TestDatabase, sql: &str, expected: &str) {
    let error = try_run(database, sql).await.expect_err(sql);
    let error = error.as_database_error().expect(sql);
    assert_eq!(error.code().as_deref(), Some(expected), "{sql}: {error}");
}

/// Asserts that rows of a table cannot be updated or deleted.
async fn keeps_rows(database: &TestDatabase, table: &str) {
    let update = format!("UPDATE {table} SET info = '{{}}'");
    rejects(database, &update, APPEND_ONLY).await;
    rejects(database, &format!("DELETE FROM {table}"), APPEND_ONLY).await;
}

async fn is_not_truncated(database: &TestDatabase, table: &str) {
    let truncate = format!("TRUNCATE {table}");
    rejects(database, &truncate, APPEND_ONLY).await;
    rejects(database, &format!("{truncate} CASCADE"), APPEND_ONLY).await;
}

#[tokio::test]
async fn postings_and_audit_rows_cannot_be_changed() {
    for database in TestDatabase::of_each_kind().await.expect("databases") {
        fill(&database, "now()").await;

        for table in ["transactions", "audit_logs"] {
            keeps_rows(&database, table).await;
            is_not_truncated(&database, table).await;
        }

        assert_eq!(count(&database, "transactions").await, 4);
    }
}

/// Except TRUNCATE of a TimescaleDB chunk.
#[tokio::test]
async fn a_partition_is_guarded_like_its_table() {
    for database in TestDatabase::of_each_kind().await.expect("databases") {
        fill(&database, "now()").await;
        let is_native = database.history_kind().await.expect("a kind") == "native";

        for table in ["transactions", "audit_logs"] {
            let partition = format!("SELECT tableoid::regclass::text FROM {table} LIMIT 1");
            let partition = text(&database, &partition).await;
            keeps_rows(&database, &partition).await;
            if is_native {
                is_not_truncated(&database, &partition).await;
            }
        }

        assert_eq!(count(&database, "transactions").await, 4);
    }
}

#[tokio::test]
async fn every_native_partition_has_a_truncate_trigger() {
    let database = TestDatabase::native().await.expect("a database");
    let partitions = "SELECT ensure_partitions(now() - interval '2 months', 5)";
    run(&database, partitions).await;

    let unguarded: i64 = value(
        &database,
        "SELECT count(*) FROM pg_inherits i
         WHERE i.inhparent IN ('transactions'::regclass, 'audit_logs'::regclass) AND NOT EXISTS (
             SELECT FROM pg_trigger t WHERE t.tgrelid = i.inhrelid AND t.tgtype & 32 = 32 AND t.tgenabled = 'O')",
    )
    .await;

    assert_eq!(unguarded, 0);
}

/// Purges the paper trading.
async fn purge(database: &TestDatabase) {
    let purge = format!("{PURGE} DELETE FROM transactions WHERE trading_id = id(11)");
    run(database, &purge).await;
}

#[tokio::test]
async fn compressed_chunks_are_guarded_and_can_be_purged() {
    let Some(database) = timescale().await else {
        return;
    };
    fill(&database, "now() - interval '2 months'").await;
    let compress = "SELECT compress_chunk(c) FROM show_chunks('transactions') c; SELECT compress_chunk(c) FROM show_chunks('audit_logs') c";
    run(&database, compress).await;

    for table in ["transactions", "audit_logs"] {
        keeps_rows(&database, table).await;
        is_not_truncated(&database, table).await;
    }

    purge(&database).await;
    assert_eq!(count(&database, "transactions").await, 1);
}

#[tokio::test]
async fn a_purge_deletes_postings_of_its_trading_only() {
    let database = filled().await;

    purge(&database).await;

    assert_eq!(count(&database, "transactions").await, 1);
    let other = format!("{PURGE} DELETE FROM transactions WHERE trading_id = id(21)");
    rejects(&database, &other, APPEND_ONLY).await;
}

#[tokio::test]
async fn the_purge_setting_allows_nothing_but_the_purge() {
    let database = filled().await;
    let update = format!("{PURGE} UPDATE transactions SET amount = 1 WHERE trading_id = id(11)");
    let truncate = format!("{PURGE} TRUNCATE transactions");
    let living = "SELECT set_config('tiris.purge_trading_id', id(11), false);
        DELETE FROM transactions WHERE trading_id = id(11)";
    let real = "UPDATE tradings SET status = 'deleting' WHERE id = id(21);
        SELECT set_config('tiris.purge_trading_id', id(21), false);
        DELETE FROM transactions WHERE trading_id = id(21)";

    for sql in [&update, &truncate, living, real] {
        rejects(&database, sql, APPEND_ONLY).await;
    }
}

#[tokio::test]
async fn rejects_amounts_that_are_not_a_number() {
    let database = filled().await;
    for sql in [
        "UPDATE sub_accounts SET balance = 'NaN' WHERE id = id(111)",
        "UPDATE sub_accounts SET locked = 'NaN' WHERE id = id(111)",
        "UPDATE holds SET amount = 'NaN'",
        "INSERT INTO transactions SELECT id(9), timestamp, user_id, trading_id, sub_account_id, event_time, direction,
            reason, 'NaN', 1, price, quote_symbol, order_id, 9, event_id, trading_log_id FROM transactions LIMIT 1",
    ] {
        rejects(&database, sql, CHECK).await;
    }
}
