//! Tests of the history in both kinds of storage, and of the conversion between them.

mod chunks;
mod conversion;
mod decimals;
mod long;

use self::long::{ANSWERS, VIEWS, long_history};
use crate::book::{self, count, run, text, timescale, try_run};
use sqlx::Row;
use tiris_migrations::{HistoryKind, convert_history};
use tiris_testing::TestDatabase;

/// Converts the history; returns whether it changed.
pub(crate) async fn convert(database: &TestDatabase, kind: HistoryKind) -> bool {
    convert_history(database.url(), kind)
        .await
        .expect("converted")
}

/// Books a posting on account 112 whose closing balance is its sequence.
async fn book(database: &TestDatabase, at: &str, signed: &str, sequence: i64) {
    let (direction, amount) = match signed.strip_prefix('-') {
        Some(amount) => ("debit", amount),
        None => ("credit", signed),
    };
    let insert = format!(
        "INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction,
             reason, amount, closing_balance, sequence, trading_log_id)
         VALUES (gen_random_uuid(), '{at}', id(1), id(11), id(112), now(), '{direction}', 'x', {amount},
             {sequence}, {sequence}, id(1))"
    );
    run(database, &insert).await;
}

/// Returns the history of account 112, one line per unit.
async fn units(database: &TestDatabase, unit: &str) -> Vec<String> {
    let rows = sqlx::query(
        "SELECT format('%s +%s -%s %s %s %s', to_char(bucket AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'),
             trim_scale(credits), trim_scale(debits), postings, trim_scale(last_balance), last_sequence) AS line
         FROM account_history($1::uuid, '2026-01-10T22:10Z', '2026-01-11T00:00:01Z', $2)",
    )
    .bind(book::id(112))
    .bind(unit)
    .fetch_all(database.pool())
    .await
    .expect("a history");
    rows.iter().map(|row| row.get("line")).collect()
}

#[tokio::test]
async fn the_history_of_an_account_sums_its_postings() {
    for database in TestDatabase::of_each_kind().await.expect("databases") {
        run(&database, "SELECT ensure_partitions('2026-01-01Z', 3)").await;
        // The last posting of an hour by sequence is not the last by time.
        book(&database, "2026-01-10T22:59:59.999999Z", "5", 1).await;
        book(&database, "2026-01-10T23:00:00Z", "-1.5", 3).await;
        book(&database, "2026-01-10T23:30:00Z", "0.25", 2).await;
        book(&database, "2026-01-11T00:00:00Z", "0.000000000001", 4).await;

        let kind = database.history_kind().await.expect("a kind");
        let hours = [
            "2026-01-10 22:00 +5 -0 1 1 1",
            "2026-01-10 23:00 +0.25 -1.5 2 3 3",
            "2026-01-11 00:00 +0.000000000001 -0 1 4 4",
        ];
        assert_eq!(units(&database, "hour").await, hours, "{kind}");
        let days = [
            "2026-01-10 00:00 +5.25 -1.5 3 3 3",
            "2026-01-11 00:00 +0.000000000001 -0 1 4 4",
        ];
        assert_eq!(units(&database, "day").await, days, "{kind}");
    }
}

#[tokio::test]
async fn rejects_a_history_in_an_unknown_unit() {
    for database in TestDatabase::of_each_kind().await.expect("databases") {
        let weeks = "SELECT account_history(id(112)::uuid, now(), now(), 'week')";

        let error = try_run(&database, weeks).await.expect_err("no such unit");

        assert!(error.to_string().contains("week"), "{error}");
    }
}

/// Refreshes the aggregates like the policy of TimescaleDB.
async fn aggregate(database: &TestDatabase) {
    for view in ["account_hourly", "account_daily"] {
        let refresh =
            format!("CALL refresh_continuous_aggregate('{view}', NULL, now() - interval '1 hour')");
        run(database, &refresh).await;
    }
}

#[tokio::test]
async fn both_kinds_return_the_same_history() {
    let database = long_history().await;
    let answers = text(&database, ANSWERS).await;
    let views = text(&database, VIEWS).await;
    assert!(answers.lines().count() > 500, "{answers}");
    if timescale().await.is_none() {
        return;
    }

    assert!(convert(&database, HistoryKind::Timescale).await);
    assert_eq!(text(&database, ANSWERS).await, answers);
    assert_eq!(text(&database, VIEWS).await, views);

    aggregate(&database).await;
    assert_eq!(text(&database, ANSWERS).await, answers);
    assert_eq!(text(&database, VIEWS).await, views);
}

#[tokio::test]
async fn a_purge_removes_rows_from_the_aggregates() {
    if timescale().await.is_none() {
        return;
    }
    let database = long_history().await;
    convert(&database, HistoryKind::Timescale).await;
    aggregate(&database).await;
    let days = "account_history('00000000-0000-7000-8000-000000000112', now() - interval '90 days', now(), 'day')";
    assert_ne!(count(&database, days).await, 0);

    let purge = "UPDATE tradings SET status = 'deleting' WHERE id = id(11);
        SELECT set_config('tiris.purge_trading_id', id(11), false);
        DELETE FROM transactions WHERE trading_id = id(11)";
    run(&database, purge).await;
    aggregate(&database).await;

    assert_eq!(count(&database, days).await, 0);
}
