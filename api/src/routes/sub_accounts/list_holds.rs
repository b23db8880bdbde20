//! `GET /v1/sub-accounts/{id}/holds`

use crate::routes::prelude::*;
use tiris_store::entity::holds::{Column, Entity, Model};
use tiris_store::sub_accounts;

operation!(ListHolds: User, General, [INVALID, NOT_FOUND]);

/// The part of a balance that is locked for an order.
#[derive(Object, Serialize)]
struct Hold {
    /// Id of the order; empty for locks that named no order
    order_id: String,
    /// Pair of the order, `BASE/QUOTE`; null for locks that named no pair
    #[oai(nullable)]
    symbol: Option<String>,
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

/// All holds of a sub-account.
#[derive(Object, Serialize)]
struct HoldList {
    /// Holds, newest first
    holds: Vec<Hold>,
}

impl TryFrom<Model> for Hold {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
        Ok(Self {
            order_id: row.order_id,
            symbol: Some(row.symbol).filter(|symbol| !symbol.is_empty()),
            amount: Field(row.amount.0),
            created_at: row.created_at,
            expires_at: row.expires_at,
            event_id: row.event_id,
        })
    }
}

#[OpenApi(prefix_path = "/v1/sub-accounts", tag = "Tag::SubAccounts")]
impl ListHolds {
    /// List the holds of a sub-account
    ///
    /// A hold is the part of the balance that is reserved for an order, or without an order by locks that name none. The sum of
    /// the holds is the sub-account's `locked`.
    #[oai(path = "/:id/holds", method = "get", operation_id = "listHolds")]
    async fn list(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// Id of the sub-account, from `GET /v1/sub-accounts`
        id: Path<Uuid>,
    ) -> Answer<HoldList, Self> {
        let account = sub_accounts::get(&state.pool, caller.user(), AccountId(id.0)).await?;

        let rows = Entity::find()
            .filter(Column::SubAccountId.eq(account.id))
            .order_by_desc(Column::CreatedAt)
            .order_by_asc(Column::OrderId)
            .order_by_asc(Column::Symbol)
            .all(&state.db)
            .await
            .map_err(Error::from)?;
        let holds = rows.into_iter().map(Hold::try_from);
        Ok(Reply::read(HoldList {
            holds: holds.collect::<Result<_>>()?,
        }))
    }
}
