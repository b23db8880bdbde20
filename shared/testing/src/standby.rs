//! A streaming standby of a private PostgreSQL server, and the switch of the primary to it.

use super::cluster::{copy_cluster, prepare_dir};
use super::port::on_free_port;
use super::postgres::{PgServer, PgSettings};
use super::wait::eventually;
use anyhow::{Result, ensure};
use sqlx::{Connection, Executor, PgConnection};
use std::path::Path;
use std::time::Duration;

/// The longest wait until the standby has everything and the last transactions have ended.
const SWITCH_LIMIT: Duration = Duration::from_secs(30);

impl PgServer {
    /// Starts a standby of this server in `dir`, with the same settings. Commits wait from now on until it has applied
    /// them, as in a synchronous cluster.
    pub async fn standby(&self, dir: &Path) -> Result<Self> {
        prepare_dir(dir, self.user.as_ref())?;
        let dir = dir.canonicalize()?;
        let mut standby = Self {
            process: None,
            dir: dir.clone(),
            port: 0,
            settings: PgSettings {
                port: None,
                ..self.settings.clone()
            },
            tools: self.tools.clone(),
            user: self.user.clone(),
            is_detached: false,
            _scratch: None,
        };

        let tools = self.tools.clone();
        let user = self.user.clone();
        let port = self.port;
        let copy = move || copy_cluster(&tools, user.as_ref(), &dir, port);
        tokio::task::spawn_blocking(copy).await??;
        on_free_port(None, async |port| standby.launch(port).await).await?;

        // Only now, because the standby has a copy of the settings.
        for statement in [
            "ALTER SYSTEM SET synchronous_standby_names = '*'",
            "ALTER SYSTEM SET synchronous_commit = remote_apply",
            "SELECT pg_reload_conf()",
        ] {
            self.connect().await?.execute(statement).await?;
        }
        eventually("a synchronous standby", SWITCH_LIMIT, async || {
            let states = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
            ensure!(self.count(states).await? == 1, "no standby is synchronous");
            Ok(())
        })
        .await?;
        Ok(standby)
    }

    /// Makes the server read-only, with its sessions, and waits until `standby` has everything.
    pub async fn fence(&self, standby: &Self) -> Result<()> {
        for statement in [
            "ALTER SYSTEM SET default_transaction_read_only = on",
            "SELECT pg_reload_conf()",
        ] {
            self.connect().await?.execute(statement).await?;
        }

        // A transaction that began before the change may still commit.
        eventually("the end of all changes", SWITCH_LIMIT, async || {
            let open = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' \
                 AND xact_start < pg_conf_load_time() + interval '1 second' AND pid <> pg_backend_pid()";
            ensure!(self.count(open).await? == 0, "transactions are open");
            let behind = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn < pg_current_wal_lsn()";
            ensure!(self.count(behind).await? == 0, "the standby is behind");
            Ok(())
        })
        .await?;
        ensure!(
            standby
                .count("SELECT pg_is_in_recovery()::int::bigint")
                .await?
                == 1
        );
        Ok(())
    }

    /// Makes a standby the primary; it accepts changes on return.
    pub async fn promote(&self) -> Result<()> {
        let is_promoted = self.count("SELECT pg_promote()::int::bigint").await?;
        ensure!(is_promoted == 1, "the standby was not promoted in time");
        Ok(())
    }

    /// Returns the number that a query returns.
    pub async fn count(&self, query: &'static str) -> Result<i64> {
        let mut connection = self.connect().await?;
        Ok(sqlx::query_scalar(query).fetch_one(&mut connection).await?)
    }

    async fn connect(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect(&self.url("postgres")).await?)
    }
}
