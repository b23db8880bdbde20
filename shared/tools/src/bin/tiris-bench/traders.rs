//! The users of the HTTP load: each has tradings of a stock and a funded currency account, created by the API.

use crate::site::Bench;
use crate::stage::Database;
use anyhow::Result;
use serde_json::{Value, json};
use sqlx::Executor;
use tiris_tools::{ApiServer, EVENT_AMOUNT, Population};

const USERS: u64 = 8;
const TRADINGS_PER_USER: u64 = 8;
pub(crate) const TRADERS: u64 = USERS * TRADINGS_PER_USER;
/// More than all trades of a run cost.
const FUNDS: &str = "1000000000";
/// The traders for pgbench.
const TABLE: &str = "CREATE TABLE bench_traders AS \
     SELECT row_number() OVER () AS number, t.user_id, t.id AS trading_id, s.id AS stock_id, c.id AS currency_id \
     FROM tradings t JOIN sub_accounts s ON s.trading_id = t.id AND s.name = 'stock' \
     JOIN sub_accounts c ON c.trading_id = t.id AND c.name = 'currency'; \
     ALTER TABLE bench_traders ADD PRIMARY KEY (number)";

/// Creates the tradings, a table `bench_traders`, numbered from 1, and the file of the wrk scripts; returns its path.
pub(crate) async fn create(bench: &Bench, api: &ApiServer, database: &Database) -> Result<String> {
    let mut tokens = Vec::new();
    for user in 0..USERS {
        let token = api.token(&Population::email(user)).await?;
        let client = api.client(&token)?;
        for number in 0..TRADINGS_PER_USER {
            let new = json!({"name": format!("trader {number}"), "type": "paper", "sub_accounts": [
                {"name": "stock", "symbol": "ETH", "initial_deposit": EVENT_AMOUNT},
                {"name": "currency", "symbol": "BTC", "initial_deposit": FUNDS}]});
            client.post::<Value>("/v1/tradings", &new).await?;
        }
        tokens.push(token);
    }
    database.pool.execute(TABLE).await?;
    database.vacuum().await?;

    let mut text = String::new();
    for (user, token) in (0..).zip(tokens) {
        let lines: String = sqlx::query_scalar(
            "SELECT string_agg(concat_ws(' ', $1::text, trading_id, stock_id, currency_id) || E'\\n', '') \
             FROM bench_traders t JOIN users u ON u.id = t.user_id WHERE u.email = $2",
        )
        .bind(token)
        .bind(Population::email(user))
        .fetch_one(&database.pool)
        .await?;
        text += &lines;
    }
    let file = bench.stage.folder.path().join("traders.txt");
    std::fs::write(&file, text)?;
    Ok(file.to_string_lossy().into_owned())
}
