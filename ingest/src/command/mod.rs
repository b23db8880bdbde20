//! The commands of an operator: each does one thing and ends.

pub mod confirm;
pub mod dlq;

use sqlx::PgPool;
use tiris_shared::config::{DatabaseArgs, Problems};
use tiris_shared::database;

/// Connections to the database for a command.
pub(crate) fn pool(args: &DatabaseArgs) -> anyhow::Result<PgPool> {
    let mut problems = Problems::default();
    let config = args.check(&mut problems);
    Ok(database::pool(&problems.finish(config)?, "tiris-ingest command")?)
}
