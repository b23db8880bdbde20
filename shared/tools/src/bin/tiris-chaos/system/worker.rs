//! One ingest worker behind two proxies of its own.
//!
//! Owns: its process, its settings, whether somebody is busy with it. Must not know: the other workers.

use super::proxy::Proxy;
use super::{LANES, LEASE, READY_LIMIT};
use anyhow::Result;
use nix::sys::signal::Signal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tiris_testing::{Process, binary, free_port};
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
        let url = format!("http://127.0.0.1:{}/health/ready", running.admin_port);
        running.process.wait_until_healthy(&url, READY_LIMIT).await
    }
}

impl Held {
    pub(crate) fn signal(&mut self, signal: Signal) -> Result<()> {
        self.running.process.signal(signal)
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.running.process.is_running()
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.running.process
    }

    /// A new process in the place of one that has ended.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        let Inner {
            slot,
            postgres,
            nats,
            log,
            ..
        } = &*self.worker.0;
        *self.running = launch(postgres, nats, log, *slot)?;
        Ok(())
    }
}

/// Some workers commit few events at once, some many, so that faults meet both.
fn batch_events(slot: usize) -> &'static str {
    ["20", "100", "1000"][slot % 3]
}

fn launch(postgres: &Proxy, nats: &Proxy, log: &Path, slot: usize) -> Result<Running> {
    let admin_port = free_port()?;
    let process = Process::command(binary("tiris-ingest")?)
        .name(format!("ingest {slot}"))
        .arg("run")
        .env(
            "DATABASE_URL",
            format!(
                "postgres://tiris@127.0.0.1:{}/{}",
                postgres.port(),
                super::DATABASE
            ),
        )
        .env("NATS_URL", format!("nats://127.0.0.1:{}", nats.port()))
        .env("TIRIS_ENV", "dev")
        .env("TIRIS_LANES", LANES.to_string())
        .env("TIRIS_LEASE_SECONDS", LEASE.as_secs().to_string())
        .env("TIRIS_BATCH_EVENTS", batch_events(slot))
        .env("TIRIS_BARE_SUBJECTS", "refuse")
        .env("TIRIS_ADMIN_LISTEN", format!("127.0.0.1:{admin_port}"))
        .log(log)
        .show_log(false)
        .spawn()?;
    Ok(Running {
        process,
        admin_port,
    })
}
