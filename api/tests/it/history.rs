//! Lists of transactions and trading logs: filters, pages, cursors.

use crate::world::{User, World, text};
use serde_json::{Value, json};

async fn deposit(user: &User<'_>, account: &str, amount: u32) -> Value {
    let body = json!({"amount": amount.to_string()});
    user.post(&format!("/v1/sub-accounts/{account}/deposit"), body)
        .await
        .data()["transaction"]
        .clone()
}

fn ids(answer: &crate::world::Answer, list: &str) -> Vec<String> {
    answer.data()[list]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| text(&row["id"]))
        .collect()
}

#[tokio::test]
async fn pages_are_stable_while_new_rows_come_in() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "0").await;
    let mut expected = Vec::new();
    for amount in 1..=25 {
        expected.push(text(&deposit(&user, &desk.stock, amount).await["id"]));
    }
    expected.reverse();
    for list in ["transactions", "trading_logs"] {
        let base = format!(
            "/v1/{}?limit=10&sub_account_id={}",
            list.replace('_', "-"),
            desk.stock
        );
        let before =
            user.get(&format!("{base}&include_total=true")).await.data()["pagination"]["total"]
                .clone();
        let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let page = user.get(&format!("{base}{cursor}")).await;
            seen.extend(ids(&page, list));
            pages += 1;
            // Newer rows must not push older ones to the next page.
            deposit(&user, &desk.stock, 99).await;
            let pagination = &page.data()["pagination"];
            assert_eq!(pagination["has_more"], !pagination["next_cursor"].is_null());
            if pagination["has_more"] == false {
                break;
            }
            cursor = format!("&cursor={}", text(&pagination["next_cursor"]));
        }
        assert_eq!(json!(seen.len()), before, "{list}");
        let distinct: std::collections::HashSet<&String> = seen.iter().collect();
        assert_eq!(distinct.len(), seen.len(), "no row twice");
        assert_eq!(pages, seen.len().div_ceil(10));
        if list == "transactions" {
            assert_eq!(seen, expected);
        }
    }
}

#[tokio::test]
async fn limit_offset_and_total_are_honoured_exactly() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "0").await;
    let mut all = Vec::new();
    for amount in 1..=5 {
        all.push(text(&deposit(&user, &desk.stock, amount).await["id"]));
    }
    all.reverse();
    let page = user
        .get("/v1/transactions?limit=2&offset=1&include_total=true")
        .await;
    assert_eq!(ids(&page, "transactions"), all[1..3]);
    let pagination = &page.data()["pagination"];
    assert_eq!(
        (
            &pagination["limit"],
            &pagination["offset"],
            &pagination["total"]
        ),
        (&json!(2), &json!(1), &json!(5))
    );
    let plain = user.get("/v1/transactions").await;
    assert_eq!(
        plain.data()["pagination"],
        json!({"limit": 100, "has_more": false, "next_cursor": null})
    );
    let exact = user.get("/v1/transactions?limit=5").await;
    assert_eq!(
        (
            exact.data()["pagination"]["has_more"].clone(),
            ids(&exact, "transactions").len()
        ),
        (json!(false), 5)
    );
    let beyond = user.get("/v1/transactions?offset=5").await;
    assert_eq!(beyond.data()["transactions"], json!([]));
    user.get("/v1/transactions?limit=1000").await.data();
}

#[tokio::test]
async fn parameters_that_are_wrong_are_400_and_named() {
    let world = World::start().await;
    let user = world.user("ann").await;
    for list in ["transactions", "trading-logs"] {
        for wrong in [
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
            "trading_id=x",
            "sub_account_id=1",
            "time=never",
            "include_total=perhaps",
            "order_id=%00",
        ] {
            let answer = user.get(&format!("/v1/{list}?{wrong}")).await;
            assert_eq!(answer.refusal(), (400, "INVALID_VALUE"), "{list} {wrong}");
            let name = wrong.split('=').next().expect("a name");
            assert!(answer.text.contains(name), "{wrong}: {}", answer.text);
        }
        let cursor = "f".repeat(32);
        let both = user
            .get(&format!("/v1/{list}?cursor={cursor}&offset=1"))
            .await;
        assert_eq!(both.refusal(), (400, "INVALID_REQUEST"));
        // Fits the form, but names a moment the database cannot hold.
        assert_eq!(
            user.get(&format!("/v1/{list}?cursor={cursor}"))
                .await
                .refusal(),
            (400, "INVALID_VALUE")
        );
    }
    for wrong in [
        "direction=up",
        "min_amount=x",
        "max_amount=1e40",
        "reason=%00",
    ] {
        assert_eq!(
            user.get(&format!("/v1/transactions?{wrong}"))
                .await
                .refusal(),
            (400, "INVALID_VALUE"),
            "{wrong}"
        );
    }
    assert_eq!(
        user.get("/v1/trading-logs?source=ghost").await.refusal(),
        (400, "INVALID_VALUE")
    );
}

#[tokio::test]
async fn every_filter_keeps_what_it_names_and_nothing_else() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "100", "100").await;
    let other = user.desk("other", "7", "0").await;
    let mut trade = desk.trade("long");
    trade["info"]["order_id"] = json!("o1");
    trade["event_time"] = json!("2018-01-01T00:05:00Z");
    let long = user.post("/v1/trading-logs", trade).await;
    let at = text(&long.data()["timestamp"]);
    for (filter, count) in [
        (format!("trading_id={}", other.trading), 1),
        (format!("sub_account_id={}", desk.stock), 2),
        ("order_id=o1".to_owned(), 2),
        ("order_id=o2".to_owned(), 0),
        ("direction=debit".to_owned(), 1),
        ("reason=deposit".to_owned(), 3),
        ("reason=long&direction=credit".to_owned(), 1),
        ("min_amount=7&max_amount=100".to_owned(), 3),
        ("max_amount=0.101".to_owned(), 1),
        (format!("start_date={at}"), 2),
        (format!("end_date={at}"), 3),
        (
            "time=event&start_date=2018-01-01T00:05:00Z&end_date=2018-01-01T00:05:00.000001Z"
                .to_owned(),
            2,
        ),
        ("time=event&end_date=2018-01-01T00:05:00Z".to_owned(), 0),
        ("time=recorded&end_date=2018-01-02T00:00:00Z".to_owned(), 0),
    ] {
        let found = user.get(&format!("/v1/transactions?{filter}")).await;
        assert_eq!(ids(&found, "transactions").len(), count, "{filter}");
    }
    for (filter, count) in [
        (format!("trading_id={}", desk.trading), 3),
        (format!("sub_account_id={}", desk.stock), 1),
        ("order_id=o1".to_owned(), 1),
        ("type=deposit".to_owned(), 3),
        ("type=long&source=bot".to_owned(), 1),
        ("source=manual".to_owned(), 3),
        (format!("start_date={at}"), 1),
        ("time=event&end_date=2019-01-01T00:00:00Z".to_owned(), 1),
    ] {
        let found = user.get(&format!("/v1/trading-logs?{filter}")).await;
        assert_eq!(ids(&found, "trading_logs").len(), count, "{filter}");
    }
    let since = |time: &str| format!("/v1/trading-logs/trading/{}?since={time}", desk.trading);
    assert_eq!(
        ids(
            &user.get(&since("2018-01-01T00:05:00Z")).await,
            "trading_logs"
        )
        .len(),
        3
    );
    assert_eq!(
        ids(
            &user.get(&since("2018-01-01T00:05:01Z")).await,
            "trading_logs"
        )
        .len(),
        2
    );
}

#[tokio::test]
async fn the_event_time_is_kept_to_the_microsecond_and_answered_as_it_is_stored() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "0").await;
    let path = format!("/v1/sub-accounts/{}/deposit", desk.stock);
    for (given, kept) in [
        ("2018-01-01T01:00:00+01:00", "2018-01-01T00:00:00Z"),
        (
            "2018-01-01T00:00:00.1234567Z",
            "2018-01-01T00:00:00.123456Z",
        ),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        (
            "9999-12-31T23:59:59.9999999Z",
            "9999-12-31T23:59:59.999999Z",
        ),
        ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"),
    ] {
        let made = user
            .post(&path, json!({"amount": "1", "event_time": given}))
            .await;
        assert_eq!(made.data()["transaction"]["event_time"], kept, "{given}");
        let id = text(&made.data()["transaction"]["id"]);
        assert_eq!(
            user.get(&format!("/v1/transactions/{id}")).await.data()["event_time"],
            kept,
            "{given}"
        );
    }
    for wrong in [
        "0000-01-01T00:00:00+14:00",
        "2018-01-01",
        "2018-01-01T00:00:00",
        "now",
        "1514764800",
    ] {
        let answer = user
            .post(&path, json!({"amount": "1", "event_time": wrong}))
            .await;
        assert_eq!(answer.refusal(), (400, "INVALID_VALUE"), "{wrong}");
    }
}
