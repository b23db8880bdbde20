//! A running API with a database of its own, and users who send requests to it.

mod answer;
pub(crate) mod book;
mod database;
pub(crate) mod orders;
pub(crate) mod settings;
mod value;

use chrono::{Duration, Utc};
use reqwest::Method;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;
use tempfile::TempDir;
use tiris_api::app::App;
use tiris_api::auth::{keys::Keys, token};
use tiris_api::settings::Settings;
use tiris_domain::ids::{UserId, new_id};
use tiris_runtime::config::Environment;
use tiris_testing::{Role, TestDatabase, scratch_dir};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) use answer::Answer;
pub(crate) use database::begin_before_this_month;
pub(crate) use value::text;

/// A public binding that every database has.
pub(crate) const PUBLIC_BINDING: &str = "01900000-0000-7000-8000-000000000001";

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
        let url = database.url_as(Role::Api).expect("an address");
        let mut settings = settings::settings(&url, key_file.clone());
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

    /// Starts another instance with the same database and keys.
    pub(crate) async fn replica(&self) -> SocketAddr {
        serve(&self.settings, &self.stop).await
    }

    /// Stops all replicas.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Creates a signed-in user.
    pub(crate) async fn user(&self, name: &str) -> User<'_> {
        let id = UserId(new_id());
        sqlx::query(
            "INSERT INTO users (id, username, email) VALUES ($1, $2, $2 || '@example.com')",
        )
        .bind(id.0)
        .bind(name)
        .execute(self.pool())
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

    /// Creates a signed-in admin.
    pub(crate) async fn admin(&self, name: &str) -> User<'_> {
        let admin = self.user(name).await;
        self.run("UPDATE users SET role = 'admin' WHERE id = $1", admin.id.0)
            .await;
        admin
    }

    /// Creates a session of a user.
    pub(crate) async fn session(&self, user: UserId) -> Uuid {
        let id = new_id();
        sqlx::query(
            "INSERT INTO sessions (id, user_id, expires_at) \
             VALUES ($1, $2, now() + interval '1 day')",
        )
        .bind(id)
        .bind(user.0)
        .execute(self.pool())
        .await
        .expect("a session");
        id
    }

    pub(crate) fn token(&self, user: UserId, session: Uuid, lifetime: Duration) -> String {
        token::issue(&self.keys, user, session, Utc::now(), lifetime).expect("a token")
    }

    /// Sends a request with these headers only.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Answer {
        self.ask_at(self.address, method, path, headers, body).await
    }

    /// Sends a request to a replica.
    pub(crate) async fn ask_at(
        &self,
        address: SocketAddr,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Answer {
        let described = format!("{method} {path} {}", body.as_deref().unwrap_or_default());
        let mut request = self.http.request(method, format!("http://{address}{path}"));

        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }

        let response = request.send().await.expect("an answer");
        let status = response.status();
        let headers = response.headers().clone();
        let text = response.text().await.expect("a body");
        Answer {
            request: described,
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
        }
    }

    /// Posts without a token.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        let headers = [("content-type", "application/json")];
        self.ask(Method::POST, path, &headers, Some(body.to_string()))
            .await
    }

    /// Gets without a token.
    pub(crate) async fn anonymous(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], None).await
    }

    /// Gets with this token.
    pub(crate) async fn get_as(&self, token: &str, path: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        self.ask(Method::GET, path, &[("authorization", &bearer)], None)
            .await
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Starts an API and returns its address.
async fn serve(settings: &Settings, stop: &CancellationToken) -> SocketAddr {
    let app = App::build(settings).await.expect("an app");
    let address = app.address();
    tokio::spawn(app.run_until(stop.clone()));
    address
}

/// Returns a client with a time limit for each request.
pub(crate) fn http_client() -> reqwest::Client {
    tiris_runtime::tls::choose_provider();
    reqwest::Client::builder()
        .timeout(std::time::Duration::from_secs(30))
        .build()
        .expect("a client")
}

/// A signed-in user.
pub(crate) struct User<'w> {
    pub(crate) world: &'w World,
    pub(crate) id: UserId,
    pub(crate) session: Uuid,
    pub(crate) token: String,
}

impl User<'_> {
    /// Sets the status of the user in the database.
    pub(crate) async fn set_status(&self, status: &str) {
        sqlx::query("UPDATE users SET status = $2 WHERE id = $1")
            .bind(self.id.0)
            .bind(status)
            .execute(self.world.pool())
            .await
            .expect("a status");
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.world.get_as(&self.token, path).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send_with(Method::GET, path, headers, None).await
    }

    /// Sends a request with these headers and the token.
    pub(crate) async fn send_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let headers = [headers, &[("authorization", bearer.as_str())]].concat();
        self.world.ask(method, path, &headers, body).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_text(path, body.to_string()).await
    }

    /// Posts this body unchanged.
    pub(crate) async fn post_text(&self, path: &str, body: impl Into<String>) -> Answer {
        self.send_text(self.world.address, Method::POST, path, Some(body.into()))
            .await
    }

    /// Posts without a body.
    pub(crate) async fn post_empty(&self, path: &str) -> Answer {
        self.send(Method::POST, path, None).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.send_at(self.world.address, method, path, body).await
    }

    /// Sends a request to a replica.
    pub(crate) async fn send_at(
        &self,
        address: SocketAddr,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let body = body.map(|body| body.to_string());
        self.send_text(address, method, path, body).await
    }

    async fn send_text(
        &self,
        address: SocketAddr,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
        ];
        self.world
            .ask_at(address, method, path, &headers, body)
            .await
    }
}
