//! The rollout from an earlier release, and back to it.

use super::{pause, schema};
use crate::run::Run;
use crate::scenario::requests::Requests;
use crate::system::api::{Api, DRAIN};
use crate::system::worker::{Place, Worker};
use anyhow::{Context, Result};
use std::sync::Arc;
use tiris_tools::{Build, count_rows};

/// The address of a new user whose name differs from that of `user-0` only in case.
const SIMILAR: &str = "USER-0@rollout.example";
/// The number of workers of this build beside the earlier ones.
const NEW_WORKERS: usize = 2;
const APPLIED: &str = "seaql_migrations";

/// Applies the newer migrations under processes of the earlier release, adds processes of this build, and takes both back.
pub(super) async fn roll_out(run: &Run, requests: &Requests) -> Result<()> {
    pause(run).await?;
    run.phase("migrations applied");
    let pool = &run.system.pool;
    let before = count_rows(pool, APPLIED).await?;
    run.system.migrate(&["up"]).await?;
    let newer = count_rows(pool, APPLIED).await? - before;
    run.faults.add("migrations applied", newer);
    let api = run.system.api.lock().await;
    api.token(SIMILAR).await.context("a new user")?;
    drop(api);
    pause(run).await?;

    run.phase("new processes join");
    let new = NewProcesses::start(run).await?;
    let old_url = run.system.api.lock().await.url();
    requests.send_to(&[old_url.clone(), new.api.url()]);
    run.faults.count("APIs of both releases side by side");
    let client = requests.client();
    client
        .deposit_once(&[old_url.clone(), new.api.url()])
        .await?;
    client
        .deposit_once(&[new.api.url(), old_url.clone()])
        .await?;
    run.faults.add("deposits repeated at the other release", 2);
    pause(run).await?;
    schema::add_columns(run).await?;
    pause(run).await?;
    schema::remove_columns(run).await?;
    pause(run).await?;

    run.phase("new processes leave");
    requests.send_to(&[old_url]);
    tokio::time::sleep(DRAIN).await;
    new.stop().await?;
    pause(run).await?;
    if newer > 0 {
        run.phase("migrations reverted");
        let steps = format!("--steps={newer}");
        run.system.migrate(&["down", &steps, "--yes"]).await?;
        run.faults.add("migrations reverted", newer);
    }
    pause(run).await
}

/// Processes of this build beside the earlier ones.
struct NewProcesses {
    api: Api,
    workers: Vec<Arc<Worker>>,
}

impl NewProcesses {
    /// Starts them and waits until they are ready.
    async fn start(run: &Run) -> Result<Self> {
        let system = &run.system;
        let postgres = system.postgres.lock().await.port();
        let place = Place {
            build: &Build::This,
            postgres,
            nats: system.nats.lock().await.port(),
            logs: system.folder(),
        };
        let mut workers = Vec::new();
        for number in 0..NEW_WORKERS {
            let worker = Worker::start(system.workers.len() + number, place).await?;
            workers.push(Arc::new(worker));
        }
        for worker in &workers {
            worker.wait_until_ready().await?;
            run.faults.count("worker of this build added");
        }

        let api = Api::start(Build::This, postgres, system.folder()).await?;
        Ok(Self { api, workers })
    }

    /// Stops them as an operator does before a rollback.
    async fn stop(mut self) -> Result<()> {
        self.api.stop().await?;
        for worker in &self.workers {
            worker.hold().await.service.stop().await?;
        }
        Ok(())
    }
}
