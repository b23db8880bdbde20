//! Rotation of keys during reads and writes of credentials.

use super::{Keys, LIST, beside, random_key, same};
use crate::bindings::new_binding;
use crate::service::{Ran, run};
use crate::world::{User, World, text};
use secrecy::ExposeSecret;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use tiris_domain::ids::new_id;
use tiris_runtime::crypto::SecretColumn;
use tiris_testing::Role;
use uuid::Uuid;

const BINDINGS: usize = 60;

/// The keys before, during and after a rotation.
struct Rotation {
    before: Keys,
    during: Keys,
    after: Keys,
}

impl Rotation {
    fn new() -> Self {
        let old = format!("old:{}", random_key());
        let new = format!("new:{}", random_key());
        let fingerprint = random_key();
        let keys = |keys: String| Keys {
            keys,
            fingerprint: fingerprint.clone(),
        };
        Self {
            during: keys(format!("{new},{old}")),
            before: keys(old),
            after: keys(new),
        }
    }
}

/// Runs the command with these keys.
pub(crate) async fn rotate(world: &World, keys: &Keys) -> Ran {
    let keys = keys.clone();
    let url = world.database.url_as(Role::Api).expect("an address");
    let run = move || {
        let environment = [
            ("DATABASE_URL", url.as_str()),
            ("TIRIS_ENCRYPTION_KEYS", keys.keys.as_str()),
            ("TIRIS_FINGERPRINT_KEY", keys.fingerprint.as_str()),
        ];
        run(&["secrets", "rotate"], &environment)
    };
    tokio::task::spawn_blocking(run).await.expect("it ran")
}

#[track_caller]
fn assert_reports(ran: &Ran, succeeded: bool, parts: &[&str]) {
    let report = [ran.stdout.as_str(), &ran.stderr].concat();
    assert_eq!(ran.succeeded, succeeded, "{report}");
    for part in parts {
        assert!(report.contains(part), "no {part:?} in {report}");
    }
}

/// Creates many bindings and returns their paths.
async fn bindings(user: &User<'_>) -> Vec<String> {
    let mut paths = Vec::new();
    for number in 0..BINDINGS {
        let mut binding = new_binding(&format!("b{number}"), "okx", &format!("key-{number}"));
        binding["api_secret"] = json!(format!("secret-{number}-0"));
        binding["passphrase"] = json!("pass");
        paths.push(format!("{LIST}/{}", user.post(LIST, binding).await.id()));
    }
    paths
}

/// Inserts an identity whose token is encrypted with the old key.
async fn identity(user: &User<'_>, keys: &Keys) -> Uuid {
    let id = new_id();
    let column = SecretColumn::ACCESS_TOKEN.of(id, user.id.0);
    let token = keys.load().ring.encrypt(&column, &"the token".into());
    sqlx::query(
        "INSERT INTO oauth_identities (id, user_id, provider, subject, access_token_encrypted, key_id) \
         VALUES ($1, $2, 'google', 's', $3, 'old')",
    )
    .bind(id)
    .bind(user.id.0)
    .bind(token.expect("encrypted"))
    .execute(user.world.pool())
    .await
    .expect("an identity");
    id
}

/// Reads every secret, each of which names its binding.
async fn read_all(user: &User<'_>, paths: &[String]) {
    for (number, path) in paths.iter().enumerate() {
        let answer = user.get(path).await;
        let secret = text(&answer.data()["api_secret"]);
        assert!(
            secret.starts_with(&format!("secret-{number}-")),
            "{path}: {secret}"
        );
    }
}

/// Rotates while all bindings are constantly read and written.
async fn rotate_in_use(user: &User<'_>, world: &World, keys: &Keys, paths: &[String]) -> Ran {
    let finished = AtomicBool::new(false);
    let reading = async {
        while !finished.load(Ordering::Relaxed) {
            read_all(user, paths).await;
        }
    };
    let writing = async {
        let mut round = 0;
        while !finished.load(Ordering::Relaxed) {
            round += 1;
            for (number, path) in paths.iter().enumerate() {
                let secret = format!("secret-{number}-{round}");
                let change = json!({"api_secret": secret, "passphrase": "pass"});
                user.put(path, change).await.data();
            }
        }
    };
    let rotation = async {
        let ran = rotate(world, keys).await;
        finished.store(true, Ordering::Relaxed);
        ran
    };
    let ((), (), ran) = tokio::join!(reading, writing, rotation);

    ran
}

#[tokio::test]
async fn rotates_keys_while_credentials_are_in_use() {
    let keys = Rotation::new();
    let world = World::start_with(|settings| settings.encryption = keys.before.config()).await;
    let ann = world.user("ann").await;
    let paths = bindings(&ann).await;
    let identity = identity(&ann, &keys.before).await;

    let missing = rotate(&world, &keys.after).await;
    assert_reports(&missing, false, &["\"old\"", "cannot be read"]);

    let rotating = beside(&world, &keys.during).await;
    let user = same(&ann, &rotating);
    let rotated = rotate_in_use(&user, &world, &keys.during, &paths).await;
    assert_reports(&rotated, true, &["left under other keys: 0"]);

    let only_new = beside(&world, &keys.after).await;
    let user = same(&ann, &only_new);
    read_all(&user, &paths).await;
    assert_eq!(
        token_of(&world, &ann, identity, &keys.after).await,
        "the token"
    );
    // Fingerprints outlive the keys.
    let again = user.post(LIST, new_binding("again", "okx", "key-7")).await;
    again.assert_error(409, "API_KEY_EXISTS");
}

/// Returns the token of an identity, which must be encrypted with the new key.
async fn token_of(world: &World, user: &User<'_>, identity: Uuid, keys: &Keys) -> String {
    let query = "SELECT access_token_encrypted FROM oauth_identities WHERE key_id = 'new'";
    let ciphertext: Vec<u8> = world.scalar(query).await;
    let column = SecretColumn::ACCESS_TOKEN.of(identity, user.id.0);
    let token = keys.load().ring.decrypt(&column, &ciphertext);
    token.expect("readable").expose_secret().to_owned()
}

#[tokio::test]
async fn a_second_rotation_finds_nothing_to_do() {
    let keys = Rotation::new();
    let world = World::start_with(|settings| settings.encryption = keys.before.config()).await;
    let ann = world.user("ann").await;
    bindings(&ann).await;
    identity(&ann, &keys.before).await;
    rotate(&world, &keys.during).await.output();

    let again = rotate(&world, &keys.during).await;

    let all = format!("readable rows: {}, unreadable rows: 0", BINDINGS + 1);
    assert_reports(
        &again,
        true,
        &["\"new\": 0, left under other keys: 0", all.as_str()],
    );
}

#[tokio::test]
async fn reports_a_key_replaced_under_the_same_name() {
    let keys = Rotation::new();
    let world = World::start_with(|settings| settings.encryption = keys.before.config()).await;
    let ann = world.user("ann").await;
    bindings(&ann).await;
    identity(&ann, &keys.before).await;
    rotate(&world, &keys.during).await.output();
    let replaced = Keys {
        keys: format!("new:{}", random_key()),
        ..keys.after
    };

    let refused = rotate(&world, &replaced).await;

    let none = format!("readable rows: 0, unreadable rows: {}", BINDINGS + 1);
    assert_reports(
        &refused,
        false,
        &[
            "left under other keys: 0",
            none.as_str(),
            "exchange_bindings 0",
            "not authentic",
        ],
    );
}
