//! Objects of every kind for the caller, so that every operation can succeed.

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::PgPool;
use std::fs;
use std::path::Path;
use tiris_domain::ids::new_id;
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_domain::states::DeadLetterClass;
use tiris_store::dead_letters::{NewLetter, insert};
use tiris_tools::{ApiClient, ApiServer};
use uuid::Uuid;

const TRADINGS: u64 = 3;
/// Empty accounts per trading: enough that some remain although the run deletes and uses them.
const EMPTY_ACCOUNTS: usize = 20;
const NOTES: usize = 20;
const DEAD_LETTERS: u64 = 20;
const ORDERS: i32 = 20;
const OTHERS: usize = 3;
/// Further sessions of the caller, which the run ends.
const SESSIONS: i32 = 20;

/// The queries of the dictionaries. Most objects last: real tradings with money, and their binding, cannot be deleted.
const DICTIONARIES: [(&str, &str); 9] = [
    ("tradings", "SELECT id::text FROM tradings"),
    ("sub_accounts", "SELECT id::text FROM sub_accounts"),
    (
        "holding_accounts",
        "SELECT DISTINCT sub_account_id::text FROM holds",
    ),
    ("held_orders", "SELECT DISTINCT order_id FROM holds"),
    ("orders", "SELECT id::text FROM orders"),
    (
        "notes",
        "SELECT id::text FROM trading_logs WHERE type = 'note'",
    ),
    ("dead_letters", "SELECT id::text FROM dead_letters"),
    ("others", "SELECT id::text FROM users WHERE role = 'user'"),
    (
        "sessions",
        "SELECT id::text FROM sessions WHERE user_agent IS NULL",
    ),
];

#[derive(Deserialize)]
struct Created {
    id: Uuid,
}

/// Creates the objects by the API, and by SQL those that only ingest creates; writes the dictionaries into `folder`.
pub(crate) async fn seed(api: &ApiServer, token: &str, pool: &PgPool, folder: &Path) -> Result<()> {
    let client = api.client(token)?;
    let me: Created = client.get("/v1/users/me").await?;
    for number in 0..OTHERS {
        api.token(&format!("other-{number}@fuzz.example")).await?;
    }
    let binding = json!({"name": "seed", "exchange_type": "kraken", "api_key": "key", "api_secret": "secret"});
    let binding: Created = client.post("/v1/exchange-bindings", &binding).await?;

    for number in 0..TRADINGS {
        let trading = create_trading(&client, number, binding.id).await?;
        let account = hold(pool, trading).await?;
        insert_orders(pool, trading).await?;
        for letter in 1..=DEAD_LETTERS {
            let seq = number * DEAD_LETTERS + letter;
            let letter = rejected_debit(seq, me.id, trading, account);
            insert(&mut *pool.acquire().await?, &[letter]).await?;
        }
    }

    insert_sessions(pool, me.id).await?;

    for (name, query) in DICTIONARIES {
        let values: Vec<String> = sqlx::query_scalar(query).fetch_all(pool).await?;
        let lines: String = values
            .iter()
            .map(|value| format!("\"{value}\"\n"))
            .collect();
        fs::write(folder.join(format!("{name}.dict")), lines)?;
    }
    Ok(())
}

/// Inserts sessions without a user agent, unlike that of the run.
async fn insert_sessions(pool: &PgPool, user: Uuid) -> Result<()> {
    let sessions = sqlx::query(
        "INSERT INTO sessions (id, user_id, expires_at) \
         SELECT gen_random_uuid(), $1, now() + interval '1 day' FROM generate_series(1, $2::int)",
    );
    sessions.bind(user).bind(SESSIONS).execute(pool).await?;
    Ok(())
}

async fn create_trading(client: &ApiClient, number: u64, binding: Uuid) -> Result<Uuid> {
    let mut accounts = vec![
        json!({"name": "stock", "symbol": "ETH", "initial_deposit": "1000"}),
        json!({"name": "currency", "symbol": "BTC", "initial_deposit": "1000"}),
    ];
    accounts.extend(
        (0..EMPTY_ACCOUNTS).map(|empty| json!({"name": format!("empty {empty}"), "symbol": "XRP"})),
    );
    let trading = json!({"name": format!("seed {number}"), "type": "real", "exchange_binding_id": binding,
                         "sub_accounts": accounts});
    let trading: Created = client.post("/v1/tradings", &trading).await?;

    let note =
        json!({"trading_id": trading.id, "type": "note", "source": "manual", "message": "a note"});
    for _ in 0..NOTES {
        client.post::<Value>("/v1/trading-logs", &note).await?;
    }
    Ok(trading.id)
}

/// Holds 1 on the BTC account of a trading for each of some orders, the first without a name; returns the account.
async fn hold(pool: &PgPool, trading: Uuid) -> Result<Uuid> {
    let account = sqlx::query_scalar(
        "WITH account AS (UPDATE sub_accounts SET locked = locked + $2::int \
                          WHERE trading_id = $1 AND symbol = 'BTC' RETURNING id) \
         INSERT INTO holds (sub_account_id, trading_id, order_id, amount) \
         SELECT id, $1, CASE WHEN n = 0 THEN '' ELSE n::text END, 1 FROM account, generate_series(0, $2::int - 1) AS n \
         RETURNING sub_account_id",
    );
    Ok(account.bind(trading).bind(ORDERS).fetch_one(pool).await?)
}

/// Inserts the orders that hold something on an account of a trading.
async fn insert_orders(pool: &PgPool, trading: Uuid) -> Result<()> {
    let orders = sqlx::query(
        "INSERT INTO orders (id, user_id, trading_id, order_id, ordinal, status, accounts, first_event_time, \
             last_event_time, created_at, updated_at) \
         SELECT gen_random_uuid(), s.user_id, s.trading_id, h.order_id, 0, 'unknown', ARRAY[s.id], now(), now(), now(), now() \
         FROM holds h JOIN sub_accounts s ON s.id = h.sub_account_id WHERE s.trading_id = $1 AND h.order_id <> ''",
    );
    orders.bind(trading).execute(pool).await?;
    Ok(())
}

fn rejected_debit(seq: u64, user: Uuid, trading: Uuid, account: Uuid) -> NewLetter {
    let event_id = new_id().to_string();
    let event = json!({"event_id": event_id, "event_type": "trading.balance.updated", "timestamp": "2026-01-02T03:04:05Z",
                       "user_id": user, "trading_id": trading, "sub_account_id": account, "symbol": "BTC",
                       "amount": "1", "direction": "debit", "reason": "trade", "source": "bot", "version": "1.0"});

    NewLetter {
        key: LaneKey {
            stream: EventStream::Trading,
            lane: 0,
        },
        stream_created_at: 1,
        stream_seq: seq,
        subject: format!("trading.balance.updated.0.{user}"),
        payload: event.to_string().into_bytes(),
        headers: json!({}),
        broker_time: None,
        event_id: Some(event_id),
        user_id: Some(user),
        trading_id: Some(trading),
        accounts: None,
        class: DeadLetterClass::Rejected,
        code: "INSUFFICIENT_BALANCE",
        reason: "seeded".to_owned(),
    }
}
