//! The pools of connections to PostgreSQL, with session settings that keep one stopped process from blocking all others.

use crate::config::DatabaseConfig;
use log::LevelFilter;
use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use std::time::Duration;

/// A connection that was idle for longer is tested before use.
const TEST_AFTER_IDLE: Duration = Duration::from_secs(1);

/// Statements that take longer are logged, without their values.
const SLOW: Duration = Duration::from_secs(1);

/// How long a session may idle inside a transaction before the server ends it.
const IDLE_IN_TRANSACTION: &str = "idle_in_transaction_session_timeout";

/// Session settings of both services: a process that stops inside a transaction would otherwise hold its locks for hours.
const SESSION_SETTINGS: [(&str, &str); 7] = [
    ("timezone", "UTC"),
    ("lock_timeout", "4s"),
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "10s"),
    // Half the default lease of a lane.
    (IDLE_IN_TRANSACTION, "5s"),
];

/// Returns a pool that connects on first use, so that a service can start before its database.
pub fn pool(config: &DatabaseConfig, application_name: &str) -> sqlx::Result<PgPool> {
    connect_lazy(config, application_name, None)
}

/// Like [`pool`], for lists: the server plans each execution for its values. A generic plan assumes an account of average
/// size and reads all of a large one for a page.
pub fn pool_for_lists(config: &DatabaseConfig, application_name: &str) -> sqlx::Result<PgPool> {
    let plans = ("plan_cache_mode", "force_custom_plan");
    connect_lazy(config, application_name, Some(plans))
}

/// Like [`pool`], with another limit on how long a session may idle inside a transaction.
pub fn pool_with(
    config: &DatabaseConfig,
    application_name: &str,
    idle_in_transaction: Duration,
) -> sqlx::Result<PgPool> {
    let limit = format!("{}ms", idle_in_transaction.as_millis());
    connect_lazy(
        config,
        application_name,
        Some((IDLE_IN_TRANSACTION, &limit)),
    )
}

/// Of two equal session settings the later one counts, which is `setting`.
fn connect_lazy(
    config: &DatabaseConfig,
    application_name: &str,
    setting: Option<(&str, &str)>,
) -> sqlx::Result<PgPool> {
    let statement_timeout = format!("{}ms", config.statement_timeout.as_millis());
    let options: PgConnectOptions = config.url.expose_secret().parse()?;
    let options = options
        .application_name(application_name)
        .options(SESSION_SETTINGS)
        .options([("statement_timeout", statement_timeout)])
        .options(setting)
        .log_statements(LevelFilter::Debug)
        .log_slow_statements(LevelFilter::Warn, SLOW);

    let pool = PgPoolOptions::new()
        .max_connections(config.max_connections)
        .min_connections(config.min_connections)
        .acquire_timeout(config.acquire_timeout)
        .idle_timeout(config.idle_timeout)
        .max_lifetime(config.lifetime)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > TEST_AFTER_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        });
    Ok(pool.connect_lazy_with(options))
}
