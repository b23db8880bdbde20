//! The users of the HTTP load: each has tradings of a stock and a funded currency account, created by the API.

use crate::site::Bench;
use crate::stage::Database;
use anyhow::Result;
use serde::Deserialize;
use serde_json::json;
use tiris_tools::{ApiServer, EVENT_AMOUNT, Population};
use uuid::Uuid;

const USERS: u64 = 8;
const TRADINGS_PER_USER: u64 = 8;
/// More than all trades of a run cost.
const FUNDS: &str = "1000000000";

/// A trading with the token of its user.
#[derive(Clone, Debug)]
pub(crate) struct Trader {
    token: String,
    ids: TraderIds,
}

#[derive(Clone, Debug, sqlx::FromRow)]
struct TraderIds {
    user_id: Uuid,
    trading_id: Uuid,
    stock_id: Uuid,
    currency_id: Uuid,
}

#[derive(Deserialize)]
struct Created {
    id: Uuid,
}

pub(crate) async fn create(api: &ApiServer, database: &Database) -> Result<Vec<Trader>> {
    let mut traders = Vec::new();
    for user in 0..USERS {
        let token = api.token(&Population::email(user)).await?;
        let client = api.client(&token)?;
        for number in 0..TRADINGS_PER_USER {
            let new = json!({"name": format!("trader {number}"), "type": "paper", "sub_accounts": [
                {"name": "stock", "symbol": "ETH", "initial_deposit": EVENT_AMOUNT},
                {"name": "currency", "symbol": "BTC", "initial_deposit": FUNDS}]});
            let created: Created = client.post("/v1/tradings", &new).await?;

            let ids = sqlx::query_as(
                "SELECT t.user_id, t.id AS trading_id, s.id AS stock_id, c.id AS currency_id FROM tradings t \
                 JOIN sub_accounts s ON s.trading_id = t.id AND s.name = 'stock' \
                 JOIN sub_accounts c ON c.trading_id = t.id AND c.name = 'currency' WHERE t.id = $1",
            )
            .bind(created.id)
            .fetch_one(&database.pool)
            .await?;
            traders.push(Trader {
                token: token.clone(),
                ids,
            });
        }
    }
    Ok(traders)
}

/// Writes the file of the wrk scripts, one line for each trader, and returns its path.
pub(crate) fn write(traders: &[Trader], bench: &Bench) -> Result<String> {
    let line = |Trader { token, ids }: &Trader| {
        format!(
            "{token} {} {} {}\n",
            ids.trading_id, ids.stock_id, ids.currency_id
        )
    };
    let text: String = traders.iter().map(line).collect();
    let file = bench.stage.files().join("traders.txt");
    std::fs::write(&file, text)?;
    Ok(file.to_string_lossy().into_owned())
}

/// Creates the table `bench_traders` for pgbench, numbered from 1.
pub(crate) async fn store(traders: &[Trader], database: &Database) -> Result<()> {
    let ids = |id: fn(&TraderIds) -> Uuid| -> Vec<Uuid> {
        traders.iter().map(|trader| id(&trader.ids)).collect()
    };
    sqlx::query(
        "CREATE TABLE bench_traders (number bigint PRIMARY KEY, user_id uuid, trading_id uuid, stock_id uuid, currency_id uuid)",
    )
    .execute(&database.pool)
    .await?;

    sqlx::query(
        "INSERT INTO bench_traders (user_id, trading_id, stock_id, currency_id, number) \
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) WITH ORDINALITY",
    )
    .bind(ids(|ids| ids.user_id))
    .bind(ids(|ids| ids.trading_id))
    .bind(ids(|ids| ids.stock_id))
    .bind(ids(|ids| ids.currency_id))
    .execute(&database.pool)
    .await?;
    database.vacuum().await
}
