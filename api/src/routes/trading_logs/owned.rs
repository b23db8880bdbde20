//! The trading logs of a user.

use super::object::TradingLog;
use crate::http::page::{Page, Pagination};
use crate::routes::tradings::object::not_purged;
use crate::state::State;
use poem_openapi::Object;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, Select};
use serde::Serialize;
use tiris_domain::ids::UserId;
use tiris_store::entity::trading_logs::{Column, Entity, Model};
use tiris_store::error::Result;

/// The order of lists: time and id.
pub(super) const ORDER: (Column, Column) = (Column::Timestamp, Column::Id);

/// A page of trading logs, newest first.
#[derive(Object, Serialize)]
pub(super) struct TradingLogPage {
    trading_logs: Vec<TradingLog>,
    pagination: Pagination,
}

/// The trading logs of a user, without those that are being purged.
pub(super) fn owned(user: UserId) -> Select<Entity> {
    Entity::find()
        .filter(Column::UserId.eq(user.0))
        .filter(not_purged(Column::TradingId, user))
}

/// Reads a page of trading logs.
pub(super) async fn read(
    state: &State,
    page: &Page,
    rows: Select<Entity>,
) -> Result<TradingLogPage> {
    let key = |row: &Model| (row.timestamp, row.id);
    let (rows, pagination) = page
        .read_history(&state.histories, rows, ORDER, key, |row| row.trading_id)
        .await?;

    let trading_logs = rows.into_iter().map(TradingLog::try_from);
    Ok(TradingLogPage {
        trading_logs: trading_logs.collect::<Result<_>>()?,
        pagination,
    })
}
