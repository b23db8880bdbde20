//! A running API with a database of its own, and users who ask it.

use chrono::{Duration, Utc};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use tempfile::TempDir;
use tiris_api::app::App;
use tiris_api::auth::{keys::Keys, token};
use tiris_api::exchange::ExchangeSettings;
use tiris_api::settings::{
    LiveSettings, ProtectionSettings, ProviderSettings, RateSettings, Settings,
};
use tiris_domain::ids::{UserId, new_id};
use tiris_runtime::config::{DatabaseConfig, Environment, LogConfig, ServiceConfig};
use tiris_runtime::crypto::EncryptionConfig;
use tiris_runtime::database;
use tiris_testing::{TestDatabase, eventually, scratch_dir};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A public binding every database has.
pub(crate) const PUBLIC_BINDING: &str = "01900000-0000-7000-8000-000000000001";

/// Requests a minute that no test needs.
const RATE: u32 = 1_000_000;

/// A running API.
pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) address: SocketAddr,
    pub(crate) key_file: PathBuf,
    settings: Settings,
    keys: Keys,
    http: reqwest::Client,
    stop: CancellationToken,
    _folder: TempDir,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts with settings that `change` has changed.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let database = TestDatabase::new().await.expect("a database");
        let folder = scratch_dir("api").expect("a folder");
        let key_file = folder.path().join("jwt.pem");
        let mut settings = settings(database.url(), key_file.clone());
        change(&mut settings);
        let stop = CancellationToken::new();
        let address = serve(&settings, &stop).await;
        let keys = Keys::load(&settings.key_files, Environment::Dev).expect("keys");
        Self {
            database,
            address,
            key_file,
            settings,
            keys,
            http: http_client(),
            stop,
            _folder: folder,
        }
    }

    /// Another replica: the same database and keys, its own memory.
    pub(crate) async fn replica(&self) -> SocketAddr {
        serve(&self.settings, &self.stop).await
    }

    /// Tells all replicas to stop.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// A new user who is signed in.
    pub(crate) async fn user(&self, name: &str) -> User<'_> {
        let id = UserId(new_id());
        sqlx::query(
            "INSERT INTO users (id, username, email) VALUES ($1, $2, $2 || '@example.com')",
        )
        .bind(id.0)
        .bind(name)
        .execute(self.database.pool())
        .await
        .expect("a user");
        let session = self.session(id).await;
        let token = self.token(id, session, Duration::hours(1));
        User {
            world: self,
            id,
            session,
            token,
        }
    }

    /// A new user who is signed in and administers.
    pub(crate) async fn admin(&self, name: &str) -> User<'_> {
        let admin = self.user(name).await;
        self.run("UPDATE users SET role = 'admin' WHERE id = $1", admin.id.0)
            .await;
        admin
    }

    /// Runs a statement on the row with this id.
    pub(crate) async fn run(&self, statement: &'static str, id: Uuid) {
        sqlx::query(statement)
            .bind(id)
            .execute(self.database.pool())
            .await
            .expect("run");
    }

    /// Counts what a query with one id finds.
    pub(crate) async fn count(&self, query: &'static str, id: &str) -> i64 {
        let id: Uuid = id.parse().expect("an id");
        sqlx::query_scalar(query)
            .bind(id)
            .fetch_one(self.database.pool())
            .await
            .expect("a count")
    }

    /// That the books are in order.
    pub(crate) async fn verify(&self) {
        let report =
            tiris_migrations::verify(self.database.url(), &indicatif::ProgressBar::hidden()).await;
        let report = report.expect("a report");
        assert!(report.is_clean(), "{report:?}");
    }

    /// Waits until a statement of somebody waits for a lock.
    pub(crate) async fn somebody_waits(&self) {
        let waiting = "SELECT count(*) FROM pg_stat_activity \
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually(
            "a lock that is waited for",
            std::time::Duration::from_secs(10),
            async || {
                let count: i64 = sqlx::query_scalar(waiting)
                    .fetch_one(self.database.pool())
                    .await?;
                anyhow::ensure!(count > 0, "nobody waits");
                anyhow::Ok(())
            },
        )
        .await
        .expect("somebody waits");
    }

    /// What the audit trail says was done to a thing, oldest first.
    pub(crate) async fn audited(&self, id: &str) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT action FROM audit_logs WHERE resource_id = $1 ORDER BY timestamp, id",
        )
        .bind(id)
        .fetch_all(self.database.pool())
        .await
        .expect("the audit trail")
    }

    /// A new session of a user.
    pub(crate) async fn session(&self, user: UserId) -> Uuid {
        let id = new_id();
        sqlx::query(
            "INSERT INTO sessions (id, user_id, expires_at) VALUES ($1, $2, now() + interval '1 day')",
        )
        .bind(id)
        .bind(user.0)
        .execute(self.database.pool())
        .await
        .expect("a session");
        id
    }

    pub(crate) fn token(&self, user: UserId, session: Uuid, lifetime: Duration) -> String {
        token::issue(&self.keys, user, session, Utc::now(), lifetime).expect("a token")
    }

    /// Asks without any header but those given.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Answer {
        self.ask_at(self.address, method, path, headers, body).await
    }

    /// Asks a replica.
    pub(crate) async fn ask_at(
        &self,
        address: SocketAddr,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Answer {
        let mut request = self.http.request(method, format!("http://{address}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.expect("a body");
        Answer {
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }

    /// Posts without a token.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(
            Method::POST,
            path,
            &[("content-type", "application/json")],
            Some(body.to_string()),
        )
        .await
    }

    pub(crate) async fn anonymous(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], None).await
    }
}

/// Starts an API and answers where.
async fn serve(settings: &Settings, stop: &CancellationToken) -> SocketAddr {
    let pool = database::pool_for_lists(&settings.database, "test").expect("a pool");
    let app = App::build(settings, pool).await.expect("an app");
    let address = app.address();
    tokio::spawn(app.run_until(stop.clone()));
    address
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A client whose requests end.
pub(crate) fn http_client() -> reqwest::Client {
    tiris_runtime::tls::choose_provider();
    reqwest::Client::builder()
        .timeout(std::time::Duration::from_secs(30))
        .build()
        .expect("a client")
}

/// Settings of a test: free ports, no log.
pub(crate) fn settings(database_url: &str, key_file: PathBuf) -> Settings {
    let anywhere: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    Settings {
        drain_lead: std::time::Duration::ZERO,
        listen: anywhere,
        request_timeout: std::time::Duration::from_secs(15),
        cors_origins: vec!["https://tiris.ai".to_owned()],
        encryption: EncryptionConfig {
            keys: "".into(),
            fingerprint_key: "".into(),
            file: Some(key_file.with_file_name("encryption.env")),
        },
        // Where nobody listens: what no test meant to ask is not asked.
        exchanges: ExchangeSettings {
            binance_url: "http://127.0.0.1:9".to_owned(),
            kraken_url: "http://127.0.0.1:9".to_owned(),
            gate_url: "http://127.0.0.1:9".to_owned(),
            timeout: std::time::Duration::from_secs(2),
            verify_changes: false,
        },
        key_files: vec![key_file],
        providers: ProviderSettings::default(),
        protection: ProtectionSettings {
            rates: RateSettings {
                general: NonZeroU32::new(RATE),
                auth: NonZeroU32::new(RATE),
                money: NonZeroU32::new(RATE),
                credentials: NonZeroU32::new(RATE),
            },
            trusted_proxies: Vec::new(),
            head_timeout: std::time::Duration::from_secs(10),
            connections: 1_000,
            connections_per_address: 1_000,
        },
        database: DatabaseConfig {
            url: database_url.into(),
            max_connections: 10,
            min_connections: 0,
            acquire_timeout: std::time::Duration::from_secs(4),
            idle_timeout: std::time::Duration::from_secs(300),
            lifetime: std::time::Duration::from_secs(1_800),
            statement_timeout: std::time::Duration::from_secs(5),
        },
        replica: None,
        live: LiveSettings::new(None),
        service: ServiceConfig {
            metrics: false,
            traces: None,
            environment: Environment::Dev,
            admin_listen: anywhere,
            log: LogConfig {
                filter: "off".to_owned(),
                json: true,
            },
            shutdown_timeout: std::time::Duration::from_secs(5),
        },
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The data of a success, whose envelope is checked.
    pub(crate) fn data(&self) -> &Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.text);
        assert_eq!(self.body["success"], true, "{}", self.text);
        self.check_metadata();
        &self.body["data"]
    }

    /// Status and code of a failure, whose envelope is checked.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        assert!(!self.status.is_success(), "{} {}", self.status, self.text);
        assert_eq!(self.body["success"], false, "{} {}", self.status, self.text);
        let error = &self.body["error"];
        assert_eq!(error["trace_id"], self.body["metadata"]["trace_id"]);
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty()),
            "{}",
            self.text
        );
        self.check_metadata();
        (
            self.status.as_u16(),
            error["code"].as_str().expect("a code"),
        )
    }

    fn check_metadata(&self) {
        assert_eq!(
            self.body["metadata"]["trace_id"],
            self.header("x-request-id"),
            "{}",
            self.text
        );
        assert!(
            self.body["metadata"]["timestamp"]
                .as_str()
                .is_some_and(|time| time.ends_with('Z')),
            "{}",
            self.text
        );
    }
}

/// A user who asks.
pub(crate) struct User<'w> {
    pub(crate) world: &'w World,
    pub(crate) id: UserId,
    pub(crate) session: Uuid,
    pub(crate) token: String,
}

impl User<'_> {
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .copied()
            .chain([("authorization", bearer.as_str())])
            .collect();
        self.world.ask(Method::GET, path, &headers, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_text(path, body.to_string()).await
    }

    /// Posts a body as it stands, to the last byte.
    pub(crate) async fn post_text(&self, path: &str, body: impl Into<String>) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        self.world
            .ask(Method::POST, path, &headers, Some(body.into()))
            .await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// Asks in any way.
    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.send_at(self.world.address, method, path, body).await
    }

    /// Asks a replica in any way.
    pub(crate) async fn send_at(
        &self,
        address: SocketAddr,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        self.world
            .ask_at(
                address,
                method,
                path,
                &headers,
                body.map(|body| body.to_string()),
            )
            .await
    }

    /// A paper trading with an account of ETH and one of BTC that hold what is given.
    pub(crate) async fn desk(&self, name: &str, eth: &str, btc: &str) -> Desk {
        let body = json!({
            "name": name,
            "type": "paper",
            "sub_accounts": [
                {"name": "stock", "symbol": "ETH", "initial_deposit": eth},
                {"name": "currency", "symbol": "BTC", "initial_deposit": btc},
            ],
        });
        let trading = text(&self.post("/v1/tradings", body).await.data()["id"]);
        let accounts = self
            .get(&format!("/v1/sub-accounts?trading_id={trading}"))
            .await;
        let id = |symbol: &str| {
            let all = accounts.data()["sub_accounts"]
                .as_array()
                .expect("a list")
                .iter();
            text(
                &all.clone()
                    .find(|account| account["symbol"] == symbol)
                    .expect(symbol)["id"],
            )
        };
        Desk {
            stock: id("ETH"),
            currency: id("BTC"),
            trading,
        }
    }

    /// Balance of an account.
    pub(crate) async fn balance(&self, account: &str) -> String {
        text(
            &self
                .get(&format!("/v1/sub-accounts/{account}"))
                .await
                .data()["balance"],
        )
    }
}

/// A trading with two accounts.
pub(crate) struct Desk {
    pub(crate) trading: String,
    pub(crate) stock: String,
    pub(crate) currency: String,
}

impl Desk {
    /// A trading log that buys 2 ETH at 0.05 BTC with a fee of 0.001 BTC.
    pub(crate) fn trade(&self, log_type: &str) -> Value {
        json!({
            "trading_id": self.trading,
            "type": log_type,
            "source": "bot",
            "message": "a trade",
            "info": {
                "stock_account_id": self.stock,
                "currency_account_id": self.currency,
                "price": "0.05",
                "volume": "2",
                "stock": "ETH",
                "currency": "BTC",
                "fee": "0.001",
            },
        })
    }
}

/// The string in a value.
pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no string"))
        .to_owned()
}

/// Locks a part of an account for an order, as a bot's event does.
pub(crate) async fn hold(world: &World, account: &str, order: &str, amount: &str) {
    let id: Uuid = account.parse().expect("an id");
    let pool = world.database.pool();
    sqlx::query(
        "INSERT INTO holds (sub_account_id, order_id, amount, event_id) VALUES ($1, $2, $3::numeric, 'e1')",
    )
    .bind(id)
    .bind(order)
    .bind(amount)
    .execute(pool)
    .await
    .expect("a hold");
    sqlx::query("UPDATE sub_accounts SET locked = locked + $2::numeric WHERE id = $1")
        .bind(id)
        .bind(amount)
        .execute(pool)
        .await
        .expect("locked");
}
