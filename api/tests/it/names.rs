//! Names and addresses: one spelling for what looks the same, and nothing invisible.

use crate::bindings::new_binding;
use crate::exchanges::KEY;
use crate::sign_in::{Begun, by_google, world as world_with_providers};
use crate::world::{World, text};
use serde_json::json;

const ME: &str = "/v1/users/me";
/// Zero-width space, direction override, joiner, byte order mark, control character.
const INVISIBLE: [char; 5] = ['\u{200b}', '\u{202e}', '\u{200d}', '\u{feff}', '\u{7}'];

#[tokio::test]
async fn usernames_that_differ_only_in_case_or_form_are_the_same() {
    let world = World::start().await;
    world.user("démo_trader").await;
    let ann = world.user("ann").await;

    for same in ["Démo_Trader", "DE\u{301}MO_TRADER", "ｄémo_trader"] {
        let refused = ann.put(ME, json!({"username": same})).await;
        refused.assert_error(409, "USERNAME_EXISTS");
    }

    let own = ann.put(ME, json!({"username": "ANN"})).await;
    assert_eq!(own.data()["username"], "ANN");
}

#[tokio::test]
async fn composed_and_decomposed_addresses_belong_to_one_user() {
    let (world, stub) = world_with_providers().await;
    let first = by_google(&world, &stub, "g-1", "jose\u{301}@example.com", true).await;
    assert_eq!(first.data()["user"]["email"], "jos\u{e9}@example.com");

    for same in ["jos\u{e9}@example.com", "JOSE\u{301}@example.com"] {
        let refused = by_google(&world, &stub, "g-2", same, true).await;
        refused.assert_error(409, "EMAIL_EXISTS");
    }
}

#[tokio::test]
async fn addresses_of_similar_domains_belong_to_different_users() {
    let (world, stub) = world_with_providers().await;
    let mut users = Vec::new();

    for (subject, address) in [
        ("g-1", "ann@strasse.example"),
        ("g-2", "ann@stra\u{df}e.example"),
        ("g-3", "ann@mail.example"),
        ("g-4", "ann@ma\u{131}l.example"),
    ] {
        let signed_in = by_google(&world, &stub, subject, address, true).await;
        users.push(text(&signed_in.data()["user"]["id"]));
    }

    users.dedup();
    assert_eq!(users.len(), 4);
}

#[tokio::test]
async fn names_without_a_visible_character_are_refused() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let book = ann.book("grid", "0", "0").await;

    for blank in [" ", "\u{3000}\u{a0}"] {
        let trading = json!({"name": blank, "type": "paper"});
        let renamed = json!({"name": blank});
        let account = json!({"trading_id": book.trading, "name": blank, "symbol": "X"});
        for refused in [
            ann.post("/v1/tradings", trading).await,
            ann.put(&format!("/v1/tradings/{}", book.trading), renamed)
                .await,
            ann.post("/v1/sub-accounts", account).await,
            ann.post("/v1/exchange-bindings", new_binding(blank, "okx", KEY))
                .await,
        ] {
            refused.assert_error(400, "INVALID_VALUE");
            refused.assert_details("name");
            refused.assert_details("1 to 128");
        }
    }
}

#[tokio::test]
async fn names_with_an_invisible_character_are_refused_with_its_code() {
    let world = World::start().await;
    let ann = world.user("ann").await;

    for char in INVISIBLE {
        let name = format!("gr{char}id");
        for refused in [
            ann.post("/v1/tradings", json!({"name": name, "type": "paper"}))
                .await,
            ann.put(ME, json!({"username": name})).await,
            ann.put(ME, json!({"full_name": name})).await,
        ] {
            refused.assert_error(400, "INVALID_VALUE");
            refused.assert_details(&format!("U+{:04X}", u32::from(char)));
        }
    }
}

#[tokio::test]
async fn a_name_is_stored_composed_and_trimmed() {
    let world = World::start().await;
    let ann = world.user("ann").await;

    let decomposed = json!({"name": " cafe\u{301} ", "type": "paper"});
    let stored = ann.post("/v1/tradings", decomposed).await;
    assert_eq!(stored.data()["name"], "caf\u{e9}");

    let composed = json!({"name": "caf\u{e9}", "type": "paper"});
    let taken = ann.post("/v1/tradings", composed).await;
    taken.assert_error(409, "TRADING_NAME_EXISTS");
}

#[tokio::test]
async fn the_name_of_a_provider_loses_its_invisible_characters() {
    let (world, stub) = world_with_providers().await;
    let login = Begun::at(&world, "google").await;
    let mut claims = stub.claims(&login.auth_url, "g-1", "a\u{200b}nn@example.com");
    claims["name"] = json!("Ann\u{202e} Exa\u{200b}mple\n");

    let signed_in = login
        .end(&world, &stub.agree(&login.auth_url, &claims))
        .await;

    let user = &signed_in.data()["user"];
    assert_eq!(user["full_name"], "Ann Example");
    assert_eq!(user["username"], "ann");
}
