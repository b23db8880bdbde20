//! Numbered users, each with a trading and accounts, and their events. Ids follow from numbers, so that a publishing
//! process and rows written by SQL agree on them.

use anyhow::Result;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use uuid::Uuid;

/// The amount each event credits.
pub const EVENT_AMOUNT: &str = "0.000000000001";
/// The kinds of ids, in the bits above the number.
const USERS: u128 = 1;
const TRADINGS: u128 = 2;
const ACCOUNTS: u128 = 3;
const NUMBER_BITS: u32 = 48;
/// Looks like a UUIDv7 of these years, so that ids lie as close as real ones.
const ID_BASE: u128 = 0x0190_0000_0000_7000_8000_0000_0000_0000;

/// How bots choose event ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventIds {
    /// Rising, like UUIDv7.
    Ordered,
    /// Scattered, like UUIDv4.
    Random,
}

/// Accounts, `accounts_per_user` of each user. Event `n` is for account `n` modulo `accounts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Population {
    /// The number of accounts.
    pub accounts: u64,
    accounts_per_user: u64,
}

fn id(kind: u128, number: u64) -> Uuid {
    Uuid::from_u128(ID_BASE + (kind << NUMBER_BITS) + u128::from(number))
}

fn ids(kind: u128, numbers: impl Iterator<Item = u64>) -> Vec<Uuid> {
    numbers.map(|number| id(kind, number)).collect()
}

impl Population {
    /// Returns a population of so many accounts, `accounts_per_user` of each user.
    #[must_use]
    pub const fn new(accounts: u64, accounts_per_user: u64) -> Self {
        Self {
            accounts,
            accounts_per_user,
        }
    }

    /// Returns the number of the user that owns an account.
    #[must_use]
    pub const fn user_of(self, account: u64) -> u64 {
        account / self.accounts_per_user
    }

    /// Returns the id of a user.
    #[must_use]
    pub fn user_id(user: u64) -> Uuid {
        id(USERS, user)
    }

    /// Returns the id of the trading of a user.
    #[must_use]
    pub fn trading_id(user: u64) -> Uuid {
        id(TRADINGS, user)
    }

    /// Returns the id of an account.
    #[must_use]
    pub fn account_id(account: u64) -> Uuid {
        id(ACCOUNTS, account)
    }

    /// Returns the email address of a user.
    #[must_use]
    pub fn email(user: u64) -> String {
        format!("user-{user}@bench.example")
    }

    /// Inserts all users with their tradings and empty BTC accounts.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn create(self, pool: &PgPool) -> Result<()> {
        let users = || 0..self.accounts.div_ceil(self.accounts_per_user);
        let owners = || (0..self.accounts).map(|account| self.user_of(account));

        sqlx::query(
            "WITH new_users AS (INSERT INTO users (id, username, email, email_verified_at) \
                 SELECT id, email, email, now() FROM UNNEST($1::uuid[], $2::text[]) AS u (id, email)), \
             new_tradings AS (INSERT INTO tradings (id, user_id, name, type) \
                 SELECT id, owner, 'bench', 'paper' FROM UNNEST($3::uuid[], $1::uuid[]) AS t (id, owner)) \
             INSERT INTO sub_accounts (id, user_id, trading_id, name, symbol) \
                 SELECT id, owner, trading, id::text, 'BTC' FROM UNNEST($4::uuid[], $5::uuid[], $6::uuid[]) \
                 AS a (id, owner, trading)",
        )
        .bind(ids(USERS, users()))
        .bind(users().map(Self::email).collect::<Vec<_>>())
        .bind(ids(TRADINGS, users()))
        .bind(ids(ACCOUNTS, 0..self.accounts))
        .bind(ids(USERS, owners()))
        .bind(ids(TRADINGS, owners()))
        .execute(pool)
        .await?;
        Ok(())
    }

    /// Returns the subject and payload of event `n`.
    #[must_use]
    pub fn event(self, n: u64, ids: EventIds, at: DateTime<Utc>) -> (String, Vec<u8>) {
        let account = n % self.accounts;
        let owner = self.user_of(account);
        let user = Self::user_id(owner);
        let event = json!({
            "event_id": ids.of(n), "event_type": "trading.balance.updated",
            "timestamp": at.to_rfc3339_opts(SecondsFormat::Micros, true), "user_id": user,
            "trading_id": Self::trading_id(owner), "sub_account_id": Self::account_id(account),
            "symbol": "BTC", "amount": EVENT_AMOUNT, "direction": "credit", "reason": "bench", "source": "bench-bot",
            "version": "1.0",
        });

        (
            format!("trading.balance.updated.{user}"),
            event.to_string().into_bytes(),
        )
    }
}

impl EventIds {
    /// Returns the id of event `n`, which equals that of [`EventIds::sql`].
    #[must_use]
    pub fn of(self, n: u64) -> String {
        match self {
            Self::Ordered => format!("{:08x}-{:04x}-7000-8000-000000000000", n >> 16, n & 0xffff),
            Self::Random => {
                let hash = Sha256::digest(n.to_string());
                let mut bytes = [0; 16];
                bytes.copy_from_slice(&hash[..16]);
                Uuid::from_bytes(bytes).to_string()
            }
        }
    }

    /// Returns an SQL expression for the id of event `n`, a `bigint` column.
    #[must_use]
    pub const fn sql(self) -> &'static str {
        match self {
            Self::Ordered => {
                "lpad(to_hex(n >> 16), 8, '0') || '-' || lpad(to_hex(n & 65535), 4, '0') || '-7000-8000-000000000000'"
            }
            Self::Random => "encode(substring(sha256(n::text::bytea) FOR 16), 'hex')::uuid::text",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tiris_testing::TestDatabase;

    #[tokio::test]
    async fn sql_and_rust_return_the_same_event_ids() {
        let database = TestDatabase::new().await.expect("a database");

        for ids in [EventIds::Ordered, EventIds::Random] {
            let statement = format!(
                "SELECT {} FROM (SELECT 70001::bigint AS n) AS numbers",
                ids.sql()
            );
            let id: String = sqlx::query_scalar(sqlx::AssertSqlSafe(statement))
                .fetch_one(database.pool())
                .await
                .expect("an id");

            assert_eq!(id, ids.of(70_001));
        }
    }

    #[test]
    fn ordered_ids_rise_and_random_ones_do_not() {
        let ordered = (0..200_000).step_by(997).map(|n| EventIds::Ordered.of(n));
        assert!(ordered.is_sorted());

        let random = (0..100).map(|n| EventIds::Random.of(n));
        assert!(!random.is_sorted());
    }
}
