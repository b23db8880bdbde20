//! Private PostgreSQL and NATS servers, and an OpenID provider, on free loopback ports, for the tests and for the
//! development stack.
//!
//! Owns: finding server binaries, starting and ending processes, a database per test, waiting for a condition.
//! Must not know: what the services do with all this.
//!
//! A test that needs a database takes a [`TestDatabase`]; all test processes of one run share one PostgreSQL
//! server, which goes away some seconds after the last of them. A test that needs a broker, or a PostgreSQL it may
//! kill, takes a [`NatsServer`] or a [`PgServer`] of its own:
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use std::time::Duration;
//! use tiris_testing::{NatsServer, Process, TestDatabase, binary, eventually};
//!
//! let database = TestDatabase::new().await?;
//! let mut nats = NatsServer::private().await?;
//! let mut ingest = Process::command(binary("tiris-ingest")?)
//!     .args(["run"])
//!     .env("DATABASE_URL", database.url())
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
//! Nothing started here outlives its owner: a shell process, which notices the owner's death by the end of a pipe,
//! ends the servers and removes their folders, also after a SIGKILL.

mod account;
pub mod auditor;
mod binaries;
mod cluster;
mod collector;
mod command;
mod database;
mod history;
mod history_kind;
mod http;
mod leash;
mod nats;
mod openid_provider;
mod partitions;
mod place;
mod port;
mod postgres;
mod process;
mod schemathesis;
mod shared_server;
mod statements;
mod timescale;
mod tools;
mod view;
mod wait;

pub use account::Account;
pub use binaries::binary;
pub use collector::{Collector, Span};
pub use command::ProcessCommand;
pub use database::{TestDatabase, sweep_databases};
pub use history::grow_history;
pub use http::local_http_client;
pub use leash::keep_open_until_all_ended;
pub use nats::{NatsServer, NatsSettings};
pub use openid_provider::{
    OPENID_PROVIDER_FILES, OpenIdProvider, OpenIdSettings, find_openid_provider,
    openid_provider_dir,
};
pub use partitions::{Partition, partitions};
pub use place::{dev_dir, scratch_dir, workspace_root};
pub use port::{free_port, free_port_or};
pub use postgres::{PgServer, PgSettings, PgStop};
pub use process::Process;
pub use schemathesis::{
    SCHEMATHESIS_REQUIREMENTS, SCHEMATHESIS_REQUIREMENTS_FILE, find_schemathesis, schemathesis_dir,
};
pub use statements::{Scan, Statement, Statements};
pub use timescale::has_timescale;
pub use tools::{PgTools, find_nats_server, find_postgres, find_promtool};
pub use view::View;
pub use wait::eventually;
