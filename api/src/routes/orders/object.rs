//! The order in responses.

use crate::routes::prelude::*;
use std::collections::BTreeMap;
use tiris_domain::money::Price;
use tiris_domain::states::{OrderStatus, Side};
use tiris_store::entity::orders::Model;

/// An order, as far as events have reported it.
#[derive(Object, Serialize)]
pub(in crate::routes) struct Order {
    /// Id of the order in this API
    id: Uuid,
    /// Id of its owner
    user_id: Uuid,
    /// Id of the trading
    trading_id: Uuid,
    /// The pair, `BASE/QUOTE`; null while only a lock that names no pair has named the order
    #[oai(nullable)]
    symbol: Option<String>,
    /// Id of the order, as the exchange or bot calls it; an exchange may use one id on several pairs
    order_id: String,
    /// Null while only a lock or unlock has named the order
    #[oai(nullable)]
    side: Option<Field<Side>>,
    /// Type of the order as reported, such as `limit`
    #[oai(nullable)]
    r#type: Option<String>,
    /// Ordered amount of the base asset
    #[oai(nullable)]
    amount: Option<Field<Money>>,
    /// Price of the order as reported
    #[oai(nullable)]
    price: Option<Field<Price>>,
    /// Sum of the fills in the base asset, without movements; more than `amount` when the exchange filled more
    filled: Field<Money>,
    /// `quote_filled / filled`, with at most 40 significant digits; null without a fill
    #[oai(nullable)]
    average_price: Option<Field<Price>>,
    /// Amount of the quote asset paid or received, without fees
    quote_filled: Field<Money>,
    /// Sum of the fees, one row per asset
    fees: Vec<OrderFee>,
    /// State of the order; `unknown` while only a lock or unlock has named it
    status: Field<OrderStatus>,
    /// Ids of the sub-accounts that the order has used
    accounts: Vec<Uuid>,
    /// Earliest time of its events, according to the bot
    first_event_time: DateTime<Utc>,
    /// Latest time of its events, according to the bot
    last_event_time: DateTime<Utc>,
    /// Number of fills
    fills: i32,
    /// When the service first recorded it
    created_at: DateTime<Utc>,
    /// When it last changed
    updated_at: DateTime<Utc>,
}

/// The fees of an order in one asset.
#[derive(Object, Serialize)]
struct OrderFee {
    /// Symbol of the asset
    asset: String,
    /// The amount; negative for a rebate
    amount: Field<Money>,
}

impl TryFrom<Model> for Order {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
        let side = row.side.map(column::state).transpose()?;
        let average_price = Price::of_exchange(row.quote_filled.0, row.filled.0);

        Ok(Self {
            id: row.id,
            user_id: row.user_id,
            trading_id: row.trading_id,
            symbol: Some(row.symbol).filter(|symbol| !symbol.is_empty()),
            order_id: row.order_id,
            side: side.map(Field),
            r#type: row.r#type,
            amount: row.amount.map(|amount| Field(amount.0)),
            price: row.price.map(|price| Field(price.0)),
            filled: Field(row.filled.0),
            average_price: average_price.map(Field),
            quote_filled: Field(row.quote_filled.0),
            fees: fees(row.fees)?,
            status: Field(column::state(&row.status)?),
            accounts: row.accounts,
            first_event_time: row.first_event_time,
            last_event_time: row.last_event_time,
            fills: row.fills,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// Returns the fees of the column, by asset.
fn fees(column: serde_json::Value) -> Result<Vec<OrderFee>> {
    let fees: BTreeMap<String, Money> =
        serde_json::from_value(column).map_err(|error| Error::Internal(error.into()))?;

    let fees = fees.into_iter().map(|(asset, amount)| OrderFee {
        asset,
        amount: Field(amount),
    });
    Ok(fees.collect())
}
