//! `GET /v1/orders`

use super::object::Order;
use super::owned;
use crate::routes::prelude::*;
use crate::routes::range::Time;
use tiris_domain::ledger::Pair;
use tiris_domain::states::OrderStatus;
use tiris_store::entity::orders::{Column, Model};

operation!(ListOrders: User, General, [INVALID_FILTER]);

/// The order of lists: by time, then by id.
const ORDER: (Column, Column) = (Column::CreatedAt, Column::Id);

/// A page of orders.
#[derive(Object, Serialize)]
struct OrderPage {
    /// Orders, newest first
    orders: Listed<Order>,
    /// Position of the page in the list
    pagination: Pagination,
}

#[OpenApi(prefix_path = "/v1/orders", tag = "Tag::Orders")]
#[expect(
    clippy::too_many_arguments,
    reason = "one argument for each query parameter"
)]
impl ListOrders {
    /// List the caller's orders
    ///
    /// Returns a page of orders, newest first by `created_at`; all given filters must match. Trades from before the service
    /// recorded orders have none.
    #[oai(path = "/", method = "get", operation_id = "listOrders")]
    async fn list(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Only orders of this trading
        trading_id: Query<Option<Uuid>>,
        /// Only orders with this status
        status: Query<Option<Field<OrderStatus>>>,
        /// Only orders of this pair, such as `BTC/USDT`
        symbol: Query<Option<Field<Pair>>>,
        /// Only orders with this id, as the exchange or bot calls it; at most 128 characters
        order_id: Query<Option<String>>,
        /// Start of the time range, RFC 3339, inclusive
        from: Query<Option<QueryTime>>,
        /// End of the time range, RFC 3339, exclusive
        to: Query<Option<QueryTime>>,
        /// The time that `from` and `to` refer to: `created_at` (`recorded`, default) or `first_event_time` (`event`)
        time: Query<Option<Time>>,
        /// Names of the fields to return of each object, separated by commas, such as `id,status`; by default all
        fields: Query<Option<String>>,
        /// Rows in the page, 1 to 1000; by default 100
        limit: Query<Option<u64>>,
        /// `next_cursor` of the previous page; pages stay stable while new rows come in
        cursor: Query<Option<String>>,
    ) -> Answer<OrderPage, Self> {
        let page = Page::new(limit.0, cursor.0.as_deref(), None, None)?;
        let chosen = Chosen::of::<Order>(fields.0.as_deref())?;
        let dated = match time.0 {
            Some(Time::Event) => Column::FirstEventTime,
            Some(Time::Recorded) | None => Column::CreatedAt,
        };
        let status = status.0.map(|status| status.0.as_str());
        let symbol = symbol.0.map(|pair| pair.0.to_string());

        let rows = owned(caller.user())
            .filter(equal(Column::TradingId, trading_id.0))
            .filter(equal(Column::Status, status))
            .filter(equal(Column::Symbol, symbol))
            .filter(equal_text(Column::OrderId, "order_id", order_id.0)?)
            .filter(range(dated, ("from", from.0), ("to", to.0))?);
        let list = List {
            rows,
            columns: ORDER,
            key: |row: &Model| (row.created_at, row.id),
        };

        let mut answer = state.answers.begin(caller.user());
        let (rows, pagination) = page
            .read(&mut answer, state.histories.lists(), list, |row| {
                chosen.serialize(&Order::try_from(row)?)
            })
            .await?;
        let data = OrderPage {
            orders: rows.into(),
            pagination,
        };
        Ok(Reply::list(data, answer))
    }
}
