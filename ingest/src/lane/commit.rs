//! The transaction of a batch of messages: their effects, their dead letters and the cursor, all or nothing.

use super::position::{LanePosition, Locked};
use crate::context::Context;
use crate::dead_letters::letters;
use crate::plan::{Item, entries};
use crate::transaction::{settle, within_limit};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tiris_runtime::trace;
use tiris_store::dead_letters;
use tiris_store::error::{Error, Result};
use tiris_store::lanes::{self, LaneState};
use tiris_store::ledger::{self, Batch, Cause, Claims, Disposition, Entry, Waiting};
use tracing::{Instrument, error_span};

/// What a transaction came to.
pub(super) enum Commit {
    /// The batch is committed: what became of each message.
    Done(Vec<Disposition>),
    /// Nothing was written: the cursor was moved.
    Moved(LaneState),
    /// Nothing was written: another worker has the lane.
    Lost,
}

/// Commits `items` and moves the cursor behind them. With `failure` the single item is put aside as a dead letter
/// instead of being applied.
pub(super) async fn commit(
    context: &Context,
    position: &LanePosition,
    items: &[Item],
    failure: Option<&Error>,
) -> Result<Commit> {
    let mut connection = context.pool.acquire().await?;
    let transaction = transact(context, &mut connection, position, items, failure)
        .instrument(error_span!("commit"));
    let outcome = within_limit(transaction).await;

    settle(connection, outcome)
}

async fn transact(
    context: &Context,
    connection: &mut PgConnection,
    position: &LanePosition,
    items: &[Item],
    failure: Option<&Error>,
) -> Result<Commit> {
    let Some(last) = items.last() else {
        return Ok(Commit::Done(Vec::new()));
    };
    let mut transaction = connection
        .begin_with(AssertSqlSafe(trace::begin_statement()))
        .await?;
    match position.lock(&mut transaction).await? {
        Locked::Ours => {}
        Locked::Moved(state) => return Ok(Commit::Moved(state)),
        Locked::Lost => return Ok(Commit::Lost),
    }

    let mut booked_at = None;
    let dispositions = match failure {
        None => {
            let batch = apply(&mut transaction, position, items).await?;
            booked_at = Some(batch.timestamp);
            batch.dispositions
        }
        Some(error) => put_aside(&mut transaction, items, error).await?,
    };
    let letters = letters(
        items,
        &dispositions,
        position.key,
        position.stream_created_at,
    );
    dead_letters::insert(&mut transaction, &letters).await?;

    let fingerprint = last.message.fingerprint();
    let to = lanes::Move {
        cursor: last.message.stream_seq,
        fingerprint: Some(&fingerprint),
        events: items.len(),
        booked_at,
    };
    lanes::move_cursor(&mut transaction, position.key, to, context.lease).await?;
    transaction.commit().await?;
    Ok(Commit::Done(dispositions))
}

async fn apply(
    transaction: &mut PgConnection,
    position: &LanePosition,
    items: &[Item],
) -> Result<Batch> {
    let keys = entries(items).map(Entry::key).collect();
    let waiting = Waiting {
        keys: dead_letters::waiting_keys(transaction, position.key, keys).await?,
        ..Waiting::default()
    };

    ledger::apply(transaction, items, Claims::New, waiting, rand::random()).await
}

async fn put_aside(
    transaction: &mut PgConnection,
    items: &[Item],
    error: &Error,
) -> Result<Vec<Disposition>> {
    let entries: Vec<&Entry> = entries(items).collect();
    ledger::claim_dead(transaction, &entries).await?;

    let cause = Cause::internal(error);
    let dead = |_: &Item| Disposition::DeadLetter(cause.clone());
    Ok(items.iter().map(dead).collect())
}
