//! What is no event, and by which name it is put aside.

use super::*;
use crate::event::{EVENT_BYTES_MAX, MalformedKind};
use crate::value::EventId;
use proptest::prelude::*;

#[test]
fn what_is_no_json_object_is_told_as_such() {
    let good = example(Kind::Error).to_string();
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
    assert_eq!(code(Kind::Error, &good[..good.len() - 1]), "NOT_JSON");
    assert_eq!(code(Kind::Error, &format!("\u{feff}{good}")), "NOT_JSON");
    let broken = good.replace("executor", "\u{1}");
    assert_eq!(
        code(Kind::Error, &broken),
        "NOT_JSON",
        "a raw control character"
    );
    let latin1 = [b"{\"a\":\"".as_slice(), &[0xe9], b"\"}"].concat();
    let malformed =
        parse(&Kind::Error.subject_of(USER), &latin1, BareSubjects::Refuse).expect_err("refused");
    assert_eq!(malformed.kind.code(), "NOT_JSON");
    assert_eq!(malformed.user_id, Some(USER), "the subject's user is known");
    let lone_surrogate = good.replace("executor", r"\ud800");
    assert_eq!(code(Kind::Error, &lone_surrogate), "NOT_JSON");
}

#[test]
fn sixty_four_kilobytes_are_taken_and_one_byte_more_is_not() {
    let good = example(Kind::Error).to_string();
    let padded = |length: usize| format!("{good}{}", " ".repeat(length - good.len()));
    assert_eq!(EVENT_BYTES_MAX, 65_536);
    assert!(parse_text(Kind::Error, &padded(65_536)).is_ok());
    assert_eq!(code(Kind::Error, &padded(65_537)), "PAYLOAD_TOO_LARGE");
}

#[test]
fn every_required_field_is_missed_by_name() {
    for kind in Kind::ALL {
        for field in required(kind) {
            for event in [without(kind, field), with(kind, field, Value::Null)] {
                let malformed = parse_value(kind, &event).expect_err(field);
                assert_eq!(
                    malformed.kind,
                    MalformedKind::MissingField(field.to_owned()),
                    "{kind:?}"
                );
            }
        }
    }
    assert_eq!(
        MalformedKind::MissingField(String::new()).code(),
        "MISSING_FIELD"
    );
}

#[test]
fn every_field_of_a_wrong_type_is_named() {
    for kind in Kind::ALL {
        for field in [required(kind), optional(kind)].concat() {
            let is_object = matches!(field, "metadata" | "metrics" | "fill");
            let object = if is_object {
                "text".into()
            } else {
                json!({"a": 1})
            };
            for wrong in [json!(true), json!([1]), object] {
                let malformed =
                    parse_value(kind, &with(kind, field, wrong.clone())).expect_err(field);
                match malformed.kind {
                    MalformedKind::InvalidValue { field: named, .. } => {
                        assert_eq!(named, field, "{kind:?}")
                    }
                    other => panic!("{kind:?} {field} {wrong}: {other}"),
                }
            }
        }
    }
}

#[test]
fn values_beyond_their_limits_are_refused_by_name() {
    let wide = |characters| Value::from("é".repeat(characters));
    let wrong: Vec<(Kind, &'static str, Value)> = vec![
        (Kind::OrderCreated, "event_id", "x".repeat(129).into()),
        (Kind::OrderCreated, "event_id", "".into()),
        (Kind::OrderCreated, "event_id", "é".into()),
        (Kind::OrderCreated, "event_id", "a\nb".into()),
        (Kind::OrderCreated, "source", wide(129)),
        (Kind::OrderCreated, "source", "".into()),
        (Kind::OrderCreated, "timestamp", "2026-11-23 10:00".into()),
        (
            Kind::OrderCreated,
            "timestamp",
            "2026-02-30T10:00:00Z".into(),
        ),
        (
            Kind::OrderCreated,
            "timestamp",
            "2026-11-23T10:00:00".into(),
        ),
        (Kind::OrderCreated, "user_id", "somebody".into()),
        (Kind::OrderCreated, "trading_id", "".into()),
        (Kind::OrderCreated, "sub_account_id", "7".into()),
        (Kind::OrderCreated, "order_id", wide(129)),
        (Kind::OrderCreated, "order_id", "".into()),
        (Kind::OrderCreated, "symbol", "BTC".into()),
        (Kind::OrderCreated, "symbol", "BTC/USDT/X".into()),
        (Kind::OrderCreated, "symbol", "/USDT".into()),
        (Kind::OrderCreated, "symbol", "BTC/".into()),
        (Kind::OrderCreated, "symbol", "BT C/USDT".into()),
        (Kind::OrderCreated, "symbol", "BTÇ/USDT".into()),
        (
            Kind::OrderCreated,
            "symbol",
            format!("{}/USDT", "A".repeat(21)).into(),
        ),
        (Kind::OrderCreated, "side", "BUY".into()),
        (Kind::OrderCreated, "type", wide(129)),
        (Kind::OrderCreated, "status", wide(129)),
        (Kind::OrderCreated, "status", "".into()),
        (Kind::OrderCreated, "message", wide(2049)),
        (Kind::OrderCreated, "amount", "12,5".into()),
        (Kind::OrderCreated, "amount", "".into()),
        (Kind::OrderCreated, "price", "NaN".into()),
        (Kind::OrderFilled, "fill.stock_account_id", "7".into()),
        (Kind::OrderFilled, "fill.volume", "0x10".into()),
        (Kind::OrderFilled, "fill.fee", "9".repeat(41).into()),
        (Kind::OrderFilled, "fill.price", "1e65".into()),
        (Kind::OrderFilled, "fill.quote_amount", "1e-65".into()),
        (Kind::OrderFilled, "fill.reason", wide(51)),
        (Kind::BalanceUpdated, "symbol", "BTC/USDT".into()),
        (Kind::BalanceUpdated, "symbol", "A".repeat(21).into()),
        (Kind::BalanceUpdated, "direction", "in".into()),
        (Kind::BalanceUpdated, "reason", wide(51)),
        (Kind::BalanceUpdated, "reason", "".into()),
        (Kind::BalanceUpdated, "related_order_id", wide(129)),
        (Kind::BalanceUpdated, "related_order_id", "".into()),
        (Kind::Error, "error_code", wide(129)),
        (Kind::Error, "component", wide(129)),
        (Kind::Error, "severity", "fatal".into()),
        (Kind::Error, "error_message", wide(2049)),
        (Kind::Error, "stack_trace", "x".repeat(32 * 1024 + 1).into()),
        (Kind::Signal, "signal_type", "wait".into()),
        (Kind::Signal, "confidence", "1.000000000001".into()),
        (Kind::Signal, "confidence", "-0.1".into()),
        (Kind::Signal, "strategy", wide(129)),
        (Kind::Signal, "reasoning", wide(2049)),
        (Kind::Heartbeat, "status", "fine".into()),
        (Kind::Heartbeat, "component", wide(129)),
    ];
    for (kind, field, value) in wrong {
        match parse_value(kind, &with(kind, field, value.clone()))
            .expect_err(field)
            .kind
        {
            MalformedKind::InvalidValue { field: named, .. } => assert_eq!(named, field, "{value}"),
            other => panic!("{field} {value}: {other}"),
        }
    }
    assert_eq!(
        code(
            Kind::Heartbeat,
            &with(Kind::Heartbeat, "status", "fine".into()).to_string()
        ),
        "INVALID_VALUE"
    );
}

#[test]
fn another_major_version_is_unsupported_whatever_else_it_carries() {
    for version in ["2", "2.0", "0.9", "10.0", "v1.0", "11"] {
        let event = with(Kind::Error, "version", version.into());
        assert_eq!(
            code(Kind::Error, &event.to_string()),
            "UNSUPPORTED_VERSION",
            "{version}"
        );
        assert_eq!(
            code(Kind::Error, &json!({"version": version}).to_string()),
            "UNSUPPORTED_VERSION"
        );
    }
}

#[test]
fn json_the_database_would_fail_or_explode_on_is_refused() {
    let good = example(Kind::OrderFilled).to_string();
    let inserted = |text: &str| good.replacen('{', &format!("{{{text},"), 1);
    let deep = |levels: usize| format!("\"x\":{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(parse_text(Kind::OrderFilled, &inserted(&deep(31))).is_ok());
    for text in [
        r#""event_id":"again""#.to_owned(),
        r#""\u0065vent_id":"again""#.to_owned(),
        r#""x":{"a":1,"a":1}"#.to_owned(),
        r#""x":"\u0000""#.to_owned(),
        r#""\u0000":1"#.to_owned(),
        r#""x":1e131071"#.to_owned(),
        r#""x":1e65"#.to_owned(),
        r#""x":1e-65"#.to_owned(),
        format!("\"x\":{}", "9".repeat(41)),
        format!("\"x\":0.{}", "1".repeat(40)),
        deep(32),
        deep(200),
        r#""$serde_json::private::Number":"1""#.to_owned(),
        r#""x":{"$serde_json::private::Number":"1"}"#.to_owned(),
        r#""x":{"$serde_json::private::RawValue":"1"}"#.to_owned(),
    ] {
        assert_eq!(
            code(Kind::OrderFilled, &inserted(&text)),
            "INVALID_INFO_STRUCTURE",
            "{text}"
        );
    }
    let metadata = with_literal(Kind::OrderFilled, "metadata", r#"{"a":{"b":[1e131071]}}"#);
    assert_eq!(code(Kind::OrderFilled, &metadata), "INVALID_INFO_STRUCTURE");
    let amount = with_literal(Kind::OrderFilled, "amount", "1e65");
    assert_eq!(code(Kind::OrderFilled, &amount), "INVALID_INFO_STRUCTURE");
}

#[test]
fn what_could_be_read_helps_to_find_the_message_again() {
    let event = without(Kind::Error, "severity");
    let malformed = parse_value(Kind::Error, &event).expect_err("refused");
    assert_eq!(
        malformed.event_id.as_ref().map(EventId::as_str),
        Some("0190-1")
    );
    assert_eq!(malformed.user_id, Some(USER));
    assert_eq!(malformed.trading_id.expect("read").to_string(), TRADING);
    let bad_id = with(Kind::Error, "event_id", "é".into());
    assert_eq!(
        parse_value(Kind::Error, &bad_id)
            .expect_err("refused")
            .event_id,
        None
    );
}

/// Any JSON, with the field names of events among its keys.
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
    fn any_value_in_the_place_of_any_field_never_panics(
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
