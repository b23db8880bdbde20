//! Encrypts credentials that earlier versions stored in the free JSON of exchange bindings.

use crate::routes::exchange_bindings::in_info;
use serde_json::Value;
use sqlx::types::Json;
use sqlx::{FromRow, PgPool};
use tiris_runtime::crypto::{KeyRing, SecretColumn};
use tiris_store::error::{Error, Result};
use uuid::Uuid;

/// Rows per query.
const PAGE: i64 = 100;

#[derive(FromRow)]
struct Row {
    id: Uuid,
    user_id: Option<Uuid>,
    info: Json<Value>,
    has_credentials: bool,
    has_passphrase: bool,
}

/// The outcome of a pass.
#[derive(Debug, Default)]
pub(super) struct Sealed {
    /// Bindings whose free JSON holds no credentials any more.
    pub(super) sealed: u64,
    /// Bindings that are left, because they have no other credentials, or were changed in the meantime.
    pub(super) left: Vec<Uuid>,
}

/// Moves the credentials in free JSON into the encrypted columns, each row in its own transaction. Works while the service
/// runs, and can be repeated at any time.
pub(super) async fn seal(pool: &PgPool, ring: &KeyRing) -> Result<Sealed> {
    let letters: Vec<&str> = in_info::letters_of_keys().collect();
    let mut outcome = Sealed::default();
    let mut after = Uuid::nil();

    loop {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT id, user_id, info, api_key_encrypted IS NOT NULL OR status = 'deleted' OR kind = 'public' AS has_credentials, \
             passphrase_encrypted IS NOT NULL OR status = 'deleted' OR kind = 'public' AS has_passphrase \
             FROM exchange_bindings WHERE id > $1 AND jsonb_typeof(info) = 'object' AND EXISTS ( \
             SELECT FROM jsonb_object_keys(info) key WHERE octet_length(key) <= $4 \
             AND lower(regexp_replace(key, '[^A-Za-z0-9]', '', 'g')) = ANY ($2)) \
              ORDER BY id LIMIT $3",
        )
        .bind(after)
        .bind(&letters)
        .bind(PAGE)
        .bind(in_info::KEY_BYTES_MAX)
        .fetch_all(pool)
        .await?;
        let Some(last) = rows.last() else {
            return Ok(outcome);
        };

        after = last.id;
        for row in rows {
            if row.has_credentials && seal_row(pool, ring, &row).await? {
                outcome.sealed += 1;
            } else {
                outcome.left.push(row.id);
            }
        }
    }
}

/// Encrypts the passphrase of a binding unless it has one, and removes all credentials from its free JSON. Key and secret
/// need not be encrypted again: the binding has them. Returns false when the row was changed in the meantime.
async fn seal_row(pool: &PgPool, ring: &KeyRing, row: &Row) -> Result<bool> {
    let found = in_info::passphrase(&row.info).filter(|_| !row.has_passphrase);
    let passphrase = match (found, row.user_id) {
        (Some(passphrase), Some(user)) => {
            let place = SecretColumn::PASSPHRASE.of(row.id, user);
            let sealed = ring.encrypt(&place, &passphrase);
            Some(sealed.map_err(|error| Error::Internal(error.into()))?)
        }
        _ => None,
    };

    let updated = sqlx::query(
        "UPDATE exchange_bindings SET info = info - $2::text[], \
         passphrase_encrypted = coalesce($3, passphrase_encrypted) WHERE id = $1 AND info = $4",
    )
    .bind(row.id)
    .bind(in_info::keys_in(&row.info))
    .bind(passphrase)
    .bind(&row.info)
    .execute(pool)
    .await?;
    Ok(updated.rows_affected() == 1)
}
