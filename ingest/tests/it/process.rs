//! The program itself: its settings, its start before its parts, its stop when they hang, two of it at once.

use crate::world::{LANES, WAIT, World};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;
use tiris_domain::event::Kind;
use tiris_testing::{
    NatsServer, NatsSettings, PgServer, PgSettings, PgStop, Process, binary, eventually, free_port,
    scratch_dir,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// From SIGTERM to the end, whatever is down.
const EXIT_LIMIT: Duration = Duration::from_secs(20);

/// The shortest lease there is, so that a takeover does not take long.
pub(crate) const LEASE_SECONDS: u64 = 2;

pub(crate) struct Worker {
    pub(crate) process: Process,
    listen: String,
    admin: String,
    metrics: String,
}

impl Worker {
    pub(crate) fn start(database_url: &str, nats_url: &str) -> Result<Self> {
        Self::start_with(database_url, nats_url, &[])
    }

    pub(crate) fn start_with(
        database_url: &str,
        nats_url: &str,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let listen = format!("127.0.0.1:{}", free_port()?);
        let process = Process::command(binary("tiris-ingest")?)
            .arg("run")
            .env("DATABASE_URL", database_url)
            .env("NATS_URL", nats_url)
            .env("TIRIS_LANES", LANES.to_string())
            .env("TIRIS_LEASE_SECONDS", LEASE_SECONDS.to_string())
            .env("TIRIS_ADMIN_LISTEN", &listen);
        let process = settings
            .iter()
            .fold(process, |process, (name, value)| process.env(name, value))
            .spawn()?;
        let address = |path: &str| format!("http://{listen}{path}");
        Ok(Self {
            process,
            admin: address("/health/ready"),
            metrics: address("/metrics"),
            listen,
        })
    }

    /// What the command `health` says of it: how it exits, and its complaint.
    fn health(&self, flags: &[&str]) -> Result<(Option<i32>, String)> {
        let mut command = Command::new(binary("tiris-ingest")?);
        let output = command
            .arg("health")
            .args(flags)
            .env("TIRIS_ADMIN_LISTEN", &self.listen)
            .output()?;
        Ok((output.status.code(), String::from_utf8(output.stderr)?))
    }

    /// Waits until the metrics have a line that begins with `line`.
    pub(crate) async fn counts(&self, line: &str) -> Result<()> {
        tiris_runtime::tls::choose_provider();
        let client = reqwest::Client::builder().no_proxy().build()?;
        eventually(line, WAIT, async || {
            let text = client.get(&self.metrics).send().await?.text().await?;
            ensure!(text.lines().any(|found| found.starts_with(line)), "{text}");
            Ok(())
        })
        .await
    }

    /// All metrics.
    pub(crate) async fn metrics_now(&self) -> Result<String> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(client.get(&self.metrics).send().await?.text().await?)
    }

    pub(crate) async fn ready(&mut self) -> Result<()> {
        self.process.wait_until_healthy(&self.admin, WAIT).await
    }

    /// Waits until exactly the checks `names` fail and the report holds `detail`.
    pub(crate) async fn fails(&self, names: &[&str], detail: &str) -> Result<()> {
        tiris_runtime::tls::choose_provider();
        let client = reqwest::Client::builder().no_proxy().build()?;
        eventually(&format!("{names:?} not ready"), WAIT, async || {
            let answer = client.get(&self.admin).send().await?;
            ensure!(answer.status().as_u16() == 503, "{}", answer.status());
            let body: Value = serde_json::from_str(&answer.text().await?)?;
            let checks = body["error"]["details"].as_object().context("checks")?;
            let failing: Vec<&String> = checks
                .iter()
                .filter(|(_, check)| check["ok"] == false)
                .map(|(name, _)| name)
                .collect();
            ensure!(
                failing == names && body.to_string().contains(detail),
                "{body}"
            );
            let message = body["error"]["message"].as_str().unwrap_or_default();
            ensure!(names.iter().all(|name| message.contains(name)), "{message}");
            Ok(())
        })
        .await
    }

    pub(crate) async fn stops(&mut self) -> Result<()> {
        let exit = self.process.terminate(EXIT_LIMIT).await?;
        ensure!(exit.code() == Some(0), "{exit}");
        Ok(())
    }
}

#[tokio::test]
async fn ingest_started_first_waits_for_nats_and_postgresql_and_says_what_is_missing() -> Result<()>
{
    let (nats_port, pg_port) = (free_port()?, free_port()?);
    let database_url = format!("postgres://tiris@127.0.0.1:{pg_port}/postgres");
    let mut worker = Worker::start(&database_url, &format!("nats://127.0.0.1:{nats_port}"))?;
    worker
        .fails(&["database", "lanes", "nats"], "not connected")
        .await?;
    let (code, complaint) = worker.health(&[])?;
    ensure!(
        code == Some(1) && complaint.contains("503") && complaint.contains("not connected"),
        "{complaint}"
    );
    ensure!(worker.health(&["--live"])? == (Some(0), String::new()));
    let settings = NatsSettings {
        port: Some(nats_port),
        ..NatsSettings::default()
    };
    let nats = NatsServer::private_with(settings).await?;
    worker
        .fails(&["database", "lanes"], "no lane was taken yet")
        .await?;
    let folder = scratch_dir("postgres")?;
    let settings = PgSettings {
        port: Some(pg_port),
        durable: false,
        ..PgSettings::default()
    };
    let mut server = PgServer::start(folder.path(), settings).await?;
    worker
        .fails(&["database", "lanes"], "tiris-migrate up")
        .await?;
    tiris_migrations::up(&database_url).await?;
    worker.ready().await?;
    ensure!(worker.health(&[])?.0 == Some(0));
    let streams = async_nats::jetstream::new(async_nats::connect(nats.url()).await?);
    streams.get_stream("TRADING").await?;
    server.stop(PgStop::Immediate).await?;
    worker.fails(&["database"], "database").await?;
    worker.stops().await
}

#[tokio::test]
async fn ingest_that_waits_for_everything_stops_at_once() -> Result<()> {
    let (nats_port, pg_port) = (free_port()?, free_port()?);
    let database_url = format!("postgres://tiris@127.0.0.1:{pg_port}/postgres");
    let mut worker = Worker::start(&database_url, &format!("nats://127.0.0.1:{nats_port}"))?;
    worker
        .fails(&["database", "lanes", "nats"], "not connected")
        .await?;
    worker.stops().await
}

/// Passes connections on to `port` until it is told to hang, as a network does that drops everything.
async fn hanging_proxy(port: u16) -> Result<(u16, watch::Sender<bool>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (hang, hangs) = watch::channel(false);
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut hangs = hangs.clone();
            tokio::spawn(async move {
                let mut far = TcpStream::connect(("127.0.0.1", port)).await?;
                let hung = async { hangs.wait_for(|hang| *hang).await.is_ok() };
                let hung = tokio::select! {
                    hung = hung => hung,
                    ended = tokio::io::copy_bidirectional(&mut near, &mut far) => { ended?; false }
                };
                if hung {
                    // The sockets stay open, and nothing is answered.
                    std::future::pending::<()>().await;
                }
                std::io::Result::Ok(())
            });
        }
    });
    Ok((address.port(), hang))
}

#[tokio::test]
async fn a_database_that_hangs_is_told_and_does_not_keep_ingest_from_stopping() -> Result<()> {
    let world = World::new().await?;
    let url: reqwest::Url = world.database.url().parse()?;
    let (port, hang) = hanging_proxy(url.port().context("a port")?).await?;
    let mut proxied = url;
    ensure!(proxied.set_port(Some(port)).is_ok(), "no port");
    let mut worker = Worker::start(proxied.as_str(), &world.nats.url())?;
    worker.ready().await?;
    world
        .send(
            Kind::BalanceUpdated,
            &world.credit(world.currency, "BTC", "1"),
        )
        .await?;
    eventually("the first event", WAIT, async || {
        world
            .expect_count("SELECT count(*) FROM transactions", 1)
            .await
    })
    .await?;
    hang.send(true)?;
    world
        .send(
            Kind::BalanceUpdated,
            &world.credit(world.currency, "BTC", "1"),
        )
        .await?;
    worker
        .fails(&["database", "lanes"], "no answer within")
        .await?;
    worker.stops().await?;
    let mut worker = Worker::start(world.database.url(), &world.nats.url())?;
    eventually("the second event", WAIT, async || {
        world
            .expect_count("SELECT count(*) FROM transactions", 2)
            .await
    })
    .await?;
    worker.stops().await
}

#[tokio::test]
async fn every_mistake_in_the_settings_of_the_worker_is_told_at_once_by_its_name() -> Result<()> {
    let wrong = [
        ("DATABASE_URL", "mysql://u:hunter2@h/d"),
        ("TIRIS_DATABASE_CONNECTIONS", "1"),
        ("NATS_URL", "nats://[broken"),
        ("NATS_CREDENTIALS_FILE", "/nonexistent.creds"),
        ("TIRIS_ENV", "staging"),
        ("TIRIS_ADMIN_LISTEN", "nowhere"),
        ("TIRIS_LOG", "loud=very=much"),
        ("TIRIS_LOG_FORMAT", "xml"),
        ("TIRIS_SHUTDOWN_SECONDS", "0"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "nowhere"),
        ("TIRIS_LANES", "257"),
        ("TIRIS_BARE_SUBJECTS", "perhaps"),
        ("TIRIS_BATCH_EVENTS", "0"),
        ("TIRIS_LEASE_SECONDS", "1"),
        ("TIRIS_ON_STREAM_LOST", "pray"),
        ("TIRIS_ON_GAP", ""),
        ("TIRIS_STREAM_REPLICAS", "6"),
        ("TIRIS_TRADING_DAYS", "none"),
        ("TIRIS_TRADING_SYSTEM_DAYS", ""),
        ("TIRIS_STREAM_BYTES", "-1"),
        ("TIRIS_LOG_DAYS", "soon"),
        ("TIRIS_AUDIT_DAYS", "-1"),
        ("TIRIS_TRANSACTION_DAYS", "40000"),
        ("TIRIS_EVENT_ID_DAYS", "x"),
    ];
    let mut command = tokio::process::Command::new(binary("tiris-ingest")?);
    let output = command.arg("run").envs(wrong).output().await?;
    let told = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(1), "{told}");
    for (name, _) in wrong {
        assert!(
            told.contains(&format!("  {name}: ")),
            "{name} is missing in: {told}"
        );
    }
    assert!(!told.contains("hunter2"), "{told}");
    // What is forgotten before the streams forget it would be applied again by whoever reads them again.
    let mut command = tokio::process::Command::new(binary("tiris-ingest")?);
    command
        .arg("run")
        .env("DATABASE_URL", "postgres://u@h/d")
        .env("TIRIS_EVENT_ID_DAYS", "30");
    let told = String::from_utf8(command.output().await?.stderr)?;
    assert!(
        told.contains("TIRIS_EVENT_ID_DAYS: must be 0 or more than the streams keep"),
        "{told}"
    );
    let mut command = tokio::process::Command::new(binary("tiris-ingest")?);
    let help = String::from_utf8(command.args(["run", "--help"]).output().await?.stdout)?;
    for (name, _) in wrong {
        assert!(help.contains(name), "{name} is missing in: {help}");
    }
    Ok(())
}
