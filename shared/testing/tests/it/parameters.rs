//! Tests that parameters of statements, which may be secrets, stay out of the server's log.

use anyhow::Result;
use sqlx::{Connection, Executor, PgConnection};
use tiris_testing::PgServer;

#[tokio::test]
async fn the_log_of_a_server_has_slow_and_failed_statements_without_their_parameters() -> Result<()>
{
    let server = PgServer::private().await?;
    let mut connection = PgConnection::connect(&server.url("postgres")).await?;
    // Every statement counts as slow.
    connection
        .execute("SET log_min_duration_statement = 0")
        .await?;

    sqlx::query("SELECT $1::text AS verifier")
        .bind("hunter2")
        .execute(&mut connection)
        .await?;
    let failed = sqlx::query("SELECT 1 / length(left($1::text, 0)) AS nonce")
        .bind("hunter3")
        .execute(&mut connection)
        .await;
    failed.expect_err("a division by zero");

    let log = std::fs::read_to_string(server.log())?;
    for found in ["duration", "AS verifier", "AS nonce"] {
        assert!(log.contains(found), "{log}");
    }
    assert!(!log.contains("hunter"), "{log}");
    Ok(())
}
