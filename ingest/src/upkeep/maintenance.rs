//! Periodic maintenance: creates partitions, sets compression, and deletes old history, event ids and expired rows.
//!
//! One worker at a time does each task. A failure is logged and retried, and stops no lane.

use crate::connection::Connection;
use crate::context::Context;
use crate::settings::Retention;
use crate::stream::unavailable;
use sqlx::{PgConnection, PgPool};
use std::time::Duration;
use tiris_domain::lane::EventStream;
use tiris_store::error::Result;
use tiris_store::retention::{self, Expiring, History};
use tiris_store::{partitions, workers};

/// How often the tasks run, and how soon again after a failure.
const UPKEEP_INTERVAL: Duration = Duration::from_hours(1);
const UPKEEP_RETRY: Duration = Duration::from_mins(1);
/// How much longer event ids are kept than the messages of the streams.
const STREAM_MARGIN: Duration = Duration::from_hours(24);
/// Rows deleted in one transaction.
const ROWS_AT_ONCE: u32 = 5_000;

/// Runs all tasks periodically.
pub(crate) async fn run(context: Context, kept: Retention) {
    loop {
        let done = all_upkeep(&context, kept).await;
        let pause = if done { UPKEEP_INTERVAL } else { UPKEEP_RETRY };
        tokio::time::sleep(pause).await;
    }
}

/// Does all tasks. The id of an event and its dead letter are kept until no stream can hold its message any more.
async fn all_upkeep(context: &Context, mut kept: Retention) -> bool {
    if kept.event_ids.is_some() || kept.dead_letters.is_some() {
        let least = match longest_age(&context.connection).await {
            Ok(longest) => longest.map(|longest| longest + STREAM_MARGIN),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "could not read the retention of the streams");
                None
            }
        };
        if least.is_none() {
            tracing::warn!(
                "event ids and dead letters are not deleted: a stream may retain its messages forever"
            );
        }
        let outlives = |age: Option<Duration>| Some(age?.max(least?));
        kept.event_ids = outlives(kept.event_ids);
        kept.dead_letters = outlives(kept.dead_letters);
    }

    upkeep(&context.pool, &kept).await
}

/// Returns the longest retention of the streams; None when one retains its messages forever.
async fn longest_age(connection: &Connection) -> Result<Option<Duration>> {
    let mut longest = Duration::ZERO;
    for stream in EventStream::ALL {
        let found = connection.jetstream.get_stream(stream.name()).await;
        let age = found.map_err(unavailable)?.cached_info().config.max_age;
        if age.is_zero() {
            return Ok(None);
        }
        longest = longest.max(age);
    }
    Ok(Some(longest))
}

/// Does every task, also after one has failed. Returns whether all succeeded.
pub async fn upkeep(pool: &PgPool, kept: &Retention) -> bool {
    let created = partitions::ensure(pool, kept.partition_months).await;
    let mut all_done = succeeded("create partitions", created.map(drop));
    let compressed = compress(pool, kept.compression).await;
    all_done &= succeeded("set the age of compression", compressed);
    all_done &= succeeded("delete dead workers", workers::forget_dead(pool).await);

    for (history, age) in [
        (History::TradingLogs, kept.logs),
        (History::AuditLogs, kept.audit),
        (History::Transactions, kept.transactions),
    ] {
        if let Some(age) = age {
            all_done &= succeeded("drop old partitions", drop_old(pool, history, age).await);
        }
    }
    let event_ids = kept.event_ids.map(Old::EventIds);
    let dead_letters = kept.dead_letters.map(Old::DeadLetters);
    let expired = Expiring::ALL.map(Old::Expired);
    for old in event_ids.into_iter().chain(dead_letters).chain(expired) {
        all_done &= succeeded("delete old rows", delete(pool, old).await);
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
        let days = age.map(|age| age.as_secs() / (24 * 60 * 60));
        tracing::info!(days, "set the age of compression");
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
        let table = history.table();
        tracing::info!(table, partitions = dropped, "dropped old partitions");
    }
    Ok(())
}

/// Rows that are deleted batch by batch.
#[derive(Clone, Copy)]
enum Old {
    EventIds(Duration),
    DeadLetters(Duration),
    Expired(Expiring),
}

impl Old {
    const fn table(self) -> &'static str {
        match self {
            Self::EventIds(_) => "processed_events",
            Self::DeadLetters(_) => "dead_letters",
            Self::Expired(what) => what.table,
        }
    }

    async fn delete(self, connection: &mut PgConnection) -> Result<u64> {
        match self {
            Self::EventIds(age) => retention::purge_event_ids(connection, age, ROWS_AT_ONCE).await,
            Self::DeadLetters(age) => {
                retention::purge_dead_letters(connection, age, ROWS_AT_ONCE).await
            }
            Self::Expired(what) => retention::remove_expired(connection, what, ROWS_AT_ONCE).await,
        }
    }
}

async fn delete(pool: &PgPool, old: Old) -> Result<()> {
    let mut total = 0;
    loop {
        let mut transaction = pool.begin().await?;
        if !retention::may_do_alone(&mut transaction, old.table()).await? {
            return Ok(());
        }
        let deleted = old.delete(&mut transaction).await?;
        transaction.commit().await?;
        total += deleted;
        if deleted < u64::from(ROWS_AT_ONCE) {
            break;
        }
    }

    if total > 0 {
        tracing::info!(table = old.table(), rows = total, "deleted old rows");
    }

    Ok(())
}
