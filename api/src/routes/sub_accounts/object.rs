//! The sub-account in responses.

use crate::routes::prelude::*;
use tiris_store::entity::sub_accounts::Model;

/// One asset of a trading, with its balance.
#[derive(Object, Serialize)]
pub(in crate::routes) struct SubAccount {
    /// Id of the sub-account
    id: Uuid,
    /// Id of its owner
    user_id: Uuid,
    /// Id of the trading it belongs to
    pub(super) trading_id: Uuid,
    /// Name, unique among the sub-accounts of the trading that are not deleted
    pub(super) name: String,
    /// Symbol of the asset, such as `BTC`
    pub(super) symbol: String,
    /// Total balance in units of the asset, locked amounts included
    pub(super) balance: Field<Money>,
    /// The part of the balance that open orders lock
    locked: Field<Money>,
    /// The part that can be spent or withdrawn: `balance - locked`
    available: Field<Money>,
    /// Number of the latest transaction on the sub-account, 0 before the first
    sequence: i64,
    /// Free JSON of the owner
    info: Field<Info>,
    /// When it was created
    created_at: DateTime<Utc>,
    /// When it last changed, balance included
    updated_at: DateTime<Utc>,
}

impl TryFrom<Model> for SubAccount {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
        let balance = row.balance.0;
        let locked = row.locked.0;
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
