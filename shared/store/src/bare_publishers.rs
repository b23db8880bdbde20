//! Users with events on subjects that name no user. Events on the two forms of subjects are not ordered between each other,
//! so a user should use one form only.

use crate::error::Result;
use sqlx::PgConnection;
use uuid::Uuid;

/// Records that events of `users` used a bare subject, at most once a minute each. Sorted, so that concurrent calls wait for
/// each other instead of deadlocking.
pub async fn note(connection: &mut PgConnection, users: &[Uuid]) -> Result<()> {
    sqlx::query(
        "INSERT INTO bare_publishers (user_id, last_seen_at) \
         SELECT DISTINCT id, clock_timestamp() FROM UNNEST($1::uuid[]) AS u (id) ORDER BY id \
         ON CONFLICT (user_id) DO UPDATE SET last_seen_at = excluded.last_seen_at \
         WHERE bare_publishers.last_seen_at < excluded.last_seen_at - interval '1 minute'",
    )
    .bind(users)
    .execute(connection)
    .await?;
    Ok(())
}

/// Returns those of `users` with events on a bare subject within the last hour.
pub async fn seen_lately(connection: &mut PgConnection, users: &[Uuid]) -> Result<Vec<Uuid>> {
    Ok(sqlx::query_scalar(
        "SELECT user_id FROM bare_publishers \
         WHERE user_id = ANY($1) AND last_seen_at > clock_timestamp() - interval '1 hour' ORDER BY user_id",
    )
    .bind(users)
    .fetch_all(connection)
    .await?)
}
