//! Changes of the schema that a later migration might make.

use crate::run::Run;
use anyhow::Result;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::time::Duration;
use tiris_testing::eventually;

/// How long a change may wait for a lock, and how often it is tried again.
const LOCK_LIMIT: &str = "SET lock_timeout = '1s'";
const CHANGE_LIMIT: Duration = Duration::from_secs(30);
const TABLES: &str = "SELECT oid::regclass::text FROM pg_class \
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition";
const COLUMN: &str = "column_of_a_newer_program";
/// Columns that every request or batch reads, as `table column`.
const TYPED: [(&str, &str); 3] = [
    ("sub_accounts", "symbol"),
    ("tradings", "name"),
    ("users", "full_name"),
];

/// Adds a nullable column to every table.
pub(super) async fn add_columns(run: &Run) -> Result<()> {
    run.phase("columns added");
    on_every_table(run, &format!("ADD COLUMN {COLUMN} text")).await
}

/// Removes the columns again.
pub(super) async fn remove_columns(run: &Run) -> Result<()> {
    run.phase("columns removed");
    on_every_table(run, &format!("DROP COLUMN {COLUMN}")).await
}

/// Changes the type of columns that every request and batch reads.
pub(super) async fn narrow_types(run: &Run) -> Result<()> {
    run.phase("types changed");
    alter_typed(run, "varchar(500)").await
}

/// Changes the types back.
pub(super) async fn widen_types(run: &Run) -> Result<()> {
    run.phase("types changed back");
    alter_typed(run, "text").await
}

async fn on_every_table(run: &Run, change: &str) -> Result<()> {
    let tables: Vec<String> = sqlx::query_scalar(TABLES)
        .fetch_all(&run.system.pool)
        .await?;
    let alter = |table: &String| format!("ALTER TABLE {table} {change}");
    let statements: Vec<String> = tables.iter().map(alter).collect();
    execute(run, &statements).await
}

async fn alter_typed(run: &Run, to: &str) -> Result<()> {
    let alter =
        TYPED.map(|(table, column)| format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE {to}"));
    execute(run, &alter).await
}

/// Runs each statement by itself, again when it waited too long for its lock, as `tiris-migrate` is repeated.
async fn execute(run: &Run, statements: &[String]) -> Result<()> {
    let mut connection = PgConnection::connect(&run.system.database_url).await?;
    connection.execute(LOCK_LIMIT).await?;
    for statement in statements {
        eventually(statement, CHANGE_LIMIT, async || {
            let done = connection.execute(AssertSqlSafe(statement.clone())).await;
            done.map(drop)
        })
        .await?;
        run.faults.count("schema changed");
    }
    Ok(())
}
