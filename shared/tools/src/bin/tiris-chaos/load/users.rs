//! The users of a run with their tradings and accounts, some of which are created late.

use anyhow::Result;
use rand::RngExt;
use rand::rngs::StdRng;
use sqlx::{PgConnection, PgPool};
use tiris_testing::auditor::Auditor;
use uuid::Uuid;

/// The number of concurrent publishers.
pub(crate) const PUBLISHERS: usize = 8;
const USERS_PER_PUBLISHER: usize = 3;
/// One in this many users gets late accounts in an existing trading, so that the whole trading waits; the others get late
/// tradings.
const LATE_ACCOUNT_EVERY: usize = 6;
/// The number of late resources of a user.
const LATE_PER_USER: usize = 3;

#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) id: Uuid,
    pub(crate) symbol: &'static str,
}

#[derive(Clone, Debug)]
pub(crate) struct Trading {
    pub(crate) id: Uuid,
    /// The stock, the currency, and the account of fees.
    pub(crate) accounts: Vec<Account>,
}

#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) id: Uuid,
    pub(crate) number: usize,
    pub(crate) tradings: Vec<Trading>,
    /// Created only after events for them were published. A single account belongs to an existing trading.
    pub(crate) late: Vec<Trading>,
    /// Whether the user is created only after events were published; then nothing else is late.
    pub(crate) is_late: bool,
}

impl User {
    pub(crate) fn email(&self) -> String {
        format!("user-{}@chaos.example", self.number)
    }

    /// Returns whether no event of the first trading waits for something that is created late.
    pub(crate) fn is_prompt(&self) -> bool {
        let first = self.tradings[0].id;
        !self.is_late && self.late.iter().all(|late| late.id != first)
    }

    pub(crate) const fn publisher(&self) -> usize {
        self.number % PUBLISHERS
    }
}

/// Draws the users; the last one is late.
pub(crate) fn draw(rng: &mut StdRng) -> Vec<User> {
    let last = PUBLISHERS * USERS_PER_PUBLISHER;
    let users = (0..=last).map(|number| {
        let tradings = vec![trading(rng), trading(rng)];
        let is_late = number == last;
        let count = if is_late { 0 } else { LATE_PER_USER };
        let late = (0..count).map(|_| late(number, &tradings, rng));
        User {
            late: late.collect(),
            id: id(rng),
            number,
            tradings,
            is_late,
        }
    });
    users.collect()
}

fn late(user: usize, tradings: &[Trading], rng: &mut StdRng) -> Trading {
    if !user.is_multiple_of(LATE_ACCOUNT_EVERY) {
        return trading(rng);
    }
    Trading {
        id: tradings[0].id,
        accounts: vec![account("XRP", rng)],
    }
}

fn trading(rng: &mut StdRng) -> Trading {
    Trading {
        accounts: ["ETH", "BTC", "BNB"]
            .map(|symbol| account(symbol, rng))
            .into(),
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

/// Inserts everything that is not late.
pub(crate) async fn create(pool: &PgPool, users: &[User]) -> Result<()> {
    let mut transaction = pool.begin().await?;
    for user in users.iter().filter(|user| !user.is_late) {
        create_user(&mut transaction, user).await?;
    }
    Ok(transaction.commit().await?)
}

/// Inserts a late resource unless it exists.
pub(crate) async fn create_late(pool: &PgPool, user: &User, at: Option<usize>) -> Result<()> {
    let mut transaction = pool.begin().await?;
    match at {
        Some(at) => create_trading(&mut transaction, user.id, &user.late[at]).await?,
        None => create_user(&mut transaction, user).await?,
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

/// Inserts the trading and its accounts, each unless it exists.
async fn create_trading(
    connection: &mut PgConnection,
    user: Uuid,
    trading: &Trading,
) -> Result<()> {
    let accounts = trading.accounts.iter();
    let symbols: Vec<&str> = accounts.clone().map(|account| account.symbol).collect();
    sqlx::query(
        "WITH trading AS (INSERT INTO tradings (id, user_id, name, type) VALUES ($1, $2, $1::text, 'paper') \
                          ON CONFLICT DO NOTHING) \
         INSERT INTO sub_accounts (id, user_id, trading_id, name, symbol) \
         SELECT id, $2, $1, id::text, symbol FROM UNNEST($3::uuid[], $4::text[]) AS a (id, symbol) \
         ON CONFLICT DO NOTHING",
    )
    .bind(trading.id)
    .bind(user)
    .bind(accounts.map(|account| account.id).collect::<Vec<_>>())
    .bind(symbols)
    .execute(connection)
    .await?;
    Ok(())
}

/// Reports everything to the auditor as if nothing had been late: order is kept, so the result is the same.
pub(crate) fn report(auditor: &mut Auditor, users: &[User]) -> Result<()> {
    for user in users {
        auditor.user(user.id);
        for trading in user.tradings.iter().chain(&user.late) {
            auditor.trading(trading.id, user.id);
            for account in &trading.accounts {
                auditor.account(account.id, user.id, trading.id, account.symbol, "0")?;
            }
        }
    }
    Ok(())
}
