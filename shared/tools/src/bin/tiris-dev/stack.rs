//! The whole stack: its parts, started, watched and stopped in order.

use crate::accounts;
use crate::database::{self, ADMIN_EMAIL, DEMO_EMAIL};
use crate::environment::Environment;
use crate::folder::Folder;
use crate::ports::Ports;
use crate::processes::stop_process;
use crate::provider;
use crate::redirect_page::RedirectPage;
use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use tiris_testing::{
    NatsServer, NatsSettings, OpenIdProvider, PgServer, PgSettings, PgStop, Process, ProcessCommand,
};
use tiris_tools::{READY_LIMIT, broker_accounts, ready_url, service};

/// Shorter than in production: the successor of the only worker waits for it after a crash.
const LEASE_SECONDS: &str = "2";

/// One process of the stack, in the order of the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Postgres,
    Nats,
    Provider,
    Api,
    Ingest,
}

use Part::{Api, Ingest, Nats, Postgres, Provider};

/// The parts that were started.
#[derive(Debug)]
pub(crate) struct Stack {
    folder: Folder,
    login: bool,
    ports: Ports,
    /// Empty before the database exists.
    database_url: String,
    postgres: Option<PgServer>,
    nats: Option<NatsServer>,
    provider: Option<OpenIdProvider>,
    redirect_page: Option<RedirectPage>,
    api: Option<Process>,
    ingest: Option<Process>,
}

impl Stack {
    /// Chooses the ports; nothing runs yet.
    pub(crate) fn new(folder: &Folder, login: bool) -> Result<Self> {
        Ok(Self {
            folder: folder.clone(),
            login,
            ports: Ports::choose(folder, login)?,
            database_url: String::new(),
            postgres: None,
            nats: None,
            provider: None,
            redirect_page: None,
            api: None,
            ingest: None,
        })
    }

    /// Starts everything, waits until it is ready, and writes the environment file. [`Self::stop`] must follow, also
    /// after a failure or an interruption.
    pub(crate) async fn start(&mut self) -> Result<Environment> {
        Environment::remove(&self.folder)?;
        self.start_part(Postgres).await?;
        self.start_part(Nats).await?;
        self.create_database().await?;
        let url = self.database_url.clone();
        database::migrate(&self.folder, &url).await?;
        let demo = database::token(&self.folder, &url, &[DEMO_EMAIL]).await?;
        let admin = database::token(&self.folder, &url, &[ADMIN_EMAIL, "--admin"]).await?;

        if self.login {
            self.redirect_page = Some(RedirectPage::serve(self.ports.redirect_page).await?);
            self.start_part(Provider).await?;
        }
        self.start_part(Api).await?;
        self.start_part(Ingest).await?;

        let environment = Environment::new(&self.ports, self.login, &url, demo, admin);
        environment.write(&self.folder)?;
        Ok(environment)
    }

    async fn create_database(&mut self) -> Result<()> {
        if let Some(postgres) = &self.postgres {
            self.database_url = postgres.create_database().await?;
        }
        Ok(())
    }

    async fn start_part(&mut self, part: Part) -> Result<()> {
        match part {
            Postgres => {
                let settings = PgSettings {
                    port: Some(self.ports.postgres),
                    jobs: true,
                    ..PgSettings::default()
                };
                self.postgres = Some(PgServer::start(&self.folder.postgres()?, settings).await?);
                say!("  PostgreSQL     127.0.0.1:{}", self.ports.postgres);
            }
            Nats => {
                let settings = NatsSettings {
                    port: Some(self.ports.nats),
                    durable: true,
                    more: broker_accounts(),
                };
                let folder = self.folder.join("nats");
                accounts::adopt_streams(&folder.join("jetstream"))?;
                self.nats = Some(NatsServer::start(&folder, settings).await?);
                say!("  NATS           127.0.0.1:{}", self.ports.nats);
            }
            Provider => {
                let settings = provider::settings(&self.folder, &self.ports);
                self.provider = Some(OpenIdProvider::start(&settings).await?);
                say!("  OpenID         127.0.0.1:{}", self.ports.provider);
            }
            Api => {
                let api = self.spawn_api()?;
                wait_until_ready(self.api.insert(api), self.ports.api_admin).await?;
                say!("  tiris-api      127.0.0.1:{}", self.ports.api);
            }
            Ingest => {
                let port = self.ports.ingest_admin;
                let ingest = self.service("tiris-ingest", "run", port)?.spawn()?;
                wait_until_ready(self.ingest.insert(ingest), port).await?;
                say!("  tiris-ingest   ready");
            }
        }
        Ok(())
    }

    fn spawn_api(&self) -> Result<Process> {
        let mut command = self
            .service("tiris-api", "serve", self.ports.api_admin)?
            .env("TIRIS_API_LISTEN", format!("127.0.0.1:{}", self.ports.api))
            .env("TIRIS_JWT_KEY_FILE", self.folder.join("jwt.pem"))
            .env("TIRIS_ENCRYPTION_FILE", self.folder.join("encryption.env"));
        if let Some(provider) = &self.provider {
            for (name, value) in provider::for_api(provider, &self.ports) {
                command = command.env(name, value);
            }
        }
        command.spawn()
    }

    fn service(&self, program: &str, command: &str, admin_port: u16) -> Result<ProcessCommand> {
        let nats_url = self.nats.as_ref().map(NatsServer::url).unwrap_or_default();
        Ok(service(program, command, &self.database_url, admin_port)?
            .log(self.folder.log(program))
            .signal_on_exit(Signal::SIGTERM)
            .env("NATS_URL", nats_url)
            .env("TIRIS_LEASE_SECONDS", LEASE_SECONDS))
    }

    /// Returns a part that ended unexpectedly.
    pub(crate) fn ended_part(&mut self) -> Option<Part> {
        let mut parts = [Postgres, Nats, Provider, Api, Ingest].into_iter();
        parts.find(|part| {
            self.process(*part)
                .is_some_and(|process| !process.is_running())
        })
    }

    /// Describes how a part ended, with the end of its log.
    pub(crate) fn describe_end(&mut self, part: Part) -> String {
        let Some(process) = self.process(part) else {
            return format!("{part:?} is not running");
        };
        let status = match process.exit_status() {
            Ok(Some(status)) => status.to_string(),
            _ => "unknown exit status".to_owned(),
        };

        format!(
            "the end of {}:\n{}\n{} ended: {status}",
            process.log_path().display(),
            process.log_tail().trim_end(),
            process.name()
        )
    }

    /// Starts a part again that ended.
    pub(crate) async fn restart(&mut self, part: Part) -> Result<()> {
        match (part, &mut self.postgres, &mut self.nats) {
            (Postgres, Some(server), _) => {
                server.stop(PgStop::Fast).await?;
                server.restart().await
            }
            (Nats, _, Some(server)) => {
                server.stop().await?;
                server.restart().await
            }
            _ => self.start_part(part).await,
        }
    }

    /// Stops everything in reverse order. A service that does not stop in time is killed and reported.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        Environment::remove(&self.folder)?;
        let mut failures = Vec::new();
        for service in [self.ingest.take(), self.api.take()] {
            failures.extend(stop_process(service).await.err());
        }
        self.redirect_page = None;
        if let Some(mut provider) = self.provider.take() {
            failures.extend(provider.stop().await.err());
        }
        if let Some(mut nats) = self.nats.take() {
            failures.extend(nats.stop().await.err());
        }
        if let Some(mut postgres) = self.postgres.take() {
            failures.extend(postgres.stop(PgStop::Fast).await.err());
        }

        let failures: Vec<String> = failures.iter().map(|error| format!("{error:#}")).collect();
        ensure!(
            failures.is_empty(),
            "not everything stopped by itself: {}",
            failures.join("; ")
        );
        Ok(())
    }

    fn process(&mut self, part: Part) -> Option<&mut Process> {
        match part {
            Postgres => self.postgres.as_mut()?.process(),
            Nats => self.nats.as_mut()?.process(),
            Provider => self.provider.as_mut().map(OpenIdProvider::process),
            Api => self.api.as_mut(),
            Ingest => self.ingest.as_mut(),
        }
    }
}

async fn wait_until_ready(service: &mut Process, admin_port: u16) -> Result<()> {
    let url = ready_url(admin_port);
    service.wait_until_healthy(&url, READY_LIMIT).await
}
