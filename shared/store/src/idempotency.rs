//! Answers that are given again when the same call is repeated.
//!
//! Owns: the rows of `idempotency_keys`. Must not know: HTTP, what a call does.

use crate::error::{Conflict, Error, Result};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tiris_domain::ids::UserId;

/// Hours an answer is kept.
const KEPT_HOURS: i32 = 24;

/// A call as its caller names it.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// Whose.
    pub user: UserId,
    /// What is done.
    pub method: &'a str,
    /// To what.
    pub path: &'a str,
    /// What the caller calls it.
    pub key: &'a str,
    /// Tells another body.
    pub body_hmac: &'a [u8],
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
pub async fn claim(connection: &mut PgConnection, call: &Call<'_>, status: u16) -> Result<bool> {
    // An update rather than nothing: it takes over what has expired, and keeps the row where it is when it has not.
    let claimed = sqlx::query(
        "INSERT INTO idempotency_keys AS k (user_id, method, path, key, body_hmac, status, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(hours => $7)) \
         ON CONFLICT (user_id, method, path, key) DO UPDATE SET body_hmac = excluded.body_hmac, \
         status = excluded.status, body = NULL, expires_at = excluded.expires_at, created_at = excluded.created_at \
         WHERE k.expires_at <= now()",
    )
    .bind(call.user.0)
    .bind(call.method)
    .bind(call.path)
    .bind(call.key)
    .bind(call.body_hmac)
    .bind(i32::from(status))
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
pub async fn find(connection: &mut PgConnection, call: &Call<'_>) -> Result<Option<Kept>> {
    let row: Option<StoredAnswer> = sqlx::query_as(
        "SELECT body_hmac = $5 AS is_same_body, status, body FROM idempotency_keys \
         WHERE user_id = $1 AND method = $2 AND path = $3 AND key = $4 AND expires_at > now()",
    )
    .bind(call.user.0)
    .bind(call.method)
    .bind(call.path)
    .bind(call.key)
    .bind(call.body_hmac)
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

/// Keeps what was answered to a call this transaction has claimed, or answers anew. It is the last statement also of a
/// transaction that wrote a batch at `booked_at`: then it fails as `ledger::assert_fresh` does.
pub async fn keep(
    connection: &mut PgConnection,
    call: &Call<'_>,
    body: &str,
    booked_at: Option<DateTime<Utc>>,
) -> Result<()> {
    sqlx::query(
        "WITH kept AS (UPDATE idempotency_keys SET body = $5 \
             WHERE user_id = $1 AND method = $2 AND path = $3 AND key = $4) \
         SELECT assert_fresh($6)",
    )
    .bind(call.user.0)
    .bind(call.method)
    .bind(call.path)
    .bind(call.key)
    .bind(body)
    .bind(booked_at)
    .execute(connection)
    .await?;

    Ok(())
}
