//! The filters that the list and the export of transactions share.

use super::owned::owned;
use crate::routes::prelude::*;
use crate::routes::range::Time;
use tiris_store::entity::transactions::{Column, Entity};
use tiris_store::numeric::MoneyColumn;

/// The filters as the request gives them; all must match.
pub(super) struct Filters {
    pub(super) trading_id: Option<Uuid>,
    pub(super) sub_account_id: Option<Uuid>,
    pub(super) order_id: Option<String>,
    pub(super) direction: Option<Field<Direction>>,
    pub(super) reason: Option<String>,
    pub(super) start_date: Option<QueryTime>,
    pub(super) end_date: Option<QueryTime>,
    pub(super) time: Option<Time>,
    pub(super) min_amount: Option<String>,
    pub(super) max_amount: Option<String>,
    pub(super) info: Option<String>,
}

impl Filters {
    /// Selects the transactions of a user.
    pub(super) fn rows(self, user: UserId) -> Result<Select<Entity>> {
        let direction = self.direction.map(|direction| direction.0.as_str());
        let dated = match self.time {
            Some(Time::Event) => Column::EventTime,
            _ => Column::Timestamp,
        };

        Ok(owned(user)
            .filter(equal(Column::TradingId, self.trading_id))
            .filter(equal(Column::SubAccountId, self.sub_account_id))
            .filter(equal_text(Column::OrderId, "order_id", self.order_id)?)
            .filter(equal(Column::Direction, direction))
            .filter(equal_text(Column::Reason, "reason", self.reason)?)
            .filter(range(
                dated,
                ("start_date", self.start_date),
                ("end_date", self.end_date),
            )?)
            .filter(amounts(
                self.min_amount.as_deref(),
                self.max_amount.as_deref(),
            )?)
            .filter(containing(Column::Info, self.info.as_deref())?))
    }
}

/// Selects transactions by the range of their amounts.
fn amounts(min: Option<&str>, max: Option<&str>) -> Result<Condition> {
    let bound = |name, text: &str| -> Result<MoneyColumn> {
        text.parse()
            .map(MoneyColumn)
            .map_err(|why: String| Error::invalid(name, why))
    };
    let mut condition = Condition::all();
    if let Some(min) = min {
        condition = condition.add(Column::Amount.gte(bound("min_amount", min)?));
    }
    if let Some(max) = max {
        condition = condition.add(Column::Amount.lte(bound("max_amount", max)?));
    }
    Ok(condition)
}
