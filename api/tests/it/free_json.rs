//! Free JSON is returned unchanged, and JSON that the database cannot hold is rejected.

use crate::world::{User, World, text};
use serde_json::{Value, json};

/// Returns nested arrays.
fn deep(levels: usize) -> String {
    format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
}

#[tokio::test]
async fn rejects_json_that_the_database_cannot_hold() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let create = async |fields: &str| {
        let body = format!(r#"{{"name":"t","type":"paper",{fields}}}"#);
        user.post_text("/v1/tradings", body).await
    };

    for info in [
        r#"{"a":1,"a":2}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"{"x":{"a":1,"a":2}}"#,
        r#"{"a":"x\u0000"}"#,
        r#"{"\u0000":1}"#,
        r#"{"a":1e131071}"#,
        r#"{"a":1e-131071}"#,
        r#"{"a":1e65}"#,
        &format!(r#"{{"a":{}}}"#, "1".repeat(1_001)),
        // The body adds two levels.
        &format!(r#"{{"a":{}}}"#, deep(31)),
        r#"{"$serde_json::private::Number":"1"}"#,
        r#"{"a":{"$serde_json::private::RawValue":"1"}}"#,
        &format!(r#"{{"a":"{}"}}"#, "x".repeat(16 * 1024)),
        "[]",
        r#""text""#,
    ] {
        let answer = create(&format!(r#""info":{info}"#)).await;
        answer.assert_error(400, "INVALID_INFO_STRUCTURE");
    }
    // Also in an unknown field, which is otherwise ignored.
    let answer = create(r#""surplus":{"a":1,"a":2}"#).await;
    answer.assert_error(400, "INVALID_INFO_STRUCTURE");

    let tradings = user.get("/v1/tradings").await;
    assert!(tradings.list("tradings").is_empty(), "{tradings}");
}

#[tokio::test]
async fn free_json_is_returned_unchanged() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let kept = [
        "{}",
        r#"{"z":1,"a":[null,true,false,{"b":""}],"é 🚀":"\u00e9\ud83d\ude80\n","":0}"#,
        r#"{"n":0.1,"m":123456789012345678901234567890,"k":-0.000000000000000000000001}"#,
        r#"{"drift":"mine","raw":{"x":1},"source":"me","broker_time":null}"#,
        &format!(r#"{{"a":{}}}"#, "9".repeat(1_000)),
        &format!(r#"{{"a":{}}}"#, deep(30)),
        &format!(r#"{{"a":"{}"}}"#, "x".repeat(16 * 1024 - 8)),
    ];

    for (number, info) in kept.iter().enumerate() {
        let expected: Value = serde_json::from_str(info).expect("JSON");
        let body = format!(r#"{{"name":"t{number}","type":"paper","info":{info}}}"#);
        let trading = user.post_text("/v1/tradings", body).await;
        let body = json!({"trading_id": trading.id(), "type": "note", "source": "bot", "message": "", "info": expected});
        let log = user.log(body).await;
        let read = user.get(&format!("/v1/trading-logs/{}", log.id())).await;

        for answer in [trading, log, read] {
            assert_eq!(answer.data()["info"], expected, "{info}");
        }
    }
}

#[tokio::test]
async fn numbers_are_returned_without_exponents() {
    let world = World::start().await;
    let user = world.user("ann").await;

    let body = r#"{"name":"e","type":"paper","info":{"a":1e64,"b":1E-2}}"#;
    let created = user.post_text("/v1/tradings", body).await;

    let info = &created.data()["info"];
    assert_eq!(info["a"].to_string(), format!("1{}", "0".repeat(64)));
    assert_eq!(info["b"].to_string(), "0.01");
}

/// Creates a trading with an account, a log and a deposit, all with this info.
async fn create_all(user: &User<'_>, name: &str, info: &Value) {
    let body = json!({"name": name, "type": "paper", "info": info,
                      "sub_accounts": [{"name": "x", "symbol": "X", "info": info}]});
    let trading = user.post("/v1/tradings", body).await.id();
    let log = json!({"trading_id": trading, "type": "note", "source": "bot", "message": "", "info": info});
    user.log(log).await;
    let accounts = format!("/v1/sub-accounts?trading_id={trading}");
    let accounts = user.get(&accounts).await;
    let account = text(&accounts.list("sub_accounts")[0]["id"]);
    let deposit = format!("/v1/sub-accounts/{account}/deposit");
    let body = json!({"amount": "1", "info": info});
    user.post(&deposit, body).await.data();
}

#[tokio::test]
async fn filters_lists_by_the_contents_of_info() {
    let world = World::start().await;
    let user = world.user("ann").await;
    create_all(&user, "a", &json!({"k": "v", "n": 1})).await;
    create_all(&user, "b", &json!({"k": "w"})).await;

    for list in ["tradings", "sub-accounts", "transactions"] {
        for (filter, count) in [
            (r#"{"k":"v"}"#, 1),
            (r#"{"n":1.0}"#, 1),
            ("{}", 2),
            (r#"{"k":"x"}"#, 0),
        ] {
            let answer = user.get(&format!("/v1/{list}?info={filter}")).await;
            let rows = answer.list(&list.replace('-', "_"));
            assert_eq!(rows.len(), count, "{list} {filter}");
        }
    }
    let logs = user.get(r#"/v1/trading-logs?info={"k":"v"}"#).await;
    // The note and the deposit.
    assert_eq!(logs.list("trading_logs").len(), 2);
    let bindings = r#"/v1/exchange-bindings/public?info={"k":"v"}"#;
    let bindings = user.get(bindings).await;
    assert!(bindings.list("exchange_bindings").is_empty(), "{bindings}");
}

#[tokio::test]
async fn rejects_an_invalid_filter_of_info() {
    let world = World::start().await;
    let user = world.user("ann").await;

    for (wrong, code) in [
        ("x", "INVALID_VALUE"),
        ("[]", "INVALID_INFO_STRUCTURE"),
        (r#"{"a":1,"a":1}"#, "INVALID_INFO_STRUCTURE"),
        (r#"{"a":1e99}"#, "INVALID_INFO_STRUCTURE"),
    ] {
        let answer = user.get(&format!("/v1/tradings?info={wrong}")).await;
        answer.assert_error(400, code);
    }
}
