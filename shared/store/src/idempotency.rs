//! Idempotency keys: stored responses for repeated calls.

use crate::error::{Conflict, Error, Result};
use crate::lanes::columns::convert;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use tiris_domain::ids::UserId;

/// Lifetime of a stored response in hours.
const KEPT_HOURS: i32 = 24;

/// The identity of a call.
#[derive(Clone, Debug)]
pub struct Call {
    /// The caller.
    pub user: UserId,
    /// The method of the request.
    pub method: String,
    /// The path of the request.
    pub path: String,
    /// The idempotency key.
    pub key: String,
    /// Keyed hash of the body.
    pub body_hmac: Vec<u8>,
}

/// A stored body at most, in bytes: a larger response is made again by reading.
pub const BODY_BYTES_MAX: usize = 32 * 1024;

/// The response to an earlier call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is stored.
    Kept(Kept),
    /// Only its HTTP status is stored: the resource has to be read again.
    Reread(u16),
}

/// A stored response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// HTTP status.
    pub status: u16,
    /// Body of the response.
    pub body: String,
}

/// Claims a call for this transaction. Returns false when it already has a response. Waits while another transaction holds
/// the claim: after its rollback the claim succeeds, after its commit the response can be read.
pub async fn claim(connection: &mut PgConnection, call: &Call) -> Result<bool> {
    // The update takes over expired rows only.
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

/// Returns the response to an earlier call.
///
/// # Errors
/// [`Conflict::IdempotencyKeyReused`] when the earlier call had another body.
pub async fn find(connection: &mut PgConnection, call: &Call) -> Result<Option<Found>> {
    let row: Option<(bool, i32, Option<String>)> = sqlx::query_as(
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
    let Some((is_same_body, status, body)) = row else {
        return Ok(None);
    };

    if !is_same_body {
        return Err(Error::Conflict(Conflict::IdempotencyKeyReused));
    }
    let status = convert(status)?;
    Ok(Some(match body {
        Some(body) => Found::Kept(Kept { status, body }),
        None => Found::Reread(status),
    }))
}

/// Stores or replaces the response to a claimed call; without a body it is read again when the call is repeated. In a transaction that booked at `booked_at` it is the last statement,
/// and fails like [`assert_fresh`](crate::ledger::assert_fresh): together they save a round trip.
pub async fn keep(
    connection: &mut PgConnection,
    call: &Call,
    status: u16,
    body: Option<&str>,
    booked_at: Option<DateTime<Utc>>,
) -> Result<()> {
    sqlx::query(
        "WITH kept AS (UPDATE idempotency_keys SET status = $5, body = $6 \
             WHERE user_id = $1 AND method = $2 AND path = $3 AND key = $4) \
         SELECT assert_fresh($7)",
    )
    .bind(call.user.0)
    .bind(&call.method)
    .bind(&call.path)
    .bind(&call.key)
    .bind(i32::from(status))
    .bind(body)
    .bind(booked_at)
    .execute(connection)
    .await?;

    Ok(())
}
