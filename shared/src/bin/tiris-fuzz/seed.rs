//! Something of everything for the caller, so that every operation finds what it is about.
//!
//! Owns: what is made. Must not know: what will be asked.

use crate::api::Api;
use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;
use tiris_shared::ids::{AccountId, new_id};
use tiris_shared::store::dead_letters::{Cause, Class, NewLetter, insert};
use uuid::Uuid;

/// Of each kind: what is deleted and used up on the way must not be the last.
const TRADINGS: i64 = 10;
const LETTERS_PER_TRADING: i64 = 5;

/// Makes it by the API, and as ingest does where only ingest can.
pub(crate) async fn seed(api: &Api, token: &str, pool: &PgPool) -> Result<()> {
    let me: Value = api.ask(Method::GET, "/v1/users/me", token, &json!({})).await?;
    for number in 0..TRADINGS {
        let trading = json!({"name": format!("seed {number}"), "type": "paper", "sub_accounts": [
            {"name": "stock", "symbol": "ETH", "initial_deposit": "1000"},
            {"name": "currency", "symbol": "BTC", "initial_deposit": "1000"},
            {"name": "empty", "symbol": "XRP"},
        ]});
        let trading = api.ask(Method::POST, "/v1/tradings", token, &trading).await?["id"].clone();
        let note = json!({"trading_id": trading, "type": "note", "source": "manual", "message": "a note"});
        api.ask(Method::POST, "/v1/trading-logs", token, &note).await?;
        let binding = json!({"name": format!("seed {number}"), "exchange_type": "kraken",
                             "api_key": format!("key-{number}"), "api_secret": "secret"});
        api.ask(Method::POST, "/v1/exchange-bindings", token, &binding).await?;
        let trading: Uuid = serde_json::from_value(trading)?;
        let account: AccountId =
            sqlx::query_scalar("SELECT id FROM sub_accounts WHERE trading_id = $1 AND symbol = 'BTC'")
                .bind(trading)
                .fetch_one(pool)
                .await?;
        hold(pool, account).await?;
        for letter in 0..LETTERS_PER_TRADING {
            let seq = number * LETTERS_PER_TRADING + letter + 1;
            put_aside(pool, seq, &me["id"], trading, account).await?;
        }
    }
    Ok(())
}

async fn hold(pool: &PgPool, account: AccountId) -> Result<()> {
    sqlx::query("INSERT INTO holds (sub_account_id, order_id, amount) VALUES ($1, '', 1), ($1, '42', 1)")
        .bind(account)
        .execute(pool)
        .await?;
    sqlx::query("UPDATE sub_accounts SET locked = locked + 2 WHERE id = $1")
        .bind(account)
        .execute(pool)
        .await?;
    Ok(())
}

async fn put_aside(pool: &PgPool, seq: i64, user: &Value, trading: Uuid, account: AccountId) -> Result<()> {
    let event_id = new_id().to_string();
    let event = json!({"event_id": event_id, "event_type": "trading.balance.updated", "timestamp": "2026-01-02T03:04:05Z",
                       "user_id": user, "trading_id": trading, "sub_account_id": account.0, "symbol": "BTC",
                       "amount": "1", "direction": "debit", "reason": "trade", "source": "bot", "version": "1.0"});
    let letter = NewLetter {
        stream: "TRADING".to_owned(),
        lane: 0,
        stream_created_at: 1,
        stream_seq: seq,
        subject: format!("trading.balance.updated.0.{}", user.as_str().unwrap_or_default()),
        payload: event.to_string().into_bytes(),
        headers: json!({}),
        broker_time: None,
        event_id: Some(event_id),
        user_id: serde_json::from_value(user.clone())?,
        trading_id: Some(trading),
        cause: Cause { class: Class::Rejected, code: "INSUFFICIENT_BALANCE", reason: "seeded".to_owned() },
    };
    insert(&mut *pool.acquire().await?, &[letter]).await?;
    Ok(())
}
