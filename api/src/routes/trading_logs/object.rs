//! How a trading log looks.

use crate::http::field::Field;
use crate::routes::sub_accounts::object::SubAccount;
use chrono::{DateTime, Utc};
use poem_openapi::Object;
use serde::Serialize;
use tiris_domain::states::LogSource;
use tiris_domain::value::Info;
use tiris_store::column;
use tiris_store::entity::trading_logs::Model;
use tiris_store::error::{Error, Result};
use tiris_store::ledger::{Applied, Entry};
use uuid::Uuid;

/// What happened on a trading.
#[derive(Clone, Object, Serialize)]
pub(in crate::routes) struct TradingLog {
    id: Uuid,
    user_id: Uuid,
    trading_id: Uuid,
    /// The sub-account it names
    #[oai(nullable)]
    sub_account_id: Option<Uuid>,
    /// Its transaction, when it made exactly one
    #[oai(nullable)]
    transaction_id: Option<Uuid>,
    /// When it was recorded
    pub(in crate::routes) timestamp: DateTime<Utc>,
    /// When it happened, by the caller; else `timestamp`
    event_time: DateTime<Utc>,
    /// `long`, `short`, `stop_loss`, `deposit`, `withdraw`, or whatever was recorded
    r#type: String,
    source: Field<LogSource>,
    /// The order it is about
    #[oai(nullable)]
    order_id: Option<String>,
    /// What it says
    message: String,
    /// Free JSON
    info: Field<Info>,
}

impl TryFrom<Model> for TradingLog {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
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
            info: Field(Info::from_column(row.info)),
        })
    }
}

/// The row the ledger has just written for an entry.
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
        info: Field(Info(entry.info.clone())),
    }
}

/// A new trading log with what it did.
#[derive(Object, Serialize)]
pub(super) struct Recorded {
    id: Uuid,
    user_id: Uuid,
    trading_id: Uuid,
    /// The sub-account it names
    #[oai(nullable)]
    sub_account_id: Option<Uuid>,
    /// Its transaction, when it made exactly one
    #[oai(nullable)]
    transaction_id: Option<Uuid>,
    /// When it was recorded
    pub(super) timestamp: DateTime<Utc>,
    /// When it happened, by the caller; else `timestamp`
    event_time: DateTime<Utc>,
    /// `long`, `short`, `stop_loss`, `deposit`, `withdraw`, or whatever was recorded
    r#type: String,
    source: Field<LogSource>,
    /// The order it is about
    #[oai(nullable)]
    order_id: Option<String>,
    /// What it says
    message: String,
    /// Free JSON
    info: Field<Info>,
    /// All its transactions, in order; a separate fee comes last
    transaction_ids: Vec<Uuid>,
    /// The sub-accounts it moved, after it
    sub_accounts: Vec<SubAccount>,
}

impl Recorded {
    /// Joins a log with what it did; the two stand in one object, flat.
    pub(super) fn new(
        log: TradingLog,
        transaction_ids: Vec<Uuid>,
        sub_accounts: Vec<SubAccount>,
    ) -> Self {
        let TradingLog {
            id,
            user_id,
            trading_id,
            sub_account_id,
            transaction_id,
            timestamp,
            event_time,
            r#type,
            source,
            order_id,
            message,
            info,
        } = log;

        Self {
            id,
            user_id,
            trading_id,
            sub_account_id,
            transaction_id,
            timestamp,
            event_time,
            r#type,
            source,
            order_id,
            message,
            info,
            transaction_ids,
            sub_accounts,
        }
    }
}
