//! One ingest worker behind two proxies of its own.
//!
//! Owns: its process, its settings, whether somebody is busy with it. Must not know: the other workers.

use super::proxy::Proxy;
use super::settings::{LANES, LEASE, database_url};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tiris_testing::{Process, free_port};
use tiris_tools::{READY_LIMIT, ready_url, service};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Where a worker runs.
#[derive(Debug)]
pub(crate) struct Workplace {
    pub(crate) slot: usize,
    /// Port of the server.
    pub(crate) postgres: u16,
    /// Port of the server.
    pub(crate) nats: u16,
    pub(crate) logs: PathBuf,
}

/// A worker. Cheap to clone; the process ends with the last clone.
#[derive(Clone, Debug)]
pub(crate) struct Worker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    slot: usize,
    postgres: Proxy,
    nats: Proxy,
    log: PathBuf,
    running: Arc<Mutex<Running>>,
}

#[derive(Debug)]
struct Running {
    process: Process,
    /// Another one for each process: while none runs, somebody else may take it.
    admin_port: u16,
}

/// A worker nobody else touches meanwhile.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) worker: Worker,
    running: OwnedMutexGuard<Running>,
}

impl Worker {
    pub(crate) async fn start(place: Workplace) -> Result<Self> {
        let postgres = Proxy::start(place.postgres).await?;
        let nats = Proxy::start(place.nats).await?;
        let log = place.logs.join(format!("ingest-{}.log", place.slot));
        let running = launch(&postgres, &nats, &log, place.slot)?;
        let running = Arc::new(Mutex::new(running));
        Ok(Self(Arc::new(Inner {
            slot: place.slot,
            postgres,
            nats,
            log,
            running,
        })))
    }

    pub(crate) fn slot(&self) -> usize {
        self.0.slot
    }

    /// Its way to PostgreSQL.
    pub(crate) fn postgres(&self) -> &Proxy {
        &self.0.postgres
    }

    /// Its way to NATS.
    pub(crate) fn nats(&self) -> &Proxy {
        &self.0.nats
    }

    /// The worker for oneself, unless somebody has it.
    pub(crate) fn try_hold(&self) -> Option<Held> {
        let running = self.0.running.clone().try_lock_owned().ok()?;
        Some(Held {
            worker: self.clone(),
            running,
        })
    }

    /// The worker for oneself.
    pub(crate) async fn hold(&self) -> Held {
        Held {
            worker: self.clone(),
            running: self.0.running.clone().lock_owned().await,
        }
    }

    pub(crate) async fn wait_until_ready(&self) -> Result<()> {
        let mut running = self.0.running.lock().await;
        let url = ready_url(running.admin_port);
        running.process.wait_until_healthy(&url, READY_LIMIT).await
    }
}

impl Held {
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.running.process
    }

    /// A new process in the place of one that has ended.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        let worker = &self.worker.0;
        *self.running = launch(&worker.postgres, &worker.nats, &worker.log, worker.slot)?;
        Ok(())
    }
}

/// Some workers commit few events at once, some many, so that faults meet both.
fn batch_events(slot: usize) -> &'static str {
    ["20", "100", "1000"][slot % 3]
}

fn launch(postgres: &Proxy, nats: &Proxy, log: &Path, slot: usize) -> Result<Running> {
    let admin_port = free_port()?;
    let database_url = database_url(postgres.port());
    let process = service("tiris-ingest", "run", &database_url, admin_port)?
        .name(format!("ingest {slot}"))
        .env("NATS_URL", format!("nats://127.0.0.1:{}", nats.port()))
        .env("TIRIS_LANES", LANES.to_string())
        .env("TIRIS_LEASE_SECONDS", LEASE.as_secs().to_string())
        .env("TIRIS_BATCH_EVENTS", batch_events(slot))
        .env("TIRIS_BARE_SUBJECTS", "refuse")
        .log(log)
        .spawn()?;

    Ok(Running {
        process,
        admin_port,
    })
}
