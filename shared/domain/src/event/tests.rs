//! Tests of the wire format, with a complete example of every kind.

mod accepted;
mod canonical;
mod fees;
mod malformed;
mod subjects;

use super::{BareSubjects, Event, Kind, Malformed, parse};
use serde_json::{Map, Value, json};
use uuid::Uuid;

const USER: Uuid = Uuid::from_u128(0x01900000_0000_7000_8000_00000000abcd);
const TRADING: &str = "01900000-0000-7000-8000-000000000002";
const ACCOUNT: &str = "01900000-0000-7000-8000-000000000003";
const STOCK: &str = "01900000-0000-7000-8000-000000000004";
const FEE: &str = "01900000-0000-7000-8000-000000000005";

/// The required fields of all events; those of a fill have the prefix `fill.`.
const COMMON_REQUIRED: [&str; 7] = [
    "event_id",
    "event_type",
    "timestamp",
    "user_id",
    "trading_id",
    "source",
    "version",
];
const FILL_REQUIRED: [&str; 5] = [
    "fill.stock_account_id",
    "fill.currency_account_id",
    "fill.volume",
    "fill.price",
    "fill.fee",
];

fn required(kind: Kind) -> Vec<&'static str> {
    let own: &[&str] = match kind {
        Kind::OrderCreated | Kind::OrderFilled | Kind::OrderCancelled | Kind::OrderFailed => &[
            "sub_account_id",
            "order_id",
            "symbol",
            "side",
            "type",
            "amount",
            "status",
        ],
        Kind::BalanceUpdated => &["sub_account_id", "symbol", "amount", "direction", "reason"],
        Kind::BalanceLocked | Kind::BalanceUnlocked => &["sub_account_id", "symbol", "amount"],
        Kind::Error => &["error_code", "error_message", "severity", "component"],
        Kind::Signal => &["signal_type", "symbol", "confidence", "strategy"],
        Kind::Heartbeat => &["status", "component"],
    };

    let fill: &[&str] = if kind == Kind::OrderFilled {
        &FILL_REQUIRED
    } else {
        &[]
    };

    [COMMON_REQUIRED.as_slice(), own, fill].concat()
}

fn optional(kind: Kind) -> Vec<&'static str> {
    let own: &[&str] = match kind {
        Kind::OrderFilled => &[
            "price",
            "message",
            "fill",
            "fill.fee_account_id",
            "fill.quote_amount",
            "fill.reason",
        ],
        Kind::OrderCreated | Kind::OrderCancelled | Kind::OrderFailed => &["price", "message"],
        Kind::BalanceUpdated => &[
            "previous_balance",
            "new_balance",
            "related_order_id",
            "order_symbol",
            "message",
        ],
        Kind::BalanceLocked => &["related_order_id", "order_symbol", "expires_at", "message"],
        Kind::BalanceUnlocked => &["related_order_id", "order_symbol", "message"],
        Kind::Error => &["sub_account_id", "stack_trace"],
        Kind::Signal => &["sub_account_id", "price", "reasoning"],
        Kind::Heartbeat => &["metrics"],
    };

    [&["metadata"], own].concat()
}

/// Returns a valid event with all fields of its kind.
fn example(kind: Kind) -> Value {
    let own = match kind {
        Kind::OrderCreated | Kind::OrderFilled | Kind::OrderCancelled | Kind::OrderFailed => {
            json!({
                "sub_account_id": ACCOUNT, "order_id": "order-1", "symbol": "btc/USDT", "side": "sell", "type": "limit",
                "amount": "0.5", "price": "43000.25", "status": "open", "message": "message of the bot",
            })
        }
        Kind::BalanceUpdated => json!({
            "sub_account_id": ACCOUNT, "symbol": "usdt", "amount": "12.5", "direction": "debit", "reason": "funding",
            "previous_balance": "100", "new_balance": "87.5", "related_order_id": "order-1",
            "order_symbol": "btc/USDT", "message": "message of the bot",
        }),
        Kind::BalanceLocked => json!({
            "sub_account_id": ACCOUNT, "symbol": "USDT", "amount": "12.5", "related_order_id": "order-1",
            "order_symbol": "btc/USDT", "expires_at": "2026-11-23T12:00:00+01:00", "message": "message of the bot",
        }),
        Kind::BalanceUnlocked => json!({
            "sub_account_id": ACCOUNT, "symbol": "USDT", "amount": "12.5", "related_order_id": "order-1",
            "order_symbol": "btc/USDT", "message": "message of the bot",
        }),
        Kind::Error => json!({
            "sub_account_id": ACCOUNT, "error_code": "E42", "error_message": "the exchange said no",
            "severity": "high", "component": "executor", "stack_trace": "at line 1",
        }),
        Kind::Signal => json!({
            "sub_account_id": ACCOUNT, "signal_type": "hold", "symbol": "BTC/USDT", "confidence": "0.75",
            "price": "43000.25", "strategy": "crossover", "reasoning": "averages met",
        }),
        Kind::Heartbeat => {
            json!({"status": "healthy", "component": "executor", "metrics": {"cpu": "0.5"}})
        }
    };

    let mut event = json!({
        "event_id": "0190-1", "event_type": kind.bare_subject(), "timestamp": "2026-11-23T10:00:00.123456+01:00",
        "user_id": USER.to_string(), "trading_id": TRADING, "source": "tiris-bot", "version": "1.0",
        "metadata": {"run": "7"},
    });
    let Value::Object(own) = own else {
        unreachable!("an object literal")
    };

    event.as_object_mut().expect("object").extend(own);
    if kind == Kind::OrderFilled {
        event["fill"] = json!({
            "stock_account_id": STOCK, "currency_account_id": ACCOUNT, "volume": "0.5", "price": "43000.25",
            "fee": "0.001", "fee_account_id": FEE, "quote_amount": "21500.125", "reason": "stop_loss",
        });
    }

    event
}

/// Returns the object that contains a field, and the name there: `fill` contains `fill.volume`.
fn place<'a>(
    event: &'a mut Value,
    field: &'static str,
) -> (&'a mut Map<String, Value>, &'static str) {
    match field.split_once('.') {
        Some((outer, inner)) => (event[outer].as_object_mut().expect("object"), inner),
        None => (event.as_object_mut().expect("object"), field),
    }
}

fn without(kind: Kind, field: &'static str) -> Value {
    let mut event = example(kind);
    let (object, name) = place(&mut event, field);
    object
        .shift_remove(name)
        .expect("the example has every field");
    event
}

fn with(kind: Kind, field: &'static str, value: Value) -> Value {
    let mut event = example(kind);
    let (object, name) = place(&mut event, field);
    object.insert(name.to_owned(), value);
    event
}

/// Returns the example with a text as the value of a field.
fn with_text(kind: Kind, field: &'static str, text: &str) -> String {
    with(kind, field, text.into()).to_string()
}

/// Returns the example with literal JSON as the value of a field, for numbers that must not pass through `Value`.
fn with_literal(kind: Kind, field: &'static str, literal: &str) -> String {
    with(kind, field, "@@".into())
        .to_string()
        .replace("\"@@\"", literal)
}

fn parse_text(kind: Kind, payload: &str) -> Result<Event, Box<Malformed>> {
    parse(
        &kind.subject_of(USER),
        payload.as_bytes(),
        BareSubjects::Refuse,
    )
}

fn parse_value(kind: Kind, payload: &Value) -> Result<Event, Box<Malformed>> {
    parse_text(kind, &payload.to_string())
}

#[track_caller]
fn parsed(kind: Kind, payload: &Value) -> Event {
    parse_value(kind, payload).unwrap_or_else(|error| panic!("{kind:?}: {error}: {payload}"))
}

/// Returns the code of an invalid payload.
#[track_caller]
fn code(kind: Kind, payload: &str) -> &'static str {
    match parse_text(kind, payload) {
        Err(malformed) => malformed.kind.code(),
        Ok(_) => panic!("{kind:?} was accepted: {payload}"),
    }
}
