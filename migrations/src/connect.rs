//! Parses the database address and connects, waiting for a server that is starting. No message contains the password.

use crate::explain::{is_transient, words};
use anyhow::{Context, Result, bail};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Time limit of one connection attempt.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(5);
/// Backoff after the first failed attempt; it doubles with each.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
/// Longest backoff between two attempts.
const BACKOFF_MAX: Duration = Duration::from_secs(3);
/// The first version with `NULLS NOT DISTINCT`.
const OLDEST_POSTGRES: i32 = 15;

/// Parses an address of the form `postgres://user:password@host:port/database`. Errors never contain the address.
pub(crate) fn parse(database_url: &str) -> Result<PgConnectOptions> {
    const FORM: &str =
        "the database address must look like postgres://user:password@host:5432/tiris";
    if !(database_url.starts_with("postgres://") || database_url.starts_with("postgresql://")) {
        bail!("{FORM}");
    }

    let options: PgConnectOptions = database_url.parse().context(FORM)?;
    Ok(options
        .application_name("tiris-migrate")
        .disable_statement_logging())
}

/// Returns the address without its password, for messages: `user@host:port/database`.
pub fn describe(database_url: &str) -> Result<String> {
    let options = parse(database_url)?;
    let user = options.get_username();
    let server = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };

    let database = options.get_database().unwrap_or(user);
    Ok(format!("{user}@{server}/{database}"))
}

/// Connects with a single attempt.
pub(crate) async fn connect(database_url: &str) -> Result<PgConnection> {
    let options = parse(database_url)?;

    timeout(ATTEMPT_LIMIT, options.connect())
        .await
        .with_context(|| format!("no answer within {} s", ATTEMPT_LIMIT.as_secs()))?
        .with_context(|| failure(database_url))
}

/// Returns the message for a failed connection.
pub(crate) fn failure(database_url: &str) -> String {
    let server = describe(database_url).unwrap_or_default();
    format!("cannot connect to {server}")
}

/// Waits at most `limit` until the database accepts connections; calls `on_wait` once with the reason for waiting.
///
/// It waits for transient failures only: no server on the port, or a server that is starting or full. A wrong password
/// or database fails immediately.
pub async fn wait_until_ready(
    database_url: &str,
    limit: Duration,
    on_wait: impl FnOnce(&str),
) -> Result<()> {
    let deadline = Instant::now() + limit;
    let mut backoff = FIRST_BACKOFF;
    let mut on_wait = Some(on_wait);

    loop {
        let error = match connect(database_url).await {
            Ok(mut connection) => return check_version(&mut connection).await,
            Err(error) => error,
        };

        let now = Instant::now();
        if !is_transient(&error) || now >= deadline {
            return Err(error);
        }

        if let Some(report) = on_wait.take() {
            report(&words(&error));
        }
        sleep(backoff.min(deadline - now)).await;
        backoff = (backoff * 2).min(BACKOFF_MAX);
    }
}

async fn check_version(connection: &mut PgConnection) -> Result<()> {
    let version: i32 =
        sqlx::query_scalar("SELECT current_setting('server_version_num')::int / 10000")
            .fetch_one(connection)
            .await?;
    if version < OLDEST_POSTGRES {
        bail!("PostgreSQL {version} is too old: version {OLDEST_POSTGRES} or newer is needed");
    }
    Ok(())
}
