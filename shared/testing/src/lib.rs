//! Private PostgreSQL and NATS servers and an OpenID provider on free loopback ports, for tests and the development stack.
//!
//! Must not know: the behaviour of the services.
//!
//! A test that needs a database creates a [`TestDatabase`]; all test processes of a run share one PostgreSQL server,
//! which stops some seconds after the last of them. A test that needs a broker, or a PostgreSQL server it may kill, starts
//! its own [`NatsServer`] or [`PgServer`]:
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use std::time::Duration;
//! use tiris_testing::{NatsServer, Process, Role, TestDatabase, binary, eventually};
//!
//! let database = TestDatabase::new().await?;
//! let mut nats = NatsServer::private().await?;
//! let mut ingest = Process::command(binary("tiris-ingest")?)
//!     .args(["run"])
//!     .env("DATABASE_URL", database.url_as(Role::Ingest)?)
//!     .env("NATS_URL", nats.url())
//!     .spawn()?;
//! eventually("one balance", Duration::from_secs(10), async || {
//!     let count: i64 =
//!         sqlx::query_scalar("SELECT count(*) FROM sub_accounts").fetch_one(database.pool()).await?;
//!     anyhow::ensure!(count == 1, "{count} accounts");
//!     Ok(())
//! })
//! .await?;
//! nats.kill().await?;
//! nats.restart().await?;
//! ingest.terminate(Duration::from_secs(20)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Nothing started here outlives its owner: a shell process detects the owner's death by the end of a pipe, stops the
//! servers and removes their folders, even after SIGKILL.

pub mod auditor;
mod cluster;
mod collector;
mod command;
mod database;
mod folders;
mod guard;
mod history;
mod nats;
mod openid_provider;
mod partitions;
mod pgbouncer;
mod port;
mod postgres;
mod process;
mod proxy;
mod roles;
mod server_user;
mod shared_server;
mod standby;
mod statements;
mod timescale;
mod tools;
mod view;
mod wait;

pub use collector::{Collector, Span};
pub use command::ProcessCommand;
pub use database::{TestDatabase, sweep_databases};
pub use folders::{dev_dir, scratch_dir};
pub use guard::keep_open_until_all_ended;
pub use history::grow_history;
pub use nats::{NatsServer, NatsSettings};
pub use openid_provider::{
    OPENID_PROVIDER_FILES, OpenIdProvider, OpenIdSettings, find_openid_provider,
    openid_provider_dir,
};
pub use partitions::{Partition, partitions};
pub use pgbouncer::{PgBouncer, find_pgbouncer};
pub use port::{free_port, free_port_or};
pub use postgres::{PgServer, PgSettings, PgStop};
pub use process::{Process, local_http_client};
pub use proxy::{Proxy, ProxyMode};
pub use roles::{url_as, url_as_owner};
pub use server_user::ServerUser;
pub use statements::{Scan, Statement, Statements};
pub use timescale::has_timescale;
pub use tiris_migrations::roles::rights::Role;
pub use tools::{
    PgTools, SCHEMATHESIS_REQUIREMENTS, SCHEMATHESIS_REQUIREMENTS_FILE, binary, find_nats_server,
    find_postgres, find_promtool, find_schemathesis, schemathesis_dir,
};
pub use view::View;
pub use wait::eventually;
