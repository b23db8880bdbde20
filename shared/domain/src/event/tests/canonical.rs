//! Tests of the content hash.

use super::*;

fn hash(kind: Kind, payload: &str) -> [u8; 16] {
    parse_text(kind, payload)
        .unwrap_or_else(|error| panic!("{error}: {payload}"))
        .content_hash
}

/// Returns another valid value for a field of the example.
fn changed(kind: Kind, field: &str) -> Value {
    let text = match field {
        "event_id" => "0190-2",
        "timestamp" | "expires_at" => "2026-11-23T10:00:00.123457+01:00",
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
        "symbol" | "order_symbol" => "BTC/EUR",
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

fn hash_of(kind: Kind, event: &Value) -> [u8; 16] {
    hash(kind, &event.to_string())
}

#[test]
fn the_hash_includes_all_other_fields() {
    let mut kinds = Kind::ALL.to_vec();

    kinds.retain(|kind| *kind != Kind::Heartbeat);
    for kind in kinds {
        let mut seen = vec![hash_of(kind, &example(kind))];
        for field in [required(kind), optional(kind)].concat() {
            let fixed = ["user_id", "event_type", "fill"];
            let uncounted = ["metadata", "message", "source"];
            if fixed.contains(&field) || uncounted.contains(&field) {
                continue;
            }
            let other = hash_of(kind, &with(kind, field, changed(kind, field)));
            assert!(!seen.contains(&other), "{kind:?} {field}");
            seen.push(other);
        }
        for field in optional(kind) {
            if ["metadata", "message"].contains(&field) {
                continue;
            }
            let other = hash_of(kind, &without(kind, field));
            assert!(!seen.contains(&other), "{kind:?} without {field}");
            seen.push(other);
        }
    }
}

#[test]
fn the_hash_ignores_metadata_source_and_unknown_fields() {
    for kind in Kind::ALL {
        let original = hash_of(kind, &example(kind));
        for (field, value) in [
            ("metadata", json!({"x": 1})),
            ("metadata", Value::Null),
            ("source", "other".into()),
            ("new", 1.into()),
        ] {
            let other = hash_of(kind, &with(kind, field, value));

            assert_eq!(other, original, "{kind:?} {field}");
        }
    }
}

#[test]
fn the_hash_ignores_unknown_fields_of_a_fill() {
    let kind = Kind::OrderFilled;

    let other = hash_of(kind, &with(kind, "fill.new", 1.into()));

    assert_eq!(other, hash_of(kind, &example(kind)));
}

#[test]
fn the_hash_ignores_the_message() {
    for kind in Kind::ALL {
        if optional(kind).contains(&"message") {
            let original = hash_of(kind, &example(kind));
            let other = with(kind, "message", "other".into());
            let none = without(kind, "message");

            assert_eq!(hash_of(kind, &other), original, "{kind:?}");
            assert_eq!(hash_of(kind, &none), original, "{kind:?}");
        }
    }
}

/// Reverses the keys of an object and of a fill in it.
fn reversed(object: &Map<String, Value>) -> Value {
    object
        .iter()
        .rev()
        .map(|(key, value)| match value {
            Value::Object(fill) if key == "fill" => (key.clone(), reversed(fill)),
            other => (key.clone(), other.clone()),
        })
        .collect()
}

#[test]
fn the_hash_ignores_the_order_of_keys() {
    for kind in Kind::ALL {
        let original = example(kind);
        let reversed = reversed(original.as_object().expect("object"));

        let other = hash_of(kind, &reversed);

        assert_eq!(other, hash_of(kind, &original), "{kind:?}");
    }
}

#[test]
fn the_hash_compares_numbers_by_value() {
    for (kind, field) in [
        (Kind::BalanceUpdated, "amount"),
        (Kind::BalanceUpdated, "new_balance"),
        (Kind::OrderFilled, "fill.fee"),
        (Kind::OrderCreated, "price"),
        (Kind::Signal, "confidence"),
    ] {
        let spelled = |literal| hash(kind, &with_literal(kind, field, literal));
        let one = spelled("1");
        for spelling in ["1.0", "\"1\"", "\"1.000\"", "\"1e0\"", "10E-1", "0.01e+2"] {
            assert_eq!(spelled(spelling), one, "{kind:?} {field} {spelling}");
        }
        assert_ne!(spelled("0.999999999999"), one, "{kind:?} {field}");
    }
}

/// Asserts that another spelling of a field's value gives the same hash.
fn is_same(kind: Kind, field: &'static str, spelling: &str) {
    let other = hash(kind, &with_text(kind, field, spelling));
    assert_eq!(other, hash_of(kind, &example(kind)), "{field} {spelling}");
}

#[test]
fn the_hash_compares_times_by_instant() {
    is_same(Kind::Error, "timestamp", "2026-11-23T09:00:00.123456Z");
    let elsewhere = "2026-11-23T04:00:00.123456000-05:00";
    is_same(Kind::Error, "timestamp", elsewhere);
}

#[test]
fn the_hash_ignores_the_case_of_symbols_and_ids() {
    let kind = Kind::OrderFilled;
    is_same(kind, "symbol", "BTC/usdt");
    is_same(kind, "trading_id", &TRADING.to_uppercase());
    is_same(kind, "user_id", &USER.to_string().to_uppercase());
}

#[test]
fn the_hash_separates_neighbouring_fields() {
    let event = |order_type: &str, status: &str| {
        let mut event = example(Kind::OrderCreated);
        event["type"] = order_type.into();
        event["status"] = status.into();
        hash_of(Kind::OrderCreated, &event)
    };

    assert_ne!(event("ab", "c"), event("a", "bc"));
}
