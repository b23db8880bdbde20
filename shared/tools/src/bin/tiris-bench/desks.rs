//! Those who trade over HTTP: users, each with tradings of a stock and a funded currency account.
//!
//! Owns: making them by the API, and the file of them for the clients. Must not know: what they trade.

use crate::people::{AMOUNT, People};
use crate::stage::Database;
use anyhow::Result;
use serde::Deserialize;
use serde_json::json;
use std::path::{Path, PathBuf};
use tiris_tools::ApiServer;
use uuid::Uuid;

const USERS: u64 = 8;
const TRADINGS_PER_USER: u64 = 8;
/// More than all trades of a run take.
const FUNDS: &str = "1000000000";

/// A trading of somebody who is signed in.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    token: String,
    ids: DeskIds,
}

#[derive(Clone, Debug, sqlx::FromRow)]
struct DeskIds {
    user_id: Uuid,
    trading_id: Uuid,
    stock_id: Uuid,
    currency_id: Uuid,
}

#[derive(Deserialize)]
struct Made {
    id: Uuid,
}

/// Makes all of them.
pub(crate) async fn make(api: &ApiServer, database: &Database) -> Result<Vec<Desk>> {
    let mut desks = Vec::new();
    for user in 0..USERS {
        let token = api.token(&People::email(user)).await?;
        let client = api.client(&token)?;
        for number in 0..TRADINGS_PER_USER {
            let new = json!({"name": format!("desk {number}"), "type": "paper", "sub_accounts": [
                {"name": "stock", "symbol": "ETH", "initial_deposit": AMOUNT},
                {"name": "currency", "symbol": "BTC", "initial_deposit": FUNDS}]});
            let made: Made = client.post("/v1/tradings", &new).await?;

            let ids = sqlx::query_as(
                "SELECT t.user_id, t.id AS trading_id, s.id AS stock_id, c.id AS currency_id FROM tradings t \
                 JOIN sub_accounts s ON s.trading_id = t.id AND s.name = 'stock' \
                 JOIN sub_accounts c ON c.trading_id = t.id AND c.name = 'currency' WHERE t.id = $1",
            )
            .bind(made.id)
            .fetch_one(&database.pool)
            .await?;
            desks.push(Desk {
                token: token.clone(),
                ids,
            });
        }
    }
    Ok(desks)
}

/// Writes one line for each.
pub(crate) fn write(desks: &[Desk], folder: &Path) -> Result<PathBuf> {
    let line = |Desk { token, ids }: &Desk| {
        format!(
            "{token} {} {} {}\n",
            ids.trading_id, ids.stock_id, ids.currency_id
        )
    };
    let text: String = desks.iter().map(line).collect();
    let file = folder.join("desks.txt");
    std::fs::write(&file, text)?;
    Ok(file)
}

/// Makes a table of them for pgbench, numbered from 1; returns how many there are.
pub(crate) async fn store(desks: &[Desk], database: &Database) -> Result<usize> {
    let ids = |id: fn(&DeskIds) -> Uuid| -> Vec<Uuid> {
        desks.iter().map(|desk| id(&desk.ids)).collect()
    };
    sqlx::query(
        "CREATE TABLE bench_desks (number bigint PRIMARY KEY, user_id uuid, trading_id uuid, stock_id uuid, currency_id uuid)",
    )
    .execute(&database.pool)
    .await?;

    let stored = sqlx::query(
        "INSERT INTO bench_desks (user_id, trading_id, stock_id, currency_id, number) \
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) WITH ORDINALITY",
    )
    .bind(ids(|ids| ids.user_id))
    .bind(ids(|ids| ids.trading_id))
    .bind(ids(|ids| ids.stock_id))
    .bind(ids(|ids| ids.currency_id))
    .execute(&database.pool)
    .await?;
    database.settle().await?;
    Ok(usize::try_from(stored.rows_affected())?)
}
