//! Whom the events are about: users, each with a trading and accounts, and the events themselves, all by number, so that
//! the publishing process, the rows made in advance and the stored ones are the same.
//!
//! Owns: ids and what event number `n` says. Must not know: how events come, and how fast.

use anyhow::Result;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use uuid::Uuid;

/// What each event credits, in the smallest unit the books hold.
pub(crate) const AMOUNT: &str = "0.000000000001";
/// What an id is of.
const USERS: u128 = 1;
const TRADINGS: u128 = 2;
const ACCOUNTS: u128 = 3;
/// Bits of the number in an id.
const NUMBER_BITS: u32 = 48;
/// Looks like an id of these years, so that ids lie as close as real ones.
const ID_BASE: u128 = 0x0190_0000_0000_7000_8000_0000_0000_0000;

/// How bots make the ids of their events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Ids {
    /// As UUIDv7 rises.
    Ordered,
    /// As UUIDv4 scatters.
    Random,
}

/// So many accounts, so many to a user. Event `n` is about account `n` modulo their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct People {
    pub(crate) accounts: u64,
    pub(crate) accounts_per_user: u64,
}

/// The number as the end of an id.
fn id(kind: u128, number: u64) -> Uuid {
    Uuid::from_u128(ID_BASE + (kind << NUMBER_BITS) + u128::from(number))
}

fn ids(kind: u128, numbers: impl Iterator<Item = u64>) -> Vec<Uuid> {
    numbers.map(|number| id(kind, number)).collect()
}

impl People {
    pub(crate) const fn new(accounts: u64, accounts_per_user: u64) -> Self {
        Self {
            accounts,
            accounts_per_user,
        }
    }

    pub(crate) const fn users(self) -> u64 {
        self.accounts.div_ceil(self.accounts_per_user)
    }

    /// The number of the account event `n` is about.
    pub(crate) const fn account_of(self, n: u64) -> u64 {
        n % self.accounts
    }

    pub(crate) const fn user_of(self, account: u64) -> u64 {
        account / self.accounts_per_user
    }

    pub(crate) fn user_id(user: u64) -> Uuid {
        id(USERS, user)
    }

    pub(crate) fn trading_id(user: u64) -> Uuid {
        id(TRADINGS, user)
    }

    pub(crate) fn account_id(account: u64) -> Uuid {
        id(ACCOUNTS, account)
    }

    pub(crate) fn email(user: u64) -> String {
        format!("user-{user}@bench.example")
    }

    /// Makes everybody; each account is of the asset BTC and empty.
    pub(crate) async fn create(self, pool: &PgPool) -> Result<()> {
        let users = || 0..self.users();
        let owners = || (0..self.accounts).map(|account| self.user_of(account));

        let mut transaction = pool.begin().await?;
        sqlx::query(
            "INSERT INTO users (id, username, email, email_verified_at) \
             SELECT id, email, email, now() FROM UNNEST($1::uuid[], $2::text[]) AS u (id, email)",
        )
        .bind(ids(USERS, users()))
        .bind(users().map(Self::email).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO tradings (id, user_id, name, type) \
             SELECT id, owner, 'bench', 'paper' FROM UNNEST($1::uuid[], $2::uuid[]) AS t (id, owner)",
        )
        .bind(ids(TRADINGS, users()))
        .bind(ids(USERS, users()))
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO sub_accounts (id, user_id, trading_id, name, symbol) \
             SELECT id, owner, trading, id::text, 'BTC' FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[]) \
             AS a (id, owner, trading)",
        )
        .bind(ids(ACCOUNTS, 0..self.accounts))
        .bind(ids(USERS, owners()))
        .bind(ids(TRADINGS, owners()))
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// Event `n` as its bot publishes it.
    pub(crate) fn event(self, n: u64, ids: Ids, at: DateTime<Utc>) -> (String, Vec<u8>) {
        let account = self.account_of(n);
        let owner = self.user_of(account);
        let user = Self::user_id(owner);
        let event = json!({
            "event_id": ids.of(n), "event_type": "trading.balance.updated",
            "timestamp": at.to_rfc3339_opts(SecondsFormat::Micros, true), "user_id": user,
            "trading_id": Self::trading_id(owner), "sub_account_id": Self::account_id(account),
            "symbol": "BTC", "amount": AMOUNT, "direction": "credit", "reason": "bench", "source": "bench-bot",
            "version": "1.0",
        });

        (
            format!("trading.balance.updated.{user}"),
            event.to_string().into_bytes(),
        )
    }
}

impl Ids {
    /// The id of event `n`; [`Ids::sql`] says the same to PostgreSQL.
    pub(crate) fn of(self, n: u64) -> String {
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

    /// The same for PostgreSQL, of the number `n`.
    pub(crate) const fn sql(self) -> &'static str {
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
    async fn postgresql_makes_the_same_ids_of_events() {
        let database = TestDatabase::new().await.expect("a database");
        for ids in [Ids::Ordered, Ids::Random] {
            let statement = format!(
                "SELECT {} FROM (SELECT 70001::bigint AS n) AS one",
                ids.sql()
            );
            let made: String = sqlx::query_scalar(sqlx::AssertSqlSafe(statement))
                .fetch_one(database.pool())
                .await
                .expect("an id");
            assert_eq!(made, ids.of(70_001));
        }
    }

    #[test]
    fn ordered_ids_rise_and_random_ones_do_not() {
        assert!(
            (0..200_000)
                .step_by(997)
                .map(|n| Ids::Ordered.of(n))
                .is_sorted()
        );
        assert!(!(0..100).map(|n| Ids::Random.of(n)).is_sorted());
    }
}
