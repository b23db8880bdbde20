//! The servers of a scenario without proxies, with the schema and numbered users.

use anyhow::Result;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use std::path::Path;
use tempfile::TempDir;
use tiris_testing::{NatsServer, NatsSettings, PgServer, PgSettings, scratch_dir};
use tiris_tools::{Population, bot_url, broker_accounts};

const POOL_SIZE: u32 = 4;

pub(super) struct Servers {
    pub(super) pool: PgPool,
    pub(super) database_url: String,
    // Fields are dropped in this order: the folder last.
    pub(super) nats: NatsServer,
    _postgres: PgServer,
    folder: TempDir,
}

impl Servers {
    /// Starts both servers in a new folder.
    pub(super) async fn start(name: &str, users: Population) -> Result<Self> {
        let folder = scratch_dir(name)?;
        let home = folder.path().join("postgres");
        let postgres = PgServer::start(&home, PgSettings::default()).await?;
        let database_url = postgres.create_database().await?;
        tiris_migrations::up(&database_url).await?;
        let settings = NatsSettings {
            more: broker_accounts(),
            ..NatsSettings::default()
        };
        let nats = NatsServer::start(&folder.path().join("nats"), settings).await?;
        let pool = PgPoolOptions::new()
            .max_connections(POOL_SIZE)
            .connect_lazy(&database_url)?;
        users.create(&pool).await?;

        Ok(Self {
            pool,
            database_url,
            nats,
            _postgres: postgres,
            folder,
        })
    }

    /// Returns the folder of the logs.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the address of the broker for bots.
    pub(super) fn bot_url(&self) -> String {
        bot_url(self.nats.port())
    }
}
