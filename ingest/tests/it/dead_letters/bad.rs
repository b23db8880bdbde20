//! A bad message for every code of a dead letter.

use crate::world::{Account, World};
use anyhow::Result;
use serde_json::{Value, json};
use tiris_domain::event::{EVENT_BYTES_MAX, Kind};
use uuid::Uuid;

/// A bad message, with the code and class of its dead letter.
pub(super) struct Bad {
    pub(super) subject: String,
    pub(super) payload: Vec<u8>,
    pub(super) code: &'static str,
    pub(super) class: &'static str,
}

impl Bad {
    /// Returns the user in the subject.
    pub(super) fn publisher(&self) -> Option<Uuid> {
        let last = self.subject.rsplit('.').next()?;
        Uuid::try_parse(last).ok()
    }
}

/// Returns a valid credit with another value of one field.
fn credit_with(world: &World, field: &str, value: Value) -> Value {
    let mut event = world.btc_credit("1");
    event[field] = value;
    event
}

pub(super) fn malformed(world: &World) -> Vec<Bad> {
    [
        no_objects(world),
        wrong_fields(world),
        wrong_metadata(world),
        wrong_subjects(world),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn of_payload(world: &World, payload: impl Into<Vec<u8>>, code: &'static str) -> Bad {
    Bad {
        subject: world.subject(),
        payload: payload.into(),
        code,
        class: "malformed",
    }
}

fn no_objects(world: &World) -> Vec<Bad> {
    let padded = |length: usize| {
        let mut bytes = world.btc_credit("1").to_string().into_bytes();
        bytes.resize(length, b' ');
        of_payload(world, bytes, "PAYLOAD_TOO_LARGE")
    };
    vec![
        of_payload(world, "not json", "NOT_JSON"),
        of_payload(world, "[1]", "NOT_JSON"),
        of_payload(world, b"{\"a\":\"\xff\"}", "NOT_JSON"),
        of_payload(world, "", "NOT_JSON"),
        padded(EVENT_BYTES_MAX + 1),
        padded(67 * 1024),
    ]
}

fn wrong_fields(world: &World) -> Vec<Bad> {
    let wrong = |field: &str, value: Value, code| {
        let event = credit_with(world, field, value);
        of_payload(world, event.to_string(), code)
    };
    let invalid = |field: &str, value: Value| wrong(field, value, "INVALID_VALUE");
    vec![
        wrong("amount", Value::Null, "MISSING_FIELD"),
        invalid("user_id", json!("not-a-uuid")),
        invalid("amount", json!(true)),
        invalid("amount", json!("1,5")),
        invalid("symbol", json!("币".repeat(65))),
        invalid("timestamp", json!("9999-12-31T23:59:59-12:00")),
        invalid("timestamp", json!("0000-01-01T00:00:00+12:00")),
        invalid("related_order_id", json!("o".repeat(129))),
        invalid("event_type", json!("trading.errors")),
        wrong("version", json!("2.0"), "UNSUPPORTED_VERSION"),
    ]
}

fn wrong_metadata(world: &World) -> Vec<Bad> {
    let wrong = |metadata: &str| {
        let event = world.btc_credit("1").to_string();
        let event = format!("{},\"metadata\":{metadata}}}", event.trim_end_matches('}'));
        of_payload(world, event, "INVALID_INFO_STRUCTURE")
    };
    vec![
        wrong(r#"{"a":1e131071}"#),
        wrong(&format!("[{}]", vec!["1e131071"; 1_800].join(","))),
        wrong(&format!("{{\"a\":{}}}", "9".repeat(1_001))),
        wrong(r#"{"a":1,"a":2}"#),
        wrong(r#"{"a":"x\u0000"}"#),
        wrong(r#"{"$serde_json::private::Number":"1"}"#),
        wrong(&format!("{}{}", "[".repeat(33), "]".repeat(33))),
    ]
}

fn wrong_subjects(world: &World) -> Vec<Bad> {
    let wrong = |subject: String, code| Bad {
        subject,
        ..of_payload(world, world.btc_credit("1").to_string(), code)
    };
    let foreign = Kind::BalanceUpdated.subject_of(Uuid::now_v7());
    let bare = Kind::BalanceUpdated.bare_subject();
    let upper = format!("{bare}.{}", world.user.to_string().to_uppercase());
    vec![
        wrong(foreign, "SUBJECT_MISMATCH"),
        wrong(upper, "SUBJECT_MISMATCH"),
        wrong(format!("{bare}.mallory"), "SUBJECT_MISMATCH"),
        wrong("trading.orders.vanished".to_owned(), "UNKNOWN_SUBJECT"),
        wrong(
            Kind::OrderCreated.bare_subject().to_owned(),
            "INVALID_VALUE",
        ),
    ]
}

/// Returns an event for every refusal of the ledger.
pub(super) async fn refused(world: &World) -> Result<Vec<Bad>> {
    let mut bad = unresolved(world).await?;
    bad.extend(rejected(world).await?);
    Ok(bad)
}

/// Returns a bad event on the subject of its user.
fn of_event(event: &Value, code: &'static str, class: &'static str) -> Bad {
    let text = |field: &str| event[field].as_str().expect("a text").to_owned();
    Bad {
        subject: format!("{}.{}", text("event_type"), text("user_id")),
        payload: event.to_string().into_bytes(),
        code,
        class,
    }
}

async fn unresolved(world: &World) -> Result<Vec<Bad>> {
    let disabled = Uuid::now_v7();
    world.add_user(disabled, "disabled").await?;
    sqlx::query("UPDATE users SET status = 'disabled' WHERE id = $1")
        .bind(disabled)
        .execute(world.pool())
        .await?;
    let unresolved = |field: &str, value: Uuid, code| {
        of_event(&credit_with(world, field, json!(value)), code, "unresolved")
    };
    let no_account = credit_with(world, "sub_account_id", json!(Uuid::now_v7()));
    // Of an account of its own, because later events of an account wait behind one that is retried.
    let mut no_trading = credit_with(world, "sub_account_id", json!(Uuid::now_v7()));
    no_trading["trading_id"] = json!(Uuid::now_v7());
    Ok(vec![
        unresolved("user_id", Uuid::now_v7(), "UNKNOWN_USER"),
        unresolved("user_id", disabled, "USER_DISABLED"),
        of_event(&no_trading, "UNKNOWN_TRADING", "unresolved"),
        of_event(&no_account, "UNKNOWN_SUB_ACCOUNT", "unresolved"),
    ])
}

/// Creates an account of another user.
async fn foreign_account(world: &World) -> Result<Uuid> {
    let account = Account {
        user: Uuid::now_v7(),
        trading: Uuid::now_v7(),
        id: Uuid::now_v7(),
        symbol: "BTC",
    };
    let id = account.id;
    world.add_user(account.user, "stranger").await?;
    world.add_trading(account.user, account.trading).await?;
    world.add_account(account).await?;
    Ok(id)
}

async fn rejected(world: &World) -> Result<Vec<Bad>> {
    let theirs = foreign_account(world).await?;
    let mut same = world.fill("1", "1");
    same["fill"]["currency_account_id"] = json!(world.stock);
    same["symbol"] = json!("ETH/ETH");
    let mut unlock = world.lock("1");
    unlock["event_type"] = json!(Kind::BalanceUnlocked.bare_subject());

    let event = |event: &Value, code| of_event(event, code, "rejected");
    let credit = |field: &str, value: Value, code| event(&credit_with(world, field, value), code);
    let amount = |value: Value, code| credit("amount", value, code);
    Ok(vec![
        credit("sub_account_id", json!(theirs), "OWNERSHIP_MISMATCH"),
        credit("symbol", json!("ETH"), "SYMBOL_MISMATCH"),
        event(&same, "SAME_ACCOUNT"),
        amount(json!(0), "INVALID_AMOUNT"),
        amount(json!("-1"), "INVALID_AMOUNT"),
        amount(json!("1e-19"), "INVALID_AMOUNT"),
        event(&world.btc_debit("1000"), "INSUFFICIENT_BALANCE"),
        event(&world.lock("1000"), "INSUFFICIENT_BALANCE"),
        event(&world.fill("1000", "1"), "INSUFFICIENT_BALANCE"),
        event(&unlock, "UNLOCK_EXCEEDS_LOCKED"),
        amount(json!("100000000000000000000"), "AMOUNT_OUT_OF_RANGE"),
    ])
}
