//! Applies and reverts migrations under the lock, and reports their status.

use crate::connect;
use crate::lock::under_lock;
use crate::migrator::Migrator;
use crate::roles;
use anyhow::{Context, Result};
use sea_orm_migration::sea_orm::{DbErr, RuntimeErr, SqlxPostgresConnector};
use sea_orm_migration::{Migration, MigratorTrait};
use sqlx::PgConnection;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Maximum number of attempts at a migration that meets a job of TimescaleDB.
const ATTEMPTS_MAX: u32 = 5;
/// The pause before another attempt.
const REPEAT_AFTER: Duration = Duration::from_secs(2);

/// A migration and its state in a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationState {
    /// The name, which is `version` in table `seaql_migrations`.
    pub name: String,
    /// The time of its application, `YYYY-MM-DD HH:MM:SS` in UTC; `None` while pending.
    pub applied_at: Option<String>,
    /// False for a migration that a newer program applied.
    pub known: bool,
}

/// Creates the missing roles, applies all pending migrations and returns their names, and makes the grants.
///
/// Each migration is its own transaction, so migrations before a failed one stay applied. Concurrent calls are safe:
/// one works, the others wait for it.
pub async fn up(database_url: &str) -> Result<Vec<String>> {
    roles::ensure(database_url).await?;

    under_lock(database_url, async |pool| {
        let database = SqlxPostgresConnector::from_sqlx_postgres_pool(pool.clone());
        let pending = Migrator::get_pending_migrations(&database).await;
        let names = names(&pending.map_err(plain)?);

        let mut attempts = 1;
        while let Err(error) = Migrator::up(&database, None).await.map_err(plain) {
            if attempts == ATTEMPTS_MAX || !is_passing(&error) {
                return Err(error.context("a migration failed and was undone"));
            }
            tracing::warn!("a migration was undone and is repeated: {error}");
            attempts += 1;
            tokio::time::sleep(REPEAT_AFTER).await;
        }

        let mut transaction = pool.begin().await?;
        roles::apply(&mut transaction)
            .await
            .context("the grants of the roles could not be made")?;
        transaction.commit().await?;
        Ok(names)
    })
    .await
}

/// Reverts the newest `steps` migrations, or all with `None`, and returns their names. Drops data.
pub async fn down(database_url: &str, steps: Option<u32>) -> Result<Vec<String>> {
    under_lock(database_url, async |pool| {
        let database = SqlxPostgresConnector::from_sqlx_postgres_pool(pool);
        let applied = Migrator::get_applied_migrations(&database).await;
        let mut names = names(&applied.map_err(plain)?);

        let reverted = Migrator::down(&database, steps).await;
        reverted
            .map_err(plain)
            .context("reverting a migration failed; that migration stays applied")?;

        names.reverse();
        names.truncate(steps.map_or(names.len(), |steps| steps as usize));
        Ok(names)
    })
    .await
}

fn names(migrations: &[Migration]) -> Vec<String> {
    let names = migrations.iter().map(Migration::name);
    names.map(str::to_owned).collect()
}

/// Returns all migrations of this program and the database, oldest first, without the lock.
///
/// The library's own status has no times, and fails after migrations of a newer program.
pub async fn status(database_url: &str) -> Result<Vec<MigrationState>> {
    let mut connection = connect::connect(database_url).await?;
    let state = |name: &str, known| MigrationState {
        name: name.to_owned(),
        applied_at: None,
        known,
    };
    let mut states: BTreeMap<String, MigrationState> = Migrator::migrations()
        .iter()
        .map(|migration| (migration.name().to_owned(), state(migration.name(), true)))
        .collect();

    for (version, at) in applied(&mut connection).await? {
        let unknown = state(&version, false);
        states.entry(version).or_insert(unknown).applied_at = Some(at);
    }

    Ok(states.into_values().collect())
}

/// Returns the applied migrations and their times.
async fn applied(connection: &mut PgConnection) -> sqlx::Result<Vec<(String, String)>> {
    let is_installed: bool =
        sqlx::query_scalar("SELECT to_regclass('seaql_migrations') IS NOT NULL")
            .fetch_one(&mut *connection)
            .await?;
    if !is_installed {
        return Ok(Vec::new());
    }

    sqlx::query_as(
        "SELECT version, to_char(to_timestamp(applied_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS at
         FROM seaql_migrations",
    )
    .fetch_all(connection)
    .await
}

/// Returns whether another attempt may succeed. A migration that replaces an aggregate can deadlock with the job that
/// refreshes it, or find a row of the job gone, for which PostgreSQL has no code of its own.
fn is_passing(error: &anyhow::Error) -> bool {
    let error = error
        .downcast_ref::<sqlx::Error>()
        .and_then(|error| error.as_database_error());

    error.is_some_and(|error| match error.code().as_deref() {
        Some("40P01" | "40001") => true,
        Some("XX000") => error.message().starts_with("tuple concurrently"),
        _ => false,
    })
}

/// Unwraps the driver's error, so that its code is available.
fn plain(error: DbErr) -> anyhow::Error {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(cause))
        | DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause)) => match Arc::try_unwrap(cause) {
            Ok(cause) => cause.into(),
            Err(shared) => anyhow::anyhow!("{shared}"),
        },
        other => other.into(),
    }
}
