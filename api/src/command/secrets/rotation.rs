//! Moves ciphertexts to the current encryption key during concurrent reads and writes, and verifies that all of them can be
//! decrypted.
//!
//! A ciphertext contains the id of its key, so the column `key_id` is written and never read. An update requires that the
//! ciphertexts are still those that were read: concurrent writes win, and the next pass tries again.

use secrecy::SecretString;
use sqlx::{FromRow, PgPool};
use tiris_runtime::crypto::{KeyRing, Place, SecretColumn};
use tiris_store::error::Result;
use uuid::Uuid;

/// Rows per query.
const PAGE: i64 = 100;
/// Maximum number of unreadable rows that are listed.
pub(super) const NAMED_MAX: usize = 20;

/// A table with columns of ciphertexts.
struct Table {
    name: &'static str,
    columns: &'static [SecretColumn],
    page: &'static str,
    update: &'static str,
}

static TABLES: [Table; 2] = [
    Table {
        name: "exchange_bindings",
        columns: &[
            SecretColumn::API_KEY,
            SecretColumn::API_SECRET,
            SecretColumn::PASSPHRASE,
        ],
        page: "SELECT id, user_id, ARRAY[api_key_encrypted, api_secret_encrypted, passphrase_encrypted] AS ciphertexts \
               FROM exchange_bindings \
               WHERE id > $1 AND num_nonnulls(api_key_encrypted, api_secret_encrypted, passphrase_encrypted) > 0 \
               ORDER BY id LIMIT $2",
        update: "UPDATE exchange_bindings SET api_key_encrypted = ($2::bytea[])[1], api_secret_encrypted = ($2::bytea[])[2], \
                 passphrase_encrypted = ($2::bytea[])[3], key_id = $4 \
                 WHERE id = $1 AND ARRAY[api_key_encrypted, api_secret_encrypted, passphrase_encrypted] = $3::bytea[]",
    },
    Table {
        name: "oauth_identities",
        columns: &[SecretColumn::ACCESS_TOKEN, SecretColumn::REFRESH_TOKEN],
        page: "SELECT id, user_id, ARRAY[access_token_encrypted, refresh_token_encrypted] AS ciphertexts \
               FROM oauth_identities WHERE id > $1 AND num_nonnulls(access_token_encrypted, refresh_token_encrypted) > 0 \
               ORDER BY id LIMIT $2",
        update: "UPDATE oauth_identities SET access_token_encrypted = ($2::bytea[])[1], \
                 refresh_token_encrypted = ($2::bytea[])[2], key_id = $4 \
                 WHERE id = $1 AND ARRAY[access_token_encrypted, refresh_token_encrypted] = $3::bytea[]",
    },
];

/// The outcome of a pass over all tables.
#[derive(Debug, Default)]
pub(super) struct Pass {
    /// Rows that were re-encrypted.
    pub(super) rotated: u64,
    /// Rows that changed in the meantime.
    pub(super) overtaken: u64,
}

/// Counts the rows with a ciphertext under another key than the current one.
pub(super) async fn count_outdated(pool: &PgPool, ring: &KeyRing) -> Result<u64> {
    let prefix = ring.current_prefix();
    let mut count = 0;
    let mut rows = Rows::new(pool);
    while let Some((_, row)) = rows.next().await? {
        count += u64::from(row.is_outdated(&prefix));
    }

    Ok(count)
}

/// Re-encrypts all rows under other keys once, each in its own transaction, so that it can be interrupted at any time.
pub(super) async fn rotate(
    pool: &PgPool,
    ring: &KeyRing,
    mut done: impl FnMut(u64),
) -> Result<Pass> {
    let prefix = ring.current_prefix();
    let mut pass = Pass::default();
    let mut rows = Rows::new(pool);
    while let Some((table, row)) = rows.next().await? {
        if row.is_outdated(&prefix) {
            rotate_row(pool, table, ring, row, &mut pass).await?;
            done(1);
        }
    }

    Ok(pass)
}

/// The outcome of decrypting every row.
#[derive(Debug, Default)]
pub(super) struct Check {
    /// Rows whose ciphertexts can all be decrypted.
    pub(super) readable: u64,
    /// Rows with a ciphertext that cannot.
    pub(super) unreadable: u64,
    /// The first unreadable rows with their errors.
    pub(super) named: Vec<String>,
}

/// Decrypts every row, including those under the current key, which finds a key that was replaced under the same id.
pub(super) async fn check(
    pool: &PgPool,
    ring: &KeyRing,
    mut done: impl FnMut(u64),
) -> Result<Check> {
    let mut check = Check::default();
    let mut rows = Rows::new(pool);
    while let Some((table, row)) = rows.next().await? {
        done(1);
        let Err(why) = decrypt(table, ring, &row) else {
            check.readable += 1;
            continue;
        };

        check.unreadable += 1;
        if check.named.len() < NAMED_MAX {
            let named = format!("{} {}: {why}", table.name, row.id);
            check.named.push(named);
        }
    }

    Ok(check)
}

/// A row with ciphertexts, by column. Arrays with equal elements are equal, also where elements are null.
#[derive(FromRow)]
struct Row {
    id: Uuid,
    user_id: Option<Uuid>,
    ciphertexts: Vec<Option<Vec<u8>>>,
}

impl Row {
    fn is_outdated(&self, prefix: &[u8]) -> bool {
        self.ciphertexts
            .iter()
            .flatten()
            .any(|stored| !stored.starts_with(prefix))
    }
}

/// The rows of all tables with ciphertexts, read page by page.
struct Rows<'a> {
    pool: &'a PgPool,
    tables: std::slice::Iter<'static, Table>,
    table: Option<&'static Table>,
    after: Uuid,
    page: std::vec::IntoIter<Row>,
}

impl<'a> Rows<'a> {
    fn new(pool: &'a PgPool) -> Self {
        let mut tables = TABLES.iter();
        Self {
            pool,
            table: tables.next(),
            tables,
            after: Uuid::nil(),
            page: Vec::new().into_iter(),
        }
    }

    async fn next(&mut self) -> Result<Option<(&'static Table, Row)>> {
        while let Some(table) = self.table {
            if let Some(row) = self.page.next() {
                self.after = row.id;
                return Ok(Some((table, row)));
            }

            let page: Vec<Row> = sqlx::query_as(table.page)
                .bind(self.after)
                .bind(PAGE)
                .fetch_all(self.pool)
                .await?;
            if page.is_empty() {
                self.table = self.tables.next();
                self.after = Uuid::nil();
            }
            self.page = page.into_iter();
        }

        Ok(None)
    }
}

/// Decrypts the columns of a row, each to its place and plaintext.
fn decrypt(
    table: &Table,
    ring: &KeyRing,
    row: &Row,
) -> Result<Vec<Option<(Place, SecretString)>>, String> {
    let user = row
        .user_id
        .ok_or("it has no user, so nothing can be encrypted for it")?;

    let decrypt = |(column, stored): (&SecretColumn, &Option<Vec<u8>>)| {
        let Some(stored) = stored else {
            return Ok(None);
        };
        let place = column.of(row.id, user);
        match ring.decrypt(&place, stored) {
            Ok(secret) => Ok(Some((place, secret))),
            Err(error) => Err(error.to_string()),
        }
    };

    let columns = table.columns.iter().zip(&row.ciphertexts);
    columns.map(decrypt).collect()
}

/// Re-encrypts the columns of a row under the current key.
fn reencrypt(table: &Table, ring: &KeyRing, row: &Row) -> Result<Vec<Option<Vec<u8>>>, String> {
    let encrypt = |(place, secret): (Place, SecretString)| {
        let encrypted = ring.encrypt(&place, &secret);
        encrypted.map_err(|error| error.to_string())
    };
    let reencrypt = |opened: Option<_>| opened.map(encrypt).transpose();
    let opened = decrypt(table, ring, row)?;
    opened.into_iter().map(reencrypt).collect()
}

async fn rotate_row(
    pool: &PgPool,
    table: &Table,
    ring: &KeyRing,
    row: Row,
    pass: &mut Pass,
) -> Result<()> {
    // Unreadable rows stay unchanged; [`check`] lists them.
    let Ok(new) = reencrypt(table, ring, &row) else {
        return Ok(());
    };

    let update = sqlx::query(table.update)
        .bind(row.id)
        .bind(new)
        .bind(row.ciphertexts)
        .bind(ring.current_id());
    match update.execute(pool).await?.rows_affected() {
        0 => pass.overtaken += 1,
        _ => pass.rotated += 1,
    }
    Ok(())
}
