//! Upkeep beside the lanes: partitions ahead of time, compression, retention, the purge of event ids and of what has
//! expired, and the metrics of lanes without an owner.
//!
//! Owns: the rhythm, and that one worker at a time does each task. A failure is logged and tried again, and stops no lane.

use crate::connection::Connection;
use crate::context::Context;
use crate::settings::Retention;
use crate::status::gauges;
use crate::stream::{state_of, unavailable};
use sqlx::{PgConnection, PgPool};
use std::time::{Duration, Instant};
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_store::error::Result;
use tiris_store::retention::{self, Expiring, History};
use tiris_store::{dead_letters, partitions, workers};
use tokio_util::sync::CancellationToken;

/// How often figures are sampled.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(10);
/// How often the rest is done, and how soon again when it failed.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(60 * 60);
const UPKEEP_RETRY: Duration = Duration::from_secs(60);
/// Event ids are kept longer than messages by this much.
const STREAM_MARGIN: Duration = Duration::from_secs(24 * 60 * 60);
/// Rows forgotten in one transaction.
const FORGOTTEN_AT_ONCE: u32 = 5_000;

/// Works until `stop`.
pub async fn run(context: Context, kept: Retention, stop: CancellationToken) {
    let mut next_upkeep = Instant::now();
    let mut is_in_trouble = false;

    loop {
        let work = async {
            if Instant::now() >= next_upkeep {
                let done = all_upkeep(&context, kept).await;
                next_upkeep = Instant::now() + if done { UPKEEP_INTERVAL } else { UPKEEP_RETRY };
            }
            sample(&context).await
        };
        let sampled = tokio::select! {
            () = stop.cancelled() => return,
            sampled = work => sampled,
        };
        match sampled {
            Ok(()) => is_in_trouble = false,
            Err(error) if !is_in_trouble => {
                is_in_trouble = true;
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "could not sample the figures of the lanes"
                );
            }
            Err(_) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(SAMPLE_INTERVAL) => {}
        }
    }
}

/// Event ids outlive the messages they are of: an id is forgotten only when no stream can hold its message any more.
async fn all_upkeep(context: &Context, mut kept: Retention) -> bool {
    if let Some(age) = kept.event_ids {
        kept.event_ids = match longest_age(&context.connection).await {
            Ok(Some(longest)) => Some(age.max(longest + STREAM_MARGIN)),
            Ok(None) => {
                tracing::warn!("event ids are kept: a stream keeps its messages for ever");
                None
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "event ids are kept: the streams cannot be asked"
                );
                None
            }
        };
    }

    upkeep(&context.pool, &kept).await
}

/// How long the stream that keeps its messages longest does so; none for ever.
async fn longest_age(connection: &Connection) -> Result<Option<Duration>> {
    let mut longest = Duration::ZERO;
    for stream in EventStream::ALL {
        let found = connection
            .jetstream
            .get_stream(stream.name())
            .await
            .map_err(unavailable)?;
        let age = found.cached_info().config.max_age;
        if age.is_zero() {
            return Ok(None);
        }
        longest = longest.max(age);
    }
    Ok(Some(longest))
}

/// Every task, whatever becomes of the others. Returns whether all were done.
pub async fn upkeep(pool: &PgPool, kept: &Retention) -> bool {
    let made = partitions::ensure(pool, kept.partition_months).await;
    let mut all_done = succeeded("make partitions", made.map(drop));
    let compressed = compress(pool, kept.compression).await;
    all_done &= succeeded("set the age of compression", compressed);
    let forgotten = workers::forget_dead(pool).await;
    all_done &= succeeded("forget workers long dead", forgotten);

    for (history, age) in kept.histories() {
        if let Some(age) = age {
            let dropped = drop_old(pool, history, age).await;
            all_done &= succeeded("drop old partitions", dropped);
        }
    }
    if let Some(age) = kept.event_ids {
        let purged = forget(pool, Old::EventIds(age)).await;
        all_done &= succeeded("purge old event ids", purged);
    }
    for what in Expiring::ALL {
        let removed = forget(pool, Old::Expired(what)).await;
        all_done &= succeeded("remove what has expired", removed);
    }
    all_done
}

fn succeeded(what: &'static str, done: Result<()>) -> bool {
    if let Err(error) = &done {
        tracing::warn!(error = error as &dyn std::error::Error, "could not {what}");
    }
    done.is_ok()
}

async fn compress(pool: &PgPool, age: Option<Duration>) -> Result<()> {
    if partitions::compress_after(pool, age).await? {
        tracing::info!(
            days = age.map(|age| age.as_secs() / (24 * 60 * 60)),
            "set the age of compression"
        );
    }
    Ok(())
}

async fn drop_old(pool: &PgPool, history: History, age: Duration) -> Result<()> {
    let mut transaction = pool.begin().await?;
    if !retention::may_do_alone(&mut transaction, history.table()).await? {
        return Ok(());
    }
    let dropped = retention::drop_partitions(&mut transaction, history, age).await?;
    transaction.commit().await?;
    if dropped > 0 {
        tracing::info!(
            table = history.table(),
            partitions = dropped,
            "dropped what is older than it is kept"
        );
    }
    Ok(())
}

/// What is forgotten batch by batch.
#[derive(Clone, Copy)]
enum Old {
    EventIds(Duration),
    Expired(Expiring),
}

impl Old {
    const fn table(self) -> &'static str {
        match self {
            Self::EventIds(_) => "processed_events",
            Self::Expired(what) => what.table,
        }
    }

    async fn forget(self, connection: &mut PgConnection) -> Result<u64> {
        match self {
            Self::EventIds(age) => {
                retention::purge_event_ids(connection, age, FORGOTTEN_AT_ONCE).await
            }
            Self::Expired(what) => {
                retention::remove_expired(connection, what, FORGOTTEN_AT_ONCE).await
            }
        }
    }
}

async fn forget(pool: &PgPool, old: Old) -> Result<()> {
    let mut total = 0;
    loop {
        let mut transaction = pool.begin().await?;
        if !retention::may_do_alone(&mut transaction, old.table()).await? {
            return Ok(());
        }
        let forgotten = old.forget(&mut transaction).await?;
        transaction.commit().await?;
        total += forgotten;
        if forgotten < u64::from(FORGOTTEN_AT_ONCE) {
            break;
        }
    }

    if total > 0 {
        tracing::info!(table = old.table(), rows = total, "forgot what is old");
    }

    Ok(())
}

/// The open letters of our own lanes, and, by one worker at a time, the lag of lanes without an owner.
async fn sample(context: &Context) -> Result<()> {
    let lanes: Vec<LaneKey> = context.board.lines().into_keys().collect();
    let mut connection = context.pool.acquire().await?;
    gauges::gauge_letters(&dead_letters::count_by_class(&mut connection, &lanes).await?);
    drop(connection);

    for stream in EventStream::ALL {
        let found = state_of(&context.connection, stream).await?;
        let mut transaction = context.pool.begin().await?;
        if retention::may_do_alone(&mut transaction, stream.name()).await? {
            retention::sample_free_lanes(
                &mut transaction,
                stream,
                found.created_at,
                found.last_seq,
            )
            .await?;
            transaction.commit().await?;
        }
    }
    Ok(())
}
