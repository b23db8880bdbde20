//! The whole journey with the real programs: a bot's candles become balances over NATS, ingest, PostgreSQL and REST,
//! while ingest is killed again and again.

use crate::api::Api;
use crate::http::client;
use crate::world::WAIT;
use anyhow::{Context, Result, ensure};
use sqlx::PgPool;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tiris_domain::lane::EventStream;
use tiris_testing::{NatsServer, Process, Role, TestDatabase, binary, eventually};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Candles the bot trades: a few thousand events.
const CANDLES: i64 = 600;
const KILLS: u32 = 10;
const EXIT_LIMIT: Duration = Duration::from_secs(20);
const BOT_LIMIT: Duration = Duration::from_secs(120);

struct System {
    database: TestDatabase,
    nats: NatsServer,
    api: Api,
}

impl System {
    async fn start() -> Result<Self> {
        let database = TestDatabase::new().await?;
        let nats = NatsServer::private().await?;
        let api = Api::start(database.url(), &nats.url(), "bot@example.com", &[]).await?;
        Ok(Self {
            database,
            nats,
            api,
        })
    }

    fn ingest(&self) -> Result<Process> {
        Process::command(binary("tiris-ingest")?)
            .arg("run")
            .env("DATABASE_URL", self.database.url_as(Role::Ingest)?)
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
            .args(["--burst", "--verify", "--fast", "1", "--slow", "3"])
            .arg("--candles")
            .arg(candles)
            .env("API_URL", &self.api.url)
            .env("TOKEN", &self.api.token)
            .env("NATS_URL", self.nats.url())
            .spawn()
    }

    fn candles(&self) -> Result<PathBuf> {
        let file = self.api.folder.path().join("eth_btc_swing.csv");
        std::fs::write(&file, candles()?)?;
        Ok(file)
    }

    fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// Waits until all messages of both streams are processed.
    async fn settled(&self) -> Result<()> {
        let jetstream = async_nats::jetstream::new(async_nats::connect(self.nats.url()).await?);

        for stream in EventStream::ALL {
            let info = jetstream.get_stream(stream.name()).await?;
            let last = i64::try_from(info.cached_info().state.last_sequence)?;
            ensure!(last > 0, "nothing was published to {stream}");
            eventually("the end of the stream", WAIT, async || {
                let cursor: i64 =
                    sqlx::query_scalar("SELECT max(cursor) FROM ingest_lanes WHERE stream = $1")
                        .bind(stream.name())
                        .fetch_one(self.pool())
                        .await?;
                ensure!(cursor == last, "{stream}: {cursor} instead of {last}");
                Ok(())
            })
            .await?;
        }

        Ok(())
    }

    async fn processed(&self) -> Result<i64> {
        let count = sqlx::query_scalar("SELECT count(*) FROM processed_events");
        Ok(count.fetch_one(self.pool()).await?)
    }

    /// Returns the content of the books as one text.
    async fn books(&self) -> Result<String> {
        Ok(sqlx::query_scalar(
            "SELECT concat_ws('|', (SELECT jsonb_agg(a ORDER BY id) FROM sub_accounts a), \
             (SELECT jsonb_agg(t ORDER BY timestamp, id) FROM transactions t), (SELECT count(*) FROM trading_logs), \
             (SELECT count(*) FROM dead_letters), (SELECT jsonb_agg(h ORDER BY sub_account_id, order_id) FROM holds h))",
        )
        .fetch_one(self.pool())
        .await?)
    }

    async fn verify(&self) -> Result<()> {
        let hidden = indicatif::ProgressBar::hidden();
        let report = tiris_migrations::verify(self.database.url(), &hidden).await?;
        ensure!(report.is_clean(), "{report}");
        Ok(())
    }
}

/// Collects the ids of the transactions in the live stream.
struct Followed {
    ids: Arc<Mutex<Vec<Uuid>>>,
    task: JoinHandle<()>,
}

impl Followed {
    async fn start(api: &Api) -> Result<Self> {
        let request = client()?
            .get(format!("{}/v1/stream", api.url))
            .bearer_auth(&api.token);
        let mut response = request.send().await?.error_for_status()?;
        let ids = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&ids);
        let task = tokio::spawn(async move {
            let mut text = String::new();
            while let Ok(Some(chunk)) = response.chunk().await {
                text.push_str(&String::from_utf8_lossy(&chunk));
                while let Some(end) = text.find('\n') {
                    let line: String = text.drain(..=end).collect();
                    kept.lock().expect("kept").extend(transaction(&line));
                }
            }
        });

        Ok(Self { ids, task })
    }

    /// Waits until the live stream has contained every transaction exactly once.
    async fn has_all_of(&self, pool: &PgPool) -> Result<()> {
        let stored = sqlx::query_scalar("SELECT id FROM transactions");
        let mut stored: Vec<Uuid> = stored.fetch_all(pool).await?;
        stored.sort();
        eventually("the live stream", WAIT, async || {
            let mut received = self.ids.lock().expect("kept").clone();
            received.sort();
            let counts = (received.len(), stored.len());
            ensure!(
                received == stored,
                "{counts:?} transactions received and stored"
            );
            Ok(())
        })
        .await
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Returns the id of the transaction in a line of the live stream.
fn transaction(line: &str) -> Option<Uuid> {
    let (_, id) = line.strip_prefix("id: ")?.split_once("-transaction-")?;
    id.trim().parse().ok()
}

/// Returns candles whose price swings, so that its averages cross often; in whole hundred-millionths.
fn candles() -> Result<String> {
    let mut file = "time,open,high,low,close,volume\n".to_owned();
    let mut state: i64 = 12_345;
    for number in 0..CANDLES {
        state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
        let swing = (number % 6 - 3).abs() * 200_000;
        let close = 9_000_000 + swing + state % 50_000;
        let price = format!("0.{close:08}");
        let seconds = 1_515_560_100 + number * 300;
        let time = chrono::DateTime::from_timestamp(seconds, 0).context("in range")?;
        let time = time.format("%Y-%m-%dT%H:%M:%SZ");
        writeln!(file, "{time},{price},{price},{price},{price},1")?;
    }
    Ok(file)
}

/// Waits until the bot has ended successfully, with the balances it expects.
async fn ends_well(demo: &mut Process) -> Result<()> {
    let status = demo.wait(BOT_LIMIT).await?;
    ensure!(status.success(), "{status}:\n{}", demo.log_tail());
    Ok(())
}

/// Kills ingest repeatedly, each time after some progress. Returns the last process.
async fn kill_again_and_again(system: &System) -> Result<Process> {
    let mut ingest = system.ingest()?;
    let mut done = 0;
    for kill in 0..KILLS {
        done = eventually("progress before the next kill", WAIT, async || {
            let now = system.processed().await?;
            ensure!(now > done, "{now} events processed before kill {kill}");
            Ok(now)
        })
        .await?;
        ingest.kill().await?;
        ingest = system.ingest()?;
    }
    Ok(ingest)
}

async fn stops_cleanly(system: &System, ingest: &mut Process) -> Result<()> {
    let exit = ingest.terminate(EXIT_LIMIT).await?;
    ensure!(exit.success(), "{exit}:\n{}", ingest.log_tail());
    let owned: i64 =
        sqlx::query_scalar("SELECT count(*) FROM ingest_lanes WHERE owner IS NOT NULL")
            .fetch_one(system.pool())
            .await?;
    ensure!(owned == 0, "{owned} lanes were not given back");
    Ok(())
}

#[tokio::test]
async fn killing_ingest_while_a_bot_trades_changes_nothing() -> Result<()> {
    let system = System::start().await?;
    let candles = system.candles()?;
    let followed = Followed::start(&system.api).await?;

    let mut demo = system.demo(&candles)?;
    let mut ingest = kill_again_and_again(&system).await?;
    ends_well(&mut demo).await?;
    system.verify().await?;
    system.settled().await?;
    followed.has_all_of(system.pool()).await?;

    let before = system.books().await?;
    let mut again = system.demo(&candles)?;
    ends_well(&mut again).await?;
    system.settled().await?;
    let after = system.books().await?;
    ensure!(before == after, "the books changed");
    stops_cleanly(&system, &mut ingest).await
}
