//! Free JSON comes back as it went in, and what the database would choke on is refused.

use crate::world::World;
use serde_json::{Value, json};

#[tokio::test]
async fn what_would_explode_or_fail_in_the_database_is_refused() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let wrong = [
        r#"{"a":1,"a":2}"#.to_owned(),
        r#"{"a":1,"\u0061":2}"#.to_owned(),
        r#"{"x":{"a":1,"a":2}}"#.to_owned(),
        r#"{"a":"x\u0000"}"#.to_owned(),
        r#"{"\u0000":1}"#.to_owned(),
        r#"{"a":1e131071}"#.to_owned(),
        r#"{"a":1e-131071}"#.to_owned(),
        r#"{"a":1e65}"#.to_owned(),
        format!("{{\"a\":{}}}", "1".repeat(41)),
        // Two levels stand around it already.
        format!("{{\"a\":{}}}", deep(31)),
        r#"{"$serde_json::private::Number":"1"}"#.to_owned(),
        r#"{"a":{"$serde_json::private::RawValue":"1"}}"#.to_owned(),
        format!("{{\"a\":\"{}\"}}", "x".repeat(16 * 1024)),
        "[]".to_owned(),
        "\"text\"".to_owned(),
    ];
    for info in &wrong {
        let answer = user
            .post_text(
                "/v1/tradings",
                format!(r#"{{"name":"t","type":"paper","info":{info}}}"#),
            )
            .await;
        assert_eq!(answer.refusal(), (400, "INVALID_INFO_STRUCTURE"), "{info}");
    }
    // Whatever the key, also where an unknown field would be ignored.
    let answer = user
        .post_text(
            "/v1/tradings",
            r#"{"name":"t","type":"paper","surplus":{"a":1,"a":2}}"#,
        )
        .await;
    assert_eq!(answer.refusal(), (400, "INVALID_INFO_STRUCTURE"));
    assert_eq!(user.get("/v1/tradings").await.data()["tradings"], json!([]));
}

#[tokio::test]
async fn free_json_comes_back_equal() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let kept = [
        "{}".to_owned(),
        r#"{"z":1,"a":[null,true,false,{"b":""}],"é 🚀":"\u00e9\ud83d\ude80\n","":0}"#.to_owned(),
        r#"{"n":0.1,"m":123456789012345678901234567890,"k":-0.000000000000000000000001}"#
            .to_owned(),
        r#"{"drift":"mine","raw":{"x":1},"source":"me","broker_time":null}"#.to_owned(),
        format!("{{\"a\":{}}}", "9".repeat(40)),
        format!("{{\"a\":{}}}", deep(30)),
        format!("{{\"a\":\"{}\"}}", "x".repeat(16 * 1024 - 8)),
    ];
    for (number, info) in kept.iter().enumerate() {
        let expected: Value = serde_json::from_str(info).expect("JSON");
        let body = format!(r#"{{"name":"t{number}","type":"paper","info":{info}}}"#);
        let made = user.post_text("/v1/tradings", body).await;
        assert_eq!(made.data()["info"], expected, "{info}");
        let body = json!({"trading_id": made.data()["id"], "type": "note", "source": "bot", "message": "", "info": expected});
        let log = user.post("/v1/trading-logs", body).await;
        assert_eq!(log.data()["info"], expected, "{info}");
        let read = user
            .get(&format!(
                "/v1/trading-logs/{}",
                log.data()["id"].as_str().expect("an id")
            ))
            .await;
        assert_eq!(read.data()["info"], expected, "{info}");
    }
    // The exponent is a way to write it, not part of the value.
    let made = user
        .post_text(
            "/v1/tradings",
            r#"{"name":"e","type":"paper","info":{"a":1e64,"b":1E-2}}"#,
        )
        .await;
    assert_eq!(
        made.data()["info"]["a"].to_string(),
        format!("1{}", "0".repeat(64))
    );
    assert_eq!(made.data()["info"]["b"].to_string(), "0.01");
}

#[tokio::test]
async fn lists_can_be_filtered_by_what_info_contains() {
    let world = World::start().await;
    let user = world.user("ann").await;
    for (name, info) in [("a", json!({"k": "v", "n": 1})), ("b", json!({"k": "w"}))] {
        let body = json!({"name": name, "type": "paper", "info": info,
                          "sub_accounts": [{"name": "x", "symbol": "X", "info": info}]});
        let trading = user.post("/v1/tradings", body).await;
        let log = json!({"trading_id": trading.data()["id"], "type": "note", "source": "bot", "message": "", "info": info});
        user.post("/v1/trading-logs", log).await.data();
    }
    let accounts = user.get("/v1/sub-accounts").await;
    for account in accounts.data()["sub_accounts"].as_array().expect("a list") {
        let path = format!(
            "/v1/sub-accounts/{}/deposit",
            account["id"].as_str().expect("an id")
        );
        user.post(&path, json!({"amount": "1", "info": account["info"]}))
            .await
            .data();
    }
    for list in ["tradings", "sub-accounts", "transactions"] {
        let key = list.replace('-', "_");
        for (filter, count) in [
            (r#"{"k":"v"}"#, 1),
            (r#"{"n":1.0}"#, 1),
            ("{}", 2),
            (r#"{"k":"x"}"#, 0),
        ] {
            let answer = user.get(&format!("/v1/{list}?info={filter}")).await;
            assert_eq!(
                answer.data()[&key].as_array().map(Vec::len),
                Some(count),
                "{list} {filter}"
            );
        }
    }
    let logs = user.get(r#"/v1/trading-logs?info={"k":"v"}"#).await;
    assert_eq!(
        logs.data()["trading_logs"].as_array().map(Vec::len),
        Some(2),
        "the note and the deposit"
    );
    let bindings = user
        .get(r#"/v1/exchange-bindings/public?info={"k":"v"}"#)
        .await;
    assert_eq!(bindings.data()["exchange_bindings"], json!([]));
    for (wrong, code) in [
        ("x", "INVALID_VALUE"),
        ("[]", "INVALID_INFO_STRUCTURE"),
        (r#"{"a":1,"a":1}"#, "INVALID_INFO_STRUCTURE"),
        (r#"{"a":1e99}"#, "INVALID_INFO_STRUCTURE"),
    ] {
        assert_eq!(
            user.get(&format!("/v1/tradings?info={wrong}"))
                .await
                .refusal(),
            (400, code),
            "{wrong}"
        );
    }
}
