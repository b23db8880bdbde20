//! Users, tradings and accounts that database and auditor know alike.

use crate::world::{credit, rand_seed};
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
pub(super) const NOBODY: Uuid = id(3);
pub(super) const TRADING: Uuid = id(10);
pub(super) const OTHER_TRADING: Uuid = id(11);
pub(super) const DISABLED_TRADING: Uuid = id(12);
pub(super) const NO_TRADING: Uuid = id(13);
pub(super) const BTC: Uuid = id(20);
pub(super) const USDT: Uuid = id(21);
pub(super) const BNB: Uuid = id(22);
pub(super) const ELSEWHERE: Uuid = id(23);
pub(super) const FOREIGN: Uuid = id(24);
pub(super) const NO_ACCOUNT: Uuid = id(25);

const TRADINGS: [Trading; 3] = [
    Trading {
        id: TRADING,
        user: ACTIVE,
    },
    Trading {
        id: OTHER_TRADING,
        user: ACTIVE,
    },
    Trading {
        id: DISABLED_TRADING,
        user: DISABLED,
    },
];

const ACCOUNTS: [Account; 5] = [
    account(BTC, TRADINGS[0], "BTC", "10"),
    account(USDT, TRADINGS[0], "USDT", "1000"),
    account(BNB, TRADINGS[0], "BNB", "5.5"),
    account(ELSEWHERE, TRADINGS[1], "USDT", "50"),
    account(FOREIGN, TRADINGS[2], "USDT", "0"),
];

#[derive(Clone, Copy)]
struct Trading {
    id: Uuid,
    user: Uuid,
}

struct Account {
    id: Uuid,
    trading: Trading,
    symbol: &'static str,
    opening: &'static str,
}

const fn account(
    id: Uuid,
    trading: Trading,
    symbol: &'static str,
    opening: &'static str,
) -> Account {
    Account {
        id,
        trading,
        symbol,
        opening,
    }
}

/// The symbol of an account; of one that does not exist, another.
pub(super) fn symbol_of(id: Uuid) -> &'static str {
    let account = ACCOUNTS.iter().find(|account| account.id == id);
    account.map_or("USDT", |account| account.symbol)
}

pub(super) async fn prepare(pool: &PgPool) -> Auditor {
    let mut auditor = Auditor::new(false);
    for user in [ACTIVE, DISABLED] {
        add_user(pool, user).await;
        auditor.user(user);
    }
    for trading in TRADINGS {
        add_trading(pool, trading).await;
        auditor.trading(trading.id, trading.user);
    }
    for account in &ACCOUNTS {
        add_account(pool, account).await;
        let Account {
            id,
            trading,
            symbol,
            opening,
        } = account;
        auditor
            .account(*id, trading.user, trading.id, symbol, opening)
            .expect("amount");
    }
    deposit(pool).await;

    sqlx::query("UPDATE users SET status = 'disabled' WHERE id = $1")
        .bind(DISABLED)
        .execute(pool)
        .await
        .expect("set");
    auditor.user_disabled(DISABLED);
    auditor
}

async fn add_user(pool: &PgPool, id: Uuid) {
    sqlx::query("INSERT INTO users (id, username) VALUES ($1, $1::text)")
        .bind(id)
        .execute(pool)
        .await
        .expect("user");
}

async fn add_trading(pool: &PgPool, trading: Trading) {
    sqlx::query(
        "INSERT INTO tradings (id, user_id, name, type) VALUES ($1, $2, $1::text, 'paper')",
    )
    .bind(trading.id)
    .bind(trading.user)
    .execute(pool)
    .await
    .expect("trading");
}

async fn add_account(pool: &PgPool, account: &Account) {
    sqlx::query(
        "INSERT INTO sub_accounts (id, user_id, trading_id, name, symbol) VALUES ($1, $2, $3, $1::text, $4)",
    )
    .bind(account.id)
    .bind(account.trading.user)
    .bind(account.trading.id)
    .bind(account.symbol)
    .execute(pool)
    .await
    .expect("account");
}

/// Books the opening balances.
async fn deposit(pool: &PgPool) {
    let deposits: Vec<Entry> = ACCOUNTS
        .iter()
        .filter(|account| account.opening != "0")
        .map(|account| Entry {
            user: account.trading.user.into(),
            trading: account.trading.id.into(),
            sub_account: Some(account.id.into()),
            command: credit(account.id.into(), account.symbol, account.opening),
            claim: None,
            log_type: "deposit".into(),
            source: Source::Manual,
            order: None,
            event_time: None,
            message: String::new(),
            info: Map::new(),
        })
        .collect();
    let mut transaction = pool.begin().await.expect("begun");
    apply_batch(&mut transaction, &deposits, rand_seed())
        .await
        .expect("deposited");
    transaction.commit().await.expect("committed");
}
