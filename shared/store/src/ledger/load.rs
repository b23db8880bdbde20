//! Reads what a batch needs: accounts under lock, the holds it can change, and the state of users and tradings.

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
pub(super) async fn lock_accounts<'a>(
    connection: &mut PgConnection,
    entries: impl Iterator<Item = &'a Entry>,
) -> Result<Book> {
    let ids: BTreeSet<AccountId> = entries.flat_map(Entry::accounts).collect();
    let mut book = Book::default();

    if ids.is_empty() {
        return Ok(book);
    }
    let ids: Vec<Uuid> = ids.into_iter().map(|id| id.0).collect();
    let rows: Vec<AccountRow> = sqlx::query_as(
        "SELECT id, user_id, trading_id, symbol, balance, locked, sequence FROM sub_accounts \
         WHERE id = ANY($1) AND deleted_at IS NULL ORDER BY id FOR NO KEY UPDATE",
    )
    .bind(ids)
    .fetch_all(connection)
    .await?;
    for row in rows {
        book.insert(row.account()?);
    }

    Ok(book)
}

#[derive(sqlx::FromRow)]
struct AccountRow {
    #[sqlx(try_from = "Uuid")]
    id: AccountId,
    #[sqlx(try_from = "Uuid")]
    user_id: UserId,
    #[sqlx(try_from = "Uuid")]
    trading_id: TradingId,
    symbol: String,
    balance: Decimal,
    locked: Decimal,
    sequence: i64,
}

impl AccountRow {
    fn account(self) -> Result<Account> {
        let wrong = |why: Invalid| Error::internal(format!("symbol of {}: {why}", self.id));
        let asset = self.symbol.parse().map_err(wrong)?;

        Ok(Account {
            id: self.id,
            user: self.user_id,
            trading: self.trading_id,
            asset,
            balance: money(self.balance, self.id)?,
            locked: money(self.locked, self.id)?,
            sequence: self.sequence,
            holds: BTreeMap::new(),
        })
    }
}

#[derive(sqlx::FromRow)]
struct HoldRow {
    #[sqlx(try_from = "Uuid")]
    sub_account_id: AccountId,
    order_id: String,
    amount: Decimal,
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
    let rows: Vec<HoldRow> = sqlx::query_as(
        "SELECT h.sub_account_id, h.order_id, h.amount FROM holds h \
         JOIN UNNEST($1::uuid[], $2::text[]) AS w (sub_account_id, order_id) USING (sub_account_id, order_id)",
    )
    .bind(accounts)
    .bind(orders)
    .fetch_all(connection)
    .await?;

    for row in rows {
        let id = row.sub_account_id;
        let Some(mut account) = book.get(id).cloned() else {
            continue;
        };
        account
            .holds
            .insert(row.order_id.parse().ok(), money(row.amount, id)?);
        book.insert(account);
    }
    Ok(())
}

fn money(value: Decimal, account: AccountId) -> Result<Money> {
    Money::from_decimal(value)
        .ok_or_else(|| Error::internal(format!("figure {value} of account {account}")))
}

/// A row of [`PARTIES`]: a user, a trading with its owner, or the moment.
#[derive(sqlx::FromRow)]
struct Party {
    id: Option<Uuid>,
    owner: Option<Uuid>,
    status: Option<String>,
    now: Option<DateTime<Utc>>,
}

/// Users and tradings the entries name, with their state, and the moment. A state that only a newer version knows is none:
/// it must not stop the lane for everybody else.
pub(super) struct Parties {
    users: HashMap<UserId, Option<UserStatus>>,
    tradings: HashMap<TradingId, (UserId, Option<TradingStatus>)>,
    /// The moment of the rows to be written.
    pub(super) now: DateTime<Utc>,
}

/// Users, tradings and the moment: one statement, because every one costs a round trip.
pub const PARTIES: &str = "SELECT id, NULL::uuid AS owner, status, NULL::timestamptz AS now FROM users WHERE id = ANY($1) \
     UNION ALL SELECT id, user_id, status, NULL FROM tradings WHERE id = ANY($2) \
     UNION ALL SELECT NULL, NULL, NULL, clock_timestamp()";

/// Read after the accounts are locked: a deletion of a trading locks its accounts first, so a state read now holds
/// until this transaction ends. An entry without an account holds its trading itself. The moment is that of the rows to be
/// written; a clock read in the locking statement would be from before the wait.
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
        now: now.ok_or_else(|| Error::internal("the database tells no time"))?,
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
    /// The checks that come before the ledger's own, in the precedence of the rejections.
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
