//! The fixture of a test: a database with one user and two accounts, a broker, and the lanes between them.

mod books;
mod events;
mod lanes;

pub(crate) use self::books::Account;
pub(crate) use self::lanes::{advances, drain, last_step, seize, step, waits};

use anyhow::Result;
use async_nats::jetstream::{self, stream::Info};
use clap::Parser;
use sqlx::PgPool;
use std::sync::atomic::AtomicU32;
use std::time::Duration;
use tiris_domain::event::BareSubjects;
use tiris_domain::lane::EventStream;
use tiris_ingest::connection::Connection;
use tiris_ingest::context::{Context, DetourSwitch};
use tiris_ingest::settings::{Policy, RunArgs, Settings, StreamSettings};
use tiris_ingest::status::Board;
use tiris_ingest::stream;
use tiris_testing::{NatsServer, NatsSettings, Role, TestDatabase, eventually};
use uuid::Uuid;

/// Lanes per stream in tests, without the lane of subjects without a user.
pub(crate) const LANES: u16 = 2;
pub(crate) const WAIT: Duration = Duration::from_secs(60);

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    run: RunArgs,
}

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    /// The connections of the code under test.
    pub(crate) service: PgPool,
    pub(crate) nats: NatsServer,
    pub(crate) connection: Connection,
    pub(crate) settings: Settings,
    pub(crate) user: Uuid,
    pub(crate) trading: Uuid,
    /// The account in ETH.
    pub(crate) stock: Uuid,
    /// The account in BTC.
    pub(crate) currency: Uuid,
    next_event: AtomicU32,
}

impl World {
    pub(crate) async fn new() -> Result<Self> {
        Self::with_nats(NatsSettings::default()).await
    }

    /// Creates a world whose broker keeps acknowledged messages when it is killed.
    pub(crate) async fn durable() -> Result<Self> {
        let nats = NatsSettings {
            durable: true,
            ..NatsSettings::default()
        };
        Self::with_nats(nats).await
    }

    pub(crate) async fn with_nats(nats: NatsSettings) -> Result<Self> {
        let database = TestDatabase::new().await?;
        let nats = NatsServer::private_with(nats).await?;
        let settings = settings(&database.url_as(Role::Ingest)?, &nats.url())?;
        let connection = Connection::open(&settings.nats).await?;
        let world = Self {
            service: database.pool_as(Role::Ingest)?,
            database,
            nats,
            connection,
            settings,
            user: Uuid::now_v7(),
            trading: Uuid::now_v7(),
            stock: Uuid::now_v7(),
            currency: Uuid::now_v7(),
            next_event: 0.into(),
        };

        world.add_user(world.user, "alice").await?;
        world.add_trading(world.user, world.trading).await?;
        world.open_account(world.stock, "ETH").await?;
        world.open_account(world.currency, "BTC").await?;
        eventually("the streams", WAIT, async || world.declare().await).await?;
        Ok(world)
    }

    /// The connections of the test, as a superuser.
    pub(crate) fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    pub(crate) fn jetstream(&self) -> &jetstream::Context {
        &self.connection.jetstream
    }

    pub(crate) async fn declare(&self) -> Result<()> {
        self.declare_with(&self.settings.streams).await
    }

    /// Declares the streams as a worker with these settings does at its start.
    pub(crate) async fn declare_with(&self, streams: &StreamSettings) -> Result<()> {
        Ok(stream::declare(self.pool(), &self.connection, streams).await?)
    }

    /// Deletes the stream of orders and balances, and declares it again.
    pub(crate) async fn recreate_stream(&self) -> Result<()> {
        self.jetstream().delete_stream("TRADING").await?;
        self.declare().await
    }

    pub(crate) async fn stream_info(&self, name: &str) -> Result<Info> {
        let stream = self.jetstream().get_stream(name).await?;
        Ok(stream.cached_info().clone())
    }

    /// Returns the creation time of the stream of orders and balances, in nanoseconds since 1970.
    pub(crate) async fn stream_created_at(&self) -> Result<i64> {
        let state = stream::state_of(&self.connection, EventStream::Trading).await?;
        Ok(state.created_at)
    }

    pub(crate) fn context(&self) -> Context {
        Context {
            pool: self.service.clone(),
            connection: self.connection.clone(),
            owner: Uuid::new_v4(),
            lanes: LANES,
            stream_limits: self.settings.streams.limits.clone(),
            bare_subjects: BareSubjects::Accept,
            batch_events: self.settings.batch_events,
            quota: self.settings.quota,
            detours: DetourSwitch::default(),
            lease: self.settings.lease,
            idle_move: WAIT,
            policy: Policy::default(),
            board: Board::default(),
        }
    }

    /// Returns a context that refuses subjects without a user.
    pub(crate) fn refusing(&self) -> Context {
        Context {
            bare_subjects: BareSubjects::Refuse,
            ..self.context()
        }
    }
}

pub(crate) fn settings(database_url: &str, nats_url: &str) -> Result<Settings> {
    let arguments = [
        "test".to_owned(),
        format!("--database-url={database_url}"),
        format!("--nats-url={nats_url}"),
        format!("--lanes={LANES}"),
        "--admin-listen=127.0.0.1:0".to_owned(),
    ];
    Ok(Args::parse_from(arguments).run.check()?)
}
