//! Event ids that the refused replay of a malformed dead letter gives back. Such a message claimed no id when it arrived, and
//! the event may still be published correctly.

use crate::column::values;
use crate::error::Result;
use crate::lanes::columns::{convert, sequences};
use crate::ledger::Entry;
use sqlx::PgConnection;
use std::collections::HashSet;
use tiris_domain::lane::EventStream;
use tiris_domain::states::DeadLetterClass;

/// Deletes the claims that refused entries of malformed dead letters have made. Claims of other messages stay.
pub(super) async fn release(connection: &mut PgConnection, refused: &[&Entry]) -> Result<()> {
    let claims = refused.iter().filter_map(|entry| {
        let claim = entry.claim.as_ref()?;
        Some((entry.user.0, claim))
    });
    let claims: Vec<_> = claims.collect();
    if claims.is_empty() {
        return Ok(());
    }

    sqlx::query(
        "DELETE FROM processed_events p \
         USING UNNEST($1::uuid[], $2::text[], $3::text[], $4::bigint[]) AS t (user_id, event_id, stream, stream_seq) \
         WHERE p.user_id = t.user_id AND p.event_id = t.event_id AND p.stream = t.stream \
           AND p.stream_seq = t.stream_seq AND p.outcome = 'dead'",
    )
    .bind(values(&claims, |(user, _)| *user))
    .bind(values(&claims, |(_, claim)| claim.event_id.as_str()))
    .bind(values(&claims, |(_, claim)| claim.stream.name()))
    .bind(sequences(claims.iter().map(|(_, claim)| claim.stream_seq))?)
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes the claims that those refused entries have made whose messages have an open dead letter of class malformed. All
/// are of the stream created at `stream_created_at`.
pub async fn release_malformed(
    connection: &mut PgConnection,
    stream: EventStream,
    stream_created_at: i64,
    refused: &[&Entry],
) -> Result<()> {
    let claims = refused.iter().filter_map(|entry| entry.claim.as_ref());
    let seqs = sequences(claims.map(|claim| claim.stream_seq))?;
    if seqs.is_empty() {
        return Ok(());
    }

    let malformed: Vec<i64> = sqlx::query_scalar(
        "SELECT stream_seq FROM dead_letters WHERE stream = $1 AND stream_created_at = $2 AND stream_seq = ANY($3) \
         AND status = 'open' AND class = $4",
    )
    .bind(stream.name())
    .bind(stream_created_at)
    .bind(seqs)
    .bind(DeadLetterClass::Malformed.as_str())
    .fetch_all(&mut *connection)
    .await?;
    let malformed = malformed.into_iter().map(convert);
    let malformed = malformed.collect::<Result<HashSet<u64>>>()?;
    let is_malformed = |entry: &&&Entry| {
        let claim = entry.claim.as_ref();
        claim.is_some_and(|claim| malformed.contains(&claim.stream_seq))
    };
    let refused: Vec<&Entry> = refused.iter().filter(is_malformed).copied().collect();
    release(connection, &refused).await
}
