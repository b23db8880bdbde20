//! Encryption of credentials: binding to the owner, rotation of keys, and no clear text.

pub(crate) mod in_clear;
pub(crate) mod rotation;

use crate::bindings::new_binding;
use crate::exchanges::{Exchanges, KEY};
use crate::world::settings::settings;
use crate::world::{User, World, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tiris_runtime::config::Environment;
use tiris_runtime::crypto::{EncryptionConfig, Secrets};
use tiris_testing::Role;

const LIST: &str = "/v1/exchange-bindings";

pub(crate) fn random_key() -> String {
    STANDARD.encode(rand::random::<[u8; 32]>())
}

/// Encryption keys of a service, the first one current, and its fingerprint key.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) keys: String,
    pub(crate) fingerprint: String,
}

impl Keys {
    pub(crate) fn config(&self) -> EncryptionConfig {
        EncryptionConfig {
            keys: self.keys.as_str().into(),
            fingerprint_key: self.fingerprint.as_str().into(),
            file: None,
        }
    }

    fn load(&self) -> Secrets {
        self.config().load(Environment::Dev).expect("keys")
    }
}

/// Starts another process of the same service, with other keys.
async fn beside(world: &World, keys: &Keys) -> World {
    let url = world.database.url_as(Role::Api).expect("an address");
    World::start_with(|changed| {
        changed.database = settings(&url, world.key_file.clone()).database;
        changed.key_files = vec![world.key_file.clone()];
        changed.encryption = keys.config();
    })
    .await
}

/// Returns the same user at another process.
fn same<'w>(user: &User<'_>, world: &'w World) -> User<'w> {
    User {
        world,
        id: user.id,
        session: user.session,
        token: user.token.clone(),
    }
}

/// Moves ciphertext of the first user to the second one.
const MOVES: [&str; 2] = [
    "UPDATE exchange_bindings e SET api_secret_encrypted = a.api_secret_encrypted \
     FROM exchange_bindings a WHERE e.user_id = $2 AND a.user_id = $1",
    "UPDATE exchange_bindings SET user_id = $2, name = 'stolen' WHERE user_id = $1",
];

#[tokio::test]
async fn never_decrypts_a_moved_ciphertext_for_another_user() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let eve = world.user("eve").await;
    for user in [&ann, &eve] {
        let key = format!("key-of-{}", user.id);
        user.post(LIST, new_binding("main", "okx", &key))
            .await
            .data();
    }

    for moves in MOVES {
        sqlx::query(moves)
            .bind(ann.id.0)
            .bind(eve.id.0)
            .execute(world.pool())
            .await
            .expect("moved");

        let mut refused = 0;
        for binding in eve.get(LIST).await.list("exchange_bindings") {
            let answer = eve.get(&format!("{LIST}/{}", text(&binding["id"]))).await;
            let is_readable = answer.data()["credentials_readable"] == true;
            let is_shown = answer.data()["api_secret"].is_string();
            assert_eq!(is_shown, is_readable, "{answer}");
            refused += usize::from(!is_shown);
        }
        assert!(refused >= 1, "{moves}");
    }
}

/// Starts a process with other keys, which cannot decrypt existing credentials.
async fn with_lost_keys(world: &World) -> World {
    let keys = Keys {
        keys: format!("other:{}", random_key()),
        fingerprint: random_key(),
    };
    beside(world, &keys).await
}

/// Creates a binding with a passphrase.
async fn binding(user: &User<'_>) -> String {
    let mut new = new_binding("main", "okx", KEY);
    new["passphrase"] = json!("old");
    format!("{LIST}/{}", user.post(LIST, new).await.id())
}

#[tokio::test]
async fn reports_credentials_with_a_lost_key_as_unreadable() {
    let exchanges = Exchanges::start().await;
    let world = World::start_with(|settings| settings.exchanges = exchanges.settings(false)).await;
    let ann = world.user("ann").await;
    let path = binding(&ann).await;
    let lost = with_lost_keys(&world).await;
    let user = same(&ann, &lost);

    let shown = user.get(&path).await;
    let verified = user.post_empty(&format!("{path}/verify")).await;
    let renamed = user.put(&path, json!({"name": "renamed"})).await;

    assert_eq!(shown.data()["credentials_readable"], false);
    assert_eq!(shown.data()["name"], "main");
    for secret in ["api_key", "api_secret", "passphrase"] {
        assert_eq!(shown.data()[secret], Value::Null, "{secret}");
    }
    verified.assert_error(400, "INVALID_REQUEST");
    assert_eq!(renamed.data()["name"], "renamed");
}

#[tokio::test]
async fn credentials_with_a_lost_key_must_be_replaced() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let path = binding(&ann).await;
    let lost = with_lost_keys(&world).await;
    let user = same(&ann, &lost);
    let mut both = json!({"api_key": "new-key", "api_secret": "new-secret"});

    for (change, missing) in [
        (json!({"api_secret": "new-secret"}), "api_key"),
        (json!({"api_key": "new-key"}), "api_secret"),
        (json!({"exchange_type": "kraken"}), "api_key"),
        (both.clone(), "passphrase"),
    ] {
        let refused = user.put(&path, change).await;
        refused.assert_error(400, "INVALID_VALUE");
        refused.assert_contains(&format!("{missing} must be given again"));
    }
    both["exchange_type"] = json!("gate");
    user.put(&path, both).await.data();

    let shown = user.get(&path).await;
    assert_eq!(shown.data()["api_key"], "new-key");
    assert_eq!(shown.data()["api_secret"], "new-secret");
    assert_eq!(shown.data()["passphrase"], Value::Null);
    assert_eq!(shown.data()["credentials_readable"], true);
}

#[tokio::test]
async fn audits_only_successful_reveals() {
    let world = World::start().await;
    let ann = world.user("ann").await;
    let path = binding(&ann).await;
    let lost = with_lost_keys(&world).await;

    same(&ann, &lost).get(&path).await.data();
    ann.get(&path).await.data();

    let id = path.rsplit('/').next().expect("an id");
    let audited = world.audited(id).await;
    assert_eq!(
        audited,
        ["exchange_binding.create", "exchange_binding.reveal"]
    );
}
