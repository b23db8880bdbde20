//! The reasons that PostgreSQL gives when it refuses a connection.

use sqlx::{Connection, PgConnection};
use std::time::Duration;
use tiris_runtime::config::DatabaseConfig;
use tiris_runtime::database;
use tiris_testing::{PgServer, PgSettings, eventually, scratch_dir};

const CONNECTIONS: u16 = 8;
const CAUSE: &str = "too many clients already";

#[tokio::test]
async fn a_full_server_is_the_reason_of_a_timeout() {
    let folder = scratch_dir("full").expect("a folder");
    let settings = PgSettings {
        durable: false,
        max_connections: CONNECTIONS,
        ..PgSettings::default()
    };
    let server = PgServer::start(folder.path(), settings)
        .await
        .expect("a server");
    let mut taken = Vec::new();
    while let Ok(connection) = PgConnection::connect(&server.url("postgres")).await {
        taken.push(connection);
    }
    let pool = database::pool(&config(&server), "test").expect("a pool");
    let acquired = async || pool.acquire().await.map(drop);

    let health = database::check(&pool, acquired()).await.expect_err("full");
    assert!(health.contains(CAUSE), "{health}");

    eventually("a reason", Duration::from_secs(10), async || {
        acquired().await.expect_err("full");
        let reason = database::reason_of_timeout().map(|reason| reason.to_string());
        anyhow::ensure!(reason.unwrap_or_default().contains(CAUSE), "no reason yet");
        Ok(())
    })
    .await
    .expect("a reason");

    drop(taken);
    eventually("a connection", Duration::from_secs(10), acquired)
        .await
        .expect("a connection");
}

fn config(server: &PgServer) -> DatabaseConfig {
    DatabaseConfig {
        url: server.url("postgres").into(),
        max_connections: 2,
        min_connections: 0,
        acquire_timeout: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(60),
        lifetime: Duration::from_secs(60),
        statement_timeout: Duration::from_secs(5),
    }
}
