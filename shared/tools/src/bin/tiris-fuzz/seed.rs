//! Something of everything for the caller, so that every operation finds what it is about.
//!
//! Owns: what is made. Must not know: what will be asked.

use crate::api::Api;
use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use tiris_domain::ids::{AccountId, new_id};
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_domain::states::DeadLetterClass;
use tiris_store::dead_letters::{NewLetter, insert};
use uuid::Uuid;

const TRADINGS: i64 = 3;
/// Of each trading: what is deleted or used up on the way must not be the last.
const EMPTY_ACCOUNTS: usize = 20;
const NOTES: usize = 20;
const LETTERS: i64 = 20;
const ORDERS: i32 = 20;
const OTHERS: usize = 3;

/// What is there, by the name of its dictionary. Nothing in them is lost at once: real tradings with money, and their
/// binding, cannot be deleted.
const DICTIONARIES: [(&str, &str); 6] = [
    ("tradings", "SELECT id::text FROM tradings"),
    ("sub_accounts", "SELECT id::text FROM sub_accounts"),
    (
        "holding_accounts",
        "SELECT DISTINCT sub_account_id::text FROM holds",
    ),
    ("held_orders", "SELECT DISTINCT order_id FROM holds"),
    (
        "notes",
        "SELECT id::text FROM trading_logs WHERE type = 'note'",
    ),
    ("others", "SELECT id::text FROM users WHERE role = 'user'"),
];

/// Makes it by the API, and as ingest does where only ingest can; writes the dictionaries into `folder`.
pub(crate) async fn seed(api: &Api, token: &str, pool: &PgPool, folder: &Path) -> Result<()> {
    let me = api
        .ask(Method::GET, "/v1/users/me", token, &json!({}))
        .await?["id"]
        .clone();
    for number in 0..OTHERS {
        api.token(&format!("other-{number}@fuzz.example"), false)
            .await?;
    }
    let binding = json!({"name": "seed", "exchange_type": "kraken", "api_key": "key", "api_secret": "secret"});
    let binding = api
        .ask(Method::POST, "/v1/exchange-bindings", token, &binding)
        .await?["id"]
        .clone();
    for number in 0..TRADINGS {
        let trading = trading(api, token, number, &binding).await?;
        let account: Uuid = sqlx::query_scalar(
            "SELECT id FROM sub_accounts WHERE trading_id = $1 AND symbol = 'BTC'",
        )
        .bind(trading)
        .fetch_one(pool)
        .await?;
        hold(pool, AccountId(account)).await?;
        for letter in 0..LETTERS {
            put_aside(
                pool,
                number * LETTERS + letter + 1,
                &me,
                trading,
                AccountId(account),
            )
            .await?;
        }
    }
    for (name, query) in DICTIONARIES {
        let values: Vec<String> = sqlx::query_scalar(query).fetch_all(pool).await?;
        let mut lines = String::new();
        for value in values {
            writeln!(lines, "\"{value}\"")?;
        }
        fs::write(folder.join(format!("{name}.dict")), lines)?;
    }
    Ok(())
}

async fn trading(api: &Api, token: &str, number: i64, binding: &Value) -> Result<Uuid> {
    let mut accounts = vec![
        json!({"name": "stock", "symbol": "ETH", "initial_deposit": "1000"}),
        json!({"name": "currency", "symbol": "BTC", "initial_deposit": "1000"}),
    ];
    accounts.extend(
        (0..EMPTY_ACCOUNTS).map(|empty| json!({"name": format!("empty {empty}"), "symbol": "XRP"})),
    );
    let trading = json!({"name": format!("seed {number}"), "type": "real", "exchange_binding_id": binding,
                         "sub_accounts": accounts});
    let trading = api
        .ask(Method::POST, "/v1/tradings", token, &trading)
        .await?["id"]
        .clone();
    let note =
        json!({"trading_id": trading, "type": "note", "source": "manual", "message": "a note"});
    for _ in 0..NOTES {
        api.ask(Method::POST, "/v1/trading-logs", token, &note)
            .await?;
    }
    Ok(serde_json::from_value(trading)?)
}

/// Holds 1 for each of some orders; the first has no name.
async fn hold(pool: &PgPool, account: AccountId) -> Result<()> {
    for order in 0..ORDERS {
        let order = if order == 0 {
            String::new()
        } else {
            order.to_string()
        };
        sqlx::query("INSERT INTO holds (sub_account_id, order_id, amount) VALUES ($1, $2, 1)")
            .bind(account.0)
            .bind(order)
            .execute(pool)
            .await?;
    }
    sqlx::query("UPDATE sub_accounts SET locked = locked + $2 WHERE id = $1")
        .bind(account.0)
        .bind(ORDERS)
        .execute(pool)
        .await?;
    Ok(())
}

async fn put_aside(
    pool: &PgPool,
    seq: i64,
    user: &Value,
    trading: Uuid,
    account: AccountId,
) -> Result<()> {
    let event_id = new_id().to_string();
    let event = json!({"event_id": event_id, "event_type": "trading.balance.updated", "timestamp": "2026-01-02T03:04:05Z",
                       "user_id": user, "trading_id": trading, "sub_account_id": account.0, "symbol": "BTC",
                       "amount": "1", "direction": "debit", "reason": "trade", "source": "bot", "version": "1.0"});
    let letter = NewLetter {
        key: LaneKey {
            stream: EventStream::Trading,
            lane: 0,
        },
        stream_created_at: 1,
        stream_seq: u64::try_from(seq)?,
        subject: format!(
            "trading.balance.updated.0.{}",
            user.as_str().unwrap_or_default()
        ),
        payload: event.to_string().into_bytes(),
        headers: json!({}),
        broker_time: None,
        event_id: Some(event_id),
        user_id: serde_json::from_value(user.clone())?,
        trading_id: Some(trading),
        class: DeadLetterClass::Rejected,
        code: "INSUFFICIENT_BALANCE",
        reason: "seeded".to_owned(),
    };
    insert(&mut *pool.acquire().await?, &[letter]).await?;
    Ok(())
}
