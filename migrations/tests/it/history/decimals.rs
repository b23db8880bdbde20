//! Tests of the change to eighteen decimal places, on filled tables in both kinds of storage.

use super::long::{ANSWERS, fill_long};
use crate::book::{count, run, spoil, text, try_run};
use crate::migrate::{SCHEMA, down_past};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tiris_migrations::{down, up};
use tiris_testing::TestDatabase;

const MIGRATION: &str = "m0010_eighteen_decimals";

const PARTITIONS: &str =
    "SET ROLE tiris_owner; SELECT ensure_partitions(now() - interval '3 months', 3)";

/// All money, whatever number of places it is printed with.
const MONEY: &str = "
    SELECT md5(string_agg(row, E'\\n' ORDER BY row)) FROM (
        SELECT format('%s %s %s %s %s %s', id, sequence, trim_scale(amount), trim_scale(closing_balance), trim_scale(price),
            trim_scale(fee)) FROM transactions
        UNION ALL SELECT format('%s %s %s', id, trim_scale(balance), trim_scale(locked)) FROM sub_accounts
        UNION ALL SELECT format('%s %s %s', sub_account_id, order_id, trim_scale(amount)) FROM holds) rows (row)";

const COMPRESS: &str = "SELECT compress_chunk(c) FROM show_chunks('transactions', older_than => now() - interval '14 days') c";

const COMPRESSED: &str =
    "timescaledb_information.chunks WHERE hypertable_name = 'transactions' AND is_compressed";

/// A posting that needs all places.
const FINE: &str = "
    INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, reason, amount,
        closing_balance, price, sequence, trading_log_id)
    VALUES (id(77), now(), id(1), id(11), id(112), now(), 'credit', 'x', 0.000000000000000001,
        99999999999999999999.999999999999999999, 4e-30, 1000000, id(1))";

/// Returns the number of compressed chunks.
async fn compressed(database: &TestDatabase, kind: &str) -> i64 {
    match kind {
        "timescale" => count(database, COMPRESSED).await,
        _ => 0,
    }
}

/// Returns the schema without the chunks of TimescaleDB, of which rows add more.
async fn schema(database: &TestDatabase) -> Vec<String> {
    let schema = text(database, SCHEMA).await;
    let lines = schema
        .lines()
        .filter(|line| !line.contains("_timescaledb_"));
    lines.map(str::to_owned).collect()
}

#[tokio::test]
async fn filled_tables_get_eighteen_places_and_lose_nothing() {
    for database in TestDatabase::of_each_kind().await.expect("databases") {
        let url = database.url();
        let kind = database.history_kind().await.expect("a kind");
        run(&database, PARTITIONS).await;
        let schema = schema(&database).await;
        down_past(url, MIGRATION).await;
        fill_long(&database).await;
        if kind == "timescale" {
            run(&database, COMPRESS).await;
        }
        let money = text(&database, MONEY).await;
        let answers = text(&database, ANSWERS).await;
        let chunks = compressed(&database, &kind).await;

        up(url).await.expect("up");

        assert_eq!(text(&database, MONEY).await, money, "{kind}");
        assert_eq!(self::schema(&database).await, schema, "{kind}");
        assert_eq!(compressed(&database, &kind).await, chunks, "{kind}");
        assert_eq!(kind == "timescale", chunks > 0, "{kind}");
        run(&database, FINE).await;
        assert_ne!(text(&database, ANSWERS).await, answers, "{kind}");
    }
}

#[tokio::test]
async fn reverting_refuses_to_round_and_otherwise_loses_nothing() {
    for database in TestDatabase::of_each_kind().await.expect("databases") {
        let url = database.url();
        down_past(url, MIGRATION).await;
        fill_long(&database).await;
        let money = text(&database, MONEY).await;
        up(url).await.expect("up");
        run(&database, FINE).await;

        let error = down(url, None).await.expect_err("a fine amount");
        let words = tiris_migrations::words(&error);
        assert!(words.contains("more than 12 decimal places"), "{words}");

        spoil(&database, "DELETE FROM transactions WHERE id = id(77)").await;
        up(url).await.expect("up again");
        down_past(url, MIGRATION).await;
        assert_eq!(text(&database, MONEY).await, money);
    }
}

#[tokio::test]
async fn a_price_is_never_infinite() {
    for database in TestDatabase::of_each_kind().await.expect("databases") {
        run(&database, PARTITIONS).await;
        for price in ["'Infinity'", "'-Infinity'", "'NaN'"] {
            let insert = FINE.replace("4e-30", price);

            let outcome = try_run(&database, &insert).await;

            outcome.expect_err("a finite price");
        }
    }
}

#[tokio::test]
async fn a_rewrite_names_the_services_that_run() {
    let database = TestDatabase::native().await.expect("a database");
    down_past(database.url(), MIGRATION).await;
    fill_long(&database).await;
    let options: PgConnectOptions = database.url().parse().expect("a URL");
    let service = options.application_name("tiris-ingest").connect().await;
    let service = service.expect("a connection");

    let error = up(database.url()).await.expect_err("a service runs");

    let words = tiris_migrations::words(&error);
    assert!(words.contains("connected: tiris-ingest"), "{words}");
    assert!(
        !words.contains("at line"),
        "of PostgreSQL's source: {words}"
    );
    service.close().await.expect("closed");
}
