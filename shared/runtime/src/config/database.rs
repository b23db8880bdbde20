//! Settings of the connection to PostgreSQL.

use super::environment::{Environment, is_loopback};
use super::problems::Problems;
use crate::dev_stack;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::time::Duration;

/// Minimum size of the pool: one connection for a transaction and one for everything else.
const POOL_MIN: u32 = 2;
const POOL_MAX: u32 = 200;
/// Longest wait for a free connection, in seconds.
const ACQUIRE_MAX: u32 = 60;
/// Longest lifetime of a connection, idle or not, in seconds: a day.
const AGE_MAX: u32 = 86_400;
/// Longest statement, in seconds: readers may rely on commits becoming visible within this time.
const STATEMENT_MAX: u32 = 5;

/// Settings of the connection to PostgreSQL.
#[derive(clap::Args, Clone, Debug)]
pub struct DatabaseArgs {
    /// PostgreSQL, as postgres://user:password@host:port/database; required
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    #[arg(default_value = "", hide_default_value = true, value_name = "URL")]
    database_url: SecretString,
    /// Maximum number of connections of this process (2 to 200)
    #[arg(long, env = "TIRIS_DATABASE_CONNECTIONS")]
    #[arg(default_value = "10", value_name = "COUNT")]
    database_connections: String,
    /// Connections that stay open while idle (0 to TIRIS_DATABASE_CONNECTIONS)
    #[arg(long, env = "TIRIS_DATABASE_CONNECTIONS_MIN")]
    #[arg(default_value = "0", value_name = "COUNT")]
    database_connections_min: String,
    /// Seconds to wait for a free connection before the database counts as unavailable (1 to 60)
    #[arg(long, env = "TIRIS_DATABASE_ACQUIRE_SECONDS")]
    #[arg(default_value = "4", value_name = "SECONDS")]
    database_acquire_seconds: String,
    /// Seconds after which an idle connection is closed (1 to 86400)
    #[arg(long, env = "TIRIS_DATABASE_IDLE_SECONDS")]
    #[arg(default_value = "300", value_name = "SECONDS")]
    database_idle_seconds: String,
    /// Seconds after which a connection is replaced by a new one (1 to 86400)
    #[arg(long, env = "TIRIS_DATABASE_LIFETIME_SECONDS")]
    #[arg(default_value = "1800", value_name = "SECONDS")]
    database_lifetime_seconds: String,
    /// Seconds after which the server cancels a statement (1 to 5)
    #[arg(long, env = "TIRIS_DATABASE_STATEMENT_SECONDS")]
    #[arg(default_value = "5", value_name = "SECONDS")]
    database_statement_seconds: String,
}

/// Checked [`DatabaseArgs`].
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// The connection string, with its password.
    pub url: SecretString,
    /// Upper bound of the pool.
    pub max_connections: u32,
    /// Connections that stay open while idle.
    pub min_connections: u32,
    /// Longest wait for a free connection.
    pub acquire_timeout: Duration,
    /// Longest time a connection stays idle.
    pub idle_timeout: Duration,
    /// Longest lifetime of a connection.
    pub lifetime: Duration,
    /// Longest execution of a statement.
    pub statement_timeout: Duration,
}

impl DatabaseConfig {
    /// Returns the same settings for requests and for lists, each with half of the connections.
    #[must_use]
    pub fn split(&self) -> (Self, Self) {
        let lists = (self.max_connections / 2).max(1);
        let requests = self.max_connections.saturating_sub(lists).max(1);

        let requests = Self {
            max_connections: requests,
            min_connections: self.min_connections.min(requests),
            ..self.clone()
        };
        let lists = Self {
            max_connections: lists,
            min_connections: 0,
            ..self.clone()
        };
        (requests, lists)
    }
}

impl DatabaseArgs {
    /// Returns the same settings; on a developer's machine the database is that of the running stack when none is given.
    #[must_use]
    pub fn or_dev_stack(&self, environment: Option<Environment>) -> Self {
        let is_given = !self.database_url.expose_secret().is_empty();
        let stack = match environment {
            Some(Environment::Dev) if !is_given => dev_stack::variable("DATABASE_URL"),
            _ => None,
        };

        match stack {
            Some(url) => Self {
                database_url: url.into(),
                ..self.clone()
            },
            None => self.clone(),
        }
    }

    /// Checks the settings and records every mistake.
    pub fn check(
        &self,
        environment: Option<Environment>,
        problems: &mut Problems,
    ) -> Option<DatabaseConfig> {
        let url = check_database_url("DATABASE_URL", &self.database_url, environment, problems);

        let mut count = |name: &str, text: &str, min, max| {
            problems.parse_within(&format!("TIRIS_DATABASE_{name}"), text, min, max)
        };
        let max = count(
            "CONNECTIONS",
            &self.database_connections,
            POOL_MIN,
            POOL_MAX,
        );
        let idle_max = max.unwrap_or(POOL_MAX);
        let min = count(
            "CONNECTIONS_MIN",
            &self.database_connections_min,
            0,
            idle_max,
        );

        let mut seconds = |name: &str, text: &str, max| {
            problems.parse_seconds(&format!("TIRIS_DATABASE_{name}_SECONDS"), text, max)
        };
        let acquire = seconds("ACQUIRE", &self.database_acquire_seconds, ACQUIRE_MAX);
        let idle = seconds("IDLE", &self.database_idle_seconds, AGE_MAX);
        let lifetime = seconds("LIFETIME", &self.database_lifetime_seconds, AGE_MAX);
        let statement = seconds("STATEMENT", &self.database_statement_seconds, STATEMENT_MAX);

        Some(DatabaseConfig {
            url: url?,
            max_connections: max?,
            min_connections: min?,
            acquire_timeout: acquire?,
            idle_timeout: idle?,
            lifetime: lifetime?,
            statement_timeout: statement?,
        })
    }
}

/// Checks the address of a database, given by `variable`; records a mistake and returns None when it is invalid.
pub fn check_database_url(
    variable: &str,
    url: &SecretString,
    environment: Option<Environment>,
    problems: &mut Problems,
) -> Option<SecretString> {
    const FORM: &str = "postgres://user:password@host:port/database";
    let text = url.expose_secret();
    if text.is_empty() {
        problems.add(variable, format_args!("is required, as {FORM}"));
        return None;
    }

    let is_postgres = text.starts_with("postgres://") || text.starts_with("postgresql://");
    let Some(options) = text.parse().ok().filter(|_| is_postgres) else {
        problems.add(variable, format_args!("must look like {FORM}"));
        return None;
    };

    if environment.is_some_and(Environment::is_strict) && !is_protected(&options) {
        problems.add(
            variable,
            "must end with ?sslmode=verify-full outside development (or verify-ca; with a certificate authority of your own \
             also &sslrootcert=FILE), unless the database is on this machine",
        );
    }
    Some(url.clone())
}

/// Reports whether a connection stays on this machine or verifies the server's certificate. `sslmode=require` is not
/// enough: it encrypts without checking to whom.
fn is_protected(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let is_local = options.get_socket().is_some() || host.starts_with('/') || is_loopback(host);
    let mode = options.get_ssl_mode();
    is_local || matches!(mode, PgSslMode::VerifyCa | PgSslMode::VerifyFull)
}
