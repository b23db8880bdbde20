//! Credentials are nowhere in clear, stay where they belong, and move to another key while they are used.

use crate::bindings::new_binding;
use crate::exchanges::{Exchanges, KEY, SECRET};
use crate::world::{User, World, settings, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tiris_domain::ids::new_id;
use tiris_runtime::config::Environment;
use tiris_runtime::crypto::{EncryptionConfig, SecretColumn, Secrets};
use tiris_testing::{Process, TestDatabase, free_port, scratch_dir};

const LIST: &str = "/v1/exchange-bindings";
const BINDINGS: usize = 60;

fn key() -> String {
    STANDARD.encode(rand::random::<[u8; 32]>())
}

/// Keys of a service, the first one current, and the one of its fingerprints.
#[derive(Clone)]
struct Keys {
    keys: String,
    fingerprint: String,
}

impl Keys {
    fn config(&self) -> EncryptionConfig {
        let (keys, fingerprint_key) = (self.keys.as_str().into(), self.fingerprint.as_str().into());
        EncryptionConfig {
            keys,
            fingerprint_key,
            file: None,
        }
    }

    fn load(&self) -> Secrets {
        self.config().load(Environment::Dev).expect("keys")
    }

    /// Runs the command with these keys.
    async fn rotate(&self, world: &World) -> (bool, String) {
        let keys = self.clone();
        let url = world.database.url().to_owned();
        let run = move || {
            let environment = [
                ("DATABASE_URL", url.as_str()),
                ("TIRIS_ENCRYPTION_KEYS", keys.keys.as_str()),
                ("TIRIS_FINGERPRINT_KEY", keys.fingerprint.as_str()),
            ];
            crate::binary::run(&["secrets", "rotate"], &environment)
        };
        let output: Output = tokio::task::spawn_blocking(run).await.expect("it ran");
        let told = [output.stdout.as_slice(), &output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8(told).expect("UTF-8"),
        )
    }
}

/// Another process of the same service, with other keys.
async fn beside(world: &World, keys: &Keys) -> World {
    World::start_with(|changed| {
        changed.database = settings(world.database.url(), world.key_file.clone()).database;
        changed.key_files = vec![world.key_file.clone()];
        changed.encryption = keys.config();
    })
    .await
}

fn same<'w>(user: &User<'_>, world: &'w World) -> User<'w> {
    User {
        world,
        id: user.id,
        session: user.session,
        token: user.token.clone(),
    }
}

async fn reads(user: &User<'_>, path: &str, prefix: &str) {
    let answer = user.get(path).await;
    let secret = text(&answer.data()["api_secret"]);
    assert!(secret.starts_with(prefix), "{path}");
}

#[tokio::test]
async fn keys_are_rotated_while_credentials_are_read_and_written() {
    let (old, new, fingerprint) = (format!("old:{}", key()), format!("new:{}", key()), key());
    let keys = |keys: String| Keys {
        keys,
        fingerprint: fingerprint.clone(),
    };
    let (before, during, after) = (keys(old.clone()), keys(format!("{new},{old}")), keys(new));
    let world = World::start_with(|settings| settings.encryption = before.config()).await;
    let ann = world.user("ann").await;
    let mut paths = Vec::new();
    for number in 0..BINDINGS {
        let mut binding = new_binding(&format!("b{number}"), "okx", &format!("key-{number}"));
        binding["api_secret"] = json!(format!("secret-{number}-0"));
        binding["passphrase"] = json!("pass");
        paths.push(format!(
            "{LIST}/{}",
            text(&ann.post(LIST, binding).await.data()["id"])
        ));
    }
    let identity = new_id();
    let token = SecretColumn::ACCESS_TOKEN.of(identity, ann.id.0);
    sqlx::query("INSERT INTO oauth_identities (id, user_id, provider, subject, access_token_encrypted, key_id) VALUES ($1, $2, 'google', 's', $3, 'old')")
        .bind(identity)
        .bind(ann.id.0)
        .bind(before.load().ring.encrypt(&token, &"the token".into()).expect("encrypted"))
        .execute(world.database.pool())
        .await
        .expect("an identity");

    let (done, told) = after.rotate(&world).await;
    assert!(
        !done && told.contains("\"old\"") && told.contains("cannot be read"),
        "the old key is missed: {told}"
    );
    let rotating = beside(&world, &during).await;
    let user = same(&ann, &rotating);
    let finished = AtomicBool::new(false);
    let reading = async {
        while !finished.load(Ordering::Relaxed) {
            for (number, path) in paths.iter().enumerate() {
                reads(&user, path, &format!("secret-{number}-")).await;
            }
        }
    };
    let writing = async {
        let mut round = 0;
        while !finished.load(Ordering::Relaxed) {
            round += 1;
            for (number, path) in paths.iter().enumerate() {
                let change =
                    json!({"api_secret": format!("secret-{number}-{round}"), "passphrase": "pass"});
                user.put(path, change).await.data();
            }
        }
    };
    let rotation = async {
        let result = during.rotate(&world).await;
        finished.store(true, Ordering::Relaxed);
        result
    };
    let ((), (), (done, told)) = tokio::join!(reading, writing, rotation);
    assert!(done && told.contains("left under others: 0"), "{told}");
    let (done, told) = during.rotate(&world).await;
    assert!(
        done && told.contains("\"new\": 0, left under others: 0"),
        "a second time there is nothing to do: {told}"
    );
    let all = format!("can be read: {}, that cannot be read: 0", BINDINGS + 1);
    assert!(told.contains(&all), "{told}");
    let replaced = keys(format!("new:{}", key()));
    let (done, told) = replaced.rotate(&world).await;
    let none = format!("can be read: 0, that cannot be read: {}", BINDINGS + 1);
    assert!(
        !done && told.contains("left under others: 0") && told.contains(&none),
        "{told}"
    );
    assert!(
        told.contains("exchange_bindings 0") && told.contains("not authentic"),
        "{told}"
    );

    let only_new = beside(&world, &after).await;
    let user = same(&ann, &only_new);
    for (number, path) in paths.iter().enumerate() {
        reads(&user, path, &format!("secret-{number}-")).await;
    }
    let ciphertext: Vec<u8> = sqlx::query_scalar(
        "SELECT access_token_encrypted FROM oauth_identities WHERE key_id = 'new'",
    )
    .fetch_one(world.database.pool())
    .await
    .expect("the identity");
    let opened = after
        .load()
        .ring
        .decrypt(&token, &ciphertext)
        .expect("readable");
    assert_eq!(opened.expose_secret(), "the token");
    let again = user.post(LIST, new_binding("again", "okx", "key-7")).await;
    assert_eq!(
        again.refusal(),
        (409, "API_KEY_EXISTS"),
        "fingerprints outlive the keys"
    );
}

#[tokio::test]
async fn a_ciphertext_that_was_moved_is_not_shown_to_its_new_owner() {
    let world = World::start().await;
    let (ann, eve) = (world.user("ann").await, world.user("eve").await);
    for user in [&ann, &eve] {
        user.post(
            LIST,
            new_binding("main", "okx", &format!("key-of-{}", user.id)),
        )
        .await
        .data();
    }
    let moves = [
        "UPDATE exchange_bindings e SET api_secret_encrypted = a.api_secret_encrypted FROM exchange_bindings a WHERE e.user_id = $2 AND a.user_id = $1",
        "UPDATE exchange_bindings SET user_id = $2, name = 'stolen' WHERE user_id = $1",
    ];
    for stolen in moves {
        sqlx::query(stolen)
            .bind(ann.id.0)
            .bind(eve.id.0)
            .execute(world.database.pool())
            .await
            .expect("moved");
        let listed = eve.get(LIST).await;
        let broken = listed.data()["exchange_bindings"]
            .as_array()
            .expect("a list")
            .clone();
        let mut refused = 0;
        for binding in broken {
            let answer = eve.get(&format!("{LIST}/{}", text(&binding["id"]))).await;
            let is_shown = answer.data()["credentials_readable"] == json!(true);
            assert_eq!(
                answer.data()["api_secret"].is_string(),
                is_shown,
                "{}",
                answer.text
            );
            refused += usize::from(!is_shown);
        }
        assert!(refused >= 1, "{stolen}");
    }
}

#[tokio::test]
async fn an_owner_whose_credentials_lost_their_key_is_told_and_gives_new_ones() {
    let exchanges = Exchanges::start().await;
    let world = World::start_with(|settings| settings.exchanges = exchanges.settings(false)).await;
    let ann = world.user("ann").await;
    let mut new = new_binding("main", "okx", KEY);
    new["passphrase"] = json!("old");
    let path = format!("{LIST}/{}", text(&ann.post(LIST, new).await.data()["id"]));
    let lost = beside(
        &world,
        &Keys {
            keys: format!("other:{}", key()),
            fingerprint: key(),
        },
    )
    .await;
    let user = same(&ann, &lost);

    let shown = user.get(&path).await;
    assert_eq!(
        (&shown.data()["credentials_readable"], &shown.data()["name"]),
        (&json!(false), &json!("main"))
    );
    for secret in ["api_key", "api_secret", "passphrase"] {
        assert_eq!(shown.data()[secret], Value::Null, "{secret}");
    }
    let verified = user
        .send(Method::POST, &format!("{path}/verify"), None)
        .await;
    assert_eq!(
        verified.refusal(),
        (400, "INVALID_REQUEST"),
        "{}",
        verified.text
    );
    let both = json!({"api_key": "new-key", "api_secret": "new-secret"});
    for (change, missing) in [
        (
            json!({"api_secret": "new-secret"}),
            "api_key must be given again",
        ),
        (
            json!({"api_key": "new-key"}),
            "api_secret must be given again",
        ),
        (
            json!({"exchange_type": "kraken"}),
            "api_key must be given again",
        ),
        (both.clone(), "passphrase must be given again"),
    ] {
        let refused = user.put(&path, change).await;
        assert_eq!(refused.refusal(), (400, "INVALID_VALUE"));
        assert!(refused.text.contains(missing), "{}", refused.text);
    }
    assert_eq!(
        user.put(&path, json!({"name": "renamed"})).await.data()["name"],
        "renamed"
    );
    let mut change = both;
    change["exchange_type"] = json!("gate");
    user.put(&path, change).await.data();
    let data = user.get(&path).await.data().clone();
    assert_eq!(
        (&data["api_key"], &data["api_secret"]),
        (&json!("new-key"), &json!("new-secret"))
    );
    assert_eq!(
        (&data["passphrase"], &data["credentials_readable"]),
        (&Value::Null, &json!(true))
    );
    let audited = world.audited(path.rsplit('/').next().expect("an id")).await;
    assert_eq!(
        audited
            .iter()
            .filter(|action| *action == "exchange_binding.reveal")
            .count(),
        1,
        "{audited:?}"
    );
}

/// The service as a process, with everything it writes.
struct Service {
    process: Process,
    api: String,
    admin: String,
    token: String,
    http: reqwest::Client,
    bodies: String,
}

impl Service {
    async fn start(database: &TestDatabase, folder: &Path, exchanges: &Exchanges) -> Self {
        let (port, admin_port) = (free_port().expect("a port"), free_port().expect("a port"));
        let jwt = folder.join("jwt.pem");
        let mut process = Process::command(Path::new(env!("CARGO_BIN_EXE_tiris-api")))
            .env("DATABASE_URL", database.url())
            .env("TIRIS_JWT_KEY_FILE", &jwt)
            .env("TIRIS_ENCRYPTION_FILE", folder.join("encryption.env"))
            .env("TIRIS_API_LISTEN", format!("127.0.0.1:{port}"))
            .env("TIRIS_ADMIN_LISTEN", format!("127.0.0.1:{admin_port}"))
            .env("TIRIS_BINANCE_URL", &exchanges.url)
            .env("TIRIS_KRAKEN_URL", &exchanges.url)
            .env("TIRIS_GATE_URL", &exchanges.url)
            .env("TIRIS_VERIFY_BINDINGS", "on")
            .env("TIRIS_LOG", "trace")
            .show_log(false)
            .spawn()
            .expect("started");
        let (api, admin) = (
            format!("http://127.0.0.1:{port}"),
            format!("http://127.0.0.1:{admin_port}"),
        );
        process
            .wait_until_healthy(&format!("{admin}/health/ready"), Duration::from_secs(20))
            .await
            .expect("ready");
        let environment = [
            ("DATABASE_URL", database.url()),
            ("TIRIS_JWT_KEY_FILE", jwt.to_str().expect("UTF-8")),
        ];
        let token =
            crate::binary::run(&["token", "--email", "ann@example.com"], &environment).stdout;
        let token = String::from_utf8(token)
            .expect("UTF-8")
            .trim_end()
            .to_owned();
        Self {
            process,
            api,
            admin,
            token,
            http: crate::world::http_client(),
            bodies: String::new(),
        }
    }

    /// Asks, and keeps what was answered unless it may hold credentials.
    async fn ask(&mut self, method: Method, path: &str, body: Option<Value>) -> Value {
        let reveals = method == Method::GET && path.len() > LIST.len();
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.api))
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let text = request
            .send()
            .await
            .expect("an answer")
            .text()
            .await
            .expect("a body");
        if !reveals {
            self.bodies.push_str(&text);
        }
        serde_json::from_str(&text).expect("JSON")
    }
}

/// Everything in every table, bytes in hexadecimal.
async fn dump(database: &TestDatabase) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') \
         AND NOT relispartition",
    )
    .fetch_all(database.pool())
    .await
    .expect("tables");
    let mut all = String::new();
    for table in tables {
        let query = sqlx::AssertSqlSafe(format!("SELECT t::text FROM {table} t"));
        let rows: Vec<String> = sqlx::query_scalar(query)
            .fetch_all(database.pool())
            .await
            .expect("rows");
        all.push_str(&rows.join("\n"));
    }
    all
}

#[tokio::test]
async fn credentials_are_in_clear_neither_in_the_database_nor_in_logs_metrics_or_errors() {
    let exchanges = Exchanges::start().await;
    let database = TestDatabase::new().await.expect("a database");
    let folder = scratch_dir("api").expect("a folder");
    let mut service = Service::start(&database, folder.path(), &exchanges).await;
    let (passphrase, wrong) = ("The passphrase of Ann", "WrongSecretOfAnn");
    for exchange in ["binance", "kraken", "gate", "okx"] {
        let mut new = new_binding(exchange, exchange, KEY);
        new["passphrase"] = json!(passphrase);
        let made = service.ask(Method::POST, LIST, Some(new.clone())).await;
        let path = format!("{LIST}/{}", text(&made["data"]["id"]));
        let verify = format!("{path}/verify");
        let revealed = service.ask(Method::GET, &path, None).await;
        assert_eq!(revealed["data"]["api_secret"], SECRET);
        service.ask(Method::POST, &verify, None).await;
        exchanges.set(|mood| mood.failures = vec![500, 500, 500]);
        service.ask(Method::POST, &verify, None).await;
        exchanges.set(|mood| mood.failures.clear());
        new["name"] = json!("twice");
        assert_eq!(
            service.ask(Method::POST, LIST, Some(new)).await["error"]["code"],
            "API_KEY_EXISTS"
        );
        service
            .ask(Method::PUT, &path, Some(json!({"api_secret": wrong})))
            .await;
        service
            .ask(
                Method::PUT,
                &path,
                Some(json!({"api_key": [KEY], "api_secret": {"a": SECRET}})),
            )
            .await;
        service.ask(Method::POST, &verify, None).await;
    }
    let trading = json!({"name": "t", "type": "coinbase", "api_key": KEY, "api_secret": SECRET, "passphrase": passphrase});
    service
        .ask(Method::POST, "/v1/tradings", Some(trading.clone()))
        .await;
    service
        .ask(Method::POST, "/v1/tradings", Some(trading))
        .await;
    service.ask(Method::GET, LIST, None).await;
    sqlx::query(
        "UPDATE exchange_bindings SET api_secret_encrypted = api_key_encrypted WHERE exchange_type = 'okx'",
    )
    .execute(database.pool())
    .await
    .expect("damaged");
    let metrics = service
        .http
        .get(format!("{}/metrics", service.admin))
        .send()
        .await
        .expect("metrics");
    let metrics = metrics.text().await.expect("text");
    assert!(
        metrics.contains("exchange_verifications_total"),
        "{metrics}"
    );
    service
        .process
        .terminate(Duration::from_secs(20))
        .await
        .expect("stopped");
    let log = std::fs::read_to_string(service.process.log_path()).expect("a log");
    assert!(log.contains("exchange-bindings") && service.bodies.contains("API_KEY_EXISTS"));
    let database = dump(&database).await;
    assert!(database.contains("exchange_binding.reveal"));
    for secret in [KEY, SECRET, passphrase, wrong] {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        for form in [secret.to_owned(), hex, STANDARD.encode(secret)] {
            for (place, text) in [
                ("database", &database),
                ("log", &log),
                ("metrics", &metrics),
                ("bodies", &service.bodies),
            ] {
                let at = text
                    .find(&form)
                    .map(|at| text[..at].chars().rev().take(200).collect::<String>());
                assert!(
                    at.is_none(),
                    "{form} is in the {place}, after {:?}",
                    at.map(|before| before.chars().rev().collect::<String>())
                );
            }
        }
    }
}
