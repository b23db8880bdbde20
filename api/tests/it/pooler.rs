//! PgBouncer between the API and PostgreSQL: which of its settings work, and what is said about the others.

use crate::skip::skip;
use crate::world::World;
use crate::world::settings::settings;
use secrecy::ExposeSecret;
use std::path::PathBuf;
use tiris_runtime::config::DatabaseConfig;
use tiris_runtime::database;
use tiris_testing::{PgBouncer, TestDatabase, find_pgbouncer};

/// Set to `required` where PgBouncer must be available.
const REQUIREMENT: &str = "TIRIS_PGBOUNCER";

/// A database behind PgBouncer.
struct Pooled {
    database: TestDatabase,
    bouncer: PgBouncer,
}

impl Pooled {
    /// Starts PgBouncer with these settings; `None` where it is not installed.
    async fn start(settings: &[&str]) -> Option<Self> {
        let Some(program) = find_pgbouncer() else {
            let why = "there is no PgBouncer: install the package pgbouncer";
            skip(REQUIREMENT, "PgBouncer", why);
            return None;
        };
        let database = TestDatabase::new().await.expect("a database");
        let port = url(database.url()).port().expect("a port");

        let bouncer = PgBouncer::start(&program, port, settings);
        Some(Self {
            bouncer: bouncer.await.expect("a PgBouncer"),
            database,
        })
    }

    fn config(&self) -> DatabaseConfig {
        let mut url = url(self.database.url());
        url.set_port(Some(self.bouncer.port())).expect("a port");
        settings(url.as_str(), PathBuf::new()).database
    }

    /// Connects twice, one after the other, and returns what the health check says about the database.
    async fn check(&self) -> Result<String, String> {
        let config = self.config();
        let mut outcome = Err(String::new());
        for _ in 0..2 {
            let pool = database::pool(&config, "test").expect("a pool");
            let checked = sqlx::query("SELECT $1::int").bind(1).execute(&pool);
            outcome = database::check(&pool, async { checked.await.map(drop) }).await;
            pool.close().await;
        }
        outcome
    }
}

fn url(text: &str) -> reqwest::Url {
    text.parse().expect("a URL")
}

#[tokio::test]
async fn session_pooling_works_with_the_defaults_of_pgbouncer() {
    let Some(pooled) = Pooled::start(&["pool_mode = session"]).await else {
        return;
    };
    let world = World::start_with(|settings| {
        let mut url = url(settings.database.url.expose_secret());
        url.set_port(Some(pooled.bouncer.port())).expect("a port");
        settings.database.url = url.to_string().into();
    })
    .await;
    let user = world.user("ann").await;
    let book = user.book("grid", "1", "0").await;

    user.deposit(&book.stock, "2").await.data();
    user.get("/v1/transactions").await.data();
    let ready = world.anonymous("/health/ready").await;

    assert_eq!(ready.status, 200, "{ready}");
    assert_eq!(user.balance(&book.stock).await, "3");
    assert_eq!(
        pooled.check().await,
        Ok("reachable and migrated".to_owned())
    );
}

#[tokio::test]
async fn pooling_that_shares_sessions_is_refused() {
    for mode in ["pool_mode = transaction", "pool_mode = statement"] {
        let Some(pooled) = Pooled::start(&[mode]).await else {
            return;
        };

        let refused = pooled.check().await.expect_err("refused");

        assert!(refused.contains("share"), "{refused}");
        assert!(refused.contains("pool_mode = session"), "{refused}");
    }
}

#[tokio::test]
async fn sessions_that_are_not_reset_are_refused() {
    let settings = ["pool_mode = session", "server_reset_query ="];
    let Some(pooled) = Pooled::start(&settings).await else {
        return;
    };

    let refused = pooled.check().await.expect_err("refused");

    assert!(
        refused.contains("server_reset_query = DISCARD ALL"),
        "{refused}"
    );
}
