//! What every command needs that works on the database beside the service.

use anyhow::Context;
use sqlx::PgPool;
use tiris_runtime::config::{
    DatabaseArgs, DatabaseConfig, Environment, Problems, ServiceArgs, ServiceConfig,
};
use tiris_runtime::{database, telemetry};

/// The database, and how the command logs.
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
        let database = self.database.check(self.environment(), problems);
        let service = self.service.check("127.0.0.1:0", problems);
        Some(Tool(database?, service?))
    }
}

impl Tool {
    pub(super) fn environment(&self) -> Environment {
        self.1.environment
    }

    /// Starts the log and makes the pool; `name` is what the database calls its connections.
    pub(super) fn start(&self, name: &str) -> anyhow::Result<PgPool> {
        telemetry::init("tiris-api", &self.1.log);
        database::pool(&self.0, name).context("cannot use DATABASE_URL")
    }
}
