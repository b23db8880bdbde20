//! Tests of valid events.

use super::*;
use crate::event::{Body, FREE_BYTES_MAX, FREE_KEYS_MAX};
use crate::ids::AccountId;
use crate::ledger::{
    Asset, Belief, Command, Direction, Fee, Hold, Lock, Movement, OrderId, OrderStep, OrderTerms,
    Pair, Side, Trade,
};
use crate::money::Number;

fn number(text: &str) -> Number {
    text.parse().expect(text)
}

fn asset(text: &str) -> Asset {
    text.parse().expect(text)
}

fn pair() -> Pair {
    "BTC/USDT".parse().expect("a pair")
}

fn order_id() -> OrderId {
    "order-1".parse().expect("id")
}

fn account(text: &str) -> AccountId {
    text.parse().expect(text)
}

#[test]
fn parses_a_complete_example_of_every_kind() {
    for kind in Kind::ALL {
        let event = parsed(kind, &example(kind));

        assert_eq!(event.kind, kind);
        assert_eq!(event.event_id.as_str(), "0190-1");
        let timestamp = event.timestamp.to_rfc3339();
        assert_eq!(timestamp, "2026-11-23T09:00:00.123456+00:00");
        assert_eq!(event.user.0, USER);
        assert_eq!(event.trading.to_string(), TRADING);
        let named = (kind != Kind::Heartbeat).then(|| account(ACCOUNT));
        assert_eq!(event.sub_account, named);
    }
}

fn command(kind: Kind) -> Option<Command> {
    parsed(kind, &example(kind)).command()
}

#[test]
fn errors_and_signals_are_recorded() {
    let record = Some(Command::Record {
        account: Some(account(ACCOUNT)),
    });

    for kind in [Kind::Error, Kind::Signal] {
        assert_eq!(command(kind), record, "{kind:?}");
    }
    assert_eq!(command(Kind::Heartbeat), None);
}

#[test]
fn an_event_of_an_order_becomes_its_step() {
    let step = |event: Value, kind| match parsed(kind, &event).command() {
        Some(Command::Order(event)) => {
            assert_eq!(event.order, order_id());
            assert_eq!(event.pair.to_string(), "BTC/USDT");
            assert_eq!(event.terms, terms());
            event.step
        }
        other => panic!("{kind:?} became {other:?}"),
    };
    let unsettled = |status: &str| {
        let mut event = without(Kind::OrderFilled, "fill");
        event["status"] = status.into();
        step(event, Kind::OrderFilled)
    };

    let of = |kind| step(example(kind), kind);
    assert_eq!(of(Kind::OrderCreated), OrderStep::Created);
    assert_eq!(of(Kind::OrderCancelled), OrderStep::Cancelled);
    assert_eq!(of(Kind::OrderFailed), OrderStep::Failed);
    assert_eq!(unsettled("open"), OrderStep::Filled { ends: false });
    assert_eq!(unsettled("FILLED"), OrderStep::Filled { ends: true });
}

fn terms() -> OrderTerms {
    OrderTerms {
        kind: "limit".to_owned(),
        amount: number("0.5"),
        price: Some(number("43000.25")),
    }
}

#[test]
fn a_fill_becomes_a_trade() {
    let trade = Trade {
        side: Side::Sell,
        reason: "stop_loss",
        stock_account: account(STOCK),
        stock: asset("BTC"),
        currency_account: account(ACCOUNT),
        currency: asset("USDT"),
        volume: number("0.5"),
        price: number("43000.25"),
        quote_amount: Some(number("21500.125")),
        fees: vec![Fee {
            account: account(FEE),
            amount: number("0.001"),
            position: None,
        }],
        order: Some(order_id()),
        terms: Some(terms()),
        ends_order: false,
    };

    assert_eq!(command(Kind::OrderFilled), Some(Command::Trade(trade)));
}

#[test]
fn a_balance_update_becomes_a_movement() {
    let movement = Movement {
        account: account(ACCOUNT),
        asset: asset("USDT"),
        direction: Direction::Debit,
        amount: number("12.5"),
        order: Some(order_id()),
        pair: Some(pair()),
        reason: "funding".to_owned(),
        belief: Belief {
            previous_balance: Some(number("100")),
            new_balance: Some(number("87.5")),
        },
    };

    assert_eq!(command(Kind::BalanceUpdated), Some(Command::Move(movement)));
}

#[test]
fn locks_and_unlocks_name_their_order() {
    let hold = Hold {
        account: account(ACCOUNT),
        asset: asset("USDT"),
        amount: number("12.5"),
        order: Some(order_id()),
        pair: Some(pair()),
    };

    let lock = Command::Lock(Lock {
        hold: hold.clone(),
        expires_at: "2026-11-23T11:00:00Z".parse().ok(),
    });
    assert_eq!(command(Kind::BalanceLocked), Some(lock));
    let unlock = Command::Unlock(hold);
    assert_eq!(command(Kind::BalanceUnlocked), Some(unlock));
}

#[test]
fn the_log_type_follows_the_contract() {
    for kind in Kind::ALL {
        let expected = match kind {
            Kind::OrderFilled => "stop_loss",
            other => other.log_type(),
        };
        assert_eq!(parsed(kind, &example(kind)).log_type(), expected);
    }
}

#[test]
fn the_log_type_of_a_fill_is_its_reason_or_side() {
    let filled = Kind::OrderFilled;
    for (event, expected) in [
        (without(filled, "fill.reason"), "short"),
        (with(filled, "fill.reason", "take_profit".into()), "short"),
        (with(filled, "side", "buy".into()), "long"),
        (without(filled, "fill"), "order_filled"),
    ] {
        assert_eq!(parsed(filled, &event).log_type(), expected, "{event}");
    }
}

#[test]
fn optional_fields_may_be_absent_or_null() {
    for kind in Kind::ALL {
        for field in optional(kind) {
            let absent = parsed(kind, &without(kind, field));
            let null = parsed(kind, &with(kind, field, Value::Null));
            assert_eq!(absent, null, "{kind:?} {field}");
        }
    }
    let error = parsed(Kind::Error, &without(Kind::Error, "sub_account_id"));
    assert_eq!(error.command(), Some(Command::Record { account: None }));
}

const EXACT: [&str; 8] = [
    "0.1",
    "1e-8",
    "1E+3",
    "123456789012345.123456789012",
    "9999999999999999.999999999999",
    "0.100000000000000005551115123125782702118",
    "0.30000000000000004",
    "-0",
];

/// Returns the event with a number as the value of a field, and with a string.
fn in_both_spellings(kind: Kind, field: &'static str, text: &str) -> [Event; 2] {
    [text.to_owned(), format!("\"{text}\"")].map(|literal| {
        let event = with_literal(kind, field, &literal);
        parse_text(kind, &event).expect(&event)
    })
}

#[test]
fn parses_amounts_exactly_from_numbers_and_strings() {
    for text in EXACT {
        for event in in_both_spellings(Kind::BalanceLocked, "amount", text) {
            let Some(Command::Lock(lock)) = event.command() else {
                panic!("{event:?}")
            };
            assert_eq!(lock.hold.amount, number(text));
        }
    }
}

#[test]
fn parses_a_fill_exactly_from_numbers_and_strings() {
    for text in EXACT {
        for event in in_both_spellings(Kind::OrderFilled, "fill.volume", text) {
            let Body::Order(order) = event.body else {
                panic!("{event:?}")
            };
            assert_eq!(order.fill.expect("a fill").volume, number(text));
        }
    }
}

#[test]
fn metadata_keeps_numbers_of_any_length_as_sent() {
    let price = "1461446703485210103287273052203988822378723970341";
    for number in [price, FLOAT, &"9".repeat(1_000)] {
        let metadata = format!("{{\"sqrtPriceX96\":{number}}}");
        let text = with_literal(Kind::BalanceUpdated, "metadata", &metadata);

        let event = parse_text(Kind::BalanceUpdated, &text).expect("valid");

        assert_eq!(event.info["metadata"].to_string(), metadata);
    }
}

#[test]
fn keeps_unknown_fields() {
    for kind in Kind::ALL {
        let text = with_literal(kind, "invented", r#"{"a":[1.50,"x"]}"#);

        let event = parse_text(kind, &text).expect("valid");

        let as_it_came = r#"{"invented":{"a":[1.50,"x"]}}"#;
        assert_eq!(event.info["unknown"].to_string(), as_it_came, "{kind:?}");
    }
}

#[test]
fn keeps_unknown_fields_of_a_fill_in_their_own_object() {
    let mut event = with(Kind::OrderFilled, "fill.invented", 1.into());
    event["other"] = 2.into();

    let kept = &parsed(Kind::OrderFilled, &event).info["unknown"];

    assert_eq!(kept, &json!({"other": 2, "fill": {"invented": 1}}));
}

/// Returns an object of `bytes` bytes.
fn object_of(bytes: usize) -> Value {
    json!({"a": "x".repeat(bytes - r#"{"a":""}"#.len())})
}

/// Returns an object with `keys` keys on two levels.
fn nested_keys(keys: usize) -> Value {
    let inner: Map<String, Value> = (1..keys).map(|key| (key.to_string(), json!(1))).collect();
    json!({"a": [inner]})
}

#[test]
fn stores_free_parts_up_to_their_limits() {
    for part in [object_of(FREE_BYTES_MAX), nested_keys(FREE_KEYS_MAX)] {
        let mut event = with(Kind::OrderFilled, "metadata", part.clone());
        for (key, value) in part.as_object().expect("an object") {
            event[key] = value.clone();
        }

        let info = parsed(Kind::OrderFilled, &event).info;

        assert_eq!(info["metadata"], part);
        assert_eq!(info["unknown"], part);
        assert!(!info.contains_key("left_out"));
    }
}

#[test]
fn an_event_with_too_large_free_parts_is_taken_without_them() {
    for (part, size) in [
        (object_of(FREE_BYTES_MAX + 1), "16385 bytes with 1 keys"),
        (nested_keys(FREE_KEYS_MAX + 1), "bytes with 257 keys"),
    ] {
        let plain = parsed(Kind::OrderFilled, &example(Kind::OrderFilled));
        let mut event = with(Kind::OrderFilled, "metadata", part.clone());
        for (key, value) in part.as_object().expect("an object") {
            event[key] = value.clone();
        }

        let taken = parsed(Kind::OrderFilled, &event);

        assert_eq!(taken.body, plain.body);
        assert_eq!(taken.content_hash, plain.content_hash);
        for left_out in ["metadata", "unknown"] {
            assert!(!taken.info.contains_key(left_out));
            let why = taken.info["left_out"][left_out].as_str().expect("a reason");
            assert!(why.contains(size), "{why}");
            assert!(why.contains("at most 16384 bytes and 256 keys"), "{why}");
        }
    }
}

#[test]
fn info_has_the_parts_of_the_contract() {
    for kind in Kind::ALL {
        let full = parsed(kind, &with(kind, "invented", 1.into()));

        let keys: Vec<&str> = full.info.keys().map(String::as_str).collect();
        let has_raw = kind != Kind::Heartbeat;
        let expected: &[&str] = if has_raw {
            &["metadata", "unknown", "raw", "source"]
        } else {
            &["metadata", "unknown", "source"]
        };
        assert_eq!(keys, expected, "{kind:?}");
        assert_eq!(full.info["metadata"], json!({"run": "7"}));
        assert_eq!(full.info["source"], "tiris-bot");
    }
}

#[test]
fn info_has_no_empty_parts() {
    let kind = Kind::Heartbeat;
    for metadata in [json!({}), Value::Null] {
        let bare = parsed(kind, &with(kind, "metadata", metadata));

        assert_eq!(Value::Object(bare.info), json!({"source": "tiris-bot"}));
    }
}

fn raw(kind: Kind) -> Value {
    parsed(kind, &example(kind)).info["raw"].clone()
}

#[test]
fn keeps_raw_text_that_no_column_stores() {
    let order = json!({
        "symbol": "BTC/USDT", "side": "sell", "type": "limit", "amount": "0.5", "price": "43000.25", "status": "open",
    });
    let locked = json!({"symbol": "USDT", "order_symbol": "BTC/USDT", "amount": "12.5", "expires_at": "2026-11-23T11:00:00Z"});
    let updated = json!({"order_symbol": "BTC/USDT"});
    let error = json!({
        "error_code": "E42", "severity": "high", "component": "executor", "stack_trace": "at line 1",
    });
    let signal = json!({
        "signal_type": "hold", "symbol": "BTC/USDT", "confidence": "0.75", "price": "43000.25", "strategy": "crossover",
    });

    assert_eq!(raw(Kind::OrderCreated), order);
    assert_eq!(raw(Kind::BalanceLocked), locked);
    assert_eq!(raw(Kind::BalanceUpdated), updated);
    assert_eq!(raw(Kind::Error), error);
    assert_eq!(raw(Kind::Signal), signal);
}

#[test]
fn keeps_raw_text_of_a_fill_with_that_of_its_order() {
    let filled = json!({
        "symbol": "BTC/USDT", "side": "sell", "type": "limit", "amount": "0.5", "price": "43000.25", "status": "open",
        "fill.volume": "0.5", "fill.price": "43000.25", "fill.fee": "0.001", "fill.quote_amount": "21500.125",
        "fill.reason": "stop_loss",
    });

    assert_eq!(raw(Kind::OrderFilled), filled);
}

const LONG: &str = "0.3000000000000000444";
/// The exact value of the float 5.1.
const FLOAT: &str = "5.0999999999999996447286321199499070644378662109375";

#[test]
fn keeps_the_text_of_over_long_beliefs() {
    for field in ["previous_balance", "new_balance"] {
        for text in [LONG, FLOAT, &format!("0.{}", "9".repeat(999))] {
            for event in in_both_spellings(Kind::BalanceUpdated, field, text) {
                assert_eq!(event.info["raw"][field], text);
                let Some(Command::Move(movement)) = event.command() else {
                    panic!("{event:?}")
                };
                let belief = movement.belief;
                let beliefs = [belief.previous_balance, belief.new_balance];
                assert!(beliefs.contains(&Some(number(text))), "{beliefs:?}");
            }
        }
    }
}

#[test]
fn keeps_the_text_of_over_long_prices_and_amounts() {
    for (kind, field) in [
        (Kind::OrderCreated, "price"),
        (Kind::OrderFilled, "fill.price"),
        (Kind::Signal, "price"),
        (Kind::BalanceLocked, "amount"),
        (Kind::BalanceUpdated, "amount"),
    ] {
        let event = parse_text(kind, &with_literal(kind, field, LONG)).expect("valid");

        assert_eq!(event.info["raw"][field], LONG, "{kind:?} {field}");
    }
}

#[test]
fn raw_numbers_keep_their_spelling() {
    let kind = Kind::OrderCreated;
    let text = with_literal(kind, "price", "1.50e+1");

    let event = parse_text(kind, &text).expect("valid");

    assert_eq!(event.info["raw"]["price"], "1.50e+1");
}

#[test]
fn the_log_has_the_message_of_the_bot() {
    for (kind, expected) in [
        (Kind::OrderCreated, "message of the bot"),
        (Kind::BalanceUpdated, "message of the bot"),
        (Kind::BalanceLocked, "message of the bot"),
        (Kind::Error, "the exchange said no"),
        (Kind::Signal, "averages met"),
    ] {
        assert_eq!(parsed(kind, &example(kind)).message, expected);
    }
}

/// An event without a message, and the message composed from its other fields.
struct WithoutMessage {
    kind: Kind,
    without: &'static str,
    message: &'static str,
}

#[test]
fn a_missing_message_is_composed_from_the_fields() {
    for case in [
        WithoutMessage {
            kind: Kind::OrderFilled,
            without: "message",
            message: "limit sell 0.5 BTC/USDT at 43000.25: open",
        },
        WithoutMessage {
            kind: Kind::BalanceUpdated,
            without: "message",
            message: "debit 12.5 USDT: funding",
        },
        WithoutMessage {
            kind: Kind::BalanceUnlocked,
            without: "message",
            message: "unlock 12.5 USDT",
        },
        WithoutMessage {
            kind: Kind::Signal,
            without: "reasoning",
            message: "crossover: hold BTC/USDT, confidence 0.75",
        },
    ] {
        let event = parsed(case.kind, &without(case.kind, case.without));

        assert_eq!(event.message, case.message);
    }
}

#[test]
fn accepts_lengths_at_their_limits() {
    let wide = |characters| "é".repeat(characters);
    let accepts = |kind, field, value: String| parsed(kind, &with(kind, field, value.into()));
    let symbol = "币".repeat(64);

    accepts(Kind::OrderCreated, "order_id", wide(128));
    accepts(Kind::OrderCreated, "status", wide(128));
    accepts(Kind::OrderCreated, "type", wide(128));
    accepts(Kind::OrderCreated, "symbol", format!("{symbol}/{symbol}"));
    accepts(Kind::OrderCreated, "message", wide(2048));
    accepts(Kind::OrderCreated, "message", String::new());
    accepts(Kind::OrderFilled, "fill.reason", wide(50));
    accepts(Kind::BalanceUpdated, "related_order_id", wide(128));
    accepts(Kind::BalanceUpdated, "reason", wide(50));
    accepts(Kind::Error, "component", wide(128));
    accepts(Kind::Error, "error_code", wide(128));
    accepts(Kind::Error, "error_message", wide(2048));
    accepts(Kind::Error, "stack_trace", "x".repeat(32 * 1024));
    accepts(Kind::Signal, "strategy", wide(128));
    accepts(Kind::Signal, "reasoning", "x".repeat(4096));
    accepts(Kind::Signal, "confidence", "1".to_owned());
    accepts(Kind::Signal, "confidence", "0".to_owned());
    accepts(Kind::Heartbeat, "event_id", "~ ".repeat(64));
    accepts(Kind::Heartbeat, "source", wide(128));
    accepts(Kind::Heartbeat, "version", "1".to_owned());
    accepts(Kind::Heartbeat, "version", "1.27".to_owned());
    for timestamp in ["9999-12-31T23:59:59.999999999Z", "0001-01-01T00:00:00Z"] {
        accepts(Kind::OrderCreated, "timestamp", timestamp.to_owned());
    }
}
