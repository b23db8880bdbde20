//! Measures how long events of a user take from their publication until they are committed.

use crate::load::event::{Message, Origin};
use crate::load::users::User;
use crate::run::Run;
use crate::system::worker::LANES;
use anyhow::{Result, ensure};
use async_nats::jetstream;
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tiris_domain::lane::lane_of;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The pause after each event.
const PAUSE: Duration = Duration::from_millis(40);
const POLL_INTERVAL: Duration = Duration::from_millis(3);
/// The longest wait for an event.
const LIMIT: Duration = Duration::from_secs(60);
/// Above the numbers of all scripts.
const FIRST_NUMBER: u32 = 50_000_000;

/// Publishes events of a user one after the other.
struct Probe {
    run: Arc<Run>,
    user: User,
}

impl Probe {
    const fn new(run: Arc<Run>, user: User) -> Self {
        Self { run, user }
    }

    /// Returns the times of all events until `stop`.
    async fn run(self, stop: CancellationToken) -> Result<Vec<Duration>> {
        let client = async_nats::connect(&self.run.system.bot_url).await?;
        let context = jetstream::new(client);
        let mut times = Vec::new();

        for number in FIRST_NUMBER.. {
            if stop.is_cancelled() {
                break;
            }
            let origin = Origin {
                user: self.user.id,
                trading: self.user.tradings[0].id,
                number,
            };
            let message = self.message(origin);
            let begun = Instant::now();
            let sent = context.publish(message.subject, message.payload.into());
            sent.await?.await?;
            self.run.published.count("messages");
            self.run.published.count("probes");

            self.wait(&origin.event_id(), begun).await?;
            times.push(begun.elapsed());
            tokio::time::sleep(PAUSE).await;
        }
        Ok(times)
    }

    fn message(&self, origin: Origin) -> Message {
        let account = &self.user.tradings[0].accounts[0];
        let own = json!({"sub_account_id": account.id, "symbol": account.symbol, "amount": "0.000001",
                         "direction": "credit", "reason": "probe"});
        origin.message("trading.balance.updated", own)
    }

    async fn wait(&self, event_id: &str, begun: Instant) -> Result<()> {
        loop {
            let is_committed: bool = sqlx::query_scalar(
                "SELECT EXISTS (SELECT FROM processed_events WHERE user_id = $1 AND event_id = $2)",
            )
            .bind(self.user.id)
            .bind(event_id)
            .fetch_one(&self.run.system.pool)
            .await?;
            if is_committed {
                return Ok(());
            }
            ensure!(
                begun.elapsed() < LIMIT,
                "{event_id} is not committed after {LIMIT:?}"
            );
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }
}

/// The times of each probe with its lane.
pub(crate) type Probes = JoinSet<Result<(Option<u16>, Vec<Duration>)>>;

/// Starts a probe in every lane of `users`.
pub(crate) fn in_each_lane(
    run: &Arc<Run>,
    users: &[User],
    stop: &CancellationToken,
) -> Result<Probes> {
    let lanes = u16::try_from(LANES)?;
    let mut probes = JoinSet::new();
    for lane in (0..lanes).map(Some) {
        let mut users = users.iter().filter(|user| user.is_prompt());
        if let Some(user) = users.find(|user| lane_of(user.id, lanes) == lane) {
            let probe = Probe::new(run.clone(), user.clone());
            let stop = stop.clone();
            probes.spawn(async move { Ok((lane, probe.run(stop).await?)) });
        }
    }
    Ok(probes)
}

/// Returns the 99th percentile.
pub(crate) fn p99(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    let at = (times.len() * 99).div_ceil(100).saturating_sub(1);
    times.get(at).copied().unwrap_or_default()
}
