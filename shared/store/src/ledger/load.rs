//! Loads the state a batch depends on: accounts under lock, the holds it can change, and the status of users and tradings.

use super::entry::Entry;
use crate::error::{Error, Result};
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tiris_domain::ids::{AccountId, TradingId, UserId};
use tiris_domain::ledger::{Account, Book, Rejection};
use tiris_domain::money::Money;
use tiris_domain::states::{State, TradingStatus, UserStatus};
use tiris_domain::value::Invalid;
use uuid::Uuid;

/// Locks the living accounts the entries name, in id order so that batches cannot deadlock.
pub(crate) async fn lock_accounts<'a>(
    connection: &mut PgConnection,
    entries: impl Iterator<Item = &'a Entry>,
) -> Result<Book> {
    let ids: BTreeSet<Uuid> = entries.flat_map(Entry::accounts).map(|id| id.0).collect();
    let mut book = Book::default();
    if ids.is_empty() {
        return Ok(book);
    }

    let rows: Vec<AccountRow> = sqlx::query_as(
        "SELECT id, user_id, trading_id, symbol, balance, locked, sequence FROM sub_accounts \
         WHERE id = ANY($1) AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE",
    )
    .bind(Vec::from_iter(ids))
    .fetch_all(connection)
    .await?;
    for row in rows {
        book.insert(row.account()?);
    }

    Ok(book)
}

#[derive(sqlx::FromRow)]
struct AccountRow {
    id: Uuid,
    user_id: Uuid,
    trading_id: Uuid,
    symbol: String,
    balance: Decimal,
    locked: Decimal,
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
            asset: self.symbol.parse().map_err(wrong)?,
            balance: money(self.balance, id)?,
            locked: money(self.locked, id)?,
            sequence: self.sequence,
            holds: BTreeMap::new(),
        })
    }
}

/// Loads the holds the entries can change into the accounts of `book`.
pub(super) async fn holds<'a>(
    connection: &mut PgConnection,
    book: &mut Book,
    entries: impl Iterator<Item = &'a Entry>,
) -> Result<()> {
    let mut wanted: BTreeSet<(Uuid, &str)> = BTreeSet::new();
    for entry in entries {
        if let Some(order) = entry.command.hold_order() {
            let order = order.map_or("", |order| order.as_str());
            let accounts = entry.command.accounts().into_iter();
            wanted.extend(accounts.map(|account| (account.0, order)));
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }

    let (accounts, orders): (Vec<Uuid>, Vec<&str>) = wanted.into_iter().unzip();
    let rows: Vec<(Uuid, String, Decimal)> = sqlx::query_as(
        "SELECT h.sub_account_id, h.order_id, h.amount FROM holds h \
         JOIN UNNEST($1::uuid[], $2::text[]) AS w (sub_account_id, order_id) USING (sub_account_id, order_id)",
    )
    .bind(accounts)
    .bind(orders)
    .fetch_all(connection)
    .await?;

    for (account, order, amount) in rows {
        let Some(mut account) = book.get(AccountId(account)).cloned() else {
            continue;
        };
        let amount = money(amount, account.id)?;
        account.holds.insert(order.parse().ok(), amount);
        book.insert(account);
    }
    Ok(())
}

fn money(value: Decimal, account: AccountId) -> Result<Money> {
    Money::from_decimal(value)
        .ok_or_else(|| Error::internal(format!("figure {value} of account {account}")))
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
    /// Timestamp of the rows to be written.
    pub(super) now: DateTime<Utc>,
}

/// Reads users, tradings and the current time in one statement, to save round trips.
pub const PARTIES: &str = "SELECT id, NULL::uuid AS owner, status, NULL::timestamptz AS now FROM users WHERE id = ANY($1) \
     UNION ALL SELECT id, user_id, status, NULL FROM tradings WHERE id = ANY($2) \
     UNION ALL SELECT NULL, NULL, NULL, clock_timestamp()";

/// Reads users and tradings after the accounts are locked: the deletion of a trading locks its accounts first, so a status
/// read now stays valid until this transaction ends. An entry without accounts locks its trading itself. The clock is read
/// here too, because the locking statement would return the time before it waited.
pub(super) async fn parties<'a>(
    connection: &mut PgConnection,
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

impl Parties {
    /// Performs the checks that precede the ledger's own, in the order of the rejections.
    pub(super) fn check(&self, book: &Book, entry: &Entry) -> Result<(), Rejection> {
        match self.users.get(&entry.user) {
            None | Some(Some(UserStatus::Deleted)) => return Err(Rejection::UnknownUser),
            Some(Some(UserStatus::Disabled)) => return Err(Rejection::UserDisabled),
            Some(Some(UserStatus::Active) | None) => {}
        }
        let owner = match self.tradings.get(&entry.trading) {
            Some((owner, Some(status))) if status.is_living() => *owner,
            Some(_) | None => return Err(Rejection::UnknownTrading),
        };

        let accounts = entry.accounts();
        if accounts.iter().any(|id| book.get(*id).is_none()) {
            return Err(Rejection::UnknownSubAccount);
        }
        if owner != entry.user {
            return Err(Rejection::OwnershipMismatch);
        }
        tiris_domain::ledger::check(book, entry.user, entry.trading, &accounts)
    }
}
