//! Sub-accounts as answers show them.

use crate::http::field::Field;
use chrono::{DateTime, Utc};
use poem_openapi::Object;
use serde::Serialize;
use tiris_domain::money::Money;
use tiris_domain::value::Info;
use tiris_store::column;
use tiris_store::entity::sub_accounts::Model;
use tiris_store::error::{Error, Result};
use uuid::Uuid;

/// One asset of a trading.
#[derive(Object, Serialize)]
pub(in crate::routes) struct SubAccount {
    pub(super) id: Uuid,
    user_id: Uuid,
    pub(super) trading_id: Uuid,
    /// Unique among the living sub-accounts of the trading
    pub(super) name: String,
    /// Symbol of the asset, such as `BTC`
    pub(super) symbol: String,
    /// All there is, in units of the asset
    pub(super) balance: Field<Money>,
    /// What orders hold of it
    locked: Field<Money>,
    /// `balance - locked`
    available: Field<Money>,
    /// Number of the last transaction, 0 before the first
    sequence: i64,
    /// Free JSON
    info: Field<Info>,
    created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

impl TryFrom<Model> for SubAccount {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
        let balance = column::money(row.balance)?;
        let locked = column::money(row.locked)?;
        let available = balance.checked_sub(locked).unwrap_or(Money::ZERO);

        Ok(Self {
            id: row.id,
            user_id: row.user_id,
            trading_id: row.trading_id,
            name: row.name,
            symbol: row.symbol,
            balance: Field(balance),
            locked: Field(locked),
            available: Field(available),
            sequence: row.sequence,
            info: Field(Info::from_column(row.info)),
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}
