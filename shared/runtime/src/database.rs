//! The pools of connections to PostgreSQL, with session settings that keep one stopped process from blocking all others.
//!
//! The settings are set and verified after connecting, because poolers drop the parameters of a start. A session that
//! cannot be used any more is replaced, see [`renew_sessions`].

mod pooler;
mod refusal;
mod renewal;
mod session;

pub use refusal::{Unreachable, check, reason_of_timeout};
pub use renewal::renew_sessions;

use crate::config::DatabaseConfig;
use log::LevelFilter;
use secrecy::ExposeSecret;
use session::{Session, Use};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use std::sync::Arc;
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
/// Makes the server plan each execution for its values. A generic plan assumes an account of average size and reads all of
/// a large one for a page.
const PLANNED_FOR_VALUES: (&str, &str) = ("plan_cache_mode", "force_custom_plan");

/// Returns a pool that connects on first use, so that a service can start before its database. It uses only a server that
/// accepts changes.
pub fn pool(config: &DatabaseConfig, application_name: &str) -> sqlx::Result<PgPool> {
    connect_lazy(config, application_name, None, Use::Changes)
}

/// Like [`pool`], for lists, whose statements are planned for their values.
pub fn pool_for_lists(config: &DatabaseConfig, application_name: &str) -> sqlx::Result<PgPool> {
    let setting = Some(PLANNED_FOR_VALUES);
    connect_lazy(config, application_name, setting, Use::Changes)
}

/// Like [`pool_for_lists`], on a server that may be read-only.
pub fn pool_of_replica(config: &DatabaseConfig, application_name: &str) -> sqlx::Result<PgPool> {
    let setting = Some(PLANNED_FOR_VALUES);
    connect_lazy(config, application_name, setting, Use::Reads)
}

/// Like [`pool`], with another limit on how long a session may idle inside a transaction.
pub fn pool_with(
    config: &DatabaseConfig,
    application_name: &str,
    idle_in_transaction: Duration,
) -> sqlx::Result<PgPool> {
    let limit = format!("{}ms", idle_in_transaction.as_millis());
    let setting = Some((IDLE_IN_TRANSACTION, limit.as_str()));
    connect_lazy(config, application_name, setting, Use::Changes)
}

/// `setting` replaces the usual session setting of the same name.
fn connect_lazy(
    config: &DatabaseConfig,
    application_name: &str,
    setting: Option<(&'static str, &str)>,
    usage: Use,
) -> sqlx::Result<PgPool> {
    let options: PgConnectOptions = config.url.expose_secret().parse()?;
    let options = options
        .application_name(application_name)
        // PgBouncer refuses this parameter of the driver. Since PostgreSQL 12 the server's default is as exact.
        .extra_float_digits(None)
        .log_statements(LevelFilter::Debug)
        .log_slow_statements(LevelFilter::Warn, SLOW);

    let statement_timeout = format!("{}ms", config.statement_timeout.as_millis());
    let own = [
        ("application_name", application_name),
        ("statement_timeout", statement_timeout.as_str()),
    ];
    let settings = SESSION_SETTINGS.into_iter().chain(own).chain(setting);
    let session = Arc::new(Session::new(settings, usage, options.clone()));
    let before = Arc::clone(&session);

    let pool = PgPoolOptions::new()
        .max_connections(config.max_connections)
        .min_connections(config.min_connections)
        .acquire_timeout(config.acquire_timeout)
        .idle_timeout(config.idle_timeout)
        .max_lifetime(config.lifetime)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            let session = Arc::clone(&session);
            Box::pin(async move { session.begin(connection).await })
        })
        .before_acquire(move |connection, meta| {
            let session = Arc::clone(&before);
            Box::pin(async move {
                if renewal::is_outdated(meta.age) {
                    return Ok(false);
                }
                let is_tested = meta.idle_for <= TEST_AFTER_IDLE;
                Ok(is_tested || session.is_usable(connection).await?)
            })
        });
    let pool = pool.connect_lazy_with(options);
    refusal::watch(&pool, application_name);
    Ok(pool)
}
