//! Tests of malformed messages and their codes.

use super::*;
use crate::event::{EVENT_BYTES_MAX, MalformedKind};
use crate::value::EventId;
use proptest::prelude::*;

#[test]
fn rejects_a_payload_that_is_not_a_json_object() {
    for text in [
        "",
        "{",
        "null",
        "[]",
        "42",
        "\"text\"",
        "{\"a\":}",
        "{'a':1}",
        "{\"a\":01}",
        "{\"a\":NaN}",
        "{} {}",
    ] {
        assert_eq!(code(Kind::Error, text), "NOT_JSON", "{text}");
    }
}

#[test]
fn rejects_a_valid_event_with_an_invalid_character() {
    let good = example(Kind::Error).to_string();
    for text in [
        good[..good.len() - 1].to_owned(),
        format!("\u{feff}{good}"),
        good.replace("executor", "\u{1}"),
        good.replace("executor", r"\ud800"),
    ] {
        assert_eq!(code(Kind::Error, &text), "NOT_JSON", "{text}");
    }
}

#[test]
fn invalid_utf8_keeps_the_user_of_the_subject() {
    let latin1 = [b"{\"a\":\"".as_slice(), &[0xe9], b"\"}"].concat();
    let subject = Kind::Error.subject_of(USER);

    let malformed = parse(&subject, &latin1, BareSubjects::Refuse).expect_err("refused");

    assert_eq!(malformed.kind.code(), "NOT_JSON");
    assert_eq!(malformed.user_id, Some(USER));
}

#[test]
fn rejects_more_than_64_kibibytes() {
    let good = example(Kind::Error).to_string();
    let padded = |length: usize| format!("{good}{}", " ".repeat(length - good.len()));

    assert_eq!(EVENT_BYTES_MAX, 65_536);
    assert!(parse_text(Kind::Error, &padded(65_536)).is_ok());
    assert_eq!(code(Kind::Error, &padded(65_537)), "PAYLOAD_TOO_LARGE");
}

#[test]
fn names_a_missing_required_field() {
    for kind in Kind::ALL {
        for field in required(kind) {
            for event in [without(kind, field), with(kind, field, Value::Null)] {
                let malformed = parse_value(kind, &event).expect_err(field);

                let expected = MalformedKind::MissingField(field.to_owned());
                assert_eq!(malformed.kind, expected, "{kind:?}");
                assert_eq!(malformed.kind.code(), "MISSING_FIELD");
            }
        }
    }
}

/// Asserts that a value is rejected with the name of its field.
#[track_caller]
fn is_invalid(kind: Kind, field: &'static str, value: Value) {
    let event = with(kind, field, value.clone());
    let malformed = parse_value(kind, &event).expect_err(field);
    assert_eq!(malformed.kind.code(), "INVALID_VALUE", "{field} {value}");
    let MalformedKind::InvalidValue { field: named, .. } = malformed.kind else {
        panic!("{kind:?} {field} {value}: {malformed:?}")
    };
    assert_eq!(named, field, "{kind:?} {value}");
}

#[test]
fn names_a_field_of_a_wrong_type() {
    for kind in Kind::ALL {
        for field in [required(kind), optional(kind)].concat() {
            let object = match field {
                "metadata" | "metrics" | "fill" => "text".into(),
                _ => json!({"a": 1}),
            };
            for wrong in [json!(true), json!([1]), object] {
                is_invalid(kind, field, wrong);
            }
        }
    }
}

fn wide(characters: usize) -> Value {
    "é".repeat(characters).into()
}

#[test]
fn rejects_common_fields_beyond_their_limits() {
    let invalid = |field, value: Value| is_invalid(Kind::OrderCreated, field, value);

    invalid("event_id", "x".repeat(129).into());
    invalid("event_id", "".into());
    invalid("event_id", "é".into());
    invalid("event_id", "a\nb".into());
    invalid("source", wide(129));
    invalid("source", "".into());
    invalid("timestamp", "2026-11-23 10:00".into());
    invalid("timestamp", "2026-02-30T10:00:00Z".into());
    invalid("timestamp", "2026-11-23T10:00:00".into());
    invalid("timestamp", "9999-12-31T23:59:59-12:00".into());
    invalid("timestamp", "0000-01-01T00:00:00+12:00".into());
    invalid("user_id", "unknown".into());
    invalid("trading_id", "".into());
}

#[test]
fn rejects_fields_of_an_order_beyond_their_limits() {
    let invalid = |field, value: Value| is_invalid(Kind::OrderCreated, field, value);

    invalid("sub_account_id", "7".into());
    invalid("order_id", wide(129));
    invalid("order_id", "".into());
    invalid("symbol", "BTC".into());
    invalid("symbol", "BTC/USDT/X".into());
    invalid("symbol", "/USDT".into());
    invalid("symbol", "BTC/".into());
    invalid("symbol", "BT C/USDT".into());
    invalid("symbol", "BT€/USDT".into());
    invalid("symbol", format!("{}/USDT", "币".repeat(65)).into());
    invalid("side", "BUY".into());
    invalid("type", wide(129));
    invalid("status", wide(129));
    invalid("status", "".into());
    invalid("message", wide(2049));
    invalid("amount", "12,5".into());
    invalid("amount", "".into());
    invalid("price", "NaN".into());
}

#[test]
fn rejects_fields_of_a_fill_beyond_their_limits() {
    let invalid = |field, value: Value| is_invalid(Kind::OrderFilled, field, value);

    invalid("fill.stock_account_id", "7".into());
    invalid("fill.volume", "0x10".into());
    invalid("fill.fee", "9".repeat(1_001).into());
    invalid("fill.price", "1e65".into());
    invalid("fill.quote_amount", "1e-65".into());
    invalid("fill.reason", wide(51));
}

#[test]
fn rejects_fields_of_a_balance_beyond_their_limits() {
    let invalid = |field, value: Value| is_invalid(Kind::BalanceUpdated, field, value);

    invalid("symbol", "BTC/USDT".into());
    invalid("symbol", "币".repeat(65).into());
    invalid("direction", "in".into());
    invalid("reason", wide(51));
    invalid("reason", "".into());
    invalid("related_order_id", wide(129));
    invalid("related_order_id", "".into());
}

#[test]
fn rejects_fields_of_other_events_beyond_their_limits() {
    is_invalid(Kind::Error, "error_code", wide(129));
    is_invalid(Kind::Error, "component", wide(129));
    is_invalid(Kind::Error, "severity", "fatal".into());
    is_invalid(Kind::Error, "error_message", wide(2049));
    let trace = "x".repeat(32 * 1024 + 1);
    is_invalid(Kind::Error, "stack_trace", trace.into());
    is_invalid(Kind::Signal, "signal_type", "wait".into());
    is_invalid(Kind::Signal, "confidence", "1.000000000001".into());
    is_invalid(Kind::Signal, "confidence", "-0.1".into());
    is_invalid(Kind::Signal, "strategy", wide(129));
    is_invalid(Kind::Signal, "reasoning", wide(2049));
    is_invalid(Kind::Heartbeat, "status", "fine".into());
    is_invalid(Kind::Heartbeat, "component", wide(129));
}

#[test]
fn rejects_another_major_version_with_any_fields() {
    for version in ["2", "2.0", "0.9", "10.0", "v1.0", "11"] {
        let whole = with_text(Kind::Error, "version", version);
        let alone = json!({"version": version}).to_string();

        for event in [whole, alone] {
            assert_eq!(code(Kind::Error, &event), "UNSUPPORTED_VERSION", "{event}");
        }
    }
}

/// Returns a valid event with another field before its own.
fn inserted(text: &str) -> String {
    let good = example(Kind::OrderFilled).to_string();
    good.replacen('{', &format!("{{{text},"), 1)
}

fn deep(levels: usize) -> String {
    format!("\"x\":{}{}", "[".repeat(levels), "]".repeat(levels))
}

#[test]
fn rejects_json_that_the_database_cannot_store() {
    for text in [
        r#""event_id":"again""#.to_owned(),
        r#""\u0065vent_id":"again""#.to_owned(),
        r#""x":{"a":1,"a":1}"#.to_owned(),
        r#""x":"\u0000""#.to_owned(),
        r#""\u0000":1"#.to_owned(),
        r#""x":1e131071"#.to_owned(),
        r#""x":1e65"#.to_owned(),
        r#""x":1e-65"#.to_owned(),
        format!("\"x\":{}", "9".repeat(1_001)),
        format!("\"x\":0.{}", "1".repeat(1_000)),
        deep(32),
        deep(200),
        r#""$serde_json::private::Number":"1""#.to_owned(),
        r#""x":{"$serde_json::private::Number":"1"}"#.to_owned(),
        r#""x":{"$serde_json::private::RawValue":"1"}"#.to_owned(),
    ] {
        let found = code(Kind::OrderFilled, &inserted(&text));
        assert_eq!(found, "INVALID_INFO_STRUCTURE", "{text}");
    }

    assert!(parse_text(Kind::OrderFilled, &inserted(&deep(31))).is_ok());
}

#[test]
fn rejects_too_large_numbers_in_every_field() {
    let kind = Kind::OrderFilled;
    let metadata = with_literal(kind, "metadata", r#"{"a":{"b":[1e131071]}}"#);
    let amount = with_literal(kind, "amount", "1e65");

    assert_eq!(code(kind, &metadata), "INVALID_INFO_STRUCTURE");
    assert_eq!(code(kind, &amount), "INVALID_INFO_STRUCTURE");
}

#[test]
fn a_malformed_message_keeps_the_ids_that_identify_it() {
    let event = without(Kind::Error, "severity");

    let malformed = parse_value(Kind::Error, &event).expect_err("refused");

    assert_eq!(
        malformed.event_id.as_ref().map(EventId::as_str),
        Some("0190-1")
    );
    assert_eq!(malformed.user_id, Some(USER));
    assert_eq!(malformed.trading_id.expect("read").to_string(), TRADING);
}

/// Asserts that a payload is rejected and all of its ids are kept.
#[track_caller]
fn is_identified(payload: &str, expected: &str) {
    let subject = Kind::OrderFilled.subject_of(USER);
    let parsed = parse(&subject, payload.as_bytes(), BareSubjects::Accept);
    let malformed = parsed.expect_err(payload);

    assert_eq!(malformed.kind.code(), expected, "{payload}");
    let event_id = malformed.event_id.as_ref().map(EventId::as_str);
    assert_eq!(event_id, Some("0190-1"), "{payload}");
    assert_eq!(malformed.user_id, Some(USER), "{payload}");
    let trading_id = malformed.trading_id.map(|id| id.to_string());
    assert_eq!(trading_id.as_deref(), Some(TRADING), "{payload}");
}

#[test]
fn every_json_object_keeps_the_ids_that_identify_it() {
    for text in [
        r#""x":{"a":1,"a":1}"#.to_owned(),
        r#""event_id":"again""#.to_owned(),
        r#""x":"\u0000""#.to_owned(),
        r#""x":1e131071"#.to_owned(),
        format!("\"x\":{}", "9".repeat(1_001)),
        deep(200),
        deep(20_000),
        r#""x":{"$serde_json::private::Number":1}"#.to_owned(),
    ] {
        is_identified(&inserted(&text), "INVALID_INFO_STRUCTURE");
    }

    let long = inserted(&format!("\"x\":\"{}\"", "x".repeat(EVENT_BYTES_MAX)));
    is_identified(&long, "PAYLOAD_TOO_LARGE");
    let newer = with_text(Kind::OrderFilled, "version", "2.0");
    is_identified(&newer, "UNSUPPORTED_VERSION");
}

#[test]
fn an_invalid_event_id_is_not_kept() {
    let event = with(Kind::Error, "event_id", "é".into());

    let malformed = parse_value(Kind::Error, &event).expect_err("refused");

    assert_eq!(malformed.event_id, None);
}

/// Generates any JSON, with the field names of events among its keys.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    let names: Vec<&str> = Kind::ALL
        .into_iter()
        .flat_map(|kind| [required(kind), optional(kind)].concat())
        .collect();

    leaf.prop_recursive(4, 64, 8, move |inner| {
        let key = prop_oneof![
            prop::sample::select(names.clone()).prop_map(str::to_owned),
            ".{0,4}"
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(
        subject in ".{0,40}",
        kind in prop::sample::select(Kind::ALL.to_vec()),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        for subject in [subject, kind.subject_of(USER)] {
            prop_assert!(parse(&subject, &bytes, BareSubjects::Accept).is_err());
        }
    }

    #[test]
    fn arbitrary_json_never_panics(kind in prop::sample::select(Kind::ALL.to_vec()), value in any_json()) {
        prop_assert!(parse_value(kind, &value).is_err());
    }

    #[test]
    fn any_value_of_any_field_never_panics(
        kind in prop::sample::select(Kind::ALL.to_vec()),
        field in any::<prop::sample::Index>(),
        value in any_json(),
        cut in any::<prop::sample::Index>(),
    ) {
        let fields = [required(kind), optional(kind)].concat();
        let payload = with(kind, fields[field.index(fields.len())], value).to_string();
        if let Ok(event) = parse_text(kind, &payload) {
            prop_assert_eq!(event.kind, kind);
        }
        let cut = &payload.as_bytes()[..cut.index(payload.len())];
        prop_assert!(parse(&kind.subject_of(USER), cut, BareSubjects::Accept).is_err());
    }
}
