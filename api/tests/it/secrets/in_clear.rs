//! Credentials appear in clear text only in the response to their owner.

use super::LIST;
use crate::bindings::new_binding;
use crate::exchanges::{Exchanges, KEY, SECRET};
use crate::service::Service;
use crate::world::text;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use tiris_testing::TestDatabase;

const PASSPHRASE: &str = "The passphrase of Ann";
const WRONG_SECRET: &str = "WrongSecretOfAnn";

/// An owner of credentials, with every response that must not reveal them.
struct Owner<'s> {
    service: &'s Service,
    token: String,
    bodies: String,
}

impl Owner<'_> {
    /// Sends a request, and collects the response unless it reveals credentials.
    async fn ask(&mut self, method: Method, path: &str, body: Option<Value>) -> Value {
        let reveals = method == Method::GET && path.len() > LIST.len();
        let url = format!("{}{path}", self.service.api);
        let mut request = self
            .service
            .http
            .request(method, url)
            .bearer_auth(&self.token);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }

        let response = request.send().await.expect("an answer");
        let text = response.text().await.expect("a body");
        if !reveals {
            self.bodies.push_str(&text);
        }
        serde_json::from_str(&text).expect("JSON")
    }

    async fn post(&mut self, path: &str, body: Value) -> Value {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// Creates, verifies, repeats and changes a binding, with valid and invalid requests.
    async fn use_binding(&mut self, exchanges: &Exchanges, exchange: &str) {
        let mut new = new_binding(exchange, exchange, KEY);
        new["passphrase"] = json!(PASSPHRASE);
        let created = self.post(LIST, new.clone()).await;
        let path = format!("{LIST}/{}", text(&created["data"]["id"]));
        let verify = format!("{path}/verify");
        let revealed = self.ask(Method::GET, &path, None).await;
        assert_eq!(revealed["data"]["api_secret"], SECRET);

        self.ask(Method::POST, &verify, None).await;
        exchanges.set(|mood| mood.failures = vec![500, 500, 500]);
        self.ask(Method::POST, &verify, None).await;
        exchanges.set(|mood| mood.failures.clear());

        new["name"] = json!("twice");
        let twice = self.post(LIST, new).await;
        assert_eq!(twice["error"]["code"], "API_KEY_EXISTS");

        let wrong = json!({"api_secret": WRONG_SECRET});
        self.ask(Method::PUT, &path, Some(wrong)).await;
        let malformed = json!({"api_key": [KEY], "api_secret": {"a": SECRET}});
        self.ask(Method::PUT, &path, Some(malformed)).await;
        self.ask(Method::POST, &verify, None).await;
    }
}

/// Returns the content of all tables, bytes in hexadecimal.
pub(crate) async fn dump(database: &TestDatabase) -> String {
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

/// Asserts that no text contains a secret in any form.
fn assert_not_in_clear(texts: &[(&str, &str)]) {
    for secret in [KEY, SECRET, PASSPHRASE, WRONG_SECRET] {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        for form in [secret.to_owned(), hex, STANDARD.encode(secret)] {
            for (place, text) in texts {
                let before = text.split_once(&form).map(|(before, _)| before);
                let end = before
                    .map(|text| &text[text.floor_char_boundary(text.len().saturating_sub(200))..]);
                assert_eq!(end, None, "{form} is in the {place}, after this");
            }
        }
    }
}

#[tokio::test]
async fn credentials_never_appear_in_clear_text() {
    let exchanges = Exchanges::start().await;
    let mut service = Service::start_silent(&[
        ("TIRIS_BINANCE_URL", &exchanges.url),
        ("TIRIS_KRAKEN_URL", &exchanges.url),
        ("TIRIS_GATE_URL", &exchanges.url),
        ("TIRIS_VERIFY_BINDINGS", "on"),
        ("TIRIS_LOG", "trace"),
    ])
    .await;
    let token = service.token(&["--email", "ann@example.com"]);
    let mut ann = Owner {
        service: &service,
        token: token.output().to_owned(),
        bodies: String::new(),
    };

    for exchange in ["binance", "kraken", "gate", "okx"] {
        ann.use_binding(&exchanges, exchange).await;
    }
    let trading = json!({"name": "t", "type": "coinbase", "api_key": KEY, "api_secret": SECRET, "passphrase": PASSPHRASE});
    ann.post("/v1/tradings", trading.clone()).await;
    ann.post("/v1/tradings", trading).await;
    ann.ask(Method::GET, LIST, None).await;
    let damage = "UPDATE exchange_bindings SET api_secret_encrypted = api_key_encrypted \
                  WHERE exchange_type = 'okx'";
    sqlx::query(damage)
        .execute(service.database.pool())
        .await
        .expect("damaged");
    let bodies = ann.bodies;
    let metrics = service.metrics().await;
    let log = service.stop().await;
    let database = dump(&service.database).await;

    // All four contain traces of the requests above.
    assert!(metrics.contains("exchange_verifications_total"));
    assert!(log.contains("exchange-bindings"));
    assert!(bodies.contains("API_KEY_EXISTS"));
    assert!(database.contains("exchange_binding.reveal"));
    assert_not_in_clear(&[
        ("database", &database),
        ("log", &log),
        ("metrics", &metrics),
        ("bodies", &bodies),
    ]);
}
