//! Assets with names in any script, in every place that takes or returns one.

use crate::world::{World, text};
use serde_json::json;

/// The symbol of the traded asset, and as a query parameter.
const TOKEN: &str = "币安人生";
const TOKEN_ENCODED: &str = "%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9F";

#[tokio::test]
async fn an_asset_of_any_script_is_traded_measured_and_exported() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let request = json!({"name": "x", "type": "paper", "sub_accounts": [
        {"name": "stock", "symbol": "ETH", "initial_deposit": "10"},
        {"name": "currency", "symbol": "BTC"},
        {"name": "s", "symbol": TOKEN, "initial_deposit": "100"},
    ]});
    let alone =
        json!({"name": "y", "type": "paper", "sub_accounts": [{"name": "s", "symbol": TOKEN}]});
    user.post("/v1/tradings", alone).await.assert_status(201);
    let book = user.book_of(request).await;
    let accounts = format!("/v1/sub-accounts?trading_id={}", book.trading);
    let accounts = user.get(&accounts).await;
    let mut accounts = accounts.list("sub_accounts").iter();
    let token = accounts.find(|account| account["symbol"] == TOKEN);
    let token = text(&token.expect(TOKEN)["id"]);

    let mut trade = book.trade("long");
    trade["info"]["currency_account_id"] = json!(token);
    trade["info"]["currency"] = json!(TOKEN);
    user.log(trade).await;

    assert_eq!(user.balance(&token).await, "99.899");
    let figures = format!("/v1/tradings/{}/performance", book.trading);
    let figures = user.get(&format!("{figures}?quote={TOKEN_ENCODED}")).await;
    assert_eq!(figures.data()["quote"], TOKEN);
    let sold = user.get("/v1/transactions?reason=long").await;
    assert_eq!(sold.list("transactions")[0]["quote_symbol"], TOKEN);
    let csv = [("accept", "text/csv")];
    let exported = user.get_with("/v1/transactions?reason=long", &csv).await;
    assert!(exported.text.contains(&format!(",{TOKEN},")), "{exported}");
}

#[tokio::test]
async fn a_symbol_is_stored_composed_and_in_upper_case() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let trading = user.book("grid", "0", "0").await.trading;
    let address = "0xdac17f958d2ee523a2206206994597c13d831ec7";

    for (number, (given, stored)) in [
        (address, address.to_uppercase()),
        ("btc.d", "BTC.D".to_owned()),
        ("1000pepe", "1000PEPE".to_owned()),
        ("cafe\u{301}", "CAFÉ".to_owned()),
        ("straße", "STRASSE".to_owned()),
        (&"币".repeat(64), "币".repeat(64)),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("account {number}");
        let body = json!({"trading_id": trading, "name": name, "symbol": given});
        let account = user.post("/v1/sub-accounts", body).await;

        assert_eq!(account.data()["symbol"], stored, "{given}");
    }
}

#[tokio::test]
async fn rejects_what_is_no_symbol() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let trading = user.book("grid", "0", "0").await.trading;

    for wrong in [
        "",
        "a b",
        "a/b",
        "a\u{3000}b",
        "€",
        &"币".repeat(65),
        &"ß".repeat(33),
    ] {
        let body = json!({"trading_id": trading, "name": "new", "symbol": wrong});
        let answer = user.post("/v1/sub-accounts", body).await;

        answer.assert_error(400, "INVALID_VALUE");
        answer.assert_contains("symbol");
    }
}

#[tokio::test]
async fn an_account_with_a_symbol_of_an_earlier_version_still_works() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "0").await;
    sqlx::query("UPDATE sub_accounts SET symbol = 'USD(~)' WHERE symbol = 'ETH'")
        .execute(world.database.pool())
        .await
        .expect("updated");

    let deposit = user.deposit(&book.stock, "2").await;

    deposit.assert_status(200);
    assert_eq!(user.balance(&book.stock).await, "3");
    let figures = format!("/v1/tradings/{}/performance?quote=BTC", book.trading);
    let figures = user.get(&figures).await;
    assert_eq!(figures.data()["unpriced"], json!(["USD(~)"]));
}
