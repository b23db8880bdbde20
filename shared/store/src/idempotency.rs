//! Idempotency keys: stored responses for repeated calls.

use crate::error::{Conflict, Error, Result};
use crate::lanes::columns::convert;
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use tiris_domain::ids::UserId;
use uuid::Uuid;

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

/// A stored body at most, in bytes. Of a larger response only a part is stored, or nothing.
pub const BODY_BYTES_MAX: usize = 32 * 1024;

/// What is stored of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored<'a> {
    /// The body.
    Whole(&'a str),
    /// The body without the [`FreeText`] of the rows that were booked.
    WithoutFreeText(&'a str),
    /// Only the status: a repeated call reads the resource again.
    Nothing,
}

/// The response to an earlier call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is stored.
    Kept(Kept),
    /// It is stored without the [`FreeText`] of the rows that were booked at this time.
    WithoutFreeText(Kept, DateTime<Utc>),
    /// Only its HTTP status is stored: the resource has to be read again.
    Reread(u16),
}

/// The free JSON and the message of a row, which its owner has written.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct FreeText {
    /// Id of the row.
    pub id: Uuid,
    /// Its free JSON.
    pub info: Value,
    /// Its message, if it can have one.
    pub message: Option<String>,
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
         status = excluded.status, body = NULL, info = excluded.info, expires_at = excluded.expires_at, created_at = excluded.created_at \
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
    let row: Option<Row> = sqlx::query_as(
        "SELECT body_hmac = $5 AS is_same_body, status, body, (info->>'booked_at')::timestamptz AS booked_at \
         FROM idempotency_keys \
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
    let status = convert(row.status)?;
    Ok(Some(match (row.body, row.booked_at) {
        (Some(body), None) => Found::Kept(Kept { status, body }),
        (Some(body), Some(time)) => Found::WithoutFreeText(Kept { status, body }, time),
        (None, _) => Found::Reread(status),
    }))
}

#[derive(sqlx::FromRow)]
struct Row {
    is_same_body: bool,
    status: i32,
    body: Option<String>,
    /// The time of the rows whose free text is missing in the body.
    booked_at: Option<DateTime<Utc>>,
}

/// Stores or replaces the response to a claimed call. In a transaction that booked at `booked_at` it is the last statement,
/// and fails like [`assert_fresh`](crate::ledger::assert_fresh): together they save a round trip.
pub async fn keep(
    connection: &mut PgConnection,
    call: &Call,
    status: u16,
    stored: Stored<'_>,
    booked_at: Option<DateTime<Utc>>,
) -> Result<()> {
    let (body, is_partial) = match stored {
        Stored::Whole(body) => (Some(body), false),
        Stored::WithoutFreeText(body) => (Some(body), true),
        Stored::Nothing => (None, false),
    };

    sqlx::query(
        "WITH kept AS (UPDATE idempotency_keys SET status = $5, body = $6, \
             info = CASE WHEN $8 THEN jsonb_build_object('booked_at', $7::timestamptz) ELSE '{}' END \
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
    .bind(is_partial)
    .execute(connection)
    .await?;

    Ok(())
}

/// Returns the free texts of these sub-accounts, trading logs and transactions of a user, as far as they exist; logs and
/// transactions were booked at `booked_at`.
pub async fn free_texts(
    connection: &mut PgConnection,
    user: UserId,
    ids: &[Uuid],
    booked_at: DateTime<Utc>,
) -> Result<Vec<FreeText>> {
    let rows = sqlx::query_as(
        "SELECT id, info, NULL AS message FROM sub_accounts WHERE user_id = $1 AND id = ANY($2) \
         UNION ALL SELECT id, info, message FROM trading_logs \
             WHERE user_id = $1 AND id = ANY($2) AND timestamp = $3 \
         UNION ALL SELECT id, info, NULL FROM transactions \
             WHERE user_id = $1 AND id = ANY($2) AND timestamp = $3",
    )
    .bind(user.0)
    .bind(ids)
    .bind(booked_at)
    .fetch_all(connection)
    .await?;
    Ok(rows)
}
