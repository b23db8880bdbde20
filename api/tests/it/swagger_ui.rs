//! Swagger UI in a real browser.

use crate::browser::{self, Browser};
use crate::skip::skip;
use crate::world::{World, text};
use serde_json::Value;

/// Set to `required` where a browser must be available.
const REQUIREMENT: &str = "TIRIS_BROWSER";

/// Returns the selector of an operation.
fn block(operation: &str) -> String {
    format!("[id^=operations-][id$=-{operation}]")
}

/// Opens the form of an operation.
async fn open(browser: &mut Browser, operation: &str) {
    let block = block(operation);
    browser
        .click(&format!("{block} .opblock-summary-control"))
        .await;
    browser.click(&format!("{block} .try-out__btn")).await;
}

/// A response as the page shows it.
struct Shown {
    status: String,
    body: Value,
}

/// Executes an open operation, reads the response, and clears it.
async fn execute(browser: &mut Browser, operation: &str) -> Shown {
    let block = block(operation);
    let answer = format!("{block} .live-responses-table .response");
    browser.click(&format!("{block} .execute")).await;
    let status = browser
        .text(&format!("{answer} .response-col_status"))
        .await;
    let body = browser
        .text(&format!("{answer} .response-col_description pre"))
        .await;
    browser.click(&format!("{block} .btn-clear")).await;

    Shown {
        status: status.trim().to_owned(),
        body: serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")),
    }
}

/// Enters a token.
async fn authorize(browser: &mut Browser, token: &str) {
    const FORM: &str = ".auth-container .auth-btn-wrapper";
    browser.click(".auth-wrapper .authorize").await;
    browser.fill_in(".auth-container input", token).await;
    browser.click(&format!("{FORM} .authorize")).await;
    browser.click(&format!("{FORM} .btn-done")).await;
}

#[tokio::test]
async fn authorizes_and_trades_in_swagger_ui() {
    let Some(program) = browser::find() else {
        return skip(
            REQUIREMENT,
            "Swagger UI in a browser",
            "Chromium is not installed",
        );
    };
    let world = World::start().await;
    let ann = world.user("ann").await;
    let book = ann.book("grid", "10", "10").await;
    let origin = format!("http://{}", world.address);
    let mut browser = Browser::open(&program, &format!("{origin}/docs")).await;

    open(&mut browser, "getMe").await;
    let refused = execute(&mut browser, "getMe").await;
    assert_eq!(refused.status, "401");
    assert_eq!(refused.body["error"]["code"], "AUTH_REQUIRED");

    authorize(&mut browser, &ann.token).await;
    let me = execute(&mut browser, "getMe").await;
    assert_eq!(me.status, "200");
    assert_eq!(me.body["data"]["username"], "ann");

    open(&mut browser, "createTradingLog").await;
    let body = format!("{} textarea.body-param__text", block("createTradingLog"));
    let trade = book.trade("long").to_string();
    browser.fill_in(&body, &trade).await;
    let created = execute(&mut browser, "createTradingLog").await;
    assert_eq!(created.status, "201", "{}", created.body);
    assert_eq!(created.body["data"]["type"], "long", "{}", created.body);
    assert_eq!(ann.balance(&book.stock).await, "12");

    let loaded = "performance.getEntriesByType('resource').map(entry => entry.name)";
    let loaded = browser.evaluate(loaded).await;
    for address in loaded.as_array().expect("a list").iter().map(text) {
        let is_own = address.starts_with(&origin) || address.starts_with("data:");
        assert!(is_own, "{address}");
    }
}
