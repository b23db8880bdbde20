//! Loads the state a batch depends on: accounts under lock, the holds it can change, and the status of users and tradings.

use super::entry::Entry;
use super::orders;
use crate::column;
use crate::error::{Error, LostRace, Result};
use crate::numeric::MoneyColumn;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tiris_domain::ids::{AccountId, TradingId, UserId};
use tiris_domain::ledger::{Account, Asset, Book, Details, Held, HoldKey, Rejected, Rejection};
use tiris_domain::money::Money;
use tiris_domain::states::{State, TradingStatus, UserStatus};
use tiris_domain::value::Invalid;
use uuid::Uuid;

/// The living accounts $1.
const ACCOUNTS: &str = "SELECT id, user_id, trading_id, symbol, balance, locked, sequence FROM sub_accounts \
     WHERE id = ANY($1) AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE";

/// The same with the accounts that hold something for the orders $3 of the tradings $2.
const ACCOUNTS_OF_ORDERS: &str = "SELECT id, user_id, trading_id, symbol, balance, locked, sequence FROM sub_accounts \
     WHERE id IN (SELECT UNNEST($1::uuid[]) UNION SELECT h.sub_account_id FROM holds h \
         JOIN UNNEST($2::uuid[], $3::text[]) AS o (trading_id, order_id) USING (trading_id, order_id)) \
     AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE";

/// Locks and loads the orders that the entries name, then their accounts. In this order, because an order changes with
/// every new hold for it: a transaction that has locked the order sees all accounts with its holds.
pub(crate) async fn lock<'a>(
    connection: &mut PgConnection,
    entries: impl Iterator<Item = &'a Entry> + Clone,
) -> Result<Book> {
    let mut book = Book::default();
    orders::load(connection, &mut book, entries.clone()).await?;
    accounts(connection, &mut book, entries).await?;
    Ok(book)
}

/// Locks and loads the living accounts that the entries name, and those with holds that the end of an order releases, in
/// id order so that batches cannot deadlock.
async fn accounts<'a>(
    connection: &mut PgConnection,
    book: &mut Book,
    entries: impl Iterator<Item = &'a Entry> + Clone,
) -> Result<()> {
    let ids: BTreeSet<Uuid> = entries
        .clone()
        .flat_map(Entry::accounts)
        .map(|id| id.0)
        .collect();
    let ended = orders_of(entries.filter(|entry| entry.command.can_end_order()));
    if ids.is_empty() && ended.is_empty() {
        return Ok(());
    }

    let ids = Vec::from_iter(ids);
    let query = match ended.is_empty() {
        true => sqlx::query_as(ACCOUNTS).bind(ids),
        false => {
            let (tradings, orders): (Vec<Uuid>, Vec<&str>) = ended.into_iter().unzip();
            let query = sqlx::query_as(ACCOUNTS_OF_ORDERS).bind(ids);
            query.bind(tradings).bind(orders)
        }
    };
    let rows: Vec<AccountRow> = query.fetch_all(connection).await?;
    for row in rows {
        book.insert(row.account()?);
    }
    Ok(())
}

#[derive(sqlx::FromRow)]
struct AccountRow {
    id: Uuid,
    user_id: Uuid,
    trading_id: Uuid,
    symbol: String,
    balance: MoneyColumn,
    locked: MoneyColumn,
    sequence: i64,
}

impl AccountRow {
    fn account(self) -> Result<Account> {
        let id = AccountId(self.id);
        let wrong = |why: Invalid| Error::internal(format!("symbol of {id}: {why}"));

        Ok(Account {
            id,
            user: UserId(self.user_id),
            trading: TradingId(self.trading_id),
            asset: Asset::from_column(self.symbol).map_err(wrong)?,
            balance: self.balance.0,
            locked: self.locked.0,
            sequence: self.sequence,
            holds: BTreeMap::new(),
        })
    }
}

/// Returns the orders that the entries name, each once, by trading and id.
pub(super) fn orders_of<'a>(entries: impl Iterator<Item = &'a Entry>) -> BTreeSet<(Uuid, &'a str)> {
    let orders = entries.filter_map(|entry| {
        let order = entry.command.order()?;
        Some((entry.trading.0, order.as_str()))
    });
    orders.collect()
}

/// The holds of the orders $2 of the tradings $1, and those without an order of the accounts $3.
const HOLDS: &str = "SELECT h.sub_account_id, h.order_id, h.symbol, h.amount, h.expires_at FROM holds h \
     JOIN UNNEST($1::uuid[], $2::text[]) AS o (trading_id, order_id) USING (trading_id, order_id) \
     UNION ALL SELECT h.sub_account_id, h.order_id, h.symbol, h.amount, h.expires_at FROM holds h \
     WHERE h.sub_account_id = ANY($3) AND h.order_id = ''";

#[derive(sqlx::FromRow)]
struct HoldRow {
    sub_account_id: Uuid,
    order_id: String,
    symbol: String,
    amount: MoneyColumn,
    expires_at: Option<DateTime<Utc>>,
}

/// Loads the holds the entries can change into the accounts of `book`: those of their orders on all locked accounts of the
/// trading, and those without an order.
pub(super) async fn holds<'a>(
    connection: &mut PgConnection,
    book: &mut Book,
    entries: impl Iterator<Item = &'a Entry> + Clone,
) -> Result<()> {
    let orders = orders_of(entries.clone());
    let of_unnamed = entries.filter(|entry| entry.command.is_of_unnamed_hold());
    let unnamed: BTreeSet<Uuid> = of_unnamed
        .flat_map(|entry| entry.command.accounts())
        .map(|id| id.0)
        .collect();
    if orders.is_empty() && unnamed.is_empty() {
        return Ok(());
    }

    let (tradings, orders): (Vec<Uuid>, Vec<&str>) = orders.into_iter().unzip();
    let rows: Vec<HoldRow> = sqlx::query_as(HOLDS)
        .bind(tradings)
        .bind(orders)
        .bind(Vec::from_iter(unnamed))
        .fetch_all(connection)
        .await?;

    for row in rows {
        let id = AccountId(row.sub_account_id);
        let Some(trading) = book.get(id).map(|account| account.trading) else {
            continue;
        };
        let key = HoldKey {
            order: row.order_id.parse().ok(),
            pair: column::pair(&row.symbol)?,
        };
        let order = key.order.as_ref();
        if order.is_some_and(|id| book.orders(trading, id).next().is_none()) {
            // Its first order and hold were committed while this transaction waited for the account.
            return Err(LostRace.into());
        }

        let held = Held {
            amount: row.amount.0,
            expires_at: row.expires_at,
        };
        book.insert_hold(id, key, held);
    }
    Ok(())
}

/// A row of [`PARTIES`]: a user, a trading with its owner, or the current time.
#[derive(sqlx::FromRow)]
struct Party {
    id: Option<Uuid>,
    owner: Option<Uuid>,
    status: Option<String>,
    now: Option<DateTime<Utc>>,
}

/// Status of the users and tradings the entries name, and the current time. A status that only a newer version knows is
/// `None`: it must not stop the lane for other users.
pub(super) struct Parties {
    users: HashMap<UserId, Option<UserStatus>>,
    tradings: HashMap<TradingId, (UserId, Option<TradingStatus>)>,
    /// Those of the missing accounts that were deleted.
    deleted_accounts: HashMap<AccountId, Deleted>,
    /// Timestamp of the rows to be written.
    pub(super) now: DateTime<Utc>,
}

/// Reads users, tradings and the current time in one statement, to save round trips.
pub const PARTIES: &str = "SELECT id, NULL::uuid AS owner, status, NULL::timestamptz AS now FROM users WHERE id = ANY($1) \
     UNION ALL SELECT id, user_id, status, NULL FROM tradings WHERE id = ANY($2) \
     UNION ALL SELECT NULL, NULL, NULL, clock_timestamp()";

/// Reads users and tradings after the accounts are locked: the deletion of a trading locks its accounts first, so a status
/// read now stays valid until this transaction ends. An entry without accounts locks its trading itself. The clock is read
/// here too, because the locking statement would return the time before it waited. `book` has the living accounts.
pub(super) async fn parties<'a>(
    connection: &mut PgConnection,
    book: &Book,
    entries: impl Iterator<Item = &'a Entry> + Clone,
) -> Result<Parties> {
    let without_account = entries.clone().filter(|entry| entry.accounts().is_empty());
    let held: BTreeSet<Uuid> = without_account.map(|entry| entry.trading.0).collect();
    if !held.is_empty() {
        sqlx::query("SELECT FROM tradings WHERE id = ANY($1) ORDER BY id FOR KEY SHARE")
            .bind(Vec::from_iter(held))
            .execute(&mut *connection)
            .await?;
    }

    let deleted_accounts = deleted_of(connection, book, entries.clone()).await?;
    let (users, tradings): (BTreeSet<Uuid>, BTreeSet<Uuid>) =
        entries.map(|entry| (entry.user.0, entry.trading.0)).unzip();
    let rows: Vec<Party> = sqlx::query_as(PARTIES)
        .bind(Vec::from_iter(users))
        .bind(Vec::from_iter(tradings))
        .fetch_all(&mut *connection)
        .await?;

    let now = rows.iter().find_map(|row| row.now);
    let mut parties = Parties {
        users: HashMap::new(),
        tradings: HashMap::new(),
        deleted_accounts,
        now: now.ok_or_else(|| Error::internal("the database returned no current time"))?,
    };
    for row in rows {
        match (row.id, row.owner, row.status) {
            (Some(id), None, Some(status)) => {
                parties.users.insert(UserId(id), UserStatus::named(&status));
            }
            (Some(id), Some(owner), Some(status)) => {
                let trading = (UserId(owner), TradingStatus::named(&status));
                parties.tradings.insert(TradingId(id), trading);
            }
            _ => {}
        }
    }
    Ok(parties)
}

/// A deleted account.
struct Deleted {
    user: UserId,
    asset: Asset,
    balance: Money,
}

/// Returns those of the accounts that `book` lacks which were deleted; usually it lacks none.
async fn deleted_of<'a>(
    connection: &mut PgConnection,
    book: &Book,
    entries: impl Iterator<Item = &'a Entry>,
) -> Result<HashMap<AccountId, Deleted>> {
    let missing: BTreeSet<Uuid> = entries
        .flat_map(Entry::accounts)
        .filter(|id| book.get(*id).is_none())
        .map(|id| id.0)
        .collect();
    if missing.is_empty() {
        return Ok(HashMap::new());
    }

    let deleted: Vec<(Uuid, Uuid, String, MoneyColumn)> = sqlx::query_as(
        "SELECT id, user_id, symbol, balance FROM sub_accounts WHERE id = ANY($1) AND deleted_at IS NOT NULL",
    )
    .bind(Vec::from_iter(missing))
    .fetch_all(connection)
    .await?;

    let accounts = deleted.into_iter().map(|(id, user, symbol, balance)| {
        let deleted = Deleted {
            user: UserId(user),
            asset: column::asset(&symbol)?,
            balance: balance.0,
        };
        Ok((AccountId(id), deleted))
    });
    accounts.collect()
}

impl Deleted {
    /// Returns the rejection of an entry that names the account; with the fee that it would pay, if it is the user's own.
    fn rejected(&self, account: AccountId, entry: &Entry) -> Rejected {
        let fee = entry.command.fee_of(account);

        match fee.filter(|_| self.user == entry.user) {
            Some(needed) => {
                let details = Details::Shortage {
                    account,
                    asset: self.asset.clone(),
                    needed,
                    available: self.balance,
                };
                Rejected::with(Rejection::AccountDeleted, details)
            }
            None => Rejected::of_account(Rejection::AccountDeleted, account),
        }
    }
}

impl Parties {
    /// Fails when the entry names something that was deleted: it will not come back, so a retry is in vain.
    pub(super) fn check_deleted(&self, entry: &Entry) -> Result<(), Rejected> {
        if self.users.get(&entry.user) == Some(&Some(UserStatus::Deleted)) {
            return Err(Rejection::UserDeleted.into());
        }
        let trading = self.tradings.get(&entry.trading);
        if let Some((_, Some(status))) = trading
            && !status.is_living()
        {
            return Err(Rejection::TradingDeleted.into());
        }

        let mut accounts = entry.accounts().into_iter();
        let found = accounts.find_map(|id| Some((id, self.deleted_accounts.get(&id)?)));
        match found {
            Some((account, deleted)) => Err(deleted.rejected(account, entry)),
            None => Ok(()),
        }
    }

    /// Performs the other checks that precede the ledger's own, in the order of the rejections.
    pub(super) fn check(&self, book: &Book, entry: &Entry) -> Result<(), Rejected> {
        match self.users.get(&entry.user) {
            None => return Err(Rejection::UnknownUser.into()),
            Some(Some(UserStatus::Disabled)) => {
                return Err(Rejection::UserDisabled.into());
            }
            Some(Some(UserStatus::Active | UserStatus::Deleted) | None) => {}
        }
        // A status that only a newer version knows is no reason to book.
        let owner = match self.tradings.get(&entry.trading) {
            Some((owner, Some(_))) => *owner,
            Some((_, None)) | None => return Err(Rejection::UnknownTrading.into()),
        };

        let accounts = entry.accounts();
        if let Some(account) = accounts.iter().find(|id| book.get(**id).is_none()) {
            return Err(Rejected::of_account(Rejection::UnknownSubAccount, *account));
        }
        if owner != entry.user {
            return Err(Rejection::OwnershipMismatch.into());
        }
        tiris_domain::ledger::check(book, entry.user, entry.trading, &accounts)
    }
}
