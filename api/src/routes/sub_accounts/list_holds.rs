//! `GET /v1/sub-accounts/{id}/holds`

use crate::routes::prelude::*;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use tiris_domain::ids::AccountId;
use tiris_domain::money::Money;
use tiris_store::entity::holds::{Column, Entity, Model};
use tiris_store::{column, sub_accounts};

/// List the holds of a sub-account.
pub(crate) struct ListHolds;

impl Policy for ListHolds {
    const ACCESS: Access = Access::User;
    const RATE: Option<Class> = Some(Class::General);
    const REFUSALS: &'static [Refusal] = &[INVALID, NOT_FOUND];
}

/// A part of a balance that is locked for an order.
#[derive(Object, Serialize)]
struct Hold {
    /// The order; empty when none was named
    order_id: String,
    /// What is locked, in units of the asset
    amount: Field<Money>,
    created_at: DateTime<Utc>,
    /// The event that made it
    #[oai(nullable)]
    event_id: Option<String>,
}

/// All holds of a sub-account, newest first.
#[derive(Object, Serialize)]
struct HoldList {
    holds: Vec<Hold>,
}

impl TryFrom<Model> for Hold {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self> {
        Ok(Self {
            order_id: row.order_id,
            amount: Field(column::money(row.amount)?),
            created_at: row.created_at,
            event_id: row.event_id,
        })
    }
}

#[OpenApi(prefix_path = "/v1/sub-accounts", tag = "Tag::SubAccounts")]
impl ListHolds {
    /// What orders hold of the balance
    #[oai(path = "/:id/holds", method = "get", operation_id = "listHolds")]
    async fn list(
        &self,
        caller: Caller<Self>,
        state: Data<&State>,
        /// The sub-account
        id: Path<Uuid>,
    ) -> Answer<HoldList, Self> {
        let account = sub_accounts::get(&state.pool, caller.user(), AccountId(id.0)).await?;

        let rows = Entity::find()
            .filter(Column::SubAccountId.eq(account.id))
            .order_by_desc(Column::CreatedAt)
            .order_by_asc(Column::OrderId)
            .all(&state.db)
            .await
            .map_err(Error::from)?;
        let holds = rows.into_iter().map(Hold::try_from);
        Ok(Reply::read(HoldList {
            holds: holds.collect::<Result<_>>()?,
        }))
    }
}
