//! The trading log in responses.

use crate::routes::prelude::*;
use crate::routes::sub_accounts::object::SubAccount;
use tiris_domain::states::{DriftKind, LogSource};
use tiris_store::entity::trading_logs::Model;
use tiris_store::ledger::{Applied, Entry};

/// An entry in the journal of a trading.
#[derive(Object, Serialize)]
pub(in crate::routes) struct TradingLog {
    /// Id of the trading log
    id: Uuid,
    /// Id of its owner
    user_id: Uuid,
    /// Id of the trading
    trading_id: Uuid,
    /// Id of the sub-account the log names, if any
    #[oai(nullable)]
    sub_account_id: Option<Uuid>,
    /// Id of the log's transaction; null unless the log booked exactly one
    #[oai(nullable)]
    transaction_id: Option<Uuid>,
    /// When the service recorded the log
    timestamp: DateTime<Utc>,
    /// When it happened according to the caller; by default `timestamp`
    event_time: DateTime<Utc>,
    /// `long`, `short`, `stop_loss`, `deposit`, `withdraw`, or any other type that a caller or bot recorded
    r#type: String,
    /// `manual` for logs written by a user, `bot` for logs written by a bot
    source: Field<LogSource>,
    /// Id of the order the log names, as the exchange or bot calls it
    #[oai(nullable)]
    order_id: Option<String>,
    /// Text of the log
    message: String,
    /// Kinds of the differences between the event and the books, which stand in `info.drift`; empty without any
    drift: Vec<Field<DriftKind>>,
    /// Free JSON; for the types that move money, the movement
    info: Field<Info>,
}

impl TryFrom<Model> for TradingLog {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
        let drift = row.drift.unwrap_or_default();
        let drift = drift.into_iter().map(|kind| column::state(kind).map(Field));

        Ok(Self {
            id: row.id,
            user_id: row.user_id,
            trading_id: row.trading_id,
            sub_account_id: row.sub_account_id,
            transaction_id: row.transaction_id,
            timestamp: row.timestamp,
            event_time: row.event_time,
            r#type: row.r#type,
            source: Field(column::state(&row.source)?),
            order_id: row.order_id,
            message: row.message,
            drift: drift.collect::<Result<_>>()?,
            info: Field(Info::from_column(row.info)),
        })
    }
}

/// Returns the trading log that the ledger has just written for an entry.
pub(in crate::routes) fn log_of(
    entry: &Entry,
    applied: &Applied,
    timestamp: DateTime<Utc>,
) -> TradingLog {
    let single = match applied.postings.as_slice() {
        [(id, _)] => Some(id.0),
        _ => None,
    };

    TradingLog {
        id: applied.log.0,
        user_id: entry.user.0,
        trading_id: entry.trading.0,
        sub_account_id: entry.sub_account.map(|id| id.0),
        transaction_id: single,
        timestamp,
        event_time: entry.event_time.unwrap_or(timestamp),
        r#type: entry.log_type.clone(),
        source: Field(entry.source),
        order_id: entry.order.as_ref().map(ToString::to_string),
        message: entry.message.clone(),
        drift: applied
            .effect
            .drift_kinds()
            .into_iter()
            .map(Field)
            .collect(),
        info: Field(Info(applied.info(&entry.info).into_owned())),
    }
}

/// A new trading log with the money it moved.
#[derive(Object, Serialize)]
pub(super) struct Recorded {
    #[oai(flatten)]
    #[serde(flatten)]
    pub(super) log: TradingLog,
    /// Ids of all transactions the log booked, in booking order; rebates and separate fees come last
    pub(super) transaction_ids: Vec<Uuid>,
    /// The sub-accounts whose balance changed, with their new balances
    pub(super) sub_accounts: Vec<SubAccount>,
}
