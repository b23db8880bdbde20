//! When two events with one id say the same.

use super::*;

fn hash(kind: Kind, payload: &str) -> [u8; 16] {
    parse_text(kind, payload)
        .unwrap_or_else(|error| panic!("{error}: {payload}"))
        .content_hash
}

/// Another valid value for a field of the example.
fn changed(kind: Kind, field: &str) -> Value {
    let text = match field {
        "event_id" => "0190-2",
        "timestamp" => "2026-11-23T10:00:00.123457+01:00",
        "trading_id"
        | "sub_account_id"
        | "fill.stock_account_id"
        | "fill.currency_account_id"
        | "fill.fee_account_id" => "01900000-0000-7000-8000-0000000000ff",
        "version" => "1.1",
        "symbol"
            if matches!(
                kind,
                Kind::BalanceUpdated | Kind::BalanceLocked | Kind::BalanceUnlocked
            ) =>
        {
            "BNB"
        }
        "symbol" => "BTC/EUR",
        "side" => "buy",
        "direction" => "credit",
        "severity" => "low",
        "signal_type" => "buy",
        "amount" | "price" | "confidence" | "previous_balance" | "new_balance" | "fill.volume"
        | "fill.price" | "fill.fee" | "fill.quote_amount" => "0.25",
        _ => "something else",
    };
    text.into()
}

#[test]
fn every_field_but_metadata_message_and_source_counts() {
    for kind in Kind::ALL
        .into_iter()
        .filter(|kind| *kind != Kind::Heartbeat)
    {
        let original = hash(kind, &example(kind).to_string());
        let mut seen = vec![original];
        for field in [required(kind), optional(kind)].concat() {
            if matches!(
                field,
                "metadata" | "message" | "source" | "user_id" | "event_type" | "fill"
            ) {
                continue;
            }
            let other = hash(kind, &with(kind, field, changed(kind, field)).to_string());
            assert!(!seen.contains(&other), "{kind:?} {field}");
            seen.push(other);
        }
        for field in optional(kind) {
            if matches!(field, "metadata" | "message") {
                continue;
            }
            let other = hash(kind, &without(kind, field).to_string());
            assert!(!seen.contains(&other), "{kind:?} without {field}");
            seen.push(other);
        }
    }
}

#[test]
fn metadata_message_source_and_unknown_fields_do_not_count() {
    for kind in Kind::ALL {
        let original = hash(kind, &example(kind).to_string());
        for (field, value) in [
            ("metadata", json!({"x": 1})),
            ("metadata", Value::Null),
            ("source", "other".into()),
            ("new", 1.into()),
        ] {
            assert_eq!(
                hash(kind, &with(kind, field, value).to_string()),
                original,
                "{kind:?} {field}"
            );
        }
        if optional(kind).contains(&"message") {
            assert_eq!(
                hash(kind, &with(kind, "message", "other".into()).to_string()),
                original
            );
            assert_eq!(hash(kind, &without(kind, "message").to_string()), original);
        }
    }
    let original = hash(Kind::OrderFilled, &example(Kind::OrderFilled).to_string());
    assert_eq!(
        hash(
            Kind::OrderFilled,
            &with(Kind::OrderFilled, "fill.new", 1.into()).to_string()
        ),
        original
    );
}

#[test]
fn the_order_of_keys_does_not_count() {
    for kind in Kind::ALL {
        let mut reversed = Map::new();
        let original = example(kind);
        for (key, value) in original.as_object().expect("object").iter().rev() {
            let value = match value {
                Value::Object(inner) if key == "fill" => Value::Object(
                    inner
                        .iter()
                        .rev()
                        .map(|(key, value)| (key.clone(), value.clone()))
                        .collect(),
                ),
                other => other.clone(),
            };
            reversed.insert(key.clone(), value);
        }
        assert_eq!(
            hash(kind, &Value::Object(reversed).to_string()),
            hash(kind, &original.to_string()),
            "{kind:?}"
        );
    }
}

#[test]
fn numbers_count_by_value_and_times_by_moment() {
    for (kind, field) in [
        (Kind::BalanceUpdated, "amount"),
        (Kind::BalanceUpdated, "new_balance"),
        (Kind::OrderFilled, "fill.fee"),
        (Kind::OrderCreated, "price"),
        (Kind::Signal, "confidence"),
    ] {
        let one = hash(kind, &with_literal(kind, field, "1"));
        for spelling in ["1.0", "\"1\"", "\"1.000\"", "\"1e0\"", "10E-1", "0.01e+2"] {
            assert_eq!(
                hash(kind, &with_literal(kind, field, spelling)),
                one,
                "{kind:?} {field} {spelling}"
            );
        }
        assert_ne!(
            hash(kind, &with_literal(kind, field, "0.999999999999")),
            one
        );
    }
    let kind = Kind::Error;
    let original = hash(kind, &example(kind).to_string());
    for spelling in [
        "2026-11-23T09:00:00.123456Z",
        "2026-11-23T04:00:00.123456000-05:00",
    ] {
        assert_eq!(
            hash(kind, &with(kind, "timestamp", spelling.into()).to_string()),
            original
        );
    }
}

#[test]
fn symbols_count_in_upper_case_and_ids_in_one_spelling() {
    let kind = Kind::OrderFilled;
    let original = hash(kind, &example(kind).to_string());
    assert_eq!(
        hash(kind, &with(kind, "symbol", "BTC/usdt".into()).to_string()),
        original
    );
    assert_eq!(
        hash(
            kind,
            &with(kind, "trading_id", TRADING.to_uppercase().into()).to_string()
        ),
        original
    );
    assert_eq!(
        hash(
            kind,
            &with(kind, "user_id", USER.to_string().to_uppercase().into()).to_string()
        ),
        original
    );
}

#[test]
fn content_cannot_move_from_one_field_to_its_neighbour() {
    let event = |order_type: &str, status: &str| {
        let mut event = example(Kind::OrderCreated);
        event["type"] = order_type.into();
        event["status"] = status.into();
        hash(Kind::OrderCreated, &event.to_string())
    };
    assert_ne!(event("ab", "c"), event("a", "bc"));
}
