//! Answers that are given again when the same call is repeated.
//!
//! Owns: the rows of `idempotency_keys`. Must not know: HTTP, what a call does.

use crate::error::{Conflict, Error, Result};
use sqlx::PgConnection;
use tiris_domain::ids::UserId;

/// Hours an answer is kept.
const KEPT_HOURS: i32 = 24;

/// A call as its caller names it.
#[derive(Clone, Debug)]
pub struct Call {
    /// The caller.
    pub user: UserId,
    /// The method of the request.
    pub method: String,
    /// The path of the request.
    pub path: String,
    /// The key the caller has chosen.
    pub key: String,
    /// Differs when the body does.
    pub body_hmac: Vec<u8>,
}

/// The answer to an earlier call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// HTTP status.
    pub status: u16,
    /// What it said.
    pub body: String,
}

/// Makes the call this transaction's, unless it was answered before; false when it was. Waits while another
/// transaction has it: when that is rolled back the call is ours, when it commits its answer can be read.
pub async fn claim(connection: &mut PgConnection, call: &Call) -> Result<bool> {
    // An update rather than nothing: it takes over what has expired, and keeps the row where it is when it has not.
    let claimed = sqlx::query(
        "INSERT INTO idempotency_keys AS k (user_id, method, path, key, body_hmac, status, expires_at) \
         VALUES ($1, $2, $3, $4, $5, 200, now() + make_interval(hours => $6)) \
         ON CONFLICT (user_id, method, path, key) DO UPDATE SET body_hmac = excluded.body_hmac, \
         status = excluded.status, body = NULL, expires_at = excluded.expires_at, created_at = excluded.created_at \
         WHERE k.expires_at <= now()",
    )
    .bind(call.user.0)
    .bind(&call.method)
    .bind(&call.path)
    .bind(&call.key)
    .bind(&call.body_hmac)
    .bind(KEPT_HOURS)
    .execute(connection)
    .await?;

    Ok(claimed.rows_affected() == 1)
}

#[derive(sqlx::FromRow)]
struct StoredAnswer {
    is_same_body: bool,
    status: i32,
    body: Option<String>,
}

/// The answer to the same call before.
///
/// # Errors
/// [`Conflict::IdempotencyKeyReused`] when its body was another one.
pub async fn find(connection: &mut PgConnection, call: &Call) -> Result<Option<Kept>> {
    let row: Option<StoredAnswer> = sqlx::query_as(
        "SELECT body_hmac = $5 AS is_same_body, status, body FROM idempotency_keys \
         WHERE user_id = $1 AND method = $2 AND path = $3 AND key = $4 AND expires_at > now()",
    )
    .bind(call.user.0)
    .bind(&call.method)
    .bind(&call.path)
    .bind(&call.key)
    .bind(&call.body_hmac)
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else {
        return Ok(None);
    };

    if !row.is_same_body {
        return Err(Error::Conflict(Conflict::IdempotencyKeyReused));
    }
    let status = u16::try_from(row.status).map_err(|error| Error::Internal(error.into()))?;
    let body = row
        .body
        .ok_or_else(|| Error::internal("an idempotency key was committed without its answer"))?;
    Ok(Some(Kept { status, body }))
}

/// Stores the answer to a call that was claimed, or another answer instead of the stored one.
pub async fn keep(
    connection: &mut PgConnection,
    call: &Call,
    status: u16,
    body: &str,
) -> Result<()> {
    sqlx::query(
        "UPDATE idempotency_keys SET status = $5, body = $6 \
         WHERE user_id = $1 AND method = $2 AND path = $3 AND key = $4",
    )
    .bind(call.user.0)
    .bind(&call.method)
    .bind(&call.path)
    .bind(&call.key)
    .bind(i32::from(status))
    .bind(body)
    .execute(connection)
    .await?;

    Ok(())
}
