//! Orders: what bots reported of each order, and what it did to the books. Only the ledger writes them.

mod get;
mod list;
pub(super) mod object;

use crate::routes::prelude::*;
use crate::routes::tradings::object::not_purged;
use tiris_store::entity::orders::{Column, Entity};

pub(super) fn operations() -> impl OpenApi {
    (list::ListOrders, get::GetOrder)
}

/// Returns the orders of a user, without those of tradings that are being purged.
fn owned(user: UserId) -> Select<Entity> {
    Entity::find()
        .filter(Column::UserId.eq(user.0))
        .filter(not_purged(Column::TradingId, user))
}
