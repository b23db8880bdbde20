//! How to reach PostgreSQL, and how a process uses it.
//!
//! Owns: names, defaults and limits of these settings. Must not know: how connections are made.

use super::environment::Environment;
use super::problems::Problems;
use super::secret_text::SecretText;
use super::wire;
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;

/// Connections a process may hold at least: one for a transaction and one for whatever else happens.
const CONNECTIONS_MIN: u32 = 2;
/// Connections a process may hold at most.
const CONNECTIONS_MAX: u32 = 200;
/// Longest wait for a free connection, in seconds.
const ACQUIRE_SECONDS_MAX: u32 = 60;
/// Longest life of a connection, idle or not, in seconds: a day.
const AGE_SECONDS_MAX: u32 = 86_400;
/// Longest statement, in seconds. The ledger promises readers that what it commits is visible soon; this keeps it.
const STATEMENT_SECONDS_MAX: u32 = 5;

/// How to reach PostgreSQL.
#[derive(clap::Args, Clone, Debug)]
pub struct DatabaseArgs {
    /// PostgreSQL, as postgres://user:password@host:port/database; required
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    #[arg(default_value = "", hide_default_value = true, value_name = "URL")]
    database_url: SecretText,
    /// Connections this process may hold at most (2 to 200)
    #[arg(long, env = "TIRIS_DATABASE_CONNECTIONS")]
    #[arg(default_value = "10", value_name = "COUNT")]
    database_connections: String,
    /// Connections this process keeps open when it needs none (0 to TIRIS_DATABASE_CONNECTIONS)
    #[arg(long, env = "TIRIS_DATABASE_CONNECTIONS_MIN")]
    #[arg(default_value = "0", value_name = "COUNT")]
    database_connections_min: String,
    /// Seconds to wait for a connection before the database counts as unavailable (1 to 60)
    #[arg(long, env = "TIRIS_DATABASE_ACQUIRE_SECONDS")]
    #[arg(default_value = "4", value_name = "SECONDS")]
    database_acquire_seconds: String,
    /// Seconds after which a connection nobody uses is closed (1 to 86400)
    #[arg(long, env = "TIRIS_DATABASE_IDLE_SECONDS")]
    #[arg(default_value = "300", value_name = "SECONDS")]
    database_idle_seconds: String,
    /// Seconds after which a connection is replaced by a new one (1 to 86400)
    #[arg(long, env = "TIRIS_DATABASE_LIFETIME_SECONDS")]
    #[arg(default_value = "1800", value_name = "SECONDS")]
    database_lifetime_seconds: String,
    /// Seconds a statement may take before the server gives it up (1 to 5)
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
    /// Connections that are kept open.
    pub min_connections: u32,
    /// How long a call waits for a connection.
    pub acquire_timeout: Duration,
    /// How long a connection may be idle.
    pub idle_timeout: Duration,
    /// How long a connection is used.
    pub lifetime: Duration,
    /// How long a statement may take.
    pub statement_timeout: Duration,
}

impl DatabaseConfig {
    /// The same with half of the connections, and none kept open beyond them.
    #[must_use]
    pub fn half(&self) -> Self {
        let max_connections = (self.max_connections / 2).max(1);
        Self {
            max_connections,
            min_connections: self.min_connections.min(max_connections),
            ..self.clone()
        }
    }
}

impl DatabaseArgs {
    /// Checks the settings, noting every mistake.
    pub fn check(
        &self,
        environment: Option<Environment>,
        problems: &mut Problems,
    ) -> Option<DatabaseConfig> {
        let url = check_database_url("DATABASE_URL", &self.database_url, environment, problems);

        let max_connections = problems.parse_within(
            "TIRIS_DATABASE_CONNECTIONS",
            &self.database_connections,
            CONNECTIONS_MIN,
            CONNECTIONS_MAX,
        );
        let min_connections = problems.parse_within(
            "TIRIS_DATABASE_CONNECTIONS_MIN",
            &self.database_connections_min,
            0,
            max_connections.unwrap_or(CONNECTIONS_MAX),
        );

        let mut seconds = |name: &str, text: &str, max| {
            problems.parse_seconds(&format!("TIRIS_DATABASE_{name}_SECONDS"), text, max)
        };
        let acquire = seconds(
            "ACQUIRE",
            &self.database_acquire_seconds,
            ACQUIRE_SECONDS_MAX,
        );
        let idle = seconds("IDLE", &self.database_idle_seconds, AGE_SECONDS_MAX);
        let lifetime = seconds("LIFETIME", &self.database_lifetime_seconds, AGE_SECONDS_MAX);
        let statement = seconds(
            "STATEMENT",
            &self.database_statement_seconds,
            STATEMENT_SECONDS_MAX,
        );

        Some(DatabaseConfig {
            url: url?,
            max_connections: max_connections?,
            min_connections: min_connections?,
            acquire_timeout: acquire?,
            idle_timeout: idle?,
            lifetime: lifetime?,
            statement_timeout: statement?,
        })
    }
}

/// The address of a database, named by `variable`, when it is one that may be used; else the mistake is noted.
pub fn check_database_url(
    variable: &str,
    text: &SecretText,
    environment: Option<Environment>,
    problems: &mut Problems,
) -> Option<SecretString> {
    const FORM: &str = "postgres://user:password@host:port/database";
    let url = text.secret();
    if url.expose_secret().is_empty() {
        problems.add(variable, format_args!("is required, as {FORM}"));
        return None;
    }

    let has_scheme = ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| url.expose_secret().starts_with(scheme));
    let Some(options) = url.expose_secret().parse().ok().filter(|_| has_scheme) else {
        problems.add(variable, format_args!("must look like {FORM}"));
        return None;
    };

    wire::check_database(variable, &options, environment, problems);
    Some(url)
}
