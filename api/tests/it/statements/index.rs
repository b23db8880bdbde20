//! Every read of a history uses an index.

use super::{MONTHS, Recorded, cursor, fill, month, parts_read, stamp, whole_partitions};
use crate::openapi::operations;
use crate::world::book::Book;
use crate::world::{User, http_client, text};
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use tiris_testing::{Partition, Statement};
use uuid::Uuid;

/// Has the parameters of the list, and returns CSV.
const EXPORT: &str = "/v1/transactions/export";

/// Returns values for a parameter of a history list.
fn values(name: &str, book: &Book, middle: DateTime<Utc>) -> Vec<String> {
    let one = |value: &str| vec![format!("{name}={value}")];

    match name {
        "trading_id" => one(&book.trading),
        "sub_account_id" => one(&book.stock),
        "order_id" => one("o60"),
        "direction" => vec!["direction=credit".into(), "direction=debit".into()],
        "reason" => one("r10"),
        "type" => one("t10"),
        "source" => vec!["source=bot".into(), "source=manual".into()],
        "drift" => vec!["drift=any".into(), "drift=overfilled".into()],
        "start_date" | "since" => one(&stamp(middle)),
        "end_date" => one(&stamp(middle + chrono::Duration::days(20))),
        "time" => vec!["time=recorded".into(), "time=event".into()],
        "min_amount" => one("990"),
        "max_amount" => one("995"),
        "info" => one("%7B%22n%22%3A100%7D"),
        "fields" => one("id"),
        "limit" => one("1000"),
        "cursor" => one(&cursor(middle, Uuid::max())),
        "offset" => one("3000"),
        "include_total" => one("true"),
        other => panic!("{other} has no case here"),
    }
}

/// Returns the history lists with their query parameters.
fn lists(book: &Book) -> Vec<(String, Vec<String>)> {
    let mut lists = Vec::new();
    for (method, path, operation) in operations() {
        let series = ["/v1/transactions", "/v1/trading-logs"]
            .iter()
            .any(|name| path.starts_with(name));

        if method != "GET" || !series || path.contains("{id}") || path == EXPORT {
            continue;
        }

        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let names = parameters
            .filter(|parameter| parameter["in"] == "query")
            .map(|one| text(&one["name"]));
        lists.push((path.replace("{trading_id}", &book.trading), names.collect()));
    }
    assert_eq!(lists.len(), 3);

    lists
}

/// Returns all queries with one or two parameters.
fn queries(names: &[String], book: &Book, middle: DateTime<Utc>) -> Vec<String> {
    let mut queries = vec![String::new()];
    for (index, name) in names.iter().enumerate() {
        for value in values(name, book, middle) {
            queries.push(value.clone());

            for other in names[index + 1..]
                .iter()
                .filter(|other| (name.as_str(), other.as_str()) != ("cursor", "offset"))
            {
                queries.extend(
                    values(other, book, middle)
                        .iter()
                        .map(|other| format!("{value}&{other}")),
                );
            }
        }
    }
    queries
}

/// Returns the whole partitions that were read, with the request that caused it.
fn faults(path: &str, statements: &[Statement], parts: &HashMap<String, Partition>) -> Vec<String> {
    whole_partitions(statements, parts)
        .into_iter()
        .map(|(sql, scan)| format!("{path}: {scan:?} {sql}"))
        .collect()
}

#[tokio::test]
async fn every_history_list_uses_an_index() {
    let recorded = Recorded::start().await;
    let user = recorded.world.user("ann").await;
    let book = user.book("grid", "10", "10").await;
    let parts = fill(&user, &book, MONTHS).await;
    let middle = month(recorded.world.pool(), 2).await;

    let mut bad = Vec::new();
    for (path, names) in lists(&book) {
        for query in queries(&names, &book, middle) {
            let path = format!("{path}?{query}");
            let found = recorded
                .during(async || drop(user.get(&path).await.data().clone()))
                .await;

            assert!(!parts_read(&found, &parts).is_empty(), "{path}");
            let counts = found.iter().any(|one| one.text.contains("COUNT("));
            let is_asked = query.contains("include_total");
            assert_eq!(counts, is_asked, "{path}: {found:?}");
            bad.extend(faults(&path, &found, &parts));
        }
    }
    let export = recorded
        .during(async || user.get(EXPORT).await.assert_status(200))
        .await;
    bad.extend(faults(EXPORT, &export, &parts));
    let count = bad.len();
    assert_eq!(count, 0, "{count} whole partitions:\n{}", bad.join("\n"));
}

/// Sends all requests that read or write histories, except for lists.
async fn use_histories(user: &User<'_>, root: &User<'_>, book: &Book, other: &Book) {
    let note = user.log(book.note()).await.id();
    user.deposit(&book.stock, "1").await.data();
    user.withdraw(&book.stock, "1").await.data();
    user.log(book.trade("long")).await;
    let log = format!("/v1/trading-logs/{note}");
    root.delete(&log).await.data();
    let trading = format!("/v1/tradings/{}", other.trading);
    user.delete(&trading).await.data();

    let account = format!("/v1/sub-accounts/{}", book.stock);
    let trading = format!("/v1/tradings/{}", book.trading);
    let middle = month(user.world.pool(), 2).await;
    let at = stamp(middle);
    let to = stamp(middle + chrono::Duration::days(20));
    let mut paths = vec![
        "/v1/events/status".to_owned(),
        format!("{trading}/performance"),
        format!("{trading}/equity?quote=BTC"),
    ];
    for time in ["recorded", "event"] {
        paths.push(format!("{account}/balance?time={time}&at={at}"));
        paths.push(format!("{account}/history?time={time}&from={at}&to={to}"));
        paths.push(format!("{account}/history?time={time}"));
    }
    for path in paths {
        user.get(&path).await.data();
    }
}

#[tokio::test]
async fn every_other_history_read_uses_an_index() {
    let recorded = Recorded::start().await;
    let user = recorded.world.user("ann").await;
    let root = recorded.world.admin("root").await;
    let book = user.book("grid", "10", "10").await;
    let other = user.book("other", "10", "10").await;
    let parts = fill(&user, &book, MONTHS).await;

    let found = recorded
        .during(async || {
            use_histories(&user, &root, &book, &other).await;
            follow(&user).await;
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
        let is_found = found.iter().any(|one| one.text.contains(statement));
        assert!(is_found, "{statement} is missing");
    }
    let bad = whole_partitions(&found, &parts);
    assert!(bad.is_empty(), "{bad:?}");
}

/// Reads some pages of the live stream, starting in the past.
async fn follow(user: &User<'_>) {
    let since = Utc::now() - chrono::Duration::hours(23);
    let last = format!("{}-transaction-{}", since.timestamp_micros(), Uuid::nil());
    let mut stream = http_client()
        .get(format!("http://{}/v1/stream", user.world.address))
        .bearer_auth(&user.token)
        .header("Last-Event-ID", last)
        .send()
        .await
        .expect("an answer");
    assert_eq!(stream.status(), 200);

    let mut text = String::new();
    while text.matches("event: transaction").count() < 30 {
        let chunk = stream.chunk().await.expect("a stream").expect("more");
        text += &String::from_utf8_lossy(&chunk);
    }
}
