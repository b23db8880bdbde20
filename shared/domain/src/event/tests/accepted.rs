//! What a valid event becomes.

use super::*;
use crate::event::{Body, Fill};
use crate::ids::AccountId;
use crate::ledger::{Asset, Belief, Command, Direction, Movement, OrderId, Side, Trade};
use crate::money::Number;

fn number(text: &str) -> Number {
    text.parse().expect(text)
}

fn asset(text: &str) -> Asset {
    text.parse().expect(text)
}

fn order_id() -> OrderId {
    "order-1".parse().expect("id")
}

fn account(text: &str) -> AccountId {
    text.parse().expect(text)
}

#[test]
fn a_complete_example_of_every_kind_parses() {
    for kind in Kind::ALL {
        let event = parsed(kind, &example(kind));
        assert_eq!(event.kind, kind);
        assert_eq!(event.event_id.as_str(), "0190-1");
        assert_eq!(
            event.timestamp.to_rfc3339(),
            "2026-11-23T09:00:00.123456+00:00"
        );
        assert_eq!(
            (event.user.0, event.trading.to_string()),
            (USER, TRADING.to_owned())
        );
        let named = if kind == Kind::Heartbeat {
            None
        } else {
            Some(account(ACCOUNT))
        };
        assert_eq!(event.sub_account, named);
    }
}

#[test]
fn the_commands_are_those_of_the_contract() {
    let command = |kind| parsed(kind, &example(kind)).command();
    let (id, currency) = (account(ACCOUNT), || asset("USDT"));
    let record = Some(Command::Record { account: Some(id) });
    let release = Some(Command::Release {
        account: id,
        order: order_id(),
    });
    let trade = Trade {
        side: Side::Sell,
        reason: "stop_loss",
        stock_account: account(STOCK),
        stock: asset("BTC"),
        currency_account: id,
        currency: currency(),
        volume: number("0.5"),
        price: number("43000.25"),
        quote_amount: Some(number("21500.125")),
        fee: number("0.001"),
        fee_account: Some(account(FEE)),
        order: Some(order_id()),
    };
    let movement = Movement {
        account: id,
        asset: currency(),
        direction: Direction::Debit,
        amount: number("12.5"),
        order: Some(order_id()),
        reason: "funding".to_owned(),
        belief: Belief {
            previous_balance: Some(number("100")),
            new_balance: Some(number("87.5")),
        },
    };
    let (amount, order) = (number("12.5"), Some(order_id()));
    let lock = Command::Lock {
        account: id,
        asset: currency(),
        amount: amount.clone(),
        order: order.clone(),
    };
    for (kind, expected) in [
        (Kind::OrderCreated, record.clone()),
        (Kind::OrderFilled, Some(Command::Trade(trade))),
        (Kind::OrderCancelled, release.clone()),
        (Kind::OrderFailed, release),
        (Kind::BalanceUpdated, Some(Command::Move(movement))),
        (Kind::BalanceLocked, Some(lock)),
        (
            Kind::BalanceUnlocked,
            Some(Command::Unlock {
                account: id,
                asset: currency(),
                amount,
                order,
            }),
        ),
        (Kind::Error, record.clone()),
        (Kind::Signal, record.clone()),
        (Kind::Heartbeat, None),
    ] {
        assert_eq!(command(kind), expected, "{kind:?}");
    }
    let plain = parsed(Kind::OrderFilled, &without(Kind::OrderFilled, "fill"));
    assert_eq!(
        plain.command(),
        record,
        "a fill without settlement moves nothing"
    );
}

#[test]
fn the_type_of_the_log_is_that_of_the_contract() {
    for kind in Kind::ALL {
        let expected = match kind {
            Kind::OrderFilled => "stop_loss",
            other => other.log_type(),
        };
        assert_eq!(parsed(kind, &example(kind)).log_type(), expected);
    }
    let filled = Kind::OrderFilled;
    assert_eq!(
        parsed(filled, &without(filled, "fill.reason")).log_type(),
        "short"
    );
    assert_eq!(
        parsed(filled, &with(filled, "fill.reason", "take_profit".into())).log_type(),
        "short"
    );
    assert_eq!(
        parsed(filled, &with(filled, "side", "buy".into())).log_type(),
        "long"
    );
    assert_eq!(
        parsed(filled, &without(filled, "fill")).log_type(),
        "order_filled"
    );
}

#[test]
fn every_optional_field_may_be_absent_or_null() {
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

#[test]
fn amounts_are_read_exactly_as_numbers_and_as_texts() {
    for text in [
        "0.1",
        "1e-8",
        "1E+3",
        "123456789012345.123456789012",
        "9999999999999999.999999999999",
        "0.100000000000000005551115123125782702118",
        "0.30000000000000004",
        "-0",
    ] {
        let quoted = format!("\"{text}\"");
        for literal in [text, quoted.as_str()] {
            let event = parse_text(
                Kind::BalanceLocked,
                &with_literal(Kind::BalanceLocked, "amount", literal),
            );
            let Some(Command::Lock { amount, .. }) = event.expect(literal).command() else {
                panic!("no lock")
            };
            assert_eq!(amount, number(text));
            let filled = parse_text(
                Kind::OrderFilled,
                &with_literal(Kind::OrderFilled, "fill.volume", literal),
            );
            let Body::Order(order) = filled.expect(literal).body else {
                panic!("no order")
            };
            let Some(Fill { volume, .. }) = order.fill else {
                panic!("no fill")
            };
            assert_eq!(volume, number(text));
        }
    }
}

#[test]
fn unknown_fields_are_kept_and_do_not_refuse_the_event() {
    for kind in Kind::ALL {
        let text = with_literal(kind, "invented", r#"{"a":[1.50,"x"]}"#);
        let event = parse_text(kind, &text).expect("valid");
        assert_eq!(
            event.info["unknown"].to_string(),
            r#"{"invented":{"a":[1.50,"x"]}}"#,
            "{kind:?}: as it came"
        );
    }
    let mut event = with(Kind::OrderFilled, "fill.invented", 1.into());
    event["other"] = 2.into();
    let kept = &parsed(Kind::OrderFilled, &event).info["unknown"];
    assert_eq!(kept, &json!({"other": 2, "fill": {"invented": 1}}));
}

#[test]
fn info_has_exactly_the_parts_of_the_contract_and_no_empty_ones() {
    for kind in Kind::ALL {
        let full = parsed(kind, &with(kind, "invented", 1.into()));
        let keys: Vec<&str> = full.info.keys().map(String::as_str).collect();
        let has_raw = !matches!(kind, Kind::BalanceUpdated | Kind::Heartbeat);
        let expected: &[&str] = if has_raw {
            &["metadata", "unknown", "raw", "source"]
        } else {
            &["metadata", "unknown", "source"]
        };
        assert_eq!(keys, expected, "{kind:?}");
        assert_eq!(full.info["metadata"], json!({"run": "7"}));
        assert_eq!(full.info["source"], "tiris-bot");
    }
    for metadata in [json!({}), Value::Null] {
        let bare = parsed(
            Kind::BalanceUpdated,
            &with(Kind::BalanceUpdated, "metadata", metadata),
        );
        assert_eq!(Value::Object(bare.info), json!({"source": "tiris-bot"}));
    }
}

#[test]
fn what_no_column_holds_is_kept_as_raw_text() {
    let raw = |kind| parsed(kind, &example(kind)).info["raw"].clone();
    let order = json!({
        "symbol": "BTC/USDT", "side": "sell", "type": "limit", "amount": "0.5", "price": "43000.25", "status": "open",
    });
    assert_eq!(raw(Kind::OrderCreated), order);
    let mut filled = order;
    for (field, text) in [
        ("fill.volume", "0.5"),
        ("fill.price", "43000.25"),
        ("fill.fee", "0.001"),
        ("fill.quote_amount", "21500.125"),
        ("fill.reason", "stop_loss"),
    ] {
        filled[field] = text.into();
    }
    assert_eq!(raw(Kind::OrderFilled), filled);
    assert_eq!(
        raw(Kind::BalanceLocked),
        json!({"symbol": "USDT", "amount": "12.5"})
    );
    let error = json!({"error_code": "E42", "severity": "high", "component": "executor", "stack_trace": "at line 1"});
    assert_eq!(raw(Kind::Error), error);
    let signal = json!({
        "signal_type": "hold", "symbol": "BTC/USDT", "confidence": "0.75", "price": "43000.25", "strategy": "crossover",
    });
    assert_eq!(raw(Kind::Signal), signal);
}

#[test]
fn over_long_decimals_of_beliefs_and_prices_keep_their_text() {
    let long = "0.30000000000000004";
    for field in ["previous_balance", "new_balance"] {
        for literal in [long.to_owned(), format!("\"{long}\"")] {
            let text = with_literal(Kind::BalanceUpdated, field, &literal);
            let event = parse_text(Kind::BalanceUpdated, &text).expect("valid");
            assert_eq!(event.info["raw"], json!({field: long}));
            let Some(Command::Move(movement)) = event.command() else {
                panic!("no movement")
            };
            let beliefs = [
                movement.belief.previous_balance,
                movement.belief.new_balance,
            ];
            assert!(beliefs.contains(&Some(number(long))));
        }
    }
    for (kind, field) in [
        (Kind::OrderCreated, "price"),
        (Kind::OrderFilled, "fill.price"),
        (Kind::Signal, "price"),
        (Kind::BalanceLocked, "amount"),
    ] {
        let event = parse_text(kind, &with_literal(kind, field, long)).expect("valid");
        assert_eq!(event.info["raw"][field], long, "{kind:?} {field}");
    }
    let literal = parse_text(
        Kind::OrderCreated,
        &with_literal(Kind::OrderCreated, "price", "1.50e+1"),
    )
    .expect("valid");
    assert_eq!(
        literal.info["raw"]["price"], "1.50e+1",
        "spelled as it came"
    );
}

#[test]
fn the_words_of_the_log_are_the_bots_or_else_made_from_the_fields() {
    for kind in [
        Kind::OrderCreated,
        Kind::BalanceUpdated,
        Kind::BalanceLocked,
    ] {
        assert_eq!(parsed(kind, &example(kind)).message, "said by the bot");
    }
    assert_eq!(
        parsed(Kind::Error, &example(Kind::Error)).message,
        "the exchange said no"
    );
    assert_eq!(
        parsed(Kind::Signal, &example(Kind::Signal)).message,
        "averages met"
    );
    for (kind, field, expected) in [
        (
            Kind::OrderFilled,
            "message",
            "limit sell 0.5 BTC/USDT at 43000.25: open",
        ),
        (Kind::BalanceUpdated, "message", "debit 12.5 USDT: funding"),
        (Kind::BalanceUnlocked, "message", "unlock 12.5 USDT"),
        (
            Kind::Signal,
            "reasoning",
            "crossover: hold BTC/USDT, confidence 0.75",
        ),
    ] {
        assert_eq!(parsed(kind, &without(kind, field)).message, expected);
    }
}

#[test]
fn lengths_at_their_limit_are_taken() {
    let wide = |characters| "é".repeat(characters);
    for (kind, field, value) in [
        (Kind::OrderCreated, "order_id", wide(128)),
        (Kind::OrderCreated, "status", wide(128)),
        (Kind::OrderCreated, "type", wide(128)),
        (
            Kind::OrderCreated,
            "symbol",
            format!("{0}/{0}", "A".repeat(20)),
        ),
        (Kind::OrderCreated, "message", wide(2048)),
        (Kind::OrderCreated, "message", String::new()),
        (Kind::OrderFilled, "fill.reason", wide(50)),
        (Kind::BalanceUpdated, "related_order_id", wide(128)),
        (Kind::BalanceUpdated, "reason", wide(50)),
        (Kind::Error, "component", wide(128)),
        (Kind::Error, "error_code", wide(128)),
        (Kind::Error, "error_message", wide(2048)),
        (Kind::Error, "stack_trace", "x".repeat(32 * 1024)),
        (Kind::Signal, "strategy", wide(128)),
        (Kind::Signal, "reasoning", "x".repeat(4096)),
        (Kind::Signal, "confidence", "1".to_owned()),
        (Kind::Signal, "confidence", "0".to_owned()),
        (Kind::Heartbeat, "event_id", "~ ".repeat(64)),
        (Kind::Heartbeat, "source", wide(128)),
        (Kind::Heartbeat, "version", "1".to_owned()),
        (Kind::Heartbeat, "version", "1.27".to_owned()),
    ] {
        parsed(kind, &with(kind, field, value.into()));
    }
}
