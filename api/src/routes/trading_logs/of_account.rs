//! The trading logs of a sub-account: those that name it, and those that booked transactions on it, such as trades.

use crate::entities::Entities;
use crate::http::page::Part;
use crate::http::reading::{Rows, Streamed};
use crate::routes::prelude::*;
use crate::routes::range::Time;
use futures_util::future::BoxFuture;
use sea_orm::sea_query::{
    CommonTableExpression, Expr, ExprTrait, JoinType, Query as Statement, SelectStatement,
    UnionType,
};
use sea_orm::{DbErr, Iterable, PaginatorTrait, QuerySelect, QueryTrait};
use tiris_store::entity::trading_logs::{Column, Entity, Model};
use tiris_store::entity::transactions;

/// The order of lists: by time, then by id.
pub(super) const ORDER: (Column, Column) = (Column::Timestamp, Column::Id);
/// The same order of the logs of transactions, which have the timestamp of their log.
const BOOKED_ORDER: (transactions::Column, transactions::Column) = (
    transactions::Column::Timestamp,
    transactions::Column::TradingLogId,
);
/// The name of the first part of the statement: the logs that name the sub-account.
const NAMING: &str = "naming";
/// The name of a log of a transaction in the statement.
const BOOKED: &str = "booked";
/// The place behind which all logs that name the sub-account are known, so that no transaction is read in vain.
const KNOWN: &str =
    "(SELECT CASE count(*) WHEN $1 THEN min(timestamp) ELSE '-infinity' END FROM naming)";

/// The filters that logs share with the transactions that they booked.
pub(super) struct Shared {
    pub(super) trading: Option<Uuid>,
    pub(super) order: Option<String>,
    pub(super) time: Option<Time>,
    pub(super) start: Option<QueryTime>,
    pub(super) end: Option<QueryTime>,
}

impl Shared {
    /// Returns the condition of logs.
    pub(super) fn of_logs(&self) -> Result<Condition> {
        self.of([
            Column::TradingId,
            Column::OrderId,
            self.dated(ORDER.0, Column::EventTime),
        ])
    }

    fn of_transactions(&self) -> Result<Condition> {
        use transactions::Column;
        let dated = self.dated(BOOKED_ORDER.0, Column::EventTime);
        self.of([Column::TradingId, Column::OrderId, dated])
    }

    fn of<C: ColumnTrait>(&self, [trading, order, dated]: [C; 3]) -> Result<Condition> {
        let start = ("start_date", self.start);
        let end = ("end_date", self.end);
        Ok(Condition::all()
            .add(equal(trading, self.trading))
            .add(equal_text(order, "order_id", self.order.clone())?)
            .add(range(dated, start, end)?))
    }

    fn dated<C>(&self, recorded: C, event: C) -> C {
        match self.time {
            Some(Time::Event) => event,
            _ => recorded,
        }
    }
}

/// The logs of a sub-account, of those in `logs`.
#[derive(Clone)]
pub(super) struct OfAccount {
    account: Uuid,
    logs: Select<Entity>,
    /// The transactions of the sub-account whose logs may be in `logs`.
    transactions: Select<transactions::Entity>,
}

impl OfAccount {
    pub(super) fn new(
        (user, account): (UserId, Uuid),
        logs: Select<Entity>,
        shared: &Shared,
    ) -> Result<Self> {
        let transactions = transactions::Entity::find()
            .filter(transactions::Column::UserId.eq(user.0))
            .filter(transactions::Column::SubAccountId.eq(account))
            .filter(shared.of_transactions()?);
        Ok(Self {
            account,
            logs,
            transactions,
        })
    }

    /// Selects all logs by one condition, for which the database reads everything of the sub-account.
    fn all(self) -> Select<Entity> {
        let booked = self
            .transactions
            .clone()
            .select_only()
            .column(transactions::Column::TradingLogId)
            .into_query();
        let mut both = self.naming().select_only().column(Column::Id).into_query();
        both.union(UnionType::All, booked);
        self.logs.filter(Column::Id.in_subquery(both))
    }

    /// Selects the logs that name the sub-account.
    fn naming(&self) -> Select<Entity> {
        let logs = self.logs.clone();
        logs.filter(Column::SubAccountId.eq(self.account))
    }

    /// Selects a part by merging the logs that name the sub-account with those of its transactions, both read along an
    /// index. A log with several transactions is repeated.
    fn merged(self, part: Part) -> Select<Entity> {
        let naming = CommonTableExpression::new()
            .query(part.of(self.naming(), ORDER).into_query())
            .table_name(NAMING)
            .to_owned();
        let mut both = Statement::select();
        both.columns(Column::iter().map(|column| (NAMING, column)))
            .from(NAMING)
            .union(UnionType::All, self.booked(part));

        let mut merged = Entity::find();
        QuerySelect::query(&mut merged)
            .with_cte(naming)
            .from_clear()
            .from_subquery(both, Entity);
        merged
            .order_by_desc(ORDER.0)
            .order_by_desc(ORDER.1)
            .limit(part.limit())
    }

    /// Selects the logs of the transactions, without those that name the sub-account and are known.
    fn booked(self, part: Part) -> SelectStatement {
        let column = |column| Expr::col((transactions::Entity, column));
        let known = Statement::select()
            .column((NAMING, Column::Id))
            .from(NAMING)
            .to_owned();
        let since = Expr::cust_with_values(KNOWN, [part.limit()]);
        // The limit makes the database read the log of one transaction after the other, instead of all logs at once.
        let log = self
            .logs
            .filter(Column::Id.into_expr().eq(column(BOOKED_ORDER.1)))
            .filter(Column::Timestamp.into_expr().eq(column(BOOKED_ORDER.0)))
            .limit(1)
            .into_query();

        let transactions = self
            .transactions
            .filter(column(BOOKED_ORDER.0).gte(since))
            .filter(column(BOOKED_ORDER.1).not_in_subquery(known));
        let mut booked = part.of(transactions, BOOKED_ORDER).into_query();
        booked
            .clear_selects()
            .columns(Column::iter().map(|column| (BOOKED, column)))
            .join_lateral(JoinType::InnerJoin, log, BOOKED, Condition::all());
        booked
    }
}

impl Rows for OfAccount {
    type Row = Model;

    fn stream_part<C: ColumnTrait>(
        self,
        columns: (C, C),
        part: Part,
        db: &Entities,
    ) -> BoxFuture<'_, Streamed<'_, Model>> {
        // An offset counts each log once.
        let rows = if part.has_offset() {
            part.of(self.all(), columns)
        } else {
            self.merged(part)
        };
        Box::pin(rows.into_model::<Model>().stream(db))
    }

    fn count_all(self, db: &Entities) -> BoxFuture<'_, Result<u64, DbErr>> {
        Box::pin(self.all().count(db))
    }
}
