//! The transactions that a user may read.

use super::object::Transaction;
use crate::http::answer;
use crate::http::reading::Item;
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
pub(in crate::routes) async fn read<I: Item>(
    answer: &mut answer::Answer,
    state: &State,
    page: &Page,
    rows: Select<Entity>,
    convert: impl Fn(&Transaction) -> Result<I> + Send + Sync,
) -> Result<(Vec<I>, Pagination)> {
    let list = List {
        rows,
        columns: ORDER,
        key: |row: &Model| (row.timestamp, row.id),
    };
    let trading = |row: &Model| row.trading_id;

    page.read_history(answer, &state.histories, list, trading, |row| {
        convert(&Transaction::try_from(row)?)
    })
    .await
}
