//! Settings of the database replica that serves older history.

use secrecy::{ExposeSecret, SecretString};
use tiris_runtime::config::{DatabaseConfig, Environment, Problems, check_database_url};

/// The optional database replica.
#[derive(clap::Args, Clone, Debug)]
pub struct ReplicaArgs {
    /// Connection URL of a standby that serves older pages of transactions and trading logs. Without it, and while it is
    /// unreachable or lags, the primary serves them
    #[arg(long, env = "DATABASE_REPLICA_URL")]
    #[arg(hide_env_values = true, value_name = "URL")]
    database_replica_url: Option<SecretString>,
}

impl ReplicaArgs {
    /// Returns the settings of `primary` with the URL of the replica.
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
