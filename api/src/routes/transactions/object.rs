//! Transactions as answers show them.

use crate::http::field::Field;
use chrono::{DateTime, Utc};
use poem_openapi::Object;
use serde::Serialize;
use tiris_domain::ids::TransactionId;
use tiris_domain::ledger::{Direction, Posting};
use tiris_domain::money::Money;
use tiris_domain::value::Info;
use tiris_store::column;
use tiris_store::entity::transactions::Model;
use tiris_store::error::{Error, Result};
use tiris_store::ledger::{Applied, Entry};
use uuid::Uuid;

/// One change of one balance.
#[derive(Object, Serialize)]
pub(in crate::routes) struct Transaction {
    id: Uuid,
    user_id: Uuid,
    trading_id: Uuid,
    sub_account_id: Uuid,
    /// When it was booked
    timestamp: DateTime<Utc>,
    /// When it happened, by the caller; of a backtest years before `timestamp`
    event_time: DateTime<Utc>,
    direction: Field<Direction>,
    /// Why: `long`, `short`, `stop_loss`, `fee`, `deposit`, `withdraw`, or what an event said
    reason: String,
    /// How much, above zero, in units of the account's asset
    amount: Field<Money>,
    /// The balance after it
    closing_balance: Field<Money>,
    /// Price of one unit of stock in a trade
    #[oai(nullable)]
    price: Option<Field<Money>>,
    /// Asset the price is in
    #[oai(nullable)]
    quote_symbol: Option<String>,
    /// What a fee took of it, in units of the account's asset: a buy paid it on top of the cost, a sell got so much less,
    /// and of a posting `fee` it is the whole; null when a trade paid no fee here
    #[oai(nullable)]
    fee: Option<Field<Money>>,
    /// The order it belongs to
    #[oai(nullable)]
    order_id: Option<String>,
    /// Its number on the account, from 1 without gaps
    sequence: i64,
    /// The event it came from; null when it came by REST
    #[oai(nullable)]
    event_id: Option<String>,
    /// The log entry that made it
    trading_log_id: Uuid,
    /// Free JSON
    info: Field<Info>,
}

impl TryFrom<Model> for Transaction {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
        let money = |amount| column::money(amount).map(Field);

        Ok(Self {
            id: row.id,
            user_id: row.user_id,
            trading_id: row.trading_id,
            sub_account_id: row.sub_account_id,
            timestamp: row.timestamp,
            event_time: row.event_time,
            direction: Field(column::state(&row.direction)?),
            reason: row.reason,
            amount: money(row.amount)?,
            closing_balance: money(row.closing_balance)?,
            price: row.price.map(money).transpose()?,
            quote_symbol: row.quote_symbol,
            fee: row.fee.map(money).transpose()?,
            order_id: row.order_id,
            sequence: row.sequence,
            event_id: row.event_id,
            trading_log_id: row.trading_log_id,
            info: Field(Info::from_column(row.info)),
        })
    }
}

/// The rows the ledger has just written for an entry.
pub(in crate::routes) fn transactions_of(
    entry: &Entry,
    applied: &Applied,
    timestamp: DateTime<Utc>,
) -> Vec<Transaction> {
    let row = |(id, posting): &(TransactionId, Posting)| Transaction {
        id: id.0,
        user_id: entry.user.0,
        trading_id: entry.trading.0,
        sub_account_id: posting.account.0,
        timestamp,
        event_time: entry.event_time.unwrap_or(timestamp),
        direction: Field(posting.direction),
        reason: posting.reason.clone(),
        amount: Field(posting.amount),
        closing_balance: Field(posting.closing_balance),
        price: posting.price.map(Field),
        quote_symbol: posting.quote.as_ref().map(ToString::to_string),
        fee: posting.fee.map(Field),
        order_id: entry.order.as_ref().map(ToString::to_string),
        sequence: posting.sequence,
        event_id: None,
        trading_log_id: applied.log.0,
        info: Field(Info(entry.info.clone())),
    };

    applied.postings.iter().map(row).collect()
}
