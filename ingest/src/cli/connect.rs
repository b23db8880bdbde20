//! Connections of the commands.

use crate::connection::Connection;
use anyhow::Context;
use sqlx::PgPool;
use std::time::Duration;
use tiris_runtime::config::{DatabaseArgs, Environment, NatsArgs, Problems};
use tiris_runtime::database;
use tiris_store::error::Error;

/// How long a command waits for NATS.
const NATS_WAIT: Duration = Duration::from_secs(5);

/// Connects to the database.
pub(super) async fn database(args: &DatabaseArgs) -> anyhow::Result<PgPool> {
    let mut problems = Problems::default();
    let config = args.check(environment(), &mut problems);
    let pool = database::pool(&problems.finish(config)?, "tiris-ingest command")?;

    let connected = pool.acquire().await.map(drop).map_err(Error::from);
    connected.context("cannot connect to the database; check that it runs, and DATABASE_URL")?;
    Ok(pool)
}

/// Connects to NATS.
pub(super) async fn nats(args: &NatsArgs) -> anyhow::Result<Connection> {
    let mut problems = Problems::default();
    let config = args.check(environment(), &mut problems);
    let connection = Connection::open(&problems.finish(config)?).await?;

    let flushed = tokio::time::timeout(NATS_WAIT, connection.client.flush()).await;
    flushed.context("cannot connect to NATS; check that it runs, and NATS_URL")??;
    Ok(connection)
}

/// Returns the environment of the services, for which commands have no flag.
fn environment() -> Option<Environment> {
    std::env::var("TIRIS_ENV").ok()?.parse().ok()
}
