//! Up, down and status.
//!
//! Owns: running migrations under the lock, and what is applied. Must not know: how results are shown.

use crate::connect;
use crate::lock::LockedPool;
use crate::migrator::Migrator;
use anyhow::{Context, Result};
use sea_orm_migration::MigratorTrait;
use sqlx::PgConnection;

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
    let locked = LockedPool::acquire(database_url).await?;
    let outcome = async {
        let before = applied(&mut *locked.pool().acquire().await?).await?;
        Migrator::up(&locked.sea_orm(), None)
            .await
            .map_err(plain)
            .context("a migration failed and was undone")?;
        let after = applied(&mut *locked.pool().acquire().await?).await?;
        anyhow::Ok(only_in(after, &before))
    }
    .await;
    locked.release().await;
    outcome
}

/// Reverts the newest `steps` migrations, all when `None`, and returns the names of those it reverted. Drops data.
pub async fn down(database_url: &str, steps: Option<u32>) -> Result<Vec<String>> {
    let locked = LockedPool::acquire(database_url).await?;
    let outcome = async {
        let before = applied(&mut *locked.pool().acquire().await?).await?;
        let reverted = Migrator::down(&locked.sea_orm(), steps).await;
        reverted
            .map_err(plain)
            .context("reverting a migration failed, that migration stays")?;
        let after = applied(&mut *locked.pool().acquire().await?).await?;
        let mut names = only_in(before, &after);
        names.reverse();
        anyhow::Ok(names)
    }
    .await;
    locked.release().await;
    outcome
}

/// Every migration this program or the database knows, oldest first. Changes nothing and takes no lock.
pub async fn status(database_url: &str) -> Result<Vec<MigrationState>> {
    let mut states = applied(&mut connect::connect(database_url).await?).await?;
    for migration in Migrator::migrations() {
        match states
            .iter_mut()
            .find(|state| state.name == migration.name())
        {
            Some(state) => state.known = true,
            None => states.push(MigrationState {
                name: migration.name().into(),
                applied_at: None,
                known: true,
            }),
        }
    }
    states.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(states)
}

async fn applied(connection: &mut PgConnection) -> Result<Vec<MigrationState>> {
    let anything: bool = sqlx::query_scalar("SELECT to_regclass('seaql_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    if !anything {
        return Ok(Vec::new());
    }
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT version, to_char(to_timestamp(applied_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
         FROM seaql_migrations ORDER BY version",
    )
    .fetch_all(connection)
    .await?;
    let state = |(name, applied_at)| MigrationState {
        name,
        applied_at: Some(applied_at),
        known: false,
    };
    Ok(rows.into_iter().map(state).collect())
}

fn only_in(states: Vec<MigrationState>, others: &[MigrationState]) -> Vec<String> {
    let is_new = |state: &MigrationState| others.iter().all(|other| other.name != state.name);
    states
        .into_iter()
        .filter(is_new)
        .map(|state| state.name)
        .collect()
}

/// SeaORM's error with the driver's own one as its cause, where there is one, so that its code can be read.
fn plain(error: sea_orm_migration::DbErr) -> anyhow::Error {
    use sea_orm_migration::sea_orm::{DbErr, RuntimeErr};
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(cause))
        | DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause)) => match std::sync::Arc::try_unwrap(cause) {
            Ok(cause) => cause.into(),
            Err(shared) => anyhow::anyhow!("{shared}"),
        },
        other => other.into(),
    }
}
