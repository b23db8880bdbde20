//! Random messages of every kind, most of them valid, with few ids and amounts, so that they interact.

use super::cast::{
    ACTIVE, BNB, BNB_PAIR, BTC, BTC_PAIR, DELETED_TRADING, DELETED_USER, DISABLED,
    DISABLED_TRADING, ELSEWHERE, FOREIGN, NO_ACCOUNT, NO_TRADING, NO_USER, OTHER_TRADING, TRADING,
    USDT, symbol_of,
};
use super::orders::any_order_event;
use super::stories::any_story;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::fmt;
use uuid::Uuid;

#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) subject: String,
    pub(super) payload: Vec<u8>,
}

/// The subject, and the beginning of the payload.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.payload[..self.payload.len().min(1000)];
        write!(f, "{}: {}", self.subject, String::from_utf8_lossy(shown))
    }
}

/// The type of an event, and the fields of that type.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub(super) kind: &'static str,
    pub(super) fields: Value,
}

pub(super) fn pick<T: Clone + fmt::Debug + 'static>(
    weighted: &[(u32, T)],
) -> impl Strategy<Value = T> + use<T> {
    prop::strategy::Union::new_weighted(
        weighted
            .iter()
            .map(|(weight, value)| (*weight, Just(value.clone())))
            .collect(),
    )
}

/// Generates an amount as a JSON number or string, of sizes near each other and near the limits.
pub(super) fn any_amount() -> impl Strategy<Value = Value> {
    let small = (1u32..3_000, 0usize..4).prop_map(|(digits, places)| format!("{digits}e-{places}"));
    let odd = prop::sample::select(vec![
        "0",
        "-1",
        "1e-18",
        "1e-19",
        "5e-19",
        "15e-19",
        "0.3000000000000000444",
        "0.041427214681599996",
        "99999999999999999999.999999999999999999",
        "99999999999999999000",
        "1e20",
        "1e64",
        "-1e64",
        "1e-64",
        "1000000.000000003002994",
    ]);

    let number = prop_oneof![14 => small, 2 => odd.prop_map(str::to_owned)];
    (number, any::<bool>()).prop_map(|(text, quoted)| {
        if quoted {
            Value::from(text)
        } else {
            serde_json::from_str(&text).expect("a number")
        }
    })
}

pub(super) fn any_account() -> impl Strategy<Value = Uuid> {
    pick(&[
        (20, BTC),
        (60, USDT),
        (20, BNB),
        (1, ELSEWHERE),
        (1, FOREIGN),
        (1, NO_ACCOUNT),
    ])
}

fn any_order() -> impl Strategy<Value = Value> {
    pick(&[
        (2, Value::Null),
        (3, "A".into()),
        (3, "B".into()),
        (2, "C".into()),
    ])
}

/// Generates the pair that a change of a balance names, if any.
fn any_order_symbol() -> impl Strategy<Value = Value> {
    pick(&[
        (6, Value::Null),
        (4, BTC_PAIR.into()),
        (3, BNB_PAIR.to_lowercase().into()),
        (1, "ETH/USDT".into()),
        (1, "ETH".into()),
    ])
}

fn any_balance_event() -> impl Strategy<Value = Own> {
    let kind = pick(&[
        (5, "trading.balance.updated"),
        (4, "trading.balance.locked"),
        (3, "trading.balance.unlocked"),
    ]);
    let direction = pick(&[(1, "credit"), (1, "debit")]);
    let mistaken = pick(&[(40, false), (1, true)]);
    let symbol = (any_account(), mistaken);
    let amounts = (any_amount(), any_amount());
    let expiry = pick(&[
        (6, Value::Null),
        (2, "2026-11-23T11:00:00+01:00".into()),
        (1, "tomorrow".into()),
    ]);
    let order = (any_order(), any_order_symbol(), expiry);

    (kind, symbol, direction, amounts, order).prop_map(
        |(kind, (account, mistaken), direction, (amount, belief), (order, order_symbol, expiry))| {
            let symbol = if mistaken { "XRP" } else { symbol_of(account) };
            let mut fields = json!({
                "sub_account_id": account, "symbol": symbol.to_lowercase(), "amount": amount, "related_order_id": order,
                "order_symbol": order_symbol,
            });
            if kind == "trading.balance.updated" {
                fields["direction"] = direction.into();
                fields["reason"] = "funding".into();
                fields["new_balance"] = belief;
            } else {
                fields["expires_at"] = expiry;
            }
            Own { kind, fields }
        },
    )
}

/// Adds the fields of `more`.
pub(super) fn extend(object: &mut Value, more: Value) {
    for (name, value) in more.as_object().expect("an object") {
        object[name] = value.clone();
    }
}

fn any_system_event() -> impl Strategy<Value = Own> {
    let account = pick(&[(1, Value::Null), (1, json!(USDT)), (1, json!(ELSEWHERE))]);

    (0..3, account).prop_map(|(kind, account)| match kind {
        0 => Own {
            kind: "trading.errors",
            fields: json!({
                "sub_account_id": account, "error_code": "E1", "error_message": "no", "severity": "low", "component": "x",
            }),
        },
        1 => Own {
            kind: "trading.signals",
            fields: json!({
                "sub_account_id": account, "signal_type": "buy", "symbol": "BTC/USDT", "confidence": "0.5", "strategy": "x",
            }),
        },
        _ => Own {
            kind: "trading.heartbeat",
            fields: json!({"status": "healthy", "component": "x"}),
        },
    })
}

/// A way to break a valid message, if any.
#[derive(Clone, Copy, Debug)]
enum Damage {
    None,
    Field(usize, usize),
    Truncated(usize),
    Inserted(&'static str),
    Subject(&'static str),
    TooLong,
}

fn any_damage() -> impl Strategy<Value = Damage> {
    let inserted = prop::sample::select(vec![
        r#""event_id":"twice""#,
        r#""\u0065vent_id":"twice""#,
        r#""x":1e131071"#,
        r#""x":"\u0000""#,
        r#""x":"\ud83d\ude00\ud800""#,
        r#""x":"\ud83d\ude00 \/ \b""#,
        r#""x":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"#,
        r#""x":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"#,
        r#""$serde_json::private::Number":"1""#,
        r#""x":01"#,
        r#""x": [ ] , "y" : { } , "z":-0.0e-00"#,
        r#""message":"other words""#,
        r#""metadata":{"run":2}"#,
    ]);
    let subject = prop::sample::select(vec![
        "trading.errors",
        "trading.orders.placed.x",
        "x",
        ".SHOUT",
    ]);

    prop_oneof![
        30 => Just(Damage::None),
        3 => (any::<usize>(), any::<usize>()).prop_map(|(field, with)| Damage::Field(field, with)),
        1 => any::<usize>().prop_map(Damage::Truncated),
        2 => inserted.prop_map(Damage::Inserted),
        1 => subject.prop_map(Damage::Subject),
        1 => Just(Damage::TooLong),
    ]
}

/// Replaces one field, or one field of the fill.
fn replace_field(event: &mut Map<String, Value>, at: usize, with: usize) {
    let replacements = [
        None,
        Some(Value::Null),
        Some(json!(true)),
        Some(json!("")),
        Some(json!("é".repeat(129))),
        Some(json!({})),
        Some(json!("2")),
        Some(json!("1.5")),
        Some(json!(USDT.to_string().to_uppercase())),
    ];
    let object = match event.get_mut("fill").and_then(Value::as_object_mut) {
        Some(fill) if at.is_multiple_of(2) => fill,
        _ => event,
    };

    let name = object
        .keys()
        .nth(at / 2 % object.len())
        .expect("in range")
        .clone();
    match &replacements[with % replacements.len()] {
        None => drop(object.shift_remove(&name)),
        Some(value) => drop(object.insert(name, value.clone())),
    }
}

fn any_message() -> impl Strategy<Value = Message> {
    let event =
        prop_oneof![5 => any_balance_event(), 5 => any_order_event(), 1 => any_system_event()];
    let user = pick(&[(60, ACTIVE), (1, DISABLED), (1, NO_USER), (1, DELETED_USER)]);
    let trading = pick(&[
        (60, TRADING),
        (1, OTHER_TRADING),
        (1, DISABLED_TRADING),
        (1, NO_TRADING),
        (1, DELETED_TRADING),
    ]);

    (event, user, trading, 0..400, any_damage()).prop_map(|(own, user, trading, number, damage)| {
        let event = with_common_fields(&format!("event-{number}"), user, trading, &own);
        publish(own.kind, user, event, damage)
    })
}

/// Returns the complete event.
fn with_common_fields(event_id: &str, user: Uuid, trading: Uuid, own: &Own) -> Value {
    let mut event = json!({
        "event_id": event_id, "event_type": own.kind, "timestamp": "2026-11-23T10:00:00Z",
        "user_id": user, "trading_id": trading, "source": "tiris-bot", "version": "1.0",
    });
    extend(&mut event, own.fields.clone());
    event
}

/// Returns the valid message of an event of the active user.
pub(super) fn valid(event_id: &str, own: &Own) -> Message {
    let event = with_common_fields(event_id, ACTIVE, TRADING, own);
    publish(own.kind, ACTIVE, event, Damage::None)
}

/// Returns the message of an event, damaged in this way.
fn publish(kind: &str, user: Uuid, mut event: Value, damage: Damage) -> Message {
    if let Damage::Field(at, with) = damage {
        replace_field(event.as_object_mut().expect("an object"), at, with);
    }

    let mut payload = serde_json::to_vec(&event).expect("JSON");
    let mut subject = format!("{kind}.{user}");

    match damage {
        Damage::None | Damage::Field(..) => {}
        Damage::Truncated(length) => payload.truncate(length % payload.len()),
        Damage::Inserted(text) => drop(payload.splice(1..1, format!("{text},").into_bytes())),
        Damage::Subject(".SHOUT") => {
            subject = format!("{kind}.{}", user.to_string().to_uppercase());
        }
        Damage::Subject(other) => other.clone_into(&mut subject),
        Damage::TooLong => payload.resize(65_537, b' '),
    }

    Message { subject, payload }
}

/// Generates batches of messages: single ones, the stories of whole orders, and some that are published twice.
pub(super) fn any_run() -> impl Strategy<Value = Vec<Vec<Message>>> {
    let single = any_message().prop_map(|message| vec![message]);
    let step = prop_oneof![16 => single, 1 => any_story()];
    let again = prop::option::weighted(0.15, any::<prop::sample::Index>());
    let steps = prop::collection::vec((step, again), 1..120);

    (steps, prop::collection::vec(1usize..30, 240)).prop_map(|(drawn, sizes)| {
        let mut messages: Vec<Message> = Vec::new();
        for (step, again) in drawn {
            let earlier = again
                .filter(|_| !messages.is_empty())
                .map(|index| messages[index.index(messages.len())].clone());
            messages.extend(step);
            messages.extend(earlier);
        }

        let mut rest = messages.into_iter();
        let batches = sizes
            .into_iter()
            .map(|size| rest.by_ref().take(size).collect());
        batches
            .take_while(|batch: &Vec<Message>| !batch.is_empty())
            .collect()
    })
}
