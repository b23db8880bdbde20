//! Where each lane is and where its stream is, by the same judgement the lane makes itself.

use crate::connection::Connection;
use crate::stream::{Mismatch, Position, StreamState, fingerprint_at, judge, state_of};
use sqlx::PgPool;
use tiris_domain::lane::{EventStream, LaneKey};
use tiris_store::error::{Error, Result};

/// A lane beside its stream.
#[derive(Clone, Debug)]
pub(super) struct Located {
    pub(super) key: LaneKey,
    pub(super) epoch: i64,
    /// Where its owner runs, when it has one.
    pub(super) host: Option<String>,
    pub(super) cursor: u64,
    pub(super) stream_created_at: i64,
    pub(super) stream: StreamState,
    pub(super) mismatch: Option<Mismatch>,
}

#[derive(sqlx::FromRow)]
struct Row {
    #[sqlx(try_from = "i32")]
    lane: u16,
    epoch: i64,
    host: Option<String>,
    #[sqlx(try_from = "i64")]
    cursor: u64,
    fingerprint: Option<Vec<u8>>,
    stream_created_at: i64,
}

/// Every lane there is.
pub(super) async fn read(pool: &PgPool, connection: &Connection) -> Result<Vec<Located>> {
    let mut all = Vec::new();
    for stream in EventStream::ALL {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT l.lane, l.epoch, w.host, l.cursor, l.fingerprint, l.stream_created_at FROM ingest_lanes l \
             LEFT JOIN ingest_workers w ON w.owner_token = l.owner AND l.lease_until > clock_timestamp() \
             WHERE l.stream = $1 ORDER BY l.lane",
        )
        .bind(stream.name())
        .fetch_all(pool)
        .await?;
        // The last lane is that of the subjects without a user.
        let lanes = rows.len().saturating_sub(1);
        let lanes = u16::try_from(lanes).map_err(|error| Error::Internal(error.into()))?;
        for row in rows {
            all.push(locate(connection, stream, lanes, row).await?);
        }
    }

    Ok(all)
}

async fn locate(
    connection: &Connection,
    stream: EventStream,
    lanes: u16,
    row: Row,
) -> Result<Located> {
    let state = state_of(connection, stream).await?;
    let at_cursor = fingerprint_at(connection, stream, &state, row.cursor).await?;
    let position = Position {
        lanes,
        stream_created_at: row.stream_created_at,
        cursor: row.cursor,
        fingerprint: row.fingerprint.as_deref(),
    };
    let mismatch = judge(&state, &position, at_cursor.as_deref()).err();

    Ok(Located {
        key: LaneKey {
            stream,
            lane: row.lane,
        },
        epoch: row.epoch,
        host: row.host,
        cursor: row.cursor,
        stream_created_at: row.stream_created_at,
        stream: state,
        mismatch,
    })
}
