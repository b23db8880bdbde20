//! Finding the database: reading its address, waiting while it starts.
//!
//! Owns: how long is waited, and that no password is ever shown. Must not know: the schema.

use crate::explain::{passes_by_itself, words};
use anyhow::{Context, Result, bail};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use std::str::FromStr;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long one attempt may take before the address counts as unreachable.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(5);
/// Pause after the first failed attempt; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// `NULLS NOT DISTINCT` came with it.
const OLDEST_POSTGRES: i32 = 15;

/// Reads an address of the form `postgres://user:password@host:port/database`. Errors never repeat the address.
pub(crate) fn parse(database_url: &str) -> Result<PgConnectOptions> {
    const FORM: &str =
        "the database address must look like postgres://user:password@host:5432/tiris";
    if !(database_url.starts_with("postgres://") || database_url.starts_with("postgresql://")) {
        bail!("{FORM}");
    }
    let options = PgConnectOptions::from_str(database_url).context(FORM)?;
    Ok(options
        .application_name("tiris-migrate")
        .disable_statement_logging())
}

/// The address without its password, for messages: `user@host:port/database`.
pub fn describe(database_url: &str) -> Result<String> {
    let options = parse(database_url)?;
    let place = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    let database = options
        .get_database()
        .unwrap_or_else(|| options.get_username());
    Ok(format!("{}@{place}/{database}", options.get_username()))
}

/// One connection, at the first attempt.
pub(crate) async fn connect(database_url: &str) -> Result<PgConnection> {
    let options = parse(database_url)?;
    let attempt = timeout(ATTEMPT_LIMIT, options.connect()).await;

    let connection =
        attempt.with_context(|| format!("no answer within {} s", ATTEMPT_LIMIT.as_secs()));
    connection?.with_context(|| failure(database_url))
}

/// Which database cannot be reached, in words.
pub(crate) fn failure(database_url: &str) -> String {
    let place = describe(database_url).unwrap_or_default();
    format!("cannot connect to {place}")
}

/// Waits until the database takes connections, at most `limit`; `on_wait` is told once why it has to wait.
///
/// Only what passes by itself is waited for: nobody listening, a server starting or full. A wrong password or
/// database fails at once.
pub async fn wait_until_ready(
    database_url: &str,
    limit: Duration,
    on_wait: impl FnOnce(&str),
) -> Result<()> {
    let deadline = Instant::now() + limit;
    let mut pause = FIRST_PAUSE;
    let mut on_wait = Some(on_wait);

    loop {
        let error = match connect(database_url).await {
            Ok(mut connection) => return refuse_old_server(&mut connection).await,
            Err(error) => error,
        };

        let now = Instant::now();
        if !passes_by_itself(&error) || now >= deadline {
            return Err(error);
        }

        if let Some(tell) = on_wait.take() {
            tell(&words(&error));
        }
        sleep(pause.min(deadline - now)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn refuse_old_server(connection: &mut PgConnection) -> Result<()> {
    let version: i32 =
        sqlx::query_scalar("SELECT current_setting('server_version_num')::int / 10000")
            .fetch_one(connection)
            .await?;
    if version < OLDEST_POSTGRES {
        bail!("PostgreSQL {version} is too old: version {OLDEST_POSTGRES} or newer is needed");
    }
    Ok(())
}
