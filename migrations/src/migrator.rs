//! The list of migrations, oldest first, with their SQL from `sql/`.

use sea_orm_migration::async_trait::async_trait;
use sea_orm_migration::prelude::{
    ConnectionTrait, DbErr, MigrationName, MigrationTrait, SchemaManager,
};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The name and SQL of a migration. A released name never changes, because databases store it.
struct SqlMigration {
    name: &'static str,
    up: &'static str,
    down: &'static str,
}

macro_rules! migrations {
    ($($name:literal),+ $(,)?) => {
        &[$(SqlMigration {
            name: $name,
            up: include_str!(concat!("../sql/", $name, ".up.sql")),
            down: include_str!(concat!("../sql/", $name, ".down.sql")),
        }),+]
    };
}

const MIGRATIONS: &[SqlMigration] = migrations![
    "m0001_people_and_accounts",
    "m0002_history",
    "m0003_ingest",
    "m0004_public_exchange_bindings",
    "m0005_ingest_operations",
    "m0006_one_identity_per_openid",
    "m0007_posting_fees",
    "m0008_timeseries",
    "m0009_owner_statistics",
    "m0010_eighteen_decimals",
    "m0011_dead_letter_accounts",
    "m0012_symbols",
    "m0013_orders",
    "m0014_people",
    "m0015_roles",
    "m0016_metadata",
];

/// The name of the newest migration, which is the newest `version` in table `seaql_migrations` of a current schema.
pub const LATEST: &str = MIGRATIONS[MIGRATIONS.len() - 1].name;

/// Returns a hash of all migrations, equal in every process of a build.
#[must_use]
pub fn fingerprint() -> u64 {
    let mut hasher = DefaultHasher::new();
    for migration in MIGRATIONS {
        (migration.name, migration.up).hash(&mut hasher);
    }
    hasher.finish()
}

/// All migrations for sea-orm-migration. Run them with [`crate::up`], which holds the lock.
#[derive(Debug)]
pub struct Migrator;

impl sea_orm_migration::MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        MIGRATIONS
            .iter()
            .map(|migration| Box::new(migration) as Box<dyn MigrationTrait>)
            .collect()
    }
}

impl MigrationName for &'static SqlMigration {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait]
impl MigrationTrait for &'static SqlMigration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        connection.execute_unprepared(self.up).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        connection.execute_unprepared(self.down).await.map(drop)
    }
}
