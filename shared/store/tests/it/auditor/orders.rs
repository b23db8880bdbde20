//! Random events of orders, with and without fills.

use super::cast::{
    BNB, BNB_PAIR, BTC, BTC_PAIR, DELETED_ACCOUNT, ELSEWHERE, FOREIGN, NO_ACCOUNT, USDT, USDT_PAIR,
};
use super::messages::{Own, any_account, any_amount, extend, pick};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Generates the accounts of a fill.
fn any_fill_accounts() -> impl Strategy<Value = Value> {
    let stock = pick(&[(20, BTC), (2, USDT), (1, NO_ACCOUNT)]);
    let currency = pick(&[(20, USDT), (1, BTC), (1, ELSEWHERE)]);
    let payer = pick(&[
        (10, None),
        (3, Some(BNB)),
        (3, Some(BTC)),
        (3, Some(USDT)),
        (1, Some(FOREIGN)),
        (1, Some(DELETED_ACCOUNT)),
    ]);
    (stock, currency, payer).prop_map(|(stock, currency, payer)| {
        json!({"stock_account_id": stock, "currency_account_id": currency, "fee_account_id": payer})
    })
}

/// Generates the amount of a fee or a rebate.
fn any_fee() -> impl Strategy<Value = Value> {
    let rebate = pick(&[(1, "-0.5"), (1, "-1e-18"), (1, "-0.0000000000000000004")]);
    prop_oneof![4 => any_amount(), 1 => rebate.prop_map(Value::from)]
}

/// Generates `fee`, `fees`, both or, rarely, none.
fn any_fees() -> impl Strategy<Value = Value> {
    let single = prop::option::weighted(0.8, any_fee());
    let listed = (any_account(), any_fee())
        .prop_map(|(account, amount)| json!({"account_id": account, "amount": amount}));
    let listed = prop::option::weighted(0.4, prop::collection::vec(listed, 0..5));
    (single, listed).prop_map(|(fee, fees)| json!({"fee": fee, "fees": fees}))
}

/// Generates the amounts and the reason of a fill.
fn any_fill_figures() -> impl Strategy<Value = Value> {
    let quote = prop::option::weighted(0.3, any_amount());
    let reason = pick(&[(1, "stop_loss"), (1, "signal")]);
    (any_amount(), any_amount(), quote, any_fees(), reason).prop_map(
        |(volume, price, quote, fees, reason)| {
            let mut figures =
                json!({"volume": volume, "price": price, "quote_amount": quote, "reason": reason});
            extend(&mut figures, fees);
            figures
        },
    )
}

/// Generates the fields that describe an order.
fn any_order_fields() -> impl Strategy<Value = Value> {
    let id = pick(&[(3, "A"), (3, "B"), (2, "C")]);
    let side = pick(&[(1, "buy"), (1, "sell")]);
    let symbol = pick(&[
        (16, BTC_PAIR),
        (6, BNB_PAIR),
        (3, USDT_PAIR),
        (1, "btc/usdt"),
        (1, "ETH/USDT"),
    ]);
    let large = pick(&[(1, json!("0.5")), (1, json!(5000)), (1, json!("20000.0"))]);
    let amount = prop_oneof![1 => any_amount(), 1 => large];
    let status = pick(&[
        (8, "done"),
        (2, "partially_filled"),
        (1, "filled"),
        (1, "FILLED"),
        (1, "cancelled"),
    ]);

    (id, side, symbol, amount, status).prop_map(|(id, side, symbol, amount, status)| {
        json!({
            "sub_account_id": USDT, "order_id": id, "symbol": symbol, "side": side, "type": "limit",
            "amount": amount, "status": status,
        })
    })
}

pub(super) fn any_order_event() -> impl Strategy<Value = Own> {
    let kind = pick(&[
        (8, "trading.orders.filled"),
        (2, "trading.orders.created"),
        (1, "trading.orders.cancelled"),
        (1, "trading.orders.failed"),
    ]);
    let fill = (any_fill_accounts(), any_fill_figures());
    let switches = (
        prop::bool::weighted(0.9),
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.8),
    );

    (kind, any_order_fields(), fill, switches).prop_map(
        |(kind, mut fields, (mut fill, figures), (settles, is_whole, matches))| {
            fields["price"] = figures["price"].clone();
            if is_whole {
                fields["amount"] = figures["volume"].clone();
            }
            if matches {
                match fields["symbol"].as_str() {
                    Some(BNB_PAIR) => fill["stock_account_id"] = json!(BNB),
                    Some(USDT_PAIR) => fill["stock_account_id"] = json!(USDT),
                    _ => {}
                }
            }
            if settles {
                extend(&mut fill, figures);
                fields["fill"] = fill;
            }
            Own { kind, fields }
        },
    )
}
