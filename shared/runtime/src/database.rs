//! The pool of connections to PostgreSQL and the session settings that keep one stopped process from blocking all.
//!
//! Owns: connection options, pool, waiting for the database. Must not know: tables.

use crate::config::DatabaseConfig;
use log::LevelFilter;
use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use std::time::Duration;

/// A connection idle for longer is tested before it is used again.
const TEST_AFTER_IDLE: Duration = Duration::from_secs(1);

/// A statement that takes longer is told in the log, without its values.
const SLOW: Duration = Duration::from_secs(1);

/// Session settings of both services. A process stopped inside a transaction would otherwise keep its rows locked
/// for hours.
const SESSION_SETTINGS: [(&str, &str); 6] = [
    ("timezone", "UTC"),
    ("lock_timeout", "4s"),
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "10s"),
];

/// How long a session may idle inside a transaction: half the default lease of a lane, so that a process stopped there
/// blocks nobody for longer.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(5);

/// A pool that connects when it is first used, so that a service can start before its database.
pub fn pool(config: &DatabaseConfig, application_name: &str) -> sqlx::Result<PgPool> {
    pool_with(config, application_name, IDLE_IN_TRANSACTION)
}

/// Like [`pool`], for lists: the server plans every execution of a statement for its values. A plan that it keeps for any
/// values takes every account for an average one, and reads a large one to its end for a page.
pub fn pool_for_lists(config: &DatabaseConfig, application_name: &str) -> sqlx::Result<PgPool> {
    let options = session(config, application_name, IDLE_IN_TRANSACTION)?;

    Ok(connect_lazy(
        config,
        options.options([("plan_cache_mode", "force_custom_plan")]),
    ))
}

/// Like [`pool`], for a lease of another length: a session that idles inside a transaction for longer than
/// `idle_in_transaction` is ended by the server.
pub fn pool_with(
    config: &DatabaseConfig,
    application_name: &str,
    idle_in_transaction: Duration,
) -> sqlx::Result<PgPool> {
    Ok(connect_lazy(
        config,
        session(config, application_name, idle_in_transaction)?,
    ))
}

fn session(
    config: &DatabaseConfig,
    application_name: &str,
    idle_in_transaction: Duration,
) -> sqlx::Result<PgConnectOptions> {
    let settings = [
        ("statement_timeout", config.statement_timeout),
        ("idle_in_transaction_session_timeout", idle_in_transaction),
    ];
    let settings = settings.map(|(name, time)| (name, format!("{}ms", time.as_millis())));
    let options: PgConnectOptions = config.url.expose_secret().parse()?;

    Ok(options
        .application_name(application_name)
        .options(SESSION_SETTINGS)
        .options(settings)
        .log_statements(LevelFilter::Debug)
        .log_slow_statements(LevelFilter::Warn, SLOW))
}

fn connect_lazy(config: &DatabaseConfig, options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
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
        })
        .connect_lazy_with(options)
}
