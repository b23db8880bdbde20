//! Connections of the commands.

use crate::connection::Connection;
use anyhow::Context;
use sqlx::PgPool;
use std::time::Duration;
use tiris_runtime::config::{DatabaseArgs, Environment, NatsArgs, Problems};
use tiris_runtime::database;

/// Connections to the database for a command.
pub(crate) fn pool(args: &DatabaseArgs) -> anyhow::Result<PgPool> {
    let mut problems = Problems::default();
    let config = args.check(environment(), &mut problems);
    Ok(database::pool(
        &problems.finish(config)?,
        "tiris-ingest command",
    )?)
}

/// Where the command runs, by the variable the services have; a command has no flag for it.
fn environment() -> Option<Environment> {
    std::env::var("TIRIS_ENV").ok()?.parse().ok()
}

/// A command waits this long for NATS.
const NATS_WAIT: Duration = Duration::from_secs(5);

/// A connection to NATS for a command, which a person waits for.
pub(crate) async fn connection(args: &NatsArgs) -> anyhow::Result<Connection> {
    let mut problems = Problems::default();
    let config = args.check(environment(), &mut problems);
    let connection = Connection::open(&problems.finish(config)?).await?;
    let answered = tokio::time::timeout(NATS_WAIT, connection.client.flush()).await;
    answered.context("NATS does not answer: is it running, and does NATS_URL say where?")??;
    Ok(connection)
}
