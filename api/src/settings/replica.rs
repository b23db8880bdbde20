//! Settings of the copy of the database that older history is read from.

use secrecy::{ExposeSecret, SecretString};
use tiris_runtime::config::{DatabaseConfig, Environment, Problems, check_database_url};

/// A copy of the database, if there is one.
#[derive(clap::Args, Clone, Debug)]
pub struct ReplicaArgs {
    /// Standby of the database that older pages of transactions and trading logs are read from, like DATABASE_URL. Without
    /// it, and while it is away or behind, they are read from the database itself
    #[arg(long, env = "DATABASE_REPLICA_URL", hide_env_values = true)]
    #[arg(value_name = "URL")]
    database_replica_url: Option<SecretString>,
}

impl ReplicaArgs {
    /// How to reach it: as `primary` is, at its own address.
    pub(super) fn check(
        &self,
        primary: Option<&DatabaseConfig>,
        environment: Option<Environment>,
        problems: &mut Problems,
    ) -> Option<DatabaseConfig> {
        let url = self
            .database_replica_url
            .as_ref()
            .filter(|url| !url.expose_secret().trim().is_empty())?;
        let url = check_database_url("DATABASE_REPLICA_URL", url, environment, problems)?;
        Some(DatabaseConfig {
            url,
            ..primary?.clone()
        })
    }
}
