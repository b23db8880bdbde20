//! The books refuse every change but one.

use crate::book::{fill, filled, run, value};
use tiris_testing::TestDatabase;

const CODE: &str = "23001";
const PURGE: &str = "UPDATE tradings SET status = 'deleting' WHERE id = id(11);
    SELECT set_config('tiris.purge_trading_id', id(11), false);";
const PARTITION: &str = "SELECT tableoid::regclass::text FROM transactions LIMIT 1";

async fn code_of(url: &str, sql: &str) -> Option<String> {
    let error = run(url, sql, false).await.err()?;
    error
        .as_database_error()
        .and_then(|error| error.code())
        .map(Into::into)
}

/// Databases with the books in them, one for each form of the history.
async fn filled_of_each_kind() -> Vec<(TestDatabase, bool)> {
    let mut databases = Vec::new();
    for database in TestDatabase::of_each_kind().await.expect("databases") {
        fill(database.url(), "now()").await;
        let is_native = database.history_kind().await.expect("a kind") == "native";
        databases.push((database, is_native));
    }
    databases
}

/// Every partition of a table by its own name is guarded as the table is, but for TRUNCATE of a chunk of TimescaleDB.
#[tokio::test]
async fn postings_and_audit_rows_can_neither_be_updated_deleted_nor_truncated() {
    for (database, is_native) in filled_of_each_kind().await {
        let partition: String = value(&database, PARTITION).await;
        let audit: String = value(
            &database,
            "SELECT tableoid::regclass::text FROM audit_logs LIMIT 1",
        )
        .await;
        for (table, is_guarded) in [
            ("transactions", true),
            ("audit_logs", true),
            (&partition, is_native),
            (&audit, is_native),
        ] {
            let mut statements = vec![
                format!("UPDATE {table} SET info = '{{}}'"),
                format!("DELETE FROM {table}"),
            ];
            if is_guarded {
                statements.extend([
                    format!("TRUNCATE {table}"),
                    format!("TRUNCATE {table} CASCADE"),
                ]);
            }
            for sql in statements {
                assert_eq!(
                    code_of(database.url(), &sql).await.as_deref(),
                    Some(CODE),
                    "{sql}"
                );
            }
        }
        assert_eq!(
            value::<i64>(&database, "SELECT count(*) FROM transactions").await,
            4
        );
    }
}

#[tokio::test]
async fn every_native_partition_has_a_truncate_trigger_of_its_own() {
    let database = TestDatabase::native().await.expect("a database");
    run(
        database.url(),
        "SELECT ensure_partitions(now() - interval '2 months', 5)",
        false,
    )
    .await
    .expect("made");
    let unguarded: i64 = value(
        &database,
        "SELECT count(*) FROM pg_inherits i
         WHERE i.inhparent IN ('transactions'::regclass, 'audit_logs'::regclass) AND NOT EXISTS (
             SELECT FROM pg_trigger t WHERE t.tgrelid = i.inhrelid AND t.tgtype & 32 = 32 AND t.tgenabled = 'O')",
    )
    .await;
    assert_eq!(unguarded, 0);
}

#[tokio::test]
async fn what_is_compressed_is_guarded_and_can_be_purged_like_the_rest() {
    let Some(database) = TestDatabase::timescale().await.expect("a database") else {
        return;
    };
    fill(database.url(), "now() - interval '2 months'").await;
    let compress = "SELECT compress_chunk(c) FROM show_chunks('transactions') c; SELECT compress_chunk(c) FROM show_chunks('audit_logs') c";
    run(database.url(), compress, false)
        .await
        .expect("compressed");
    for sql in [
        "UPDATE transactions SET info = '{}'",
        "DELETE FROM transactions",
        "TRUNCATE transactions",
        "UPDATE audit_logs SET info = '{}'",
        "DELETE FROM audit_logs",
        "TRUNCATE audit_logs",
    ] {
        assert_eq!(
            code_of(database.url(), sql).await.as_deref(),
            Some(CODE),
            "{sql}"
        );
    }
    let purge = format!("{PURGE} DELETE FROM transactions WHERE trading_id = id(11)");
    run(database.url(), &purge, false)
        .await
        .expect("the documented purge");
    assert_eq!(
        value::<i64>(&database, "SELECT count(*) FROM transactions").await,
        1
    );
}

#[tokio::test]
async fn the_purge_of_a_deleting_paper_trading_may_delete_its_postings_only() {
    let database = filled().await;
    let purge = format!("{PURGE} DELETE FROM transactions WHERE trading_id = id(11)");
    run(database.url(), &purge, false)
        .await
        .expect("the documented purge");
    assert_eq!(
        value::<i64>(&database, "SELECT count(*) FROM transactions").await,
        1
    );
    let other = format!("{PURGE} DELETE FROM transactions WHERE trading_id = id(21)");
    assert_eq!(code_of(database.url(), &other).await.as_deref(), Some(CODE));
}

#[tokio::test]
async fn the_purge_setting_opens_neither_updates_nor_real_nor_living_tradings() {
    let database = filled().await;
    for sql in [
        format!("{PURGE} UPDATE transactions SET amount = 1 WHERE trading_id = id(11)"),
        format!("{PURGE} TRUNCATE transactions"),
        "SELECT set_config('tiris.purge_trading_id', id(11), false);
         DELETE FROM transactions WHERE trading_id = id(11)"
            .to_owned(),
        "UPDATE tradings SET status = 'deleting' WHERE id = id(21);
         SELECT set_config('tiris.purge_trading_id', id(21), false);
         DELETE FROM transactions WHERE trading_id = id(21)"
            .to_owned(),
    ] {
        assert_eq!(
            code_of(database.url(), &sql).await.as_deref(),
            Some(CODE),
            "{sql}"
        );
    }
}

#[tokio::test]
async fn amounts_that_are_no_number_are_refused() {
    let database = filled().await;
    for sql in [
        "UPDATE sub_accounts SET balance = 'NaN' WHERE id = id(111)",
        "UPDATE sub_accounts SET locked = 'NaN' WHERE id = id(111)",
        "UPDATE holds SET amount = 'NaN'",
        "INSERT INTO transactions SELECT id(9), timestamp, user_id, trading_id, sub_account_id, event_time, direction,
            reason, 'NaN', 1, price, quote_symbol, order_id, 9, event_id, trading_log_id FROM transactions LIMIT 1",
    ] {
        assert_eq!(code_of(database.url(), sql).await.as_deref(), Some("23514"), "{sql}");
    }
}
