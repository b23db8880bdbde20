//! Every kind of bad event becomes a dead letter with its original bytes, its code and its class, and stops nobody.

use crate::world::World;
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tiris_domain::event::{BareSubjects, EVENT_BYTES_MAX, Kind};
use uuid::Uuid;

/// A bad message: subject, payload, and the code and class it must get.
struct Bad {
    subject: String,
    payload: Vec<u8>,
    code: &'static str,
    class: &'static str,
}

impl Bad {
    fn new(
        world: &World,
        kind: Kind,
        event: &Value,
        code: &'static str,
        class: &'static str,
    ) -> Self {
        let user = event["user_id"]
            .as_str()
            .and_then(|id| id.parse().ok())
            .unwrap_or(world.user);
        Self {
            subject: kind.subject_of(user),
            payload: event.to_string().into_bytes(),
            code,
            class,
        }
    }
}

fn malformed(world: &World) -> Vec<Bad> {
    let subject = Kind::BalanceUpdated.subject_of(world.user);
    let good = || world.credit(world.currency, "BTC", "1");
    let raw = |payload: Vec<u8>, code| Bad {
        subject: subject.clone(),
        payload,
        code,
        class: "malformed",
    };
    let changed = |change: &dyn Fn(&mut Value), code| {
        let mut event = good();
        change(&mut event);
        raw(event.to_string().into_bytes(), code)
    };
    let inserted = |text: &str| {
        let event = good().to_string();
        raw(
            format!("{},\"metadata\":{text}}}", event.trim_end_matches('}')).into_bytes(),
            "INVALID_INFO_STRUCTURE",
        )
    };
    let padded = |length: usize| {
        let mut bytes = good().to_string().into_bytes();
        bytes.resize(length, b' ');
        bytes
    };
    let foreign = Kind::BalanceUpdated.subject_of(Uuid::now_v7());
    let upper = format!(
        "{}.{}",
        Kind::BalanceUpdated.bare_subject(),
        world.user.to_string().to_uppercase()
    );
    vec![
        raw(b"not json".to_vec(), "NOT_JSON"),
        raw(b"[1]".to_vec(), "NOT_JSON"),
        raw(b"{\"a\":\"\xff\"}".to_vec(), "NOT_JSON"),
        raw(Vec::new(), "NOT_JSON"),
        raw(padded(EVENT_BYTES_MAX + 1), "PAYLOAD_TOO_LARGE"),
        raw(padded(120 * 1024), "PAYLOAD_TOO_LARGE"),
        changed(&|event| event["amount"] = Value::Null, "MISSING_FIELD"),
        changed(&|event| event["user_id"] = json!("nobody"), "INVALID_VALUE"),
        changed(&|event| event["amount"] = json!(true), "INVALID_VALUE"),
        changed(&|event| event["amount"] = json!("1,5"), "INVALID_VALUE"),
        changed(
            &|event| event["symbol"] = json!("A".repeat(21)),
            "INVALID_VALUE",
        ),
        changed(
            &|event| event["related_order_id"] = json!("o".repeat(129)),
            "INVALID_VALUE",
        ),
        changed(
            &|event| event["event_type"] = json!("trading.errors"),
            "INVALID_VALUE",
        ),
        changed(
            &|event| event["version"] = json!("2.0"),
            "UNSUPPORTED_VERSION",
        ),
        inserted(r#"{"a":1e131071}"#),
        inserted(&format!("[{}]", vec!["1e131071"; 1_800].join(","))),
        inserted(&format!("{{\"a\":{}}}", "9".repeat(41))),
        inserted(r#"{"a":1,"a":2}"#),
        inserted(r#"{"a":"x\u0000"}"#),
        inserted(r#"{"$serde_json::private::Number":"1"}"#),
        inserted(&format!("{}{}", "[".repeat(33), "]".repeat(33))),
        Bad {
            subject: foreign,
            ..raw(good().to_string().into_bytes(), "SUBJECT_MISMATCH")
        },
        Bad {
            subject: upper,
            ..raw(good().to_string().into_bytes(), "SUBJECT_MISMATCH")
        },
        Bad {
            subject: "trading.orders.vanished".into(),
            ..raw(good().to_string().into_bytes(), "UNKNOWN_SUBJECT")
        },
    ]
}

/// One event for every refusal of the ledger.
async fn refused(world: &World) -> Result<Vec<Bad>> {
    let [
        disabled,
        stranger,
        their_trading,
        their_account,
        early_trading,
    ] = std::array::from_fn(|_| Uuid::now_v7());
    world.add_user(disabled, "disabled").await?;
    sqlx::query("UPDATE users SET status = 'disabled' WHERE id = $1")
        .bind(disabled)
        .execute(world.pool())
        .await?;
    world.add_user(stranger, "stranger").await?;
    world.add_trading(stranger, their_trading).await?;
    world
        .add_account(stranger, their_trading, their_account, "BTC")
        .await?;
    // Of its own, because later events of a trading wait behind one that is tried again.
    world.add_trading(world.user, early_trading).await?;
    let credit = |change: &dyn Fn(&mut Value), code, class| {
        let mut event = world.credit(world.currency, "BTC", "1");
        change(&mut event);
        Bad::new(world, Kind::BalanceUpdated, &event, code, class)
    };
    let mut same = world.fill("1", "1", "0");
    same["fill"]["currency_account_id"] = json!(world.stock);
    same["symbol"] = json!("ETH/ETH");
    let unlock = json!({"sub_account_id": world.currency, "symbol": "BTC", "amount": "1"});
    let lock = json!({"sub_account_id": world.currency, "symbol": "BTC", "amount": "1000"});
    Ok(vec![
        credit(
            &|e| e["user_id"] = json!(Uuid::now_v7()),
            "UNKNOWN_USER",
            "unresolved",
        ),
        credit(
            &|e| e["user_id"] = json!(disabled),
            "USER_DISABLED",
            "unresolved",
        ),
        credit(
            &|e| e["trading_id"] = json!(Uuid::now_v7()),
            "UNKNOWN_TRADING",
            "unresolved",
        ),
        credit(
            &|e| {
                e["trading_id"] = json!(early_trading);
                e["sub_account_id"] = json!(Uuid::now_v7());
            },
            "UNKNOWN_SUB_ACCOUNT",
            "unresolved",
        ),
        credit(
            &|e| e["sub_account_id"] = json!(their_account),
            "OWNERSHIP_MISMATCH",
            "rejected",
        ),
        credit(
            &|e| e["symbol"] = json!("ETH"),
            "SYMBOL_MISMATCH",
            "rejected",
        ),
        Bad::new(world, Kind::OrderFilled, &same, "SAME_ACCOUNT", "rejected"),
        credit(&|e| e["amount"] = json!(0), "INVALID_AMOUNT", "rejected"),
        credit(&|e| e["amount"] = json!("-1"), "INVALID_AMOUNT", "rejected"),
        credit(
            &|e| e["amount"] = json!("0.1234567890123"),
            "TOO_MANY_DECIMALS",
            "rejected",
        ),
        credit(
            &|e| {
                e["amount"] = json!("1000");
                e["direction"] = json!("debit");
            },
            "INSUFFICIENT_BALANCE",
            "rejected",
        ),
        Bad::new(
            world,
            Kind::BalanceLocked,
            &world.with(Kind::BalanceLocked, lock),
            "INSUFFICIENT_BALANCE",
            "rejected",
        ),
        Bad::new(
            world,
            Kind::OrderFilled,
            &world.fill("1000", "1", "0"),
            "INSUFFICIENT_BALANCE",
            "rejected",
        ),
        Bad::new(
            world,
            Kind::BalanceUnlocked,
            &world.with(Kind::BalanceUnlocked, unlock),
            "UNLOCK_EXCEEDS_LOCKED",
            "rejected",
        ),
        credit(
            &|e| e["amount"] = json!("10000000000000000"),
            "AMOUNT_OUT_OF_RANGE",
            "rejected",
        ),
    ])
}

#[tokio::test]
async fn every_bad_event_is_kept_with_its_bytes_code_and_class_and_the_good_ones_go_on()
-> Result<()> {
    let world = World::new().await?;
    let mut bad = malformed(&world);
    bad.extend(refused(&world).await?);
    let mut expected = BTreeMap::new();
    for (number, message) in bad.iter().enumerate() {
        let (seq, _) = world
            .publish_bytes(&message.subject, message.payload.clone())
            .await?;
        expected.insert(
            i64::try_from(seq)?,
            (message.code, message.class, message.payload.clone()),
        );
        if number % 8 == 0 {
            world
                .send(
                    Kind::BalanceUpdated,
                    &world.credit(world.currency, "BTC", "0.01"),
                )
                .await?;
        }
    }
    let good = i64::try_from(bad.len().div_ceil(8))?;
    let letters = i64::try_from(bad.len())?;
    world
        .run_until("all letters and all good events", async || {
            world
                .expect_count("SELECT count(*) FROM dead_letters", letters)
                .await?;
            world
                .expect_count("SELECT count(*) FROM transactions", good)
                .await
        })
        .await?;
    type Row = (
        i64,
        String,
        String,
        Vec<u8>,
        String,
        i32,
        Option<String>,
        Option<Uuid>,
    );
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT stream_seq, code, class, payload, status, attempts, event_id, user_id FROM dead_letters",
    )
    .fetch_all(world.pool())
    .await?;
    for (seq, code, class, payload, status, attempts, event_id, user_id) in rows {
        let (wanted_code, wanted_class, wanted_payload) =
            expected.remove(&seq).expect("a message of ours, once");
        assert_eq!(
            (code.as_str(), class.as_str()),
            (wanted_code, wanted_class),
            "message {seq}"
        );
        assert_eq!(payload, wanted_payload);
        assert_eq!(status, "open");
        assert!(
            attempts == 0 || class == "unresolved",
            "{code} was tried again"
        );
        let parsed =
            code != "NOT_JSON" && code != "PAYLOAD_TOO_LARGE" && code != "INVALID_INFO_STRUCTURE";
        assert!(
            !parsed || (event_id.is_some() && user_id.is_some()),
            "{code} names neither event nor user"
        );
    }
    assert!(expected.is_empty());
    // The claims of refused events are marked, so that only a replay applies them; malformed ones claim nothing.
    let refused = letters - i64::try_from(malformed(&world).len())?;
    world
        .expect_count(
            "SELECT count(*) FROM processed_events WHERE outcome = 'dead'",
            refused,
        )
        .await?;
    world
        .expect_count(
            "SELECT count(*) FROM processed_events WHERE outcome = 'applied'",
            good,
        )
        .await
}

#[tokio::test]
async fn a_subject_without_a_user_is_taken_or_refused_as_configured() -> Result<()> {
    let world = World::new().await?;
    world
        .publish(
            Kind::BalanceUpdated.bare_subject(),
            &world.credit(world.currency, "BTC", "1"),
        )
        .await?;
    world
        .run_until("one posting", async || {
            world
                .expect_count("SELECT count(*) FROM transactions", 1)
                .await
        })
        .await?;
    world
        .publish(
            Kind::BalanceUpdated.bare_subject(),
            &world.credit(world.currency, "BTC", "1"),
        )
        .await?;
    let mut context = world.context();
    context.bare_subjects = BareSubjects::Refuse;
    world
        .run_with(context, "one letter", async || {
            world
                .expect_count(
                    "SELECT count(*) FROM dead_letters WHERE code = 'BARE_SUBJECT'",
                    1,
                )
                .await
        })
        .await?;
    assert_eq!(world.balance(world.currency).await?, "1");
    Ok(())
}

#[tokio::test]
async fn a_message_the_stream_does_not_take_is_refused_to_its_publisher() -> Result<()> {
    let world = World::new().await?;
    let subject = Kind::BalanceUpdated.subject_of(world.user);
    let refused = world.publish_bytes(&subject, vec![b' '; 129 * 1024]).await;
    ensure!(refused.is_err(), "129 KiB were taken");
    Ok(())
}
