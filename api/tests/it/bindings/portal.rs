//! Credentials as today's portal sends and reads them: the passphrase stands in `info`.

use super::{FULL_KEY, LIST};
use crate::exchanges::SECRET;
use crate::secrets::in_clear::dump;
use crate::secrets::rotation::rotate;
use crate::secrets::{Keys, random_key};
use crate::world::{User, World};
use serde_json::{Value, json};

const PASSPHRASE: &str = "portal-pass-phrase";

/// Creates a binding as the portal does, and returns its path.
async fn connect(user: &User<'_>) -> String {
    let info = json!({
        "description": "my OKX",
        "passphrase": PASSPHRASE,
        "validated_at": "2026-01-01T00:00:00Z",
        "is_credential_valid": true,
    });
    let new = json!({"name": "OKX", "exchange_type": "okx", "api_key": FULL_KEY, "api_secret": SECRET, "info": info});
    let created = user.post(LIST, new).await;
    created.assert_lacks(PASSPHRASE);
    format!("{LIST}/{}", created.id())
}

/// Asserts that no table holds a secret in clear text or in bytes.
async fn assert_sealed(world: &World, secrets: &[&str]) {
    let all = dump(&world.database).await;

    for secret in secrets {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(!all.contains(secret), "{secret} in {all}");
        assert!(!all.contains(&hex), "{secret} as bytes in {all}");
    }
}

async fn revealed(user: &User<'_>, path: &str) -> Value {
    user.get(path).await.data().clone()
}

#[tokio::test]
async fn no_secret_of_the_portal_is_stored_in_clear() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let path = connect(&user).await;
    let first = [FULL_KEY, SECRET, PASSPHRASE];
    assert_sealed(&world, &first).await;

    let shown = revealed(&user, &path).await;
    assert_eq!(shown["passphrase"], PASSPHRASE);
    assert_eq!(shown["info"]["passphrase"], PASSPHRASE);
    assert_eq!(shown["info"]["description"], "my OKX");
    user.get(LIST).await.assert_lacks(PASSPHRASE);

    let info = json!({"description": "my OKX", "passphrase": "another-phrase"});
    let changed = user
        .put(&path, json!({"api_secret": "another-secret", "info": info}))
        .await;
    changed.assert_lacks("another-phrase");
    let shown = revealed(&user, &path).await;
    assert_eq!(shown["info"]["passphrase"], "another-phrase");
    assert_eq!(shown["api_secret"], "another-secret");

    user.delete(&path).await.data();
    let all = [&first[..], &["another-phrase", "another-secret", "my OKX"]].concat();
    assert_sealed(&world, &all).await;
}

#[tokio::test]
async fn free_json_without_a_passphrase_keeps_the_stored_one() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let path = connect(&user).await;

    for info in [json!({"description": "new"}), json!({"passphrase": ""})] {
        user.put(&path, json!({"info": info})).await.data();
        let shown = revealed(&user, &path).await;
        assert_eq!(shown["passphrase"], PASSPHRASE);
    }
}

#[tokio::test]
async fn sending_the_free_json_back_changes_no_credentials() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let path = connect(&user).await;
    let verified = "UPDATE exchange_bindings SET status = 'valid' WHERE user_id = $1";
    world.run(verified, user.id.0).await;
    let info = revealed(&user, &path).await["info"].clone();

    let changed = user.put(&path, json!({"info": info})).await;

    assert_eq!(changed.data()["status"], "valid");
    assert_sealed(&world, &[PASSPHRASE]).await;
}

#[tokio::test]
async fn refuses_a_malformed_credential_in_free_json() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let new = json!({"name": "OKX", "exchange_type": "okx", "api_key": FULL_KEY, "api_secret": SECRET,
                     "info": {"passphrase": "x".repeat(257)}});

    let refused = user.post(LIST, new).await;

    refused.assert_error(400, "INVALID_VALUE");
    refused.assert_details("info.passphrase");
    refused.assert_lacks("xxx");
}

/// Stores the passphrase in clear text, as earlier versions did.
async fn expose(world: &World, user: &User<'_>) {
    let expose = "UPDATE exchange_bindings SET passphrase_encrypted = NULL, \
         info = info || '{\"passphrase\": \"portal-pass-phrase\"}' WHERE user_id = $1";
    world.run(expose, user.id.0).await;
}

#[tokio::test]
async fn a_change_encrypts_a_passphrase_of_an_earlier_version() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let path = connect(&user).await;
    expose(&world, &user).await;
    user.get(LIST).await.assert_lacks(PASSPHRASE);
    let shown = revealed(&user, &path).await;
    assert_eq!(shown["info"]["passphrase"], PASSPHRASE);

    user.put(&path, json!({"name": "renamed"})).await.data();

    assert_sealed(&world, &[PASSPHRASE]).await;
    let shown = revealed(&user, &path).await;
    assert_eq!(shown["passphrase"], PASSPHRASE);
    assert_eq!(shown["info"]["description"], "my OKX");
}

#[tokio::test]
async fn the_command_encrypts_passphrases_of_earlier_versions() {
    let keys = Keys {
        keys: format!("k:{}", random_key()),
        fingerprint: random_key(),
    };
    let world = World::start_with(|settings| settings.encryption = keys.config()).await;
    let user = world.user("ann").await;
    let path = connect(&user).await;
    expose(&world, &user).await;

    let ran = rotate(&world, &keys).await;

    assert!(ran.succeeded, "{} {}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("encrypted: 1"), "{}", ran.stdout);
    assert_sealed(&world, &[PASSPHRASE]).await;
    let shown = revealed(&user, &path).await;
    assert_eq!(shown["passphrase"], PASSPHRASE);
}

#[tokio::test]
async fn no_spelling_of_a_credential_is_stored_in_clear() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let info =
        json!({"API-Key": FULL_KEY, "secretKey": SECRET, "passPhrase": PASSPHRASE, "note": "mine"});

    let binding = json!({"name": "OKX", "exchange_type": "okx", "info": info});
    let created = user.post(LIST, binding).await;
    created.assert_lacks(PASSPHRASE);
    assert_eq!(created.data()["info"], json!({"note": "mine"}));
    let shown = revealed(&user, &format!("{LIST}/{}", created.id())).await;
    assert_eq!(shown["api_secret"], SECRET);
    assert_eq!(shown["passphrase"], PASSPHRASE);
    assert_sealed(&world, &[FULL_KEY, SECRET, PASSPHRASE]).await;

    let other = json!({"passPhrase": "another-phrase", "note": "grid"});
    let trading = json!({"name": "grid", "type": "okx", "api_key": "K3yOfTheTrading", "api_secret": SECRET, "info": other});
    let created = user.post("/v1/tradings", trading).await;
    assert_eq!(created.data()["info"], json!({"note": "grid"}));
    assert_sealed(&world, &["another-phrase"]).await;
}

#[tokio::test]
async fn refuses_credentials_in_a_part_of_free_json() {
    let world = World::start().await;
    let user = world.user("ann").await;
    let path = connect(&user).await;

    let refused = user
        .put(
            &path,
            json!({"info": {"okx": [{"passPhrase": "deep-phrase"}]}}),
        )
        .await;

    refused.assert_error(400, "INVALID_VALUE");
    refused.assert_details("passPhrase");
    refused.assert_lacks("deep-phrase");
}

#[tokio::test]
async fn other_spellings_of_earlier_versions_are_hidden_and_encrypted() {
    let keys = Keys {
        keys: format!("k:{}", random_key()),
        fingerprint: random_key(),
    };
    let world = World::start_with(|settings| settings.encryption = keys.config()).await;
    let user = world.user("ann").await;
    let path = connect(&user).await;
    let expose = "UPDATE exchange_bindings SET passphrase_encrypted = NULL, \
         info = info || '{\"Pass_Phrase\": \"portal-pass-phrase\"}' WHERE user_id = $1";
    world.run(expose, user.id.0).await;
    user.get(LIST).await.assert_lacks(PASSPHRASE);

    let ran = rotate(&world, &keys).await;

    assert!(ran.succeeded, "{} {}", ran.stdout, ran.stderr);
    assert_sealed(&world, &[PASSPHRASE]).await;
    let shown = revealed(&user, &path).await;
    assert_eq!(shown["passphrase"], PASSPHRASE);
}
