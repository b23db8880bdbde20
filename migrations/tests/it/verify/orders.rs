//! Tests of the check of orders.

use super::{finds, finds_all};
use crate::book::{filled, id, spoil, verify};
use tiris_migrations::Kind;

/// Makes log 2 the fill of order 5, beside order 6 of the hold `o1`. A fee in the base asset and an older fill with
/// the same order id do not count.
const ORDERS: &str = "
    UPDATE transactions SET order_id = 'o2', quote_symbol = 'BTC', price = 20 WHERE id IN (id(2), id(3));
    INSERT INTO orders (id, user_id, trading_id, symbol, order_id, ordinal, side, amount, filled, quote_filled, fills, status,
        first_event_time, last_event_time, created_at, updated_at)
    SELECT id(5), id(1), id(11), 'ETH/BTC', 'o2', 0, 'buy', 2, 2, 40, 1, 'filled', timestamp, timestamp, timestamp, timestamp
    FROM transactions WHERE id = id(2);";

#[tokio::test]
async fn valid_orders_are_clean_and_counted() {
    let database = filled().await;
    spoil(&database, ORDERS).await;

    let report = verify(&database).await;

    assert!(report.is_clean(), "{report}");
    assert_eq!(report.orders, 2, "{report}");
}

async fn finds_in_orders(sql: &str, kind: Kind, rows: &[u32]) {
    finds(&format!("{ORDERS} {sql}"), kind, rows).await;
}

#[tokio::test]
async fn finds_an_order_whose_columns_contradict_each_other() {
    for sql in [
        "UPDATE orders SET fills = 0 WHERE id = id(5)",
        "UPDATE orders SET status = 'open' WHERE id = id(5)",
        "UPDATE orders SET status = 'partially_filled' WHERE id = id(5)",
        "UPDATE orders SET status = 'unknown' WHERE id = id(5)",
        "UPDATE orders SET side = NULL WHERE id = id(5)",
    ] {
        let database = filled().await;
        spoil(&database, &format!("{ORDERS} {sql}")).await;

        let report = verify(&database).await;

        let tally = &report.violations[&Kind::OrderState];
        assert_eq!(tally.count, 1, "{sql}: {report}");
        assert!(tally.examples[0].contains(&id(5)), "{sql}: {report}");
    }

    let paid = "UPDATE orders SET quote_filled = 1 WHERE id = id(6)";
    finds_in_orders(paid, Kind::OrderState, &[6]).await;
}

#[tokio::test]
async fn an_order_reported_as_filled_may_lack_a_part() {
    let database = filled().await;
    let short = "UPDATE orders SET amount = 3 WHERE id = id(5)";
    spoil(&database, &format!("{ORDERS} {short}")).await;

    let report = verify(&database).await;

    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn an_order_may_report_another_side_than_its_fill() {
    let database = filled().await;
    let sold = "UPDATE orders SET side = 'sell' WHERE id = id(5)";
    spoil(&database, &format!("{ORDERS} {sold}")).await;

    let report = verify(&database).await;

    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn a_fill_of_no_volume_may_have_a_fee() {
    let database = filled().await;
    let charged = "INSERT INTO orders (id, user_id, trading_id, symbol, order_id, ordinal, side, fees, status, first_event_time,
            last_event_time, created_at, updated_at)
        SELECT id(7), user_id, trading_id, symbol, 'o7', 0, side, '{\"BTC\": \"1\"}', 'open', created_at, created_at,
            created_at, created_at
        FROM orders WHERE id = id(5)";
    spoil(&database, &format!("{ORDERS} {charged}")).await;

    let report = verify(&database).await;

    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn finds_a_hold_of_an_order_that_has_ended() {
    for status in ["cancelled", "failed", "filled"] {
        let ended = format!("UPDATE orders SET status = '{status}' WHERE id = id(6)");
        finds_in_orders(&ended, Kind::OrderHold, &[112]).await;
    }
    let of_pair = "UPDATE orders SET status = 'cancelled', symbol = 'ETH/BTC' WHERE id = id(6);
        UPDATE holds SET symbol = 'ETH/BTC' WHERE order_id = 'o1'";
    finds_in_orders(of_pair, Kind::OrderHold, &[112]).await;
    let missing = "DELETE FROM orders WHERE id = id(6)";
    finds_in_orders(missing, Kind::OrderHold, &[112]).await;
}

#[tokio::test]
async fn finds_an_order_without_a_pair_beside_one_with_a_pair() {
    let beside = "INSERT INTO orders (id, user_id, trading_id, symbol, order_id, ordinal, status, first_event_time,
            last_event_time, created_at, updated_at)
        SELECT id(7), user_id, trading_id, 'ETH/BTC', order_id, 1, 'open', created_at, created_at, created_at, created_at
        FROM orders WHERE id = id(6)";
    finds_in_orders(beside, Kind::OrderState, &[6]).await;
}

#[tokio::test]
async fn finds_a_hold_of_another_trading_than_its_account() {
    let other = "UPDATE holds SET trading_id = id(21) WHERE order_id = ''";
    finds_in_orders(other, Kind::ForeignRow, &[112, 21]).await;
}

#[tokio::test]
async fn a_hold_without_a_pair_may_belong_to_the_open_one_of_two_orders() {
    let database = filled().await;
    let two = "UPDATE orders SET symbol = 'SOL/BTC' WHERE id = id(6);
        INSERT INTO orders (id, user_id, trading_id, symbol, order_id, ordinal, status, first_event_time, last_event_time,
            created_at, updated_at)
        SELECT id(7), user_id, trading_id, 'ETH/BTC', order_id, 1, 'cancelled', created_at, created_at, created_at, created_at
        FROM orders WHERE id = id(6)";
    spoil(&database, &format!("{ORDERS} {two}")).await;

    let report = verify(&database).await;

    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn finds_a_filled_amount_unlike_the_postings() {
    for sql in [
        "UPDATE orders SET filled = 2.000000000000000001 WHERE id = id(5)",
        "UPDATE orders SET symbol = 'ETH/USDT' WHERE id = id(5)",
        "UPDATE transactions SET order_id = 'o9' WHERE id = id(2)",
    ] {
        finds_in_orders(sql, Kind::OrderFilled, &[5]).await;
    }
}

#[tokio::test]
async fn a_fill_before_the_order_was_recorded_does_not_count() {
    let later =
        "UPDATE orders SET created_at = created_at + interval '1 microsecond' WHERE id = id(5)";
    finds_in_orders(later, Kind::OrderFilled, &[5]).await;

    let database = filled().await;
    let none = "UPDATE orders SET filled = 0, quote_filled = 0, fills = 0 WHERE id = id(5)";
    spoil(&database, &format!("{ORDERS} {later}; {none}")).await;

    let report = verify(&database).await;

    assert!(report.is_clean(), "{report}");
}

#[tokio::test]
async fn finds_an_order_of_a_missing_or_foreign_trading() {
    let missing = "UPDATE orders SET trading_id = id(99) WHERE id = id(6)";
    let missing = format!("{ORDERS} {missing}");
    finds_all(&missing, &[Kind::MissingRow, Kind::OrderHold], &[6, 99]).await;
    let foreign = format!("{ORDERS} UPDATE orders SET user_id = id(2) WHERE id = id(6)");
    finds_all(&foreign, &[Kind::ForeignRow], &[6, 11]).await;
}
