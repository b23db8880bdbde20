//! The whole stack: started in order, watched, stopped in order.
//!
//! Owns: the order and the parts. Must not know: terminals, who asked for it.

use crate::environment::Environment;
use crate::folder::Folder;
use crate::people;
use crate::ports::Ports;
use crate::provider;
use crate::redirect_page::RedirectPage;
use crate::say::say;
use crate::schema::{self, DATABASE};
use crate::services::{Services, stop_process, wait_until_ready};
use crate::sign_in::SignIn;
use anyhow::{Result, bail};
use tiris_testing::{
    NatsServer, NatsSettings, OpenIdProvider, PgServer, PgSettings, PgStop, Process,
};

/// One process of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Postgres,
    Nats,
    Provider,
    Api,
    Ingest,
}

/// What the services start from: sources before users.
const PARTS: [Part; 5] = [
    Part::Postgres,
    Part::Nats,
    Part::Provider,
    Part::Api,
    Part::Ingest,
];

/// The parts that were started.
#[derive(Debug)]
pub(crate) struct Stack {
    folder: Folder,
    sign_in: SignIn,
    ports: Ports,
    postgres: Option<PgServer>,
    nats: Option<NatsServer>,
    provider: Option<OpenIdProvider>,
    redirect_page: Option<RedirectPage>,
    api: Option<Process>,
    ingest: Option<Process>,
}

impl Stack {
    /// Chooses the ports; nothing runs yet.
    pub(crate) fn new(folder: &Folder, sign_in: SignIn) -> Result<Self> {
        Ok(Self {
            folder: folder.clone(),
            sign_in,
            ports: Ports::choose(folder, sign_in)?,
            postgres: None,
            nats: None,
            provider: None,
            redirect_page: None,
            api: None,
            ingest: None,
        })
    }

    /// Starts everything, waits until it is ready, and writes the environment file. To be followed by
    /// [`Self::stop`], also when it fails or is given up half-way.
    pub(crate) async fn start(&mut self) -> Result<Environment> {
        Environment::withdraw(&self.folder)?;
        for part in [Part::Postgres, Part::Nats] {
            self.start_part(part).await?;
        }
        schema::make_database(&self.database_url("postgres")).await?;
        let url = self.database_url(DATABASE);
        let key = self.folder.key_file();
        schema::migrate(&self.folder, &url).await?;
        let demo = people::demo(&url, &key).await?;
        let admin = people::admin(&url, &key).await?;
        if self.sign_in == SignIn::On {
            self.redirect_page = Some(RedirectPage::serve(self.ports.redirect_page).await?);
            self.start_part(Part::Provider).await?;
        }
        for part in [Part::Api, Part::Ingest] {
            self.start_part(part).await?;
        }

        let environment = Environment::new(&self.ports, self.sign_in, &url, &demo, &admin);
        environment.write(&self.folder)?;
        Ok(environment)
    }

    async fn start_part(&mut self, part: Part) -> Result<()> {
        match part {
            Part::Postgres => {
                let settings = PgSettings {
                    port: Some(self.ports.postgres),
                    jobs: true,
                    ..PgSettings::default()
                };
                self.postgres = Some(PgServer::start(&self.folder.postgres()?, settings).await?);
                say!("  PostgreSQL     127.0.0.1:{}", self.ports.postgres);
            }
            Part::Nats => {
                let settings = NatsSettings {
                    port: Some(self.ports.nats),
                    durable: true,
                    ..NatsSettings::default()
                };
                self.nats = Some(NatsServer::start(&self.folder.nats(), settings).await?);
                say!("  NATS           127.0.0.1:{}", self.ports.nats);
            }
            Part::Provider => {
                let settings = provider::settings(&self.folder, &self.ports);
                self.provider = Some(OpenIdProvider::start(&settings).await?);
                say!("  OpenID         127.0.0.1:{}", self.ports.provider);
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
        PARTS.into_iter().find(|part| {
            self.process(*part)
                .is_some_and(|process| !process.is_running())
        })
    }

    /// What to tell about a part that ended: how, and the end of its log.
    pub(crate) fn obituary(&mut self, part: Part) -> String {
        let Some(process) = self.process(part) else {
            return format!("{part:?} does not run");
        };
        let how = match process.exit_status() {
            Ok(Some(status)) => status.to_string(),
            _ => "in an unknown way".to_owned(),
        };

        let name = process.name();
        let log = process.log_path().display();
        let tail = process.log_tail();

        format!(
            "the end of {log}:\n{}\n{name} ended: {how}",
            tail.trim_end()
        )
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
            trouble.extend(stop_process(service).await.err());
        }
        self.redirect_page = None;

        if let Some(mut provider) = self.provider.take() {
            trouble.extend(provider.stop().await.err());
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

    fn process(&mut self, part: Part) -> Option<&mut Process> {
        match part {
            Part::Postgres => self.postgres.as_mut()?.process(),
            Part::Nats => self.nats.as_mut()?.process(),
            Part::Provider => self.provider.as_mut().map(OpenIdProvider::process),
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
            provider: self.provider.as_ref(),
        }
    }

    fn database_url(&self, database: &str) -> String {
        self.postgres
            .as_ref()
            .map(|server| server.url(database))
            .unwrap_or_default()
    }
}
