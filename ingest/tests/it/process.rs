//! The process: its settings, its start before its dependencies, and its stop when they hang.

use crate::worker::Worker;
use crate::world::World;
use anyhow::{Context, Result, ensure};
use tiris_testing::{
    NatsServer, NatsSettings, PgServer, PgSettings, PgStop, binary, free_port, scratch_dir,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::sync::watch;

/// A worker that was started before its servers.
struct Early {
    nats_port: u16,
    pg_port: u16,
    database_url: String,
    worker: Worker,
}

impl Early {
    async fn start() -> Result<Self> {
        let nats_port = free_port()?;
        let pg_port = free_port()?;
        let database_url = format!("postgres://tiris@127.0.0.1:{pg_port}/postgres");
        let nats_url = format!("nats://127.0.0.1:{nats_port}");
        let worker = Worker::start(&database_url, &nats_url, &[])?;
        worker
            .fails(&["database", "lanes", "nats"], "not connected")
            .await?;
        Ok(Self {
            nats_port,
            pg_port,
            database_url,
            worker,
        })
    }
}

#[tokio::test]
async fn reports_missing_dependencies_while_it_waits_for_them() -> Result<()> {
    let mut early = Early::start().await?;

    let nats = NatsSettings {
        port: Some(early.nats_port),
        ..NatsSettings::default()
    };
    let nats = NatsServer::private_with(nats).await?;
    early
        .worker
        .fails(&["database", "lanes"], "no lane was taken yet")
        .await?;

    let folder = scratch_dir("postgres")?;
    let postgres = PgSettings {
        port: Some(early.pg_port),
        durable: false,
        ..PgSettings::default()
    };
    let mut postgres = PgServer::start(folder.path(), postgres).await?;
    early
        .worker
        .fails(&["database", "lanes"], "tiris-migrate up")
        .await?;

    tiris_migrations::up(&early.database_url).await?;
    early.worker.ready().await?;
    let streams = async_nats::jetstream::new(async_nats::connect(nats.url()).await?);
    streams.get_stream("TRADING").await?;
    let healthy = early.worker.health(&[])?;
    ensure!(healthy.status.success(), "{healthy:?}");

    postgres.stop(PgStop::Immediate).await?;
    early.worker.fails(&["database"], "database").await?;
    early.worker.stops().await
}

#[tokio::test]
async fn health_reports_missing_dependencies() -> Result<()> {
    let mut early = Early::start().await?;

    let readiness = early.worker.health(&[])?;
    let liveness = early.worker.health(&["--live"])?;

    assert_eq!(readiness.status.code(), Some(1), "{readiness:?}");
    let complaint = String::from_utf8(readiness.stderr)?;
    ensure!(complaint.contains("503"), "{complaint}");
    ensure!(complaint.contains("not connected"), "{complaint}");
    assert_eq!(liveness.status.code(), Some(0), "{liveness:?}");
    assert_eq!(String::from_utf8(liveness.stderr)?, "");
    early.worker.stops().await
}

#[tokio::test]
async fn stops_while_it_waits_for_its_dependencies() -> Result<()> {
    let mut early = Early::start().await?;

    early.worker.stops().await
}

/// Forwards connections to `port` until `hang` is sent, then drops all data like a broken network.
async fn hanging_proxy(port: u16) -> Result<(u16, watch::Sender<bool>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (hang, hangs) = watch::channel(false);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            tokio::spawn(pass_on(near, port, hangs.clone()));
        }
    });
    Ok((address.port(), hang))
}

async fn pass_on(
    mut near: TcpStream,
    port: u16,
    mut hangs: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let mut far = TcpStream::connect(("127.0.0.1", port)).await?;
    let hung = async { hangs.wait_for(|hang| *hang).await.is_ok() };
    let hung = tokio::select! {
        hung = hung => hung,
        ended = tokio::io::copy_bidirectional(&mut near, &mut far) => { ended?; false }
    };
    if hung {
        // The sockets stay open without a response.
        std::future::pending::<()>().await;
    }
    Ok(())
}

#[tokio::test]
async fn reports_a_hanging_database_and_can_be_stopped() -> Result<()> {
    let world = World::new().await?;
    let mut url: reqwest::Url = world.database.url().parse()?;
    let (port, hang) = hanging_proxy(url.port().context("a port")?).await?;
    ensure!(url.set_port(Some(port)).is_ok(), "no port");
    let mut worker = Worker::start(url.as_str(), &world.nats.url(), &[])?;
    worker.ready().await?;
    world.send_credits(1).await?;
    world.rows_reach("transactions", 1).await?;

    hang.send(true)?;
    world.send_credits(1).await?;
    worker
        .fails(&["database", "lanes"], "no answer within")
        .await?;
    worker.stops().await?;

    let mut worker = world.worker()?;
    world.rows_reach("transactions", 2).await?;
    worker.stops().await
}

/// An invalid value for every setting that has one.
const WRONG: [(&str, &str); 28] = [
    ("DATABASE_URL", "mysql://u:hunter2@h/d"),
    ("TIRIS_DATABASE_CONNECTIONS", "1"),
    ("NATS_URL", "nats://[broken"),
    ("NATS_CREDENTIALS_FILE", "/nonexistent.creds"),
    ("TIRIS_ENV", "prod"),
    ("TIRIS_ADMIN_LISTEN", "nowhere"),
    ("TIRIS_LOG", "loud=very=much"),
    ("TIRIS_LOG_FORMAT", "xml"),
    ("TIRIS_SHUTDOWN_SECONDS", "0"),
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "nowhere"),
    ("TIRIS_LANES", "257"),
    ("TIRIS_BARE_SUBJECTS", "perhaps"),
    ("TIRIS_BATCH_EVENTS", "0"),
    ("TIRIS_LEASE_SECONDS", "1"),
    ("TIRIS_ON_STREAM_LOST", "ignore"),
    ("TIRIS_ON_GAP", ""),
    ("TIRIS_STREAM_REPLICAS", "6"),
    ("TIRIS_TRADING_DAYS", "none"),
    ("TIRIS_TRADING_SYSTEM_DAYS", ""),
    ("TIRIS_STREAM_BYTES", "-1"),
    ("TIRIS_STREAM_MESSAGES_PER_SUBJECT", "many"),
    ("TIRIS_STREAM_MESSAGE_BYTES", "131072"),
    ("TIRIS_DEAD_LETTER_STREAM_BYTES", "1"),
    ("TIRIS_LOG_DAYS", "soon"),
    ("TIRIS_AUDIT_DAYS", "364"),
    ("TIRIS_TRANSACTION_DAYS", "40000"),
    ("TIRIS_DEAD_LETTER_DAYS", "x"),
    ("TIRIS_EVENT_ID_DAYS", "x"),
];

#[tokio::test]
async fn reports_every_mistake_in_the_settings_at_once() -> Result<()> {
    let mut command = Command::new(binary("tiris-ingest")?);
    let output = command.arg("run").envs(WRONG).output().await?;

    let errors = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(1), "{errors}");
    for (name, _) in WRONG {
        let line = format!("  {name}: ");
        assert!(errors.contains(&line), "{name} is missing in: {errors}");
    }
    assert!(!errors.contains("hunter2"), "{errors}");
    Ok(())
}

/// Otherwise events that are read again would be applied twice.
#[tokio::test]
async fn requires_event_ids_and_dead_letters_to_outlive_the_streams() -> Result<()> {
    let mut command = Command::new(binary("tiris-ingest")?);
    let output = command
        .arg("run")
        .env("DATABASE_URL", "postgres://u@h/d")
        .env("TIRIS_EVENT_ID_DAYS", "30")
        .env("TIRIS_DEAD_LETTER_DAYS", "30")
        .output()
        .await?;

    let errors = String::from_utf8(output.stderr)?;
    for variable in ["TIRIS_EVENT_ID_DAYS", "TIRIS_DEAD_LETTER_DAYS"] {
        let expected = format!("{variable}: must be 0 or more than TIRIS_TRADING_DAYS");
        assert!(errors.contains(&expected), "{errors}");
    }
    Ok(())
}

#[tokio::test]
async fn the_help_names_every_setting() -> Result<()> {
    let mut command = Command::new(binary("tiris-ingest")?);
    let output = command.args(["run", "--help"]).output().await?;

    let help = String::from_utf8(output.stdout)?;
    for (name, _) in WRONG {
        assert!(help.contains(name), "{name} is missing in: {help}");
    }
    Ok(())
}
