//! The effects of events on the books, computed in advance by the parser and the pure ledger.

use super::STREAM;
use crate::publish::Load;
use crate::stage::Database;
use anyhow::{Context, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;
use tiris_domain::event::BareSubjects;
use tiris_domain::ids::{AccountId, IdSequence, TradingId, UserId, new_id};
use tiris_domain::ledger::{self, Account, Book, Effect};
use tiris_store::column;
use tiris_store::ledger::{Entry, Origin, Work};
use tiris_store::numeric::MoneyColumn;
use uuid::Uuid;

/// The state of the books after the events so far.
pub(super) struct Forecast {
    load: Load,
    book: Book,
    ids: IdSequence,
    now: DateTime<Utc>,
}

/// The effect of an event.
pub(super) struct Booked {
    pub(super) entry: Entry,
    pub(super) effect: Effect,
    pub(super) log: Uuid,
    /// One id for each posting of the effect.
    pub(super) postings: Vec<Uuid>,
}

#[derive(sqlx::FromRow)]
struct AccountRow {
    id: Uuid,
    user_id: Uuid,
    trading_id: Uuid,
    symbol: String,
    balance: MoneyColumn,
    sequence: i64,
}

impl Forecast {
    /// Reads the accounts of a database without holds and open orders.
    pub(super) async fn open(database: &Database, load: Load, seed: u64) -> Result<Self> {
        let rows: Vec<AccountRow> = sqlx::query_as(
            "SELECT id, user_id, trading_id, symbol, balance, sequence FROM sub_accounts",
        )
        .fetch_all(&database.pool)
        .await?;

        let mut book = Book::default();
        for row in rows {
            book.insert(row.account()?);
        }
        let now = Utc::now();
        Ok(Self {
            load,
            book,
            ids: IdSequence::new(now, seed),
            now,
        })
    }

    /// Books event `n`. As in a real stream no two events have the same time, because equal values cost an index less than
    /// different ones.
    pub(super) fn book(&mut self, n: u64) -> Result<Booked> {
        let at = self.now + TimeDelta::microseconds(i64::try_from(n)?);
        let (subject, payload) = self.load.event(n, at);
        let origin = Origin {
            stream: STREAM,
            stream_seq: n,
            broker_time: Some(at),
        };
        let work = Work::parse(&subject, &payload, BareSubjects::Refuse, &origin);
        let entry = work.entry().context("an event without an entry")?.clone();
        let mut effect =
            ledger::apply(&self.book, entry.user, entry.trading, &entry.command, at)
                .map_err(|rejected| anyhow::anyhow!("event {n} is rejected: {rejected}"))?;
        ensure!(effect.drift.is_empty(), "event {n} has drift");

        for order in &mut effect.orders {
            order.row.get_or_insert_with(new_id);
        }
        self.book.commit(&effect);
        Ok(Booked {
            entry,
            log: self.ids.next_id(),
            postings: effect.postings.iter().map(|_| self.ids.next_id()).collect(),
            effect,
        })
    }
}

impl AccountRow {
    fn account(self) -> Result<Account> {
        Ok(Account {
            id: AccountId(self.id),
            user: UserId(self.user_id),
            trading: TradingId(self.trading_id),
            asset: column::asset(&self.symbol)?,
            balance: self.balance.0,
            locked: MoneyColumn::default().0,
            sequence: self.sequence,
            holds: BTreeMap::new(),
        })
    }
}
