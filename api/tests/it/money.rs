//! Amounts are stored exactly or rejected.

use crate::world::World;
use serde_json::json;

#[tokio::test]
async fn accepts_every_notation_of_an_amount_exactly() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "0").await;
    let path = format!("/v1/sub-accounts/{}/deposit", book.stock);
    let empty = format!("/v1/sub-accounts/{}/withdraw", book.stock);

    for (written, exact) in [
        ("0.1", "0.1"),
        ("1e-8", "0.00000001"),
        (
            "123456789012345.123456789012",
            "123456789012345.123456789012",
        ),
        (
            "99999999999999999999.999999999999999999",
            "99999999999999999999.999999999999999999",
        ),
        ("0.000000000000000001", "0.000000000000000001"),
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
            assert_eq!(user.balance(&book.stock).await, exact, "{body}");
            user.post(&empty, json!({"amount": exact})).await.data();
        }
    }
}

#[tokio::test]
async fn adds_amounts_without_float_errors() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0.1", "0").await;
    let path = format!("/v1/sub-accounts/{}/deposit", book.stock);

    user.post_text(&path, r#"{"amount":0.2}"#).await.data();

    assert_eq!(user.balance(&book.stock).await, "0.3");
}

#[tokio::test]
async fn distinguishes_malformed_from_refused_amounts() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "5", "0").await;
    let path = format!("/v1/sub-accounts/{}/deposit", book.stock);
    let deposit = async |amount: &str| {
        user.post_text(&path, format!(r#"{{"amount":{amount}}}"#))
            .await
    };

    for malformed in [
        r#""abc""#,
        r#""""#,
        r#""1,5""#,
        r#"" 1""#,
        r#""+1""#,
        r#""0x10""#,
        r#""NaN""#,
        "true",
        "[1]",
        "{}",
    ] {
        let answer = deposit(malformed).await;
        answer.assert_error(400, "INVALID_VALUE");
        answer.assert_contains("amount");
    }
    let missing = user.post_text(&path, "{}").await;
    missing.assert_error(400, "MISSING_FIELD");
    deposit("null").await.assert_error(400, "MISSING_FIELD");

    for (refused, code) in [
        ("0", "INVALID_AMOUNT"),
        ("-1", "INVALID_AMOUNT"),
        ("1e-19", "INVALID_AMOUNT"),
        (r#""0.0000000000000000005""#, "INVALID_AMOUNT"),
        ("100000000000000000000", "AMOUNT_OUT_OF_RANGE"),
        ("99999999999999999999", "AMOUNT_OUT_OF_RANGE"),
    ] {
        deposit(refused).await.assert_error(422, code);
    }
    let details = deposit("-1").await.body["error"]["details"].clone();
    assert_eq!(details["account_id"], json!(book.stock));
    assert_eq!(details["given_amount"], "-1");
    assert_eq!(user.balance(&book.stock).await, "5");
}

#[tokio::test]
async fn rounds_a_product_once_half_to_even() {
    // The product has thirty decimal places, the books have eighteen.
    const ROUNDED_OFF: u128 = 1_000_000_000_000;
    const UNIT: u128 = 1_000_000_000_000_000_000;
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "0", "2000000000").await;
    let mut trade = book.trade("long");
    trade["info"]["price"] = json!("100000.000000003002994");
    trade["info"]["volume"] = json!("1000.000000500000999");
    trade["info"]["fee"] = json!(0);

    user.log(trade).await;

    // The same product with whole numbers.
    let exact: u128 = 100_000_000_000_003_002_994 * 1_000_000_000_500_000_999;
    let units = exact / ROUNDED_OFF + u128::from(exact % ROUNDED_OFF > ROUNDED_OFF / 2);
    let expected = format!("{}.{:018}", units / UNIT, units % UNIT);
    let paid = format!(
        "/v1/transactions?sub_account_id={}&reason=long",
        book.currency
    );
    let paid = user.get(&paid).await;
    assert_eq!(
        paid.list("transactions")[0]["amount"],
        expected.trim_end_matches('0')
    );
}
