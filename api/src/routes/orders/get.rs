//! `GET /v1/orders/{id}`

use super::object::Order;
use crate::routes::prelude::*;
use crate::routes::trading_logs::list as logs;
use crate::routes::trading_logs::object::TradingLog;
use crate::routes::transactions::object::Transaction;
use crate::routes::transactions::owned as postings;
use tiris_store::entity::{trading_logs, transactions};
use tiris_store::orders::{self, OrderHold};

operation!(GetOrder: User, General, [INVALID, NOT_FOUND]);

/// Maximum number of holds, logs and transactions of an order in its response.
const ROWS_MAX: u32 = 100;

/// An order with its holds and its history.
#[derive(Object, Serialize)]
struct OrderDetails {
    #[oai(flatten)]
    #[serde(flatten)]
    order: Order,
    /// Holds of the order on all sub-accounts of the trading, newest first, at most 100; one whose locks named no pair is
    /// listed with every order of this id
    holds: Vec<HoldOfOrder>,
    /// Trading logs of the trading that name the order id, newest first, at most 100 and 2 MiB
    trading_logs: Listed<TradingLog>,
    /// `cursor` of the older logs, at `GET /v1/trading-logs?trading_id=&order_id=&cursor=`; null when all are listed
    #[oai(nullable)]
    trading_logs_cursor: Option<String>,
    /// Transactions of the trading that name the order id, newest first, at most 100 and 2 MiB
    transactions: Listed<Transaction>,
    /// `cursor` of the older transactions, at `GET /v1/transactions?trading_id=&order_id=&cursor=`; null when all are
    /// listed
    #[oai(nullable)]
    transactions_cursor: Option<String>,
}

/// A part of a sub-account's balance that is locked for the order.
#[derive(Object, Serialize)]
struct HoldOfOrder {
    /// Id of the sub-account
    sub_account_id: Uuid,
    /// Symbol of its asset
    asset: String,
    /// Locked amount in units of the asset
    amount: Field<Money>,
    /// When the hold was created
    created_at: DateTime<Utc>,
    /// When the hold is released by itself; null for never
    #[oai(nullable)]
    expires_at: Option<DateTime<Utc>>,
    /// Id of the event that created the hold
    #[oai(nullable)]
    event_id: Option<String>,
}

impl From<OrderHold> for HoldOfOrder {
    fn from(hold: OrderHold) -> Self {
        Self {
            sub_account_id: hold.sub_account_id,
            asset: hold.asset,
            amount: Field(hold.amount.0),
            created_at: hold.created_at,
            expires_at: hold.expires_at,
            event_id: hold.event_id,
        }
    }
}

#[OpenApi(prefix_path = "/v1/orders", tag = "Tag::Orders")]
impl GetOrder {
    /// Get an order
    ///
    /// Returns an order with what it holds, its trading logs and its transactions. Logs and transactions name only the
    /// order id: where an exchange uses one id on several pairs, those of the other pairs are listed too.
    #[oai(path = "/:id", method = "get", operation_id = "getOrder")]
    async fn get(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the order, from `GET /v1/orders`
        id: Path<Uuid>,
    ) -> Answer<OrderDetails, Self> {
        let user = caller.user();
        let row = orders::get(&state.pool, user, id.0).await?;
        let holds = orders::holds(&state.pool, &row, ROWS_MAX).await?;
        let page = Page::new(Some(ROWS_MAX.into()), None, None, None)?;

        let of_order = logs::owned(user)
            .filter(trading_logs::Column::TradingId.eq(row.trading_id))
            .filter(trading_logs::Column::OrderId.eq(row.order_id.as_str()));
        let all = Chosen::of::<TradingLog>(None)?;
        let mut answer = state.answers.begin(user).halved();
        let logs = logs::read(&mut answer, &state, &page, of_order, &all).await?;

        let of_order = postings::owned(user)
            .filter(transactions::Column::TradingId.eq(row.trading_id))
            .filter(transactions::Column::OrderId.eq(row.order_id.as_str()));
        let convert = |row: &Transaction| all.serialize(row);
        let (postings, older) =
            postings::read(&mut answer, &state, &page, of_order, convert).await?;

        let data = OrderDetails {
            order: row.try_into()?,
            holds: holds.into_iter().map(HoldOfOrder::from).collect(),
            trading_logs: logs.trading_logs,
            trading_logs_cursor: logs.pagination.next_cursor,
            transactions: postings.into(),
            transactions_cursor: older.next_cursor,
        };
        Ok(Reply::list(data, answer))
    }
}
