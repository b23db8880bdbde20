//! Swagger UI in a real browser, used as a person would.

use crate::browser::{self, Browser};
use crate::skip::skip;
use crate::world::{World, text};
use serde_json::Value;

/// Set to `required` where a browser must be there.
const REQUIREMENT: &str = "TIRIS_BROWSER";

/// Where an operation is shown.
fn block(operation: &str) -> String {
    format!("[id^=operations-][id$=-{operation}]")
}

/// Opens an operation to try it out.
async fn open(browser: &mut Browser, operation: &str) {
    let block = block(operation);
    browser
        .click(&format!("{block} .opblock-summary-control"))
        .await;
    browser.click(&format!("{block} .try-out__btn")).await;
}

/// Executes an open operation, reads status and body of the answer, and clears both away.
async fn execute(browser: &mut Browser, operation: &str) -> (String, Value) {
    let block = block(operation);
    browser.click(&format!("{block} .execute")).await;
    let answer = format!("{block} .live-responses-table .response");
    let status = browser
        .text(&format!("{answer} .response-col_status"))
        .await;
    let shown = browser
        .text(&format!("{answer} .response-col_description pre"))
        .await;
    browser.click(&format!("{block} .btn-clear")).await;
    let shown = serde_json::from_str(&shown).unwrap_or_else(|error| panic!("{error}: {shown}"));
    (status.trim().to_owned(), shown)
}

#[tokio::test]
async fn a_person_authorizes_reads_who_he_is_and_trades_in_swagger_ui() {
    let Some(program) = browser::find() else {
        return skip(
            REQUIREMENT,
            "Swagger UI in a browser",
            "Chromium is not installed",
        );
    };
    let world = World::start().await;
    let ann = world.user("ann").await;
    let desk = ann.desk("grid", "10", "10").await;
    let origin = format!("http://{}", world.address);
    let mut browser = Browser::open(&program, &format!("{origin}/docs")).await;

    open(&mut browser, "getMe").await;
    let (status, refused) = execute(&mut browser, "getMe").await;
    assert_eq!(
        (status.as_str(), &refused["error"]["code"]),
        ("401", &"AUTH_REQUIRED".into())
    );
    browser.click(".auth-wrapper .authorize").await;
    browser.fill_in(".auth-container input", &ann.token).await;
    browser
        .click(".auth-container .auth-btn-wrapper .authorize")
        .await;
    browser
        .click(".auth-container .auth-btn-wrapper .btn-done")
        .await;
    let (status, me) = execute(&mut browser, "getMe").await;
    assert_eq!(
        (status.as_str(), &me["data"]["username"]),
        ("200", &"ann".into())
    );

    open(&mut browser, "createTradingLog").await;
    let trade = desk.trade("long").to_string();
    browser
        .fill_in(
            &format!("{} textarea.body-param__text", block("createTradingLog")),
            &trade,
        )
        .await;
    let (status, made) = execute(&mut browser, "createTradingLog").await;
    assert_eq!(
        (status.as_str(), &made["data"]["type"]),
        ("201", &"long".into()),
        "{made}"
    );
    assert_eq!(ann.balance(&desk.stock).await, "12");

    let asked = browser
        .evaluate("performance.getEntriesByType('resource').map(entry => entry.name)")
        .await;
    let mut asked = asked.as_array().expect("a list").iter().map(text);
    assert!(asked.all(|address| address.starts_with(&origin) || address.starts_with("data:")));
}
