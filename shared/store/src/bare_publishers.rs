//! Users whose events come by subjects that name no user. The two forms of subjects keep no order between them, so that
//! one user should use one form only.

use crate::error::Result;
use sqlx::PgConnection;
use uuid::Uuid;

/// Notes that events of `users` came by a bare subject, at most once a minute each. Sorted, so that two that note the
/// same users wait for each other instead of deadlocking.
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

/// Those of `users` whose events came by a bare subject within the last hour.
pub async fn seen_lately(connection: &mut PgConnection, users: &[Uuid]) -> Result<Vec<Uuid>> {
    let seen = sqlx::query_scalar(
        "SELECT user_id FROM bare_publishers \
         WHERE user_id = ANY($1) AND last_seen_at > clock_timestamp() - interval '1 hour' ORDER BY user_id",
    )
    .bind(users)
    .fetch_all(connection)
    .await?;
    Ok(seen)
}
