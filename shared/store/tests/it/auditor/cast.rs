//! Users, tradings and accounts, in the database and in the auditor.

use crate::world::{NewAccount, credit, insert_account, insert_trading, insert_user, rand_seed};
use serde_json::Map;
use sqlx::PgPool;
use tiris_store::ledger::{Entry, Source, apply_batch};
use tiris_testing::auditor::Auditor;
use uuid::Uuid;

const fn id(number: u128) -> Uuid {
    Uuid::from_u128(0x01900000_0000_7000_8000_000000000000 + number)
}

pub(super) const ACTIVE: Uuid = id(1);
pub(super) const DISABLED: Uuid = id(2);
pub(super) const NO_USER: Uuid = id(3);
pub(super) const DELETED_USER: Uuid = id(4);
pub(super) const TRADING: Uuid = id(10);
pub(super) const OTHER_TRADING: Uuid = id(11);
pub(super) const DISABLED_TRADING: Uuid = id(12);
pub(super) const NO_TRADING: Uuid = id(13);
pub(super) const DELETED_TRADING: Uuid = id(14);
pub(super) const BTC: Uuid = id(20);
pub(super) const USDT: Uuid = id(21);
pub(super) const BNB: Uuid = id(22);
pub(super) const ELSEWHERE: Uuid = id(23);
pub(super) const FOREIGN: Uuid = id(24);
pub(super) const NO_ACCOUNT: Uuid = id(25);
pub(super) const DELETED_ACCOUNT: Uuid = id(26);

/// The pairs of the accounts.
pub(super) const BTC_PAIR: &str = "BTC/USDT";
pub(super) const BNB_PAIR: &str = "币É.ПЕПЕ/USDT";
pub(super) const USDT_PAIR: &str = "USDT/USDT";

/// The owner of each trading.
const TRADINGS: [(Uuid, Uuid); 4] = [
    (TRADING, ACTIVE),
    (OTHER_TRADING, ACTIVE),
    (DISABLED_TRADING, DISABLED),
    (DELETED_TRADING, ACTIVE),
];

const ACCOUNTS: [Account; 6] = [
    account(BTC, TRADING, "BTC", "10"),
    account(USDT, TRADING, "USDT", "1000"),
    account(BNB, TRADING, "币É.ПЕПЕ", "5.5"),
    account(ELSEWHERE, OTHER_TRADING, "USDT", "50"),
    account(FOREIGN, DISABLED_TRADING, "USDT", "0"),
    account(DELETED_ACCOUNT, TRADING, "USDT", "0"),
];

struct Account {
    id: Uuid,
    trading: Uuid,
    symbol: &'static str,
    opening: &'static str,
}

const fn account(id: Uuid, trading: Uuid, symbol: &'static str, opening: &'static str) -> Account {
    Account {
        id,
        trading,
        symbol,
        opening,
    }
}

impl Account {
    fn user(&self) -> Uuid {
        let mut tradings = TRADINGS.iter();
        let trading = tradings.find(|(trading, _)| *trading == self.trading);
        trading.expect("a trading").1
    }

    /// Returns the entry that books the opening balance.
    fn deposit(&self) -> Entry {
        Entry {
            user: self.user().into(),
            trading: self.trading.into(),
            sub_account: Some(self.id.into()),
            command: credit(self.id.into(), self.symbol, self.opening),
            claim: None,
            log_type: "deposit".into(),
            source: Source::Manual,
            order: None,
            event_time: None,
            message: String::new(),
            info: Map::new(),
        }
    }

    async fn prepare(&self, pool: &PgPool, auditor: &mut Auditor) {
        let account = NewAccount {
            id: self.id.into(),
            user: self.user().into(),
            trading: self.trading.into(),
            symbol: self.symbol,
        };

        insert_account(pool, &account).await;
        auditor
            .account(
                self.id,
                self.user(),
                self.trading,
                self.symbol,
                self.opening,
            )
            .expect("amount");
    }
}

/// Returns the symbol of an account; another one for an unknown account.
pub(super) fn symbol_of(id: Uuid) -> &'static str {
    let account = ACCOUNTS.iter().find(|account| account.id == id);
    account.map_or("USDT", |account| account.symbol)
}

pub(super) async fn prepare(pool: &PgPool) -> Auditor {
    let mut auditor = Auditor::new(false);
    for user in [ACTIVE, DISABLED, DELETED_USER] {
        insert_user(pool, user.into()).await;
        auditor.user(user);
    }
    for (trading, owner) in TRADINGS {
        insert_trading(pool, trading.into(), owner.into()).await;
        auditor.trading(trading, owner);
    }
    for account in &ACCOUNTS {
        account.prepare(pool, &mut auditor).await;
    }

    let funded = ACCOUNTS.iter().filter(|account| account.opening != "0");
    let deposits: Vec<Entry> = funded.map(Account::deposit).collect();
    let mut transaction = pool.begin().await.expect("begun");
    apply_batch(&mut transaction, &deposits, rand_seed())
        .await
        .expect("deposited");
    transaction.commit().await.expect("committed");

    sqlx::query("UPDATE users SET status = 'disabled' WHERE id = $1")
        .bind(DISABLED)
        .execute(pool)
        .await
        .expect("set");
    auditor.user_disabled(DISABLED);
    delete(pool, &mut auditor).await;
    auditor
}

/// Deletes a user, a trading and an account.
async fn delete(pool: &PgPool, auditor: &mut Auditor) {
    for (sql, id) in [
        (
            "UPDATE users SET status = 'deleted' WHERE id = $1",
            DELETED_USER,
        ),
        (
            "UPDATE tradings SET status = 'deleting' WHERE id = $1",
            DELETED_TRADING,
        ),
        (
            "UPDATE sub_accounts SET deleted_at = now() WHERE id = $1",
            DELETED_ACCOUNT,
        ),
    ] {
        sqlx::query(sql).bind(id).execute(pool).await.expect(sql);
    }
    auditor.user_deleted(DELETED_USER);
    auditor.trading_deleted(DELETED_TRADING);
    auditor.account_deleted(DELETED_ACCOUNT);
}
