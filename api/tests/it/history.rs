//! Lists of transactions and trading logs: filters, pages, cursors.

use crate::world::book::Book;
use crate::world::{Answer, User, World, text};
use serde_json::json;
use std::collections::HashSet;

fn ids(answer: &Answer, list: &str) -> Vec<String> {
    answer
        .list(list)
        .iter()
        .map(|row| text(&row["id"]))
        .collect()
}

/// Books deposits of 1, 2 and so on, and returns the ids of their transactions, newest first.
async fn deposits(user: &User<'_>, account: &str, count: u32) -> Vec<String> {
    let mut ids = Vec::new();
    for amount in 1..=count {
        let created = user.deposit(account, &amount.to_string()).await;
        ids.push(text(&created.data()["transaction"]["id"]));
    }
    ids.reverse();
    ids
}

/// Reads a list to its end, and adds a row before each further page.
async fn read_while_booking(user: &User<'_>, base: &str, list: &str, account: &str) -> Vec<String> {
    let mut read = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = user.get(&format!("{base}{cursor}")).await;
        read.extend(ids(&page, list));
        // Newer rows must not push older ones to the next page.
        user.deposit(account, "99").await.data();
        let pagination = &page.data()["pagination"];
        let next = pagination["next_cursor"].as_str();
        assert_eq!(pagination["has_more"], next.is_some(), "{page}");
        match next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return read,
        }
    }
}

#[tokio::test]
async fn pages_are_stable_while_rows_are_added() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    let expected = deposits(&user, &book.stock, 25).await;

    for (path, list) in [
        ("transactions", "transactions"),
        ("trading-logs", "trading_logs"),
    ] {
        let base = format!("/v1/{path}?limit=10&sub_account_id={}", book.stock);
        let counted = user.get(&format!("{base}&include_total=true")).await;

        let read = read_while_booking(&user, &base, list, &book.stock).await;

        assert_eq!(counted.data()["pagination"]["total"], read.len(), "{list}");
        let distinct: HashSet<&String> = read.iter().collect();
        assert_eq!(distinct.len(), read.len(), "a row was listed twice");
        if list == "transactions" {
            assert_eq!(read, expected);
        }
    }
}

#[tokio::test]
async fn applies_limit_offset_and_total() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    let all = deposits(&user, &book.stock, 5).await;
    let get = async |query: &str| user.get(&format!("/v1/transactions{query}")).await;

    let page = get("?limit=2&offset=1&include_total=true").await;
    assert_eq!(ids(&page, "transactions"), all[1..3]);
    let pagination = &page.data()["pagination"];
    assert_eq!(pagination["limit"], 2);
    assert_eq!(pagination["offset"], 1);
    assert_eq!(pagination["total"], 5);

    let plain = json!({"limit": 100, "has_more": false, "next_cursor": null});
    assert_eq!(get("").await.data()["pagination"], plain);
    let exact = get("?limit=5").await;
    assert_eq!(exact.data()["pagination"]["has_more"], false);
    assert_eq!(exact.list("transactions").len(), 5);
    let beyond = get("?offset=5").await;
    assert!(beyond.list("transactions").is_empty(), "{beyond}");
    get("?limit=1000").await.data();
}

/// Wrong parameters of both lists.
const WRONG: [&str; 17] = [
    "limit=1001",
    "limit=0",
    "limit=-1",
    "limit=x",
    "offset=-1",
    "offset=100001",
    "cursor=x",
    "cursor=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "start_date=yesterday",
    "end_date=2020-13-01T00:00:00Z",
    "start_date=%2B200000-01-01T00:00:00Z",
    "end_date=0000-12-31T23:59:59Z",
    "trading_id=x",
    "sub_account_id=1",
    "time=never",
    "include_total=perhaps",
    "order_id=%00",
];

#[tokio::test]
async fn rejects_wrong_parameters_by_name() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let of_transactions = [
        "direction=up",
        "min_amount=x",
        "max_amount=1e40",
        "reason=%00",
    ];

    for (list, others) in [
        ("transactions", &of_transactions[..]),
        ("trading-logs", &["source=ghost"]),
    ] {
        for wrong in WRONG.iter().chain(others) {
            let answer = user.get(&format!("/v1/{list}?{wrong}")).await;
            answer.assert_error(400, "INVALID_VALUE");
            let name = wrong.split('=').next().expect("a name");
            answer.assert_contains(name);
        }
    }
}

#[tokio::test]
async fn rejects_a_cursor_with_an_offset_or_an_impossible_time() {
    let world = World::start().await;
    let user = world.user("ann").await;
    // Well-formed, but with a time beyond the range of the database.
    let cursor = "f".repeat(32);

    for list in ["transactions", "trading-logs"] {
        let path = format!("/v1/{list}?cursor={cursor}");
        let both = user.get(&format!("{path}&offset=1")).await;
        both.assert_error(400, "INVALID_REQUEST");
        user.get(&path).await.assert_error(400, "INVALID_VALUE");
    }
}

/// Books a trade of an order at an event time, beside the opening deposits of two tradings.
async fn book_trade(user: &User<'_>) -> (Book, Book, Answer) {
    let book = user.book("grid", "100", "100").await;
    let other = user.book("other", "7", "0").await;
    let mut trade = book.trade_with("long", "order_id", "o1");
    trade["event_time"] = json!("2018-01-01T00:05:00Z");
    let log = user.log(trade).await;
    (book, other, log)
}

#[tokio::test]
async fn every_filter_of_transactions_selects_matching_rows() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let (book, other, log) = book_trade(&user).await;
    let at = text(&log.data()["timestamp"]);
    let moment = "time=event&start_date=2018-01-01T00:05:00Z&end_date=2018-01-01T00:05:00.000001Z";

    for (filter, count) in [
        (&*format!("trading_id={}", other.trading), 1),
        (&format!("sub_account_id={}", book.stock), 2),
        ("order_id=o1", 2),
        ("order_id=o2", 0),
        ("direction=debit", 1),
        ("reason=deposit", 3),
        ("reason=long&direction=credit", 1),
        ("min_amount=7&max_amount=100", 3),
        ("max_amount=0.101", 1),
        (&format!("start_date={at}"), 2),
        (&format!("end_date={at}"), 3),
        (moment, 2),
        ("time=event&end_date=2018-01-01T00:05:00Z", 0),
        ("time=recorded&end_date=2018-01-02T00:00:00Z", 0),
    ] {
        let found = user.get(&format!("/v1/transactions?{filter}")).await;
        assert_eq!(found.list("transactions").len(), count, "{filter}");
    }
}

#[tokio::test]
async fn every_filter_of_trading_logs_selects_matching_rows() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let (book, _, log) = book_trade(&user).await;
    let at = text(&log.data()["timestamp"]);
    let of_trading = format!("/trading/{}", book.trading);

    for (filter, count) in [
        (&*format!("?trading_id={}", book.trading), 3),
        (&format!("?sub_account_id={}", book.stock), 2),
        ("?order_id=o1", 1),
        ("?type=deposit", 3),
        ("?type=long&source=bot", 1),
        ("?source=manual", 3),
        (&format!("?start_date={at}"), 1),
        ("?time=event&end_date=2019-01-01T00:00:00Z", 1),
        (&format!("{of_trading}?since=2018-01-01T00:05:00Z"), 3),
        (&format!("{of_trading}?since=2018-01-01T00:05:01Z"), 2),
    ] {
        let found = user.get(&format!("/v1/trading-logs{filter}")).await;
        assert_eq!(found.list("trading_logs").len(), count, "{filter}");
    }
}

#[tokio::test]
async fn stores_an_event_time_to_the_microsecond() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    let path = format!("/v1/sub-accounts/{}/deposit", book.stock);

    for [given, stored] in [
        ["2018-01-01T01:00:00+01:00", "2018-01-01T00:00:00Z"],
        [
            "2018-01-01T00:00:00.1234567Z",
            "2018-01-01T00:00:00.123456Z",
        ],
        ["2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"],
        [
            "9999-12-31T23:59:59.9999999Z",
            "9999-12-31T23:59:59.999999Z",
        ],
        ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"],
    ] {
        let body = json!({"amount": "1", "event_time": given});
        let created = user.post(&path, body).await;
        let created = &created.data()["transaction"];
        assert_eq!(created["event_time"], stored, "{given}");

        let path = format!("/v1/transactions/{}", text(&created["id"]));
        let read = user.get(&path).await;
        assert_eq!(read.data()["event_time"], stored, "{given}");
    }
}

#[tokio::test]
async fn rejects_a_wrong_event_time() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    let path = format!("/v1/sub-accounts/{}/deposit", book.stock);

    for wrong in [
        "0000-01-01T00:00:00+12:00",
        "9999-12-31T23:59:59-12:00",
        "2018-01-01",
        "2018-01-01T00:00:00",
        "now",
        "1514764800",
    ] {
        let body = json!({"amount": "1", "event_time": wrong});
        user.post(&path, body)
            .await
            .assert_error(400, "INVALID_VALUE");
    }
}
