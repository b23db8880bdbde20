//! Tests of the migration that introduces orders, on books that exist already.

use crate::book::{count, fill, filled, id, run, text, timescale, value};
use crate::migrate::down_past;
use sqlx::{Connection, PgConnection};
use tiris_migrations::up;
use tiris_testing::TestDatabase;

const NAME: &str = "m0013_orders";

async fn before_orders(database: &TestDatabase) {
    down_past(database.url(), NAME).await;
}

#[tokio::test]
async fn each_held_order_becomes_an_unknown_one() {
    let database = filled().await;
    before_orders(&database).await;
    let second = "INSERT INTO holds (sub_account_id, order_id, amount) VALUES (id(111), 'o1', 1)";
    run(&database, second).await;

    up(database.url()).await.expect("up");

    let order = "SELECT concat_ws(' ', user_id, trading_id, quote_literal(symbol), order_id, status, filled, accounts, \
        substr(id::text, 15, 1)) FROM orders";
    let expected = format!(
        "{} {} '' o1 unknown 0.000000000000000000 {{{},{}}} 7",
        id(1),
        id(11),
        id(111),
        id(112)
    );
    assert_eq!(
        count(&database, "orders").await,
        1,
        "the hold without an order has none"
    );
    assert_eq!(text(&database, order).await, expected);
}

#[tokio::test]
async fn the_holds_of_two_pairs_become_one_again() {
    let database = filled().await;
    let pairs = "INSERT INTO holds (sub_account_id, trading_id, order_id, symbol, amount)
        VALUES (id(112), id(11), 'o1', 'ETH/BTC', 1), (id(112), id(11), 'o1', 'SOL/BTC', 2),
            (id(112), id(11), 'o9', 'SOL/BTC', 3)";
    run(&database, pairs).await;

    before_orders(&database).await;

    let held =
        "SELECT array_agg(order_id || ' ' || trim_scale(amount) ORDER BY order_id) FROM holds";
    let held: Vec<String> = value(&database, held).await;
    assert_eq!(held, [" 0.5", "o1 12.5", "o9 3"]);
}

#[tokio::test]
async fn a_connected_service_prevents_the_change() {
    let database = filled().await;
    before_orders(&database).await;
    let mut service = PgConnection::connect(database.url())
        .await
        .expect("connected");
    sqlx::query("SET application_name = 'tiris-ingest'")
        .execute(&mut service)
        .await
        .expect("named");

    let refused = up(database.url())
        .await
        .expect_err("a service is connected");
    assert!(
        format!("{refused:#}").contains("stop the services first"),
        "{refused:#}"
    );

    service.close().await.expect("closed");
    up(database.url()).await.expect("up");
}

#[tokio::test]
async fn compressed_logs_get_the_column_of_drift() {
    let Some(database) = timescale().await else {
        return;
    };
    fill(&database, "now() - interval '1 month'").await;
    before_orders(&database).await;
    run(
        &database,
        "SELECT compress_chunk(c) FROM show_chunks('trading_logs') c",
    )
    .await;

    up(database.url()).await.expect("up");

    assert_eq!(
        count(&database, "trading_logs WHERE drift IS NULL").await,
        4
    );
    let fresh = "INSERT INTO trading_logs (id, timestamp, user_id, trading_id, event_time, type, source, drift)
        VALUES (id(9), now(), id(1), id(11), now(), 'x', 'bot', '{balance}')";
    run(&database, fresh).await;
    assert_eq!(
        count(&database, "trading_logs WHERE drift @> '{balance}'").await,
        1
    );
    before_orders(&database).await;
    assert_eq!(count(&database, "trading_logs").await, 5);
}
