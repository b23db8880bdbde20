//! Where each lane is and where its stream is, by the same judgement the lane makes itself.

use crate::connection::Connection;
use crate::identity::{self, Mismatch, Position, StreamState};
use crate::reader::{self, LaneId};
use crate::stream::EventStream;
use sqlx::PgPool;
use tiris_store::error::Result;

/// A lane beside its stream.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) id: LaneId,
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
    lane: i32,
    epoch: i64,
    host: Option<String>,
    cursor: i64,
    fingerprint: Option<Vec<u8>>,
    stream_created_at: i64,
}

/// Every lane there is.
pub(super) async fn read(pool: &PgPool, connection: &Connection) -> Result<Vec<Place>> {
    let mut places = Vec::new();
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
        let lanes = u32::try_from(rows.len())
            .unwrap_or(u32::MAX)
            .saturating_sub(1);
        for row in rows {
            places.push(place(connection, stream, lanes, row).await?);
        }
    }
    Ok(places)
}

async fn place(
    connection: &Connection,
    stream: EventStream,
    lanes: u32,
    row: Row,
) -> Result<Place> {
    let cursor = u64::try_from(row.cursor).unwrap_or(0);
    let (state, at_cursor) = reader::look_at(connection, stream, cursor).await?;
    let position = Position {
        lanes,
        stream_created_at: row.stream_created_at,
        cursor,
        fingerprint: row.fingerprint.as_deref(),
    };
    let mismatch = identity::judge(&state, &position, at_cursor.as_deref()).err();
    Ok(Place {
        id: LaneId {
            stream,
            lane: u32::try_from(row.lane).unwrap_or(0),
        },
        epoch: row.epoch,
        host: row.host,
        cursor,
        stream_created_at: row.stream_created_at,
        stream: state,
        mismatch,
    })
}
