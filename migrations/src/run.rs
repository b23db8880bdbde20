//! Up, down and status: sea-orm-migration's own, under the lock.

use crate::connect;
use crate::lock::under_lock;
use crate::migrator::Migrator;
use anyhow::{Context, Result};
use sea_orm_migration::sea_orm::{DbErr, RuntimeErr, SqlxPostgresConnector};
use sea_orm_migration::{Migration, MigratorTrait};
use sqlx::PgConnection;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One migration and whether this database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationState {
    /// Its name, the `version` in table `seaql_migrations`.
    pub name: String,
    /// When it was applied, `YYYY-MM-DD HH:MM:SS` in UTC; `None` while pending.
    pub applied_at: Option<String>,
    /// False when the database has it and this program does not: a newer program was here.
    pub known: bool,
}

/// Applies every pending migration and returns the names of those it applied, none when the schema was current.
///
/// Each one is a transaction of its own. Several callers at once are safe: one works, the others wait for it and
/// then find nothing to do. Fails when the database cannot be reached or a statement fails; what was applied
/// before stays.
pub async fn up(database_url: &str) -> Result<Vec<String>> {
    under_lock(database_url, async |pool| {
        let database = SqlxPostgresConnector::from_sqlx_postgres_pool(pool);
        let pending = Migrator::get_pending_migrations(&database).await;
        let pending = pending.map_err(plain)?;

        let applied = Migrator::up(&database, None).await;
        applied
            .map_err(plain)
            .context("a migration failed and was undone")?;
        Ok(names(&pending))
    })
    .await
}

/// Reverts the newest `steps` migrations, all when `None`, and returns the names of those it reverted. Drops data.
pub async fn down(database_url: &str, steps: Option<u32>) -> Result<Vec<String>> {
    under_lock(database_url, async |pool| {
        let database = SqlxPostgresConnector::from_sqlx_postgres_pool(pool);
        let applied = Migrator::get_applied_migrations(&database).await;
        let mut names = names(&applied.map_err(plain)?);

        let reverted = Migrator::down(&database, steps).await;
        reverted
            .map_err(plain)
            .context("reverting a migration failed, that migration stays")?;
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

/// Every migration this program or the database knows, oldest first. Changes nothing and takes no lock.
///
/// The library's own status fails where a newer program was here, and knows no times.
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

    for Applied { version, at } in applied(&mut connection).await? {
        let unknown = state(&version, false);
        states.entry(version).or_insert(unknown).applied_at = Some(at);
    }

    Ok(states.into_values().collect())
}

#[derive(sqlx::FromRow)]
struct Applied {
    version: String,
    at: String,
}

async fn applied(connection: &mut PgConnection) -> sqlx::Result<Vec<Applied>> {
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

/// SeaORM's error with the driver's own one as its cause, where there is one, so that its code can be read.
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
