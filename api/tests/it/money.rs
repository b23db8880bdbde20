//! Money comes in exactly, to the last digit, or not at all.

use crate::world::World;
use serde_json::json;

#[tokio::test]
async fn every_spelling_of_an_amount_arrives_exact() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "0").await;
    let path = format!("/v1/sub-accounts/{}/deposit", desk.stock);
    let empty = format!("/v1/sub-accounts/{}/withdraw", desk.stock);
    for (written, exact) in [
        ("0.1", "0.1"),
        ("1e-8", "0.00000001"),
        (
            "123456789012345.123456789012",
            "123456789012345.123456789012",
        ),
        (
            "9999999999999999.999999999999",
            "9999999999999999.999999999999",
        ),
        ("0.000000000001", "0.000000000001"),
        ("1.10", "1.1"),
        ("0.10000000000000000000", "0.1"),
        ("1E+3", "1000"),
    ] {
        for body in [
            format!("{{\"amount\":{written}}}"),
            format!("{{\"amount\":\"{written}\"}}"),
        ] {
            let deposit = user.post_text(&path, body.clone()).await;
            assert_eq!(deposit.data()["transaction"]["amount"], exact, "{body}");
            assert_eq!(user.balance(&desk.stock).await, exact, "{body}");
            user.post(&empty, json!({"amount": exact})).await.data();
        }
    }
}

#[tokio::test]
async fn a_sum_that_floats_get_wrong_is_right() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0.1", "0").await;
    user.post_text(
        &format!("/v1/sub-accounts/{}/deposit", desk.stock),
        "{\"amount\":0.2}",
    )
    .await
    .data();
    assert_eq!(user.balance(&desk.stock).await, "0.3");
}

#[tokio::test]
async fn a_malformed_amount_is_400_and_one_the_ledger_refuses_422() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "5", "0").await;
    let path = format!("/v1/sub-accounts/{}/deposit", desk.stock);
    for malformed in [
        "\"abc\"", "\"\"", "\"1,5\"", "\" 1\"", "\"+1\"", "\"0x10\"", "\"NaN\"", "true", "[1]",
        "{}",
    ] {
        let answer = user
            .post_text(&path, format!("{{\"amount\":{malformed}}}"))
            .await;
        assert_eq!(answer.refusal(), (400, "INVALID_VALUE"), "{malformed}");
        assert!(
            answer.text.contains("amount"),
            "the field is named: {}",
            answer.text
        );
    }
    assert_eq!(
        user.post_text(&path, "{}").await.refusal(),
        (400, "MISSING_FIELD")
    );
    assert_eq!(
        user.post_text(&path, "{\"amount\":null}").await.refusal(),
        (400, "MISSING_FIELD")
    );
    for (refused, code) in [
        ("0", "INVALID_AMOUNT"),
        ("-1", "INVALID_AMOUNT"),
        ("0.0000000000001", "TOO_MANY_DECIMALS"),
        ("\"1.1234567890123\"", "TOO_MANY_DECIMALS"),
        ("10000000000000000", "AMOUNT_OUT_OF_RANGE"),
        ("9999999999999999", "AMOUNT_OUT_OF_RANGE"),
    ] {
        let answer = user
            .post_text(&path, format!("{{\"amount\":{refused}}}"))
            .await;
        assert_eq!(answer.refusal(), (422, code), "{refused}");
    }
    assert_eq!(user.balance(&desk.stock).await, "5");
}

#[tokio::test]
async fn a_product_is_rounded_once_and_half_to_even() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let desk = user.desk("grid", "0", "2000000000").await;
    let mut trade = desk.trade("long");
    trade["info"]["price"] = json!("1000000.000003002994");
    trade["info"]["fee"] = json!(0);
    trade["info"]["volume"] = json!("1000.000500000999");
    let long = user.post("/v1/trading-logs", trade).await;
    assert_eq!(long.status, 201, "{}", long.text);
    let paid = user
        .get(&format!(
            "/v1/transactions?sub_account_id={}&reason=long",
            desk.currency
        ))
        .await;
    // 1000000.000003002994 x 1000.000500000999, counted by hand with whole numbers.
    let exact: u128 = 1_000_000_000_003_002_994 * 1_000_000_500_000_999;
    let (units, rest) = (exact / 1_000_000_000_000, exact % 1_000_000_000_000);
    let units = if rest > 500_000_000_000 {
        units + 1
    } else {
        units
    };
    let expected = format!(
        "{}.{:012}",
        units / 1_000_000_000_000,
        units % 1_000_000_000_000
    );
    assert_eq!(
        paid.data()["transactions"][0]["amount"],
        expected.trim_end_matches('0')
    );
}
