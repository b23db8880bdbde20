//! The stored position of each lane beside its stream.

use crate::connection::Connection;
use crate::stream::{Mismatch, StreamState, compare};
use sqlx::PgPool;
use tiris_domain::lane::LaneKey;
use tiris_store::error::{Error, Result};
use tiris_store::lanes::{self, LaneState};
use tiris_store::status;

/// A lane beside its stream.
pub(super) struct Located {
    pub(super) key: LaneKey,
    /// Host of the owner; None when the lane has none.
    pub(super) host: Option<String>,
    pub(super) state: LaneState,
    pub(super) stream: StreamState,
    pub(super) mismatch: Option<Mismatch>,
}

/// Reads all lanes, and compares each with its stream as the lane itself does.
pub(super) async fn read(pool: &PgPool, connection: &Connection) -> Result<Vec<Located>> {
    let mut all = Vec::new();
    let figures = status::read(pool).await?.lanes;
    for lane in &figures {
        let key = lane.key;
        let Some(state) = lanes::find(pool, key).await? else {
            continue;
        };
        let of_stream = figures
            .iter()
            .filter(|other| other.key.stream == key.stream);
        // Without the lane of subjects without a user.
        let lanes = of_stream.count() - 1;
        let lanes = u16::try_from(lanes).map_err(|error| Error::Internal(error.into()))?;

        let (stream, mismatch) = compare(connection, key.stream, lanes, &state).await?;
        all.push(Located {
            key,
            host: lane.host.clone(),
            state,
            stream,
            mismatch,
        });
    }

    Ok(all)
}
