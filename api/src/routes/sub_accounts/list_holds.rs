//! `GET /v1/sub-accounts/{id}/holds`

use crate::http::filter::is_storable;
use crate::routes::prelude::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sea_orm::QuerySelect;
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

/// A page of the holds of a sub-account.
#[derive(Object, Serialize)]
struct HoldList {
    /// Holds, newest first
    holds: Listed<Hold>,
    /// Position of the page in the list
    pagination: Pagination,
}

/// A position in the list, behind the hold with this time in microseconds, order id and pair.
#[derive(Serialize, Deserialize)]
struct Place(i64, String, String);

impl Place {
    fn of(row: &Model) -> Self {
        Self(
            row.created_at.timestamp_micros(),
            row.order_id.clone(),
            row.symbol.clone(),
        )
    }

    fn encode(&self) -> Result<String> {
        let text = serde_json::to_vec(self).map_err(|error| Error::Internal(error.into()))?;
        Ok(URL_SAFE_NO_PAD.encode(text))
    }

    fn decode(cursor: &str) -> Result<Self> {
        let text = URL_SAFE_NO_PAD.decode(cursor).ok();
        let place = text.and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        place
            .filter(|place| place.time().is_some_and(is_storable))
            .filter(|Self(_, order, symbol)| !order.contains('\0') && !symbol.contains('\0'))
            .ok_or_else(|| Error::invalid("cursor", "must be the next_cursor of an earlier page"))
    }

    fn time(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_micros(self.0)
    }

    /// Selects the holds behind the position.
    fn following(self) -> Condition {
        let time = self.time();
        let later_pair = Condition::all()
            .add(Column::OrderId.eq(self.1.as_str()))
            .add(Column::Symbol.gt(self.2));
        let same_time = Condition::all().add(Column::CreatedAt.eq(time)).add(
            Condition::any()
                .add(Column::OrderId.gt(self.1))
                .add(later_pair),
        );

        Condition::any()
            .add(Column::CreatedAt.lt(time))
            .add(same_time)
    }
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
        /// Names of the fields to return of each object, separated by commas, such as `order_id,amount`; by default all
        fields: Query<Option<String>>,
        /// Rows in the page, 1 to 1000; by default 100
        limit: Query<Option<u64>>,
        /// `next_cursor` of the previous page; pages stay stable while new rows come in
        cursor: Query<Option<String>>,
    ) -> Answer<HoldList, Self> {
        let limit = Page::new(limit.0, None, None, None)?.limit();
        let chosen = Chosen::of::<Hold>(fields.0.as_deref())?;
        let place = cursor.0.as_deref().map(Place::decode).transpose()?;
        let account = sub_accounts::get(&state.pool, caller.user(), AccountId(id.0)).await?;

        let mut answer = state.answers.begin(caller.user());
        let turn = answer.turn_for(limit).await?;
        let mut rows = Entity::find()
            .filter(Column::SubAccountId.eq(account.id))
            .filter(place.map_or_else(Condition::all, Place::following))
            .order_by_desc(Column::CreatedAt)
            .order_by_asc(Column::OrderId)
            .order_by_asc(Column::Symbol)
            .limit(limit + 1)
            .all(&state.db)
            .await
            .map_err(Error::from)?;
        drop(turn);

        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > wanted;
        rows.truncate(wanted);
        let last = rows.last().filter(|_| has_more);
        let next = last.map(|row| Place::of(row).encode()).transpose()?;

        let holds = rows
            .into_iter()
            .map(|row| chosen.serialize(&Hold::try_from(row)?))
            .collect::<Result<Vec<_>>>()?;
        let data = HoldList {
            holds: holds.into(),
            pagination: Pagination::new(limit, next),
        };
        Ok(Reply::list(data, answer))
    }
}
