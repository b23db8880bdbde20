//! Bounded answers: pages by rows and bytes, chosen fields, and quotas.

pub(crate) mod held;
mod memory;
mod quotas;
mod turns;

use crate::world::{User, World, begin_before_this_month, text};
use serde_json::{Value, json};
use sqlx::PgPool;
use std::collections::BTreeSet;

/// The largest answer: the rows of a page and its envelope.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024 + 64 * 1024;
/// Rows of a test list, more than a page has without a limit.
const MANY: i32 = 1_003;

/// Keys of the free JSON of large rows: as many as cost the most to parse.
const MANY_KEYS: i32 = 4_000;
/// Keys of large rows that are cheap to insert and to parse.
pub(crate) const FEW_KEYS: i32 = 16;

/// Inserts logs with transactions whose free JSON has 60 KiB in $3 keys, as earlier versions took them from bots.
const LARGE_ROWS: &str = "WITH large AS (SELECT jsonb_object_agg('k' || k, repeat('x', 60000 / $3 - 12)) AS info \
        FROM generate_series(1, $3) AS k), \
    log AS (INSERT INTO trading_logs (id, timestamp, user_id, trading_id, sub_account_id, event_time, type, source, info) \
        SELECT gen_random_uuid(), now() - n * interval '1 second', a.user_id, a.trading_id, a.id, now(), 'x', 'bot', large.info \
        FROM sub_accounts a, large, generate_series(1, $2) AS n WHERE a.id = $1::uuid) \
    INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, reason, amount, \
        closing_balance, sequence, trading_log_id, info, order_id) \
    SELECT gen_random_uuid(), now() - n * interval '1 second', a.user_id, a.trading_id, a.id, now(), 'credit', 'large', 1, n, \
        n + 1000, gen_random_uuid(), large.info, 'o' FROM sub_accounts a, large, generate_series(1, $2) AS n WHERE a.id = $1::uuid";

/// Inserts `rows` of [`LARGE_ROWS`] with `keys` keys into both histories of an account.
pub(crate) async fn insert_large(pool: &PgPool, account: &str, rows: i32, keys: i32) {
    begin_before_this_month(pool).await;
    sqlx::query(LARGE_ROWS)
        .bind(account)
        .bind(rows)
        .bind(keys)
        .execute(pool)
        .await
        .expect("large rows");
}

/// Reads all pages of a list, and returns the ids or other names of its objects in their order.
async fn all_pages(user: &User<'_>, path: &str, name: &str, limit: usize) -> Vec<String> {
    let mut rows = Vec::new();
    let mut cursor = String::new();
    let separator = if path.contains('?') { '&' } else { '?' };

    loop {
        let page = user
            .get(&format!("{path}{separator}limit={limit}{cursor}"))
            .await;
        let found = page.list(name);
        assert!(
            (1..=limit).contains(&found.len()),
            "{path}: {}",
            found.len()
        );
        assert!(
            page.text.len() < ANSWER_BYTES_MAX,
            "{path}: {}",
            page.text.len()
        );
        rows.extend(found.iter().map(|row| match &row["id"] {
            Value::Null => text(&row["order_id"]),
            id => text(id),
        }));

        let pagination = &page.data()["pagination"];
        let next = &pagination["next_cursor"];
        assert_eq!(pagination["has_more"], next.is_string(), "{page}");
        if next.is_null() {
            return rows;
        }
        cursor = format!("&cursor={}", text(next));
    }
}

#[tokio::test]
async fn a_page_of_large_rows_ends_early_and_continues() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    insert_large(world.pool(), &book.stock, 150, MANY_KEYS).await;

    for (path, name) in [
        ("/v1/transactions?reason=large", "transactions"),
        ("/v1/trading-logs?type=x", "trading_logs"),
    ] {
        let rows = all_pages(&user, path, name, 1_000).await;
        let distinct: BTreeSet<&String> = rows.iter().collect();
        assert_eq!(rows.len(), 150, "{path}");
        assert_eq!(distinct.len(), 150, "{path}");

        let skipped = user.get(&format!("{path}&limit=1000&offset=149")).await;
        assert_eq!(text(&skipped.list(name)[0]["id"]), rows[149]);
    }
}

/// Inserts many rows with equal times into every short list.
async fn short_lists(world: &World, user: &User<'_>, account: &str) {
    for statement in [
        "INSERT INTO tradings (id, user_id, name, type) SELECT gen_random_uuid(), user_id, 'n' || n, 'paper' \
         FROM sub_accounts, generate_series(1, $2) AS n WHERE id = $1::uuid",
        "INSERT INTO exchange_bindings (id, user_id, name, exchange_type, kind) \
         SELECT gen_random_uuid(), user_id, 'n' || n, 'virtual', 'private' \
         FROM sub_accounts, generate_series(1, $2) AS n WHERE id = $1::uuid",
        "INSERT INTO bots (id, user_id, trading_id, component, status, last_seen_at) \
         SELECT gen_random_uuid(), user_id, trading_id, 'n' || n, 'healthy', now() \
         FROM sub_accounts, generate_series(1, $2) AS n WHERE id = $1::uuid",
        "INSERT INTO holds (sub_account_id, order_id, symbol, trading_id, amount) \
         SELECT id, 'n' || n, '', trading_id, 1 FROM sub_accounts, generate_series(1, $2) AS n WHERE id = $1::uuid",
        "INSERT INTO sub_accounts (id, user_id, trading_id, name, symbol) \
         SELECT gen_random_uuid(), user_id, trading_id, 'n' || n, 'ETH' \
         FROM sub_accounts, generate_series(1, $2) AS n WHERE id = $1::uuid",
    ] {
        sqlx::query(statement)
            .bind(account)
            .bind(MANY)
            .execute(world.pool())
            .await
            .unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    user.get("/v1/users/me").await.data();
}

#[tokio::test]
async fn every_list_is_paged_by_cursor() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    short_lists(&world, &user, &book.stock).await;
    let holds = format!("/v1/sub-accounts/{}/holds", book.stock);
    let of_trading = format!("/v1/sub-accounts?trading_id={}", book.trading);
    let many = usize::try_from(MANY).expect("few");

    for (path, name, default, count) in [
        ("/v1/tradings", "tradings", 1_000, many + 1),
        (of_trading.as_str(), "sub_accounts", 1_000, many + 2),
        ("/v1/exchange-bindings", "exchange_bindings", 1_000, many),
        ("/v1/bots", "bots", 100, many),
        (holds.as_str(), "holds", 100, many),
    ] {
        let first = user.get(path).await;
        assert_eq!(first.list(name).len(), default, "{path}");
        assert_eq!(first.data()["pagination"]["limit"], default, "{path}");

        let rows = all_pages(&user, path, name, 400).await;
        let distinct: BTreeSet<&String> = rows.iter().collect();
        assert_eq!(rows.len(), count, "{path}");
        assert_eq!(distinct.len(), count, "{path}");
    }
}

#[tokio::test]
async fn replays_are_paged_by_cursor() {
    let world = World::start().await;
    let admin = world.admin("root").await;
    sqlx::query(
        "INSERT INTO replay_jobs (id, start_time, end_time, created_at) \
         SELECT gen_random_uuid(), now(), now() + interval '1 hour', now() FROM generate_series(1, 7)",
    )
    .execute(world.pool())
    .await
    .expect("replays");

    let rows = all_pages(&admin, "/v1/events/replay", "replays", 3).await;

    let distinct: BTreeSet<&String> = rows.iter().collect();
    assert_eq!(rows.len(), 7);
    assert_eq!(distinct.len(), 7);
}

#[tokio::test]
async fn a_list_carries_the_chosen_fields() {
    let world = World::start().await;
    let user = world.user("ann").await;
    user.book("grid", "1", "10").await;

    let chosen = user.get("/v1/sub-accounts?fields=symbol,balance").await;
    let nested = user.get("/v1/exchange-bindings?fields=name,info").await;
    let wrong = user.get("/v1/transactions?fields=id,amuont").await;

    assert_eq!(
        chosen.list("sub_accounts"),
        &[
            json!({"symbol": "BTC", "balance": "10"}),
            json!({"symbol": "ETH", "balance": "1"}),
        ]
    );
    nested.data();
    wrong.assert_error(400, "INVALID_VALUE");
    wrong.assert_details("did you mean amount?");
}

#[tokio::test]
async fn an_order_with_large_logs_is_bounded() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    insert_large(world.pool(), &book.stock, 80, MANY_KEYS).await;
    let order: uuid::Uuid = sqlx::query_scalar(
        "INSERT INTO orders (id, user_id, trading_id, symbol, order_id, ordinal, status, first_event_time, last_event_time, \
         created_at, updated_at) \
         SELECT gen_random_uuid(), user_id, trading_id, 'ETH/BTC', 'o', 0, 'open', now(), now(), now(), now() \
         FROM sub_accounts WHERE id = $1::uuid RETURNING id",
    )
    .bind(&book.stock)
    .fetch_one(world.pool())
    .await
    .expect("an order");

    let found = user.get(&format!("/v1/orders/{order}")).await;

    let listed = found.list("transactions").len();
    assert!((1..80).contains(&listed), "{listed}");
    assert!(found.text.len() < ANSWER_BYTES_MAX, "{}", found.text.len());
    let cursor = text(&found.data()["transactions_cursor"]);
    let older = user
        .get(&format!(
            "/v1/transactions?order_id=o&limit=1000&cursor={cursor}"
        ))
        .await;
    assert_eq!(older.list("transactions").len(), 80 - listed);
}
