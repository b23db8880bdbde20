//! What the API asks the database, as the database tells it: by index, few statements, as much for a deep page as for the
//! first.

use crate::bindings::new_binding;
use crate::events::refused;
use crate::openapi::operations;
use crate::world::{Desk, User, World, http_client, text};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool};
use std::collections::HashMap;
use tiris_testing::{Partition, Scan, Statement, Statements, partitions};
use uuid::Uuid;

/// Rows of the histories, of which one in twenty is the caller's: an index is worth it where others have more.
const ROWS: i32 = 100_000;
/// Months before this one over which they are spread, few enough that an index is worth it in each part.
const MONTHS: i32 = 5;
/// A partition that began later is small.
const BEGUN: chrono::Duration = chrono::Duration::days(7);
/// Months of a history that is long.
const MANY_MONTHS: i32 = 24;

/// A world whose statements are heard, all over one connection, so that they come in order.
async fn world() -> (World, Statements) {
    let world = World::start_with(|settings| {
        settings.database.url = Statements::told_at(settings.database.url.expose_secret()).into();
        settings.database.max_connections = 1;
    })
    .await;
    (world, Statements::listen())
}

/// What is asked by `ask`. The probe after it brings the end of its last statement.
async fn heard(world: &World, statements: &Statements, ask: impl AsyncFnOnce()) -> Vec<Statement> {
    let probe = async || world.anonymous("/health/ready").await.data()["ready"].clone();
    probe().await;
    drop(statements.take());
    ask().await;
    probe().await;
    let mut all = statements.take();
    all.retain(|statement| !statement.text.contains("seaql_migrations"));
    all
}

/// Fills both histories, spread over months, with rows of this desk and of many others.
async fn fill(
    pool: &PgPool,
    user: &User<'_>,
    desk: &Desk,
    months: i32,
) -> HashMap<String, Partition> {
    let rows = "WITH rows AS ( \
            SELECT n, n % 20 = 0 AS mine, now() - $6 * interval '1 month' * n / $1 AS at, \
                   gen_random_uuid() AS other FROM generate_series(1, $1) AS n) ";
    let whose = "CASE WHEN mine THEN $2 ELSE md5((n % 19)::text)::uuid END, CASE WHEN mine THEN $3 ELSE other END, \
                 CASE WHEN NOT mine THEN other WHEN n % 40 = 0 THEN $4 ELSE $5 END";
    let transactions = format!(
        "{rows} INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, \
             reason, amount, closing_balance, sequence, trading_log_id, order_id, info) \
         SELECT gen_random_uuid(), at, {whose}, at, CASE n % 40 WHEN 0 THEN 'credit' ELSE 'debit' END, \
             'r' || n % 50, 1 + n % 1000, n, n, gen_random_uuid(), 'o' || n / 3, jsonb_build_object('n', n % 1000) \
         FROM rows"
    );
    let logs = format!(
        "{rows} INSERT INTO trading_logs (id, timestamp, user_id, trading_id, sub_account_id, event_time, type, source, \
             order_id, info) \
         SELECT gen_random_uuid(), at, {whose}, at, 't' || n % 50, CASE n % 40 WHEN 0 THEN 'bot' ELSE 'manual' END, \
             'o' || n / 3, jsonb_build_object('n', n % 1000) \
         FROM rows"
    );
    sqlx::query("SELECT ensure_partitions(now() - $1 * interval '1 month', 3)")
        .bind(months)
        .execute(pool)
        .await
        .expect("partitions");
    for statement in [transactions, logs] {
        let id = |text: &str| text.parse::<Uuid>().expect("an id");
        sqlx::query(AssertSqlSafe(statement))
            .bind(ROWS)
            .bind(user.id.0)
            .bind(id(&desk.trading))
            .bind(id(&desk.stock))
            .bind(id(&desk.currency))
            .bind(months)
            .execute(pool)
            .await
            .expect("a history");
    }
    let known = "SELECT keep_owner_statistics(); ANALYZE transactions, trading_logs";
    sqlx::raw_sql(known)
        .execute(pool)
        .await
        .expect("statistics");
    partitions(pool).await.expect("partitions")
}

/// Steps that read all of a partition of a time series. One that is empty, as those of coming months are, is no matter, nor
/// one that has only begun: it has so few rows that no index is worth it, whatever day it is.
fn whole_partitions(
    statements: &[Statement],
    parts: &HashMap<String, Partition>,
) -> Vec<(String, Scan)> {
    let begun = Utc::now() - BEGUN;
    let is_large = |table: &str| parts.get(table).is_some_and(|part| part.from < begun);
    let mut found = Vec::new();
    for statement in statements {
        for scan in statement.scans() {
            if scan.kind.contains("Seq") && scan.met_rows && is_large(&scan.table) {
                found.push((statement.text.clone(), scan));
            }
        }
    }
    found
}

/// The partitions that were read.
fn parts_read<'p>(
    statements: &[Statement],
    parts: &'p HashMap<String, Partition>,
) -> Vec<&'p Partition> {
    let scans = statements.iter().flat_map(Statement::scans);
    let mut read: Vec<&Partition> = scans.filter_map(|scan| parts.get(&scan.table)).collect();
    read.sort_by_key(|part| (part.history.as_str(), part.from));
    read.dedup();
    read
}

fn cursor(at: DateTime<Utc>, id: Uuid) -> String {
    let micros = at.timestamp_micros().to_be_bytes();
    URL_SAFE_NO_PAD.encode([micros.as_slice(), id.as_bytes().as_slice()].concat())
}

/// The first moment of a month so many before this one.
async fn month(pool: &PgPool, ago: i32) -> DateTime<Utc> {
    let query = "SELECT date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - $1 * interval '1 month'";
    sqlx::query_scalar(query)
        .bind(ago)
        .fetch_one(pool)
        .await
        .expect("a month")
}

fn stamp(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A value of every parameter a list of a history knows.
fn values(name: &str, desk: &Desk, middle: DateTime<Utc>) -> Vec<String> {
    let one = |value: &str| vec![format!("{name}={value}")];
    match name {
        "trading_id" => one(&desk.trading),
        "sub_account_id" => one(&desk.stock),
        "order_id" => one("o60"),
        "direction" => vec!["direction=credit".into(), "direction=debit".into()],
        "reason" => one("r10"),
        "type" => one("t10"),
        "source" => vec!["source=bot".into(), "source=manual".into()],
        "start_date" | "since" => one(&stamp(middle)),
        "end_date" => one(&stamp(middle + chrono::Duration::days(20))),
        "time" => vec!["time=recorded".into(), "time=event".into()],
        "min_amount" => one("990"),
        "max_amount" => one("995"),
        "info" => one("%7B%22n%22%3A100%7D"),
        "limit" => one("1000"),
        "cursor" => one(&cursor(middle, Uuid::max())),
        "offset" => one("3000"),
        "include_total" => one("true"),
        other => panic!("{other} has no case here"),
    }
}

/// Lists of histories, with the names of their query parameters.
fn lists(desk: &Desk) -> Vec<(String, Vec<String>)> {
    let mut lists = Vec::new();
    for (method, path, operation) in operations() {
        let series = ["/v1/transactions", "/v1/trading-logs"]
            .iter()
            .any(|name| path.starts_with(name));
        if method != "GET" || !series || path.contains("{id}") {
            continue;
        }
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let names = parameters
            .filter(|parameter| parameter["in"] == "query")
            .map(|one| text(&one["name"]));
        lists.push((path.replace("{trading_id}", &desk.trading), names.collect()));
    }
    assert_eq!(lists.len(), 3);
    lists
}

/// All queries of one or two parameters.
fn queries(names: &[String], desk: &Desk, middle: DateTime<Utc>) -> Vec<String> {
    let mut queries = vec![String::new()];
    for (index, name) in names.iter().enumerate() {
        for value in values(name, desk, middle) {
            queries.push(value.clone());
            for other in names[index + 1..]
                .iter()
                .filter(|other| (name.as_str(), other.as_str()) != ("cursor", "offset"))
            {
                queries.extend(
                    values(other, desk, middle)
                        .iter()
                        .map(|other| format!("{value}&{other}")),
                );
            }
        }
    }
    queries
}

#[tokio::test]
async fn every_list_and_lookup_of_a_history_goes_by_index() {
    let (world, statements) = world().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "10", "10").await;
    let parts = fill(world.database.pool(), &user, &desk, MONTHS).await;
    let middle = month(world.database.pool(), 2).await;
    let mut bad = Vec::new();
    for (path, names) in lists(&desk) {
        for query in queries(&names, &desk, middle) {
            let found = heard(&world, &statements, async || {
                user.get(&format!("{path}?{query}")).await.data();
            })
            .await;
            let read = parts_read(&found, &parts);
            assert!(!read.is_empty(), "{path}?{query} reads no history");
            let counted = found
                .iter()
                .any(|statement| statement.text.contains("COUNT("));
            assert_eq!(
                counted,
                query.contains("include_total"),
                "{path}?{query}: {found:?}"
            );
            bad.extend(
                whole_partitions(&found, &parts)
                    .into_iter()
                    .map(|(sql, scan)| format!("{path}?{query}: {scan:?} {sql}")),
            );
        }
        let csv = heard(&world, &statements, async || {
            let answer = user.get_with(&path, &[("accept", "text/csv")]).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
        })
        .await;
        bad.extend(
            whole_partitions(&csv, &parts)
                .into_iter()
                .map(|(sql, scan)| format!("{path} as CSV: {scan:?} {sql}")),
        );
    }
    assert!(
        bad.is_empty(),
        "{} read whole partitions:\n{}",
        bad.len(),
        bad.join("\n")
    );
}

#[tokio::test]
async fn a_range_of_dates_a_cursor_and_an_id_lead_to_the_partitions_they_mean() {
    let (world, statements) = world().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "10", "10").await;
    let log = user.post("/v1/trading-logs", desk.trade("long")).await;
    let parts = fill(world.database.pool(), &user, &desk, MANY_MONTHS).await;
    // By the week on TimescaleDB.
    assert!(
        parts
            .values()
            .filter(|part| part.history == "transactions")
            .count()
            > 24
    );
    let pool = world.database.pool();
    let (this, two, three) = (
        month(pool, 0).await,
        month(pool, 20).await,
        month(pool, 21).await,
    );
    let range = format!("start_date={}&end_date={}", stamp(three), stamp(two));
    for list in ["transactions", "trading-logs"] {
        for (query, until) in [
            (range.clone(), two),
            (
                format!("{range}&include_total=true&sub_account_id={}", desk.stock),
                two,
            ),
            (
                format!(
                    "start_date={}&cursor={}",
                    stamp(three),
                    cursor(two, Uuid::nil())
                ),
                two + chrono::Duration::microseconds(1),
            ),
        ] {
            let found = heard(&world, &statements, async || {
                let page = user.get(&format!("/v1/{list}?{query}")).await;
                assert_ne!(page.data()[list.replace('-', "_")], json!([]), "{query}");
            })
            .await;
            // Whatever a page needs no more is not read.
            let read = parts_read(&found, &parts);
            assert!(
                !read.is_empty()
                    && read
                        .iter()
                        .all(|part| part.until > three && part.from < until),
                "{query}: {read:?}"
            );
        }
    }
    // The first page of all begins with the newest and ends when it is full.
    let found = heard(&world, &statements, async || {
        user.get("/v1/transactions?limit=10").await.data();
    })
    .await;
    let read = parts_read(&found, &parts);
    assert!(
        read.iter()
            .all(|part| part.until > this - chrono::Duration::days(31)),
        "{read:?}"
    );
    for path in [
        format!(
            "/v1/transactions/{}",
            text(&log.data()["transaction_ids"][0])
        ),
        format!("/v1/trading-logs/{}", text(&log.data()["id"])),
    ] {
        let found = heard(&world, &statements, async || {
            drop(user.get(&path).await.data().clone())
        })
        .await;
        let read = parts_read(&found, &parts);
        let now = Utc::now();
        assert!(
            read.len() == 1 && read[0].from <= now && now < read[0].until,
            "{path}: {read:?}"
        );
        assert!(whole_partitions(&found, &parts).is_empty(), "{found:?}");
    }
}

/// What reads or writes histories beside the lists.
#[tokio::test]
async fn whatever_else_reads_a_history_goes_by_index_too() {
    let (world, statements) = world().await;
    let (user, root) = (world.user("ann").await, world.admin("root").await);
    let (desk, other) = (
        user.desk("grid", "10", "10").await,
        user.desk("other", "10", "10").await,
    );
    let parts = fill(world.database.pool(), &user, &desk, MONTHS).await;
    let note = json!({"trading_id": desk.trading, "type": "note", "source": "bot", "message": ""});
    let log = user.post("/v1/trading-logs", note).await;
    let moved = json!({"amount": "1"});
    let middle = month(world.database.pool(), 2).await;
    let found = heard(&world, &statements, async || {
        user.post(
            &format!("/v1/sub-accounts/{}/deposit", desk.stock),
            moved.clone(),
        )
        .await
        .data();
        user.post(
            &format!("/v1/sub-accounts/{}/withdraw", desk.stock),
            moved.clone(),
        )
        .await
        .data();
        user.post("/v1/trading-logs", desk.trade("long"))
            .await
            .data();
        root.delete(&format!("/v1/trading-logs/{}", text(&log.data()["id"])))
            .await
            .data();
        user.delete(&format!("/v1/tradings/{}", other.trading))
            .await
            .data();
        user.get("/v1/events/status").await.data();
        for time in ["recorded", "event"] {
            let account = format!("/v1/sub-accounts/{}", desk.stock);
            user.get(&format!(
                "{account}/balance?time={time}&at={}",
                stamp(middle)
            ))
            .await
            .data();
            let range = format!(
                "from={}&to={}",
                stamp(middle),
                stamp(middle + chrono::Duration::days(20))
            );
            user.get(&format!("{account}/history?time={time}&{range}"))
                .await
                .data();
            user.get(&format!("{account}/history?time={time}"))
                .await
                .data();
        }
        user.get(&format!("/v1/tradings/{}/performance", desk.trading))
            .await
            .data();
        user.get(&format!("/v1/tradings/{}/equity?quote=BTC", desk.trading))
            .await
            .data();
        let mut stream = follow(&user, Utc::now() - chrono::Duration::hours(23)).await;
        let mut text = String::new();
        while text.matches("event: transaction").count() < 30 {
            text +=
                &String::from_utf8_lossy(&stream.chunk().await.expect("a stream").expect("more"));
        }
    })
    .await;
    for statement in [
        "UNION ALL",
        "date_trunc",
        "ORDER BY event_time, timestamp, id",
        "INSERT INTO transactions",
        "DELETE FROM trading_logs",
        "DELETE FROM transactions",
    ] {
        assert!(
            found.iter().any(|one| one.text.contains(statement)),
            "{statement} was not heard"
        );
    }
    let bad = whole_partitions(&found, &parts);
    assert!(bad.is_empty(), "{bad:?}");
}

/// Follows the live stream from a moment on.
async fn follow(user: &User<'_>, since: DateTime<Utc>) -> reqwest::Response {
    let last = format!("{}-transaction-{}", since.timestamp_micros(), Uuid::nil());
    let request = http_client().get(format!("http://{}/v1/stream", user.world.address));
    let answer = request
        .bearer_auth(&user.token)
        .header("Last-Event-ID", last)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 200);
    answer
}

/// Makes another of everything the lists tell.
async fn more(world: &World, user: &User<'_>, number: i64) {
    let desk = user.desk(&format!("desk {number}"), "10", "10").await;
    user.post("/v1/trading-logs", desk.trade("long"))
        .await
        .data();
    user.post(
        "/v1/exchange-bindings",
        new_binding(
            &format!("binding {number}"),
            "kraken",
            &format!("K3y{number:012}"),
        ),
    )
    .await
    .data();
    refused(world, user, &desk, number, "1").await;
    world.user(&format!("user {number}")).await;
}

#[tokio::test]
async fn a_list_takes_as_many_statements_for_many_rows_as_for_few() {
    let (world, statements) = world().await;
    let root = world.admin("root").await;
    more(&world, &root, 1).await;
    let mut counts = Vec::new();
    for rows in [1, 9] {
        for number in 2..=rows {
            more(&world, &root, number).await;
        }
        let mut asked = Vec::new();
        let gets = operations()
            .into_iter()
            .filter(|(method, path, _)| method == "GET" && !path.contains('{'));
        for (_, path, _) in gets.filter(|(_, path, _)| path != "/v1/stream") {
            // The first time the caller is looked up, too.
            root.get(&path).await.data();
            let found = heard(&world, &statements, async || {
                drop(root.get(&path).await.data().clone())
            })
            .await;
            let texts: Vec<String> = found.into_iter().map(|statement| statement.text).collect();
            assert!(
                !texts.iter().any(|text| text.contains("COUNT(")),
                "{path} counts: {texts:?}"
            );
            asked.push((path, texts));
        }
        counts.push(asked);
    }
    let lists = counts[0]
        .iter()
        .filter(|(_, texts)| !texts.is_empty())
        .count();
    assert!(lists >= 8, "{lists} lists: {counts:?}");
    assert_eq!(counts[0], counts[1]);
}

/// Blocks of a page of ten rows, each in another block, with all that is looked up for it; the accounts have thousands.
const PAGE_BLOCKS_MAX: u64 = 100;

/// More often than a prepared statement is planned before the server may settle on one plan for all values.
const AGAIN: usize = 12;

/// The blocks of each of many first pages of an account's list.
async fn blocks_of_pages(
    world: &World,
    statements: &Statements,
    user: &User<'_>,
    list: &str,
    account: &str,
) -> Vec<u64> {
    let mut blocks = Vec::new();
    for _ in 0..AGAIN {
        let found = heard(world, statements, async || {
            user.get(&format!("/v1/{list}?sub_account_id={account}&limit=10"))
                .await
                .data();
        })
        .await;
        blocks.push(found.iter().map(Statement::blocks).sum::<u64>());
    }
    blocks
}

#[tokio::test]
async fn a_page_of_an_account_reads_no_more_of_it_than_the_page_needs() {
    let (world, statements) = world().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "0").await;
    fill(world.database.pool(), &user, &desk, MONTHS).await;
    for list in ["transactions", "trading-logs"] {
        let blocks = blocks_of_pages(&world, &statements, &user, list, &desk.currency).await;
        assert!(
            blocks.iter().all(|read| *read <= PAGE_BLOCKS_MAX),
            "{list}: {blocks:?} blocks"
        );
    }
}

#[tokio::test]
async fn a_page_of_a_large_account_among_many_small_ones_stays_cheap_however_often_it_is_asked_for()
{
    let (world, statements) = world().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "0").await;
    // Three rows in four are of accounts with 25 each, the rest of one.
    let rows = "INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, \
            reason, amount, closing_balance, sequence, trading_log_id) \
        SELECT gen_random_uuid(), now() - n * interval '1 second', \
            CASE WHEN mine THEN $1 ELSE md5('u' || n % 3000)::uuid END, CASE WHEN mine THEN $2 ELSE md5('t' || n % 3000)::uuid END, \
            CASE WHEN mine THEN $3 ELSE md5('a' || n % 3000)::uuid END, now(), 'credit', 'deposit', 1, n, n, gen_random_uuid() \
        FROM (SELECT n, n % 4 = 0 AS mine FROM generate_series(1, $4) n) r";
    let id = |text: &str| text.parse::<Uuid>().expect("an id");
    sqlx::query(rows)
        .bind(user.id.0)
        .bind(id(&desk.trading))
        .bind(id(&desk.currency))
        .bind(ROWS)
        .execute(world.database.pool())
        .await
        .expect("a history");
    sqlx::raw_sql("ANALYZE transactions")
        .execute(world.database.pool())
        .await
        .expect("statistics");
    let blocks = blocks_of_pages(&world, &statements, &user, "transactions", &desk.currency).await;
    assert!(
        blocks.iter().all(|read| *read <= PAGE_BLOCKS_MAX),
        "{blocks:?} blocks"
    );
}

#[tokio::test]
async fn turning_the_pages_of_a_history_with_gaps_shows_every_row_once() {
    let (world, _statements) = world().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "0").await;
    fill(world.database.pool(), &user, &desk, MANY_MONTHS).await;
    let gaps = "SET session_replication_role = replica; \
                DELETE FROM transactions WHERE EXTRACT(month FROM timestamp)::int % 4 IN (1, 2); \
                RESET session_replication_role";
    sqlx::raw_sql(gaps)
        .execute(world.database.pool())
        .await
        .expect("gaps");
    let query = "SELECT id FROM transactions WHERE user_id = $1 ORDER BY timestamp DESC, id DESC";
    let expected: Vec<Uuid> = sqlx::query_scalar(query)
        .bind(user.id.0)
        .fetch_all(world.database.pool())
        .await
        .expect("rows");
    let (mut found, mut place) = (Vec::new(), String::new());
    loop {
        let page = user
            .get(&format!("/v1/transactions?limit=200{place}"))
            .await;
        let rows = page.data()["transactions"]
            .as_array()
            .expect("rows")
            .clone();
        found.extend(
            rows.iter()
                .map(|row| text(&row["id"]).parse::<Uuid>().expect("an id")),
        );
        match page.data()["pagination"]["next_cursor"].as_str() {
            Some(cursor) => place = format!("&cursor={cursor}"),
            None => break,
        }
    }
    assert!(expected.len() > 1_000, "{} rows", expected.len());
    assert_eq!(found, expected);
}

/// Rows of one user in the history that is turned to its end.
const LONG: i32 = 1_000_000;

#[tokio::test]
async fn a_deep_page_by_cursor_of_a_million_transactions_costs_what_the_first_costs() {
    let (world, statements) = world().await;
    let user = world.user("ann").await;
    user.desk("grid", "0", "0").await;
    let pool = world.database.pool();
    // Rows come in pairs of one moment, as those of a trade do.
    for statement in [
        "SELECT ensure_partitions(now() - interval '5 months', 3)",
        "INSERT INTO transactions (id, timestamp, user_id, trading_id, sub_account_id, event_time, direction, reason, \
             amount, closing_balance, sequence, trading_log_id) \
         SELECT gen_random_uuid(), now() - (n / 2) * interval '26 seconds', a.user_id, a.trading_id, a.id, now(), \
             'credit', 'deposit', 1, n, n, gen_random_uuid() \
         FROM sub_accounts a, generate_series(1, $1) AS n WHERE a.symbol = 'ETH' AND $1 > 0",
    ] {
        let query = sqlx::query(statement);
        let query = if statement.contains("$1") {
            query.bind(LONG)
        } else {
            query
        };
        query.execute(pool).await.expect(statement);
    }
    sqlx::raw_sql("ANALYZE transactions")
        .execute(pool)
        .await
        .expect("statistics");
    let blocks = async |query: String| {
        let found = heard(&world, &statements, async || {
            let page = user
                .get(&format!("/v1/transactions?limit=100{query}"))
                .await;
            assert_eq!(
                page.data()["transactions"].as_array().map(Vec::len),
                Some(100),
                "{query}"
            );
        })
        .await;
        let lists = found
            .iter()
            .filter(|statement| statement.text.contains(r#"FROM "transactions""#));
        lists.map(Statement::blocks).sum::<u64>()
    };
    let place = async |offset: i32| -> String {
        let query = "SELECT timestamp, id FROM transactions WHERE user_id = $1 ORDER BY timestamp DESC, id DESC OFFSET $2 LIMIT 1";
        let row: (DateTime<Utc>, Uuid) = sqlx::query_as(query)
            .bind(user.id.0)
            .bind(offset)
            .fetch_one(pool)
            .await
            .expect("a row");
        format!("&cursor={}", cursor(row.0, row.1))
    };
    let first = blocks(String::new()).await;
    for offset in [LONG / 2, LONG - 200] {
        let deep = blocks(place(offset).await).await;
        assert!(
            deep <= 2 * first,
            "behind {offset} rows {deep} blocks instead of {first}"
        );
    }
    let skipped = blocks("&offset=50000".to_owned()).await;
    assert!(
        skipped > 10 * first,
        "what is skipped is read, and that is seen here: {skipped} blocks"
    );
}
