//! What goes into the fold.

use crate::ledger::{Asset, Direction, OrderId};
use crate::money::Money;
use chrono::{DateTime, Utc};
use uuid::Uuid;

/// One change of one balance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// When it happened.
    pub time: DateTime<Utc>,
    /// Of what.
    pub asset: Asset,
    /// Which way.
    pub direction: Direction,
    /// How much, above zero.
    pub amount: Money,
    /// Why.
    pub reason: String,
    /// Price of a trade, of one unit of its base asset.
    pub price: Option<Money>,
    /// Asset the price is in.
    pub quote: Option<Asset>,
    /// What a fee took of it.
    pub fee: Option<Money>,
    /// The order it belongs to.
    pub order: Option<OrderId>,
    /// The trading log that made it: legs of a trade have it in common.
    pub log: Uuid,
}

/// The time that is measured; what was before counts as the state it begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// Its first moment; absent begins with the first posting.
    pub from: Option<DateTime<Utc>>,
    /// The moment after its last one; absent ends with the last posting.
    pub to: Option<DateTime<Utc>>,
}
