//! The settings of commands that use the database, and the users they work on.

use anyhow::{Context, ensure};
use sqlx::{PgConnection, PgPool};
use tiris_domain::ids::UserId;
use tiris_domain::states::UserStatus;
use tiris_runtime::config::{
    DatabaseArgs, DatabaseConfig, Environment, Problems, ServiceArgs, ServiceConfig,
};
use tiris_runtime::{database, telemetry};
use tiris_store::users::{self, LockedUser};

/// Settings of the database and the log.
#[derive(clap::Args, Debug)]
pub(super) struct ToolArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    service: ServiceArgs,
}

/// Checked [`ToolArgs`].
pub(super) struct Tool(DatabaseConfig, ServiceConfig);

impl ToolArgs {
    pub(super) fn environment(&self) -> Option<Environment> {
        self.service.environment()
    }

    pub(super) fn check(&self, problems: &mut Problems) -> Option<Tool> {
        let database = self.database.or_dev_stack(self.environment());
        let database = database.check(self.environment(), problems);
        let service = self.service.check("127.0.0.1:0", problems);
        Some(Tool(database?, service?))
    }
}

impl Tool {
    pub(super) fn environment(&self) -> Environment {
        self.1.environment
    }

    /// Starts the log and opens a pool; `name` identifies its connections in the database.
    pub(super) fn start(&self, name: &str) -> anyhow::Result<PgPool> {
        telemetry::init("tiris-api", &self.1.log);
        database::pool(&self.0, name).context("cannot use DATABASE_URL")
    }
}

/// Locks and returns the active user with an e-mail address, `None` when there is no user.
pub(super) async fn active_user(
    connection: &mut PgConnection,
    email: &str,
) -> anyhow::Result<Option<UserId>> {
    let found = users::lock_by_email(connection, email)
        .await
        .context("cannot read the user (is the database migrated? run tiris-migrate up)")?;
    let Some(LockedUser { id, status }) = found else {
        return Ok(None);
    };
    ensure!(status == UserStatus::Active, "the user {email} is {status}");
    Ok(Some(id))
}
