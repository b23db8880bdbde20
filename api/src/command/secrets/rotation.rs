//! Moves ciphertexts to the current encryption key, while others read and write them, and tries whether all can be read.
//!
//! Owns: which tables hold ciphertexts, and the batches of a rotation. Must not know: where keys come from.
//!
//! The ciphertext itself says which key it is under, so the column `key_id` is only told, never asked. A row is changed
//! where its ciphertexts are still those that were read: whoever writes meanwhile wins, and the next pass looks again.

use secrecy::SecretString;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, PgPool, Row as _};
use tiris_runtime::crypto::{KeyRing, Place, SecretColumn};
use tiris_store::error::Result;
use uuid::Uuid;

/// Columns of one table.
type Ciphertexts = [Option<Vec<u8>>; 3];

/// A table with ciphertexts; one of fewer than three columns reads nulls.
struct Table {
    name: &'static str,
    columns: &'static [SecretColumn],
    page: &'static str,
    update: &'static str,
}

const TABLES: [Table; 2] = [
    Table {
        name: "exchange_bindings",
        columns: &[
            SecretColumn::API_KEY,
            SecretColumn::API_SECRET,
            SecretColumn::PASSPHRASE,
        ],
        page: "SELECT id, user_id, api_key_encrypted, api_secret_encrypted, passphrase_encrypted FROM exchange_bindings \
               WHERE id > $1 AND num_nonnulls(api_key_encrypted, api_secret_encrypted, passphrase_encrypted) > 0 \
               ORDER BY id LIMIT $2",
        update: "UPDATE exchange_bindings SET api_key_encrypted = $2, api_secret_encrypted = $3, passphrase_encrypted = $4, \
                 key_id = $8 WHERE id = $1 AND api_key_encrypted IS NOT DISTINCT FROM $5 \
                 AND api_secret_encrypted IS NOT DISTINCT FROM $6 AND passphrase_encrypted IS NOT DISTINCT FROM $7",
    },
    Table {
        name: "oauth_identities",
        columns: &[SecretColumn::ACCESS_TOKEN, SecretColumn::REFRESH_TOKEN],
        page: "SELECT id, user_id, access_token_encrypted, refresh_token_encrypted, NULL::bytea FROM oauth_identities \
               WHERE id > $1 AND num_nonnulls(access_token_encrypted, refresh_token_encrypted) > 0 \
               ORDER BY id LIMIT $2",
        update: "UPDATE oauth_identities SET access_token_encrypted = $2, refresh_token_encrypted = $3, key_id = $8 \
                 WHERE id = $1 AND access_token_encrypted IS NOT DISTINCT FROM $5 \
                 AND refresh_token_encrypted IS NOT DISTINCT FROM $6 AND $4::bytea IS NOT DISTINCT FROM $7::bytea",
    },
];

/// What a pass over all tables did.
#[derive(Debug, Default)]
pub(super) struct Pass {
    /// Rows that are under the current key now.
    pub(super) rotated: u64,
    /// Rows that were changed by others meanwhile.
    pub(super) overtaken: u64,
}

/// Rows with a ciphertext that is not under the current key.
pub(super) async fn count_outdated(pool: &PgPool, ring: &KeyRing, batch: u16) -> Result<u64> {
    let prefix = ring.current_prefix();
    let mut count = 0;
    for table in &TABLES {
        let mut rows = Rows::of(pool, table, batch);
        while let Some(row) = rows.next().await? {
            count += u64::from(row.is_outdated(&prefix));
        }
    }

    Ok(count)
}

/// Goes once through all rows that are not under the current key, `batch` at a time; each row is a transaction of its
/// own, so it can be ended at any moment and started again.
pub(super) async fn rotate(
    pool: &PgPool,
    ring: &KeyRing,
    batch: u16,
    mut done: impl FnMut(u64),
) -> Result<Pass> {
    let prefix = ring.current_prefix();
    let mut pass = Pass::default();
    for table in &TABLES {
        let mut rows = Rows::of(pool, table, batch);
        while let Some(row) = rows.next().await? {
            if row.is_outdated(&prefix) {
                rotate_row(pool, table, ring, row, &mut pass).await?;
                done(1);
            }
        }
    }

    Ok(pass)
}

/// What came of reading every row.
#[derive(Debug, Default)]
pub(super) struct Check {
    /// Rows whose ciphertexts can all be read.
    pub(super) readable: u64,
    /// Rows of which one cannot.
    pub(super) unreadable: u64,
    /// The first of these and why each cannot be read, no more than asked for.
    pub(super) named: Vec<String>,
}

/// Decrypts every row, also those under the current key, `batch` at a time: only that finds a key that was replaced under
/// the same id.
pub(super) async fn check(
    pool: &PgPool,
    ring: &KeyRing,
    batch: u16,
    named_max: usize,
    mut done: impl FnMut(u64),
) -> Result<Check> {
    let mut check = Check::default();
    for table in &TABLES {
        let mut rows = Rows::of(pool, table, batch);
        while let Some(row) = rows.next().await? {
            done(1);
            let Err(why) = opened(table, ring, &row) else {
                check.readable += 1;
                continue;
            };

            check.unreadable += 1;
            if check.named.len() < named_max {
                let named = format!("{} {}: {why}", table.name, row.id);
                check.named.push(named);
            }
        }
    }

    Ok(check)
}

/// A row with a ciphertext.
struct Row {
    id: Uuid,
    user: Option<Uuid>,
    old: Ciphertexts,
}

impl<'r> FromRow<'r, PgRow> for Row {
    fn from_row(row: &'r PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get(0)?,
            user: row.try_get(1)?,
            old: [row.try_get(2)?, row.try_get(3)?, row.try_get(4)?],
        })
    }
}

impl Row {
    fn is_outdated(&self, prefix: &[u8]) -> bool {
        self.old
            .iter()
            .flatten()
            .any(|stored| !stored.starts_with(prefix))
    }
}

/// The rows of a table that hold ciphertexts, read page by page.
struct Rows<'a> {
    pool: &'a PgPool,
    table: &'a Table,
    batch: u16,
    after: Uuid,
    page: std::vec::IntoIter<Row>,
}

impl<'a> Rows<'a> {
    fn of(pool: &'a PgPool, table: &'a Table, batch: u16) -> Self {
        Self {
            pool,
            table,
            batch,
            after: Uuid::nil(),
            page: Vec::new().into_iter(),
        }
    }

    async fn next(&mut self) -> Result<Option<Row>> {
        if self.page.as_slice().is_empty() {
            let page: Vec<Row> = sqlx::query_as(self.table.page)
                .bind(self.after)
                .bind(i64::from(self.batch))
                .fetch_all(self.pool)
                .await?;
            self.page = page.into_iter();
        }

        let row = self.page.next();
        self.after = row.as_ref().map_or(self.after, |row| row.id);
        Ok(row)
    }
}

/// A ciphertext's place, and what it says.
type Opened = Option<(Place, SecretString)>;

/// What the columns of a row hold.
fn opened(table: &Table, ring: &KeyRing, row: &Row) -> Result<[Opened; 3], String> {
    let user = row
        .user
        .ok_or("it belongs to no user, so nothing can have been encrypted for it")?;
    let mut all: [Opened; 3] = [None, None, None];
    for ((column, stored), opened) in table.columns.iter().zip(&row.old).zip(&mut all) {
        let Some(stored) = stored else { continue };
        let place = column.of(row.id, user);
        let secret = ring
            .decrypt(&place, stored)
            .map_err(|error| error.to_string())?;
        *opened = Some((place, secret));
    }
    Ok(all)
}

/// The same under the current key.
fn rewritten(table: &Table, ring: &KeyRing, row: &Row) -> Result<Ciphertexts, String> {
    let encrypt = |(place, secret): (Place, SecretString)| {
        let encrypted = ring.encrypt(&place, &secret);
        encrypted.map_err(|error| error.to_string())
    };
    let [a, b, c] = opened(table, ring, row)?.map(|opened| opened.map(encrypt).transpose());
    Ok([a?, b?, c?])
}

async fn rotate_row(
    pool: &PgPool,
    table: &Table,
    ring: &KeyRing,
    row: Row,
    pass: &mut Pass,
) -> Result<()> {
    // What cannot be read stays as it is, for [`check`] to name.
    let Ok(new) = rewritten(table, ring, &row) else {
        return Ok(());
    };

    let mut update = sqlx::query(table.update).bind(row.id);
    for ciphertext in new.iter().chain(&row.old) {
        update = update.bind(ciphertext.as_ref());
    }
    let update = update.bind(ring.current_id());
    match update.execute(pool).await?.rows_affected() {
        0 => pass.overtaken += 1,
        _ => pass.rotated += 1,
    }
    Ok(())
}
