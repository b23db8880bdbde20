//! The whole journey with the real programs: a bot's candles become balances over NATS, ingest, PostgreSQL and REST,
//! while ingest is killed again and again.

use crate::world::WAIT;
use anyhow::{Context, Result, ensure};
use sqlx::PgPool;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tiris_domain::lane::EventStream;
use tiris_testing::{
    NatsServer, NatsSettings, Process, TestDatabase, binary, eventually, free_port, scratch_dir,
};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Candles the bot trades: a few thousand events.
const CANDLES: i64 = 600;
const KILLS: u32 = 10;
const EXIT_LIMIT: Duration = Duration::from_secs(20);

struct System {
    database: TestDatabase,
    nats: NatsServer,
    keys: tempfile::TempDir,
    api_url: String,
    _api: Process,
    token: String,
}

impl System {
    async fn start() -> Result<Self> {
        let database = TestDatabase::new().await?;
        let nats = NatsServer::private_with(NatsSettings::default()).await?;
        let keys = scratch_dir("keys")?;
        let (port, admin_port) = (free_port()?, free_port()?);
        let command = |name: &str| -> Result<_> {
            Ok(Process::command(binary(name)?)
                .env("DATABASE_URL", database.url())
                .env("TIRIS_ENCRYPTION_FILE", keys.path().join("encryption.env"))
                .env("TIRIS_JWT_KEY_FILE", keys.path().join("jwt.pem")))
        };
        let mut api = command("tiris-api")?
            .arg("serve")
            .env("TIRIS_API_LISTEN", format!("127.0.0.1:{port}"))
            .env("NATS_URL", nats.url())
            .env("TIRIS_ADMIN_LISTEN", format!("127.0.0.1:{admin_port}"))
            .spawn()?;
        api.wait_until_healthy(&format!("http://127.0.0.1:{admin_port}/health/ready"), WAIT)
            .await?;
        let printed = tokio::process::Command::new(binary("tiris-api")?)
            .args(["token", "--email", "bot@example.com"])
            .env("DATABASE_URL", database.url())
            .env("TIRIS_JWT_KEY_FILE", keys.path().join("jwt.pem"))
            .output()
            .await?;
        ensure!(
            printed.status.success(),
            "{}",
            String::from_utf8_lossy(&printed.stderr)
        );
        let token = String::from_utf8(printed.stdout)?.trim().to_owned();
        Ok(Self {
            database,
            nats,
            keys,
            api_url: format!("http://127.0.0.1:{port}"),
            _api: api,
            token,
        })
    }

    fn ingest(&self) -> Result<Process> {
        Process::command(binary("tiris-ingest")?)
            .arg("run")
            .env("DATABASE_URL", self.database.url())
            .env("NATS_URL", self.nats.url())
            .env("TIRIS_ADMIN_LISTEN", "127.0.0.1:0")
            .env("TIRIS_LANES", "4")
            // Small batches, so that every kill finds work under way.
            .env("TIRIS_BATCH_EVENTS", "20")
            // A killed worker's lanes are free after this time.
            .env("TIRIS_LEASE_SECONDS", "2")
            .spawn()
    }

    fn demo(&self, candles: &Path) -> Result<Process> {
        Process::command(binary("tiris-demo")?)
            .args([
                "--burst",
                "--verify",
                "--fast",
                "1",
                "--slow",
                "3",
                "--candles",
            ])
            .arg(candles)
            .env("API_URL", &self.api_url)
            .env("TOKEN", &self.token)
            .env("NATS_URL", self.nats.url())
            .spawn()
    }

    fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// Follows the live stream, and keeps the ids of the transactions it brings as long as the task runs.
    async fn follow(&self) -> Result<(JoinHandle<()>, Arc<Mutex<Vec<Uuid>>>)> {
        tiris_runtime::tls::choose_provider();
        let client = reqwest::Client::builder().connect_timeout(WAIT).build()?;
        let asked = client
            .get(format!("{}/v1/stream", self.api_url))
            .bearer_auth(&self.token);
        let mut response = asked.send().await?.error_for_status()?;
        let followed = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&followed);
        let task = tokio::spawn(async move {
            let mut text = String::new();
            while let Ok(Some(chunk)) = response.chunk().await {
                text.push_str(&String::from_utf8_lossy(&chunk));
                while let Some(end) = text.find('\n') {
                    let line: String = text.drain(..=end).collect();
                    let id = line
                        .strip_prefix("id: ")
                        .and_then(|id| id.split_once("-transaction-"));
                    kept.lock()
                        .expect("kept")
                        .extend(id.and_then(|(_, id)| id.trim().parse::<Uuid>().ok()));
                }
            }
        });
        Ok((task, followed))
    }
}

/// Waits until the live stream has brought every transaction, and checks that it brought each once.
async fn all_followed(system: &System, followed: &Mutex<Vec<Uuid>>) -> Result<()> {
    let mut stored: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM transactions")
        .fetch_all(system.pool())
        .await?;
    stored.sort();
    eventually("the live stream", WAIT, async || {
        let mut came = followed.lock().expect("kept").clone();
        came.sort();
        ensure!(
            came == stored,
            "{} transactions came, {} are stored",
            came.len(),
            stored.len()
        );
        Ok(())
    })
    .await
}

/// A price that swings, so that its averages cross often; in whole hundred-millionths.
fn candles() -> Result<String> {
    let mut file = "time,open,high,low,close,volume\n".to_owned();
    let mut state: i64 = 12_345;
    for number in 0..CANDLES {
        state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
        let swing = (number % 6 - 3).abs() * 200_000;
        let close = 9_000_000 + swing + state % 50_000;
        let price = format!("0.{close:08}");
        let time = chrono::DateTime::from_timestamp(1_515_560_100 + number * 300, 0)
            .context("in range")?;
        writeln!(
            file,
            "{},{price},{price},{price},{price},1",
            time.format("%Y-%m-%dT%H:%M:%SZ")
        )?;
    }
    Ok(file)
}

async fn processed(pool: &PgPool) -> Result<i64> {
    Ok(sqlx::query_scalar("SELECT count(*) FROM processed_events")
        .fetch_one(pool)
        .await?)
}

/// All that the books say, as one text.
async fn books(pool: &PgPool) -> Result<String> {
    Ok(sqlx::query_scalar(
        "SELECT concat_ws('|', (SELECT jsonb_agg(a ORDER BY id) FROM sub_accounts a), \
         (SELECT jsonb_agg(t ORDER BY timestamp, id) FROM transactions t), (SELECT count(*) FROM trading_logs), \
         (SELECT count(*) FROM dead_letters), (SELECT jsonb_agg(h ORDER BY sub_account_id, order_id) FROM holds h))",
    )
    .fetch_one(pool)
    .await?)
}

#[tokio::test]
async fn killing_ingest_ten_times_while_a_bot_trades_changes_nothing_and_neither_do_the_same_candles_again()
-> Result<()> {
    let system = System::start().await?;
    let file = system.keys.path().join("eth_btc_swing.csv");
    std::fs::write(&file, candles()?)?;
    let (following, followed) = system.follow().await?;
    let mut ingest = system.ingest()?;
    let mut demo = system.demo(&file)?;
    let mut done = 0;
    for kill in 0..KILLS {
        done = eventually("progress before the next kill", WAIT, async || {
            let now = processed(system.pool()).await?;
            ensure!(now > done, "{now} events processed before kill {kill}");
            Ok(now)
        })
        .await?;
        ingest.kill().await?;
        ingest = system.ingest()?;
    }
    let status = demo.wait(Duration::from_secs(120)).await?;
    ensure!(
        status.success(),
        "the bot's balances differ:\n{}",
        demo.log_tail()
    );
    let verified =
        tiris_migrations::verify(system.database.url(), &indicatif::ProgressBar::hidden()).await?;
    ensure!(verified.is_clean(), "{verified}");

    settled(&system).await?;
    all_followed(&system, &followed).await?;
    following.abort();
    let before = books(system.pool()).await?;
    let mut again = system.demo(&file)?;
    let status = again.wait(Duration::from_secs(120)).await?;
    ensure!(
        status.success(),
        "the same candles again:\n{}",
        again.log_tail()
    );
    settled(&system).await?;
    let after = books(system.pool()).await?;
    ensure!(before == after, "the books changed");
    let exit = ingest.terminate(EXIT_LIMIT).await?;
    ensure!(
        exit.success(),
        "ingest did not stop cleanly: {exit}\n{}",
        ingest.log_tail()
    );
    let owned: i64 =
        sqlx::query_scalar("SELECT count(*) FROM ingest_lanes WHERE owner IS NOT NULL")
            .fetch_one(system.pool())
            .await?;
    ensure!(owned == 0, "{owned} lanes were not given back");
    Ok(())
}

/// Waits until everything both streams hold is done.
async fn settled(system: &System) -> Result<()> {
    let jetstream = async_nats::jetstream::new(async_nats::connect(system.nats.url()).await?);
    for stream in EventStream::ALL {
        let last = jetstream
            .get_stream(stream.name())
            .await?
            .cached_info()
            .state
            .last_sequence;
        let last = i64::try_from(last)?;
        ensure!(last > 0, "nothing was published to {stream}");
        eventually("the end of the stream", WAIT, async || {
            let cursor: i64 =
                sqlx::query_scalar("SELECT max(cursor) FROM ingest_lanes WHERE stream = $1")
                    .bind(stream.name())
                    .fetch_one(system.pool())
                    .await?;
            ensure!(
                cursor == last,
                "{stream}: cursor {cursor}, last message {last}"
            );
            Ok(())
        })
        .await?;
    }
    Ok(())
}
