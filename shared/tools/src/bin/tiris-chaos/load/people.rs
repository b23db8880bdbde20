//! The users of a run with their tradings and accounts, some of which come into being only later.
//!
//! Owns: ids, names, who is late, and the rows. Must not know: events.

use anyhow::Result;
use rand::RngExt;
use rand::rngs::StdRng;
use sqlx::{PgConnection, PgPool};
use tiris_testing::auditor::Auditor;
use uuid::Uuid;

/// Publishers that work at once.
pub(crate) const PUBLISHERS: usize = 8;
const USERS_PER_PUBLISHER: usize = 3;
/// Every so many users one has an account that comes late beside others of the same trading, so that the whole trading
/// waits; the others have whole tradings that come late.
const LATE_ACCOUNT_EVERY: usize = 6;
/// Things of each user that come late.
const LATE_PER_USER: usize = 3;

#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) id: Uuid,
    pub(crate) symbol: &'static str,
}

#[derive(Clone, Debug)]
pub(crate) struct Trading {
    pub(crate) id: Uuid,
    /// The stock, the currency, and what fees are paid from.
    pub(crate) accounts: [Account; 3],
}

/// Something that comes into being only after events for it.
#[derive(Clone, Debug)]
pub(crate) enum Late {
    Account {
        trading: Uuid,
        account: Account,
    },
    Trading(Trading),
    /// The user himself, with all he has.
    User,
}

#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: Uuid,
    pub(crate) number: usize,
    pub(crate) tradings: Vec<Trading>,
    pub(crate) late: Vec<Late>,
}

impl User {
    /// Whether the user himself is late.
    pub(crate) fn comes_late(&self) -> bool {
        self.late.iter().any(|late| matches!(late, Late::User))
    }

    pub(crate) fn email(&self) -> String {
        format!("user-{}@chaos.example", self.number)
    }

    pub(crate) const fn publisher(&self) -> usize {
        self.number % PUBLISHERS
    }
}

/// Draws everybody; the last one comes late.
pub(crate) fn draw(rng: &mut StdRng) -> Vec<User> {
    let last = PUBLISHERS * USERS_PER_PUBLISHER;
    let users = (0..=last).map(|number| {
        let tradings = vec![trading(rng), trading(rng)];
        let late = if number == last {
            vec![Late::User]
        } else {
            (0..LATE_PER_USER)
                .map(|_| late(number, &tradings, rng))
                .collect()
        };
        User {
            id: id(rng),
            number,
            tradings,
            late,
        }
    });

    users.collect()
}

fn late(user: usize, tradings: &[Trading], rng: &mut StdRng) -> Late {
    if user.is_multiple_of(LATE_ACCOUNT_EVERY) {
        Late::Account {
            trading: tradings[0].id,
            account: account("XRP", rng),
        }
    } else {
        Late::Trading(trading(rng))
    }
}

fn trading(rng: &mut StdRng) -> Trading {
    Trading {
        accounts: ["ETH", "BTC", "BNB"].map(|symbol| account(symbol, rng)),
        id: id(rng),
    }
}

fn account(symbol: &'static str, rng: &mut StdRng) -> Account {
    Account {
        id: id(rng),
        symbol,
    }
}

fn id(rng: &mut StdRng) -> Uuid {
    uuid::Builder::from_random_bytes(rng.random()).into_uuid()
}

/// Makes everybody and everything that is not late.
pub(crate) async fn create(pool: &PgPool, users: &[User]) -> Result<()> {
    let mut transaction = pool.begin().await?;
    for user in users.iter().filter(|user| !user.comes_late()) {
        create_user(&mut transaction, user).await?;
    }
    Ok(transaction.commit().await?)
}

/// Makes one late thing; again does no harm.
pub(crate) async fn create_late(pool: &PgPool, user: &User, late: &Late) -> Result<()> {
    let mut transaction = pool.begin().await?;
    match late {
        Late::Account { trading, account } => {
            create_account(&mut transaction, user.id, *trading, account).await?;
        }
        Late::Trading(trading) => create_trading(&mut transaction, user.id, trading).await?,
        Late::User => create_user(&mut transaction, user).await?,
    }
    Ok(transaction.commit().await?)
}

async fn create_user(connection: &mut PgConnection, user: &User) -> Result<()> {
    sqlx::query(
        "INSERT INTO users (id, username, email, email_verified_at) VALUES ($1, $2, $3, now()) ON CONFLICT DO NOTHING",
    )
    .bind(user.id)
    .bind(format!("user-{}", user.number))
    .bind(user.email())
    .execute(&mut *connection)
    .await?;
    for trading in &user.tradings {
        create_trading(connection, user.id, trading).await?;
    }
    Ok(())
}

async fn create_trading(
    connection: &mut PgConnection,
    user: Uuid,
    trading: &Trading,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO tradings (id, user_id, name, type) VALUES ($1, $2, $1::text, 'paper') ON CONFLICT DO NOTHING",
    )
    .bind(trading.id)
    .bind(user)
    .execute(&mut *connection)
    .await?;
    for account in &trading.accounts {
        create_account(connection, user, trading.id, account).await?;
    }
    Ok(())
}

async fn create_account(
    connection: &mut PgConnection,
    user: Uuid,
    trading: Uuid,
    account: &Account,
) -> Result<()> {
    sqlx::query(
        "INSERT INTO sub_accounts (id, user_id, trading_id, name, symbol) VALUES ($1, $2, $3, $1::text, $4) \
         ON CONFLICT DO NOTHING",
    )
    .bind(account.id)
    .bind(user)
    .bind(trading)
    .bind(account.symbol)
    .execute(connection)
    .await?;

    Ok(())
}

/// Tells the auditor of everybody and everything, as if nothing had been late: order is kept, so the end is the same.
pub(crate) fn tell(auditor: &mut Auditor, users: &[User]) -> Result<()> {
    for user in users {
        auditor.user(user.id);
        for trading in &user.tradings {
            tell_trading(auditor, user.id, trading)?;
        }
        for late in &user.late {
            match late {
                Late::User => {}
                Late::Trading(trading) => tell_trading(auditor, user.id, trading)?,
                Late::Account { trading, account } => {
                    auditor.account(account.id, user.id, *trading, account.symbol, "0")?;
                }
            }
        }
    }

    Ok(())
}

fn tell_trading(auditor: &mut Auditor, user: Uuid, trading: &Trading) -> Result<()> {
    auditor.trading(trading.id, user);
    for account in &trading.accounts {
        auditor.account(account.id, user, trading.id, account.symbol, "0")?;
    }
    Ok(())
}
