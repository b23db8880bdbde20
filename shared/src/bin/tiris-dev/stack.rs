//! The whole stack: started in order, watched, stopped in order.
//!
//! Owns: the order and the parts. Must not know: terminals, who asked for it.

use crate::environment::Environment;
use crate::folder::Folder;
use crate::people;
use crate::ports::Ports;
use crate::say;
use crate::services::{Services, quiet, wait_until_ready};
use anyhow::{Context, Result, bail};
use sqlx::{Connection, Executor, PgConnection};
use std::time::Duration;
use tiris_shared::testing::{NatsServer, NatsSettings, PgServer, PgSettings, PgStop, Process};

/// The database both binaries use.
const DATABASE: &str = "tiris";
const MIGRATE_LIMIT: Duration = Duration::from_secs(600);
/// Longer than the services allow themselves to finish what they are at.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// One process of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Postgres,
    Nats,
    Api,
    Ingest,
}

/// What the services start from: sources before users.
const PARTS: [Part; 4] = [Part::Postgres, Part::Nats, Part::Api, Part::Ingest];

/// The parts that were started.
#[derive(Debug)]
pub(crate) struct Stack {
    folder: Folder,
    ports: Ports,
    postgres: Option<PgServer>,
    nats: Option<NatsServer>,
    api: Option<Process>,
    ingest: Option<Process>,
}

impl Stack {
    /// Chooses the ports; nothing runs yet.
    pub(crate) fn new(folder: &Folder) -> Result<Self> {
        let ports = Ports::choose(folder)?;
        Ok(Self { folder: folder.clone(), ports, postgres: None, nats: None, api: None, ingest: None })
    }

    /// Starts everything, waits until it is ready, and writes the environment file. To be followed by
    /// [`Self::stop`], also when it fails or is given up half-way.
    pub(crate) async fn start(&mut self) -> Result<Environment> {
        Environment::withdraw(&self.folder)?;
        for part in [Part::Postgres, Part::Nats] {
            self.start_part(part).await?;
        }
        make_database(&self.database_url("postgres")).await?;
        self.migrate().await?;
        let (url, key) = (self.database_url(DATABASE), self.folder.key_file());
        let demo = people::demo(&url, &key).await?;
        let admin = people::admin(&url, &key).await?;
        for part in [Part::Api, Part::Ingest] {
            self.start_part(part).await?;
        }
        let environment = Environment::new(&self.ports, &url, &demo, &admin);
        environment.write(&self.folder)?;
        Ok(environment)
    }

    async fn start_part(&mut self, part: Part) -> Result<()> {
        match part {
            Part::Postgres => {
                let settings = PgSettings { port: Some(self.ports.postgres), ..PgSettings::default() };
                self.postgres = Some(PgServer::start(&self.folder.postgres()?, settings).await?);
                say!("  PostgreSQL     127.0.0.1:{}", self.ports.postgres);
            }
            Part::Nats => {
                let settings =
                    NatsSettings { port: Some(self.ports.nats), durable: true, ..NatsSettings::default() };
                self.nats = Some(NatsServer::start(&self.folder.nats(), settings).await?);
                say!("  NATS           127.0.0.1:{}", self.ports.nats);
            }
            Part::Api => {
                let api = self.services().api()?;
                wait_until_ready(self.api.insert(api), self.ports.api_admin).await?;
                say!("  tiris-api      127.0.0.1:{}", self.ports.api);
            }
            Part::Ingest => {
                let ingest = self.services().ingest()?;
                wait_until_ready(self.ingest.insert(ingest), self.ports.ingest_admin).await?;
                say!("  tiris-ingest   ready");
            }
        }
        Ok(())
    }

    /// A part that ended although nobody asked it to.
    pub(crate) fn dead(&mut self) -> Option<Part> {
        PARTS.into_iter().find(|part| self.process(*part).is_some_and(|process| !process.is_running()))
    }

    /// What to tell about a part that ended: how, and the end of its log.
    pub(crate) fn obituary(&mut self, part: Part) -> String {
        let Some(process) = self.process(part) else { return format!("{part:?} does not run") };
        let how = match process.exit_status() {
            Ok(Some(status)) => status.to_string(),
            _ => "in an unknown way".to_owned(),
        };
        let (name, log) = (process.name(), process.log_path().display());
        format!("the end of {log}:\n{}\n{name} ended: {how}", process.log_tail().trim_end())
    }

    /// Starts a part again that ended.
    pub(crate) async fn revive(&mut self, part: Part) -> Result<()> {
        match (part, &mut self.postgres, &mut self.nats) {
            (Part::Postgres, Some(server), _) => {
                server.stop(PgStop::Fast).await?;
                server.restart().await
            }
            (Part::Nats, _, Some(server)) => {
                server.stop().await?;
                server.restart().await
            }
            _ => self.start_part(part).await,
        }
    }

    /// Stops everything, users before sources. One that does not stop in time is killed and named.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        Environment::withdraw(&self.folder)?;
        let mut trouble = Vec::new();
        for service in [self.ingest.take(), self.api.take()].into_iter().flatten() {
            trouble.extend(stop_process(service).await);
        }
        if let Some(mut nats) = self.nats.take() {
            trouble.extend(nats.stop().await.err());
        }
        if let Some(mut postgres) = self.postgres.take() {
            trouble.extend(postgres.stop(PgStop::Fast).await.err());
        }
        if trouble.is_empty() {
            return Ok(());
        }
        let trouble: Vec<String> = trouble.iter().map(|error| format!("{error:#}")).collect();
        bail!("not everything stopped by itself: {}", trouble.join("; "))
    }

    async fn migrate(&self) -> Result<()> {
        let log = self.folder.log("tiris-migrate");
        let command =
            quiet("tiris-migrate", &log)?.arg("up").env("DATABASE_URL", self.database_url(DATABASE));
        let mut process = command.spawn()?;
        let status = process.wait(MIGRATE_LIMIT).await?;
        if !status.success() {
            bail!("tiris-migrate up failed ({status}):\n{}", process.log_tail());
        }
        say!("  schema         current");
        Ok(())
    }

    fn process(&mut self, part: Part) -> Option<&mut Process> {
        match part {
            Part::Postgres => self.postgres.as_mut()?.process(),
            Part::Nats => self.nats.as_mut()?.process(),
            Part::Api => self.api.as_mut(),
            Part::Ingest => self.ingest.as_mut(),
        }
    }

    fn services(&self) -> Services<'_> {
        Services {
            folder: &self.folder,
            ports: self.ports,
            database_url: self.database_url(DATABASE),
            nats_url: self.nats.as_ref().map(NatsServer::url).unwrap_or_default(),
        }
    }

    fn database_url(&self, database: &str) -> String {
        self.postgres.as_ref().map(|server| server.url(database)).unwrap_or_default()
    }
}

/// Asks a service or bot to end; kills it when it does not.
pub(crate) async fn stop_process(mut process: Process) -> Option<anyhow::Error> {
    let late = process.terminate(STOP_LIMIT).await.err()?;
    process.kill().await.err().or(Some(late))
}

/// Makes the database unless it is there.
async fn make_database(server_url: &str) -> Result<()> {
    let mut connection = PgConnection::connect(server_url).await.context("cannot connect to PostgreSQL")?;
    let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(DATABASE)
        .fetch_one(&mut connection)
        .await?;
    if !there {
        connection.execute("CREATE DATABASE tiris").await.context("cannot make the database")?;
    }
    connection.close().await.map_err(Into::into)
}
