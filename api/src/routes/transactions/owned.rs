//! The transactions that a user may read.

use crate::routes::prelude::*;
use crate::routes::tradings::object::not_purged;
use tiris_store::entity::transactions::{Column, Entity, Model};

/// The order of lists: by time, then by id.
pub(super) const ORDER: (Column, Column) = (Column::Timestamp, Column::Id);

/// Returns the transactions of a user, without those of tradings that are being purged.
pub(in crate::routes) fn owned(user: UserId) -> Select<Entity> {
    Entity::find()
        .filter(Column::UserId.eq(user.0))
        .filter(not_purged(Column::TradingId, user))
}

/// Reads a page of transactions.
pub(in crate::routes) async fn read(
    state: &State,
    page: &Page,
    rows: Select<Entity>,
) -> Result<(Vec<Model>, Pagination)> {
    let key = |row: &Model| (row.timestamp, row.id);
    page.read_history(&state.histories, rows, ORDER, key, |row| row.trading_id)
        .await
}
