//! The transaction in responses.

use crate::routes::prelude::*;
use tiris_domain::ids::TransactionId;
use tiris_domain::ledger::Posting;
use tiris_domain::money::Price;
use tiris_store::entity::transactions::Model;
use tiris_store::ledger::{Applied, Entry};

/// One change of the balance of one sub-account.
#[derive(Object, Serialize)]
pub(in crate::routes) struct Transaction {
    /// Id of the transaction
    id: Uuid,
    /// Id of its owner
    user_id: Uuid,
    /// Id of the trading
    trading_id: Uuid,
    /// Id of the sub-account whose balance changed
    sub_account_id: Uuid,
    /// When the service booked it
    timestamp: DateTime<Utc>,
    /// When it happened according to the caller; in a backtest often years before `timestamp`
    event_time: DateTime<Utc>,
    /// `credit` adds to the balance, `debit` takes from it
    direction: Field<Direction>,
    /// `long`, `short`, `stop_loss`, `fee`, `deposit`, `withdraw`, or the reason given by an event
    reason: String,
    /// The amount, above zero, in units of the sub-account's asset
    amount: Field<Money>,
    /// Balance after the transaction
    closing_balance: Field<Money>,
    /// Price of one unit of stock, for trades
    #[oai(nullable)]
    price: Option<Field<Price>>,
    /// Symbol of the asset the price is in
    #[oai(nullable)]
    quote_symbol: Option<String>,
    /// The fee within `amount`, in units of the sub-account's asset: a purchase pays it on top of the cost, a sale
    /// receives that much less, and a transaction with reason `fee` is all fee; null when no fee was paid here
    #[oai(nullable)]
    fee: Option<Field<Money>>,
    /// Id of the order, as the exchange or bot calls it
    #[oai(nullable)]
    order_id: Option<String>,
    /// Number of the transaction on its sub-account, counted from 1 without gaps
    sequence: i64,
    /// Id of the event that caused it; null for requests to this API
    #[oai(nullable)]
    event_id: Option<String>,
    /// Id of the trading log that booked it
    trading_log_id: Uuid,
    /// Free JSON of the trading log; of an event only `source`, `broker_time` and `drift`
    info: Field<Info>,
}

impl TryFrom<Model> for Transaction {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
        Ok(Self {
            id: row.id,
            user_id: row.user_id,
            trading_id: row.trading_id,
            sub_account_id: row.sub_account_id,
            timestamp: row.timestamp,
            event_time: row.event_time,
            direction: Field(column::state(&row.direction)?),
            reason: row.reason,
            amount: Field(row.amount.0),
            closing_balance: Field(row.closing_balance.0),
            price: row.price.map(|price| Field(price.0)),
            quote_symbol: row.quote_symbol,
            fee: row.fee.map(|fee| Field(fee.0)),
            order_id: row.order_id,
            sequence: row.sequence,
            event_id: row.event_id,
            trading_log_id: row.trading_log_id,
            info: Field(Info::from_column(row.info)),
        })
    }
}

/// Returns the transactions that the ledger has just written for an entry.
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
        price: posting.price.clone().map(Field),
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
