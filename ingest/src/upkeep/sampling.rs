//! Samples the metrics of dead letters, and of lanes without an owner.
//!
//! A task of its own, because alerts need the metrics also while the maintenance deletes for hours.

use crate::context::Context;
use crate::status::gauges;
use crate::stream::state_of;
use std::time::Duration;
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_store::error::Result;
use tiris_store::{dead_letters, retention};

const INTERVAL: Duration = Duration::from_secs(10);

/// Samples periodically. Of several failures in a row only the first is logged.
pub(crate) async fn run(context: Context) {
    let mut has_failed = false;

    loop {
        let sampled = sample(&context).await;
        if let Err(error) = &sampled
            && !has_failed
        {
            let error = error as &dyn std::error::Error;
            tracing::warn!(error, "could not sample the metrics of the lanes");
        }
        has_failed = sampled.is_err();
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Samples the open dead letters of this worker's lanes, and, one worker at a time, the lag of lanes without an owner.
async fn sample(context: &Context) -> Result<()> {
    let lanes: Vec<LaneKey> = context.board.lines().into_keys().collect();
    let mut connection = context.pool.acquire().await?;
    gauges::gauge_dead_letters(&dead_letters::count_by_class(&mut connection, &lanes).await?);
    gauges::gauge_waiting(&dead_letters::oldest_waiting(&mut connection, &lanes).await?);
    drop(connection);

    for stream in EventStream::ALL {
        let found = state_of(&context.connection, stream).await?;
        let created_at = found.created_at;
        let last_seq = found.last_seq;
        let mut transaction = context.pool.begin().await?;
        if retention::may_do_alone(&mut transaction, stream.name()).await? {
            retention::sample_free_lanes(&mut transaction, stream, created_at, last_seq).await?;
            transaction.commit().await?;
        }
    }
    Ok(())
}
