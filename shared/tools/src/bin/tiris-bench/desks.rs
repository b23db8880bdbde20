//! Those who trade over HTTP: users, each with tradings of a stock and a funded currency account.
//!
//! Owns: making them by the API, and the file of them for the clients. Must not know: what they trade.

use crate::api::Api;
use crate::people::{AMOUNT, People};
use crate::stage::Database;
use anyhow::{Context, Result};
use serde_json::json;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use uuid::Uuid;

const USERS: u64 = 8;
const TRADINGS_PER_USER: u64 = 8;
/// More than all trades of a run take.
const FUNDS: &str = "1000000000";

/// A trading of somebody who is signed in.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) token: String,
    pub(crate) user: Uuid,
    pub(crate) trading: Uuid,
    pub(crate) stock: Uuid,
    pub(crate) currency: Uuid,
}

/// Makes all of them.
pub(crate) async fn make(api: &Api, database: &Database) -> Result<Vec<Desk>> {
    let mut desks = Vec::new();
    for user in 0..USERS {
        let token = api.token(&People::email(user)).await?;
        for number in 0..TRADINGS_PER_USER {
            let new = json!({"name": format!("desk {number}"), "type": "paper", "sub_accounts": [
                {"name": "stock", "symbol": "ETH", "initial_deposit": AMOUNT},
                {"name": "currency", "symbol": "BTC", "initial_deposit": FUNDS}]});
            let made = api.post("/v1/tradings", &token, &new).await?;
            let trading: Uuid = made["id"]
                .as_str()
                .context("a trading without id")?
                .parse()?;
            let (user, stock, currency) = sqlx::query_as(
                "SELECT t.user_id, s.id, c.id FROM tradings t JOIN sub_accounts s ON s.trading_id = t.id AND s.name = 'stock' \
                 JOIN sub_accounts c ON c.trading_id = t.id AND c.name = 'currency' WHERE t.id = $1",
            )
            .bind(trading)
            .fetch_one(&database.pool)
            .await?;
            desks.push(Desk {
                token: token.clone(),
                user,
                trading,
                stock,
                currency,
            });
        }
    }
    Ok(desks)
}

/// One line for each.
pub(crate) fn write(desks: &[Desk], folder: &Path) -> Result<PathBuf> {
    let mut text = String::new();
    for desk in desks {
        writeln!(
            text,
            "{} {} {} {}",
            desk.token, desk.trading, desk.stock, desk.currency
        )?;
    }
    let file = folder.join("desks.txt");
    std::fs::write(&file, text)?;
    Ok(file)
}

/// A table of them for pgbench, numbered from 1; answers how many there are.
pub(crate) async fn store(desks: &[Desk], database: &Database) -> Result<usize> {
    let ids = |id: fn(&Desk) -> Uuid| -> Vec<Uuid> { desks.iter().map(id).collect() };
    sqlx::query(
        "CREATE TABLE bench_desks (number bigint PRIMARY KEY, user_id uuid, trading_id uuid, stock_id uuid, currency_id uuid)",
    )
    .execute(&database.pool)
    .await?;
    let stored = sqlx::query(
        "INSERT INTO bench_desks (user_id, trading_id, stock_id, currency_id, number) \
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) WITH ORDINALITY",
    )
    .bind(ids(|desk| desk.user))
    .bind(ids(|desk| desk.trading))
    .bind(ids(|desk| desk.stock))
    .bind(ids(|desk| desk.currency))
    .execute(&database.pool)
    .await?;
    database.settle().await?;
    Ok(usize::try_from(stored.rows_affected())?)
}
